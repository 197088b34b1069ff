/* SPDX-License-Identifier: MIT */
#include "relay/conn.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DEFAULT_BUFFER	   65536
#define DEFAULT_CONNECT_MS 3000
#define RAN_OUT_EVERY_MS   1000

static const char *const cause_names[SW_NEND] = {
	[SW_END_CLIENT_FIN] = "client_fin",
	[SW_END_SERVER_FIN] = "server_fin",
	[SW_END_CLIENT_RST] = "client_rst",
	[SW_END_SERVER_RST] = "server_rst",
	[SW_END_IDLE] = "idle",
	[SW_END_CONNECT_FAILED] = "connect_failed",
	[SW_END_DRAIN] = "drain",
	[SW_END_LIMIT] = "limit",
	[SW_END_NO_RESOURCES] = "no_resources",
};

static const char *const dial_fail_names[SW_NDIAL] = {
	[SW_DIAL_REFUSED] = "refused",		 [SW_DIAL_TIMEOUT] = "timeout",
	[SW_DIAL_UNREACHABLE] = "unreachable",	 [SW_DIAL_NO_PORT] = "no_port",
	[SW_DIAL_NO_RESOURCES] = "no_resources", [SW_DIAL_OTHER] = "other",
};

const char *sw_relay_cause_name(enum sw_relay_cause i)
{
	return cause_names[i];
}

const char *sw_relay_dial_fail_name(enum sw_relay_dial_fail i)
{
	return dial_fail_names[i];
}

uint64_t sw_relay_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000 + 1;
}

void sw_relay_logf(struct sw_relay *r, bool trouble, const char *fmt, ...)
{
	char line[256];
	va_list ap;

	if (!r->cf.log)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	r->cf.log(r->cf.log_arg, trouble, line);
}

void sw_relay_ran_out(struct sw_relay *r, const char *what, int err)
{
	const uint64_t now = sw_relay_now_ms();

	if (r->logged_ms && now - r->logged_ms < RAN_OUT_EVERY_MS)
		return;
	r->logged_ms = now;
	sw_relay_logf(r, true, "%s: %s; %llu of %llu connections were reset for want of resources",
		      what, strerror(err), (unsigned long long)r->stats.ended[SW_END_NO_RESOURCES],
		      (unsigned long long)r->stats.accepted);
}

/* The time at which the head of a list is due, 0 for never. */
static uint64_t due(const struct sw_conn_list *list, unsigned timeout_ms)
{
	const struct sw_conn *head = TAILQ_FIRST(list);

	return head && timeout_ms ? head->since_ms + timeout_ms : 0;
}

void sw_relay_arm(struct sw_relay *r)
{
	const uint64_t dial = due(&r->dialing, r->cf.connect_timeout_ms);
	const uint64_t idle = due(&r->live, r->cf.idle_timeout_ms);
	const uint64_t next = !dial ? idle : !idle || dial < idle ? dial : idle;
	const uint64_t now = sw_relay_now_ms();
	const uint64_t wait = next > now ? next - now : 0;
	const struct timeval tv = { (time_t)(wait / 1000), (suseconds_t)(wait % 1000) * 1000 };

	if (!next || (r->timer_at_ms && r->timer_at_ms <= next))
		return;
	/* Out of memory: the next connection tries again. */
	r->timer_at_ms = event_add(&r->timer, &tv) == 0 ? next : 0;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct sw_relay *r = arg;
	const uint64_t now = sw_relay_now_ms();
	uint64_t at;

	(void)fd, (void)what;
	r->timer_at_ms = 0;
	while ((at = due(&r->dialing, r->cf.connect_timeout_ms)) && at <= now)
		sw_conn_dial_timeout(TAILQ_FIRST(&r->dialing));
	while ((at = due(&r->live, r->cf.idle_timeout_ms)) && at <= now)
		sw_conn_end(TAILQ_FIRST(&r->live), SW_END_IDLE);
	sw_relay_arm(r);
}

static void on_room(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	sw_conn_try_waiting(arg);
}

void sw_relay_again(struct sw_conn *p)
{
	static const struct timeval at_once = { 0, 0 };
	struct sw_relay *r = p->relay;

	if (p->waits_turn)
		return;
	(void)event_add(&r->again_ev, &at_once); /* failing, the next event goes on instead */
	p->waits_turn = true;
	TAILQ_INSERT_TAIL(&r->again, p, turn);
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	struct sw_relay *r = arg;
	struct sw_conn *last = TAILQ_LAST(&r->again, sw_conn_list);
	bool was_last = !last;

	(void)fd, (void)what;
	/* Those that join meanwhile wait for the next round, after the loop polled. */
	while (!was_last) {
		struct sw_conn *p = TAILQ_FIRST(&r->again);

		was_last = p == last;
		TAILQ_REMOVE(&r->again, p, turn);
		p->waits_turn = false;
		sw_conn_resume(p);
	}
}

