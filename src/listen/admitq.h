/* SPDX-License-Identifier: MIT */
/* The one bounded queue between the packet threads and the application's event loop. */
#ifndef SW_LISTEN_ADMITQ_H
#define SW_LISTEN_ADMITQ_H

#include "core/types.h"

#include <sys/socket.h>

struct sw_admitq;

struct sw_admitted {
	int fd; /* owned by whoever holds the struct */
	socklen_t peerlen;
	struct sockaddr_storage peer;
};

/** @return 0 or -errno. */
SW_MUST int sw_admitq_new(struct sw_admitq **out, unsigned depth);
void sw_admitq_free(struct sw_admitq *q); /**< Closes what is queued.  NULL is allowed. */

/** Keep a place, before the socket is made.  Any thread.  @return false when the queue is full. */
SW_MUST bool sw_admitq_reserve(struct sw_admitq *q);
/** Fill the kept place: @a->fd is the queue's from here.  Any thread. */
void sw_admitq_push(struct sw_admitq *q, const struct sw_admitted *a);
/** Give the kept place back.  Any thread. */
void sw_admitq_cancel(struct sw_admitq *q);
/** Wake the reader, when something was pushed since the last call.  Any thread. */
void sw_admitq_wake(struct sw_admitq *q);

/** @return the eventfd that is readable when something may be queued. */
int sw_admitq_fd(const struct sw_admitq *q);
/** Clear the eventfd.  Reader only, before popping. */
void sw_admitq_ack(struct sw_admitq *q);
/** @return false when the queue is empty.  Reader only. */
SW_MUST bool sw_admitq_pop(struct sw_admitq *q, struct sw_admitted *out);
/** @return connections queued now. */
unsigned sw_admitq_len(struct sw_admitq *q);
/** @return places taken: connections queued, and those that are being made. */
unsigned sw_admitq_held(struct sw_admitq *q);

#endif
