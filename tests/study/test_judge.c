/* SPDX-License-Identifier: MIT */
#include "study/judge.h"

#include "study/keys.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define SECOND_NS 1000000000ull

static const sw_wall now = { KEYS_NOW_NS + 10 * SECOND_NS };

static struct sw_judge *with_key(size_t nmasters)
{
	const struct sw_masters m = keys_masters(nmasters);
	const struct sw_judge_config cf = { .masters = &m, .searches = 1000 };
	struct sw_judge *j;

	cr_assert_eq(sw_judge_new(&j, &cf), 0, "no judge");
	return j;
}

static struct sw_judge *without_key(void)
{
	const struct sw_judge_config cf = { 0 };
	struct sw_judge *j;

	cr_assert_eq(sw_judge_new(&j, &cf), 0, "no judge");
	return j;
}

static struct sw_judgement judge(struct sw_judge *j, const struct frame_spec *s, enum sw_way way,
				 sw_wall at)
{
	const struct frame f = frame_make(s);
	const struct sw_frame view = frame_view(&f);
	const struct sw_case c = { .frame = &view, .at = at, .way = way };
	struct sw_judgement jm;

	sw_judge_packet(j, &c, &jm);
	cr_assert(jm.sentence[0] && strncmp(jm.facts, "synward: verdict=", 17) == 0, "'%s' '%s'",
		  jm.sentence, jm.facts);
	return jm;
}

static struct frame_spec synack_of(const struct frame_spec *syn, const struct sw_synack *sa)
{
	struct frame_spec s = *syn;

	s.src = syn->dst;
	s.dst = syn->src;
	s.sport = syn->dport;
	s.dport = syn->sport;
	s.flags = SW_TCP_SYN | SW_TCP_ACK;
	s.seq = sa->isn;
	s.ack = syn->seq + 1;
	s.opt_len = 0;
	frame_opt_mss(&s, 1460);
	if (sa->ts)
		frame_opt_ts(&s, sa->tsval, 1000);
	return s;
}

/* SYN, SYN-ACK, ACK, for both families and forms: the same cookie in all three. */
Test(judge, handshake)
{
	for (int i = 0; i < 4; i++) {
		struct sw_judge *j = with_key(1);
		const struct frame_spec syn = keys_syn(i & 1 ? SW_IP6 : SW_IP4, i & 2);
		const struct sw_judgement a = judge(j, &syn, SW_WAY_IN, now);
		const struct frame_spec synack = synack_of(&syn, &a.decision.synack);
		struct sw_judgement b, c;
		struct frame_spec ack;
		char isn[32];

		cr_assert(a.finding == SW_FOUND_DECISION && a.decision.verdict == SW_REPLY &&
			  a.has_cookie, "SYN: %s", a.facts);
		b = judge(j, &synack, SW_WAY_OUT, now);
		cr_assert(b.finding == SW_FOUND_OURS && b.has_cookie, "SYN-ACK: %s", b.facts);
		ack = keys_ack(&syn, &b.cookie);
		c = judge(j, &ack, SW_WAY_IN, (sw_wall){ now.ns + 30 * SECOND_NS });
		cr_assert(c.finding == SW_FOUND_DECISION && c.decision.verdict == SW_ADMIT, "ACK: %s",
			  c.facts);
		snprintf(isn, sizeof(isn), "isn=0x%08x", a.cookie.isn);
		cr_assert(strstr(a.facts, isn) && strstr(b.facts, isn) && strstr(c.facts, isn),
			  "'%s' '%s' '%s'", a.facts, b.facts, c.facts);
		cr_assert(strstr(a.facts, "verdict=reply reason=syn_answered form="), "%s", a.facts);
		cr_assert(strstr(c.facts, "verdict=admit reason=ack_proven form="), "%s", c.facts);
		cr_assert(strstr(c.sentence, "minted at most 41 s ago"), "%s", c.sentence);
		c = judge(j, &ack, SW_WAY_IN, (sw_wall){ now.ns + 31 * SECOND_NS });
		cr_assert_eq(c.decision.why, SW_WHY_DUPLICATE, "again: %s", c.facts);
		sw_judge_free(j);
	}
}

