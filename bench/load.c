/* SPDX-License-Identifier: MIT */
/*
 * A client that measures TCP connections from connect() to the full reply, and the plain server it
 * is measured against.  One thread, non-blocking sockets, epoll.
 *
 *   bench_load --serve 127.0.0.1:8080 --reply-bytes 512
 *   bench_load --serve 192.0.2.1:80 --serve [2001:db8::1]:80 --synward eth0
 *   bench_load --connect 127.0.0.1:8080 --count 10000 --request hello --expect-bytes 512
 */
#include "load/load.h"
#include "tool.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum outcome { OK, TIMEOUT, REFUSED, RESET, SHORT_REPLY, OTHER, NOUTCOMES };
static const char *const outcome_name[NOUTCOMES] = { "ok",    "timeout", "refused",
						     "reset", "short",	 "other" };

struct conn {
	int fd; /* owned; -1 when the slot is free */
	bool connected;
	uint64_t start;	     /* ns */
	uint64_t connect_ns; /* how long connect() took, once connected */
	bool resent; /* before it was connected */
	size_t sent, got;
	char head[12]; /* of the reply: "HTTP/1.1 200" */
};

struct run {
	const struct options *o;
	int epfd;
	struct conn *slot; /* o->concurrency of them */
	size_t started, finished;
	uint64_t next_start, last_scan;
	size_t outcome[NOUTCOMES];
	uint64_t *connect_ns, *total_ns; /* one per success */
	uint64_t *first_ns; /* to connect, where nothing had to be sent twice */
	size_t nfirst;
	int first_errno;		 /* behind the first OTHER */
};

static bool connect_only(const struct options *o)
{
	return o->request_len == 0 && o->expect == 0;
}

static void finish(struct run *r, struct conn *c, enum outcome how)
{
	if (how == OK) {
		r->connect_ns[r->outcome[OK]] = c->connect_ns;
		r->total_ns[r->outcome[OK]] = now_ns() - c->start;
		if (!c->resent)
			r->first_ns[r->nfirst++] = c->connect_ns;
	}
	r->outcome[how]++;
	r->finished++;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

static void fail(struct run *r, struct conn *c, int error)
{
	enum outcome how = OTHER;

	if (error == ECONNREFUSED)
		how = REFUSED;
	else if (error == ECONNRESET || error == EPIPE)
		how = RESET;
	else if (error == ETIMEDOUT)
		how = TIMEOUT;
	else if (!r->first_errno)
		r->first_errno = error;
	finish(r, c, how);
}

static void start_one(struct run *r, struct conn *c)
{
	const struct options *o = r->o;
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c };
	const int off = 0;

	*c = (struct conn){ .start = now_ns() };
	r->started++;
	c->fd = socket(o->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0) {
		fail(r, c, errno);
		return;
	}
	/* Out of quick-ack mode a Linux client waits with the ACK for data to put on it. */
	if (o->on_ack)
		setsockopt(c->fd, IPPROTO_TCP, TCP_QUICKACK, &off, sizeof(off));
	if ((connect(c->fd, (const struct sockaddr *)&o->addr, o->addrlen) &&
	     errno != EINPROGRESS) ||
	    epoll_ctl(r->epfd, EPOLL_CTL_ADD, c->fd, &ev))
		fail(r, c, errno);
}

/* A SYN or a SYN-ACK was lost on the way: the time to connect is TCP's timer, RFC 6298. */
static bool was_resent(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 && info.tcpi_total_retrans;
}

/* @return false when the connection is over. */
static bool check_connected(struct run *r, struct conn *c)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (c->connected)
		return true;
	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) || error) {
		fail(r, c, error ? error : errno);
		return false;
	}
	c->connected = true;
	c->connect_ns = now_ns() - c->start;
	c->resent = was_resent(c->fd);
	if (connect_only(r->o)) {
		finish(r, c, OK);
		return false;
	}
	return true;
}

static bool send_request(struct run *r, struct conn *c)
{
	const struct options *o = r->o;

	while (c->sent < o->request_len) {
		const ssize_t n =
			send(c->fd, o->request + c->sent, o->request_len - c->sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			return true;
		if (n < 0) {
			fail(r, c, errno);
			return false;
		}
		c->sent += (size_t)n;
	}
	return true;
}

static void keep_head(struct conn *c, const char *data, size_t n)
{
	if (c->got < sizeof(c->head)) {
		const size_t room = sizeof(c->head) - c->got;

		memcpy(c->head + c->got, data, n < room ? n : room);
	}
	c->got += n;
}

static enum outcome judge_end(const struct options *o, const struct conn *c)
{
	if (c->got == 0 || c->got < o->expect)
		return SHORT_REPLY;
	if (o->http && (c->got < sizeof(c->head) || memcmp(c->head, "HTTP/1.", 7) != 0 ||
			memcmp(c->head + 8, " 200", 4) != 0))
		return OTHER;
	return OK;
}

static void read_reply(struct run *r, struct conn *c)
{
	static char buf[65536];

	for (;;) {
		const ssize_t n = recv(c->fd, buf, sizeof(buf), 0);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			fail(r, c, errno);
			return;
		}
		keep_head(c, buf, (size_t)n);
		if (n == 0 || (!r->o->http && r->o->expect && c->got >= r->o->expect)) {
			finish(r, c, judge_end(r->o, c));
			return;
		}
	}
}

