/* SPDX-License-Identifier: MIT */
#include "cli/serve.h"

#include "cli/cli.h"
#include "ops/log.h"
#include "listen/worker.h"
#include "ops/notify.h"
#include "steer/addr.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define LATE_MS 2000 /* the answerer's clock is renewed every second */
#define WANTED_FILES 1048576 /* two descriptors a connection: half a million of them */

struct server {
	const struct sw_serve *cf; /* borrowed */
	struct event_base *base;
	struct synward_listener *listener; /* NULL from the first SIGTERM on */
	struct sw_relay *relay;		   /* NULL in transparent mode */
	struct event *term, *intr, *usr1, *deadline;
	int rc;                    /* exit code of a loop that ended */
	struct synward_stats last; /* the listener's, of the moment it was freed */
};

static int exit_code_of(int err)
{
	switch (err) {
	case EPERM:
		return SW_EXIT_CAPABILITY;
	case ENOTSUP:
		return SW_EXIT_KERNEL;
	case EINVAL:
	case ENOENT: /* the key file is the only file */
	case EACCES:
		return SW_EXIT_CONFIG;
	default:
		return SW_EXIT_FAILED;
	}
}

static void print_counter(const char *group, const char *name, uint64_t value)
{
	if (value)
		sw_logf(SW_LOG_ALWAYS, "counter %s%s %" PRIu64, group, name, value);
}

static void print_guard_counters(const struct synward_stats *s)
{
	sw_logf(SW_LOG_ALWAYS, "counter frames %" PRIu64, s->frames);
	print_counter("", "syns", s->syns);
	print_counter("", "synacks", s->synacks);
	print_counter("", "proven", s->proven);
	print_counter("", "handed", s->handed);
	print_counter("", "passed", s->passed);
	print_counter("", "dropped", s->dropped);
	print_counter("", "ring_lost", s->ring_lost);
	print_counter("", "xdp_answered", s->xdp_answered);
	print_counter("", "xdp_dropped", s->xdp_dropped);
	print_counter("", "queued", s->queued);
	if (s->clock_age_ms > LATE_MS)
		print_counter("", "clock_age_ms", s->clock_age_ms);
	for (unsigned i = 0; i < SYNWARD_MAX_REASONS && synward_reason_name(i); i++)
		print_counter("reason_", synward_reason_name(i), s->reason[i]);
}

static void print_relay_counters(const struct sw_relay *relay)
{
	struct sw_relay_stats s;

	sw_relay_get_stats(relay, &s);
	print_counter("relay_", "accepted", s.accepted);
	print_counter("relay_", "active", s.active);
	print_counter("relay_", "bytes_to_server", s.to_server);
	print_counter("relay_", "bytes_to_client", s.to_client);
	for (int i = 0; i < SW_NEND; i++)
		print_counter("relay_ended_", sw_relay_cause_name((enum sw_relay_cause)i),
			      s.ended[i]);
	for (int i = 0; i < SW_NDIAL; i++)
		print_counter("relay_connect_", sw_relay_dial_fail_name((enum sw_relay_dial_fail)i),
			      s.dial_failed[i]);
}

static void print_counters(struct server *sv)
{
	if (sv->listener)
		synward_listener_get_stats(sv->listener, &sv->last);
	print_guard_counters(&sv->last);
	if (sv->relay)
		print_relay_counters(sv->relay);
}

static void on_accept(struct synward_listener *lev, evutil_socket_t fd, struct sockaddr *peer,
		      int socklen, void *arg)
{
	struct server *sv = arg;

	(void)lev;
	sw_relay_add(sv->relay, fd, peer, (socklen_t)socklen);
}

static void on_listener_error(struct synward_listener *lev, void *arg)
{
	static struct sw_log_limit limit; /* event loop thread only */
	const int trouble = errno;
	struct server *sv = arg;
	struct timeval tv;
	uint64_t skipped;
	sw_mono now;

	(void)lev;
	if (trouble == ENODEV) {
		sw_error("interface %s is gone: nothing is guarded any more",
			 sv->cf->guard.interface);
		sv->rc = SW_EXIT_FAILED;
		event_base_loopbreak(sv->base);
		return;
	}
	evutil_gettimeofday(&tv, NULL);
	now.ns = (uint64_t)tv.tv_sec * 1000000000ull;
	if (sw_log_may(&limit, now, 1000000000ull, &skipped))
		sw_error("listener: %s (%" PRIu64 " more since the last line)",
			 trouble == EAGAIN ? "the queue of proven connections is full; raise "
					     "--queue-depth" :
					     strerror(trouble),
			 skipped);
}

static void on_relay_log(void *arg, bool trouble, const char *line)
{
	(void)arg;
	SW_LOG_AT(trouble ? SW_LOG_WARN : SW_LOG_INFO, "%s", line);
}

static void end_loop(void *arg)
{
	struct server *sv = arg;

	event_base_loopbreak(sv->base);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct server *sv = arg;

	(void)fd, (void)what;
	sw_warn("the drain timeout is over: connections that are reset: %zu",
		sw_relay_active(sv->relay));
	sw_relay_kill_all(sv->relay);
}

