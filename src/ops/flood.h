/* SPDX-License-Identifier: MIT */
/*
 * When a SYN flood begins and when it is over.  Pure: counters and a time in, an event out.
 *
 * A flood is SYN-ACKs that nobody proves.  A SYN that is proven a moment later is not one, however
 * many there are: the verdict needs the unproven rate to stay high for two windows of a second and
 * most SYN-ACKs of these windows to be unproven.  Overwhelming rates need one window.
 */
#ifndef SW_OPS_FLOOD_H
#define SW_OPS_FLOOD_H

#include "core/types.h"

struct sw_flood_config {
	uint64_t enter; /* unproven SYN-ACKs a second that begin a flood; 0: never one */
	uint64_t leave; /* below this for hold_ns it is over; at most enter */
	uint64_t hold_ns;
};

/** A listener's counters since its start; never less than in the step before. */
struct sw_flood_counts {
	uint64_t syns, synacks, proven, refused; /* as in struct synward_stats; refused: dropped */
};

enum sw_flood_event { SW_FLOOD_SAME, SW_FLOOD_BEGAN, SW_FLOOD_ENDED };

/** One listener's.  All zero is the start. */
struct sw_flood {
	bool started, active;
	uint64_t floods;		  /* that began since the start */
	sw_mono window;			  /* when the current window began */
	sw_mono began, calm;		  /* of the flood; since when the rate is below leave */
	struct sw_flood_counts at_window; /* counters when the window began */
	struct sw_flood_counts at_begin;  /* counters when the flood began */
	struct sw_flood_counts rate;	  /* a second, of the last full window */
	struct sw_flood_counts before;	  /* of the window before */
	struct sw_flood_counts total;	  /* of the flood, current or last */
	uint64_t lasted_ns;		  /* the flood, current or last */
};

/**
 * Call it every second or more often.
 *
 * @return what happened; @f holds the numbers.
 */
SW_MUST enum sw_flood_event sw_flood_step(struct sw_flood *f, const struct sw_flood_config *cf,
					  const struct sw_flood_counts *now, sw_mono mono);

/**
 * The line of the log for an event other than SW_FLOOD_SAME: "web: Possible SYN flooding on port
 * 203.0.113.1:443. Sending cookies. syn=182k/s answered=182k/s valid=41/s", or how long it was and
 * what it sent.
 *
 * @param addresses  The listener's, "A:P, A:P": the first one is named, and how many more.
 */
void sw_flood_line(const struct sw_flood *f, enum sw_flood_event event, const char *listener,
		   const char *addresses, char *out, size_t size);

#endif
