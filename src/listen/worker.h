/* SPDX-License-Identifier: MIT */
/* One packet thread: owns a ring, a sender, a decision context and its counters. */
#ifndef SW_LISTEN_WORKER_H
#define SW_LISTEN_WORKER_H

#include "front/turn.h"
#include "front/tx.h"
#include "listen/admitq.h"

#include <pthread.h>

struct sw_worker {
	struct sw_ring *ring;    /* owned */
	struct sw_tx *tx;        /* owned */
	struct sw_ctx *cx;       /* owned */
	struct sw_admitq *queue; /* shared: this thread pushes */
	unsigned ifindex;        /* of the guarded interface */
	int stop_fd;             /* owned eventfd; written to end the thread */
	bool running;
	pthread_t thread;
	struct sw_admitted made[SW_BURST]; /* sockets of this turn, still veiled */
	unsigned nmade;
	struct sw_counters n;          /* this thread writes, others may read a little late */
	_Atomic uint64_t ring_lost;    /* the same */
	_Atomic int trouble;           /* errno of the last admission that failed for want of
					  resources; the event loop takes it and sets 0 */
};

struct sw_worker_config {
	unsigned ifindex;      /* guarded interface */
	unsigned far_ifindex;  /* the ring's, in its namespace */
	unsigned ring_frames;
	int fanout;            /* group, or -1 */
	bool qdisc_bypass;
	const struct sw_policy *policy;
	const struct sw_masters *masters;
	enum sw_mac_alg alg;
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

/** The clocks of the packet path. */
sw_mono sw_clock_mono(void);
sw_wall sw_clock_wall(void);

#endif
