/* SPDX-License-Identifier: MIT */
/* The packets of one connection that a reader wants to see, and how many stand between them. */
#ifndef SW_STUDY_RUNGS_H
#define SW_STUDY_RUNGS_H

#include "study/track.h"

#define SW_RUNGS_PLAIN	16 /* packets shown before plain data is folded */
#define SW_RUNGS_MARKED	48 /* before all but SYN, FIN and RST is folded */
#define SW_RUNGS_MAX	64
#define SW_RUNG_NOTES	4   /* sentences kept per connection */
#define SW_RUNG_NOTE_MAX 240 /* bytes of one, final zero included */

/** A packet, or several plain ones in its place. */
struct sw_rung {
	uint64_t number; /* of the packet, or of the first one */
	int64_t at;	 /* nanoseconds since the connection's first packet */
	uint32_t seq, ack; /* relative */
	uint32_t len;	   /* payload, bytes */
	uint32_t marks;	   /* of the packet, or of any of them */
	uint16_t window;   /* not scaled */
	uint8_t flags;	   /* SW_TCP_* */
	uint8_t from;	   /* enum sw_end */
	const char *word;  /* static: the core's verdict in a word; NULL when it was not asked */
	const char *reason; /* static: its reason, or NULL */
	char *note;	   /* owned: the same in a sentence; NULL for nothing */
	uint32_t folded[2]; /* packets of each end; both 0 for a single packet */
	uint64_t bytes[2];  /* their payload */
};

/** All zero is empty. */
struct sw_rungs {
	struct sw_rung *rung; /* owned */
	uint16_t n, room;
	uint8_t notes;
	bool lost; /* there was no memory for some */
};

/**
 * Add a packet, or fold it.
 *
 * @param note  Copied, when the packet is kept and there is room; NULL for none.
 */
void sw_rungs_add(struct sw_rungs *r, const struct sw_rung *row, const char *note);

/** Forget all. */
void sw_rungs_clear(struct sw_rungs *r);

/** @return true when the row stands for several packets. */
static inline bool sw_rung_is_fold(const struct sw_rung *row)
{
	return row->folded[0] || row->folded[1];
}

#endif
