/* SPDX-License-Identifier: MIT */
#include "core/decide.h"
#include "core/reply.h"
#include "frames.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct sw_ctx ctx; /* large; a test runs alone in its process */

static const sw_wall wall = { FRAME_WALL_S * 1000000000ull };
static const sw_mono mono = { 1000000000ull };

static struct sw_policy policy(void)
{
	struct sw_policy p = {
		.nguard = 2,
		.mss4 = 1460,
		.mss6 = 1440,
		.window = 65535,
		.wscale = 9,
		.ttl = 64,
		.wscale_on = true,
		.sack_on = true,
		.ts_on = true,
		.ecn_on = true,
		.refuse_rate = 1000000,
		.diagnose_rate = 1000000,
	};

	p.guard[0] = (struct sw_guard){ .family = SW_IP4, .any = true, .port = 443 };
	p.guard[1] = (struct sw_guard){ .family = SW_IP6, .any = true, .port = 443 };
	return p;
}

static void start(const struct sw_policy *p)
{
	struct sw_masters m = { .n = 1 };

	sw_ctx_wipe(&ctx); /* of an earlier start */
	memset(m.key[0], 0x42, SW_KEY_LEN);
	cr_assert(sw_ctx_init(&ctx, p, SW_MAC_SIPHASH24, &m, 1, wall, mono), "no context");
}

static void start_usual(void)
{
	const struct sw_policy p = policy();

	start(&p);
}

static struct sw_decision decide_at(const struct frame *f, sw_wall w, sw_mono m)
{
	const struct sw_frame view = frame_view(f);
	struct sw_seg seg;

	return sw_decide(&ctx, &view, &seg, w, m);
}

static struct sw_decision decide(const struct frame_spec *s)
{
	const struct frame f = frame_make(s);

	return decide_at(&f, wall, mono);
}

static const char *verdict_name(enum sw_verdict v)
{
	static const char *const names[SW_NVERDICT] = { "pass", "reply", "admit", "drop" };

	return names[v];
}

static void expect(struct sw_decision d, enum sw_verdict verdict, enum sw_why why, const char *what)
{
	cr_assert(d.verdict == verdict && d.why == why, "%s: %s %s, not %s %s", what,
		  verdict_name(d.verdict), sw_why_name(d.why), verdict_name(verdict),
		  sw_why_name(why));
}

/* The ACK that a client sends after this host's answer to @syn. */
static struct frame_spec proven_ack(const struct frame_spec *syn)
{
	const struct sw_decision d = decide(syn);

	cr_assert_eq(d.verdict, SW_REPLY, "no answer: %s", sw_why_name(d.why));
	return frame_ack_of(syn, d.synack.isn, d.synack.ts, d.synack.tsval);
}

Test(decide, malformed_frames_are_dropped_with_the_parsers_reason)
{
	struct frame_spec s = frame_syn(SW_IP4);
	struct frame f = frame_make(&s);

	start_usual();
	f.len = 20;
	expect(decide_at(&f, wall, mono), SW_DROP, SW_WHY_SHORT, "short");
	f = frame_make(&s);
	f.b[f.l3 + 9] = 17;
	frame_fix_ip4(&f);
	expect(decide_at(&f, wall, mono), SW_DROP, SW_WHY_NOT_TCP, "UDP");
	s.dport = 80; /* also on ports that are not guarded */
	f = frame_make(&s);
	f.b[f.l3 + 10] ^= 1;
	expect(decide_at(&f, wall, mono), SW_DROP, SW_WHY_BAD_IP_CHECKSUM, "checksum");
}

/* All 256 flag bytes, without a cookie. */
Test(decide, flags)
{
	start_usual();
	for (unsigned v = 4; v <= 6; v += 2) {
		for (unsigned flags = 0; flags < 256; flags++) {
			struct frame_spec s = frame_syn((enum sw_family)v);
			enum sw_verdict verdict = SW_DROP;
			enum sw_why why;
			char what[32];

			s.flags = (uint8_t)flags;
			if (flags & SW_TCP_SYN) {
				why = flags & (SW_TCP_FIN | SW_TCP_RST) ? SW_WHY_BAD_FLAGS
				      : flags & SW_TCP_ACK		? SW_WHY_SYN_ACK
									: SW_WHY_SYN_ANSWERED;
				verdict = why == SW_WHY_SYN_ANSWERED ? SW_REPLY : SW_DROP;
			} else if (flags & SW_TCP_RST) {
				why = SW_WHY_RST;
			} else if (flags & SW_TCP_ACK) {
				why = SW_WHY_COOKIE_FORGED;
				verdict = SW_PASS;
			} else {
				why = SW_WHY_NO_ACK;
			}
			snprintf(what, sizeof(what), "IPv%u flags %#x", v, flags);
			expect(decide(&s), verdict, why, what);
		}
	}
}

