/* SPDX-License-Identifier: MIT */
#include "study/probe_seen.h"

#include <criterion/criterion.h>

static enum sw_probe_maker judge(enum sw_family family, const struct sw_probe_sample *s, unsigned n,
				 struct sw_probe_opinion *o)
{
	struct sw_probe_facts f;

	sw_probe_facts(family, s, n, &f);
	sw_probe_judge(&f, o);
	return o->maker;
}

struct recorded {
	char name[24];
	const struct seen *rows;
	enum sw_family family;
	bool again;
	enum sw_probe_maker want;
};

static const struct recorded all[] = {
	{ "kernel", seen_kernel, SW_IP4, true, SW_PROBE_CLOCK },
	{ "kernel cookies", seen_kernel_cookies, SW_IP4, false, SW_PROBE_LINUX_COOKIE },
	{ "kernel cookies, IPv6", seen_kernel_cookies6, SW_IP6, false, SW_PROBE_LINUX_COOKIE },
	{ "kernel cookies, bare", seen_kernel_cookies_bare, SW_IP4, false, SW_PROBE_LINUX_COOKIE },
	{ "synproxy", seen_synproxy, SW_IP4, false, SW_PROBE_SYNPROXY },
	{ "synward wide", seen_wide, SW_IP4, false, SW_PROBE_SYNWARD_WIDE },
	{ "synward wide, IPv6", seen_wide6, SW_IP6, false, SW_PROBE_SYNWARD_WIDE },
	{ "synward narrow", seen_narrow, SW_IP4, false, SW_PROBE_SYNWARD_NARROW },
};

#define NALL (sizeof(all) / sizeof(all[0]))

static bool has_reason(const struct sw_probe_opinion *o, const char *word)
{
	for (unsigned i = 0; i < o->n; i++) {
		if (strstr(o->reason[i], word))
			return true;
	}
	return false;
}

Test(probe_judge, what_was_recorded)
{
	struct sw_probe_sample s[SEEN];
	struct sw_probe_opinion o;

	for (size_t i = 0; i < NALL; i++) {
		seen_samples(all[i].rows, all[i].again, s);
		cr_expect_eq(judge(all[i].family, s, SEEN, &o), all[i].want, "%s: %s", all[i].name,
			     sw_probe_maker_name(o.maker));
		cr_expect_geq(o.n, 2, "%s: only %u reasons", all[i].name, o.n);
		cr_expect(has_reason(&o, all[i].again ? "came again after 1.00 s"
						      : "did not come again within 3.2 s"),
			  "%s", all[i].name);
	}
}

/* Fewer samples may tell less, never something else.  Two may not tell a cookie's make. */
Test(probe_judge, every_prefix)
{
	struct sw_probe_sample s[SEEN];
	struct sw_probe_opinion o;

	for (size_t i = 0; i < NALL; i++) {
		seen_samples(all[i].rows, all[i].again, s);
		for (unsigned n = 0; n < SEEN; n++) {
			const enum sw_probe_maker m = judge(all[i].family, s, n, &o);

			cr_expect(m == all[i].want || m == SW_PROBE_UNDECIDED ||
					  m == SW_PROBE_OTHER_COOKIE ||
					  (m == SW_PROBE_LINUX_COOKIE &&
					   all[i].want == SW_PROBE_SYNPROXY),
				  "%s, %u samples: %s", all[i].name, n, sw_probe_maker_name(m));
			cr_expect_gt(o.n, 0);
			if (n < 3)
				cr_expect_eq(m, SW_PROBE_UNDECIDED, "%s, %u", all[i].name, n);
		}
	}
}

Test(probe_judge, the_clock_wraps)
{
	struct sw_probe_sample s[SEEN];
	struct sw_probe_opinion o;

	for (uint32_t shift = 0; shift < 64; shift++) {
		seen_samples(seen_kernel, true, s);
		for (unsigned i = 0; i < SEEN; i++)
			s[i].answer.seq += shift << 26;
		cr_expect_eq(judge(SW_IP4, s, SEEN, &o), SW_PROBE_CLOCK, "shift %u", shift);
		cr_expect(has_reason(&o, "15.625 MHz"), "%s", o.reason[0]);
		cr_expect(has_reason(&o, "TSval is a clock of about 1 kHz"));
	}
}

/* One answer that is off by 10 ms of the clock's time does not follow the clock. */
Test(probe_judge, a_clock_that_jumps_is_none)
{
	struct sw_probe_sample s[SEEN];
	struct sw_probe_opinion o;

	seen_samples(seen_kernel, true, s);
	s[4].answer.seq += 156250;
	cr_expect_eq(judge(SW_IP4, s, SEEN, &o), SW_PROBE_RANDOM);
}

