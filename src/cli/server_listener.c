/* SPDX-License-Identifier: MIT */
/* The server's listeners: made from settings, replaced while they run, ended without losing what
 * is in their queue. */
#include "cli/cli.h"
#include "cli/server_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINGER_NS 250000000ull /* for the ACKs of SYN-ACKs that were sent before the drain */
#define SECOND_NS 1000000000ull

struct synward_config sw_guarded_config(const struct sw_settings *s,
					const struct sw_listener_settings *l)
{
	return (struct synward_config){
		.interface = l->interface,
		.listen = (const char *const *)l->listen,
		.nlisten = l->nlisten,
		.key_file = *s->key_file ? s->key_file : NULL,
		.mac = l->mac,
		.workers = l->workers,
		.queue_depth = l->queue_depth,
		.ring_frames = l->ring_frames,
		.refuse_rate = l->refuse_rate ? l->refuse_rate : SYNWARD_REFUSE_NONE,
		.qdisc_bypass = l->qdisc_bypass,
		.offload = l->offload,
		.transparent = l->transparent,
		.mss_max = l->mss_max,
	};
}

static bool same_addresses(const struct sw_listener_settings *a,
			   const struct sw_listener_settings *b)
{
	if (a->nlisten != b->nlisten)
		return false;
	for (uint32_t i = 0; i < a->nlisten; i++)
		if (strcmp(a->listen[i], b->listen[i]) != 0)
			return false;
	return true;
}

bool sw_guarded_differs(const struct sw_settings *from, const struct sw_listener_settings *a,
			const struct sw_settings *to, const struct sw_listener_settings *b)
{
	return strcmp(from->key_file, to->key_file) != 0 ||
	       strcmp(a->interface, b->interface) != 0 || !same_addresses(a, b) ||
	       a->mac != b->mac || a->workers != b->workers || a->queue_depth != b->queue_depth ||
	       a->ring_frames != b->ring_frames || a->refuse_rate != b->refuse_rate ||
	       a->qdisc_bypass != b->qdisc_bypass || a->offload != b->offload ||
	       a->transparent != b->transparent || a->mss_max != b->mss_max;
}

struct sw_guarded *sw_guarded_new(struct sw_server *sv, const char *name)
{
	struct sw_guarded *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->server = sv;
	snprintf(g->name, sizeof(g->name), "%s", name);
	g->tag = sw_tag_new(name);
	if (g->tag)
		return g;
	free(g);
	return NULL;
}

void sw_guarded_free(struct sw_guarded *g)
{
	if (!g)
		return;
	synward_listener_free(g->next);
	synward_listener_free(g->lev);
	sw_tag_free(g->tag);
	free(g);
}

static void on_accept(struct synward_listener *lev, evutil_socket_t fd, struct sockaddr *peer,
		      int socklen, void *arg)
{
	struct sw_guarded *g = arg;

	(void)lev;
	if (g->pool)
		sw_relay_add(g->pool->relay, fd, peer, (socklen_t)socklen, g->tag);
	else
		evutil_closesocket(fd); /* it was replaced by a transparent one */
}

/* Is there a listener whose interface is still there? */
static bool some_guard(const struct sw_server *sv)
{
	const struct sw_guarded *g;

	LIST_FOREACH(g, &sv->listeners, link)
		if (!g->leaving && !g->lost)
			return true;
	return false;
}

static void on_lost(struct sw_guarded *g)
{
	struct sw_server *sv = g->server;
	const struct sw_listener_settings *l = sw_settings_listener(sv->settings, g->name);

	g->lost = true;
	sw_error("interface %s is gone: nothing is guarded any more%s%s",
		 l ? l->interface : "of a listener", sv->single ? "" : " by ",
		 sv->single ? "" : g->name);
	if (some_guard(sv))
		return;
	sv->rc = SW_EXIT_FAILED;
	event_base_loopbreak(sv->base);
}

static void on_trouble(struct synward_listener *lev, void *arg)
{
	const int trouble = errno;
	struct sw_guarded *g = arg;
	uint64_t skipped;

	if (trouble == ENODEV) {
		if (lev == g->lev)
			on_lost(g);
		return;
	}
	if (!sw_log_may(&g->trouble_limit, sw_server_mono(), SECOND_NS, &skipped))
		return;
	sw_error("listener%s%s: %s (%" PRIu64 " more since the last line)",
		 g->server->single ? "" : " ", g->server->single ? "" : g->name,
		 trouble == EAGAIN ? "the queue of proven connections is full; raise queue_depth" :
				     strerror(trouble),
		 skipped);
}

/* What an operator has drained stays drained in whatever takes its place. */
static int drain_next(struct sw_guarded *g, char *err, size_t errlen)
{
	int trouble;

	if (!g->drained || synward_listener_drain(g->next, 1) == 0)
		return 0;
	trouble = errno;
	synward_listener_free(g->next);
	g->next = NULL;
	snprintf(err, errlen, "it is drained, and what takes its place cannot be: %s; undrain it first",
		 strerror(trouble));
	return trouble ? trouble : EIO;
}

