/* SPDX-License-Identifier: MIT */
#include "study/rungs.h"

#include <criterion/criterion.h>
#include <string.h>

static struct sw_rung rung(uint64_t number, uint8_t flags, uint32_t len, uint32_t marks)
{
	return (struct sw_rung){ .number = number, .flags = flags, .len = len, .marks = marks,
				 .from = (uint8_t)(number % 2) };
}

Test(rungs, plain_data_is_folded_and_counted)
{
	struct sw_rungs r = { 0 };
	uint64_t packets = 0, bytes = 0;

	for (uint64_t i = 0; i < 1000; i++) {
		const struct sw_rung one = rung(i, SW_TCP_ACK, 10, i == 500 ? SW_MARK_AGAIN : 0);

		sw_rungs_add(&r, &one, NULL);
	}
	cr_assert_eq(r.n, SW_RUNGS_PLAIN + 3, "%u rungs", r.n);
	cr_assert_eq(r.rung[SW_RUNGS_PLAIN + 1].number, 500, "what is marked is kept");
	for (size_t i = 0; i < r.n; i++) {
		const bool fold = sw_rung_is_fold(&r.rung[i]);

		packets += fold ? r.rung[i].folded[0] + r.rung[i].folded[1] : 1;
		bytes += fold ? r.rung[i].bytes[0] + r.rung[i].bytes[1] : r.rung[i].len;
	}
	cr_assert(packets == 1000 && bytes == 10000, "%lu packets, %lu bytes", packets, bytes);
	sw_rungs_clear(&r);
	cr_assert_eq(r.n, 0);
}

Test(rungs, never_more_than_the_limit)
{
	static const uint8_t flags[] = { SW_TCP_SYN, SW_TCP_FIN, SW_TCP_RST, SW_TCP_ACK };
	struct sw_rungs r = { 0 };
	uint64_t packets = 0;

	for (uint64_t i = 0; i < 5000; i++) {
		const struct sw_rung one = rung(i, flags[i % 4], 1,
						i % 3 ? SW_MARK_AGAIN : SW_MARK_DUP_ACK);

		sw_rungs_add(&r, &one, "a sentence");
	}
	cr_assert_leq(r.n, SW_RUNGS_MAX, "%u rungs", r.n);
	cr_assert_eq(r.notes, SW_RUNG_NOTES);
	for (size_t i = 0; i < r.n; i++)
		packets += sw_rung_is_fold(&r.rung[i]) ? r.rung[i].folded[0] + r.rung[i].folded[1] : 1;
	cr_assert_eq(packets, 5000, "%lu packets", packets);
	sw_rungs_clear(&r);
}

Test(rungs, long_notes_are_cut)
{
	struct sw_rungs r = { 0 };
	const struct sw_rung one = rung(1, SW_TCP_SYN, 0, 0);
	char text[1000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	sw_rungs_add(&r, &one, text);
	cr_assert_eq(strlen(r.rung[0].note), SW_RUNG_NOTE_MAX - 1);
	sw_rungs_add(&r, &one, "");
	cr_assert_null(r.rung[1].note);
	sw_rungs_clear(&r);
}
