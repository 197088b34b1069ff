/* SPDX-License-Identifier: MIT */
/* What can be seen of the server, and done to it, from outside. */
#include "cli/server_impl.h"
#include "core/keyring.h"
#include "ops/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LATE_MS	 2000 /* the answerer's clock is renewed every second */
#define EPOCH_NS (1000000000ull * SW_EPOCH_SECONDS)

void sw_stats_add(struct synward_stats *to, const struct synward_stats *more)
{
	_Static_assert(sizeof(*to) % sizeof(uint64_t) == 0, "all members are uint64_t");
	const uint64_t age = to->clock_age_ms > more->clock_age_ms ? to->clock_age_ms :
								     more->clock_age_ms;
	uint64_t a[sizeof(*to) / sizeof(uint64_t)], b[sizeof(*to) / sizeof(uint64_t)];

	memcpy(a, to, sizeof(a));
	memcpy(b, more, sizeof(b));
	for (size_t i = 0; i < sizeof(a) / sizeof(a[0]); i++)
		a[i] += b[i];
	memcpy(to, a, sizeof(a));
	to->clock_age_ms = age;
}

void sw_relay_stats_add(struct sw_relay_stats *to, const struct sw_relay_stats *more)
{
	to->accepted += more->accepted;
	to->active += more->active;
	to->to_server += more->to_server;
	to->to_client += more->to_client;
	for (int i = 0; i < SW_NEND; i++)
		to->ended[i] += more->ended[i];
	for (int i = 0; i < SW_NDIAL; i++)
		to->dial_failed[i] += more->dial_failed[i];
}

/* ---- counters as lines ---- */

static void print_counter(const char *group, const char *name, uint64_t value)
{
	if (value)
		sw_logf(SW_LOG_ALWAYS, "counter %s%s %" PRIu64, group, name, value);
}

static void print_guard(const char *of, const struct synward_stats *s)
{
	char group[SW_NAME_MAX + 20];

	sw_logf(SW_LOG_ALWAYS, "counter %sframes %" PRIu64, of, s->frames);
	print_counter(of, "syns", s->syns);
	print_counter(of, "synacks", s->synacks);
	print_counter(of, "proven", s->proven);
	print_counter(of, "handed", s->handed);
	print_counter(of, "passed", s->passed);
	print_counter(of, "dropped", s->dropped);
	print_counter(of, "ring_lost", s->ring_lost);
	print_counter(of, "xdp_answered", s->xdp_answered);
	print_counter(of, "xdp_dropped", s->xdp_dropped);
	print_counter(of, "queued", s->queued);
	if (s->clock_age_ms > LATE_MS)
		print_counter(of, "clock_age_ms", s->clock_age_ms);
	snprintf(group, sizeof(group), "%sreason_", of);
	for (unsigned i = 0; i < SYNWARD_MAX_REASONS && synward_reason_name(i); i++)
		print_counter(group, synward_reason_name(i), s->reason[i]);
}

static void print_relay(const struct sw_relay_stats *s)
{
	print_counter("relay_", "accepted", s->accepted);
	print_counter("relay_", "active", s->active);
	print_counter("relay_", "bytes_to_server", s->to_server);
	print_counter("relay_", "bytes_to_client", s->to_client);
	for (int i = 0; i < SW_NEND; i++)
		print_counter("relay_ended_", sw_relay_cause_name((enum sw_relay_cause)i),
			      s->ended[i]);
	for (int i = 0; i < SW_NDIAL; i++)
		print_counter("relay_connect_", sw_relay_dial_fail_name((enum sw_relay_dial_fail)i),
			      s->dial_failed[i]);
}

void sw_server_print(struct sw_server *sv)
{
	struct synward_stats all = sv->past, one;
	struct sw_relay_stats relays = sv->past_relays, relay;
	const struct sw_guarded *g;
	const struct sw_pool *pool;
	char of[SW_NAME_MAX + 2];

	LIST_FOREACH(g, &sv->listeners, link) {
		sw_guarded_stats(g, &one);
		sw_stats_add(&all, &one);
	}
	LIST_FOREACH(pool, &sv->pools, link) {
		sw_relay_get_stats(pool->relay, &relay);
		sw_relay_stats_add(&relays, &relay);
	}
	print_guard("", &all);
	print_relay(&relays);
	if (sv->single)
		return;
	LIST_FOREACH(g, &sv->listeners, link) {
		sw_guarded_stats(g, &one);
		snprintf(of, sizeof(of), "%s/", g->name);
		print_guard(of, &one);
	}
}