Test(judge, without_a_key)
{
	struct sw_judge *j = without_key();
	const struct frame_spec syn = keys_syn(SW_IP4, true);
	const struct sw_synack sa = { .isn = 1, .ts = true, .tsval = 0x19e };
	const struct frame_spec synack = synack_of(&syn, &sa);
	const struct sw_cookie c = { .form = SW_FORM_WIDE, .isn = 1, .tsval = 0x19e };
	const struct frame_spec ack = keys_ack(&syn, &c);
	struct sw_judgement jm = judge(j, &syn, SW_WAY_IN, now);

	cr_assert(jm.finding == SW_FOUND_NO_KEY && !jm.has_cookie, "%s", jm.facts);
	cr_assert(!strstr(jm.facts, "isn=") && strstr(jm.facts, "mss=1460"), "%s", jm.facts);
	jm = judge(j, &synack, SW_WAY_OUT, now);
	cr_assert(jm.finding == SW_FOUND_NO_KEY && strstr(jm.sentence, "even epoch") &&
		  strstr(jm.facts, "mss=1460"), "%s: %s", jm.facts, jm.sentence);
	jm = judge(j, &ack, SW_WAY_IN, now);
	cr_assert(jm.finding == SW_FOUND_NO_KEY && strstr(jm.facts, "verdict=unproven"), "%s",
		  jm.facts);
	sw_judge_free(j);
}

/* What needs no key is decided without one. */
struct flagged {
	uint8_t flags;
	enum sw_why why;
};

Test(judge, what_hangs_on_no_key)
{
	static const struct flagged rows[] = {
		{ SW_TCP_SYN | SW_TCP_FIN, SW_WHY_BAD_FLAGS },
		{ SW_TCP_SYN | SW_TCP_RST, SW_WHY_BAD_FLAGS },
		{ SW_TCP_SYN | SW_TCP_ACK, SW_WHY_SYN_ACK },
		{ SW_TCP_RST, SW_WHY_RST },
		{ 0, SW_WHY_NO_ACK },
	};

	for (int keyed = 0; keyed < 2; keyed++) {
		struct sw_judge *j = keyed ? with_key(1) : without_key();

		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			struct frame_spec s = frame_syn(SW_IP4);
			struct sw_judgement jm;

			s.flags = rows[i].flags;
			jm = judge(j, &s, SW_WAY_IN, now);
			cr_assert(jm.finding == SW_FOUND_DECISION && jm.decision.why == rows[i].why,
				  "flags %#x: %s", rows[i].flags, jm.facts);
			cr_assert(strstr(jm.sentence, sw_why_text(rows[i].why)), "%s", jm.sentence);
		}
		sw_judge_free(j);
	}
}

Test(judge, refusals_say_why)
{
	struct sw_judge *j = with_key(3);
	const struct sw_masters m = keys_masters(3);
	const struct frame_spec syn = keys_syn(SW_IP4, true);
	const struct sw_cookie c = keys_mint(&m, 2, SW_MAC_HMAC_SHA256, &syn, now);
	struct frame_spec ack = keys_ack(&syn, &c);
	const sw_wall late = { now.ns + 71 * SECOND_NS };
	struct frame f = frame_make(&ack);
	const struct sw_frame view = frame_view(&f);
	const struct sw_case seen = { .frame = &view, .at = late, .minted = now };
	struct sw_judgement jm = judge(j, &ack, SW_WAY_IN, late);

	cr_assert_eq(jm.decision.why, SW_WHY_COOKIE_EXPIRED, "%s", jm.facts);
	cr_assert(strstr(jm.sentence, "minted 49 to 81 s ago in epoch 53125000"), "%s", jm.sentence);
	sw_judge_packet(j, &seen, &jm);
	cr_assert(strstr(jm.sentence, "minted 71 s ago in epoch 53125000, accepted for 54 s"), "%s",
		  jm.sentence);
	ack.dport = 8443;
	jm = judge(j, &ack, SW_WAY_IN, now);
	cr_assert_eq(jm.decision.why, SW_WHY_COOKIE_FORGED, "%s", jm.facts);
	cr_assert(strstr(jm.sentence, "right cookie for port 443, this ACK came to 8443"), "%s",
		  jm.sentence);
	sw_judge_free(j);
}

/* Without a budget a flood of refused ACKs costs no searches. */
Test(judge, searches_have_a_budget)
{
	const struct sw_masters m = keys_masters(1);
	const struct sw_judge_config cf = { .masters = &m, .searches = 2 };
	const struct frame_spec syn = keys_syn(SW_IP4, true);
	const struct sw_cookie c = keys_mint(&m, 0, SW_MAC_HMAC_SHA256, &syn, now);
	struct frame_spec ack = keys_ack(&syn, &c);
	struct sw_judge *j;
	unsigned explained = 0;

	cr_assert_eq(sw_judge_new(&j, &cf), 0, "no judge");
	ack.dport = 8443;
	for (int i = 0; i < 10; i++) {
		const struct sw_judgement jm = judge(j, &ack, SW_WAY_IN, now);

		explained += strstr(jm.sentence, "right cookie for port") != NULL;
	}
	cr_assert_eq(explained, 2, "%u", explained);
	sw_judge_free(j);
}