static void on_done(evutil_socket_t fd, short what, void *arg)
{
	struct sw_relay *r = arg;
	void (*done)(void *) = r->done;

	(void)fd, (void)what;
	r->done = NULL;
	if (done)
		done(r->done_arg);
}

static int upstream_init(struct sw_upstream *up, const struct sockaddr_storage *addr)
{
	const bool v6 = addr->ss_family == AF_INET6;
	char host[INET6_ADDRSTRLEN], port[8];

	up->addr = *addr;
	up->addrlen = v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	if (getnameinfo((const struct sockaddr *)addr, up->addrlen, host, sizeof(host), port,
			sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return -EINVAL;
	snprintf(up->name, sizeof(up->name), v6 ? "[%s]:%s" : "%s:%s", host, port);
	return 0;
}

int sw_relay_new(struct event_base *base, const struct sw_relay_config *cf, struct sw_relay **out)
{
	struct sw_relay *r;
	int rc = -ENOMEM;

	if (cf->nupstream == 0)
		return -EINVAL;
	if (!(event_base_get_features(base) & EV_FEATURE_ET))
		return -ENOTSUP;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->base = base;
	r->cf = *cf;
	if (!r->cf.connect_timeout_ms)
		r->cf.connect_timeout_ms = DEFAULT_CONNECT_MS;
	r->scratch.size = cf->buffer_bytes ? cf->buffer_bytes : DEFAULT_BUFFER;
	r->scratch.bytes = malloc(r->scratch.size);
	if (!r->scratch.bytes)
		goto free_relay;
	r->upstream = calloc(cf->nupstream, sizeof(*r->upstream));
	if (!r->upstream)
		goto free_scratch;
	for (size_t i = 0; i < cf->nupstream; i++) {
		rc = upstream_init(&r->upstream[i], &cf->upstream[i]);
		if (rc < 0)
			goto free_upstream;
	}
	r->cf.upstream = NULL; /* the caller's; ours is the copy */
	TAILQ_INIT(&r->dialing);
	TAILQ_INIT(&r->live);
	TAILQ_INIT(&r->waiting);
	TAILQ_INIT(&r->again);
	evtimer_assign(&r->timer, base, on_timer, r);
	evtimer_assign(&r->again_ev, base, on_again, r);
	evtimer_assign(&r->room_ev, base, on_room, r);
	evtimer_assign(&r->done_ev, base, on_done, r);
	*out = r;
	return 0;

free_upstream:
	free(r->upstream);
free_scratch:
	free(r->scratch.bytes);
free_relay:
	free(r);
	return rc;
}

void sw_relay_free(struct sw_relay *r)
{
	if (!r)
		return;
	sw_relay_kill_all(r);
	event_del(&r->done_ev);
	event_del(&r->again_ev);
	event_del(&r->room_ev);
	event_del(&r->timer);
	free(r->upstream);
	free(r->scratch.bytes);
	free(r);
}

void sw_relay_add(struct sw_relay *r, evutil_socket_t fd, const struct sockaddr *peer,
		  socklen_t peerlen)
{
	r->stats.accepted++;
	if (r->draining || (r->cf.max_connections && r->stats.active >= r->cf.max_connections)) {
		r->stats.ended[SW_END_LIMIT]++;
		sw_reset_close(fd);
		return;
	}
	sw_conn_start(r, fd, peer, peerlen);
}

size_t sw_relay_active(const struct sw_relay *r)
{
	return r->stats.active;
}

void sw_relay_drain(struct sw_relay *r, void (*done)(void *arg), void *arg)
{
	r->draining = true;
	r->done = done;
	r->done_arg = arg;
	if (r->stats.active == 0)
		event_active(&r->done_ev, EV_TIMEOUT, 0);
}

void sw_relay_kill_all(struct sw_relay *r)
{
	struct sw_conn *p;

	while ((p = TAILQ_FIRST(&r->dialing)) || (p = TAILQ_FIRST(&r->waiting)) ||
	       (p = TAILQ_FIRST(&r->live)))
		sw_conn_end(p, SW_END_DRAIN);
}

void sw_relay_get_stats(const struct sw_relay *r, struct sw_relay_stats *out)
{
	*out = r->stats;
}
