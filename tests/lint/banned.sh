#!/bin/sh
# SPDX-License-Identifier: MIT
# Calls that have a better form, comments that say nothing, and marks of unfinished work.
# usage: banned.sh SOURCE_DIR BUILD_DIR
set -eu
cd "$1"
bad=0

# The C sources with file and line in front of each line, comments taken away.
code=$(mktemp)
trap 'rm -f "$code"' EXIT
find src include bench -name '*.[ch]' | sort | xargs awk '
	{ line = $0
	  gsub(/\/\*[^*]*\*\//, "", line); sub(/\/\/.*/, "", line); sub(/\/\*.*/, "", line)
	  if (line !~ /^[ \t]*\*/) print FILENAME ":" FNR ": " line }' >"$code"
[ -s "$code" ] || { echo "banned: no sources found"; exit 1; }

# ban REGEX INSTEAD
ban() {
	found=$(grep -E "[^A-Za-z0-9_]($1)" "$code" || true)
	if [ -n "$found" ]; then
		printf '%s\n  instead: %s\n' "$found" "$2"
		bad=1
	fi
}

ban '(strcpy|strcat|stpcpy|strncpy|strncat) *\(' 'snprintf() or memcpy() with a known length'
ban '(sprintf|vsprintf) *\(' 'snprintf()'
ban 'gets *\(' 'fgets() or getline()'
ban '(rand|srand|random|drand48) *\(' 'getrandom(), or a seed that the caller passes in'
ban '(atoi|atol|atof) *\(' 'strtoul() with a check of the end'
ban '(strtok|asctime|ctime|gmtime|localtime) *\(' 'the form that ends in _r'
ban 'alloca *\(' 'a fixed array or malloc()'
ban '(system|popen) *\(' 'fork() and exec, without a shell'
ban 'select *\(' 'poll() or epoll'

# A comment that is empty, or that only repeats the name below it.
empty=$(grep -nE '/\*\*?[[:space:]]*\*/|^[[:space:]]*\*[[:space:]]*@(param|return)[[:space:]]*[a-z_]*[[:space:]]*$' \
	-r src include bench --include='*.[ch]' || true)
if [ -n "$empty" ]; then
	printf 'comments that say nothing:\n%s\n' "$empty"
	bad=1
fi

unfinished=$(grep -nE '\b(TODO|FIXME|XXX|HACK)\b' -r src include bench tests conf docs \
	--include='*.[ch]' --include='*.py' --include='*.md' --include='*.cmake' || true)
if [ -n "$unfinished" ]; then
	printf 'marks of unfinished work:\n%s\n' "$unfinished"
	bad=1
fi

# Each source names its licence.
for f in $(find src include bench tests \( -name '*.[ch]' -o -name '*.py' -o -name '*.sh' \) | sort); do
	head -n 3 "$f" | grep -q 'SPDX-License-Identifier:' || { echo "no SPDX line: $f"; bad=1; }
done

[ "$bad" -eq 0 ] && echo "banned: nothing found"
exit "$bad"