Test(decide, martians)
{
	static const struct {
		const char *src;
		bool bad, bad_on_loopback;
	} rows[] = {
		{ "0.0.0.0", true, true },
		{ "0.1.2.3", true, true },
		{ "127.0.0.1", true, false },
		{ "127.255.255.255", true, false },
		{ "224.0.0.1", true, true },
		{ "239.255.255.255", true, true },
		{ "240.0.0.1", true, true },
		{ "255.255.255.255", true, true },
		{ "1.0.0.0", false, false },
		{ "126.255.255.255", false, false },
		{ "128.0.0.0", false, false },
		{ "223.255.255.255", false, false },
		{ "10.0.0.1", false, false },
		{ "169.254.1.1", false, false },
		{ "::", true, true },
		{ "::1", true, false },
		{ "ff02::1", true, true },
		{ "ff00::", true, true },
		{ "::ffff:192.0.2.1", true, true },
		{ "::ffff:0.0.0.0", true, true },
		{ "::2", false, false },
		{ "::1:0:0", false, false },
		{ "::fffe:192.0.2.1", false, false },
		{ "1::ffff:192.0.2.1", false, false },
		{ "fe80::1", false, false },
		{ "fd00::1", false, false },
	};

	for (unsigned loopback = 0; loopback < 2; loopback++) {
		struct sw_policy p = policy();

		p.loopback = loopback;
		start(&p);
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			const bool v6 = strchr(rows[i].src, ':');
			const bool bad = loopback ? rows[i].bad_on_loopback : rows[i].bad;
			struct frame_spec s = frame_syn_usual(v6 ? SW_IP6 : SW_IP4);

			s.src = frame_addr(rows[i].src);
			expect(decide(&s), bad ? SW_DROP : SW_REPLY,
			       bad ? SW_WHY_MARTIAN : SW_WHY_SYN_ANSWERED, rows[i].src);
		}
		sw_ctx_wipe(&ctx);
	}
}

Test(decide, land_and_port_zero)
{
	struct sw_policy p = policy();
	struct frame_spec s = frame_syn_usual(SW_IP4);

	p.loopback = true;
	start(&p);
	s.src = s.dst = frame_addr("127.0.0.1");
	expect(decide(&s), SW_REPLY, SW_WHY_SYN_ANSWERED, "a host to itself");
	s.sport = s.dport;
	expect(decide(&s), SW_DROP, SW_WHY_LAND, "land");
	s.src = frame_addr("127.0.0.2");
	expect(decide(&s), SW_REPLY, SW_WHY_SYN_ANSWERED, "the same port elsewhere");
	s.sport = 0;
	expect(decide(&s), SW_DROP, SW_WHY_PORT_ZERO, "port zero");
	s = frame_syn_usual(SW_IP6);
	s.src = s.dst;
	s.sport = s.dport;
	expect(decide(&s), SW_DROP, SW_WHY_LAND, "land, IPv6");
}

Test(decide, what_is_not_guarded_is_passed)
{
	struct sw_policy p = policy();
	struct frame_spec s = frame_syn_usual(SW_IP4);

	p.guard[0].any = false;
	p.guard[0].addr = s.dst;
	p.nguard = 1;
	start(&p);
	expect(decide(&s), SW_REPLY, SW_WHY_SYN_ANSWERED, "guarded");
	s.dport = 444;
	expect(decide(&s), SW_PASS, SW_WHY_NOT_GUARDED, "another port");
	s.dport = 443;
	s.dst.b[3] ^= 1;
	expect(decide(&s), SW_PASS, SW_WHY_NOT_GUARDED, "another address");
	s.src = frame_addr("0.0.0.0");
	expect(decide(&s), SW_PASS, SW_WHY_NOT_GUARDED, "a martian elsewhere");
	s = frame_syn_usual(SW_IP6);
	expect(decide(&s), SW_PASS, SW_WHY_NOT_GUARDED, "another family");
	start_usual();
	s = frame_syn_usual(SW_IP4);
	s.dst = frame_addr("224.0.0.5");
	expect(decide(&s), SW_PASS, SW_WHY_NOT_GUARDED, "multicast");
	s.dst = frame_addr("255.255.255.255");
	expect(decide(&s), SW_PASS, SW_WHY_NOT_GUARDED, "broadcast");
	s = frame_syn_usual(SW_IP6);
	s.dst = frame_addr("ff02::1");
	expect(decide(&s), SW_PASS, SW_WHY_NOT_GUARDED, "multicast, IPv6");
}

