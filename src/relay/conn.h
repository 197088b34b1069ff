/* SPDX-License-Identifier: MIT */
/* Inside the relay: one client, its server, and what the relay holds for all of them. */
#ifndef SW_RELAY_CONN_H
#define SW_RELAY_CONN_H

#include "relay/pipe.h"
#include "relay/relay.h"

#include <event2/event_struct.h>
#include <netinet/in.h>
#include <sys/queue.h>

#define SW_UPSTREAM_NAME 64

struct sw_upstream {
	struct sockaddr_storage addr;
	socklen_t addrlen;
	char name[SW_UPSTREAM_NAME]; /* "192.0.2.1:80", for the log */
	bool down;		     /* the last attempt failed */
	uint64_t said_since_ms; /* log lines since then: said */
	unsigned said;
};

/* A socket and its one event: both directions, edge-triggered, added once and never changed. */
struct sw_end {
	int fd; /* owned; -1 while there is none */
	struct event ev;
};

struct sw_conn_list;
struct sw_conn {
	struct sw_conn_list *in;   /* relay->dialing, waiting or live */
	TAILQ_ENTRY(sw_conn) link; /* in the list `in` */
	TAILQ_ENTRY(sw_conn) turn; /* in relay->again when waits_turn */
	struct sw_relay *relay;
	struct sw_end client, server;
	struct sw_pipe up, down;  /* client to server, server to client */
	struct sockaddr_in6 peer; /* or a sockaddr_in */
	uint64_t since_ms;	  /* of this attempt, or of the last byte */
	uint64_t waits_since_ms;  /* the first lack of a descriptor, 0 for none */
	size_t upstream;	  /* index of the current attempt */
	size_t attempts;
	bool live;	   /* the server is connected */
	bool client_first; /* its FIN came before the server's */
	bool waits_turn;
};

TAILQ_HEAD(sw_conn_list, sw_conn);

struct sw_relay {
	struct event_base *base; /* borrowed */
	struct sw_relay_config cf;
	struct sw_upstream *upstream; /* owned, cf.nupstream of them */
	size_t next;		      /* round robin */
	struct sw_scratch scratch;    /* owned */

	/* The head of each list is the one whose time runs out first. */
	struct sw_conn_list dialing, live;
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

	uint64_t logged_ms; /* of the last line about resources */
	struct sw_relay_stats stats;
};

/** Take over @fd; see sw_relay_add(). */
void sw_conn_start(struct sw_relay *r, int fd, const struct sockaddr *peer, socklen_t peerlen);

/** End it, free it, count it.  Every cause but a FIN resets both sides. */
void sw_conn_end(struct sw_conn *p, enum sw_relay_cause why);

/** Go on after a turn that ended with work left. */
void sw_conn_resume(struct sw_conn *p);

/** The current attempt took too long. */
void sw_conn_dial_timeout(struct sw_conn *p);

/** Close with a reset instead of a FIN. */
void sw_reset_close(int fd);

/** Open a socket and start to connect it.  @param fd  Written on success.
 *  @return 0 or -errno. */
SW_MUST int sw_dial(const struct sw_upstream *up, int *fd);

/** @return what sort of failure an errno from connecting is. */
enum sw_relay_dial_fail sw_dial_fail_of(int err);

/** No delay, and probes that find a dead peer: after 60 s of silence, 5 of them, 10 s apart.
 *  Sockets that are not TCP are left alone. */
void sw_tune(int fd);

/** See that the timer fires for the heads of the lists. */
void sw_relay_arm(struct sw_relay *r);

/** Give @p another turn after the event loop looked for other events. */
void sw_relay_again(struct sw_conn *p);

/** Log that something ran out, at most once a second. */
void sw_relay_ran_out(struct sw_relay *r, const char *what, int err);

/** Log a line, formatted; nothing when there is no sink. */
void sw_relay_logf(struct sw_relay *r, bool trouble, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** Milliseconds of the monotonic clock, never 0. */
uint64_t sw_relay_now_ms(void);

/** Dial again for the connections that wait for a descriptor. */
void sw_conn_try_waiting(struct sw_relay *r);

#endif
