/* SPDX-License-Identifier: MIT */
#include "core/budget.h"

#define SECOND_NS 1000000000u

/* Rounded up, so that a rate is never exceeded. */
static uint64_t cost_ns(const struct sw_budget *b)
{
	return ((uint64_t)SECOND_NS + b->rate - 1) / b->rate;
}

void sw_budget_init(struct sw_budget *b, uint32_t rate, uint32_t burst, sw_mono now)
{
	*b = (struct sw_budget){ .rate = rate, .burst = burst, .last = now };
	if (rate > 0)
		b->credit_ns = cost_ns(b) * burst;
}

bool sw_budget_take(struct sw_budget *b, sw_mono now)
{
	uint64_t cost, full;

	if (b->rate == 0)
		return false;
	cost = cost_ns(b);
	full = cost * b->burst; /* at most 1e9 * 2^32: fits */
	if (now.ns > b->last.ns) {
		const uint64_t gap = now.ns - b->last.ns;

		b->credit_ns = gap < full - b->credit_ns ? b->credit_ns + gap : full;
		b->last = now;
	}
	if (b->credit_ns < cost)
		return false;
	b->credit_ns -= cost;
	return true;
}
