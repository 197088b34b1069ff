/* SPDX-License-Identifier: MIT */
/*
 *	client --(TCP on lo)-- guest   relay   upstream --(TCP on lo)-- server
 *
 * All in one process on one event_base.  The relay takes guest and opens upstream; the test holds
 * client and server, both non-blocking, and turns the loop until what it waits for is there.
 */
#ifndef TESTS_RELAY_RIG_H
#define TESTS_RELAY_RIG_H

#include "relay/conn.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_MS 10000 /* nothing here takes that long; a bug does */
#define BUFFER	    65536

struct rig {
	struct event_base *base;
	struct event *tick; /* every millisecond, so that turn() returns */
	struct sw_relay *relay;
	int door;	    /* where guests come from */
	int server_door;    /* the upstream, unless the test brings its own */
	struct sw_tag *tag; /* NULL unless the test brings one */
};

static inline void on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
}

static inline int open_door(int backlog, struct sockaddr_storage *at)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	cr_assert(fd >= 0 && bind(fd, (void *)&sin, len) == 0 && listen(fd, backlog) == 0,
		  "door: %s", strerror(errno));
	cr_assert_eq(getsockname(fd, (void *)&sin, &len), 0, "getsockname: %s", strerror(errno));
	memset(at, 0, sizeof(*at));
	memcpy(at, &sin, sizeof(sin));
	return fd;
}

/* A port of this host that refuses. */
static inline struct sockaddr_storage closed_port(void)
{
	struct sockaddr_storage at;

	close(open_door(1, &at));
	return at;
}

static inline struct rig rig_new(struct sw_relay_config cf)
{
	static const struct timeval ms = { 0, 1000 };
	struct sockaddr_storage at, server_at;
	struct rig g = { 0 };

	g.door = open_door(1024, &at);
	g.server_door = open_door(1024, &server_at);
	g.base = event_base_new();
	g.tick = event_new(g.base, -1, EV_PERSIST, on_tick, NULL);
	event_add(g.tick, &ms);
	if (!cf.upstream) {
		cf.upstream = &server_at;
		cf.nupstream = 1;
	}
	cr_assert_eq(sw_relay_new(g.base, &cf, &g.relay), 0, "sw_relay_new failed");
	return g;
}

static inline void rig_free(struct rig *g)
{
	struct sw_relay_stats s;
	uint64_t ended = 0;

	sw_relay_get_stats(g->relay, &s);
	for (int i = 0; i < SW_NEND; i++)
		ended += s.ended[i];
	cr_expect_eq(s.accepted, s.active + ended, "%lu accepted != %lu active + %lu ended",
		     s.accepted, s.active, ended);
	sw_relay_free(g->relay);
	event_free(g->tick);
	event_base_free(g->base);
	close(g->door);
	close(g->server_door);
}

static inline void turn(struct rig *g)
{
	event_base_loop(g->base, EVLOOP_ONCE);
}

static inline uint64_t now_ms(void)
{
	return sw_relay_now_ms();
}

/* Turn the loop until @cond holds, for PATIENCE_MS at most. */
#define UNTIL(g, cond)                                                                             \
	do {                                                                                       \
		const uint64_t until_ = now_ms() + PATIENCE_MS;                                    \
		while (!(cond)) {                                                                  \
			turn(g);                                                                   \
			cr_assert(now_ms() < until_, "waited in vain for " #cond);                 \
		}                                                                                  \
	} while (0)

static inline void nonblocking(int fd)
{
	cr_assert_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0, "fcntl: %s", strerror(errno));
}

/* @param guest  Out: the relay's end, not yet given to it.  @return the client's end. */
static inline int connect_guest(struct rig *g, int *guest)
{
	struct sockaddr_in at;
	socklen_t len = sizeof(at);
	const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	getsockname(g->door, (void *)&at, &len);
	cr_assert_eq(connect(client, (void *)&at, len), 0, "connect: %s", strerror(errno));
	nonblocking(client);
	*guest = accept4(g->door, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	cr_assert(*guest >= 0, "accept: %s", strerror(errno));
	return client;
}

static inline void give(struct rig *g, int guest)
{
	struct sockaddr_in peer;
	socklen_t len = sizeof(peer);

	getpeername(guest, (void *)&peer, &len);
	sw_relay_add(g->relay, guest, (void *)&peer, len, g->tag);
}

static inline int new_client(struct rig *g)
{
	int guest;
	const int client = connect_guest(g, &guest);

	give(g, guest);
	return client;
}

static inline int accept_server(struct rig *g)
{
	int fd;

	UNTIL(g, (fd = accept4(g->server_door, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0);
	return fd;
}

static inline void put(int fd, const char *text)
{
	cr_assert_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text), "send: %s",
		     strerror(errno));
}

/* Wait for a read that does not block.  @return its result, -errno for an error. */
static inline ssize_t get(struct rig *g, int fd, void *buf, size_t size)
{
	ssize_t n;

	UNTIL(g, (n = recv(fd, buf, size, 0)) >= 0 || errno != EAGAIN);
	return n < 0 ? -errno : n;
}

static inline void expect_text(struct rig *g, int fd, const char *text)
{
	char buf[256];
	size_t len = 0;

	while (len < strlen(text)) {
		const ssize_t n = get(g, fd, buf + len, strlen(text) - len);

		cr_assert(n > 0, "read %zd, wanted '%s'", n, text);
		len += (size_t)n;
	}
	cr_expect(memcmp(buf, text, len) == 0, "got '%.*s', wanted '%s'", (int)len, buf, text);
}

static inline void expect_eof(struct rig *g, int fd)
{
	char c;
	const ssize_t n = get(g, fd, &c, 1);

	cr_expect_eq(n, 0, "read %zd, wanted the end", n);
}

/* Whatever data is still there may come first. */
static inline void expect_reset(struct rig *g, int fd)
{
	char buf[65536];
	ssize_t n;

	do {
		n = get(g, fd, buf, sizeof(buf));
	} while (n > 0);
	cr_expect_eq(n, -ECONNRESET, "read %zd, wanted a reset", n);
}

static inline uint64_t ended(struct rig *g, enum sw_relay_cause why)
{
	struct sw_relay_stats s;

	sw_relay_get_stats(g->relay, &s);
	return s.ended[why];
}

static inline uint64_t dial_failed(struct rig *g, enum sw_relay_dial_fail why)
{
	struct sw_relay_stats s;

	sw_relay_get_stats(g->relay, &s);
	return s.dial_failed[why];
}

/* Send until the path is full: the relay read nothing new for a while. */
static inline size_t fill(struct rig *g, int fd)
{
	static char block[65536];
	size_t total = 0;

	for (int quiet = 0; quiet < 20;) {
		const ssize_t n = send(fd, block, sizeof(block), MSG_NOSIGNAL);

		quiet = n > 0 ? 0 : quiet + 1;
		total += n > 0 ? (size_t)n : 0;
		turn(g);
	}
	return total;
}

struct log {
	char last[256];
	int troubles, clears;
};

static inline void on_log(void *arg, bool trouble, const char *line)
{
	struct log *log = arg;

	*(trouble ? &log->troubles : &log->clears) += 1;
	snprintf(log->last, sizeof(log->last), "%s", line);
}

/* A door whose backlog is full drops SYNs, so connecting to it takes for ever. */
static inline int open_full_door(struct sockaddr_storage *at, int filler[2])
{
	const int door = open_door(0, at);

	for (int i = 0; i < 2; i++) {
		filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(filler[i], (void *)at, sizeof(struct sockaddr_in));
	}
	return door;
}

#endif
