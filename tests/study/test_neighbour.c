/* SPDX-License-Identifier: MIT */
#include "study/neighbour.h"

#include "study/keys.h"

#include <criterion/criterion.h>
#include <string.h>

#define SECOND_NS 1000000000ull

static const sw_wall now = { KEYS_NOW_NS + 10u * SECOND_NS };

/* A genuine ACK, to be spoiled. */
struct setup {
	struct sw_masters masters;
	struct sw_cookie cookie;
	struct sw_seg ack;
};

static struct setup setup(enum sw_family family, bool wide)
{
	const struct frame_spec syn = keys_syn(family, wide);
	struct setup s = { .masters = keys_masters(2) };
	struct frame_spec ack;

	s.cookie = keys_mint(&s.masters, 1, SW_MAC_HMAC_SHA256, &syn, now);
	ack = keys_ack(&syn, &s.cookie);
	s.ack = frame_seg(&ack);
	return s;
}

static struct sw_neighbour find(const struct setup *s, sw_wall at, enum sw_effort effort)
{
	struct sw_neighbour n;

	cr_assert(sw_neighbour_find(&s->masters, SW_MAC_HMAC_SHA256, &s->ack, at, effort, &n),
		  "libcrypto failed");
	return n;
}

static void expect(const struct setup *s, sw_wall at, enum sw_effort effort, enum sw_near kind,
		   const char *text)
{
	const struct sw_neighbour n = find(s, at, effort);
	char got[512];

	cr_assert_eq(n.kind, kind, "kind %d, want %d (%s)", n.kind, kind, text);
	if (kind != SW_NEAR_NONE)
		cr_assert(n.cookie.isn == s->cookie.isn && n.cookie.tsval == s->cookie.tsval &&
			  n.cookie.epoch.n == s->cookie.epoch.n, "another cookie (%s)", text);
	sw_neighbour_text(&n, &s->ack, at, (sw_wall){ 0 }, got, sizeof(got));
	cr_assert(strstr(got, text), "'%s' says not '%s'", got, text);
}

/* For both families and forms; every kind of fault. */
#define EACH(s) \
	for (int i_ = 0; i_ < 4; i_++) \
		for (struct setup s = setup(i_ & 1 ? SW_IP6 : SW_IP4, i_ & 2), *once_ = &s; once_; \
		     once_ = NULL)

Test(neighbour, other_port)
{
	EACH(s) {
		s.ack.dport = 8443;
		expect(&s, now, SW_EFFORT_QUICK, SW_NEAR_SERVER_PORT,
		       "right cookie for port 443, this ACK came to 8443");
	}
}

Test(neighbour, unusual_ports_take_the_full_effort)
{
	struct setup s = setup(SW_IP4, true);

	s.ack.sport = 40001;
	expect(&s, now, SW_EFFORT_QUICK, SW_NEAR_NONE, "nothing near it");
	expect(&s, now, SW_EFFORT_FULL, SW_NEAR_CLIENT_PORT,
	       "for the client's port 40000, this ACK came from 40001");
}

Test(neighbour, other_time)
{
	static const struct {
		int64_t seconds;
		enum sw_effort effort;
		const char *text;
	} rows[] = {
		{ 71, SW_EFFORT_QUICK, "minted 49 to 81 s ago in epoch 53125000, accepted until "
				       "2023-11-14T22:14:24Z" },
		{ 240, SW_EFFORT_QUICK, "minted 218 to 250 s ago in epoch 53125000" },
		{ 80000, SW_EFFORT_FULL, "minted 79978 to 80010 s ago in epoch 53125000" },
		{ -71, SW_EFFORT_QUICK, "minted in epoch 53125000, which begins in 61 s" },
		{ -80000, SW_EFFORT_FULL, "which begins in 79990 s" },
	};

	EACH(s) {
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
			expect(&s,
			       (sw_wall){ (uint64_t)((int64_t)now.ns +
						     rows[i].seconds * (int64_t)SECOND_NS) },
			       rows[i].effort, SW_NEAR_TIME, rows[i].text);
	}
}

/* When the SYN-ACK was seen, its age is known exactly. */
Test(neighbour, the_age_is_exact_when_it_was_seen)
{
	const struct setup s = setup(SW_IP4, true);
	const sw_wall late = { now.ns + 71ull * SECOND_NS };
	const struct sw_neighbour n = find(&s, late, SW_EFFORT_QUICK);
	char text[256];

	sw_neighbour_text(&n, &s.ack, late, now, text, sizeof(text));
	cr_assert_str_eq(text, "minted 71 s ago in epoch 53125000, accepted for 54 s");
}

