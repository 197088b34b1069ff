/* SPDX-License-Identifier: MIT */
/* All the parts that guard: steering, packet threads, BPF answerer. */
#ifndef SW_LISTEN_ENGINE_H
#define SW_LISTEN_ENGINE_H

#include "listen/config.h"
#include "listen/turnover.h"
#include "listen/worker.h"
#include "steer/answer.h"
#include "steer/assign.h"
#include "steer/steer.h"

struct sw_engine {
	struct sw_admitq *queue;  /* owned; NULL in transparent mode */
	struct sw_steer *steer;   /* owned; NULL in transparent mode */
	struct sw_worker *worker; /* owned array; NULL in transparent mode */
	unsigned nworker;
	unsigned ifindex;         /* the guarded interface */
	struct sw_answer *answer; /* owned; NULL without XDP */
	bool transparent;

	struct sw_guard guard[SW_MAX_GUARDS];
	size_t nguard;
	int claim[SW_MAX_GUARDS]; /* owned sockets */
	size_t nclaim;
	struct sw_seat seat;      /* which of the guards are ours now */
	bool draining;

	char *key_file;          /* owned, or NULL */
	struct sw_keyfile *keys; /* owned; changes under sw_seats_lock() */
	enum sw_mac_alg alg;
	_Atomic uint64_t renewed; /* times that the BPF programs were */
};

/**
 * Make and start everything that @cf asks for.
 *
 * @param e  All zero.  Call sw_engine_stop() whatever is returned.
 * @param replace  Wait for addresses that another engine of this process guards.
 * @return 0 or -errno with a line in cf->error.
 */
SW_MUST int sw_engine_start(struct sw_engine *e, const struct synward_config *cf, bool replace);
/** Undo it.  Twice is allowed. */
void sw_engine_stop(struct sw_engine *e);

/** See synward_listener_drain().  @return 0 or -errno. */
SW_MUST int sw_engine_drain(struct sw_engine *e, bool on);

/** See synward_listener_reload_key().  @return 0 or -errno with a line in @err. */
SW_MUST int sw_engine_rekey(struct sw_engine *e, char *err, size_t errlen);

/** Once a second, by the event loop.  @return 0, -ENODEV when the interface is gone, or -errno. */
SW_MUST int sw_engine_tick(struct sw_engine *e);
/** See synward_listener_heartbeat(). */
uint64_t sw_engine_heartbeat(const struct sw_engine *e);
/** @return errno of a shortage since the last call, or 0. */
int sw_engine_trouble(struct sw_engine *e);
/** engine_count.c */
void sw_engine_count(const struct sw_engine *e, struct synward_stats *out);

#endif
