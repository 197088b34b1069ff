/* SPDX-License-Identifier: MIT */
/* All the parts that guard: steering, packet threads, BPF answerer. */
#ifndef SW_LISTEN_ENGINE_H
#define SW_LISTEN_ENGINE_H

#include "listen/config.h"
#include "listen/worker.h"
#include "steer/answer.h"
#include "steer/assign.h"
#include "steer/steer.h"

struct sw_engine {
	struct sw_admitq *queue;  /* owned; NULL in transparent mode */
	struct sw_steer *steer;   /* owned; NULL in transparent mode */
	struct sw_worker *worker; /* owned array; NULL in transparent mode */
	unsigned nworker;
	unsigned ifindex; /* the guarded interface */
	struct sw_answer *answer; /* owned; NULL without XDP */
	struct sw_assign *assign; /* owned; transparent mode only */
};

/**
 * Make and start everything that @cf asks for.
 *
 * @param e  All zero.  Call sw_engine_stop() whatever is returned.
 * @return 0 or -errno with a line in cf->error.
 */
SW_MUST int sw_engine_start(struct sw_engine *e, const struct synward_config *cf);
/** Undo it.  Twice is allowed. */
void sw_engine_stop(struct sw_engine *e);

/** Once a second, by the event loop.  @return 0, -ENODEV when the interface is gone, or -errno. */
SW_MUST int sw_engine_tick(struct sw_engine *e);
/** @return errno of a shortage since the last call, or 0. */
int sw_engine_trouble(struct sw_engine *e);
void sw_engine_count(const struct sw_engine *e, struct synward_stats *out);

#endif
