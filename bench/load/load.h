/* SPDX-License-Identifier: MIT */
/* The parts of bench_load: its command line, what it serves, and what it accepts through. */
#ifndef BENCH_LOAD_LOAD_H
#define BENCH_LOAD_LOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>

#define LOAD_NEVENTS	 256
#define LOAD_MAX_LISTEN	 8
#define LOAD_MAX_WORKERS 64

struct options {
	struct sockaddr_storage addr; /* to connect to, or the last one to serve at */
	socklen_t addrlen;
	bool connect, json, http;
	bool on_ack; /* hold the handshake's ACK back so that it carries the request */
	uint64_t count, concurrency, timeout_ms, interval_us;
	char *request; /* owned */
	uint64_t request_len;
	uint64_t expect; /* bytes of reply; 0 waits for the end of the stream */

	const char *listen[LOAD_MAX_LISTEN]; /* where to serve, as given */
	size_t nlisten;
	const char *banner;    /* what the server says first, or NULL */
	uint64_t reply;	       /* bytes the server answers each request with */
	uint64_t backlog;      /* of listen(), or of the library's queue */
	const char *interface; /* accept through libsynward there; NULL for a socket that listens */
	bool qdisc_bypass;     /* of the library, as is workers */
	uint64_t workers;
};

/** Says what is wrong and exits with 2 when the command line is. */
void options_parse(struct options *o, char **argv);

/* ---- what is served, whoever accepted it ---- */

struct peer;

struct peers {
	const struct options *o;
	int epfd;		     /* owned */
	int lfd;		     /* owned: the listening socket, or -1 */
	LIST_HEAD(peer_list, peer) all; /* owned */
};

void peers_open(struct peers *s, const struct options *o);
/** Serve a connection from here on.  @param fd  Taken. */
void peers_add(struct peers *s, int fd);
/** Wait so long (-1: for ever) for what epfd has, and do it. */
void peers_turn(struct peers *s, int timeout_ms);
void peers_close(struct peers *s);

/** Serve behind a listening socket of the kernel, until killed. */
_Noreturn void serve_plain(const struct options *o);
/** Serve behind libsynward until SIGTERM or SIGINT; SIGUSR1 prints its counters. */
void serve_guarded(const struct options *o);

#endif
