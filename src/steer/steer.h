/* SPDX-License-Identifier: MIT */
/*
 * Steering: BPF on the guarded interface sends the packets of guarded connections that have no
 * socket yet to the front end, and takes frames back.  docs/architecture.md, "Steering".
 */
#ifndef SW_STEER_STEER_H
#define SW_STEER_STEER_H

#include "core/decide.h"

struct sw_steer;

struct sw_steer_config {
	const char *interface;
	unsigned ifindex;
	const struct sw_guard *guard; /* that sw_steer_guard() will be called for; borrowed */
	size_t nguard;
	size_t workers; /* packet sockets to make */
	bool clsact;    /* use the clsact qdisc even where TCX would work */
};

/**
 * Make the veth pair, load and attach the programs.  All or nothing.  Nothing is steered yet.
 *
 * @param err  Out: one line that says what failed and what to do.
 * @return 0 or -errno: -EPERM (capability), -ENOTSUP (kernel feature), or what the kernel said.
 */
SW_MUST int sw_steer_open(struct sw_steer **out, const struct sw_steer_config *cf, char *err,
			  size_t errlen);

/**
 * Begin to steer the packets of a guard, or stop.  At once: call it when the packet sockets are
 * read.
 *
 * @return 0 or -errno.
 */
SW_MUST int sw_steer_guard(struct sw_steer *st, const struct sw_guard *g, bool on);

/** Stop steering and remove everything.  NULL is allowed. */
void sw_steer_close(struct sw_steer *st);

/** The packet socket of worker @i, bound to nothing yet: now the caller's to close. */
SW_MUST int sw_steer_take_socket(struct sw_steer *st, size_t i);

/** @return the interface the packet sockets are to be bound to, in their namespace. */
unsigned sw_steer_far_ifindex(const struct sw_steer *st);

/** Say that the owner is alive; call every second or so.  Needed for clsact only, cheap. */
void sw_steer_renew(struct sw_steer *st, sw_mono now);

/** Renew, and keep the map of known flows fresh.  Call every second.  @return 0 or -errno. */
SW_MUST int sw_steer_tick(struct sw_steer *st, sw_mono now);

/** Add the BPF programs' counters to @why. */
void sw_steer_count(const struct sw_steer *st, uint64_t why[SW_NWHY]);

/** @return "tcx" or "clsact". */
const char *sw_steer_mode(const struct sw_steer *st);

#endif
