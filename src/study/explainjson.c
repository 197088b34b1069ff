/* SPDX-License-Identifier: MIT */
#include "study/explainjson.h"

#include "study/layout.h"
#include "study/report.h"
#include "study/tale.h"
#include "study/when.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

struct sw_json {
	FILE *out; /* borrowed */
	bool any;
};

static void set_int(json_t *o, const char *key, uint64_t v)
{
	json_object_set_new(o, key, json_integer((json_int_t)v));
}

/* Nothing in the capture reaches a string here unescaped: jansson sees to it. */
static void set_text(json_t *o, const char *key, const char *v)
{
	json_t *text = v && *v ? json_string(v) : NULL; /* NULL for a name that is no UTF-8 */

	json_object_set_new(o, key, text ? text : json_null());
}

static void set_bool(json_t *o, const char *key, bool v)
{
	json_object_set_new(o, key, json_boolean(v));
}

static json_t *names_of(uint32_t bits, unsigned n, const char *(*name)(unsigned))
{
	json_t *a = json_array();

	for (unsigned i = 0; i < n; i++) {
		if (bits >> i & 1)
			json_array_append_new(a, json_string(name(i)));
	}
	return a;
}

static json_t *options_of(const struct sw_side *s)
{
	const struct sw_tcpopt *opt = &s->opt;
	json_t *o = json_object();

	if (!s->syn) {
		json_decref(o);
		return json_null();
	}
	json_object_set_new(o, "mss", opt->mss ? json_integer(opt->mss) : json_null());
	json_object_set_new(o, "wscale", opt->wscale_ok ? json_integer(opt->wscale) : json_null());
	set_bool(o, "sack", opt->sack);
	json_object_set_new(o, "tsval", opt->ts ? json_integer(opt->tsval) : json_null());
	set_int(o, "window", s->syn_window);
	return o;
}

static json_t *side_of(const struct sw_side *s)
{
	json_t *o = json_object();

	set_int(o, "packets", s->packets);
	set_int(o, "bytes", s->bytes);
	set_int(o, "retransmissions", s->retransmissions);
	set_int(o, "reordered", s->reordered);
	set_int(o, "copies", s->copies);
	set_int(o, "resets", s->resets);
	json_object_set_new(o, "isn", s->syn ? json_integer(s->isn) : json_null());
	set_int(o, "syns", s->syn_count);
	set_int(o, "synacks", s->synack_count);
	set_bool(o, "fin", s->fin);
	set_bool(o, "fin_acked", s->fin_acked);
	json_object_set_new(o, "options", options_of(s));
	return o;
}

static json_t *reset_of(const struct sw_track *t)
{
	json_t *o;

	if (t->rst == SW_RST_NONE)
		return json_null();
	o = json_object();
	set_text(o, "by", sw_end_name(t->rst_by));
	set_text(o, "reason", sw_rst_name(t->rst));
	set_text(o, "text", sw_rst_text(t->rst));
	set_int(o, "packet", t->rst_number);
	return o;
}

static json_t *close_of(const struct sw_track *t)
{
	const unsigned wait = sw_track_time_wait(t);
	json_t *o, *holders = json_array();

	for (unsigned end = 0; end < 2; end++) {
		if (wait >> end & 1)
			json_array_append_new(holders, json_string(sw_end_name((enum sw_end)end)));
	}
	o = json_object();
	set_text(o, "kind", sw_close_name(sw_track_close(t)));
	set_text(o, "first", t->side[0].fin || t->side[1].fin ? sw_end_name(t->first_fin) : NULL);
	json_object_set_new(o, "time_wait", holders);
	return o;
}

static json_t *layout_of(const struct sw_flow *f)
{
	struct sw_layout l;
	json_t *o;

	if (!sw_layout_of(&f->track, f->key.family, &l))
		return json_null();
	o = json_object();
	set_text(o, "form", l.form == SW_FORM_WIDE ? "wide" : "narrow");
	set_int(o, "epoch_parity", l.parity);
	set_int(o, "mss", l.terms.mss);
	json_object_set_new(o, "wscale",
			    l.terms.wscale_ok ? json_integer(l.terms.wscale) : json_null());
	set_bool(o, "sack", l.terms.sack);
	set_bool(o, "ecn", l.terms.ecn);
	set_bool(o, "fits", l.fits);
	return o;
}

static json_t *fold_of(const struct sw_rung *row)
{
	json_t *o = json_object();

	for (int end = 0; end < 2; end++) {
		json_t *side = json_object();

		set_int(side, "packets", row->folded[end]);
		set_int(side, "bytes", row->bytes[end]);
		json_object_set_new(o, sw_end_name((enum sw_end)end), side);
	}
	return o;
}

