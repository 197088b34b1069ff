/* SPDX-License-Identifier: MIT */
/* Plain listening sockets for where the kernel or the privileges do not suffice. */
#ifndef SW_LISTEN_FALLBACK_H
#define SW_LISTEN_FALLBACK_H

#include "core/decide.h"

#include <sys/socket.h>

struct synward_listener;
struct sw_fallback;

/**
 * Bind and listen on every guard; disabled at first.
 *
 * @param replace  Share the listening sockets that another fallback on the same event_base has,
 *                 and accept from them once that one is drained or freed.
 * @return 0 or -errno with a line in @err.
 */
SW_MUST int sw_fallback_new(struct sw_fallback **out, struct synward_listener *lev,
			    const struct sw_guard *guard, size_t n, bool replace, char *err,
			    size_t errlen);
void sw_fallback_free(struct sw_fallback *fb); /**< NULL is allowed. */
/** @return 0 or -1. */
int sw_fallback_enable(struct sw_fallback *fb, bool on);
/** See synward_listener_drain().  @return 0 or -errno. */
SW_MUST int sw_fallback_drain(struct sw_fallback *fb, bool on);

/** What the listener does with a connection, and with an error of accept(). */
void sw_listener_accepted(struct synward_listener *lev, int fd, struct sockaddr *peer, int peerlen);
void sw_listener_trouble(struct synward_listener *lev, int error);

#endif
