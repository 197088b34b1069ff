/* SPDX-License-Identifier: MIT */
#include "study/sketch.h"

#include "core/frames.h"
#include "study/hash.h"

#include <criterion/criterion.h>

static struct sw_addr addr_of(uint32_t n)
{
	struct sw_addr a = { { 198, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n } };

	return a;
}

Test(sketch, distinct_is_right_within_a_tenth)
{
	static const uint32_t counts[] = { 1, 10, 100, 1000, 10000, 100000, 1000000 };

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		static struct sw_distinct d;
		uint64_t got;

		memset(&d, 0, sizeof(d));
		for (int again = 0; again < 2; again++) {
			for (uint32_t n = 0; n < counts[i]; n++) {
				const struct sw_addr a = addr_of(n);

				sw_distinct_add(&d, sw_hash_addr(1, &a, 0));
			}
		}
		got = sw_distinct_count(&d);
		cr_assert(got * 10 >= counts[i] * 9ull && got * 10 <= counts[i] * 11ull,
			  "%lu for %u", got, counts[i]);
	}
}

Test(sketch, spread_of_one_and_of_many)
{
	static struct sw_spread one, many;

	cr_assert_eq(sw_spread_bits(&one), 0);
	for (uint32_t n = 0; n < 100000; n++) {
		const struct sw_addr a = addr_of(n);

		sw_spread_add(&one, 5);
		sw_spread_add(&many, sw_hash_addr(1, &a, 0));
	}
	cr_assert_eq(sw_spread_bits(&one), 0);
	cr_assert(sw_spread_bits(&many) > 11.9 && sw_spread_bits(&many) <= 12,
		  "%f", sw_spread_bits(&many));
	cr_assert_eq(sw_spread_most(&many), 12);
}

Test(sketch, the_frequent_ones_are_found)
{
	static struct sw_top t;
	uint64_t state = 3;

	for (uint32_t i = 0; i < 100000; i++) {
		/* Every tenth packet is one of five addresses', the others come once. */
		const struct sw_addr a = addr_of(i % 10 ? 1000 + (uint32_t)(frame_rand(&state) >> 40)
						      : i / 10 % 5);

		sw_top_add(&t, SW_IP4, &a)->bytes++;
	}
	sw_top_sort(&t);
	for (size_t i = 0; i < 5; i++) {
		const struct sw_top_entry *e = &t.entry[i];

		cr_assert_lt(e->addr.b[3], 5, "place %zu is 198.x.x.%u", i, e->addr.b[3]);
		cr_assert(e->packets >= 2000 && e->packets - e->error <= 2000,
			  "%lu packets, error %lu", e->packets, e->error);
		cr_assert_eq(sw_top_find(&t, SW_IP4, &e->addr), e);
	}
	cr_assert_null(sw_top_find(&t, SW_IP6, &t.entry[0].addr));
}

Test(sketch, ports_are_counted)
{
	struct sw_top_entry e = { .packets = 0 };

	for (int again = 0; again < 3; again++) {
		for (uint16_t port = 0; port < 50; port++)
			sw_top_port(&e, sw_hash_addr(1, &e.addr, port));
	}
	cr_assert(sw_top_ports(&e) > 40 && sw_top_ports(&e) < 60, "%u", sw_top_ports(&e));
}

Test(sketch, rate_has_the_peaks_and_the_picture)
{
	static struct sw_rate r;
	uint64_t sum = 0;

	for (uint64_t s = 0; s < 1000; s++) {
		for (uint64_t n = 0; n < (s == 400 ? 50 : s == 7 ? 40 : 2); n++)
			sw_rate_add(&r, (sw_wall){ (FRAME_WALL_S + s) * 1000000000u });
	}
	sw_rate_end(&r);
	cr_assert(r.peak[0].second == FRAME_WALL_S + 400 && r.peak[0].count == 50);
	cr_assert(r.peak[1].second == FRAME_WALL_S + 7 && r.peak[1].count == 40);
	cr_assert_eq(r.width, 8, "a bar stands for %lu s", r.width);
	for (size_t i = 0; i < SW_RATE_BARS; i++)
		sum += r.bar[i];
	cr_assert_eq(sum, r.total);
}

Test(sketch, times_that_step_back_or_far_ahead)
{
	static struct sw_rate r;

	sw_rate_add(&r, (sw_wall){ FRAME_WALL_S * 1000000000u });
	sw_rate_add(&r, (sw_wall){ 0 });
	sw_rate_add(&r, (sw_wall){ UINT64_MAX });
	sw_rate_add(&r, (sw_wall){ 1 });
	sw_rate_end(&r);
	cr_assert_eq(r.total, 4);
	cr_assert_eq(r.peak[0].count, 2);
}
