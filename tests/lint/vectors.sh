#!/bin/sh
# SPDX-License-Identifier: MIT
# The vectors of the test and of docs/cookie.md are what vectors.py computes.
# usage: vectors.sh SOURCE_DIR BUILD_DIR
set -eu
export PYTHONDONTWRITEBYTECODE=1
script=$1/tests/core/vectors.py
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

python3 "$script" c >"$tmp/c"
diff -u "$1/tests/core/vectors.inc" "$tmp/c" || {
	echo "vectors: run: python3 tests/core/vectors.py c > tests/core/vectors.inc"
	exit 1
}

python3 "$script" doc >"$tmp/doc"
awk '/^<!-- vectors:end -->/ { on = 0 } on && !/^```/ { print } /^<!-- vectors:begin -->/ { on = 1 }' \
	"$1/docs/cookie.md" >"$tmp/in_doc"
diff -u "$tmp/in_doc" "$tmp/doc" || {
	echo "vectors: put the output of: python3 tests/core/vectors.py doc into docs/cookie.md"
	exit 1
}
echo "vectors: test and manual agree with vectors.py"
