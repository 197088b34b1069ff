/* SPDX-License-Identifier: MIT */
#include "ops/stats_json.h"
#include "ops/reasons.h"

#include <jansson.h>
#include <string.h>

/* jansson keeps an error until the end: a NULL that is set or appended makes the call fail, and
 * what is missing is missing.  A whole text or none needs one flag. */
struct maker {
	bool failed;
};

static void set(struct maker *m, json_t *object, const char *key, json_t *value)
{
	m->failed |= json_object_set_new(object, key, value) < 0;
}

static void set_text(struct maker *m, json_t *object, const char *key, const char *text)
{
	set(m, object, key, json_string(text));
}

static void set_count(struct maker *m, json_t *object, const char *key, uint64_t n)
{
	set(m, object, key, json_integer((json_int_t)n));
}

static void set_real(struct maker *m, json_t *object, const char *key, double value)
{
	set(m, object, key, json_real(value));
}

static void set_time(struct maker *m, json_t *object, const char *key, sw_wall at)
{
	set_real(m, object, key, (double)at.ns / 1e9);
}

static json_t *counts_of(struct maker *m, const uint64_t *n, const char *(*name)(unsigned i))
{
	json_t *object = json_object();

	for (unsigned i = 0; name(i); i++)
		set_count(m, object, name(i), n[i]);
	return object;
}

static const char *cause_name(unsigned i)
{
	return i < SW_NEND ? sw_relay_cause_name((enum sw_relay_cause)i) : NULL;
}

static const char *dial_fail_name(unsigned i)
{
	return i < SW_NDIAL ? sw_relay_dial_fail_name((enum sw_relay_dial_fail)i) : NULL;
}

static const char *epoch_name(unsigned i)
{
	static const char *const names[SYNWARD_NEPOCH] = { "current", "previous", "next" };

	return i < SYNWARD_NEPOCH ? names[i] : NULL;
}

static const char *slot_name(unsigned i)
{
	static const char *const names[SYNWARD_MAX_KEYS] = { "active", "staged", "retired" };

	return i < SYNWARD_MAX_KEYS ? names[i] : NULL;
}

/* Proofs by something that not all of them tell: BPF counts no more than their sum. */
static json_t *proven_by(struct maker *m, const struct synward_stats *st, const uint64_t *n,
			 const char *(*name)(unsigned i))
{
	json_t *object = counts_of(m, n, name);
	uint64_t known = 0;

	for (unsigned i = 0; name(i); i++)
		known += n[i];
	set_count(m, object, "unknown", st->proven > known ? st->proven - known : 0);
	return object;
}

static void add_bucket(struct maker *m, json_t *buckets, uint64_t upper_us, uint64_t n)
{
	json_t *pair = json_array();

	m->failed |= json_array_append_new(pair, json_integer((json_int_t)upper_us)) < 0;
	m->failed |= json_array_append_new(pair, json_integer((json_int_t)n)) < 0;
	m->failed |= json_array_append_new(buckets, pair) < 0;
}

static json_t *hist_of(struct maker *m, const struct sw_hist *h)
{
	json_t *object = json_object(), *buckets = json_array();

	set_count(m, object, "count", h->count);
	set_real(m, object, "sum_seconds", (double)h->sum_us / 1e6);
	set_real(m, object, "p50_seconds", (double)sw_hist_quantile_us(h, 0.5) / 1e6);
	set_real(m, object, "p99_seconds", (double)sw_hist_quantile_us(h, 0.99) / 1e6);
	for (size_t i = 0; i < SW_HIST_BUCKETS; i++)
		if (h->bucket[i])
			add_bucket(m, buckets, sw_hist_upper_us(i), h->bucket[i]);
	set(m, object, "buckets_us", buckets);
	return object;
}

/* What nobody measures is null, not 0: in transparent mode the kernel makes the sockets and the
 * service ends the connections.  What a listener measured before a reload made it transparent stays
 * to be seen. */
static bool is_measured(const struct sw_snap_listener *l, uint64_t count)
{
	return l->mode != SW_SNAP_TRANSPARENT || count;
}

