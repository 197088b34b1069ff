/* SPDX-License-Identifier: MIT */
#include "study/utf8.h"

#include <criterion/criterion.h>

struct row {
	const char *text;
	size_t len;
};

Test(utf8, lengths)
{
	static const struct row rows[] = {
		{ "a", 1 }, { "\x7f", 1 }, { "", 0 }, { "\x80", 0 }, { "\xc1\xbf", 0 },
		{ "\xc2\x80", 2 }, { "\xdf\xbf", 2 }, { "\xc2", 0 }, { "\xc2x", 0 },
		{ "\xe0\x9f\xbf", 0 }, { "\xe0\xa0\x80", 3 }, { "\xed\x9f\xbf", 3 },
		{ "\xed\xa0\x80", 0 }, { "\xef\xbf\xbf", 3 }, { "\xe2\x82", 0 },
		{ "\xf0\x8f\xbf\xbf", 0 }, { "\xf0\x90\x80\x80", 4 }, { "\xf4\x8f\xbf\xbf", 4 },
		{ "\xf4\x90\x80\x80", 0 }, { "\xf5\x80\x80\x80", 0 }, { "\xf0\x90\x80", 0 },
		{ "\xff", 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_assert_eq(sw_utf8_len(rows[i].text), rows[i].len, "row %zu: %zu", i,
			     sw_utf8_len(rows[i].text));
}