static json_t *row_of(const struct sw_rung *row)
{
	json_t *o = json_object();
	char flags[SW_TALE_FLAGS];

	set_int(o, "packet", row->number);
	json_object_set_new(o, "seconds", json_real((double)row->at / 1e9));
	json_object_set_new(o, "marks", names_of(row->marks, SW_NMARK, sw_mark_name));
	if (sw_rung_is_fold(row)) {
		json_object_set_new(o, "folded", fold_of(row));
		return o;
	}
	set_text(o, "from", sw_end_name((enum sw_end)row->from));
	set_text(o, "flags", sw_tale_flags(row->flags, flags));
	set_int(o, "seq", row->seq);
	set_int(o, "ack", row->ack);
	set_int(o, "len", row->len);
	set_int(o, "window", row->window);
	if (row->word) {
		json_t *core = json_object();

		set_text(core, "verdict", row->word);
		set_text(core, "reason", row->reason);
		set_text(core, "text", row->note);
		json_object_set_new(o, "core", core);
	}
	return o;
}

static void set_track(json_t *o, const struct sw_track *t)
{
	static const char *const lost[] = { "mss", "wscale", "sack", "ts" };
	json_t *options = json_array();

	for (unsigned i = 0; i < 4; i++) {
		if (t->lost_options >> i & 1)
			json_array_append_new(options, json_string(lost[i]));
	}
	set_text(o, "outcome", sw_outcome_name(sw_track_outcome(t)));
	set_bool(o, "opened", t->opened);
	set_int(o, "completeness", t->completeness);
	json_object_set_new(o, "findings", names_of(t->findings, SW_NFIND, sw_find_name));
	json_object_set_new(o, "options_lost", options);
	json_object_set_new(o, "close", close_of(t));
	json_object_set_new(o, "reset", reset_of(t));
	json_object_set_new(o, "client", side_of(&t->side[SW_CLIENT]));
	json_object_set_new(o, "server", side_of(&t->side[SW_SERVER]));
}

static json_t *flow_of(const struct sw_flow *f, const struct sw_look *look)
{
	char a[SW_ENDPOINT_TEXT], b[SW_ENDPOINT_TEXT], when[SW_TIME_TEXT];
	json_t *o = json_object(), *rows = json_array();

	set_int(o, "id", f->id);
	set_text(o, "from", sw_endpoint_text(f->key.family, &f->key.client, f->key.cport, a));
	set_text(o, "to", sw_endpoint_text(f->key.family, &f->key.server, f->key.sport, b));
	set_bool(o, "guessed", f->guessed);
	set_text(o, "start", sw_time_text(f->track.start, when));
	set_int(o, "first_packet", f->first);
	set_track(o, &f->track);
	if (!look->keyed)
		json_object_set_new(o, "layout", layout_of(f));
	for (size_t i = 0; i < f->rungs.n; i++)
		json_array_append_new(rows, row_of(&f->rungs.rung[i]));
	json_object_set_new(o, "packets", rows);
	return o;
}

/* Takes @o. */
static int put(struct sw_json *j, json_t *o)
{
	int rc;

	if (!o)
		return -ENOMEM;
	errno = 0;
	rc = json_dumpf(o, j->out, JSON_COMPACT | JSON_REAL_PRECISION(9));
	json_decref(o);
	if (rc == 0)
		return 0;
	return errno ? -errno : -EIO;
}

int sw_json_begin(struct sw_json **out, FILE *fp)
{
	struct sw_json *j = calloc(1, sizeof(*j));

	if (!j)
		return -ENOMEM;
	j->out = fp;
	fputs("{\"connections\":[", fp);
	*out = j;
	return 0;
}

int sw_json_flow(struct sw_json *j, const struct sw_flow *flow, const struct sw_look *look)
{
	fputs(j->any ? ",\n" : "\n", j->out);
	j->any = true;
	return put(j, flow_of(flow, look));
}

static json_t *rate_of(const struct sw_rate *r)
{
	json_t *o = json_object(), *peaks = json_array();
	char when[SW_TIME_TEXT];

	set_int(o, "total", r->total);
	for (size_t i = 0; i < SW_RATE_PEAKS && r->peak[i].count; i++) {
		json_t *p = json_object();
		const sw_wall at = { r->peak[i].second * 1000000000u };

		set_text(p, "at", sw_time_text(at, when));
		set_int(p, "count", r->peak[i].count);
		json_array_append_new(peaks, p);
	}
	json_object_set_new(o, "peaks", peaks);
	return o;
}

static void set_outcomes(json_t *o, const uint64_t *n)
{
	json_t *outcomes = json_object();

	for (unsigned i = 0; i < SW_NOUTCOME; i++)
		set_int(outcomes, sw_outcome_name((enum sw_outcome)i), n[i]);
	json_object_set_new(o, "outcomes", outcomes);
}

static json_t *target_of(const struct sw_summary *s, const struct sw_target *t)
{
	char where[SW_ENDPOINT_TEXT] = "others", text[SW_FLOOD_TEXT];
	json_t *o = json_object();

	if (!sw_target_is_rest(s, t))
		sw_endpoint_text(t->family, &t->addr, t->port, where);
	set_text(o, "target", where);
	set_int(o, "attempts", t->attempts);
	set_int(o, "syns", t->syns);
	set_int(o, "unopened", sw_target_unopened(t));
	set_int(o, "sources", sw_distinct_count(&t->sources));
	json_object_set_new(o, "source_entropy_bits", json_real(sw_spread_bits(&t->spread)));
	json_object_set_new(o, "source_entropy_most", json_real(sw_spread_most(&t->spread)));
	set_int(o, "looks_like_hping3", t->hping);
	set_int(o, "looks_like_scanner", t->scanner);
	set_int(o, "no_options", t->bare);
	set_int(o, "syn_data", t->with_data);
	json_object_set_new(o, "rate", rate_of(&t->rate));
	set_outcomes(o, t->outcome);
	set_bool(o, "flood", sw_target_is_flooded(t));
	if (sw_target_is_flooded(t))
		set_text(o, "text", sw_report_flood(s, t, text));
	return o;
}

