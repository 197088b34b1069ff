/* SPDX-License-Identifier: MIT */
/* One packet thread: owns a ring, a sender, a decision context and its counters. */
#ifndef SW_LISTEN_WORKER_H
#define SW_LISTEN_WORKER_H

#include "front/turn.h"
#include "front/tx.h"
#include "listen/admit.h"

#include <pthread.h>

/** Keys for a worker to go over to: made by another thread, taken by the worker.  Secret memory,
 *  from sw_rekey_new(). */
struct sw_rekey {
	struct sw_keyring keys;
	enum sw_key_slot slot[SW_MAX_MASTERS];
	bool any; /* there are keys in it */
};

/** What other threads have asked a worker to do. */
struct sw_orders {
	_Atomic bool stop;
	_Atomic bool drain;                  /* drop SYNs, once what the ring holds is done */
	_Atomic(struct sw_rekey *) rekey;    /* these are the keys from here on */
	_Atomic(struct sw_rekey *) succeed;  /* a predecessor's, see sw_ctx_succeed() */
};

struct sw_worker {
	struct sw_ring *ring;    /* owned */
	struct sw_tx *tx;        /* owned */
	struct sw_ctx *cx;       /* owned, secret memory */
	unsigned ring_frames;
	int bell_fd;             /* owned eventfd; written so that orders are looked at */
	bool running;
	pthread_t thread;
	struct sw_orders orders;
	uint64_t to_see;         /* frames until the ring is done with what it held at the drain */
	void (*tick)(void *arg); /* called once a second by this thread; NULL for none */
	void *tick_arg;
	struct sw_admission ad;
	struct sw_counters n;          /* this thread writes, others may read a little late */
	_Atomic uint64_t ring_lost;    /* the same */
	_Atomic uint64_t beats;        /* turns of the loop, two a second at the least */
	_Atomic bool quiet;            /* drained, and the ring holds nothing from before */
	sw_mono busy_since; /* 0: the ring was empty a moment ago; the thread's own */
	sw_mono calm_since; /* when it was not busy last; of a thread that is first */
	bool first;	    /* sw_thread_first() holds */
};

struct sw_worker_config {
	unsigned ifindex;      /* guarded interface */
	unsigned far_ifindex;  /* the ring's, in its namespace */
	unsigned ring_frames;
	int fanout;            /* group, or -1 */
	bool qdisc_bypass;
	const struct sw_policy *policy;
	const struct sw_keyfile *keys;
	enum sw_mac_alg alg;
	uint64_t settle_ns;  /* how long a socket may wait for its first segment before it counts as
				shut out by the host's firewall; 0 to publish at once */
	void (*tick)(void *arg); /* see struct sw_worker */
	void *tick_arg;
};

/**
 * Set up, not started.
 *
 * @param fd  A packet socket, owned by the worker from here on, failure included.
 * @return 0 or -errno; nothing is held on failure.
 */
SW_MUST int sw_worker_init(struct sw_worker *w, int fd, struct sw_admitq *queue,
			   const struct sw_worker_config *cf);
/** @return 0 or -errno. */
SW_MUST int sw_worker_start(struct sw_worker *w);
/** End the thread and release everything.  Allowed on an all-zero struct. */
void sw_worker_stop(struct sw_worker *w);

/** Drop SYNs, or answer them again.  Those that are in the ring are answered. */
void sw_worker_drain(struct sw_worker *w, bool on);

/**
 * Keys for sw_worker_rekey() and sw_worker_succeed().
 *
 * @param keys  NULL: none.
 * @return 0, -ENOMEM, or -ENOTSUP when libcrypto fails.
 */
SW_MUST int sw_rekey_new(struct sw_rekey **out, const struct sw_keyfile *keys, enum sw_mac_alg alg);
void sw_rekey_free(struct sw_rekey *rk); /**< Wipes.  NULL is allowed. */

/** Go over to other keys, at the next turn.  @param rk  The worker's from here on. */
void sw_worker_rekey(struct sw_worker *w, struct sw_rekey *rk);
/** Take over from a predecessor, at the next turn.  @param rk  The worker's from here on. */
void sw_worker_succeed(struct sw_worker *w, struct sw_rekey *rk);

/**
 * Let the calling thread run soon after it is woken, in short slices: under a flood it shares its
 * core with softirqs, and a wait for a slice of a few milliseconds is what clients feel.  Nice -10
 * where the privileges allow it; a slice of 0.1 ms on Linux >= 6.12.  Best effort.
 */
void sw_thread_prefer(void);

/**
 * Let the calling thread, a packet thread, run before all others of its core: SCHED_FIFO, and where
 * that is not allowed, as sw_thread_prefer(), which also ends it.  For a packet thread whose ring
 * does not get empty, or overflows: it shares the core with the softirq or thread that receives, and
 * a flood fills the ring faster than it is emptied (receive livelock: the work of receiving is lost,
 * and what is not lost waits behind thousands of frames).  As it can only work on what was received,
 * receiving and others still get their share.  Not for a thread that keeps up: the kernel wakes one
 * of SCHED_FIFO where it ran last, even when another core is idle.
 */
void sw_thread_first(void);

/** Allow sw_thread_first() for when the privileges are gone.  Best effort. */
void sw_thread_may_be_first(void);

/** The clocks of the packet path. */
sw_mono sw_clock_mono(void);
sw_wall sw_clock_wall(void);

#endif
