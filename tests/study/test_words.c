/* SPDX-License-Identifier: MIT */
#include "study/words.h"

#include "core/frames.h"

#include <criterion/criterion.h>

Test(words, terms)
{
	const struct sw_terms all = { .mss = 1460, .wscale = 7, .wscale_ok = true, .sack = true,
				      .ts = true, .ecn = true };
	const struct sw_terms none = { .mss = 536 };
	char text[SW_TERMS_TEXT];

	cr_assert_str_eq(sw_terms_text(&all, text),
			 "MSS 1460, window scale 7, SACK, timestamps, ECN");
	cr_assert_str_eq(sw_terms_text(&none, text), "MSS 536");
}

Test(words, flags)
{
	static const struct {
		uint8_t flags;
		const char *text;
	} rows[] = {
		{ SW_TCP_SYN, "SYN" },
		{ SW_TCP_SYN | SW_TCP_ACK, "SYN-ACK" },
		{ SW_TCP_ACK, "ACK" },
		{ SW_TCP_FIN | SW_TCP_ACK, "FIN-ACK" },
		{ SW_TCP_RST | SW_TCP_ACK, "RST-ACK" },
		{ SW_TCP_ACK | SW_TCP_PSH, "ACK+PSH" },
		{ SW_TCP_SYN | SW_TCP_ECE | SW_TCP_CWR, "SYN+ECE+CWR" },
		{ SW_TCP_PSH | SW_TCP_URG, "PSH+URG" },
		{ 0, "no flags" },
		{ 0xff, "SYN-FIN-RST-ACK+PSH+URG+ECE+CWR" },
	};
	char text[SW_FLAGS_TEXT];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_assert_str_eq(sw_flags_text(rows[i].flags, text), rows[i].text);
}

Test(words, hosts)
{
	const struct sw_addr a4 = frame_addr("192.0.2.1"), a6 = frame_addr("2001:db8::1");
	char text[SW_HOST_TEXT];

	cr_assert_str_eq(sw_host_text(SW_IP4, &a4, 80, text), "192.0.2.1:80");
	cr_assert_str_eq(sw_host_text(SW_IP6, &a6, 65535, text), "[2001:db8::1]:65535");
}

/* What does not fit is cut, and stays a text. */
Test(words, text_is_cut)
{
	char small[8];
	struct sw_text t = { .at = small, .len = sizeof(small) };

	for (int i = 0; i < 5; i++)
		sw_text_add(&t, "abc%d", i);
	cr_assert_str_eq(small, "abc0abc");
}

Test(words, names)
{
	cr_assert_str_eq(sw_form_name(SW_FORM_WIDE), "wide");
	cr_assert_str_eq(sw_form_name(SW_FORM_NARROW), "narrow");
	cr_assert_str_eq(sw_verdict_name(SW_PASS), "pass");
	cr_assert_str_eq(sw_verdict_name(SW_DROP), "drop");
	cr_assert_str_eq(sw_verdict_name(SW_NVERDICT), "?");
}
