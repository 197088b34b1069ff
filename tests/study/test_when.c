/* SPDX-License-Identifier: MIT */
#include "study/when.h"

#include <criterion/criterion.h>
#include <string.h>

struct row {
	const char *text;
	uint64_t ns;
};

static const sw_wall now = { 42 };

Test(when, times_that_are_read)
{
	static const struct row rows[] = {
		{ "now", 42 },
		{ "0", 0 },
		{ "1700000000", 1700000000000000000u },
		{ "1700000000.5", 1700000000500000000u },
		{ "1700000000.123456789", 1700000000123456789u },
		{ "2023-11-14T22:13:20Z", 1700000000000000000u },
		{ "2023-11-14t22:13:20z", 1700000000000000000u },
		{ "2023-11-14 22:13:20Z", 1700000000000000000u },
		{ "2023-11-14T23:13:20+01:00", 1700000000000000000u },
		{ "2023-11-14T20:43:20-01:30", 1700000000000000000u },
		{ "2023-11-14T22:13:20.25Z", 1700000000250000000u },
		{ "2024-02-29T00:00:00Z", 1709164800000000000u },
		{ "1970-01-01T00:00:00Z", 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		sw_wall got = { 1 };

		cr_assert(sw_time_parse(rows[i].text, now, &got), "refused: %s", rows[i].text);
		cr_assert_eq(got.ns, rows[i].ns, "%s: %lu", rows[i].text, got.ns);
	}
}

Test(when, times_that_are_refused)
{
	static const char *const rows[] = {
		"", "yesterday", "-1", "1700000000.", "1700000000.1234567890", "17000000000000",
		"1.5.2", "2023-11-14", "2023-11-14T22:13:20", "2023-11-14T22:13:20+1",
		"2023-11-14T22:13:20+24:00", "2023-02-29T00:00:00Z", "2023-13-01T00:00:00Z",
		"2023-11-14T24:00:00Z", "2023-11-14T22:60:00Z", "2023-11-31T22:00:00Z",
		"1969-12-31T23:59:59Z", "1970-01-01T00:00:00+00:01", "2023-11-14T22:13:20Zx",
		"16725225600", "2023-11-14T22:13:20.Z", "0x10", " 1", "1e9",
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		sw_wall got = { 1 };

		cr_assert(!sw_time_parse(rows[i], now, &got), "accepted: '%s'", rows[i]);
		cr_assert_eq(got.ns, 1, "'%s' was written", rows[i]);
	}
}

Test(when, written_and_read_again)
{
	static const uint64_t rows[] = { 0, 1, 1000000000u, 1700000000000000000u,
					 1700000000000000001u, 1700000000120000000u,
					 4102444800000000000u };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[SW_TIME_TEXT];
		sw_wall got;

		cr_assert(sw_time_parse(sw_time_text((sw_wall){ rows[i] }, text), now, &got), "%s",
			  text);
		cr_assert_eq(got.ns, rows[i], "%s", text);
	}
}
