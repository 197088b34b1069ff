/* SPDX-License-Identifier: MIT */
/* From a client that was let in to a server that is connected, over as many attempts as it takes.
 */
#include "relay/check.h"
#include "relay/conn.h"
#include "relay/source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* @return false when the server is gone already. */
static bool send_proxy_header(struct sw_conn *p)
{
	const struct sw_relay_config *cf = &p->relay->cf;
	uint8_t hdr[SW_PROXYHDR_MAX];
	size_t n;

	if (cf->proxy == SW_PROXY_NONE)
		return true;
	n = sw_proxyhdr_build(hdr, cf->proxy, &p->peer.sa, &sw_conn_local(p)->sa);
	if (cf->proxy_id && cf->proxy == SW_PROXY_V2)
		n = sw_proxyhdr_add_id(hdr, n, p->id);
	/* A new socket's send buffer is empty: it takes all of it or it is dead. */
	return send(p->server.fd, hdr, n, MSG_NOSIGNAL) == (ssize_t)n;
}

/* No descriptor or memory for the server's socket now: others end and free some, so the client
 * waits, as long as it would for a silent server. */
static void wait_for_room(struct sw_conn *p)
{
	static const struct timeval a_little = { 0, 50000 };
	struct sw_relay *r = p->relay;
	const uint64_t now = sw_relay_now_ms();

	if (!p->waits_since_ms)
		p->waits_since_ms = now;
	if (now - p->waits_since_ms >= p->era->connect_timeout_ms ||
	    event_add(&r->room_ev, &a_little) < 0) {
		sw_conn_end(p, SW_END_NO_RESOURCES);
		return;
	}
	sw_conn_move(p, &r->waiting);
}

/* What a failure says about the server. */
static void judge(struct sw_relay *r, struct sw_server *s, int err)
{
	enum sw_health_change change;

	sw_check_soon(s);
	/* A server may shut out one client's address, and that client must not take it from others.
	 */
	if (r->cf.source_client) {
		if (err == ETIMEDOUT)
			sw_server_tell_lost(s);
		return;
	}
	change = sw_health_met(&s->health, &r->cf.health, false, sw_relay_now_ms());
	sw_server_tell(s, change, strerror(err));
}

static void failed(struct sw_conn *p, int err, enum sw_relay_dial_fail why)
{
	struct sw_relay *r = p->relay;
	const bool ours =
		why == SW_DIAL_NO_RESOURCES || why == SW_DIAL_NO_PORT || why == SW_DIAL_NO_SOURCE;
	char name[SW_FULL_NAME];

	sw_relay_full_name(r, p->to, name);
	sw_end_clear(&p->server, true);
	if (why != SW_DIAL_NO_RESOURCES || !p->waits_since_ms) {
		r->stats.dial_failed[why]++;
		p->to->stats.dial_failed[why]++;
	}
	if (!ours)
		judge(r, p->to, err);
	if (why == SW_DIAL_NO_RESOURCES)
		wait_for_room(p); /* another server would not help */
	else
		sw_attempt_next(p);
	if (ours)
		sw_relay_ran_out(r, name, err);
}

void sw_attempt_timeout(struct sw_conn *p)
{
	failed(p, ETIMEDOUT, SW_DIAL_TIMEOUT);
}

static void reached(struct sw_conn *p)
{
	struct sw_relay *r = p->relay;
	const uint64_t now_us = sw_relay_now_us();

	p->to->stats.connected++;
	sw_hist_add(&p->to->stats.connect, now_us - p->dial_us);
	p->connect_us = now_us - p->began_us;
	sw_server_tell(p->to, sw_health_met(&p->to->health, &r->cf.health, true, sw_relay_now_ms()),
		       "");
	sw_conn_move(p, &p->era->live);
	p->live = true;
	p->since_ms = sw_relay_now_ms();
	sw_relay_arm(r);
	if (!send_proxy_header(p))
		sw_conn_end(p, SW_END_SERVER_RST);
	else
		sw_conn_resume(p);
}

void sw_attempt_done(struct sw_conn *p)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (getsockopt(p->server.fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		err = errno;
	if (err)
		failed(p, err, sw_dial_fail_of(err));
	else
		reached(p);
}

static void dial(struct sw_conn *p)
{
	struct sw_relay *r = p->relay;
	const union sw_sockaddr from = sw_source_of(&p->peer);
	struct sw_dialled to;
	int rc;

	sw_conn_move(p, &p->era->dialing);
	p->since_ms = sw_relay_now_ms();
	p->dial_us = sw_relay_now_us();
	rc = sw_dial(p->to, r->cf.source_client ? &from : NULL, &to);
	if (rc < 0) {
		failed(p, -rc, to.why);
		return;
	}
	p->server.fd = to.fd;
	if (!sw_end_watch(p, &p->server, sw_conn_on_server)) {
		const int err = errno;

		sw_conn_end(p, SW_END_NO_RESOURCES);
		sw_relay_ran_out(r, "cannot watch a socket", err);
		return;
	}
	sw_relay_arm(r);
}

static bool may_try(const struct sw_conn *p)
{
	const uint32_t retries = p->relay->cf.retries;

	if (p->attempts == 0 || retries == 0) /* 0: as many as there are servers */
		return true;
	return retries != SW_RETRIES_NONE && p->attempts <= retries;
}

void sw_attempt_next(struct sw_conn *p)
{
	struct sw_relay *r = p->relay;
	const int family = r->cf.source_client ? sw_source_of(&p->peer).sa.sa_family : AF_UNSPEC;
	struct sw_server *s = NULL;

	if (may_try(p))
		s = sw_pool_pick(&r->pool, &r->cf.health, family, &p->tried, sw_relay_now_ms());
	if (!s) {
		if (p->attempts == 0)
			r->stats.dial_failed[SW_DIAL_NO_SOURCE]++; /* no server of its family */
		sw_conn_end(p, SW_END_CONNECT_FAILED);
		return;
	}
	if (p->to)
		sw_server_drop(&r->pool, p->to);
	sw_server_hold(s);
	p->to = s;
	p->attempts++;
	dial(p);
}

void sw_attempt_waiting(struct sw_relay *r)
{
	struct sw_conn *last = TAILQ_LAST(&r->waiting, sw_conn_list), *p;
	bool more = last != NULL;

	while (more && (p = TAILQ_FIRST(&r->waiting))) {
		more = p != last; /* those that join again wait for the next round */
		if (!p->to->leaving) {
			dial(p);
		} else { /* an update took it meanwhile */
			p->attempts--;
			sw_attempt_next(p);
		}
	}
}
