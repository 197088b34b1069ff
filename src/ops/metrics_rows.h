/* SPDX-License-Identifier: MIT */
/* The metrics as tables: one row says a name, a type, a help text and how to write its samples. */
#ifndef SW_OPS_METRICS_ROWS_H
#define SW_OPS_METRICS_ROWS_H

#include "ops/snapshot.h"

#include <event2/buffer.h>

/** Where the samples of one metric go. */
struct sw_metric_rows {
	struct evbuffer *out;
	const char *name;
	char labels[1024]; /* of the next sample */
	bool failed;	   /* out of memory */
};

enum sw_metric_type { SW_COUNTER, SW_GAUGE, SW_HISTOGRAM };

struct sw_metric {
	const char *name;
	enum sw_metric_type type;
	const char *help;
	void (*write)(struct sw_metric_rows *r, const struct sw_snapshot *s);
};

/** Add a label to the next sample; the sample ends them. */
void sw_metric_rows_label(struct sw_metric_rows *r, const char *name, const char *value);
void sw_metric_rows_clear(struct sw_metric_rows *r);
void sw_metric_rows_count(struct sw_metric_rows *r, uint64_t value);
void sw_metric_rows_real(struct sw_metric_rows *r, double value);

/** One "_bucket" of a histogram; the labels stay.  @param upper  In seconds; below 0: all. */
void sw_metric_rows_bucket(struct sw_metric_rows *r, double upper, uint64_t at_most);
/** The bucket of all, "_sum" and "_count". */
void sw_metric_rows_histogram_end(struct sw_metric_rows *r, double sum, uint64_t count);
/** All of a histogram, with bounds at 2^first to 2^last microseconds. */
void sw_metric_rows_hist(struct sw_metric_rows *r, const struct sw_hist *h, unsigned first,
			 unsigned last);

extern const struct sw_metric sw_metrics_process[], sw_metrics_packets[], sw_metrics_conns[];
extern const size_t sw_nmetrics_process, sw_nmetrics_packets, sw_nmetrics_conns;

#endif
