/* SPDX-License-Identifier: MIT */
/*
 * The access log's way out of the event loop, which it must not hold up: lines gather in a bounded
 * buffer and leave in chunks of whole lines, of at most PIPE_BUF bytes, and only when poll(2) says
 * that the descriptor takes them.  What finds the buffer full is lost, counted, and said by a line
 * in the place where it is missing.
 */
#ifndef SW_RELAY_ACCESSLOG_H
#define SW_RELAY_ACCESSLOG_H

#include "relay/access.h"

#include <event2/event.h>

struct sw_accesslog;

struct sw_accesslog_stats {
	uint64_t lines; /* given to the kernel, or still in the buffer */
	uint64_t lost;
};

/**
 * @param fd     Borrowed; a pipe, a socket, a terminal or a file.  Left in its blocking mode.
 * @param bytes  Of the buffer; 0: 1 MiB.  At least 2 * SW_ACCESS_MAX.
 * @param out    Written on success.
 * @return 0, -EINVAL (a buffer too small), -ENOMEM.
 */
SW_MUST int sw_accesslog_new(struct event_base *base, int fd, enum sw_access_form form,
			     size_t bytes, struct sw_accesslog **out);

/** Write what is left, for a second at most: not for a loop that has to go on, see
 *  sw_accesslog_off().  NULL is allowed. */
void sw_accesslog_free(struct sw_accesslog *log);

/** Add a line.  In the shape of sw_relay_config.access: @arg is the struct sw_accesslog. */
void sw_accesslog_add(void *arg, const struct sw_access *a);

/** Lines from here on have another form.  Takes lines again after sw_accesslog_off(). */
void sw_accesslog_set_form(struct sw_accesslog *log, enum sw_access_form form);

/** Take no more lines.  Those that wait go out as the reader takes them, and so does the line about
 *  lost ones; nothing waits here.  The log stays the caller's to free.  NULL is allowed. */
void sw_accesslog_off(struct sw_accesslog *log);

void sw_accesslog_get_stats(const struct sw_accesslog *log, struct sw_accesslog_stats *out);

#endif
