/* SPDX-License-Identifier: MIT */
#include "ops/human.h"

#include <criterion/criterion.h>

static const uint64_t second = 1000000000ull;

Test(human, numbers)
{
	static const struct {
		uint64_t n;
		char text[16];
	} rows[] = {
		{ 0, "0" },
		{ 41, "41" },
		{ 7902, "7902" },
		{ 9999, "9999" },
		{ 10000, "10.0k" },
		{ 12345, "12.3k" },
		{ 99999, "99.9k" },
		{ 182400, "182k" },
		{ 999999, "999k" },
		{ 1000000, "1.0M" },
		{ 34100000, "34.1M" },
		{ 2500000000, "2.5G" },
		{ UINT64_MAX, "18.4E" },
	};
	char out[16];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_str_eq(sw_short_number(rows[i].n, out), rows[i].text);
}

Test(human, times)
{
	static const struct {
		uint64_t ns;
		char text[16];
	} rows[] = {
		{ 0, "0ms" },
		{ 850000000, "850ms" },
		{ 1999999999, "1s" },
		{ 59 * 1000000000ull, "59s" },
		{ 192 * 1000000000ull, "3m12s" },
		{ 7500 * 1000000000ull, "2h05m" },
		{ 90000 * 1000000000ull, "1d01h" },
		{ UINT64_MAX, "213503d23h" },
	};
	char out[16];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_str_eq(sw_short_time(rows[i].ns, out), rows[i].text);
	cr_expect_str_eq(sw_short_time(3600 * second, out), "1h00m");
}

Test(human, latencies)
{
	char out[16];

	cr_expect_str_eq(sw_short_latency(0, out), "-");
	cr_expect_str_eq(sw_short_latency(0.00031, out), "0.31ms");
	cr_expect_str_eq(sw_short_latency(0.0124, out), "12ms");
	cr_expect_str_eq(sw_short_latency(1.25, out), "1.2s");
	cr_expect_str_eq(sw_short_latency(1e300, out), "1000000.0s");
}
