/* SPDX-License-Identifier: MIT */
/*
 * Which listener of this process guards an address: one at any time, while others wait to take it
 * over.  The addresses of a listener that is drained or freed pass to those that wait, each in the
 * order of their coming: the successor begins before the predecessor stops.
 *
 * A successor to a part of a wildcard takes all of it away from the predecessor, because packets
 * must not have two ways: what no successor has is guarded by nobody from then on.
 *
 * Functions may be called from several threads.
 */
#ifndef SW_LISTEN_TURNOVER_H
#define SW_LISTEN_TURNOVER_H

#include "core/decide.h"

/** A listener's part in it.  Fill the first seven, the rest is this module's. */
struct sw_seat {
	uint64_t netns; /* inode of the network namespace that ifindex belongs to */
	unsigned ifindex;
	const struct sw_guard *guard; /* borrowed */
	size_t n;
	void *arg;
	/** Begin to guard @guard, or stop.  @return 0 or -errno. */
	int (*turn)(void *arg, const struct sw_guard *guard, bool on);
	/** Called before the first turn(true) that takes from @from, whose arg it is. */
	int (*succeed)(void *arg, void *from);

	bool on[SW_MAX_GUARDS];
	bool closed; /* takes nothing: it is drained */
	struct sw_seat *next;
};

/** Sit down: guard what nobody guards, wait for the rest.  @return 0, or -errno and not seated. */
SW_MUST int sw_seat_join(struct sw_seat *s);

/**
 * Close: take nothing any more, and pass what others wait for.
 *
 * @return 0, or -errno of a turn() that failed: then what it was for has not passed.
 */
SW_MUST int sw_seat_close(struct sw_seat *s);

/** Open again.  @return 0, or -EBUSY when a guard has passed to another. */
SW_MUST int sw_seat_open(struct sw_seat *s);

/** Pass what others wait for, stop guarding the rest, go.  Allowed when never seated. */
void sw_seat_leave(struct sw_seat *s);

/** @return whether @s guards nothing now, because all of it has passed or is waited for. */
SW_MUST bool sw_seat_idle(const struct sw_seat *s);

/**
 * Call @visit with the arg of the listener that guards something of @s's, when there is one.
 *
 * @return whether there was.
 */
bool sw_seat_predecessor(const struct sw_seat *s, void (*visit)(void *from, void *arg), void *arg);

/** For what else must not change while a turnover goes on.  Not to be held across the above. */
void sw_seats_lock(void);
void sw_seats_unlock(void);

#endif