/* The kernel's side of the handoff: element i is below 2^(i+1) ns. */
static json_t *handoff_of(struct maker *m, const struct sw_snap_listener *l)
{
	const struct synward_stats *st = &l->stats;
	json_t *object, *buckets;
	uint64_t count = 0;

	for (unsigned i = 0; i < SYNWARD_HANDOFF_BUCKETS; i++)
		count += st->handoff_ns[i];
	if (!is_measured(l, count))
		return json_null();
	object = json_object();
	buckets = json_array();
	for (unsigned i = 0; i < SYNWARD_HANDOFF_BUCKETS; i++) {
		if (st->handoff_ns[i])
			add_bucket(m, buckets, ((2ull << i) + 999) / 1000, st->handoff_ns[i]);
	}
	set_count(m, object, "count", count);
	set_real(m, object, "sum_seconds", (double)st->handoff_sum_ns / 1e9);
	set(m, object, "buckets_us", buckets);
	return object;
}

static json_t *stats_of(struct maker *m, const struct synward_stats *st)
{
	json_t *object = json_object();

	set_count(m, object, "frames", st->frames);
	set_count(m, object, "syns", st->syns);
	set_count(m, object, "synacks", st->synacks);
	set_count(m, object, "proven", st->proven);
	set_count(m, object, "handed", st->handed);
	set_count(m, object, "settling", st->settling);
	set_count(m, object, "passed", st->passed);
	set_count(m, object, "dropped", st->dropped);
	set_count(m, object, "ring_lost", st->ring_lost);
	set_count(m, object, "xdp_answered", st->xdp_answered);
	set_count(m, object, "xdp_dropped", st->xdp_dropped);
	set_count(m, object, "clock_age_ms", st->clock_age_ms);
	return object;
}

static json_t *flood_of(struct maker *m, const struct sw_snap_flood *f)
{
	json_t *object = json_object();

	set(m, object, "active", json_boolean(f->active));
	set_count(m, object, "count", f->count);
	set_time(m, object, "began", f->began);
	set_real(m, object, "lasted_seconds", (double)f->lasted_ns / 1e9);
	set_count(m, object, "syn_rate", f->syn);
	set_count(m, object, "synack_rate", f->synack);
	set_count(m, object, "proven_rate", f->proven);
	set_count(m, object, "refused_rate", f->refused);
	return object;
}

static json_t *conns_of(struct maker *m, const struct sw_snap_listener *l)
{
	const struct sw_snap_conns *c = &l->conns;
	json_t *object = json_object();

	set_count(m, object, "active", c->active);
	set_count(m, object, "total", c->total);
	set_count(m, object, "bytes_client_to_server", c->to_server);
	set_count(m, object, "bytes_server_to_client", c->to_client);
	set(m, object, "closed", counts_of(m, c->ended, cause_name));
	set(m, object, "duration",
	    is_measured(l, c->duration.count) ? hist_of(m, &c->duration) : json_null());
	return object;
}

/* "a, b" as ["a", "b"]. */
static json_t *list_of(struct maker *m, const char *text)
{
	json_t *array = json_array();

	while (*text) {
		const size_t n = strcspn(text, ",");

		m->failed |= json_array_append_new(array, json_stringn(text, n)) < 0;
		text += n;
		text += strspn(text, ", ");
	}
	return array;
}

static json_t *keys_of(struct maker *m, const struct sw_snap_keys *keys)
{
	json_t *array = json_array();

	for (size_t i = 0; i < keys->n; i++) {
		json_t *object = json_object();

		set_text(m, object, "slot", keys->key[i].slot);
		set_text(m, object, "fingerprint", keys->key[i].fingerprint);
		m->failed |= json_array_append_new(array, object) < 0;
	}
	return array;
}

static json_t *listener_of(struct maker *m, const struct sw_snap_listener *l)
{
	json_t *object = json_object();

	set_text(m, object, "name", l->name);
	set_text(m, object, "interface", l->interface);
	set(m, object, "addresses", list_of(m, l->addresses));
	set_text(m, object, "mode", sw_snap_mode_name(l->mode));
	set_text(m, object, "offload", sw_snap_offload_name(l->offload));
	set_text(m, object, "xdp", sw_snap_xdp_name(l->xdp));
	set_text(m, object, "pool", l->pool);
	set(m, object, "draining", json_boolean(l->draining));
	set_count(m, object, "queued", l->stats.queued);
	set_count(m, object, "queue_depth", l->queue_depth);
	set(m, object, "stats", stats_of(m, &l->stats));
	set(m, object, "reasons", counts_of(m, l->stats.reason, synward_reason_name));
	set(m, object, "syn_refused", counts_of(m, l->stats.syn_refused, synward_reason_name));
	set(m, object, "handoff_failed", counts_of(m, l->stats.handoff_failed, synward_stage_name));
	set(m, object, "keys", keys_of(m, &l->keys));
	set(m, object, "proven_epoch",
	    proven_by(m, &l->stats, l->stats.proven_epoch, epoch_name));
	set(m, object, "proven_key", proven_by(m, &l->stats, l->stats.proven_key, slot_name));
	set(m, object, "flood", flood_of(m, &l->flood));
	set(m, object, "connections", conns_of(m, l));
	set(m, object, "handoff", handoff_of(m, l));
	return object;
}

