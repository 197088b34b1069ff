/* SPDX-License-Identifier: MIT */
#include "relay/relay.h"

#include "relay/change.h"
#include "relay/check.h"
#include "relay/conn.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define RAN_OUT_EVERY_MS 1000

void sw_relay_logf(const struct sw_relay *r, bool trouble, const char *fmt, ...)
{
	char line[320];
	va_list ap;

	if (!r->cf.log)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	r->cf.log(r->cf.log_arg, trouble, line);
}

void sw_relay_full_name(const struct sw_relay *r, const struct sw_server *s, char out[SW_FULL_NAME])
{
	snprintf(out, SW_FULL_NAME, "%s%s%s", r->name, r->name[0] ? "/" : "", s->stats.name);
}

void sw_relay_ran_out(struct sw_relay *r, const char *what, int err)
{
	const uint64_t now = sw_relay_now_ms();
	const struct sw_conn *p;
	size_t waiting = 0;

	if (r->logged_ms && now - r->logged_ms < RAN_OUT_EVERY_MS)
		return;
	r->logged_ms = now;
	TAILQ_FOREACH(p, &r->waiting, link)
	waiting++;
	sw_relay_logf(r, true,
		      "%s: %s; connections that wait: %zu, reset for want of resources: %" PRIu64
		      " of %" PRIu64,
		      what, strerror(err), waiting, r->stats.ended[SW_END_NO_RESOURCES],
		      r->stats.accepted);
}

/* Once a second at most, with the lines of sw_relay_ran_out(). */
static void log_limit(struct sw_relay *r)
{
	const uint64_t now = sw_relay_now_ms();

	if (r->logged_ms && now - r->logged_ms < RAN_OUT_EVERY_MS)
		return;
	r->logged_ms = now;
	sw_relay_logf(r, true,
		      "no more connections: the limit in all is reached, which is that of "
		      "limits.connections or what the limit of descriptors leaves room for; reset: "
		      "%" PRIu64 " of %" PRIu64,
		      r->stats.ended[SW_END_LIMIT], r->stats.accepted);
}

static void on_room(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	sw_attempt_waiting(arg);
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

static struct sw_relay *relay_alloc(struct event_base *base)
{
	struct sw_relay *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->base = base;
	if (getrandom(&r->next_id, sizeof(r->next_id), 0) < 0)
		r->next_id = sw_relay_now_us();
	TAILQ_INIT(&r->eras);
	TAILQ_INIT(&r->pool.leaving);
	TAILQ_INIT(&r->waiting);
	TAILQ_INIT(&r->again);
	evtimer_assign(&r->timer, base, sw_relay_on_timer, r);
	evtimer_assign(&r->again_ev, base, on_again, r);
	evtimer_assign(&r->room_ev, base, on_room, r);
	evtimer_assign(&r->done_ev, base, on_done, r);
	return r;
}

int sw_relay_new(struct event_base *base, const struct sw_relay_config *cf, struct sw_relay **out)
{
	struct sw_relay *r;
	int rc;

	if (!(event_base_get_features(base) & EV_FEATURE_ET)) {
		sw_relay_explain(cf, "the event loop knows no edge-triggered events; use epoll");
		return -ENOTSUP;
	}
	r = relay_alloc(base);
	if (!r) {
		sw_relay_explain(cf, strerror(ENOMEM));
		return -ENOMEM;
	}
	r->limits = cf->limits;
	rc = sw_relay_update(r, cf);
	if (rc < 0) {
		free(r);
		return rc;
	}
	*out = r;
	return 0;
}

void sw_relay_free(struct sw_relay *r)
{
	if (!r)
		return;
	sw_relay_kill_all(r);
	sw_pool_clear(&r->pool, sw_check_stop);
	event_del(&r->done_ev);
	event_del(&r->again_ev);
	event_del(&r->room_ev);
	event_del(&r->timer);
	free(TAILQ_FIRST(&r->eras)); /* the current one is the only one without connections */
	free(r->scratch.bytes);
	free(r);
}

static void refuse(struct sw_relay *r, int fd, const union sw_sockaddr *peer, struct sw_tag *tag,
		   enum sw_relay_cause why)
{
	struct sw_access a = { .id = r->next_id++,
			       .client = *peer,
			       .listener = tag ? sw_tag_name(tag) : "",
			       .pool = r->name,
			       .server = "",
			       .connect_us = SW_NEVER,
			       .cause = why };
	socklen_t len = sizeof(a.local);
	struct timespec ts;

	if (r->cf.access) {
		clock_gettime(CLOCK_REALTIME, &ts);
		a.started.ns = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
		(void)getsockname(fd, &a.local.sa, &len);
		r->cf.access(r->cf.access_arg, &a);
	}
	r->stats.ended[why]++;
	sw_tag_end(tag, why, SW_TAG_REFUSED);
	sw_reset_close(fd);
}

static bool is_full(const struct sw_relay *r)
{
	return r->draining || (r->cf.max_connections && r->stats.active >= r->cf.max_connections);
}

void sw_relay_add(struct sw_relay *r, evutil_socket_t fd, const struct sockaddr *peer,
		  socklen_t peerlen, struct sw_tag *tag)
{
	static const enum sw_relay_cause cause_of[] = {
		[SW_LIMITS_TOTAL] = SW_END_LIMIT, [SW_LIMITS_SOURCE] = SW_END_SOURCE_LIMIT
	};
	struct sw_limits_share share = { 0 };
	union sw_sockaddr from = { .sa = { .sa_family = AF_UNSPEC } };
	enum sw_limits_rc rc = SW_LIMITS_OK;

	memcpy(&from, peer, peerlen < sizeof(from) ? peerlen : sizeof(from));
	r->stats.accepted++;
	sw_tag_begin(tag);
	if (is_full(r)) {
		refuse(r, fd, &from, tag, SW_END_LIMIT);
		return;
	}
	if (r->limits)
		rc = sw_limits_take(r->limits, &from.sa, &share);
	if (rc != SW_LIMITS_OK) {
		refuse(r, fd, &from, tag, cause_of[rc]);
		if (rc == SW_LIMITS_TOTAL)
			log_limit(r);
		return;
	}
	if (sw_conn_start(r, fd, &from, tag, &share))
		return;
	if (r->limits)
		sw_limits_give(r->limits, &share);
	refuse(r, fd, &from, tag, SW_END_NO_RESOURCES);
	sw_relay_ran_out(r, "cannot take a connection", ENOMEM);
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

static struct sw_conn *any_of(const struct sw_relay *r)
{
	struct sw_conn *p = TAILQ_FIRST(&r->waiting);
	const struct sw_era *era;

	TAILQ_FOREACH(era, &r->eras, link)
	{
		if (!p)
			p = TAILQ_FIRST(&era->dialing);
		if (!p)
			p = TAILQ_FIRST(&era->live);
	}
	return p;
}

void sw_relay_kill_all(struct sw_relay *r)
{
	struct sw_conn *p;

	while ((p = any_of(r)))
		sw_conn_end(p, SW_END_DRAIN);
}
