/* SPDX-License-Identifier: MIT */
#include "ops/metrics.h"
#include "ops/stats_json.h"
#include "scene.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>

TestSuite(metrics, .timeout = 30);

/* @return the text, which the caller frees. */
static char *render(const struct sw_snapshot *s)
{
	struct evbuffer *buf = evbuffer_new();
	size_t len;
	char *text;

	cr_assert_eq(sw_metrics_write(buf, s), 0);
	len = evbuffer_get_length(buf);
	text = calloc(1, len + 1);
	cr_assert_eq(evbuffer_remove(buf, text, len), (int)len);
	evbuffer_free(buf);
	return text;
}

/* The sum of all samples of a metric whose labels contain @labels. */
static double sum(const char *text, const char *name, const char *labels)
{
	const size_t n = strlen(name);
	double total = 0;
	unsigned found = 0;

	for (const char *at = text; at && *at; at = strchr(at, '\n'), at += at != NULL) {
		const char *end = strchr(at, '\n'), *value, *where;

		if (strncmp(at, name, n) != 0 || (at[n] != '{' && at[n] != ' '))
			continue;
		where = strstr(at, labels);
		if (!where || where > end)
			continue;
		value = end;
		while (value[-1] != ' ')
			value--;
		total += strtod(value, NULL);
		found++;
	}
	cr_assert_gt(found, 0, "no sample of %s with %s", name, labels);
	return total;
}

Test(metrics, syns_are_what_was_answered_and_what_was_refused)
{
	struct sw_snapshot *s = scene();
	char *text = render(s);
	static const char *const names[] = { "listener=\"web\"", "listener=\"ssh\"" };

	for (int i = 0; i < 2; i++)
		cr_expect_eq(sum(text, "synward_syns_received_total", names[i]),
			     sum(text, "synward_cookies_issued_total", names[i]) +
				     sum(text, "synward_syns_refused_total", names[i]));
	cr_expect_eq(sum(text, "synward_syns_received_total", "web"),
		     (double)s->listener[0].stats.syns);
	free(text);
	sw_snapshot_free(s);
}

Test(metrics, proven_is_what_was_handed_over_what_waits_and_what_failed)
{
	struct sw_snapshot *s = scene();
	char *text = render(s);
	static const char *const names[] = { "listener=\"web\"", "listener=\"ssh\"" };

	for (int i = 0; i < 2; i++)
		cr_expect_eq(sum(text, "synward_cookies_accepted_total", names[i]),
			     sum(text, "synward_handoffs_total", names[i]) +
				     sum(text, "synward_handoffs_pending", names[i]) +
				     sum(text, "synward_handoff_failures_total", names[i]));
	free(text);
	sw_snapshot_free(s);
}

Test(metrics, every_reason_is_there_from_the_start)
{
	struct sw_snapshot *s = sw_snapshot_new(1, 0);
	char *text, label[64];

	snprintf(s->listener[0].name, sizeof(s->listener[0].name), "web");
	text = render(s);
	for (unsigned why = 0; synward_reason_name(why); why++) {
		const enum sw_reason_class class = sw_reason_class(why);
		const char *name = class == SW_CLASS_DROPPED  ? "synward_packets_dropped_total"
				   : class == SW_CLASS_LEFT   ? "synward_packets_ignored_total"
				   : class == SW_CLASS_COOKIE ? "synward_cookies_rejected_total"
							      : NULL;

		if (!name || why == SW_WHY_RING_LOST)
			continue;
		snprintf(label, sizeof(label), "reason=\"%s\"", synward_reason_name(why));
		cr_expect_eq(sum(text, name, label), 0);
	}
	for (unsigned i = 0; synward_stage_name(i); i++) {
		snprintf(label, sizeof(label), "stage=\"%s\"", synward_stage_name(i));
		cr_expect_eq(sum(text, "synward_handoff_failures_total", label), 0);
	}
	for (int i = 0; i < SW_NEND; i++) {
		snprintf(label, sizeof(label), "cause=\"%s\"",
			 sw_relay_cause_name((enum sw_relay_cause)i));
		cr_expect_eq(sum(text, "synward_connections_closed_total", label), 0);
	}
	free(text);
	sw_snapshot_free(s);
}

