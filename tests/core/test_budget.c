/* SPDX-License-Identifier: MIT */
#include "core/budget.h"

#include <criterion/criterion.h>

#define SECOND 1000000000ull

static unsigned drain(struct sw_budget *b, uint64_t ns, unsigned max)
{
	unsigned n = 0;

	while (n < max && sw_budget_take(b, (sw_mono){ ns }))
		n++;
	return n;
}

Test(budget, rate_zero_never_grants)
{
	struct sw_budget b;

	sw_budget_init(&b, 0, 100, (sw_mono){ 0 });
	cr_assert_eq(drain(&b, 0, 10), 0, "at once");
	cr_assert_eq(drain(&b, UINT64_MAX, 10), 0, "after an eternity");
}

Test(budget, burst_zero_never_grants)
{
	struct sw_budget b;

	sw_budget_init(&b, 100, 0, (sw_mono){ 0 });
	cr_assert_eq(drain(&b, 100 * SECOND, 10), 0, "nothing can be saved up");
}

Test(budget, time_backwards_does_not_grant)
{
	struct sw_budget b;

	sw_budget_init(&b, 10, 5, (sw_mono){ 100 * SECOND });
	cr_assert_eq(drain(&b, 100 * SECOND, 100), 5, "the burst");
	for (unsigned turn = 0; turn < 100; turn++) {
		cr_assert_eq(drain(&b, 10 * SECOND, 100), 0, "back, turn %u", turn);
		cr_assert_eq(drain(&b, 100 * SECOND, 100), 0, "and forth, turn %u", turn);
	}
	cr_assert_eq(drain(&b, 100 * SECOND + SECOND / 10, 100), 1, "then as before");
}

Test(budget, any_gap_gives_at_most_the_burst)
{
	static const uint32_t rates[] = { 1, 3, 10, 999, 1000000, 2000000000, UINT32_MAX };

	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		struct sw_budget b;

		sw_budget_init(&b, rates[i], 7, (sw_mono){ 1 });
		cr_assert_eq(drain(&b, 1, 100), 7, "rate %u: the start", rates[i]);
		cr_assert_eq(drain(&b, UINT64_MAX, 100), 7, "rate %u: the end of time", rates[i]);
		cr_assert_eq(drain(&b, UINT64_MAX, 100), 0, "rate %u: no more", rates[i]);
	}
}

Test(budget, largest_rate_and_burst_do_not_overflow)
{
	struct sw_budget b;

	sw_budget_init(&b, 1, UINT32_MAX, (sw_mono){ 0 });
	cr_assert_eq(b.credit_ns, UINT32_MAX * SECOND, "full: %lu", b.credit_ns);
	cr_assert(sw_budget_take(&b, (sw_mono){ UINT64_MAX }), "still full");
	cr_assert_eq(b.credit_ns, (UINT32_MAX - 1ull) * SECOND, "one less: %lu", b.credit_ns);
}

Test(budget, rate_is_kept_over_an_hour)
{
	static const uint32_t rates[] = { 1, 3, 7, 100, 997 };

	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		struct sw_budget b;
		unsigned n = 0;

		sw_budget_init(&b, rates[i], 1, (sw_mono){ 0 });
		(void)!sw_budget_take(&b, (sw_mono){ 0 });
		for (uint64_t t = 1; t <= 3600 * 1000; t++)
			n += sw_budget_take(&b, (sw_mono){ t * SECOND / 1000 });
		cr_assert(n <= rates[i] * 3600, "rate %u: %u are too many", rates[i], n);
		cr_assert(n >= rates[i] * 3600 / 2, "rate %u: %u are too few", rates[i], n);
	}
}

Test(budget, one_grant_costs_its_share_of_a_second)
{
	struct sw_budget b;

	sw_budget_init(&b, 1000, 1, (sw_mono){ 0 });
	cr_assert_eq(drain(&b, 0, 10), 1, "the first");
	cr_assert_eq(drain(&b, 999999, 10), 0, "a nanosecond early");
	cr_assert_eq(drain(&b, 1000000, 10), 1, "on time");
}
