/* SPDX-License-Identifier: MIT */
/* Inside the relay: the servers of a pool, and which of them is next. */
#ifndef SW_RELAY_POOL_H
#define SW_RELAY_POOL_H

#include "relay/relay.h"

#include <event2/event_struct.h>
#include <sys/queue.h>

/* A check of a server: a timer between two, a socket during one and while its end is awaited. */
struct sw_check {
	struct event timer, io;
	uint64_t began_ms;
	int fd;	      /* owned; -1 while there is none */
	bool running; /* no result yet */
};

struct sw_server {
	TAILQ_ENTRY(sw_server) link; /* in pool->leaving */
	struct sw_relay *relay;	     /* NULL in a pool without one: tests */
	unsigned refs;		     /* the pool's list, a plan, and one for each connection */
	bool leaving;
	struct sockaddr_storage addr;
	socklen_t addrlen;
	struct sw_health health;
	struct sw_check check;
	uint64_t said_since_ms; /* log lines since then: said */
	unsigned said;
	struct sw_server_stats stats; /* `up` and `leaving` are filled in when asked for */
};

/* All zero but `leaving`: empty. */
struct sw_pool {
	struct sw_server **server; /* owned */
	size_t n;
	size_t next;	     /* whose turn it is */
	unsigned generation; /* changes with the list: an index means nothing across */
	TAILQ_HEAD(, sw_server) leaving;
};

/* The list that is to come: made first, which may fail, then put in place, which cannot. */
struct sw_pool_plan {
	struct sw_server **server; /* owned, and each held: servers of the pool, or new ones */
	size_t n;
};

/**
 * Changes nothing that can be seen.  The plan goes to sw_pool_plan_drop() or sw_pool_commit()
 * before sw_pool_clear(); connections may come and end meanwhile.
 *
 * @param why  Out: one line on -EINVAL.
 * @return 0, -EINVAL, -ENOMEM.
 */
SW_MUST int sw_pool_plan(struct sw_pool *pool, const struct sockaddr_storage *addr, size_t n,
			 struct sw_pool_plan *plan, char *why, size_t size);

/** Forget a plan. */
void sw_pool_plan_drop(struct sw_pool *pool, struct sw_pool_plan *plan);

/** Put a plan in place.  @param gone  Called for each server that leaves; may be NULL.
 *  @param came  The same for each that is new, or back. */
void sw_pool_commit(struct sw_pool *pool, struct sw_pool_plan *plan,
		    void (*gone)(struct sw_server *),
		    void (*came)(struct sw_server *), struct sw_relay *relay);

/** What a connection that looks for a server has behind it. */
struct sw_tried {
	uint64_t mask; /* of indexes in the pool of `generation` */
	unsigned generation;
};

/**
 * The next server: in turn among those that may get connections, or, when none of them is left,
 * among the others.  A server is not chosen twice.
 *
 * @param family  Only servers of it; AF_UNSPEC for any.
 * @param tried   In and out.
 * @return NULL when none is left.
 */
SW_MUST struct sw_server *sw_pool_pick(struct sw_pool *pool, const struct sw_health_config *health,
				       int family, struct sw_tried *tried, uint64_t now_ms);

/** Servers that are not down. */
unsigned sw_pool_up(const struct sw_pool *pool);

/** A connection begins to use it. */
void sw_server_hold(struct sw_server *s);

/** And ends.  The last one to let go of a server that left frees it. */
void sw_server_drop(struct sw_pool *pool, struct sw_server *s);

/** Every connection has ended before. */
void sw_pool_clear(struct sw_pool *pool, void (*gone)(struct sw_server *));

#endif