static json_t *targets_of(const struct sw_summary *s)
{
	json_t *a = json_array();

	for (size_t i = 0; i <= SW_TARGETS; i++) {
		if (s->target[i].attempts)
			json_array_append_new(a, target_of(s, &s->target[i]));
	}
	return a;
}

static json_t *talkers_of(const struct sw_summary *s)
{
	char addr[SW_ENDPOINT_TEXT];
	json_t *a = json_array();

	for (size_t i = 0; i < s->top.n && i < SW_REPORT_TOP &&
	     sw_top_is_certain(&s->top.entry[i]); i++) {
		const struct sw_top_entry *e = &s->top.entry[i];
		json_t *o = json_object();

		set_text(o, "address", sw_addr_text(e->family, &e->addr, addr));
		set_int(o, "packets", e->packets);
		set_int(o, "too_high_by", e->error);
		set_int(o, "bytes", e->bytes);
		set_int(o, "syns", e->syns);
		set_int(o, "opened", e->opened);
		set_int(o, "refused", e->refused);
		set_int(o, "half_open", e->half_open);
		set_int(o, "ports", sw_top_ports(e));
		set_bool(o, "scan", sw_report_is_scan(e));
		json_array_append_new(a, o);
	}
	return a;
}

static json_t *counts_of(const uint64_t *n, unsigned len, const char *(*name)(unsigned))
{
	json_t *o = json_object();

	for (unsigned i = 0; i < len; i++) {
		if (n[i])
			set_int(o, name(i), n[i]);
	}
	return o;
}

static const char *why_name(unsigned i)
{
	return sw_why_name((enum sw_why)i);
}

static const char *rst_name(unsigned i)
{
	return sw_rst_name((enum sw_rst)i);
}

static const char *close_name(unsigned i)
{
	return i ? sw_close_name((enum sw_close)i) : "none";
}

static json_t *limits_of(const struct sw_summary *s, const struct sw_explain_config *cf,
			 const struct sw_explain_result *r)
{
	json_t *o = json_object();

	set_int(o, "table", cf->flows);
	set_int(o, "evicted_unopened", s->evicted_unopened);
	set_int(o, "evicted_open", s->evicted_alive);
	set_int(o, "evicted_ended", s->evicted_over);
	set_int(o, "only_counted", r->collapsed);
	set_int(o, "not_searched", r->unsearched);
	set_text(o, "damaged", r->damaged ? r->err : NULL);
	return o;
}

static json_t *summary_of(const struct sw_summary *s, const struct sw_explain_config *cf,
			  const struct sw_explain_result *r)
{
	char when[SW_TIME_TEXT];
	json_t *o = json_object();

	set_text(o, "capture", cf->name);
	set_int(o, "packets", s->packets);
	set_int(o, "segments", s->segments);
	set_int(o, "bytes", s->bytes);
	set_text(o, "start", s->packets ? sw_time_text(s->first, when) : NULL);
	json_object_set_new(o, "seconds", json_real((double)sw_between(s->first, s->last) / 1e9));
	json_object_set_new(o, "not_followed", counts_of(s->refused, SW_NWHY, why_name));
	set_int(o, "connections", s->flows);
	set_outcomes(o, s->outcome);
	json_object_set_new(o, "closes", counts_of(s->close, SW_NCLOSE, close_name));
	json_object_set_new(o, "findings", counts_of(s->finding, SW_NFIND, sw_find_name));
	json_object_set_new(o, "resets", counts_of(s->rst, SW_NRST, rst_name));
	json_object_set_new(o, "marks", counts_of(s->mark, SW_NMARK, sw_mark_name));
	json_object_set_new(o, "core", counts_of(s->why, SW_NWHY, why_name));
	set_int(o, "syn_sources", sw_distinct_count(&s->sources));
	json_object_set_new(o, "syn_rate", rate_of(&s->syn_rate));
	json_object_set_new(o, "open_rate", rate_of(&s->open_rate));
	json_object_set_new(o, "targets", targets_of(s));
	json_object_set_new(o, "talkers", talkers_of(s));
	json_object_set_new(o, "limits", limits_of(s, cf, r));
	return o;
}

int sw_json_end(struct sw_json *j, struct sw_summary *s, const struct sw_explain_config *cf,
		const struct sw_explain_result *r)
{
	int rc;

	fputs("\n],\n\"summary\":", j->out);
	rc = put(j, summary_of(s, cf, r));
	fputs("}\n", j->out);
	return rc;
}

void sw_json_free(struct sw_json *j)
{
	free(j);
}