Test(decide, checksums_of_syn_and_ack)
{
	struct frame_spec s = frame_syn_usual(SW_IP4);
	struct frame f = frame_make(&s);
	struct frame_spec ack;

	start_usual();
	f.b[f.l4 + 16] ^= 1;
	expect(decide_at(&f, wall, mono), SW_DROP, SW_WHY_BAD_TCP_CHECKSUM, "SYN");
	ack = proven_ack(&s);
	f = frame_make(&ack);
	f.b[f.l4 + 16] ^= 1;
	expect(decide_at(&f, wall, mono), SW_DROP, SW_WHY_BAD_TCP_CHECKSUM, "proven ACK");
	ack.ack++;
	f = frame_make(&ack);
	f.b[f.l4 + 16] ^= 1;
	expect(decide_at(&f, wall, mono), SW_PASS, SW_WHY_COOKIE_FORGED, "the kernel checks it");
}

Test(decide, small_mss)
{
	struct frame_spec s = frame_syn(SW_IP4);

	start_usual();
	frame_opt_mss(&s, 535);
	expect(decide(&s), SW_DROP, SW_WHY_MSS_SMALL, "narrow");
	frame_opt_ts(&s, 1, 0);
	expect(decide(&s), SW_REPLY, SW_WHY_SYN_ANSWERED, "wide");
}

Test(decide, no_key)
{
	const struct frame_spec s = frame_syn_usual(SW_IP4);
	struct frame_spec ack;
	struct frame f = frame_make(&s);
	const sw_wall later = { wall.ns + 3600 * 1000000000ull }; /* without an advance */

	start_usual();
	ack = proven_ack(&s);
	expect(decide_at(&f, later, mono), SW_DROP, SW_WHY_NO_KEY, "SYN");
	f = frame_make(&ack);
	expect(decide_at(&f, later, mono), SW_PASS, SW_WHY_NO_KEY, "ACK");
}

Test(decide, a_syn_may_carry_data_and_other_flags)
{
	start_usual();
	for (unsigned extra = 0; extra < 16; extra++) {
		struct frame_spec s = frame_syn_usual(SW_IP4);

		s.payload = extra & 1 ? 100 : 0;
		s.flags = (uint8_t)(SW_TCP_SYN | (extra & 2 ? SW_TCP_PSH : 0) |
				    (extra & 4 ? SW_TCP_URG : 0) |
				    (extra & 8 ? SW_TCP_ECE | SW_TCP_CWR : 0));
		expect(decide(&s), SW_REPLY, SW_WHY_SYN_ANSWERED, "SYN");
	}
}