Test(metrics, each_refused_packet_is_in_one_metric)
{
	struct sw_snapshot *s = scene();
	char *text = render(s);
	double refused = 0;

	for (int i = 0; i < 2; i++)
		for (unsigned why = 0; why < SW_NWHY; why++)
			if (sw_reason_class(why) == SW_CLASS_DROPPED && why != SW_WHY_RING_LOST)
				refused += (double)s->listener[i].stats.reason[why];
	cr_expect_eq(sum(text, "synward_packets_dropped_total", "reason"), refused);
	free(text);
	sw_snapshot_free(s);
}

/* A name is declared once, before its samples, and its samples are together and all different. */
Test(metrics, the_text_is_well_formed)
{
	struct sw_snapshot *s = scene();
	char *text = render(s), *whole = strdup(text), *rest = text, *line, name[128] = "";
	size_t nline = 0;
	char *seen[4096];

	cr_assert_eq(text[strlen(text) - 1], '\n');
	while ((line = strsep(&rest, "\n")) && *line) {
		char now[128], help[160], *space = strrchr(line, ' ');

		cr_assert(space != NULL, "%s", line);
		if (sscanf(line, "# HELP %127s", now) == 1) {
			snprintf(help, sizeof(help), "# HELP %s ", now);
			cr_assert_eq(strstr(strstr(whole, help) + 1, help), NULL, "twice: %s", now);
			snprintf(name, sizeof(name), "%s", now);
			continue;
		}
		if (line[0] == '#')
			continue;
		cr_assert_eq(strncmp(line, name, strlen(name)), 0, "%s among those of %s", line,
			     name);
		*space = '\0';
		for (size_t i = 0; i < nline; i++)
			cr_assert_str_neq(seen[i], line);
		cr_assert_lt(nline, sizeof(seen) / sizeof(seen[0]));
		seen[nline++] = line;
	}
	free(whole);
	free(text);
	sw_snapshot_free(s);
}

Test(metrics, histograms_grow_and_end_with_their_count)
{
	struct sw_snapshot *s = scene();
	char *text = render(s), *at = text;
	const char *name = "synward_connection_duration_seconds_bucket{listener=\"web\"";
	double last = 0, value = 0;
	unsigned n = 0;

	while ((at = strstr(at, name))) {
		value = strtod(strchr(at, '}') + 1, NULL);
		cr_assert_geq(value, last);
		last = value;
		n++;
		at++;
	}
	cr_assert_gt(n, 10);
	cr_assert_eq(value, (double)s->listener[0].conns.duration.count, "le=\"+Inf\" is all");
	cr_assert_eq(sum(text, "synward_connection_duration_seconds_count", "web"), value);
	cr_assert_eq(sum(text, "synward_handoff_duration_seconds_count", "web"), 17 * 11);
	free(text);
	sw_snapshot_free(s);
}

Test(metrics, labels_are_escaped)
{
	struct sw_snapshot *s = sw_snapshot_new(1, 0);
	char *text;

	snprintf(s->listener[0].name, sizeof(s->listener[0].name), "a\"b\\c\nd");
	text = render(s);
	cr_expect(strstr(text, "synward_flood_active{listener=\"a\\\"b\\\\c\\nd\"} 0\n") != NULL);
	free(text);
	sw_snapshot_free(s);
}

Test(metrics, an_interface_with_two_listeners_is_told_once)
{
	struct sw_snapshot *s = scene();
	char *text = render(s);

	cr_expect_eq(sum(text, "synward_xdp_attached", "interface=\"eth0\""), 1);
	free(text);
	sw_snapshot_free(s);
}

/* The same numbers in both renderings. */
Test(metrics, json_and_prometheus_agree)
{
	struct sw_snapshot *s = scene();
	char *text = render(s), *json = sw_stats_json(s, 0), label[64];
	json_t *all = json_loads(json, 0, NULL), *l;
	size_t i;

	cr_assert_neq(all, NULL);
	json_array_foreach(json_object_get(all, "listeners"), i, l)
	{
		const json_t *stats = json_object_get(l, "stats");
		const json_t *conns = json_object_get(l, "connections");
		const json_t *flood = json_object_get(l, "flood");
		const struct {
			const json_t *in;
			const char *key, *metric;
		} rows[] = {
			{ stats, "syns", "synward_syns_received_total" },
			{ stats, "synacks", "synward_synacks_sent_total" },
			{ stats, "proven", "synward_cookies_accepted_total" },
			{ stats, "handed", "synward_handoffs_total" },
			{ conns, "active", "synward_connections_active" },
			{ conns, "total", "synward_connections_total" },
			{ flood, "count", "synward_floods_total" },
		};

		snprintf(label, sizeof(label), "listener=\"%s\"",
			 json_string_value(json_object_get(l, "name")));
		for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++)
			cr_expect_eq(sum(text, rows[k].metric, label),
				     json_number_value(json_object_get(rows[k].in, rows[k].key)),
				     "%s of %s", rows[k].key, label);
	}
	cr_expect_eq(json_array_size(json_object_get(
			     json_array_get(json_object_get(all, "listeners"), 0), "addresses")),
		     2);
	json_decref(all);
	free(json);
	free(text);
	sw_snapshot_free(s);
}