Test(neighbour, other_mac)
{
	const struct setup s = setup(SW_IP4, true);
	struct sw_neighbour n;
	char text[256];

	cr_assert(sw_neighbour_find(&s.masters, SW_MAC_SIPHASH24, &s.ack, now, SW_EFFORT_QUICK, &n),
		  "libcrypto failed");
	cr_assert(n.kind == SW_NEAR_MAC && n.alg == SW_MAC_HMAC_SHA256, "kind %d", n.kind);
	sw_neighbour_text(&n, &s.ack, now, (sw_wall){ 0 }, text, sizeof(text));
	cr_assert(strstr(text, "right cookie by hmac-sha256"), "%s", text);
}

Test(neighbour, other_direction)
{
	EACH(s) {
		const struct sw_seg good = s.ack;

		s.ack.src = good.dst;
		s.ack.dst = good.src;
		s.ack.sport = good.dport;
		s.ack.dport = good.sport;
		expect(&s, now, SW_EFFORT_QUICK, SW_NEAR_REVERSED, "other direction");
	}
}

Test(neighbour, wrong_numbers)
{
	EACH(s) {
		const struct sw_seg good = s.ack;

		s.ack.ack = good.ack - 1;
		expect(&s, now, SW_EFFORT_QUICK, SW_NEAR_ACK, "the ISN plus one");
		s.ack = good;
		s.ack.seq = good.seq - 1;
		expect(&s, now, SW_EFFORT_QUICK, SW_NEAR_SEQ, "the client's ISN itself");
		s.ack.seq = good.seq + 1;
		expect(&s, now, SW_EFFORT_QUICK, SW_NEAR_SEQ, "one too high");
		s.ack.seq = good.seq + 517;
		expect(&s, now, SW_EFFORT_FULL, SW_NEAR_SEQ, "517 bytes into the stream");
	}
}

Test(neighbour, timestamps)
{
	struct setup s = setup(SW_IP4, true);

	s.ack.opt.ts = false;
	expect(&s, now, SW_EFFORT_QUICK, SW_NEAR_TS_LOST, "the timestamp option is missing");
	s.ack.opt.ts = true;
	s.ack.opt.tsecr ^= 1;
	expect(&s, now, SW_EFFORT_QUICK, SW_NEAR_TSECR, "something rewrites timestamps");
	s = setup(SW_IP6, false);
	s.ack.opt.ts = true;
	s.ack.opt.tsecr = 77;
	expect(&s, now, SW_EFFORT_QUICK, SW_NEAR_TS_ADDED, "narrow form");
}

Test(neighbour, acknowledged_more)
{
	struct setup s = setup(SW_IP4, true);

	s.ack.ack += 1000;
	expect(&s, now, SW_EFFORT_QUICK, SW_NEAR_ISN, "acknowledges 1000 bytes");
	s.ack.ack ^= 0x80000000;
	expect(&s, now, SW_EFFORT_QUICK, SW_NEAR_ISN, "right TSecr, but the ACK number is");
}

Test(neighbour, guesses)
{
	struct setup s = setup(SW_IP4, true);

	s.ack.ack = 12345;
	s.ack.opt.tsecr = 54321;
	expect(&s, now, SW_EFFORT_FULL, SW_NEAR_NONE, "a guess");
	s = setup(SW_IP4, true);
	s.masters.key[1][0] ^= 1;
	expect(&s, now, SW_EFFORT_FULL, SW_NEAR_NONE, "the key of somebody else");
}

/* 25 bits are few: what a long search finds may be chance, and it says so. */
Test(neighbour, odds_of_the_narrow_form)
{
	struct setup s = setup(SW_IP4, false);
	struct sw_neighbour n;
	char text[512];

	s.ack.dport = 50001;
	n = find(&s, now, SW_EFFORT_FULL);
	sw_neighbour_text(&n, &s.ack, now, (sw_wall){ 0 }, text, sizeof(text));
	cr_assert(strstr(text, "by chance") == NULL, "%s", text); /* 443 is tried among the first */
	s.ack.dport = 443;
	s.ack.sport = 50001;
	n = find(&s, now, SW_EFFORT_FULL);
	sw_neighbour_text(&n, &s.ack, now, (sw_wall){ 0 }, text, sizeof(text));
	cr_assert(strstr(text, "(or by chance: once in "), "%s", text);
}
