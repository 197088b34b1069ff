/* SPDX-License-Identifier: MIT */
/*
 * Bytes between accepted connections and upstream servers, both ways, as if no relay were there:
 * a FIN becomes a FIN, a reset becomes a reset, and a slow reader slows the sender down.
 *
 * One thread: everything runs on the event_base given to sw_relay_new().
 */
#ifndef SW_RELAY_RELAY_H
#define SW_RELAY_RELAY_H

#include "core/types.h"
#include "relay/proxyhdr.h"

#include <event2/event.h>
#include <sys/socket.h>

struct sw_relay;

/** Why a connection ended.  Each accepted one ends by exactly one cause. */
enum sw_relay_cause {
	SW_END_CLIENT_FIN, /* both sides closed in order, the client first */
	SW_END_SERVER_FIN,
	SW_END_CLIENT_RST, /* reset, or lost, seen on the client's side */
	SW_END_SERVER_RST,
	SW_END_IDLE,	       /* no byte either way for the idle timeout */
	SW_END_CONNECT_FAILED, /* no upstream answered */
	SW_END_DRAIN,	       /* ended by sw_relay_kill_all() or sw_relay_free() */
	SW_END_LIMIT,	       /* refused: max_connections reached, or draining */
	SW_END_NO_RESOURCES,   /* out of descriptors, ports or memory */
	SW_NEND
};

/** Why an attempt to reach an upstream failed.  One connection may count several. */
enum sw_relay_dial_fail {
	SW_DIAL_REFUSED,
	SW_DIAL_TIMEOUT,
	SW_DIAL_UNREACHABLE,
	SW_DIAL_NO_PORT,
	SW_DIAL_NO_RESOURCES,
	SW_DIAL_OTHER,
	SW_NDIAL
};

/** What to relay to and how.  Zero every field that is not set: zero means the default. */
struct sw_relay_config {
	const struct sockaddr_storage *upstream; /* tried in turn; copied */
	size_t nupstream;			 /* at least 1 */
	unsigned connect_timeout_ms;		 /* for each attempt; 0: 3000 */
	unsigned idle_timeout_ms;		 /* 0: none */
	enum sw_proxy_version proxy;
	size_t buffer_bytes;	/* the most that waits in each direction; 0: 64 KiB */
	size_t max_connections; /* 0: no limit */

	/* Once per event that an administrator should know of, never per packet; NULL is
	 * silence.  @trouble tells a warning from an all-clear. */
	void (*log)(void *arg, bool trouble, const char *line);
	void *log_arg;
};

struct sw_relay_stats {
	uint64_t accepted; /* calls of sw_relay_add(); the sum of active and ended */
	uint64_t active;   /* connections now, those still waiting for an upstream included */
	uint64_t to_server, to_client; /* payload bytes handed to the kernel, no PROXY headers */
	uint64_t ended[SW_NEND];
	uint64_t dial_failed[SW_NDIAL];
};

/**
 * @param base  Outlives the relay.  Its backend must know edge-triggered events (epoll does).
 * @param cf    Copied.
 * @param out   Written on success; the caller frees it with sw_relay_free().
 *
 * @return 0, -EINVAL (no upstream), -ENOTSUP (the event backend), -ENOMEM.
 */
SW_MUST int sw_relay_new(struct event_base *base, const struct sw_relay_config *cf,
			 struct sw_relay **out);

/** Resets what is still active.  NULL is allowed. */
void sw_relay_free(struct sw_relay *r);

/**
 * Take over a connected, non-blocking socket and connect it to an upstream.
 *
 * @param fd    The relay's from now on, whatever happens: what cannot be served is reset.
 * @param peer  The client's address, for the PROXY header.  Copied.
 */
void sw_relay_add(struct sw_relay *r, evutil_socket_t fd, const struct sockaddr *peer,
		  socklen_t peerlen);

/** @return the number of connections, those still waiting for an upstream included. */
size_t sw_relay_active(const struct sw_relay *r);

/**
 * Refuse new connections and let the live ones end.
 *
 * @param done  Called once from the event loop when none is left, not from within this call.
 *              May free the relay.
 */
void sw_relay_drain(struct sw_relay *r, void (*done)(void *arg), void *arg);

/** Reset every connection. */
void sw_relay_kill_all(struct sw_relay *r);

void sw_relay_get_stats(const struct sw_relay *r, struct sw_relay_stats *out);

/** @return "client_fin", ..., for i < SW_NEND. */
const char *sw_relay_cause_name(enum sw_relay_cause i);
/** @return "refused", ..., for i < SW_NDIAL. */
const char *sw_relay_dial_fail_name(enum sw_relay_dial_fail i);

#endif