static json_int_t number(const json_t *object, const char *group, const char *key)
{
	const json_t *value = json_object_get(json_object_get(object, group), key);

	cr_assert(json_is_integer(value), "%s.%s is no number", group, key);
	return json_integer_value(value);
}

/* @return /stats; the caller lets go of it. */
static json_t *stats_of(const struct sw_snapshot *s)
{
	char *text = sw_stats_json(s, 0);
	json_t *all = json_loads(text, 0, NULL);

	free(text);
	cr_assert_not_null(all, "no JSON");
	return all;
}

static json_t *listener(json_t *all, size_t i)
{
	return json_array_get(json_object_get(all, "listeners"), i);
}

/* What a packet thread tells of each proof, and the rest. */
Test(metrics, json_of_proofs_adds_up)
{
	struct sw_snapshot *s = scene();
	json_t *all = stats_of(s), *l = listener(all, 0);
	const json_int_t proven = (json_int_t)s->listener[0].stats.proven;
	const json_t *key = json_array_get(json_object_get(l, "keys"), 0);

	cr_expect_eq(number(l, "proven_epoch", "current"), proven - 5);
	cr_expect_eq(number(l, "proven_epoch", "previous"), 4);
	cr_expect_eq(number(l, "proven_epoch", "next"), 1);
	cr_expect_eq(number(l, "proven_epoch", "unknown"), 0);
	cr_expect_eq(number(l, "proven_key", "active"), proven - 20);
	cr_expect_eq(number(l, "proven_key", "staged"), 0);
	cr_expect_eq(number(l, "proven_key", "retired"), 11);
	cr_expect_eq(number(l, "proven_key", "unknown"), 9);
	cr_expect_str_eq(json_string_value(json_object_get(key, "fingerprint")), "00000011");
	cr_expect_str_eq(json_string_value(json_object_get(key, "slot")), "active");
	json_decref(all);
	sw_snapshot_free(s);
}

/* BPF and the kernel make the connections: what nobody measured is null, what nobody told apart is
 * unknown, and the keys are known all the same. */
Test(metrics, json_of_a_transparent_listener)
{
	struct sw_snapshot *s = scene();
	struct sw_snap_listener *one = &s->listener[0];
	json_t *all, *l;

	one->mode = SW_SNAP_TRANSPARENT;
	all = stats_of(s);
	cr_expect(json_is_object(json_object_get(listener(all, 0), "handoff")),
		  "what it measured before a reload is lost");
	json_decref(all);
	memset(one->stats.proven_epoch, 0, sizeof(one->stats.proven_epoch));
	memset(one->stats.proven_key, 0, sizeof(one->stats.proven_key));
	memset(one->stats.handoff_ns, 0, sizeof(one->stats.handoff_ns));
	memset(&one->conns, 0, sizeof(one->conns));
	all = stats_of(s);
	l = listener(all, 0);
	cr_expect(json_is_null(json_object_get(l, "handoff")), "handoff");
	cr_expect(json_is_null(json_object_get(json_object_get(l, "connections"), "duration")),
		  "duration");
	cr_expect_eq(number(l, "proven_epoch", "unknown"), (json_int_t)one->stats.proven);
	cr_expect_eq(number(l, "proven_key", "unknown"), (json_int_t)one->stats.proven);
	cr_expect_eq(json_array_size(json_object_get(l, "keys")), 1, "keys");
	l = listener(all, 1);
	cr_expect(json_is_object(json_object_get(l, "handoff")), "of a relay");
	cr_expect(json_is_object(json_object_get(json_object_get(l, "connections"), "duration")),
		  "of a relay");
	json_decref(all);
	sw_snapshot_free(s);
}