/* Every policy with every offer: the SYN-ACK says what both want, and the ACK brings it back. */
Test(decide, terms_are_what_both_ends_want)
{
	for (unsigned code = 0; code < 16 * 32 * 2; code++) {
		const unsigned on = code % 16, offer = code / 16 % 32;
		const enum sw_family family = code / 512 ? SW_IP6 : SW_IP4;
		const bool ts = on & 1 && offer & 1;
		const bool ecn = on & 8 && (offer & 24) == 24 && ts;
		struct frame_spec s = frame_syn(family), ack;
		struct sw_policy p = policy();
		struct sw_decision d, a;

		p.ts_on = on & 1;
		p.sack_on = on & 2;
		p.wscale_on = on & 4;
		p.ecn_on = on & 8;
		start(&p);
		frame_opt_mss(&s, 1450);
		if (offer & 1)
			frame_opt_ts(&s, 0xabcdef01, 0);
		if (offer & 2)
			frame_opt_sack(&s);
		if (offer & 4)
			frame_opt_wscale(&s, 8);
		s.flags = (uint8_t)(SW_TCP_SYN | (offer & 8 ? SW_TCP_ECE : 0) |
				    (offer & 16 ? SW_TCP_CWR : 0));
		d = decide(&s);
		expect(d, SW_REPLY, SW_WHY_SYN_ANSWERED, "SYN");
		cr_assert_eq(d.synack.ts, ts, "case %u: ts", code);
		cr_assert_eq(d.synack.sack, (on & offer & 2) != 0, "case %u: sack", code);
		cr_assert_eq(d.synack.wscale_ok, (on & offer & 4) != 0, "case %u: wscale", code);
		cr_assert_eq(d.synack.ecn, ecn, "case %u: ecn", code);
		cr_assert_eq(d.synack.mss, family == SW_IP4 ? 1460 : 1440, "case %u: mss", code);
		cr_assert(d.synack.window == 65535 && d.synack.ttl == 64, "case %u", code);
		cr_assert_eq(d.synack.isn, d.cookie.isn, "case %u: isn", code);
		cr_assert(!ts || (d.synack.tsval == d.cookie.tsval &&
				  d.synack.tsecr == 0xabcdef01 && d.synack.wscale == 9),
			  "case %u: tsval", code);
		cr_assert(d.terms.mss <= 1450, "case %u: MSS %u", code, d.terms.mss);

		ack = frame_ack_of(&s, d.synack.isn, ts, d.synack.tsval);
		ack.payload = code % 3 ? 50 : 0;
		a = decide(&ack);
		expect(a, SW_ADMIT, SW_WHY_ACK_PROVEN, "ACK");
		cr_assert(a.terms.mss == d.terms.mss && a.terms.wscale == d.terms.wscale &&
				  a.terms.wscale_ok == d.terms.wscale_ok &&
				  a.terms.sack == d.terms.sack && a.terms.ts == d.terms.ts &&
				  a.terms.ecn == d.terms.ecn,
			  "case %u: other terms came back", code);
		cr_assert(a.cookie.isn == d.cookie.isn && a.cookie.tsval == d.cookie.tsval,
			  "case %u: another cookie", code);
		sw_ctx_wipe(&ctx);
	}
}

/* FIN, PSH and URG may come with the ACK that proves the client. */
Test(decide, flags_beside_the_proof)
{
	const struct frame_spec s = frame_syn_usual(SW_IP6);
	struct frame_spec ack;

	start_usual();
	ack = proven_ack(&s);
	for (unsigned flags = 0; flags < 256; flags++) {
		if (flags & (SW_TCP_SYN | SW_TCP_RST) || !(flags & SW_TCP_ACK))
			continue;
		ack.flags = (uint8_t)flags;
		expect(decide(&ack), SW_ADMIT, SW_WHY_ACK_PROVEN, "ACK");
	}
	ack.flags = SW_TCP_ACK | SW_TCP_RST;
	expect(decide(&ack), SW_DROP, SW_WHY_RST, "reset");
	ack.flags = SW_TCP_ACK | SW_TCP_SYN;
	expect(decide(&ack), SW_DROP, SW_WHY_SYN_ACK, "SYN-ACK");
}

/* A proven ACK, as the caller sees it before it makes the socket. */
static struct sw_decision admitted(const struct frame_spec *ack)
{
	const struct sw_decision d = decide(ack);

	expect(d, SW_ADMIT, SW_WHY_ACK_PROVEN, "the first time");
	return d;
}

Test(decide, segments_behind_a_handoff_are_passed)
{
	const struct frame_spec s = frame_syn_usual(SW_IP4);
	const sw_mono late = { mono.ns + SW_RECENT_NS };
	struct frame_spec data;
	struct sw_decision d;
	struct sw_seg seg;
	struct frame f;

	start_usual();
	data = proven_ack(&s);
	seg = frame_seg(&data);
	d = admitted(&data);
	data.seq += 100;
	data.opt_len = 0;
	expect(decide(&data), SW_PASS, SW_WHY_COOKIE_FORGED, "before");
	sw_ctx_handed(&ctx, &seg, &d.cookie, mono);
	expect(decide(&data), SW_PASS, SW_WHY_AFTER_HANDOFF, "after");
	data.flags = SW_TCP_FIN | SW_TCP_ACK;
	expect(decide(&data), SW_PASS, SW_WHY_AFTER_HANDOFF, "the end");
	data.flags = SW_TCP_RST;
	expect(decide(&data), SW_PASS, SW_WHY_AFTER_HANDOFF, "the sudden end");
	data.flags = SW_TCP_ACK;
	expect(decide(&s), SW_REPLY, SW_WHY_SYN_ANSWERED, "a new SYN");
	expect(decide(&data), SW_PASS, SW_WHY_COOKIE_FORGED, "ends the memory");
	sw_ctx_handed(&ctx, &seg, &d.cookie, mono);
	f = frame_make(&data);
	expect(decide_at(&f, wall, late), SW_PASS, SW_WHY_COOKIE_FORGED, "too late");
	data.flags = SW_TCP_RST;
	f = frame_make(&data);
	expect(decide_at(&f, wall, late), SW_DROP, SW_WHY_RST, "too late");
}

