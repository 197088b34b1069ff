/* SPDX-License-Identifier: MIT */
#include "ops/metrics.h"
#include "ops/metrics_rows.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The text between the quotes of a label: a backslash before \, " and a line's end. */
static void escape(const char *from, char *to, size_t size)
{
	size_t n = 0;

	for (; *from && n + 3 < size; from++) {
		if (*from == '\\' || *from == '"' || *from == '\n')
			to[n++] = '\\';
		to[n++] = *from == '\n' ? 'n' : *from;
	}
	to[n] = '\0';
}

void sw_metric_rows_label(struct sw_metric_rows *r, const char *name, const char *value)
{
	const size_t at = strlen(r->labels);
	char safe[160];

	escape(value, safe, sizeof(safe));
	snprintf(r->labels + at, sizeof(r->labels) - at, "%s%s=\"%s\"", at ? "," : "", name, safe);
}

void sw_metric_rows_clear(struct sw_metric_rows *r)
{
	r->labels[0] = '\0';
}

static void name_and_labels(struct sw_metric_rows *r, const char *suffix)
{
	r->failed |=
		evbuffer_add_printf(r->out, "%s%s%s%s%s ", r->name, suffix, r->labels[0] ? "{" : "",
				    r->labels, r->labels[0] ? "}" : "") < 0;
}

static void count_with(struct sw_metric_rows *r, const char *suffix, uint64_t value)
{
	name_and_labels(r, suffix);
	r->failed |= evbuffer_add_printf(r->out, "%llu\n", (unsigned long long)value) < 0;
}

void sw_metric_rows_count(struct sw_metric_rows *r, uint64_t value)
{
	count_with(r, "", value);
	sw_metric_rows_clear(r);
}

void sw_metric_rows_real(struct sw_metric_rows *r, double value)
{
	name_and_labels(r, "");
	r->failed |= evbuffer_add_printf(r->out, "%.6f\n", value) < 0;
	sw_metric_rows_clear(r);
}

void sw_metric_rows_bucket(struct sw_metric_rows *r, double upper, uint64_t at_most)
{
	char labels[sizeof(r->labels)], le[32];

	memcpy(labels, r->labels, sizeof(labels));
	snprintf(le, sizeof(le), "%.9g", upper);
	sw_metric_rows_label(r, "le", upper < 0 ? "+Inf" : le);
	count_with(r, "_bucket", at_most);
	memcpy(r->labels, labels, sizeof(labels));
}

void sw_metric_rows_histogram_end(struct sw_metric_rows *r, double sum, uint64_t count)
{
	sw_metric_rows_bucket(r, -1, count);
	name_and_labels(r, "_sum");
	r->failed |= evbuffer_add_printf(r->out, "%.6f\n", sum) < 0;
	count_with(r, "_count", count);
	sw_metric_rows_clear(r);
}

void sw_metric_rows_hist(struct sw_metric_rows *r, const struct sw_hist *h, unsigned first,
			 unsigned last)
{
	for (unsigned bit = first; bit <= last; bit++)
		sw_metric_rows_bucket(r, (double)(1ull << bit) / 1e6,
				      sw_hist_at_most(h, (1ull << bit) - 1));
	sw_metric_rows_histogram_end(r, (double)h->sum_us / 1e6, h->count);
}

static int write_table(struct evbuffer *out, const struct sw_snapshot *s,
		       const struct sw_metric *table, size_t n)
{
	static const char *const types[] = {
		[SW_COUNTER] = "counter", [SW_GAUGE] = "gauge", [SW_HISTOGRAM] = "histogram"
	};

	for (size_t i = 0; i < n; i++) {
		struct sw_metric_rows r = { .out = out, .name = table[i].name };

		if (evbuffer_add_printf(out, "# HELP %s %s\n# TYPE %s %s\n", table[i].name,
					table[i].help, table[i].name, types[table[i].type]) < 0)
			return -ENOMEM;
		table[i].write(&r, s);
		if (r.failed)
			return -ENOMEM;
	}
	return 0;
}

int sw_metrics_write(struct evbuffer *out, const struct sw_snapshot *s)
{
	int rc = write_table(out, s, sw_metrics_process, sw_nmetrics_process);

	if (!rc)
		rc = write_table(out, s, sw_metrics_packets, sw_nmetrics_packets);
	if (!rc)
		rc = write_table(out, s, sw_metrics_conns, sw_nmetrics_conns);
	return rc;
}
