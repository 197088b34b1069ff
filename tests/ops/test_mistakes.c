/* SPDX-License-Identifier: MIT */
#include "ops/mistakes.h"

#include <criterion/criterion.h>
#include <string.h>

Test(mistakes, nearest)
{
	static const char *const words[] = { "queue_depth", "listen", "level", "mac", "hmac-sha256" };
	static const struct {
		const char *word, *want;
	} rows[] = {
		{ "queue-depth", "queue_depth" }, { "queuedepth", "queue_depth" },
		{ "qeue_depht", "queue_depth" },  { "Listen", "listen" },
		{ "listne", "listen" },		  { "lvl", NULL },
		{ "mc", "mac" },		  { "amc", "mac" },
		{ "xyz", NULL },		  { "", NULL },
		{ "HMAC_SHA256", "hmac-sha256" },
		{ "a-word-of-more-than-forty-letters-has-no-near-one", NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *near = sw_nearest(rows[i].word, words, 5);

		cr_expect((!near && !rows[i].want) ||
				  (near && rows[i].want && strcmp(near, rows[i].want) == 0),
			  "%s: %s", rows[i].word, near ? near : "none");
	}
}

Test(mistakes, are_sorted_by_place)
{
	struct sw_mistakes m = { .path = "f" };
	char line[100];

	sw_mistake_add(&m, 2, 1, "c");
	sw_mistake_add(&m, 1, 9, "b");
	sw_mistake_add(&m, 2, 1, "d");
	sw_mistake_add(&m, 0, 0, "a");
	sw_mistakes_sort(&m);
	cr_expect_str_eq(sw_mistake_str(&m, 0, line, sizeof(line)), "f: a");
	cr_expect_str_eq(sw_mistake_str(&m, 1, line, sizeof(line)), "f:1:9: b");
	cr_expect_str_eq(sw_mistake_str(&m, 2, line, sizeof(line)), "f:2:1: c");
	cr_expect_str_eq(sw_mistake_str(&m, 3, line, sizeof(line)), "f:2:1: d");
	sw_mistakes_free(&m);
}
