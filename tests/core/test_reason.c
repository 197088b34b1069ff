/* SPDX-License-Identifier: MIT */
#include "core/reason.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <string.h>

Test(reason, out_of_range_is_a_question_mark)
{
	cr_assert_eq(strcmp(sw_why_name(SW_NWHY), "?"), 0, "%s", sw_why_name(SW_NWHY));
	cr_assert_eq(strcmp(sw_why_text((enum sw_why)1000), "?"), 0, "1000");
	cr_assert_eq(strcmp(sw_why_name((enum sw_why) - 1), "?"), 0, "-1");
}

Test(reason, names_are_unique_and_plain)
{
	for (unsigned i = 0; i < SW_NWHY; i++) {
		const char *name = sw_why_name((enum sw_why)i);

		cr_assert(*name, "reason %u has no name", i);
		for (const char *p = name; *p; p++)
			cr_assert(islower((unsigned char)*p) || *p == '_', "%s", name);
		for (unsigned j = 0; j < i; j++)
			cr_assert_neq(strcmp(name, sw_why_name((enum sw_why)j)), 0,
				      "%s comes twice", name);
	}
}

Test(reason, texts_are_sentences_without_a_full_stop)
{
	for (unsigned i = 0; i < SW_NWHY; i++) {
		const char *text = sw_why_text((enum sw_why)i);

		cr_assert(strlen(text) > 10, "reason %u: \"%s\"", i, text);
		cr_assert_neq(text[strlen(text) - 1], '.', "reason %u: \"%s\"", i, text);
	}
}
