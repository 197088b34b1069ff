/* SPDX-License-Identifier: MIT */
/*
 * Metrics, the dashboard and control over HTTP, on a Unix socket and, without control, on TCP.
 *
 * It runs in a thread of its own, at low priority and without capabilities: a thousand hostile
 * clients cost the relay nothing.  What it needs to know or to have done it asks of the caller's
 * event loop, and waits.
 */
#ifndef SW_OPS_HTTP_H
#define SW_OPS_HTTP_H

#include "core/types.h"
#include "ops/snapshot.h"

#include <event2/event.h>

#define SW_CONTROL_TEXT 16384 /* bytes of text that a control operation may write */

/**
 * What the server asks of its owner.  All of them run on the event loop given to sw_http_new(), one
 * at a time.
 */
struct sw_control_ops {
	void *arg;
	/** @return a snapshot that the HTTP server frees; NULL when there is no memory. */
	struct sw_snapshot *(*snapshot)(void *arg);
	/*
	 * @param text  Out: what changed, or what is wrong; lines.
	 * @return 0, or -errno: -EINVAL (bad configuration or key file), -ENOENT (no such
	 *         listener), -EALREADY (as it is already), -ENOTSUP, or another.
	 * A NULL function is -ENOTSUP.
	 */
	int (*reload)(void *arg, char *text, size_t size);
	int (*rekey)(void *arg, char *text, size_t size); /* read the key file again */
	int (*drain)(void *arg, const char *listener, char *text, size_t size);
	int (*undrain)(void *arg, const char *listener, char *text, size_t size);
};

struct sw_http_config {
	const char *socket;   /* Unix socket, made with mode 0660; NULL for none */
	const char *address;  /* "127.0.0.1:9177"; NULL for none */
	unsigned max_clients; /* on each of the two; 0: 64 */
	struct sw_control_ops ops;
};

struct sw_http;

/**
 * Bind and start.  A socket file that nobody listens on is replaced.
 *
 * @param base  Where the ops run.  Outlives the server.
 * @param cf    Copied.
 * @param err   On failure one line: what was wrong and what would be right.
 *
 * @return 0; -EADDRINUSE (another process has the socket or the address), -EINVAL (not an
 *         address), or -errno.  Nothing is left behind on failure.
 */
SW_MUST int sw_http_new(struct event_base *base, const struct sw_http_config *cf,
			struct sw_http **out, char *err, size_t errlen);

/** Stop and unlink the socket.  Clients are cut off.  NULL is allowed.  Call it on the loop, but
 *  not from within an op. */
void sw_http_free(struct sw_http *h);

/**
 * Listen on another TCP address, or on none.  Clients of the old one are served to their end.
 * Allowed from within an op.
 *
 * @param address  NULL for none.
 * @return 0, or as sw_http_new(); on failure everything is as before.
 */
SW_MUST int sw_http_move(struct sw_http *h, const char *address, char *err, size_t errlen);

/**
 * Tell the subscribers of /events.
 *
 * @param kind  "flood_began", "flood_ended", "reload", "drain", "undrain", "upstream_up",
 *              "upstream_down".
 * @param name  Of the listener or the server; "" for none.
 * @param text  One line for people.
 */
void sw_http_event(struct sw_http *h, const char *kind, const char *name, const char *text);

#endif
