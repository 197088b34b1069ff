#!/bin/sh
# SPDX-License-Identifier: MIT
# Nothing may outgrow one sitting or one screen: 600 lines for a file; 45 lines for a function at the
# 90th percentile, and none above 75.
# usage: size.sh SOURCE_DIR BUILD_DIR
set -eu
cd "$1"

long=$(find src include bench -name '*.[ch]' | sort | xargs wc -l | awk '$2 != "total" && $1 > 600 { print "  " $2 ", " $1 " lines" }')
if [ -n "$long" ]; then
	printf 'too long for one sitting:\n%s\n' "$long"
	exit 1
fi

# A function begins with a brace in column 1 and ends with one, as .clang-format has it.
find src bench -name '*.c' | sort | xargs awk '
	FNR == 1 { begin = 0 }
	/^[a-z_].*\(/ { head = $0 }
	/^\{/ { begin = FNR }
	/^\}/ && begin { print FNR - begin - 1, FILENAME ":" begin, head; begin = 0 }
' | sort -n | awk '
	{ lines[NR] = $1; all[NR] = $0 }
	END {
		if (NR == 0) { print "size: no functions found"; exit 1 }
		p50 = lines[int((NR + 1) / 2)]; p90 = lines[int(NR * 0.9)]
		for (i = 1; i <= NR; i++)
			if (lines[i] > 75) { print "function too long: " all[i]; bad = 1 }
		printf "size: %d functions, median %d lines, p90 %d, longest %d\n", NR, p50, p90, lines[NR]
		if (p90 > 45) { print "p90 above 45 lines"; bad = 1 }
		exit bad
	}'
