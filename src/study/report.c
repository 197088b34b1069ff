/* SPDX-License-Identifier: MIT */
#include "study/report.h"

#include "study/tale.h"
#include "study/when.h"

#include <stdarg.h>
#include <string.h>

#define SCAN_PORTS 10

static void add(char *out, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void add(char *out, size_t size, const char *fmt, ...)
{
	const size_t n = strlen(out);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(out + n, size - n, fmt, ap);
	va_end(ap);
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

bool sw_report_is_scan(const struct sw_top_entry *e)
{
	return sw_top_ports(e) >= SCAN_PORTS && e->refused + e->half_open > e->opened;
}

const char *sw_report_hint(enum sw_why why)
{
	switch (why) {
	case SW_WHY_SHORT:
		return "the capture kept too few bytes of a packet: tcpdump -s 0";
	case SW_WHY_BAD_IP_CHECKSUM:
		return "made on the sending host before the network card filled it in?";
	case SW_WHY_FRAGMENT:
		return "TCP in fragments is never followed, here or by the front end";
	default:
		return NULL;
	}
}

const char *sw_report_flood(const struct sw_summary *s, const struct sw_target *t,
			    char out[SW_FLOOD_TEXT])
{
	const uint64_t left = sw_target_unopened(t), silent = t->outcome[SW_OUTCOME_UNANSWERED];
	char where[SW_ENDPOINT_TEXT] = "other targets", n[SW_COUNT_TEXT], m[SW_COUNT_TEXT];

	if (!sw_target_is_rest(s, t))
		sw_endpoint_text(t->family, &t->addr, t->port, where);
	snprintf(out, SW_FLOOD_TEXT, "%s: %s attempts from about %s sources, %.1f %% never opened",
		 where, sw_count_text(t->attempts, n),
		 sw_count_text(sw_distinct_count(&t->sources), m), percent(left, t->attempts));
	add(out, SW_FLOOD_TEXT, " (%.1f %% never answered, %.1f %% answered and left half-open)",
	    percent(silent, t->attempts),
	    percent(t->outcome[SW_OUTCOME_HALF_OPEN] + t->outcome[SW_OUTCOME_HALF_OPEN_RESET],
		    t->attempts));
	add(out, SW_FLOOD_TEXT, "; source entropy %.2f of %.2f bits", sw_spread_bits(&t->spread),
	    sw_spread_most(&t->spread));
	if (t->rate.peak[0].count)
		add(out, SW_FLOOD_TEXT, "; peak %s SYN/s",
		    sw_count_text(t->rate.peak[0].count, n));
	if (t->hping)
		add(out, SW_FLOOD_TEXT, "; %.1f %% look like hping3", percent(t->hping, t->attempts));
	if (t->scanner)
		add(out, SW_FLOOD_TEXT, "; %.1f %% look like a scanner",
		    percent(t->scanner, t->attempts));
	if (t->bare > t->hping)
		add(out, SW_FLOOD_TEXT, "; %.1f %% carry no options", percent(t->bare, t->attempts));
	if (t->with_data)
		add(out, SW_FLOOD_TEXT, "; %.1f %% carry data in the SYN",
		    percent(t->with_data, t->attempts));
	return out;
}

static void put_capture(FILE *out, const struct sw_summary *s, const struct sw_explain_config *cf)
{
	char n[SW_COUNT_TEXT], m[SW_COUNT_TEXT], b[SW_COUNT_TEXT], t[SW_TIME_TEXT],
		span[SW_COUNT_TEXT];

	fprintf(out, "%s: %s packets, %s of them TCP, %s", cf->name, sw_count_text(s->packets, n),
		sw_count_text(s->segments, m), sw_bytes_text(s->bytes, b));
	if (s->packets)
		fprintf(out, ", from %s over %s", sw_time_text(s->first, t),
			sw_span_text(sw_between(s->first, s->last), span));
	fprintf(out, "\n");
	for (unsigned why = 0; why < SW_NWHY; why++) {
		const char *hint = sw_report_hint((enum sw_why)why);

		if (s->refused[why])
			fprintf(out, "  not followed: %s frames, the first is packet %llu: %s%s%s%s\n",
				sw_count_text(s->refused[why], n),
				(unsigned long long)s->refused_first[why],
				sw_why_text((enum sw_why)why), hint ? " (" : "", hint ? hint : "",
				hint ? ")" : "");
	}
}

static void put_counts(FILE *out, const struct sw_summary *s)
{
	char n[SW_COUNT_TEXT];

	fprintf(out, "\nconnections: %s\n", sw_count_text(s->flows, n));
	for (unsigned o = 0; o < SW_NOUTCOME; o++) {
		if (s->outcome[o])
			fprintf(out, "%12s  %-16s %s\n", sw_count_text(s->outcome[o], n),
				sw_outcome_name((enum sw_outcome)o),
				sw_outcome_text((enum sw_outcome)o));
	}
	for (unsigned c = SW_CLOSE_NONE + 1; c < SW_NCLOSE; c++) {
		if (s->close[c])
			fprintf(out, "%12s  closed %s\n", sw_count_text(s->close[c], n),
				sw_close_name((enum sw_close)c));
	}
	fprintf(out, "\nfindings (connections)\n");
	for (unsigned f = 0; f < SW_NFIND; f++) {
		if (s->finding[f])
			fprintf(out, "%12s  %s\n", sw_count_text(s->finding[f], n), sw_find_text(f));
	}
	for (unsigned r = 1; r < SW_NRST; r++) {
		if (s->rst[r])
			fprintf(out, "%12s  reset: %s\n", sw_count_text(s->rst[r], n),
				sw_rst_text((enum sw_rst)r));
	}
}

static void put_core(FILE *out, const struct sw_summary *s)
{
	char n[SW_COUNT_TEXT];
	bool any = false;

	for (unsigned why = 0; why < SW_NWHY; why++) {
		if (!s->why[why])
			continue;
		fprintf(out, "%s%12s  %-18s %s\n", any ? "" : "\nthe core's reasons (packets)\n",
			sw_count_text(s->why[why], n), sw_why_name((enum sw_why)why),
			sw_why_text((enum sw_why)why));
		any = true;
	}
}

static void put_rate(FILE *out, const struct sw_rate *r)
{
	char n[SW_COUNT_TEXT], t[SW_TIME_TEXT];

	if (!r->total)
		return;
	fprintf(out, "\nSYNs: %s; the most in a second:", sw_count_text(r->total, n));
	for (size_t i = 0; i < SW_RATE_PEAKS && r->peak[i].count; i++)
		fprintf(out, "%s %s at %s", i ? "," : "", sw_count_text(r->peak[i].count, n),
			sw_time_text((sw_wall){ r->peak[i].second * 1000000000u }, t));
	fprintf(out, "\n");
}

static void put_floods(FILE *out, const struct sw_summary *s)
{
	char text[SW_FLOOD_TEXT];
	size_t shown = 0;

	for (size_t i = 0; i <= SW_TARGETS && shown < SW_REPORT_TARGETS; i++) {
		if (!sw_target_is_flooded(&s->target[i]))
			continue;
		fprintf(out, "%s  %s\n", shown++ ? "" : "\nfloods (a target with mostly unfinished "
			"attempts)\n", sw_report_flood(s, &s->target[i], text));
	}
}

static void put_talkers(FILE *out, const struct sw_summary *s)
{
	char addr[SW_ENDPOINT_TEXT], n[SW_COUNT_TEXT], b[SW_COUNT_TEXT];

	for (size_t i = 0; i < s->top.n && i < SW_REPORT_TOP; i++) {
		const struct sw_top_entry *e = &s->top.entry[i];

		if (!sw_top_is_certain(e))
			break;
		fprintf(out, "%s%12s  %s, %s of data", i ? "" : "\ntop talkers (packets)\n",
			sw_count_text(e->packets, n), sw_addr_text(e->family, &e->addr, addr),
			sw_bytes_text(e->bytes, b));
		if (e->error)
			fprintf(out, ", counted %llu too high at most",
				(unsigned long long)e->error);
		if (sw_report_is_scan(e))
			fprintf(out, ", a port scan: about %u ports, %llu refused, %llu half-open",
				sw_top_ports(e), (unsigned long long)e->refused,
				(unsigned long long)e->half_open);
		fprintf(out, "\n");
	}
}

static void put_limits(FILE *out, const struct sw_summary *s, const struct sw_explain_config *cf,
		       const struct sw_explain_result *r)
{
	char n[SW_COUNT_TEXT], m[SW_COUNT_TEXT];

	fprintf(out, "\n");
	if (r->undrawn)
		fprintf(out, "%s more connections are not drawn: --ladders N, or choose by "
			"--show NAME or a filter\n", sw_count_text(r->undrawn, n));
	if (r->collapsed)
		fprintf(out, "%s connections that never opened are only counted, as a flood; --all "
			"draws those still in the table\n", sw_count_text(r->collapsed, n));
	if (s->evicted_unopened + s->evicted_alive)
		fprintf(out, "the table of %zu connections was full: %s unopened and %s open ones "
			"left it early; --flows N makes it larger\n", cf->flows,
			sw_count_text(s->evicted_unopened, n), sw_count_text(s->evicted_alive, m));
	if (r->unsearched)
		fprintf(out, "%s refused packets have the plain reason: at most %d a second and %d in "
			"all are compared with other ports, times and numbers\n",
			sw_count_text(r->unsearched, n), SW_EXPLAIN_SEARCHES,
			SW_EXPLAIN_SEARCHES_MAX);
	if (r->damaged)
		fprintf(out, "the capture is damaged; this is what could be read before: %s\n",
			r->err);
}

void sw_report_text(FILE *out, struct sw_summary *s, const struct sw_explain_config *cf,
		    const struct sw_explain_result *r)
{
	put_capture(out, s, cf);
	if (s->flows)
		put_counts(out, s);
	put_core(out, s);
	put_rate(out, &s->syn_rate);
	put_floods(out, s);
	put_talkers(out, s);
	put_limits(out, s, cf, r);
}
