/* SPDX-License-Identifier: MIT */
/*
 * Bytes between accepted connections and the servers of a pool, both ways, as if no relay were
 * there: a FIN becomes a FIN, a reset becomes a reset, and a slow reader slows the sender down.
 *
 * One relay is one pool.  One thread: everything runs on the event_base given to sw_relay_new().
 * The callbacks must not call back into the relay, but for what only reads: statistics, names.
 */
#ifndef SW_RELAY_RELAY_H
#define SW_RELAY_RELAY_H

#include "core/hist.h"
#include "core/types.h"
#include "relay/access.h"
#include "relay/cause.h"
#include "relay/health.h"
#include "relay/limits.h"
#include "relay/proxyhdr.h"
#include "relay/tag.h"

#include <event2/event.h>
#include <sys/socket.h>

struct sw_relay;
struct sw_relay_change;

#define SW_SERVERS_MAX	64
#define SW_SERVER_NAME	64
#define SW_POOL_NAME	32
#define SW_RETRIES_NONE UINT32_MAX

/** What happened to a server. */
enum sw_server_change { SW_SERVER_UP, SW_SERVER_DOWN, SW_SERVER_ADDED, SW_SERVER_REMOVED };

struct sw_server_event {
	const char *pool;   /* its name; "" for none */
	const char *server; /* "10.0.0.11:8443" */
	enum sw_server_change change;
	const char *why;      /* "Connection refused"; "" when there is nothing to say */
	unsigned up, servers; /* of the pool, afterwards */
};

/** What to relay to and how.  Zero every field that is not set: zero means the default. */
struct sw_relay_config {
	const char *name; /* of the pool; NULL: none.  Copied; what is beyond SW_POOL_NAME is cut */
	const struct sockaddr_storage *upstream; /* the servers, all different; copied */
	size_t nupstream;			 /* 1..SW_SERVERS_MAX */
	unsigned connect_timeout_ms;		 /* for each attempt; 0: 3000 */
	unsigned idle_timeout_ms;		 /* 0: none */
	/* Other servers that a connection tries when one cannot be reached; 0: each of them once,
	 * SW_RETRIES_NONE: none. */
	uint32_t retries;
	enum sw_proxy_version proxy;
	bool proxy_id; /* with version 2: send the access log's id as PP2_TYPE_UNIQUE_ID */
	/* Connect from the client's own address, and from its port unless that is taken.  Needs
	 * CAP_NET_RAW or CAP_NET_ADMIN, servers of the client's address family, and routes that
	 * bring the servers' answers back: docs/run.md, "Upstreams".  A client whose address cannot
	 * be kept gets no connection: servers may trust this host's. */
	bool source_client;
	struct sw_health_config health;
	size_t buffer_bytes;	  /* the most that waits in each direction; 0: 64 KiB */
	size_t max_connections;	  /* of this relay; 0: no limit */
	struct sw_limits *limits; /* borrowed, outlives the relay; NULL: none */

	/* Once per event that an administrator should know of, never per packet; NULL is
	 * silence.  @trouble tells a warning from an all-clear. */
	void (*log)(void *arg, bool trouble, const char *line);
	void *log_arg;
	/* Each change of a server's state, also those that the log leaves out because the server
	 * flaps.  Not from within sw_relay_new().  May be NULL. */
	void (*server)(void *arg, const struct sw_server_event *ev);
	void *server_arg;
	/* Each connection that ends, refused ones included.  May be NULL: then nothing is gathered.
	 */
	void (*access)(void *arg, const struct sw_access *a);
	void *access_arg;

	/* Out, for sw_relay_new(), sw_relay_prepare() and sw_relay_update(): one line on failure
	 * that says what is wrong and what would be right, else "".  May be NULL. */
	char *error;
	size_t error_size;
};

struct sw_relay_stats {
	uint64_t accepted; /* calls of sw_relay_add(); the sum of active and ended */
	uint64_t active;   /* connections now, those still waiting for an upstream included */
	uint64_t to_server, to_client; /* payload bytes handed to the kernel, no PROXY headers */
	uint64_t ended[SW_NEND];
	uint64_t dial_failed[SW_NDIAL];
};

struct sw_server_stats {
	char name[SW_SERVER_NAME]; /* "10.0.0.11:8443" */
	bool up;
	bool leaving;	    /* no longer configured; it has connections that live on */
	uint64_t active;    /* connections now, those being made included */
	uint64_t connected; /* connections made so far */
	uint64_t dial_failed[SW_NDIAL];
	uint64_t transitions; /* from up to down and from down to up */
	uint64_t checks, checks_failed;
	uint64_t to_server, to_client;
	struct sw_hist connect; /* how long connect() took, for those that succeeded */
};

/**
 * @param base  Outlives the relay.  Its backend must know edge-triggered events (epoll does).
 * @param cf    Copied.
 * @param out   Written on success; the caller frees it with sw_relay_free().
 *
 * @return 0, -EINVAL (no server, too many, or one twice), -ENOTSUP (the event backend), -EPERM
 *         (source_client without the capability), -ENOMEM.
 */
SW_MUST int sw_relay_new(struct event_base *base, const struct sw_relay_config *cf,
			 struct sw_relay **out);

/**
 * Make all that another configuration needs, beside what runs: nothing changes, and nothing of it
 * is told.  The relay may go on meanwhile.  One change at a time.
 *
 * @param cf   Copied.  `limits` is the one given to sw_relay_new().
 * @param out  Written on success; goes to sw_relay_commit() or sw_relay_abort() before the relay
 *             is freed.
 * @return as sw_relay_new().
 */
SW_MUST int sw_relay_prepare(struct sw_relay *r, const struct sw_relay_config *cf,
			     struct sw_relay_change **out);

/**
 * Apply a configuration while connections live.  This cannot fail.  Servers are told by their
 * addresses: one that stays keeps its state and counters, one that is new begins as up, one that is
 * gone gets no new connection.  Connections that are there go on as they are, with the timeouts
 * they began with.
 *
 * @param c  Freed.
 */
void sw_relay_commit(struct sw_relay_change *c);

/** Forget a change.  NULL is allowed. */
void sw_relay_abort(struct sw_relay_change *c);

/** Both at once.  @return as sw_relay_prepare(); on failure nothing has changed. */
SW_MUST int sw_relay_update(struct sw_relay *r, const struct sw_relay_config *cf);

/** Resets what is still active.  NULL is allowed. */
void sw_relay_free(struct sw_relay *r);

/**
 * Take over a connected, non-blocking socket and connect it to a server.
 *
 * @param fd    The relay's from now on, whatever happens: what cannot be served is reset.
 * @param peer  The client's address, for the PROXY header.  Copied.
 * @param tag   The listener it came from; kept until the connection ends.  May be NULL.
 */
void sw_relay_add(struct sw_relay *r, evutil_socket_t fd, const struct sockaddr *peer,
		  socklen_t peerlen, struct sw_tag *tag);

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

/** @return servers of the pool, leaving ones included: i < this for sw_relay_get_server(). */
size_t sw_relay_servers(const struct sw_relay *r);

/** @param i  Configured servers come first, in their order. */
void sw_relay_get_server(const struct sw_relay *r, size_t i, struct sw_server_stats *out);

#endif
