/* SPDX-License-Identifier: MIT */
/*
 * Durations by size, with an error bounded by the value and not by the range: 16 buckets for each
 * power of two, so a bucket is at most 6.25 % wide.  Microseconds from 0 to 19 hours; what is
 * longer counts as that.
 *
 * One thread.  Zero it before first use; nothing is allocated.
 */
#ifndef SW_CORE_HIST_H
#define SW_CORE_HIST_H

#include "core/types.h"

#define SW_HIST_SUB	16 /* buckets for each power of two */
#define SW_HIST_BITS	36 /* the longest duration is 2^36 - 1 us */
#define SW_HIST_BUCKETS (SW_HIST_SUB + (SW_HIST_BITS - 4) * SW_HIST_SUB)

struct sw_hist {
	uint64_t count;
	uint64_t sum_us;
	uint64_t bucket[SW_HIST_BUCKETS]; /* see sw_hist_bucket() */
};

/** @return the bucket that counts @us. */
size_t sw_hist_bucket(uint64_t us);
/** @return the longest duration that bucket @i < SW_HIST_BUCKETS counts, in microseconds. */
uint64_t sw_hist_upper_us(size_t i);

void sw_hist_add(struct sw_hist *h, uint64_t us);

/** Add all durations of @from to @to. */
void sw_hist_merge(struct sw_hist *to, const struct sw_hist *from);

/** @return how many are at most the upper end of the bucket that counts @us: exact for what
 *  sw_hist_upper_us() returns, and for each power of two minus one. */
uint64_t sw_hist_at_most(const struct sw_hist *h, uint64_t us);

/**
 * @param share  0.5 for the median, 0.99 for the 99th percentile.
 * @return the upper end of the bucket that holds it, in microseconds; 0 without durations.
 */
uint64_t sw_hist_quantile_us(const struct sw_hist *h, double share);

#endif