int sw_guarded_prepare(struct sw_guarded *g, const struct sw_settings *s,
		       const struct sw_listener_settings *l, char *err, size_t errlen)
{
	struct synward_config cf = sw_guarded_config(s, l);

	cf.error = err;
	cf.error_size = errlen;
	err[0] = '\0';
	g->next = synward_listener_new(g->server->base, on_accept, g, SYNWARD_OPT_REPLACE, &cf);
	if (!g->next) {
		const int trouble = errno;

		if (!err[0])
			snprintf(err, errlen, "%s", strerror(trouble));
		return trouble;
	}
	synward_listener_set_error_cb(g->next, on_trouble);
	return drain_next(g, err, errlen);
}

/* Free it and keep its counters. */
static void end_listener(struct sw_guarded *g, struct synward_listener *lev)
{
	struct synward_stats last;

	synward_listener_get_stats(lev, &last);
	/* These are of the moment, not sums. */
	last.queued = last.settling = last.clock_age_ms = 0;
	sw_stats_add(&g->past, &last);
	synward_listener_free(lev);
}

void sw_server_let_go(struct sw_guarded *g, struct synward_listener *lev)
{
	struct sw_outgoing *o = calloc(1, sizeof(*o));
	static const struct timeval soon = { .tv_usec = 10000 };

	if (synward_listener_drain(lev, 1) < 0 || !o) {
		/* This passes the addresses on in any case, at the price of the queue. */
		end_listener(g, lev);
		free(o);
		return;
	}
	o->lev = lev;
	o->of = g;
	o->since = sw_server_mono();
	g->outgoing++;
	LIST_INSERT_HEAD(&g->server->outgoing, o, link);
	if (!event_pending(g->server->retire, EV_TIMEOUT, NULL))
		(void)event_add(g->server->retire, &soon);
}

static void set_pool(struct sw_guarded *g, struct sw_pool *pool)
{
	if (pool)
		pool->users++;
	if (g->pool)
		g->pool->users--;
	g->pool = pool;
}

void sw_guarded_switch(struct sw_guarded *g)
{
	struct synward_listener *const old = g->lev;

	if (g->next) {
		g->lev = g->next;
		g->next = NULL;
		g->lost = false;
		g->heartbeat = 0;
		if (old)
			sw_server_let_go(g, old);
	}
	/* What is still in the old queue goes where the new ones go; when these need no pool any
	 * more, the old one stays until the queue is empty. */
	g->unpool = !g->next_pool && g->outgoing;
	if (!g->unpool)
		set_pool(g, g->next_pool);
	g->next_pool = NULL;
}

void sw_guarded_leave(struct sw_guarded *g)
{
	struct synward_listener *const old = g->lev;

	g->leaving = true;
	g->lev = NULL;
	if (old)
		sw_server_let_go(g, old);
}

void sw_guarded_stats(const struct sw_guarded *g, struct synward_stats *out)
{
	const struct sw_outgoing *o;
	struct synward_stats more;

	*out = g->past;
	if (g->lev) {
		synward_listener_get_stats(g->lev, &more);
		sw_stats_add(out, &more);
	}
	LIST_FOREACH(o, &g->server->outgoing, link) {
		if (o->of != g)
			continue;
		synward_listener_get_stats(o->lev, &more);
		sw_stats_add(out, &more);
	}
}

static bool is_done(const struct sw_outgoing *o, sw_mono now)
{
	struct synward_stats s;

	if (now.ns - o->since.ns < LINGER_NS)
		return false;
	synward_listener_get_stats(o->lev, &s);
	return s.queued == 0;
}

static void end_outgoing(struct sw_outgoing *o)
{
	struct sw_guarded *g = o->of;

	LIST_REMOVE(o, link);
	end_listener(g, o->lev);
	free(o);
	if (--g->outgoing > 0 || !g->unpool)
		return;
	g->unpool = false;
	set_pool(g, NULL);
}

static void end_leaving(struct sw_guarded *g)
{
	sw_stats_add(&g->server->past, &g->past);
	LIST_REMOVE(g, link);
	set_pool(g, NULL);
	sw_guarded_free(g);
}

static void on_pool_drained(void *arg)
{
	sw_server_pool_ended(arg);
}

static bool retire_listeners(struct sw_server *sv)
{
	const sw_mono now = sw_server_mono();
	struct sw_outgoing *o, *next_o;
	struct sw_guarded *g, *next_g;

	for (o = LIST_FIRST(&sv->outgoing); o; o = next_o) {
		next_o = LIST_NEXT(o, link);
		if (is_done(o, now))
			end_outgoing(o);
	}
	for (g = LIST_FIRST(&sv->listeners); g; g = next_g) {
		next_g = LIST_NEXT(g, link);
		if (g->leaving && !g->outgoing)
			end_leaving(g);
	}
	return !LIST_EMPTY(&sv->outgoing);
}

bool sw_server_retire(struct sw_server *sv)
{
	const bool more = retire_listeners(sv);
	struct sw_pool *pool;

	if (sv->phase != SW_PHASE_RUN)
		return more;
	LIST_FOREACH(pool, &sv->pools, link) {
		if (!pool->leaving || pool->users || pool->draining)
			continue;
		pool->draining = true;
		sw_relay_drain(pool->relay, on_pool_drained, pool);
	}
	return more;
}

struct sw_guarded *sw_server_find(struct sw_server *sv, const char *name)
{
	struct sw_guarded *g;

	LIST_FOREACH(g, &sv->listeners, link)
		if (!g->leaving && strcmp(g->name, name) == 0)
			return g;
	return NULL;
}
