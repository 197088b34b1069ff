/* SPDX-License-Identifier: MIT */
#include "core/hist.h"

#include <criterion/criterion.h>
#include <string.h>

#define LONGEST_US ((1ull << SW_HIST_BITS) - 1)

TestSuite(hist, .timeout = 20);

Test(hist, buckets_cover_every_duration_without_gap_or_overlap)
{
	uint64_t first = 0;

	for (size_t i = 0; i < SW_HIST_BUCKETS; i++) {
		const uint64_t last = sw_hist_upper_us(i);

		cr_assert_geq(last, first, "bucket %zu is empty", i);
		cr_assert_eq(sw_hist_bucket(first), i, "first of %zu is in %zu", i,
			     sw_hist_bucket(first));
		cr_assert_eq(sw_hist_bucket(last), i, "last of %zu is in %zu", i,
			     sw_hist_bucket(last));
		first = last + 1;
	}
	cr_assert_eq(first, LONGEST_US + 1);
}

Test(hist, a_bucket_is_at_most_a_sixteenth_wide)
{
	for (size_t i = SW_HIST_SUB; i < SW_HIST_BUCKETS; i++) {
		const uint64_t first = sw_hist_upper_us(i - 1) + 1, last = sw_hist_upper_us(i);

		cr_assert_leq((last - first + 1) * SW_HIST_SUB, first, "bucket %zu: %llu to %llu",
			      i, (unsigned long long)first, (unsigned long long)last);
	}
}

Test(hist, what_is_longer_than_the_longest_counts_as_that)
{
	cr_assert_eq(sw_hist_bucket(LONGEST_US + 1), SW_HIST_BUCKETS - 1);
	cr_assert_eq(sw_hist_bucket(UINT64_MAX), SW_HIST_BUCKETS - 1);
}

Test(hist, quantiles_of_known_durations)
{
	static struct sw_hist h;

	cr_assert_eq(sw_hist_quantile_us(&h, 0.5), 0, "nothing counted");
	for (uint64_t us = 1; us <= 1000; us++)
		sw_hist_add(&h, us);
	cr_assert_eq(h.count, 1000);
	cr_assert_eq(h.sum_us, 500500);
	for (unsigned percent = 1; percent <= 100; percent++) {
		const uint64_t want = percent * 10, got = sw_hist_quantile_us(&h, percent / 100.0);

		cr_assert(got >= want && got * 16 <= want * 17 + 16, "p%u is %llu, want %llu",
			  percent, (unsigned long long)got, (unsigned long long)want);
	}
	cr_assert_eq(sw_hist_quantile_us(&h, 0), 1, "the smallest");
}

Test(hist, bounds_at_powers_of_two_are_exact)
{
	static struct sw_hist h;

	for (uint64_t us = 0; us < 5000; us++)
		sw_hist_add(&h, us);
	for (unsigned bit = 0; bit <= 12; bit++)
		cr_assert_eq(sw_hist_at_most(&h, (1ull << bit) - 1), 1ull << bit, "below 2^%u",
			     bit);
	cr_assert_eq(sw_hist_at_most(&h, UINT64_MAX), 5000);
}

Test(hist, merging_adds)
{
	static struct sw_hist a, b, both;

	for (uint64_t us = 0; us < 300; us++) {
		sw_hist_add(us % 2 ? &a : &b, us * us);
		sw_hist_add(&both, us * us);
	}
	sw_hist_merge(&a, &b);
	cr_assert_eq(memcmp(&a, &both, sizeof(a)), 0);
}