/* The clock of a file is its writer's: packets that are seconds apart share one budget, too. */
Test(judge, searches_have_an_end)
{
	const struct sw_masters m = keys_masters(1);
	const struct sw_judge_config cf = { .masters = &m, .searches = 2, .searches_max = 3 };
	const struct frame_spec syn = keys_syn(SW_IP4, true);
	struct sw_judge *j;
	unsigned explained = 0;

	cr_assert_eq(sw_judge_new(&j, &cf), 0, "no judge");
	for (unsigned i = 0; i < 10; i++) {
		const sw_wall at = { now.ns + i * SECOND_NS };
		const struct sw_cookie c = keys_mint(&m, 0, SW_MAC_HMAC_SHA256, &syn, at);
		struct frame_spec ack = keys_ack(&syn, &c);
		struct sw_judgement jm;

		ack.dport = 8443;
		jm = judge(j, &ack, SW_WAY_IN, at);
		cr_expect_eq(jm.decision.why, SW_WHY_COOKIE_FORGED, "%u: %s", i, jm.facts);
		cr_expect_eq(sw_judge_unsearched(j), i < 3 ? 0 : i - 2);
		explained += strstr(jm.sentence, "right cookie for port") != NULL;
	}
	cr_expect_eq(explained, 3, "%u", explained);
	sw_judge_free(j);
}

Test(judge, guards)
{
	const struct sw_masters m = keys_masters(1);
	struct sw_policy p = { .nguard = 1, .mss4 = 1460, .mss6 = 1440 };
	const struct sw_judge_config cf = { .masters = &m, .policy = &p };
	struct frame_spec syn = keys_syn(SW_IP4, true);
	struct sw_judge *j;
	struct sw_judgement jm;

	p.guard[0] = (struct sw_guard){ .family = SW_IP4, .any = true, .port = 443 };
	cr_assert_eq(sw_judge_new(&j, &cf), 0, "no judge");
	jm = judge(j, &syn, SW_WAY_IN, now);
	cr_assert_eq(jm.decision.verdict, SW_REPLY, "%s", jm.facts);
	/* This host offers no timestamps: the cookie is narrow. */
	cr_assert(strstr(jm.facts, "form=narrow"), "%s", jm.facts);
	syn.dport = 444;
	jm = judge(j, &syn, SW_WAY_IN, now);
	cr_assert_eq(jm.decision.why, SW_WHY_NOT_GUARDED, "%s", jm.facts);
	sw_judge_free(j);
}

Test(judge, what_the_caller_knows)
{
	struct sw_judge *j = with_key(1);
	struct frame_spec s = frame_syn(SW_IP4);
	struct frame f;
	struct sw_frame view;
	struct sw_case c = { .frame = &view, .at = now };
	struct sw_judgement jm;

	s.flags = SW_TCP_ACK;
	f = frame_make(&s);
	view = frame_view(&f);
	c.socket = true;
	sw_judge_packet(j, &c, &jm);
	cr_assert(jm.finding == SW_FOUND_SOCKET && strstr(jm.facts, "reason=has_socket"), "%s",
		  jm.facts);
	c.socket = false;
	c.foreign = true;
	sw_judge_packet(j, &c, &jm);
	cr_assert(jm.finding == SW_FOUND_FOREIGN && strstr(jm.sentence, "another server"), "%s",
		  jm.sentence);
	c.again = true;
	sw_judge_packet(j, &c, &jm);
	cr_assert(jm.finding == SW_FOUND_AGAIN && strstr(jm.facts, "reason=reinjected"), "%s",
		  jm.facts);
	c = (struct sw_case){ .frame = &view, .at = now, .way = SW_WAY_OUT };
	sw_judge_packet(j, &c, &jm);
	cr_assert(jm.finding == SW_FOUND_ANSWER && strstr(jm.sentence, "the server's ACK"), "%s",
		  jm.sentence);
	sw_judge_free(j);
}

