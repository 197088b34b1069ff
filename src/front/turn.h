/* SPDX-License-Identifier: MIT */
/*
 * One turn of the packet loop: receive, decide, act, flush.  What acts is behind struct sw_io, so
 * that tests, fuzzers and replays run the same turn over frames from memory.
 */
#ifndef SW_FRONT_TURN_H
#define SW_FRONT_TURN_H

#include "core/decide.h"
#include "core/reply.h"
#include "front/ring.h"

#include <stdatomic.h>

#define SW_BURST 64 /* frames a turn */

/** Where frames come from and where decisions go. */
struct sw_io {
	void *arg;
	/** @return false when there is no frame now. */
	bool (*next)(void *arg, struct sw_rx *rx);
	/** SW_REPLY_MAX bytes to build a SYN-ACK in. */
	uint8_t *(*slot)(void *arg);
	/** Send @len bytes of the slot, now or at the flush. */
	void (*send)(void *arg, size_t len);
	/** Send what was queued.  @return the number of frames that were not taken. */
	unsigned (*flush)(void *arg);
	/** Give a frame back to the kernel.  @return 0 or -errno. */
	int (*give_back)(void *arg, const struct sw_rx *rx);
	/**
	 * Make the socket of a proven connection and queue it for the application.
	 * @return SW_WHY_ACK_PROVEN, SW_WHY_DUPLICATE, SW_WHY_QUEUE_FULL, SW_WHY_NO_DESCRIPTOR or
	 * SW_WHY_HANDOFF_FAILED.
	 */
	enum sw_why (*admit)(void *arg, const struct sw_seg *seg, const struct sw_decision *d);
};

/** One writer, any reader: relaxed loads and stores do. */
struct sw_counters {
	_Atomic uint64_t why[SW_NWHY];
	_Atomic uint64_t syn_refused[SW_NWHY]; /* of why: SYNs that were not answered */
	_Atomic uint64_t syns_ip6;             /* SYNs of that family, answered or refused */
	_Atomic uint64_t frames, synacks, made, passed, dropped; /* made: sockets */
};

static inline void sw_count(_Atomic uint64_t *c, uint64_t n)
{
	atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

/**
 * Handle up to SW_BURST frames.
 *
 * @return how many there were; SW_BURST says that more may wait.
 */
SW_MUST unsigned sw_turn(struct sw_ctx *cx, struct sw_counters *n, const struct sw_io *io,
			 sw_wall wall, sw_mono mono);

#endif
