/* SPDX-License-Identifier: MIT */
/* Inside the relay: one client, its server, and what the relay holds for all of them. */
#ifndef SW_RELAY_CONN_H
#define SW_RELAY_CONN_H

#include "relay/dial.h"
#include "relay/pipe.h"
#include "relay/relay.h"
#include "relay/tagref.h"

#include <event2/event_struct.h>
#include <netinet/in.h>
#include <sys/queue.h>

#define SW_FULL_NAME (SW_POOL_NAME + SW_SERVER_NAME)

/* A socket and its one event: both directions, edge-triggered, added once and never changed. */
struct sw_end {
	int fd; /* owned; -1 while there is none */
	struct event ev;
};

struct sw_conn;
TAILQ_HEAD(sw_conn_list, sw_conn);

/* Connections with the same timeouts.  An update that changes them begins another era; an old one
 * goes with its last connection. */
struct sw_era {
	TAILQ_ENTRY(sw_era) link; /* in relay->eras, the current one last */
	unsigned connect_timeout_ms, idle_timeout_ms;
	size_t holds; /* one for each connection, and one while it is looked at */
	/* The head of each list is the one whose time runs out first. */
	struct sw_conn_list dialing, live;
};

struct sw_conn {
	struct sw_conn_list *in;   /* era->dialing, relay->waiting or era->live */
	TAILQ_ENTRY(sw_conn) link; /* in the list `in` */
	TAILQ_ENTRY(sw_conn) turn; /* in relay->again when waits_turn */
	struct sw_relay *relay;
	struct sw_era *era;
	struct sw_tag *tag;   /* held; may be NULL */
	struct sw_server *to; /* held: of the current attempt; NULL before the first */
	struct sw_end client, server;
	struct sw_pipe up, down;       /* client to server, server to client */
	union sw_sockaddr peer, local; /* local: AF_UNSPEC until asked for */
	struct sw_limits_share share;
	uint64_t id;
	uint64_t to_server, to_client; /* payload bytes */
	uint64_t began_us;	       /* when the relay took it */
	uint64_t dial_us;	       /* when the current attempt began */
	uint64_t connect_us;	 /* from the beginning until a server was reached, or SW_NEVER */
	uint64_t since_ms;	 /* of this attempt, or of the last byte */
	uint64_t waits_since_ms; /* the first lack of a descriptor, 0 for none */
	struct sw_tried tried;
	unsigned attempts;
	bool live;	   /* the server is connected */
	bool client_first; /* its FIN came before the server's */
	bool waits_turn;
};

struct sw_relay {
	struct event_base *base;   /* borrowed */
	struct sw_relay_config cf; /* without the caller's pointers; health with its defaults */
	char name[SW_POOL_NAME];
	struct sw_pool pool;
	struct sw_limits *limits;  /* borrowed; may be NULL */
	struct sw_scratch scratch; /* owned */
	uint64_t next_id;

	TAILQ_HEAD(sw_era_list, sw_era) eras;
	struct sw_conn_list waiting; /* for a descriptor */
	struct event room_ev;
	struct event timer;
	uint64_t timer_at_ms; /* 0 while not set */

	struct sw_conn_list again; /* used up their turn */
	struct event again_ev;

	struct event done_ev;
	void (*done)(void *arg);
	void *done_arg;
	bool draining;

	uint64_t logged_ms;    /* of the last line about resources */
	uint64_t told_lost_ms; /* and about answers that go astray */
	struct sw_relay_stats stats;
};

/** Take over @fd, which is let in; see sw_relay_add().
 *  @return false when out of memory: nothing was taken over. */
SW_MUST bool sw_conn_start(struct sw_relay *r, int fd, const union sw_sockaddr *peer,
			   struct sw_tag *tag, const struct sw_limits_share *share);

/** End it, free it, count it, log it.  Every cause but a FIN resets both sides. */
void sw_conn_end(struct sw_conn *p, enum sw_relay_cause why);

/** Go on after a turn that ended with work left, or at the beginning. */
void sw_conn_resume(struct sw_conn *p);

/** Put it at the end of a list, out of the one it is in. */
void sw_conn_move(struct sw_conn *p, struct sw_conn_list *list);

/** Watch a side.  @return false when out of memory. */
SW_MUST bool sw_end_watch(struct sw_conn *p, struct sw_end *e, event_callback_fn cb);

/** Close a side, if it is open. */
void sw_end_clear(struct sw_end *e, bool reset);

/** Start with the next server that this connection has not tried; when none is left that ends the
 *  connection. */
void sw_attempt_next(struct sw_conn *p);

/** The current attempt came to an end: the server's side has an event. */
void sw_attempt_done(struct sw_conn *p);

/** The current attempt took too long. */
void sw_attempt_timeout(struct sw_conn *p);

/** Dial again for the connections that wait for a descriptor. */
void sw_attempt_waiting(struct sw_relay *r);

/** The server's side moved. */
void sw_conn_on_server(evutil_socket_t fd, short what, void *arg);

/** What the client connected to. */
const union sw_sockaddr *sw_conn_local(struct sw_conn *p);

/** The era of connections that begin now, held once more. */
struct sw_era *sw_era_hold(struct sw_relay *r);
void sw_era_drop(struct sw_relay *r, struct sw_era *era);

/** @return an era of no relay, for free() or sw_era_begin(); NULL when out of memory. */
SW_MUST struct sw_era *sw_era_new(unsigned connect_timeout_ms, unsigned idle_timeout_ms);

/** Begin an era, unless the current one has the same timeouts.  @param era  Taken over. */
void sw_era_begin(struct sw_relay *r, struct sw_era *era);

/** See that the timer fires for the heads of the lists. */
void sw_relay_arm(struct sw_relay *r);
void sw_relay_on_timer(evutil_socket_t fd, short what, void *arg);

/** Give @p another turn after the event loop looked for other events. */
void sw_relay_again(struct sw_conn *p);

/** Log that something ran out, at most once a second; after what it led to was counted. */
void sw_relay_ran_out(struct sw_relay *r, const char *what, int err);

/** Log a line, formatted; nothing when there is no sink. */
void sw_relay_logf(const struct sw_relay *r, bool trouble, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** "app/10.0.0.11:8443", or without a pool's name "10.0.0.11:8443". */
void sw_relay_full_name(const struct sw_relay *r, const struct sw_server *s,
			char out[SW_FULL_NAME]);

/** Milliseconds of a coarse monotonic clock, never 0; and microseconds of the fine one. */
uint64_t sw_relay_now_ms(void);
uint64_t sw_relay_now_us(void);

#endif