Test(judge, foreign_synack)
{
	struct sw_judge *j = with_key(1);
	const struct frame_spec syn = keys_syn(SW_IP4, true);
	const struct sw_synack sa = { .isn = 77, .ts = true, .tsval = 88 };
	const struct frame_spec s = synack_of(&syn, &sa);
	const struct sw_judgement jm = judge(j, &s, SW_WAY_OUT, now);

	cr_assert(jm.finding == SW_FOUND_FOREIGN && !jm.has_cookie, "%s", jm.facts);
	cr_assert_str_eq(jm.sentence, "a SYN-ACK whose numbers are no cookie of this key");
	sw_judge_free(j);
}

/* A SYN-ACK of the right key that was made with the other MAC. */
Test(judge, synack_by_the_other_mac)
{
	struct sw_judge *j = with_key(1);
	const struct sw_masters m = keys_masters(1);
	const struct frame_spec syn = keys_syn(SW_IP6, true);
	const struct sw_cookie c = keys_mint(&m, 0, SW_MAC_SIPHASH24, &syn, now);
	const struct sw_synack sa = { .isn = c.isn, .ts = true, .tsval = c.tsval };
	const struct frame_spec s = synack_of(&syn, &sa);
	const struct sw_judgement jm = judge(j, &s, SW_WAY_OUT, now);

	cr_assert_eq(jm.finding, SW_FOUND_FOREIGN, "%s", jm.facts);
	cr_assert(strstr(jm.sentence, "right cookie by siphash-2-4"), "%s", jm.sentence);
	sw_judge_free(j);
}

/* A checksum that the network card was to fill in is no fault; a wrong one is. */
Test(judge, checksums)
{
	for (int family = 4; family <= 6; family += 2) {
		struct sw_judge *j = with_key(1);
		const struct frame_spec s = keys_syn((enum sw_family)family, true);
		struct frame f = frame_make(&s);
		const struct sw_frame view = frame_view(&f);
		const struct sw_case c = { .frame = &view, .at = now };
		const uint16_t full = frame_tcp_csum(&f);
		const size_t alen = family == 4 ? 4 : 16;
		const uint8_t *addrs = f.b + f.l3 + (family == 4 ? 12 : 8);
		const uint32_t pseudo =
			frame_sum(6, addrs, 2 * alen) + (uint32_t)f.l4_len;
		struct sw_judgement jm;

		frame_put16(f.b + f.l4 + 16, (uint16_t)~frame_fold(pseudo));
		sw_judge_packet(j, &c, &jm);
		cr_assert_eq(jm.decision.verdict, SW_REPLY, "partial: %s", jm.facts);
		frame_put16(f.b + f.l4 + 16, (uint16_t)(full + 1));
		sw_judge_packet(j, &c, &jm);
		cr_assert_eq(jm.decision.why, SW_WHY_BAD_TCP_CHECKSUM, "wrong: %s", jm.facts);
		sw_judge_free(j);
	}
}

Test(judge, every_prefix_is_malformed)
{
	struct sw_judge *j = with_key(1);
	const struct frame_spec s = keys_syn(SW_IP4, true);
	const struct frame f = frame_make(&s);

	for (size_t n = 0; n < f.len; n++) {
		uint8_t *tight = malloc(n ? n : 1);
		const struct sw_frame view = { .data = tight, .len = n, .wire_len = n };
		const struct sw_case c = { .frame = &view, .at = now };
		struct sw_judgement jm;

		memcpy(tight, f.b, n);
		sw_judge_packet(j, &c, &jm);
		cr_assert_eq(jm.finding, SW_FOUND_MALFORMED, "cut at %zu: %s", n, jm.facts);
		free(tight);
	}
	sw_judge_free(j);
}

/* Captures are merged, clocks are set: time may jump anywhere. */
Test(judge, time_may_step_back)
{
	struct sw_judge *j = with_key(2);
	const struct frame_spec syn = keys_syn(SW_IP6, true);
	static const uint64_t times[] = { 0, KEYS_NOW_NS, 5, UINT64_MAX / 1000000000u * 1000000000u,
					  KEYS_NOW_NS - 1, 0 };

	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		const sw_wall at = { times[i] };
		const struct sw_judgement a = judge(j, &syn, SW_WAY_IN, at);
		const struct frame_spec ack = keys_ack(&syn, &a.cookie);
		const struct sw_judgement b = judge(j, &ack, SW_WAY_IN, at);

		cr_assert_eq(a.decision.verdict, SW_REPLY, "time %zu: %s", i, a.facts);
		cr_assert(b.decision.why == SW_WHY_ACK_PROVEN || b.decision.why == SW_WHY_DUPLICATE,
			  "time %zu: %s", i, b.facts);
	}
	sw_judge_free(j);
	sw_judge_free(NULL);
}
