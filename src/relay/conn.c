/* SPDX-License-Identifier: MIT */
#include "relay/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void sw_end_clear(struct sw_end *e, bool reset)
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

bool sw_end_watch(struct sw_conn *p, struct sw_end *e, event_callback_fn cb)
{
	event_assign(&e->ev, p->relay->base, e->fd, EV_READ | EV_WRITE | EV_PERSIST | EV_ET, cb, p);
	return event_add(&e->ev, NULL) == 0;
}

void sw_conn_move(struct sw_conn *p, struct sw_conn_list *list)
{
	if (p->in)
		TAILQ_REMOVE(p->in, p, link);
	TAILQ_INSERT_TAIL(list, p, link);
	p->in = list;
}

const union sw_sockaddr *sw_conn_local(struct sw_conn *p)
{
	socklen_t len = sizeof(p->local);

	if (p->local.sa.sa_family == AF_UNSPEC)
		(void)getsockname(p->client.fd, &p->local.sa, &len);
	return &p->local;
}

static void log_access(struct sw_conn *p, enum sw_relay_cause why, uint64_t total_us)
{
	const struct sw_relay *r = p->relay;
	struct timespec ts;
	struct sw_access a = { .id = p->id,
			       .client = p->peer,
			       .local = *sw_conn_local(p),
			       .listener = p->tag ? sw_tag_name(p->tag) : "",
			       .pool = r->name,
			       .server = p->to ? p->to->stats.name : "",
			       .connect_us = p->connect_us,
			       .total_us = total_us,
			       .to_server = p->to_server,
			       .to_client = p->to_client,
			       .attempts = p->attempts,
			       .cause = why };

	clock_gettime(CLOCK_REALTIME, &ts);
	a.started.ns = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec - total_us * 1000;
	r->cf.access(r->cf.access_arg, &a);
}

void sw_conn_end(struct sw_conn *p, enum sw_relay_cause why)
{
	struct sw_relay *r = p->relay;
	const bool reset = why != SW_END_CLIENT_FIN && why != SW_END_SERVER_FIN;
	const uint64_t total_us = sw_relay_now_us() - p->began_us;

	if (r->cf.access)
		log_access(p, why, total_us);
	sw_end_clear(&p->server, reset);
	sw_end_clear(&p->client, reset);
	sw_pipe_clear(&p->up);
	sw_pipe_clear(&p->down);
	TAILQ_REMOVE(p->in, p, link);
	if (p->waits_turn)
		TAILQ_REMOVE(&r->again, p, turn);
	if (p->to)
		sw_server_drop(&r->pool, p->to);
	if (r->limits)
		sw_limits_give(r->limits, &p->share);
	sw_tag_end(p->tag, why, total_us);
	sw_era_drop(r, p->era);
	free(p);

	r->stats.ended[why]++;
	if (--r->stats.active == 0 && r->draining)
		event_active(&r->done_ev, EV_TIMEOUT, 0);
}

/* Whoever is reset takes the other side along.  @return true when the connection lives on. */
static bool settle(struct sw_conn *p, enum sw_pipe_rc rc, enum sw_relay_cause src_dead,
		   enum sw_relay_cause dst_dead)
{
	struct sw_relay *r = p->relay;

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
		sw_conn_end(p, SW_END_NO_RESOURCES);
		sw_relay_ran_out(r, "cannot keep bytes for a slow reader", ENOMEM);
		return false;
	}
	return true;
}

static bool pump_up(struct sw_conn *p)
{
	struct sw_relay *r = p->relay;
	uint64_t moved = 0;
	const enum sw_pipe_rc rc =
		sw_pipe_pump(&p->up, p->client.fd, p->server.fd, &r->scratch, &moved);

	p->to_server += moved;
	p->to->stats.to_server += moved;
	r->stats.to_server += moved;
	if (p->tag)
		p->tag->stats.to_server += moved;
	if (p->up.eof && !p->down.eof)
		p->client_first = true;
	return settle(p, rc, SW_END_CLIENT_RST, SW_END_SERVER_RST);
}

static bool pump_down(struct sw_conn *p)
{
	struct sw_relay *r = p->relay;
	uint64_t moved = 0;
	const enum sw_pipe_rc rc =
		sw_pipe_pump(&p->down, p->server.fd, p->client.fd, &r->scratch, &moved);

	p->to_client += moved;
	p->to->stats.to_client += moved;
	r->stats.to_client += moved;
	if (p->tag)
		p->tag->stats.to_client += moved;
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
	const uint64_t now = sw_relay_now_ms();

	if (p->since_ms == now)
		return;
	p->since_ms = now;
	TAILQ_REMOVE(&p->era->live, p, link);
	TAILQ_INSERT_TAIL(&p->era->live, p, link);
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

void sw_conn_on_server(evutil_socket_t fd, short what, void *arg)
{
	struct sw_conn *p = arg;

	(void)fd, (void)what;
	if (p->live)
		on_server_live(p);
	else
		sw_attempt_done(p);
}

bool sw_conn_start(struct sw_relay *r, int fd, const union sw_sockaddr *peer, struct sw_tag *tag,
		   const struct sw_limits_share *share)
{
	struct sw_conn *p = calloc(1, sizeof(*p));

	if (!p)
		return false;
	p->relay = r;
	p->era = sw_era_hold(r);
	p->tag = tag;
	p->share = *share;
	p->id = r->next_id++;
	p->client.fd = fd;
	p->server.fd = -1;
	p->peer = *peer;
	p->began_us = sw_relay_now_us();
	p->connect_us = SW_NEVER;
	if (r->cf.access)
		(void)sw_conn_local(p); /* a reset may take it away */
	sw_conn_move(p, &p->era->dialing);
	r->stats.active++;
	sw_tune(fd);
	if (sw_end_watch(p, &p->client, on_client)) {
		sw_attempt_next(p);
	} else {
		const int err = errno;

		sw_conn_end(p, SW_END_NO_RESOURCES);
		sw_relay_ran_out(r, "cannot watch a socket", err);
	}
	return true;
}
