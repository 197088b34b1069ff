#!/bin/sh
# SPDX-License-Identifier: MIT
# The top level holds what docs/architecture.md names and nothing else; each module of the core has a
# test that mirrors it; each script of tests/e2e is run.
# usage: top.sh SOURCE_DIR BUILD_DIR
set -eu
cd "$1"
bad=0

for entry in *; do
	case $entry in
	CMakeLists.txt | CMakePresets.json | README.md | LICENSE) ;;
	src | include | tests | bench | conf | docs | build) ;;
	*)
		echo "not a top-level entry of the design: $entry"
		bad=1
		;;
	esac
done
for entry in CMakeLists.txt CMakePresets.json README.md LICENSE .ci/run bench/demo tests/run; do
	[ -e "$entry" ] || { echo "missing: $entry"; bad=1; }
done

for source in src/core/*.c; do
	stem=$(basename "$source" .c)
	[ -e "tests/core/test_$stem.c" ] || { echo "no test mirrors $source"; bad=1; }
done

[ "$bad" -eq 0 ] && echo "top: as designed"
exit "$bad"