/* A replay opens nothing, neither at once nor when everything else has forgotten it. */
Test(decide, a_cookie_opens_one_connection)
{
	for (unsigned ts = 0; ts < 2; ts++) {
		struct frame_spec s = frame_syn(SW_IP6), ack, other;
		struct sw_policy p = policy();
		struct sw_decision d;
		struct sw_seg seg;
		struct frame f;

		p.refuse_rate = 1;
		start(&p);
		if (ts)
			frame_opt_ts(&s, 1, 0);
		ack = proven_ack(&s);
		seg = frame_seg(&ack);
		d = admitted(&ack);
		expect(decide(&ack), SW_ADMIT, SW_WHY_ACK_PROVEN, "no socket was made");
		sw_ctx_handed(&ctx, &seg, &d.cookie, mono);
		for (unsigned i = 0; i < 5; i++)
			expect(decide(&ack), SW_PASS, SW_WHY_DUPLICATE, "needs no budget");
		ack.payload = 10;
		expect(decide(&ack), SW_PASS, SW_WHY_DUPLICATE, "the first data");
		f = frame_make(&ack);
		for (uint64_t s2 = 1; s2 < 60; s2 += 10) {
			const sw_mono at = { mono.ns + s2 * 1000000000u };
			const sw_wall w = { wall.ns + s2 * 1000000000u };

			cr_assert(sw_keyring_advance(&ctx.keys, w), "advance");
			expect(decide_at(&f, w, at), SW_PASS, SW_WHY_DUPLICATE, "in budget");
			expect(decide_at(&f, w, at), SW_DROP, SW_WHY_DUPLICATE, "beyond");
		}
		cr_assert(sw_keyring_advance(&ctx.keys, wall), "advance");
		other = s;
		other.seq++; /* a new connection from the same port */
		ack = proven_ack(&other);
		expect(decide(&ack), SW_ADMIT, SW_WHY_ACK_PROVEN, "another cookie");
	}
}

/* A SYN that is refused changes nothing. */
Test(decide, only_an_answered_syn_ends_the_memory)
{
	const struct sw_cookie cookie = { .tag = 1 };
	struct frame_spec s = frame_syn_usual(SW_IP4);
	struct frame f = frame_make(&s);
	struct sw_seg seg = frame_seg(&s);
	struct frame_spec data = frame_ack_of(&s, 1, false, 0);

	start_usual();
	sw_ctx_handed(&ctx, &seg, &cookie, mono);
	f.b[f.l4 + 16] ^= 1;
	expect(decide_at(&f, wall, mono), SW_DROP, SW_WHY_BAD_TCP_CHECKSUM, "corrupt SYN");
	expect(decide(&data), SW_PASS, SW_WHY_AFTER_HANDOFF, "still known");
}

Test(decide, expired_and_future_have_their_own_reasons)
{
	const struct frame_spec s = frame_syn_usual(SW_IP4);
	struct frame_spec spec;
	struct frame f;
	static const struct {
		int64_t seconds;
		enum sw_verdict verdict;
		enum sw_why why;
	} rows[] = {
		{ 64, SW_PASS, SW_WHY_COOKIE_EXPIRED }, { 127, SW_PASS, SW_WHY_COOKIE_EXPIRED },
		{ 128, SW_PASS, SW_WHY_COOKIE_FORGED }, { -3, SW_PASS, SW_WHY_COOKIE_FUTURE },
		{ -64, SW_PASS, SW_WHY_COOKIE_FUTURE }, { -65, SW_PASS, SW_WHY_COOKIE_FORGED },
		{ 63, SW_ADMIT, SW_WHY_ACK_PROVEN },	{ -2, SW_ADMIT, SW_WHY_ACK_PROVEN },
	};

	start_usual();
	spec = proven_ack(&s);
	f = frame_make(&spec);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const sw_wall now = { wall.ns + (uint64_t)(rows[i].seconds * 1000000000) };

		cr_assert(sw_keyring_advance(&ctx.keys, now), "advance");
		expect(decide_at(&f, now, mono), rows[i].verdict, rows[i].why, "age");
	}
}

