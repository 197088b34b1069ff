/* SPDX-License-Identifier: MIT */
#include "relay/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SAY_EVERY_MS 10000

static void dial_next(struct sw_conn *p);

static void end_clear(struct sw_end *e, bool reset)
{
	if (e->fd < 0)
		return;
	event_del(&e->ev);
	if (reset)
		sw_reset_close(e->fd);
	else
		close(e->fd);
	e->fd = -1;
}

void sw_conn_end(struct sw_conn *p, enum sw_relay_cause why)
{
	struct sw_relay *r = p->relay;
	const bool reset = why != SW_END_CLIENT_FIN && why != SW_END_SERVER_FIN;

	end_clear(&p->server, reset);
	end_clear(&p->client, reset);
	sw_pipe_clear(&p->up);
	sw_pipe_clear(&p->down);
	TAILQ_REMOVE(p->in, p, link);
	if (p->waits_turn)
		TAILQ_REMOVE(&r->again, p, turn);
	free(p);

	r->stats.ended[why]++;
	if (--r->stats.active == 0 && r->draining)
		event_active(&r->done_ev, EV_TIMEOUT, 0);
}

/* Whoever is reset takes the other side along.  @return true when the connection lives on. */
static bool settle(struct sw_conn *p, enum sw_pipe_rc rc, enum sw_relay_cause src_dead,
		   enum sw_relay_cause dst_dead)
{
	switch (rc) {
	case SW_PIPE_WAIT:
	case SW_PIPE_DONE:
		return true;
	case SW_PIPE_MORE:
		sw_relay_again(p);
		return true;
	case SW_PIPE_SRC_DEAD:
		sw_conn_end(p, src_dead);
		return false;
	case SW_PIPE_DST_DEAD:
		sw_conn_end(p, dst_dead);
		return false;
	case SW_PIPE_NO_MEMORY:
		sw_relay_ran_out(p->relay, "cannot keep bytes for a slow reader", ENOMEM);
		sw_conn_end(p, SW_END_NO_RESOURCES);
		return false;
	}
	return true;
}

static bool pump_up(struct sw_conn *p)
{
	struct sw_relay *r = p->relay;
	const enum sw_pipe_rc rc =
		sw_pipe_pump(&p->up, p->client.fd, p->server.fd, &r->scratch, &r->stats.to_server);

	if (p->up.eof && !p->down.eof)
		p->client_first = true;
	return settle(p, rc, SW_END_CLIENT_RST, SW_END_SERVER_RST);
}

static bool pump_down(struct sw_conn *p)
{
	struct sw_relay *r = p->relay;
	const enum sw_pipe_rc rc = sw_pipe_pump(&p->down, p->server.fd, p->client.fd, &r->scratch,
						&r->stats.to_client);

	return settle(p, rc, SW_END_SERVER_RST, SW_END_CLIENT_RST);
}