/* ---- the snapshot ---- */

static void join_addresses(const struct sw_listener_settings *l, char *out, size_t size)
{
	size_t at = 0;

	out[0] = '\0';
	for (uint32_t i = 0; i < l->nlisten && at < size; i++)
		at += (size_t)snprintf(out + at, size - at, "%s%s", i ? ", " : "", l->listen[i]);
}

static void fill_conns(struct sw_snap_conns *c, const struct sw_tag_stats *t)
{
	c->active = t->active;
	c->total = t->accepted;
	c->to_server = t->to_server;
	c->to_client = t->to_client;
	memcpy(c->ended, t->ended, sizeof(c->ended));
	c->duration = t->duration;
}

static enum sw_snap_xdp xdp_of(const struct synward_listener *lev)
{
	const char *mode = lev ? synward_listener_xdp_mode(lev) : NULL;

	if (!mode)
		return SW_SNAP_XDP_NONE;
	return strcmp(mode, "native") == 0 ? SW_SNAP_XDP_NATIVE : SW_SNAP_XDP_GENERIC;
}

static void fill_keys(const struct sw_guarded *g, struct sw_snap_keys *out)
{
	const bool of_run = !*g->server->settings->key_file;
	struct synward_key key[SYNWARD_MAX_KEYS];
	const unsigned n = g->lev ? synward_listener_get_keys(g->lev, key) : 0;

	for (out->n = 0; out->n < n && out->n < SW_SNAP_KEYS; out->n++) {
		struct sw_snap_key *to = &out->key[out->n];

		snprintf(to->slot, sizeof(to->slot), "%s", of_run ? "run" : key[out->n].slot);
		snprintf(to->fingerprint, sizeof(to->fingerprint), "%s",
			 key[out->n].fingerprint);
	}
}

static void fill_listener(const struct sw_guarded *g, const struct sw_listener_settings *l,
			  const struct sw_snapshot *s, struct sw_snap_listener *out)
{
	snprintf(out->name, sizeof(out->name), "%s", g->name);
	snprintf(out->interface, sizeof(out->interface), "%s", l->interface);
	snprintf(out->pool, sizeof(out->pool), "%s", l->upstreams);
	join_addresses(l, out->addresses, sizeof(out->addresses));
	out->mode = l->transparent ? SW_SNAP_TRANSPARENT : SW_SNAP_RELAY;
	out->offload = l->offload;
	out->xdp = xdp_of(g->lev);
	out->draining = !g->lev || synward_listener_is_draining(g->lev);
	out->queue_depth = l->queue_depth;
	sw_guarded_stats(g, &out->stats);
	fill_keys(g, &out->keys);
	if (g->lev)
		out->nworker = synward_listener_get_workers(g->lev, out->worker, SW_SNAP_WORKERS);
	if (out->nworker > SW_SNAP_WORKERS)
		out->nworker = SW_SNAP_WORKERS;
	sw_snap_flood_set(&out->flood, &g->flood, s->now, s->mono);
	fill_conns(&out->conns, sw_tag_stats(g->tag));
}

static void fill_servers(const struct sw_pool *pool, struct sw_snap_server *out, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct sw_server_stats st;

		sw_relay_get_server(pool->relay, i, &st);
		snprintf(out[i].pool, sizeof(out[i].pool), "%s", pool->name);
		snprintf(out[i].name, sizeof(out[i].name), "%s", st.name);
		out[i].up = st.up;
		out[i].active = st.active;
		memcpy(out[i].failed, st.dial_failed, sizeof(out[i].failed));
		out[i].connect = st.connect;
	}
}

static void fill_readiness(const struct sw_server *sv, struct sw_snapshot *s)
{
	const struct sw_guarded *g;

	s->ready = true;
	if (sv->phase != SW_PHASE_RUN) {
		s->ready = false;
		snprintf(s->why_not, sizeof(s->why_not), "draining");
		return;
	}
	LIST_FOREACH(g, &sv->listeners, link) {
		if (g->leaving || (!g->lost && !g->drained))
			continue;
		s->ready = false;
		snprintf(s->why_not, sizeof(s->why_not), "listener %s: %s", g->name,
			 g->lost ? "its interface is gone" : "drained");
		return;
	}
}