/* Three refusals a second, one of them looked into. */
Test(decide, budgets)
{
	const struct frame_spec s = frame_syn_usual(SW_IP4);
	struct sw_policy p = policy();
	struct frame_spec spec;
	struct frame f;
	const sw_wall now = { wall.ns + 70 * 1000000000ull };

	p.refuse_rate = 3;
	p.diagnose_rate = 1;
	start(&p);
	spec = proven_ack(&s);
	f = frame_make(&spec);
	cr_assert(sw_keyring_advance(&ctx.keys, now), "advance");
	for (uint64_t second = 0; second < 3; second++) {
		const sw_mono at = { mono.ns + second * 1000001000ull };

		expect(decide_at(&f, now, at), SW_PASS, SW_WHY_COOKIE_EXPIRED, "first");
		expect(decide_at(&f, now, at), SW_PASS, SW_WHY_COOKIE_FORGED, "second");
		expect(decide_at(&f, now, at), SW_PASS, SW_WHY_COOKIE_FORGED, "third");
		expect(decide_at(&f, now, at), SW_DROP, SW_WHY_COOKIE_FORGED, "fourth");
	}
	p.refuse_rate = 0;
	start(&p);
	expect(decide_at(&f, wall, mono), SW_ADMIT, SW_WHY_ACK_PROVEN, "proofs need no budget");
	spec.ack++;
	expect(decide(&spec), SW_DROP, SW_WHY_COOKIE_FORGED, "no refusals");
}

/* Drained: SYNs are dropped, and whoever has an answer completes. */
Test(decide, draining)
{
	struct frame_spec syn = frame_syn_usual(SW_IP4), ack, odd = frame_syn_usual(SW_IP4);

	start_usual();
	ack = proven_ack(&syn);
	ctx.draining = true;
	expect(decide(&syn), SW_DROP, SW_WHY_DRAINING, "a SYN");
	cr_assert(decide(&syn).syn, "not known as a SYN");
	odd.flags = SW_TCP_SYN | SW_TCP_FIN;
	expect(decide(&odd), SW_DROP, SW_WHY_BAD_FLAGS, "what is no SYN of anybody");
	expect(decide(&ack), SW_ADMIT, SW_WHY_ACK_PROVEN, "an ACK");
	ctx.draining = false;
	expect(decide(&syn), SW_REPLY, SW_WHY_SYN_ANSWERED, "again");
}

static struct sw_keyring keyring_of(const uint8_t *fill, size_t n, enum sw_mac_alg alg)
{
	struct sw_masters masters = { .n = n };
	struct sw_keyring kr;

	for (size_t i = 0; i < n; i++)
		memset(masters.key[i], fill[i], SW_KEY_LEN);
	cr_assert(sw_keyring_init(&kr, alg, &masters, wall), "no keyring");
	return kr;
}

static void expect_wiped(const void *p, size_t n, const char *what)
{
	for (size_t i = 0; i < n; i++)
		cr_assert_eq(((const uint8_t *)p)[i], 0, "%s: byte %zu", what, i);
}

/* A key that becomes retired proves; one that is gone does not. */
Test(decide, other_keys)
{
	static const uint8_t with[2] = { 0x43, 0x42 };
	const struct frame_spec syn = frame_syn_usual(SW_IP6);
	struct sw_keyring kr;
	struct frame_spec ack;

	start_usual(); /* 0x42 is active */
	ack = proven_ack(&syn);
	kr = keyring_of(with, 2, SW_MAC_SIPHASH24);
	sw_ctx_rekey(&ctx, &kr);
	expect_wiped(&kr, sizeof(kr), "what was moved");
	expect(decide(&ack), SW_ADMIT, SW_WHY_ACK_PROVEN, "by the second key");
	cr_assert_eq(decide(&ack).cookie.master, 1, "by another key");
	ack = proven_ack(&syn);
	cr_assert_eq(decide(&ack).cookie.master, 0, "minted by another key");
	kr = keyring_of(with, 1, SW_MAC_SIPHASH24);
	sw_ctx_rekey(&ctx, &kr);
	expect(decide(&ack), SW_ADMIT, SW_WHY_ACK_PROVEN, "by the first");
	kr = keyring_of(with + 1, 1, SW_MAC_SIPHASH24);
	sw_ctx_rekey(&ctx, &kr);
	expect(decide(&ack), SW_PASS, SW_WHY_COOKIE_FORGED, "the key is gone");
	sw_ctx_wipe(&ctx);
}

