#!/bin/bash
# SPDX-License-Identifier: MIT
# SYNWARD_BINARY for the end-to-end tests: `synward run` as an ordinary user with ambient
# capabilities, the way conf/synward.service starts it.  Its key and the directory of its control
# socket are given to that user.  Everything else is run as it is.
set -eu
synward=$SYNWARD_BUILD/synward
user=nobody
caps=+net_admin,+net_raw,+net_bind_service,+bpf,+perfmon

[ "${1-}" = run ] || exec "$synward" "$@"

previous=
for word in "$@"; do
    case $previous in
    -k | --key-file) chown "$user" "$word" || true ;;
    -c | --config)
        chown "$user" "$(dirname "$word")"
        grep -o '"key_file": *"[^"]*"' "$word" | cut -d'"' -f4 | xargs -r chown "$user"
        ;;
    esac
    previous=$word
done
exec setpriv --reuid="$user" --regid=nogroup --clear-groups --inh-caps "$caps" \
    --ambient-caps "$caps" --bounding-set "-all,$caps" --no-new-privs "$synward" "$@"
