#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What bench/demo and tests/run share: packages and builds.  They source it, in the source folder.
# Run by itself it installs the packages that the build and the lab need: sudo tests/setup.sh

export PATH=$PATH:/usr/sbin:/sbin # nginx, nft and the others live there

say() { printf '== %s\n' "$*"; }

need_root() {
    if [ "$(id -u)" -ne 0 ]; then
        echo "$1: needs root for packages and network namespaces; run: sudo $1" >&2
        exit 1
    fi
}

# The packages of tests/packages that are not installed.
missing_packages() {
    local name state
    sed 's/#.*//' tests/packages | while read -r name; do
        [ -n "$name" ] || continue
        state=$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null) || state=
        [ "$state" = installed ] || echo "$name"
    done
}

# Installing nginx or sshd must not start a service: for the time of the installation
# policy-rc.d says no.  Whatever was there before comes back.
policy=/usr/sbin/policy-rc.d
deny_services() {
    if [ -e "$policy" ] || [ -L "$policy" ]; then
        mv "$policy" "$policy.before-synward"
    fi
    printf '#!/bin/sh\n# put here by synward while it installs packages\nexit 101\n' >"$policy"
    chmod 755 "$policy"
}
restore_services() {
    if grep -qs 'put here by synward' "$policy"; then
        rm -f "$policy"
    fi
    if [ -e "$policy.before-synward" ] || [ -L "$policy.before-synward" ]; then
        mv "$policy.before-synward" "$policy"
    fi
}

# Nor may a service that was not there before come up with the next boot.
disable_new_services() {
    local package unit
    command -v systemctl >/dev/null || return 0
    for package in "$@"; do
        case $package in
        nginx-light) unit=nginx ;;
        openssh-server) unit=ssh ;;
        postgresql) unit=postgresql ;;
        prometheus) unit=prometheus ;;
        *) continue ;;
        esac
        systemctl disable "$unit" >/dev/null 2>&1 || true
    done
}

install_packages() {
    local missing
    mapfile -t missing < <(missing_packages)
    [ "${#missing[@]}" -eq 0 ] && return 0
    say "installing ${missing[*]}"
    trap restore_services EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    deny_services
    DEBIAN_FRONTEND=noninteractive apt-get -q update
    DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "${missing[@]}"
    restore_services
    trap - EXIT INT TERM HUP
    disable_new_services "${missing[@]}"
}

# Under sudo, what was made in the checkout stays its owner's.
give_back() {
    local owner
    owner=$(stat -c %u:%g .)
    [ "$owner" = 0:0 ] || chown -R "$owner" build
}

# build PRESET: configure and build into build/PRESET.
build() {
    local preset=$1 rc=0
    say "building build/$preset"
    mkdir -p build
    { cmake --preset "$preset" -DSYNWARD_WERROR=ON && cmake --build "build/$preset"; } \
        >"build/$preset.log" 2>&1 || rc=$?
    give_back
    if [ "$rc" -ne 0 ]; then
        tail -n 60 "build/$preset.log" >&2
        echo "the build failed; the whole log is build/$preset.log" >&2
    fi
    return "$rc"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    set -euo pipefail
    cd "$(dirname "$0")/.."
    need_root tests/setup.sh
    install_packages
fi