/* What a predecessor answered with another MAC is proven while its cookies live; and its
 * connections are not reset while it makes their sockets. */
Test(decide, a_successor)
{
	static const uint8_t fill = 0x42;
	const struct frame_spec syn = frame_syn_usual(SW_IP4);
	struct sw_keyring kr = keyring_of(&fill, 1, SW_MAC_HMAC_SHA256);
	struct frame_spec ack, own, forged;
	struct frame f;
	const sw_mono late = { mono.ns + 65 * 1000000000ull };
	const sw_wall late_wall = { wall.ns + 65 * 1000000000ull };

	start_usual();
	sw_ctx_rekey(&ctx, &kr); /* the predecessor is the same context with another MAC */
	ack = proven_ack(&syn);
	start_usual();
	own = proven_ack(&syn);
	forged = ack;
	forged.ack++;
	expect(decide(&ack), SW_PASS, SW_WHY_COOKIE_FORGED, "without a predecessor");
	sw_ctx_succeed(&ctx, NULL, mono);
	expect(decide(&ack), SW_DROP, SW_WHY_COOKIE_FORGED, "with one that had the same keys");
	kr = keyring_of(&fill, 1, SW_MAC_HMAC_SHA256);
	sw_ctx_succeed(&ctx, &kr, mono);
	expect_wiped(&kr, sizeof(kr), "what was moved");
	cr_assert(decide(&ack).before, "not the predecessor's");
	expect(decide(&ack), SW_ADMIT, SW_WHY_ACK_PROVEN, "the predecessor's");
	expect(decide(&own), SW_ADMIT, SW_WHY_ACK_PROVEN, "our own");
	cr_assert(!decide(&own).before, "the predecessor's");
	expect(decide(&forged), SW_DROP, SW_WHY_COOKIE_FORGED, "no reset yet");
	f = frame_make(&forged);
	expect(decide_at(&f, wall, (sw_mono){ mono.ns + 999999999 }), SW_DROP, SW_WHY_COOKIE_FORGED,
	       "at the end of the second");
	expect(decide_at(&f, wall, (sw_mono){ mono.ns + 1000000000 }), SW_PASS, SW_WHY_COOKIE_FORGED,
	       "a second later");
	cr_assert(sw_ctx_advance(&ctx, late_wall, late), "advance");
	cr_assert_eq(ctx.before_until.ns, 0, "the predecessor's keys are still held");
	expect_wiped(&ctx.before, sizeof(ctx.before), "the predecessor's keys");
	sw_ctx_wipe(&ctx);
	expect_wiped(&ctx.keys, sizeof(ctx.keys), "our own keys");
}

/* Which frames count as SYNs. */
Test(decide, what_is_a_syn)
{
	struct frame_spec s = frame_syn_usual(SW_IP4);

	start_usual();
	cr_assert(decide(&s).syn, "a SYN");
	s.flags = SW_TCP_SYN | SW_TCP_RST;
	cr_assert(decide(&s).syn, "a SYN with RST");
	s.flags = SW_TCP_SYN | SW_TCP_ACK;
	cr_assert(!decide(&s).syn, "a SYN-ACK");
	s.flags = SW_TCP_ACK;
	cr_assert(!decide(&s).syn, "an ACK");
	s.flags = SW_TCP_SYN;
	s.sport = 0;
	cr_assert(!decide(&s).syn, "refused for its address, like anything else");
}

/* The same arguments give the same answer. */
Test(decide, deterministic)
{
	const struct frame_spec s = frame_syn_usual(SW_IP6);
	struct sw_decision a, b;

	start_usual();
	a = decide(&s);
	start_usual();
	b = decide(&s);
	cr_assert(a.cookie.tag == b.cookie.tag && a.synack.isn == b.synack.isn &&
			  a.synack.tsval == b.synack.tsval,
		  "two cookies");
}