static void on_stop(evutil_socket_t signo, short what, void *arg)
{
	struct server *sv = arg;
	const unsigned ms = sv->cf->drain_timeout_ms;
	const struct timeval tv = { (time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000 };

	(void)what;
	if (!sv->relay) { /* the connections are the kernel's and the service's */
		(void)sw_notify("STOPPING=1");
		event_base_loopbreak(sv->base);
		return;
	}
	if (!sv->listener) { /* the second signal */
		sw_relay_kill_all(sv->relay);
		event_base_loopbreak(sv->base);
		return;
	}
	(void)sw_notify("STOPPING=1");
	sw_info("%s: no new connections; still live: %zu", strsignal((int)signo),
		sw_relay_active(sv->relay));
	synward_listener_get_stats(sv->listener, &sv->last);
	synward_listener_free(sv->listener);
	sv->listener = NULL;
	sw_relay_drain(sv->relay, end_loop, sv);
	if (event_add(sv->deadline, &tv) < 0)
		sw_relay_kill_all(sv->relay);
}

static void on_usr1(evutil_socket_t signo, short what, void *arg)
{
	(void)signo, (void)what;
	print_counters(arg);
}

/* As many descriptors as the system lets us have.  Fewer still work. */
static void raise_file_limit(void)
{
	struct rlimit now, more = { WANTED_FILES, WANTED_FILES };

	if (getrlimit(RLIMIT_NOFILE, &now) < 0)
		return;
	if (now.rlim_max < WANTED_FILES && setrlimit(RLIMIT_NOFILE, &more) == 0)
		return;
	now.rlim_cur = now.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &now);
}

static bool add_events(struct server *sv)
{
	sv->term = evsignal_new(sv->base, SIGTERM, on_stop, sv);
	sv->intr = evsignal_new(sv->base, SIGINT, on_stop, sv);
	sv->usr1 = evsignal_new(sv->base, SIGUSR1, on_usr1, sv);
	sv->deadline = evtimer_new(sv->base, on_deadline, sv);
	return sv->term && sv->intr && sv->usr1 && sv->deadline && event_add(sv->term, NULL) == 0 &&
	       event_add(sv->intr, NULL) == 0 && event_add(sv->usr1, NULL) == 0;
}

static void free_event(struct event *ev)
{
	if (ev)
		event_free(ev);
}

static void announce(const struct sw_serve *cf)
{
	char to[SW_ADDR_STRLEN];

	if (!cf->guard.key_file)
		sw_info("no --key-file: the key is for this run only, and handshakes open at its "
			"end are lost");
	for (size_t i = 0; i < cf->guard.nlisten; i++)
		sw_info("guarding %s on %s", cf->guard.listen[i], cf->guard.interface);
	if (cf->guard.transparent)
		sw_info("connections go to the services that listen there");
	for (size_t i = 0; i < cf->relay.nupstream; i++)
		sw_info("relaying to %s",
			sw_addr_str((const struct sockaddr *)&cf->relay.upstream[i], to));
	/* Scripts wait for this line: -q does not take it away. */
	sw_logf(SW_LOG_ALWAYS, "ready");
	(void)sw_notify("READY=1");
}

static void warn_lines(char *lines)
{
	char *rest = lines;

	for (char *line; (line = strsep(&rest, "\n"));)
		if (line[0])
			sw_warn("%s", line);
}

static int guard_and_relay(struct server *sv)
{
	char why[1024] = "";
	struct synward_config guard = sv->cf->guard;

	guard.error = why;
	guard.error_size = sizeof(why);
	sv->listener = synward_listener_new(sv->base, on_accept, sv, 0, &guard);
	if (!sv->listener) {
		const int err = errno;

		sw_error("%s", why[0] ? why : strerror(err));
		return exit_code_of(err);
	}
	synward_listener_set_error_cb(sv->listener, on_listener_error);
	warn_lines(why);
	sw_thread_prefer();
	announce(sv->cf);
	event_base_dispatch(sv->base);
	print_counters(sv);
	synward_listener_free(sv->listener);
	return sv->rc;
}

int sw_serve(const struct sw_serve *cf)
{
	struct server sv = { .cf = cf };
	struct sw_relay_config relay = cf->relay;
	int rc = SW_EXIT_FAILED, err;
	const struct rlimit no_core = { 0, 0 };
	sigset_t late;

	signal(SIGPIPE, SIG_IGN);
	(void)setrlimit(RLIMIT_CORE, &no_core); /* a core dump would hold the keys */
	raise_file_limit();
	sv.base = event_base_new();
	if (!sv.base || !add_events(&sv)) {
		sw_error("no event loop: %s", strerror(errno));
		goto free_events;
	}
	relay.log = on_relay_log;
	err = cf->guard.transparent ? 0 : sw_relay_new(sv.base, &relay, &sv.relay);
	if (err < 0) {
		sw_error("relay: %s", strerror(-err));
		goto free_events;
	}
	rc = guard_and_relay(&sv);
	if (sv.relay)
		sw_relay_free(sv.relay);

free_events:
	/* A signal that comes now must not end us by its default, which libevent restores. */
	sigemptyset(&late);
	sigaddset(&late, SIGTERM);
	sigaddset(&late, SIGINT);
	sigprocmask(SIG_BLOCK, &late, NULL);
	free_event(sv.deadline);
	free_event(sv.usr1);
	free_event(sv.intr);
	free_event(sv.term);
	if (sv.base)
		event_base_free(sv.base);
	libevent_global_shutdown();
	return rc;
}
