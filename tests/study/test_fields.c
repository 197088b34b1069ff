/* SPDX-License-Identifier: MIT */
#include "study/fields.h"

#include "study/keys.h"

#include <criterion/criterion.h>
#include <string.h>

/* Every bit of the two numbers belongs to exactly one field. */
Test(fields, cover_everything_once)
{
	for (int wide = 0; wide < 2; wide++) {
		const struct sw_cookie c = { .form = wide ? SW_FORM_WIDE : SW_FORM_NARROW };
		struct sw_field f[SW_FIELDS_MAX];
		const size_t n = sw_fields(f, SW_IP4, &c);
		uint64_t seen = 0;

		for (size_t i = 0; i < n; i++) {
			for (unsigned bit = f[i].lo; bit <= f[i].hi; bit++) {
				const uint64_t b = 1ull << (bit + (f[i].in_tsval ? 0 : 32));

				cr_assert(!(seen & b), "%s: bit %u twice", f[i].name, bit);
				seen |= b;
			}
		}
		cr_assert_eq(seen, wide ? UINT64_MAX : 0xffffffff00000000u, "form %d: %#lx", wide,
			     seen);
	}
}

/* Change what the two ends agreed on, and the fields' values follow where the fields are. */
Test(fields, values_are_where_the_core_puts_them)
{
	static const struct {
		const char *name;
		struct sw_terms terms;
		uint32_t value;
		const char *meaning;
	} rows[] = {
		{ "mss_index", { .mss = 216, .ts = true }, 0, "216 bytes" },
		{ "mss_index", { .mss = 8960, .ts = true }, 7, "8960 bytes" },
		{ "mss_index", { .mss = 1460 }, 2, "1460 bytes" },
		{ "wscale", { .mss = 536, .wscale = 9, .wscale_ok = true, .ts = true }, 9, "2^9" },
		{ "wscale", { .mss = 536, .ts = true }, 15, "no window scale" },
		{ "wscale", { .mss = 536, .wscale = 10, .wscale_ok = true }, 7, "2^10" },
		{ "sack", { .mss = 536, .sack = true, .ts = true }, 1, "both ends use SACK" },
		{ "sack", { .mss = 536, .sack = true }, 1, "both ends use SACK" },
		{ "sack", { .mss = 536 }, 0, "no SACK" },
		{ "ecn", { .mss = 536, .ecn = true, .ts = true }, 1, "both ends use ECN" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const sw_epoch epoch = { 53125001 };
		const bool wide = rows[i].terms.ts;
		struct sw_cookie c = { .form = wide ? SW_FORM_WIDE : SW_FORM_NARROW };
		struct sw_field f[SW_FIELDS_MAX];
		size_t n, hits = 0;

		c.data = sw_cookie_data(SW_IP4, &rows[i].terms, epoch);
		*(wide ? &c.tsval : &c.isn) = c.data | 0xfffffc00u;
		n = sw_fields(f, SW_IP4, &c);
		for (size_t k = 0; k < n; k++) {
			if (strcmp(f[k].name, "epoch_parity") == 0)
				cr_assert(f[k].value == 1 && strstr(f[k].meaning, "odd"), "parity");
			if (strcmp(f[k].name, rows[i].name) != 0)
				continue;
			hits++;
			cr_assert_eq(f[k].value, rows[i].value, "row %zu: %u", i, f[k].value);
			cr_assert(strstr(f[k].meaning, rows[i].meaning), "row %zu: %s", i,
				  f[k].meaning);
		}
		cr_assert_eq(hits, 1, "row %zu: %s %zu times", i, rows[i].name, hits);
	}
}