static size_t mutate(uint8_t *bytes, size_t len, uint64_t *seed)
{
	const unsigned changes = 1 + (unsigned)(frame_rand(seed) % 4);

	for (unsigned i = 0; i < changes && len > 0; i++) {
		const uint64_t r = frame_rand(seed);
		const size_t at = (size_t)(r >> 16) % len;

		switch (r % 5) {
		case 0:
			bytes[at] ^= (uint8_t)(1 << (r >> 8 & 7));
			break;
		case 1:
			bytes[at] = (uint8_t)(r >> 8);
			break;
		case 2:
			bytes[at] = r >> 8 & 1 ? 0xff : 0;
			break;
		case 3:
			len = at;
			break;
		default:
			memmove(bytes + at, bytes + at / 2, len - at);
			break;
		}
	}
	return len;
}

/*
 * A hundred thousand damaged frames.  Half of them get right checksums again.  None may be
 * admitted unless every byte that the cookie covers came through.
 */
Test(decide, mutations_are_safe)
{
	uint64_t seed = 3;
	unsigned seen[SW_NWHY] = { 0 };
	struct frame_spec spec[4];
	struct sw_seg good[4];

	start_usual();
	for (unsigned i = 0; i < 4; i++) {
		spec[i] = frame_syn_usual(i & 1 ? SW_IP6 : SW_IP4);
		spec[i].vlan[0] = (struct sw_vlan){ i & 2 ? 0x8100 : 0, 3 };
		if (i & 1) {
			spec[i].n_ext = 2;
			spec[i].ext[1] = SW_IP_DSTOPT;
		}
		if (i & 2)
			spec[i] = proven_ack(&spec[i]);
		good[i] = frame_seg(&spec[i]);
	}
	for (unsigned turn = 0; turn < 100000; turn++) {
		const unsigned which = turn % 4;
		struct frame f = frame_make(&spec[which]);
		struct sw_frame view = { .wire_len = f.len };
		uint8_t reply[SW_REPLY_MAX];
		struct sw_decision d;
		struct sw_seg seg;
		uint8_t *tight;

		f.len = mutate(f.b, f.len, &seed);
		if (turn & 4 && f.len >= f.l4 + 20)
			frame_fix_ip4(&f);
		view.len = f.len;
		view.wire_len = turn & 8 && f.len < view.wire_len ? view.wire_len : f.len;
		view.csum_checked = turn & 16;
		tight = memcpy(malloc(f.len ? f.len : 1), f.b, f.len);
		view.data = tight;
		d = sw_decide(&ctx, &view, &seg, wall, mono);
		cr_assert(d.why < SW_NWHY && d.verdict < SW_NVERDICT, "turn %u of seed 3", turn);
		seen[d.why]++;
		if (d.verdict == SW_REPLY)
			cr_assert(sw_reply_synack(reply, &seg, &d.synack) <= SW_REPLY_MAX,
				  "turn %u of seed 3", turn);
		if (d.verdict == SW_ADMIT)
			cr_assert(seg.seq == good[which].seq && seg.ack == good[which].ack &&
					  seg.sport == good[which].sport &&
					  memcmp(&seg.src, &good[which].src, 16) == 0 &&
					  memcmp(&seg.dst, &good[which].dst, 16) == 0,
				  "turn %u of seed 3: a forgery was admitted", turn);
		free(tight);
	}
	cr_assert(seen[SW_WHY_SYN_ANSWERED] && seen[SW_WHY_ACK_PROVEN] && seen[SW_WHY_SHORT] &&
			  seen[SW_WHY_COOKIE_FORGED] && seen[SW_WHY_BAD_IP_CHECKSUM] &&
			  seen[SW_WHY_NOT_IP] && seen[SW_WHY_BAD_DOFF],
		  "the mutations are too tame");
}

/* A SYN-ACK to a group address of Ethernet would reach every host of the link. */
Test(decide, a_source_mac_that_is_a_group)
{
	struct frame_spec s = frame_syn_usual(SW_IP4);

	start_usual();
	s.eth_src[0] = 0x01;
	expect(decide(&s), SW_DROP, SW_WHY_MARTIAN, "multicast");
	memset(s.eth_src, 0xff, sizeof(s.eth_src));
	expect(decide(&s), SW_DROP, SW_WHY_MARTIAN, "broadcast");
	s.eth_src[0] = 0x02;
	expect(decide(&s), SW_REPLY, SW_WHY_SYN_ANSWERED, "one host");
}
