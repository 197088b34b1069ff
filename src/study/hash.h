/* SPDX-License-Identifier: MIT */
/* A seeded 64-bit hash for tables and sketches.  Not for secrets. */
#ifndef SW_STUDY_HASH_H
#define SW_STUDY_HASH_H

#include "core/types.h"

#include <string.h>

static inline uint64_t sw_hash_mix(uint64_t a, uint64_t b)
{
	__extension__ const unsigned __int128 p = (unsigned __int128)a * b;

	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

/** @return the hash of an address and a number, such as a port. */
static inline uint64_t sw_hash_addr(uint64_t seed, const struct sw_addr *addr, uint64_t number)
{
	uint64_t w[2];

	memcpy(w, addr->b, sizeof(w));
	seed = sw_hash_mix(seed ^ w[0] ^ 0x9e3779b97f4a7c15u, w[1] ^ 0xd1b54a32d192ed03u);
	return sw_hash_mix(seed ^ number, 0xa0761d6478bd642fu ^ seed >> 32);
}

#endif
