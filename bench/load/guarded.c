/* SPDX-License-Identifier: MIT */
/*
 * The server as an application of libsynward: docs/library.md is all it knows.  Connections are
 * served as those of a listening socket are; their epoll instance is one more event of the base.
 */
#include "../tool.h"
#include "load.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <synward/listener.h>

enum { ON_PEERS, ON_TERM, ON_INT, ON_USR1, NEVENTS };

static void on_accept(struct synward_listener *lev, evutil_socket_t fd, struct sockaddr *addr,
		      int len, void *arg)
{
	(void)lev, (void)addr, (void)len;
	peers_add(arg, fd);
}

static void on_error(struct synward_listener *lev, void *arg)
{
	(void)lev, (void)arg;
	fprintf(stderr, "bench_load: connections cannot be handed over: %s\n", strerror(errno));
}

static void on_peers(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	peers_turn(arg, 0);
}

static void on_end(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	event_base_loopbreak(arg);
}

/* As 'synward run' prints them, so that one reader is enough. */
static void print_counter(const char *group, const char *name, uint64_t value)
{
	if (value)
		fprintf(stderr, "synward: counter %s%s %" PRIu64 "\n", group, name, value);
}

static void on_usr1(evutil_socket_t fd, short what, void *arg)
{
	struct synward_stats s;

	(void)fd, (void)what;
	synward_listener_get_stats(arg, &s);
	print_counter("", "frames", s.frames);
	print_counter("", "syns", s.syns);
	print_counter("", "synacks", s.synacks);
	print_counter("", "proven", s.proven);
	print_counter("", "handed", s.handed);
	print_counter("", "handoff_sum_ns", s.handoff_sum_ns);
	print_counter("", "ring_lost", s.ring_lost);
	for (unsigned i = 0; i < SYNWARD_MAX_REASONS && synward_reason_name(i); i++)
		print_counter("reason_", synward_reason_name(i), s.reason[i]);
}

static struct synward_listener *guard(struct event_base *base, struct peers *peers)
{
	const struct options *o = peers->o;
	char error[1024] = "";
	const struct synward_config cf = { .interface = o->interface, .listen = o->listen,
					   .nlisten = o->nlisten, .workers = (unsigned)o->workers,
					   .queue_depth = (unsigned)o->backlog,
					   .qdisc_bypass = o->qdisc_bypass, .error = error,
					   .error_size = sizeof(error) };
	struct synward_listener *lev = synward_listener_new(base, on_accept, peers, 0, &cf);

	if (!lev) {
		fprintf(stderr, "bench_load: %s\n", error);
		exit(1);
	}
	if (error[0])
		fprintf(stderr, "bench_load: warning: %s\n", error);
	synward_listener_set_error_cb(lev, on_error);
	return lev;
}

void serve_guarded(const struct options *o)
{
	struct event_base *base = event_base_new();
	struct synward_listener *lev;
	struct event *ev[NEVENTS];
	struct peers peers;

	if (!base)
		die("event_base_new");
	peers_open(&peers, o);
	lev = guard(base, &peers);
	ev[ON_PEERS] = event_new(base, peers.epfd, EV_READ | EV_PERSIST, on_peers, &peers);
	ev[ON_TERM] = evsignal_new(base, SIGTERM, on_end, base);
	ev[ON_INT] = evsignal_new(base, SIGINT, on_end, base);
	ev[ON_USR1] = evsignal_new(base, SIGUSR1, on_usr1, lev);
	for (int i = 0; i < NEVENTS; i++)
		if (!ev[i] || event_add(ev[i], NULL))
			die("event_add");
	fprintf(stderr, "bench_load: ready\n");
	event_base_dispatch(base);
	synward_listener_free(lev);
	peers_close(&peers);
	for (int i = 0; i < NEVENTS; i++)
		event_free(ev[i]);
	event_base_free(base);
}
