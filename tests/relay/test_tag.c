/* SPDX-License-Identifier: MIT */
#include "relay/tagref.h"

#include <criterion/criterion.h>
#include <stdio.h>

TestSuite(tag, .timeout = 10);

Test(tag, counts_what_it_carries)
{
	struct sw_tag *tag = sw_tag_new("web");
	const struct sw_tag_stats *s = sw_tag_stats(tag);

	cr_expect_str_eq(sw_tag_name(tag), "web");
	for (int i = 0; i < 3; i++)
		sw_tag_begin(tag);
	sw_tag_end(tag, SW_END_CLIENT_FIN, 1000);
	sw_tag_end(tag, SW_END_LIMIT, SW_TAG_REFUSED);
	cr_expect(s->accepted == 3 && s->active == 1, "%lu %lu", s->accepted, s->active);
	cr_expect_eq(s->ended[SW_END_CLIENT_FIN], 1, "not counted");
	cr_expect_eq(s->ended[SW_END_LIMIT], 1, "not counted");
	cr_expect_eq(s->duration.count, 1, "a refused one has no duration");
	cr_expect_eq(s->duration.sum_us, 1000, "%lu", s->duration.sum_us);
	sw_tag_end(tag, SW_END_IDLE, 5);
	sw_tag_free(tag);
}

/* A sanitizer sees it when the tag goes too early or not at all. */
Test(tag, outlives_its_listener)
{
	struct sw_tag *tag = sw_tag_new("a name that is longer than any listener may have");

	sw_tag_begin(tag);
	sw_tag_free(tag);
	cr_expect_str_eq(sw_tag_name(tag), "a name that is longer than any ", "'%s'",
			 sw_tag_name(tag));
	sw_tag_end(tag, SW_END_IDLE, 5);
	sw_tag_free(NULL);
	sw_tag_begin(NULL);
	sw_tag_end(NULL, SW_END_IDLE, 5);
}
