#!/bin/sh
# SPDX-License-Identifier: MIT
# The core turns bytes, keys and a time into a decision: nothing else may be imported.
# usage: pure.sh SOURCE_DIR BUILD_DIR
set -eu
lib=$2/libsynward_core.a

imports=$(nm -u "$lib" | awk '$1 == "U" { print $2 }' | sort -u)
[ -n "$imports" ] || { echo "pure: no imports found in $lib"; exit 1; }

bad=$(printf '%s\n' "$imports" | grep -vE '^(sw_.*|mem(cpy|cmp|move|set)|str(cmp|ncmp|len)|EVP_MAC_.*|EVP_KDF_.*|OSSL_PARAM_.*|SHA256_(Init|Update|Final)|CRYPTO_memcmp|OPENSSL_cleanse|__stack_chk_fail)$' || true)
if [ -n "$bad" ]; then
	echo "src/core must stay pure; it imports:"
	printf '  %s\n' $bad
	exit 1
fi

# <stdlib.h>, <time.h> and their like have no business there, not even for a macro.
if grep -nE '^#include <(stdlib|stdio|time|unistd|errno|pthread|signal|sys/|netinet/|arpa/|linux/|net/)' \
	"$1"/src/core/*.[ch]; then
	echo "src/core must stay pure: see the includes above"
	exit 1
fi
echo "pure: $(printf '%s\n' "$imports" | wc -l) imports, all allowed"