/* A read finds a reset by itself.  Where nothing reads, the socket has to be asked. */
static bool is_dead(const struct sw_end *e)
{
	int err = 0;
	socklen_t len = sizeof(err);

	return getsockopt(e->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0 || err != 0;
}

static void touch(struct sw_conn *p)
{
	struct sw_relay *r = p->relay;
	const uint64_t now = sw_relay_now_ms();

	if (p->since_ms == now)
		return;
	p->since_ms = now;
	TAILQ_REMOVE(&r->live, p, link);
	TAILQ_INSERT_TAIL(&r->live, p, link);
}

static void finish_if_done(struct sw_conn *p)
{
	if (p->up.done && p->down.done)
		sw_conn_end(p, p->client_first ? SW_END_CLIENT_FIN : SW_END_SERVER_FIN);
}

static void on_client(evutil_socket_t fd, short what, void *arg)
{
	struct sw_conn *p = arg;

	(void)fd, (void)what;
	if (!p->live) {
		/* The bytes wait in the kernel.  A FIN does too: the client may still read. */
		if (is_dead(&p->client))
			sw_conn_end(p, SW_END_CLIENT_RST);
		return;
	}
	touch(p);
	if (!pump_up(p) || (p->down.len && !pump_down(p)))
		return;
	if (sw_pipe_is_deaf(&p->up) && is_dead(&p->client)) {
		sw_conn_end(p, SW_END_CLIENT_RST);
		return;
	}
	finish_if_done(p);
}

static void on_server_live(struct sw_conn *p)
{
	touch(p);
	if (!pump_down(p) || (p->up.len && !pump_up(p)))
		return;
	if (sw_pipe_is_deaf(&p->down) && is_dead(&p->server)) {
		sw_conn_end(p, SW_END_SERVER_RST);
		return;
	}
	finish_if_done(p);
}

void sw_conn_resume(struct sw_conn *p)
{
	touch(p);
	if (pump_up(p) && pump_down(p))
		finish_if_done(p);
}

/* @return false when the server is gone already. */
static bool send_proxy_header(struct sw_conn *p)
{
	struct sockaddr_storage local = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(local);
	uint8_t hdr[SW_PROXYHDR_MAX];
	size_t n;

	if (p->relay->cf.proxy == SW_PROXY_NONE)
		return true;
	(void)getsockname(p->client.fd, (struct sockaddr *)&local, &len);
	n = sw_proxyhdr_build(hdr, p->relay->cf.proxy, (const struct sockaddr *)&p->peer,
			      (const struct sockaddr *)&local);
	/* A new socket's send buffer is empty: it takes all of it or it is dead. */
	return send(p->server.fd, hdr, n, MSG_NOSIGNAL) == (ssize_t)n;
}

/* One that flaps must not fill the log: two lines in ten seconds, down and up, will do. */
static bool may_say(struct sw_upstream *up)
{
	const uint64_t now = sw_relay_now_ms();

	if (now - up->said_since_ms >= SAY_EVERY_MS) {
		up->said_since_ms = now;
		up->said = 0;
	}
	return up->said++ < 2;
}

static void move_to(struct sw_conn *p, struct sw_conn_list *list)
{
	if (p->in)
		TAILQ_REMOVE(p->in, p, link);
	TAILQ_INSERT_TAIL(list, p, link);
	p->in = list;
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
	if (now - p->waits_since_ms >= r->cf.connect_timeout_ms ||
	    event_add(&r->room_ev, &a_little) < 0) {
		sw_conn_end(p, SW_END_NO_RESOURCES);
		return;
	}
	move_to(p, &r->waiting);
}

static void dial_failed(struct sw_conn *p, int err)
{
	struct sw_relay *r = p->relay;
	struct sw_upstream *up = &r->upstream[p->upstream];
	const enum sw_relay_dial_fail why = sw_dial_fail_of(err);

	end_clear(&p->server, true);
	if (why != SW_DIAL_NO_RESOURCES || !p->waits_since_ms)
		r->stats.dial_failed[why]++;
	if (why == SW_DIAL_NO_RESOURCES || why == SW_DIAL_NO_PORT) {
		sw_relay_ran_out(r, up->name, err);
	} else if (!up->down) {
		up->down = true;
		if (may_say(up))
			sw_relay_logf(r, true, "upstream %s is down: %s", up->name, strerror(err));
	}
	if (why == SW_DIAL_NO_RESOURCES)
		wait_for_room(p); /* another upstream would not help */
	else
		dial_next(p);
}

static void dial_done(struct sw_conn *p)
{
	struct sw_relay *r = p->relay;
	struct sw_upstream *up = &r->upstream[p->upstream];
	int err = 0;
	socklen_t len = sizeof(err);

	if (getsockopt(p->server.fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		err = errno;
	if (err) {
		dial_failed(p, err);
		return;
	}
	if (up->down) {
		up->down = false;
		if (may_say(up))
			sw_relay_logf(r, false, "upstream %s is up again", up->name);
	}
	move_to(p, &r->live);
	p->live = true;
	p->since_ms = sw_relay_now_ms();
	sw_relay_arm(r);
	if (!send_proxy_header(p))
		sw_conn_end(p, SW_END_SERVER_RST);
	else
		sw_conn_resume(p);
}

static void on_server(evutil_socket_t fd, short what, void *arg)
{
	struct sw_conn *p = arg;

	(void)fd, (void)what;
	if (p->live)
		on_server_live(p);
	else
		dial_done(p);
}

static bool end_watch(struct sw_conn *p, struct sw_end *e, event_callback_fn cb)
{
	event_assign(&e->ev, p->relay->base, e->fd, EV_READ | EV_WRITE | EV_PERSIST | EV_ET, cb, p);
	return event_add(&e->ev, NULL) == 0;
}

static void dial(struct sw_conn *p)
{
	struct sw_relay *r = p->relay;
	int rc;

	move_to(p, &r->dialing);
	p->since_ms = sw_relay_now_ms();
	rc = sw_dial(&r->upstream[p->upstream], &p->server.fd);
	if (rc < 0) {
		dial_failed(p, -rc);
		return;
	}
	if (!end_watch(p, &p->server, on_server)) {
		sw_relay_ran_out(r, "cannot watch a socket", errno);
		sw_conn_end(p, SW_END_NO_RESOURCES);
		return;
	}
	sw_relay_arm(r);
}

/* Start with the next upstream that this connection has not tried; the last one's failure ends
 * the connection. */
static void dial_next(struct sw_conn *p)
{
	struct sw_relay *r = p->relay;

	if (p->attempts == r->cf.nupstream) {
		sw_conn_end(p, SW_END_CONNECT_FAILED);
		return;
	}
	if (p->attempts++ == 0)
		p->upstream = r->next++ % r->cf.nupstream;
	else
		p->upstream = (p->upstream + 1) % r->cf.nupstream;
	dial(p);
}

void sw_conn_try_waiting(struct sw_relay *r)
{
	struct sw_conn *last = TAILQ_LAST(&r->waiting, sw_conn_list), *p;
	bool more = last != NULL;

	while (more && (p = TAILQ_FIRST(&r->waiting))) {
		more = p != last; /* those that join again wait for the next round */
		dial(p);
	}
}

void sw_conn_dial_timeout(struct sw_conn *p)
{
	dial_failed(p, ETIMEDOUT);
}

void sw_conn_start(struct sw_relay *r, int fd, const struct sockaddr *peer, socklen_t peerlen)
{
	struct sw_conn *p = calloc(1, sizeof(*p));

	if (!p) {
		sw_reset_close(fd);
		r->stats.ended[SW_END_NO_RESOURCES]++;
		sw_relay_ran_out(r, "cannot take a connection", ENOMEM);
		return;
	}
	p->relay = r;
	p->client.fd = fd;
	p->server.fd = -1;
	memcpy(&p->peer, peer, peerlen < sizeof(p->peer) ? peerlen : sizeof(p->peer));
	move_to(p, &r->dialing);
	r->stats.active++;
	sw_tune(fd);
	if (!end_watch(p, &p->client, on_client)) {
		sw_relay_ran_out(r, "cannot watch a socket", errno);
		sw_conn_end(p, SW_END_NO_RESOURCES);
		return;
	}
	dial_next(p);
}
