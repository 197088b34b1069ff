/* SPDX-License-Identifier: MIT */
/*
 * The whole listener on g0; the test is the client and speaks by raw frames on p0.
 */
#ifndef TESTS_LISTEN_RIG_H
#define TESTS_LISTEN_RIG_H

#include "synward/listener.h"
#include "core/reason.h"
#include "front/net.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/stat.h>

#define ROOM 64

static struct event_base *base;
static struct synward_listener *lev;
static int p0;
static char err[256];

/* What the callbacks saw. */
static struct {
	unsigned n;
	int fd[ROOM];
	struct sockaddr_storage peer[ROOM];
	struct synward_listener *lev;
	void *arg;
	unsigned free_after, disable_after; /* so many calls; 0 for never */
	unsigned errors;
	int last_errno;
	bool free_on_error;
} seen;

static inline void on_accept(struct synward_listener *l, evutil_socket_t fd, struct sockaddr *peer,
		      int socklen, void *arg)
{
	cr_assert(seen.n < ROOM, "too many calls");
	memcpy(&seen.peer[seen.n], peer, (size_t)socklen);
	seen.fd[seen.n++] = (int)fd;
	seen.lev = l;
	seen.arg = arg;
	if (seen.n == seen.free_after) {
		synward_listener_free(l);
		lev = NULL;
	}
	if (seen.n == seen.disable_after)
		cr_assert_eq(synward_listener_disable(l), 0, "disable");
}

static inline void on_error(struct synward_listener *l, void *arg)
{
	seen.last_errno = errno;
	seen.errors++;
	seen.lev = l;
	seen.arg = arg;
	if (seen.free_on_error) {
		synward_listener_free(l);
		lev = NULL;
	}
}

static inline void enter(void)
{
	net_enter();
	net_guarded();
	p0 = net_packet("p0");
	base = event_base_new();
	cr_assert_not_null(base, "no event base");
}

static const char *const both[] = { "198.51.100.2:443", "[2001:db8:ffff::2]:443" };

static inline struct synward_config usual(void)
{
	return (struct synward_config){ .interface = "g0",
					.listen = both,
					.nlisten = 2,
					.ring_frames = 128,
					.error = err,
					.error_size = sizeof(err) };
}

static inline void start_with(const struct synward_config *cf, unsigned flags)
{
	err[0] = 0;
	lev = synward_listener_new(base, on_accept, &seen, flags, cf);
	cr_assert_not_null(lev, "%s: %s", strerror(errno), err);
	synward_listener_set_error_cb(lev, on_error);
}

static inline void start(unsigned flags)
{
	const struct synward_config cf = usual();

	start_with(&cf, flags);
}

static inline void stop(void)
{
	synward_listener_free(lev);
	for (unsigned i = 0; i < seen.n; i++)
		close(seen.fd[i]);
	memset(&seen, 0, sizeof(seen));
	event_base_free(base);
}

/* Run the event loop until *n is @want.  @return false when it took too long. */
static inline bool run_until(const unsigned *n, unsigned want)
{
	const uint64_t deadline = net_now_ms() + NET_WAIT_MS;

	for (;;) {
		event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		if (*n >= want)
			return true;
		if (!net_again(deadline))
			return false;
	}
}

static inline void run_for(uint64_t ms)
{
	const uint64_t deadline = net_now_ms() + ms;

	do
		event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	while (net_again(deadline));
}

static inline struct synward_stats stats(void)
{
	struct synward_stats st;

	memset(&st, 0x5a, sizeof(st));
	synward_listener_get_stats(lev, &st);
	return st;
}

static inline void wait_reason(enum sw_why why, uint64_t want)
{
	const uint64_t deadline = net_now_ms() + NET_WAIT_MS;

	while (stats().reason[why] < want && net_again(deadline))
		;
	cr_assert_eq(stats().reason[why], want, "%s is %lu, not %lu", synward_reason_name(why),
		     stats().reason[why], want);
}

static inline void wait_queued(uint64_t want)
{
	const uint64_t deadline = net_now_ms() + NET_WAIT_MS;

	while (stats().queued < want && net_again(deadline))
		;
	cr_assert_eq(stats().queued, want, "%lu queued, not %lu", stats().queued, want);
}

static inline void send_spec(const struct frame_spec *s)
{
	const struct frame f = frame_make(s);

	net_send_frame(p0, &f);
}

/* The ACK that proves a SYN from @sport. */
static inline struct frame_spec prove(enum sw_family family, uint16_t sport)
{
	struct frame_spec syn = frame_syn_usual(family);
	struct sw_seg seg;

	syn.sport = sport;
	send_spec(&syn);
	do
		cr_assert(net_recv_seg(p0, &seg, NET_WAIT_MS), "no SYN-ACK for port %u", sport);
	while (seg.dport != sport || seg.flags != (SW_TCP_SYN | SW_TCP_ACK));
	return frame_ack_of(&syn, seg.seq, true, seg.opt.tsval);
}

static inline void open_connection(enum sw_family family, uint16_t sport)
{
	const struct frame_spec ack = prove(family, sport);

	send_spec(&ack);
}

#endif
