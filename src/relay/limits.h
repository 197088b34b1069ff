/* SPDX-License-Identifier: MIT */
/*
 * How many connections may be open, in all and from one prefix of client addresses.  One object for
 * all relays of a process.  The addresses are proven: nobody can use up another's share by
 * spoofing.
 *
 * Memory is bounded: a table of fixed size, hashed with a secret key, holds one entry for each
 * prefix that has connections now.  When it is full, a connection from a prefix without an entry is
 * let in and not counted to its prefix (`uncounted`): refusing it would let many sources shut out
 * the rest. The limit in all holds regardless.
 */
#ifndef SW_RELAY_LIMITS_H
#define SW_RELAY_LIMITS_H

#include "core/types.h"

#include <sys/socket.h>

struct sw_limits_config {
	size_t connections; /* in all; 0: no limit */
	size_t per_source;  /* for one prefix; 0: no limit */
	unsigned prefix4;   /* bits that make an IPv4 source, 1..32; 0: 32 */
	unsigned prefix6;   /* 1..128; 0: 64 */
};

struct sw_limits_stats {
	uint64_t active;	 /* connections now */
	uint64_t sources;	 /* prefixes that have connections now */
	uint64_t refused;	 /* beyond the limit in all */
	uint64_t refused_source; /* beyond the limit of a prefix */
	uint64_t uncounted;	 /* let in while the table was full */
};

#define SW_LIMITS_SOURCES 98304 /* prefixes in the table at most */

enum sw_limits_rc { SW_LIMITS_OK, SW_LIMITS_TOTAL, SW_LIMITS_SOURCE };

/** What a connection holds of the limits: give it back as it was. */
struct sw_limits_share {
	uint8_t prefix[16];
	uint8_t family; /* 4, 6, or 0 for a connection that is not counted to a source */
	uint8_t bits;
	bool taken;
};

struct sw_limits;

/**
 * @param key  16 random bytes, a secret from clients.
 * @return NULL when out of memory, or when libcrypto has no SipHash.
 */
struct sw_limits *sw_limits_new(const struct sw_limits_config *cf, const uint8_t key[16]);

/** Every share has been given back before.  NULL is allowed. */
void sw_limits_free(struct sw_limits *l);

/** Make the memory that other limits need; no limit changes.  It stays until sw_limits_free().
 *  @return 0 or -ENOMEM. */
SW_MUST int sw_limits_prepare(struct sw_limits *l, const struct sw_limits_config *cf);

/** Apply other limits, after sw_limits_prepare() with them.  Connections that are there stay,
 *  beyond a lower limit too; those counted by another prefix length count on by that until they
 *  end. */
void sw_limits_commit(struct sw_limits *l, const struct sw_limits_config *cf);

/** Ask for a place.  @param share  Written; for sw_limits_give() when SW_LIMITS_OK. */
SW_MUST enum sw_limits_rc sw_limits_take(struct sw_limits *l, const struct sockaddr *client,
					 struct sw_limits_share *share);

/** Give a place back, once. */
void sw_limits_give(struct sw_limits *l, struct sw_limits_share *share);

void sw_limits_get_stats(const struct sw_limits *l, struct sw_limits_stats *out);

#endif