static void on_event(struct run *r, struct conn *c)
{
	if (c->fd >= 0 && check_connected(r, c) && send_request(r, c))
		read_reply(r, c);
}

static void expire(struct run *r, uint64_t now)
{
	if (now - r->last_scan < NS_PER_MS)
		return;
	r->last_scan = now;
	for (size_t i = 0; i < r->o->concurrency; i++)
		if (r->slot[i].fd >= 0 && now - r->slot[i].start > r->o->timeout_ms * NS_PER_MS)
			finish(r, &r->slot[i], TIMEOUT);
}

static void start_due(struct run *r, uint64_t now)
{
	for (size_t i = 0; i < r->o->concurrency; i++) {
		if (r->started == r->o->count || now < r->next_start)
			return;
		if (r->slot[i].fd >= 0)
			continue;
		start_one(r, &r->slot[i]);
		r->next_start += r->o->interval_us * 1000;
	}
}

static void client(struct run *r)
{
	const struct options *o = r->o;
	struct epoll_event ev[LOAD_NEVENTS];

	r->next_start = now_ns();
	while (r->finished < o->count) {
		uint64_t now = now_ns();

		start_due(r, now);
		now = now_ns();
		const bool waits = r->started < o->count && r->next_start > now;
		const uint64_t nap = waits && r->next_start - now < 5 * NS_PER_MS
					     ? r->next_start - now
					     : 5 * NS_PER_MS;
		const struct timespec ts = { .tv_nsec = (long)nap };
		const int n = epoll_pwait2(r->epfd, ev, LOAD_NEVENTS, &ts, NULL);

		for (int i = 0; i < n; i++)
			on_event(r, ev[i].data.ptr);
		expire(r, now_ns());
	}
}

static int by_size(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static double at_us(const uint64_t *sorted, size_t n, double share)
{
	size_t i = (size_t)(share * (double)n);

	if (n == 0)
		return 0;
	if (i >= n)
		i = n - 1;
	return (double)sorted[i] / 1000;
}

static void print_times(const char *what, uint64_t *ns, size_t n, bool json)
{
	static const double share[] = { 0.5, 0.9, 0.99, 0.999, 1 };
	double us[5];

	qsort(ns, n, sizeof(*ns), by_size);
	for (size_t i = 0; i < 5; i++)
		us[i] = at_us(ns, n, share[i]);
	if (json)
		printf(", \"%s_us\": {\"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, "
		       "\"p999\": %.1f, \"max\": %.1f}",
		       what, us[0], us[1], us[2], us[3], us[4]);
	else
		printf("%-7s us   p50 %.1f   p90 %.1f   p99 %.1f   p99.9 %.1f   max %.1f\n", what,
		       us[0], us[1], us[2], us[3], us[4]);
}

static void report(struct run *r, double seconds)
{
	const bool json = r->o->json;
	const size_t ok = r->outcome[OK];

	printf(json ? "{\"count\": %" PRIu64 : "count %" PRIu64, r->o->count);
	for (size_t i = 0; i < NOUTCOMES; i++)
		printf(json ? ", \"%s\": %zu" : "   %s %zu", outcome_name[i], r->outcome[i]);
	printf(json ? ", \"seconds\": %.3f" : "   in %.3f s\n", seconds);
	print_times("connect", r->connect_ns, ok, json);
	print_times("total", r->total_ns, ok, json);
	printf(json ? ", \"resent\": %zu" : "resent %zu\n", ok - r->nfirst);
	print_times("first", r->first_ns, r->nfirst, json);
	if (json)
		puts("}");
	if (r->first_errno)
		fprintf(stderr, "bench_load: first other failure: %s\n", strerror(r->first_errno));
}

static void measure(const struct options *o)
{
	struct run r = { .o = o, .epfd = epoll_create1(EPOLL_CLOEXEC) };
	uint64_t begin;

	if (r.epfd < 0)
		die("epoll");
	r.slot = must_calloc(o->concurrency, sizeof(*r.slot));
	r.connect_ns = must_calloc(o->count, sizeof(*r.connect_ns));
	r.total_ns = must_calloc(o->count, sizeof(*r.total_ns));
	r.first_ns = must_calloc(o->count, sizeof(*r.first_ns));
	for (size_t i = 0; i < o->concurrency; i++)
		r.slot[i].fd = -1;
	begin = now_ns();
	client(&r);
	report(&r, (double)(now_ns() - begin) / (double)NS_PER_S);
	free(r.slot);
	free(r.connect_ns);
	free(r.total_ns);
	free(r.first_ns);
	close(r.epfd);
}

int main(int argc, char **argv)
{
	struct options o = { .count = 1, .concurrency = 1, .reply = 64, .timeout_ms = 5000,
			     .backlog = 4096, .workers = 1 };

	(void)argc;
	options_parse(&o, argv);
	raise_limit();
	if (o.interface)
		serve_guarded(&o);
	else if (o.nlisten)
		serve_plain(&o);
	else
		measure(&o);
	free(o.request);
	return 0;
}
