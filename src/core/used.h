/* SPDX-License-Identifier: MIT */
#ifndef SW_CORE_USED_H
#define SW_CORE_USED_H

#include "core/types.h"

#define SW_USED_SLOTS (1u << 19) /* 2 MiB; power of two */

/**
 * Cookies that opened a connection already.  A cookie proves more than one segment: the ACK, the
 * first data and their retransmissions.  Once its connection is closed, a late copy of any of
 * them, or a replay, must not open it again.
 *
 * A slot remembers the last cookie that fell into it, by 32 other bits of its 64-bit MAC.  So a
 * replay is let through when 2^19 or so connections came since (under 8,000 a second the memory
 * outlasts the cookie's 64 s), and a fresh cookie is refused by mistake once in 2^32.
 */
struct sw_used {
	uint32_t slot[SW_USED_SLOTS]; /* 0 for empty */
};

void sw_used_init(struct sw_used *u);
/** @param tag  struct sw_cookie's: all 64 bits, also those that the wire does not carry. */
void sw_used_add(struct sw_used *u, uint64_t tag);
SW_MUST bool sw_used_has(const struct sw_used *u, uint64_t tag);

#endif