static json_t *server_of(struct maker *m, const struct sw_snap_server *server)
{
	json_t *object = json_object();

	set_text(m, object, "pool", server->pool);
	set_text(m, object, "name", server->name);
	set(m, object, "up", json_boolean(server->up));
	set_count(m, object, "active", server->active);
	set(m, object, "failed", counts_of(m, server->failed, dial_fail_name));
	set(m, object, "connect", hist_of(m, &server->connect));
	return object;
}

static json_t *process_of(struct maker *m, const struct sw_snapshot *s)
{
	const struct sw_build_info b = sw_build_info();
	json_t *object = json_object();

	set_text(m, object, "version", b.version);
	set_text(m, object, "revision", b.revision);
	set_time(m, object, "started", s->started);
	/* The wall clock may have been set back. */
	set_real(m, object, "uptime_seconds",
		 s->now.ns > s->started.ns ? (double)(s->now.ns - s->started.ns) / 1e9 : 0);
	set_real(m, object, "cpu_seconds", s->process.cpu_seconds);
	set_count(m, object, "resident_bytes", s->process.rss_bytes);
	set_count(m, object, "open_fds", s->process.open_fds);
	set_count(m, object, "max_fds", s->process.max_fds);
	set_count(m, object, "log_suppressed", s->log_suppressed);
	return object;
}

static json_t *config_of(struct maker *m, const struct sw_snapshot *s)
{
	json_t *object = json_object();

	set(m, object, "last_reload_ok", json_boolean(s->reload_ok));
	set_time(m, object, "last_success", s->reload_time);
	set_count(m, object, "reloads", s->reloads);
	return object;
}

static json_t *clock_of(struct maker *m, const struct sw_snapshot *s)
{
	json_t *object = json_object();

	if (s->process.clock_known) {
		set(m, object, "synchronized", json_boolean(s->process.clock_synchronized));
		set_real(m, object, "max_error_seconds", s->process.clock_max_error);
	} else {
		set(m, object, "synchronized", json_null());
		set(m, object, "max_error_seconds", json_null());
	}
	set_count(m, object, "epoch", s->epoch);
	set_time(m, object, "epoch_end", s->epoch_end);
	return object;
}

/* The reasons that mean a refusal. */
static json_t *refusals_of(struct maker *m)
{
	json_t *array = json_array();

	for (unsigned why = 0; synward_reason_name(why); why++)
		if (sw_reason_is_refusal(why))
			m->failed |= json_array_append_new(
					     array, json_string(synward_reason_name(why))) < 0;
	return array;
}

char *sw_stats_json(const struct sw_snapshot *s, unsigned indent)
{
	json_t *object = json_object(), *listeners = json_array(), *servers = json_array();
	struct maker m = { false };
	char *text;

	set_time(&m, object, "now", s->now);
	set(&m, object, "ready", json_boolean(s->ready));
	set_text(&m, object, "why_not_ready", s->why_not);
	set(&m, object, "process", process_of(&m, s));
	set(&m, object, "config", config_of(&m, s));
	set(&m, object, "clock", clock_of(&m, s));
	set(&m, object, "keys", keys_of(&m, &s->keys));
	set(&m, object, "refusals", refusals_of(&m));
	for (size_t i = 0; i < s->nlistener; i++)
		m.failed |= json_array_append_new(listeners, listener_of(&m, &s->listener[i])) < 0;
	set(&m, object, "listeners", listeners);
	for (size_t i = 0; i < s->nserver; i++)
		m.failed |= json_array_append_new(servers, server_of(&m, &s->server[i])) < 0;
	set(&m, object, "servers", servers);
	text = m.failed ? NULL
			: json_dumps(object, JSON_REAL_PRECISION(15) |
						     (indent ? JSON_INDENT(indent) : JSON_COMPACT));
	json_decref(object);
	return text;
}
