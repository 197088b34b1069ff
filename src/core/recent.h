/* SPDX-License-Identifier: MIT */
#ifndef SW_CORE_RECENT_H
#define SW_CORE_RECENT_H

#include "core/wire.h"

#define SW_RECENT_SLOTS 4096u          /* power of two */
#define SW_RECENT_NS 500000000ull     /* how long a handoff is remembered */

/**
 * Connections that were handed over a moment ago.  Segments that were queued before the socket
 * existed are known by nothing else.  A later entry overwrites an earlier one in the same slot:
 * the loss costs that client one retransmission.
 */
struct sw_recent {
	uint64_t seed; /* secret, so that nobody can aim at a slot */
	/* A bit for each slot that may hold something: SYNs ask here first, and in a flood nearly all
	 * are spared a line of the table, which does not stay in the nearest cache. */
	uint64_t used[SW_RECENT_SLOTS / 64];
	struct sw_recent_slot {
		struct sw_addr src, dst;
		uint16_t sport, dport;
		sw_mono until; /* 0 for an empty slot */
	} slot[SW_RECENT_SLOTS];
};

void sw_recent_init(struct sw_recent *r, uint64_t seed);
void sw_recent_add(struct sw_recent *r, const struct sw_seg *seg, sw_mono now);
/** A new SYN of the same client ends the memory. */
void sw_recent_forget(struct sw_recent *r, const struct sw_seg *seg, sw_mono now);
SW_MUST bool sw_recent_has(const struct sw_recent *r, const struct sw_seg *seg, sw_mono now);

#endif
