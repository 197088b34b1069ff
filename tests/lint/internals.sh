#!/bin/sh
# SPDX-License-Identifier: MIT
# docs/internals.md names files and functions: each file exists, and each function is defined in the
# file named last before it.
# usage: internals.sh SOURCE_DIR BUILD_DIR
set -eu
cd "$1"

# One name a line, in the order of the page: "src/core/wire.c" or "sw_wire_parse()".
names=$(grep -oE '`[A-Za-z0-9_./-]+(\(\))?`' docs/internals.md | tr -d '`' |
	grep -E '^(src|tests|bench|conf|include|docs)/|\(\)$')
count=0
bad=0
file=

for name in $names; do
	count=$((count + 1))
	case $name in
	*/*)
		file=$name
		[ -e "$file" ] || { echo "docs/internals.md names $file, which does not exist"; bad=1; }
		;;
	*)
		# A definition begins in column 1 and has no semicolon behind its parameters.
		function=${name%()}
		grep -qE "^[A-Za-z].*[ *]$function\(|^$function\(" "$file" 2>/dev/null || {
			echo "docs/internals.md: $file defines no $name"
			bad=1
		}
		;;
	esac
done

[ "$count" -ge 60 ] || { echo "internals: only $count names found in docs/internals.md"; exit 1; }
[ "$bad" -eq 0 ] && echo "internals: $count names, all there"
exit "$bad"
