/* SPDX-License-Identifier: MIT */
#include "core/hist.h"

#define SUB_BITS   4
#define LONGEST_US ((1ull << SW_HIST_BITS) - 1)

_Static_assert(SW_HIST_SUB == 1 << SUB_BITS, "the sub-buckets are the bits behind the leading one");

/* Below 16 us a bucket for each value; above, the four bits behind the leading one choose. */
size_t sw_hist_bucket(uint64_t us)
{
	unsigned top;

	if (us > LONGEST_US)
		us = LONGEST_US;
	if (us < SW_HIST_SUB)
		return (size_t)us;
	top = 63u - (unsigned)__builtin_clzll(us);
	return (size_t)(top - SUB_BITS + 1) * SW_HIST_SUB +
	       (size_t)((us >> (top - SUB_BITS)) & (SW_HIST_SUB - 1));
}

uint64_t sw_hist_upper_us(size_t i)
{
	const size_t octave = i / SW_HIST_SUB;
	const uint64_t sub = i % SW_HIST_SUB;

	if (octave == 0)
		return sub;
	return ((SW_HIST_SUB + sub + 1) << (octave - 1)) - 1;
}

void sw_hist_add(struct sw_hist *h, uint64_t us)
{
	h->bucket[sw_hist_bucket(us)]++;
	h->count++;
	h->sum_us += us;
}

void sw_hist_merge(struct sw_hist *to, const struct sw_hist *from)
{
	for (size_t i = 0; i < SW_HIST_BUCKETS; i++)
		to->bucket[i] += from->bucket[i];
	to->count += from->count;
	to->sum_us += from->sum_us;
}

uint64_t sw_hist_at_most(const struct sw_hist *h, uint64_t us)
{
	const size_t last = sw_hist_bucket(us);
	uint64_t n = 0;

	for (size_t i = 0; i <= last; i++)
		n += h->bucket[i];
	return n;
}

uint64_t sw_hist_quantile_us(const struct sw_hist *h, double share)
{
	const double rank = share * (double)h->count;
	uint64_t below = 0;

	for (size_t i = 0; i < SW_HIST_BUCKETS; i++) {
		below += h->bucket[i];
		if (below && (double)below >= rank)
			return sw_hist_upper_us(i);
	}
	return 0;
}
