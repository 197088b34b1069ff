/* SPDX-License-Identifier: MIT */
/* One packet thread: owns a ring, a sender, a decision context and its counters. */
#ifndef SW_LISTEN_WORKER_H
#define SW_LISTEN_WORKER_H

#include "front/turn.h"
#include "front/tx.h"
#include "listen/admitq.h"

#include <pthread.h>

#define SW_MAX_MADE 256

/** A socket that was made, until the kernel has delivered its first segment. */
struct sw_made {
	struct sw_admitted a;
	sw_mono since;
};

struct sw_worker {
	struct sw_ring *ring;    /* owned */
	struct sw_tx *tx;        /* owned */
	struct sw_ctx *cx;       /* owned */
	struct sw_admitq *queue; /* shared: this thread pushes */
	unsigned ifindex;        /* of the guarded interface */
	int stop_fd;             /* owned eventfd; written to end the thread */
	bool running;
	pthread_t thread;
	struct sw_made made[SW_MAX_MADE]; /* sockets not yet with the application, still veiled */
	unsigned nmade;
	uint64_t settle_ns;
	void (*tick)(void *arg); /* called once a second by this thread; NULL for none */
	void *tick_arg;
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

/**
 * Let the calling thread run soon after it is woken, in short slices: under a flood it shares its
 * core with softirqs, and a wait for a slice of a few milliseconds is what clients feel.  Nice -10
 * where the privileges allow it; a slice of 0.1 ms on Linux >= 6.12.  Best effort.
 */
void sw_thread_prefer(void);

/** The clocks of the packet path. */
sw_mono sw_clock_mono(void);
sw_wall sw_clock_wall(void);

#endif