static uint64_t next(uint64_t *seed)
{
	uint64_t z = *seed += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

Test(probe_judge, random_is_random)
{
	struct sw_probe_sample s[SEEN];
	struct sw_probe_opinion o;
	uint64_t seed = 5;

	for (unsigned n = 0; n < 20000; n++) {
		seen_samples(seen_kernel, true, s);
		for (unsigned i = 0; i < SEEN; i++) {
			s[i].answer.seq = (uint32_t)next(&seed);
			s[i].answer.opt.tsval = (uint32_t)next(&seed);
		}
		cr_assert_eq(judge(SW_IP4, s, SEEN, &o), SW_PROBE_RANDOM, "round %u: %s", n,
			     o.reason[0]);
	}
}

/* One wrong data bit in one SYN-ACK, and it is not synward's layout. */
Test(probe_judge, each_data_bit_counts)
{
	struct sw_probe_sample s[SEEN];
	struct sw_probe_opinion o;

	for (unsigned bit = 0; bit < 9; bit++) {
		seen_samples(seen_wide, false, s);
		s[5].answer.opt.tsval ^= 1u << bit;
		cr_expect_eq(judge(SW_IP4, s, SEEN, &o), SW_PROBE_OTHER_COOKIE, "wide, bit %u",
			     bit);
	}
	for (unsigned bit = 0; bit < 6; bit++) {
		seen_samples(seen_narrow, false, s);
		s[5].answer.seq ^= 1u << bit;
		cr_expect_eq(judge(SW_IP4, s, SEEN, &o), SW_PROBE_OTHER_COOKIE, "narrow, bit %u",
			     bit);
	}
	seen_samples(seen_wide, false, s);
	s[5].answer.opt.tsval ^= 1u << 9;
	cr_expect_eq(judge(SW_IP4, s, SEEN, &o), SW_PROBE_SYNWARD_WIDE,
		     "the epoch may change meanwhile");
}

/* A new minute or epoch between two samples changes all that follow. */
Test(probe_judge, a_new_epoch_on_the_way)
{
	struct sw_probe_sample s[SEEN];
	struct sw_probe_opinion o;

	for (unsigned from = 2; from < 7; from++) {
		seen_samples(seen_kernel_cookies, false, s);
		for (unsigned i = from; i < SEEN; i++)
			s[i].answer.seq += 0x01abcdefu;
		cr_expect_eq(judge(SW_IP4, s, SEEN, &o), SW_PROBE_LINUX_COOKIE, "from %u", from);
		seen_samples(seen_wide, false, s);
		for (unsigned i = from; i < SEEN; i++) {
			s[i].answer.seq ^= 0x5a5a5a5au;
			s[i].answer.opt.tsval ^= 0x12345a00u;
		}
		cr_expect_eq(judge(SW_IP4, s, SEEN, &o), SW_PROBE_SYNWARD_WIDE, "from %u", from);
	}
}

/* Equal ISNs prove no cookie while the server keeps the connection and hears no reset. */
Test(probe_judge, state_and_equal_isns)
{
	struct sw_probe_sample s[SEEN];
	struct sw_probe_opinion o;

	seen_samples(seen_wide, true, s);
	cr_expect_eq(judge(SW_IP4, s, SEEN, &o), SW_PROBE_OTHER_COOKIE);
	cr_expect(has_reason(&o, "keeps the connection as well"));
	for (unsigned i = 3; i < SEEN; i++)
		s[i].heard = SW_PROBE_SILENCE;
	cr_expect_eq(judge(SW_IP4, s, SEEN, &o), SW_PROBE_UNDECIDED);
	cr_expect(has_reason(&o, "resets seem to get lost"));
}

Test(probe_judge, no_answers)
{
	struct sw_probe_sample s = { .heard = SW_PROBE_SILENCE };
	struct sw_probe_opinion o;

	cr_expect_eq(judge(SW_IP4, &s, 1, &o), SW_PROBE_UNDECIDED);
	cr_expect(has_reason(&o, "no SYN-ACK"));
}

Test(probe_judge, states)
{
	char text[SW_PROBE_REASON_LEN], name[48];
	struct sw_probe_sample s = { .tries = 1 };

	cr_expect_eq(sw_probe_state(&s), SW_PROBE_FILTERED);
	cr_expect(strstr(sw_probe_state_reason(&s, SW_IP4, text), "1 SYN sent"));
	s.tries = 3;
	cr_expect(strstr(sw_probe_state_reason(&s, SW_IP4, text), "3 SYNs sent"));
	s.heard = SW_PROBE_SYNACK;
	cr_expect_eq(sw_probe_state(&s), SW_PROBE_OPEN);
	s.heard = SW_PROBE_RST;
	cr_expect_eq(sw_probe_state(&s), SW_PROBE_CLOSED);
	s.heard = SW_PROBE_ODD;
	s.answer.flags = SW_TCP_ACK;
	cr_expect_eq(sw_probe_state(&s), SW_PROBE_UNCLEAR);
	cr_expect(strstr(sw_probe_state_reason(&s, SW_IP4, text), "0x10"));
	s = (struct sw_probe_sample){ .heard = SW_PROBE_ICMP, .icmp_type = 3, .icmp_code = 13 };
	cr_expect_eq(sw_probe_state(&s), SW_PROBE_FILTERED);
	cr_expect(strstr(sw_probe_state_reason(&s, SW_IP4, text), "administratively prohibited"));
	cr_expect_str_eq(sw_probe_icmp_name(SW_IP6, 1, 4, name), "port unreachable");
	cr_expect_str_eq(sw_probe_icmp_name(SW_IP6, 3, 13, name), "type 3 code 13");
}