static void count_all(const struct sw_server *sv, size_t *listeners, size_t *servers)
{
	const struct sw_guarded *g;
	const struct sw_pool *pool;

	*listeners = *servers = 0;
	LIST_FOREACH(g, &sv->listeners, link)
		*listeners += !g->leaving;
	LIST_FOREACH(pool, &sv->pools, link)
		*servers += pool->leaving ? 0 : sw_relay_servers(pool->relay);
}

/* In the order of the settings, so that nothing jumps in `top`. */
static void fill_all(struct sw_server *sv, struct sw_snapshot *s)
{
	const struct sw_settings *set = sv->settings;
	size_t n = 0, m = 0;

	for (uint32_t i = 0; i < set->nlisteners && n < s->nlistener; i++) {
		const struct sw_guarded *g = sw_server_find(sv, set->listeners[i].name);

		if (g)
			fill_listener(g, &set->listeners[i], s, &s->listener[n++]);
	}
	for (uint32_t i = 0; i < set->npools; i++) {
		const struct sw_pool *pool = sw_server_pool(sv, set->pools[i].name);
		const size_t servers = pool ? sw_relay_servers(pool->relay) : 0;

		if (!pool || servers > s->nserver - m)
			continue;
		fill_servers(pool, &s->server[m], servers);
		m += servers;
	}
	s->nlistener = n;
	s->nserver = m;
	if (n)
		s->keys = s->listener[0].keys;
}

static struct sw_snapshot *snapshot(void *arg)
{
	struct sw_server *sv = arg;
	struct sw_snapshot *s;
	size_t listeners, servers;

	count_all(sv, &listeners, &servers);
	s = sw_snapshot_new(listeners, servers);
	if (!s)
		return NULL;
	s->now = sw_server_wall();
	s->mono = sw_server_mono();
	s->started = sv->started;
	s->reload_ok = sv->reload_ok;
	s->reload_time = sv->reloaded;
	s->reloads = sv->reloads;
	s->epoch = sw_epoch_at(s->now).n;
	s->epoch_end.ns = (s->epoch + 1ull) * EPOCH_NS;
	s->log_suppressed = sw_log_suppressed();
	fill_readiness(sv, s);
	fill_all(sv, s);
	return s;
}

/* ---- operations ---- */

static int reload(void *arg, char *text, size_t size)
{
	return sw_server_reload(arg, text, size);
}

static int rekey(void *arg, char *text, size_t size)
{
	const int rc = sw_server_rekey(arg, text, size);
	const int n = (int)strcspn(text, "\n");

	if (rc < 0)
		sw_error("rekey: %.*s", n, text);
	else
		sw_info("rekey: %.*s", n, text);
	return rc;
}

static int set_drained(struct sw_server *sv, const char *name, bool on, char *text, size_t size)
{
	struct sw_guarded *g = sw_server_find(sv, name);

	if (!g) {
		snprintf(text, size, "no listener is named \"%s\"\n", name);
		return -ENOENT;
	}
	if (!g->lev || sv->phase != SW_PHASE_RUN) {
		snprintf(text, size, "synward is ending\n");
		return -EALREADY;
	}
	if (g->drained == on) {
		snprintf(text, size, "listener %s is %s already\n", name,
			 on ? "drained" : "open");
		return -EALREADY;
	}
	if (synward_listener_drain(g->lev, on) < 0) {
		const int rc = -errno;

		snprintf(text, size, "listener %s: %s\n", name, strerror(-rc));
		return rc;
	}
	g->drained = on;
	if (on)
		snprintf(text, size, "listener %s takes no new connections; still live: %" PRIu64 "\n",
			 name, sw_tag_stats(g->tag)->active);
	else
		snprintf(text, size, "listener %s takes connections again\n", name);
	sw_info("%.*s", (int)strcspn(text, "\n"), text);
	if (sv->http)
		sw_http_event(sv->http, on ? "drain" : "undrain", name, text);
	return 0;
}

static int drain(void *arg, const char *listener, char *text, size_t size)
{
	return set_drained(arg, listener, true, text, size);
}

static int undrain(void *arg, const char *listener, char *text, size_t size)
{
	return set_drained(arg, listener, false, text, size);
}

struct sw_control_ops sw_server_ops(struct sw_server *sv)
{
	return (struct sw_control_ops){
		.arg = sv,
		.snapshot = snapshot,
		.reload = reload,
		.rekey = rekey,
		.drain = drain,
		.undrain = undrain,
	};
}
