/* SPDX-License-Identifier: MIT */
#include "core/cookie.h"
#include "frames.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define SECOND	 1000000000ull
#define EPOCH_NS (SW_EPOCH_SECONDS * SECOND)
#define EPOCH	 53125000u /* even; 1,700,000,000 s is its first second */
#define MILLION	 1000000u

static const enum sw_mac_alg algs[] = { SW_MAC_HMAC_SHA256, SW_MAC_SIPHASH24 };

static sw_wall wall(uint32_t epoch, uint64_t ns)
{
	return (sw_wall){ epoch * EPOCH_NS + ns };
}

static struct sw_masters masters(size_t n, uint8_t first)
{
	struct sw_masters m = { .n = n };

	for (size_t i = 0; i < n; i++)
		memset(m.key[i], first + (int)i, SW_KEY_LEN);
	return m;
}

static void open_ring(struct sw_keyring *kr, enum sw_mac_alg alg, sw_wall now)
{
	const struct sw_masters m = masters(1, 1);

	cr_assert(sw_keyring_init(kr, alg, &m, now), "no keyring");
}

static struct sw_seg syn_of(enum sw_family family)
{
	const struct frame_spec s = frame_syn_usual(family);

	return frame_seg(&s);
}

static struct sw_terms usual_terms(bool ts)
{
	return (struct sw_terms){
		.mss = 1240, .wscale = 7, .wscale_ok = true, .sack = true, .ts = ts
	};
}

static struct sw_cookie mint(struct sw_keyring *kr, const struct sw_seg *syn,
			     const struct sw_terms *offer, sw_wall now)
{
	struct sw_terms terms;
	struct sw_cookie c;

	cr_assert(sw_cookie_round(syn->family, offer, &terms), "MSS %u", offer->mss);
	cr_assert_eq(sw_cookie_mint(kr, syn, &terms, now, &c), SW_WHY_SYN_ANSWERED, "no cookie");
	return c;
}

/* The client's answer. */
static struct sw_seg ack_of(const struct sw_seg *syn, const struct sw_cookie *c)
{
	struct sw_seg ack = *syn;

	ack.flags = SW_TCP_ACK;
	ack.seq = syn->seq + 1;
	ack.ack = c->isn + 1;
	ack.opt = (struct sw_tcpopt){ .ts = c->form == SW_FORM_WIDE,
				      .tsval = 2,
				      .tsecr = c->form == SW_FORM_WIDE ? c->tsval : 0 };
	return ack;
}

static void expect_check(struct sw_keyring *kr, const struct sw_seg *ack, sw_wall now,
			 enum sw_why want, const char *what)
{
	struct sw_cookie c;
	const enum sw_why got = sw_cookie_check(kr, ack, now, &c);

	cr_assert_eq(got, want, "%s: %s, not %s", what, sw_why_name(got), sw_why_name(want));
}

static void expect_diagnosis(struct sw_keyring *kr, const struct sw_seg *ack, sw_wall now,
			     enum sw_why want, const char *what)
{
	const enum sw_why got = sw_cookie_diagnose(kr, ack, now, NULL);

	cr_assert_eq(got, want, "%s: %s, not %s", what, sw_why_name(got), sw_why_name(want));
}

/* splitmix64 with seed 7: among a million narrow guesses none hits a 25-bit tag. */
Test(cookie, a_million_random_acks_are_refused)
{
	const sw_wall now = wall(EPOCH, 9);
	uint64_t seed = 7;
	struct sw_keyring kr;
	unsigned forms[2] = { 0, 0 };

	for (size_t a = 0; a < 2; a++) {
		const unsigned turns = algs[a] == SW_MAC_SIPHASH24 ? MILLION : MILLION / 10;

		open_ring(&kr, algs[a], now);
		for (unsigned i = 0; i < turns; i++) {
			const uint64_t r = frame_rand(&seed), q = frame_rand(&seed);
			struct sw_seg ack = { .family = r & 1 ? SW_IP6 : SW_IP4, .dport = 443 };
			struct sw_cookie c;

			memcpy(ack.src.b, &q, sizeof(q));
			ack.sport = (uint16_t)(r >> 16);
			ack.seq = (uint32_t)(r >> 32);
			ack.ack = (uint32_t)frame_rand(&seed);
			ack.opt.ts = r & 2;
			ack.opt.tsecr = (uint32_t)(q >> 32);
			forms[ack.opt.ts]++;
			cr_assert_eq(sw_cookie_check(&kr, &ack, now, &c), SW_WHY_COOKIE_FORGED,
				     "%s: turn %u of seed 7 was admitted", sw_mac_name(algs[a]), i);
		}
		sw_keyring_wipe(&kr);
	}
	cr_assert(forms[0] > MILLION / 3 && forms[1] > MILLION / 3, "one form is missing");
}

/* One of the bits that the MAC covers.  @return false behind the last one. */
static bool flip(struct sw_seg *ack, unsigned bit, const char **what)
{
	const unsigned alen = ack->family == SW_IP4 ? 32 : 128;

	if (bit < 32) {
		*what = "client ISN";
		ack->seq = ((ack->seq - 1) ^ 1u << bit) + 1;
	} else if ((bit -= 32) < 32) {
		*what = "cookie ISN";
		ack->ack = ((ack->ack - 1) ^ 1u << bit) + 1;
	} else if ((bit -= 32) < 16) {
		*what = "client port";
		ack->sport ^= (uint16_t)(1u << bit);
	} else if ((bit -= 16) < 16) {
		*what = "server port";
		ack->dport ^= (uint16_t)(1u << bit);
	} else if ((bit -= 16) < alen) {
		*what = "client address";
		ack->src.b[bit / 8] ^= (uint8_t)(1u << bit % 8);
	} else if ((bit -= alen) < alen) {
		*what = "server address";
		ack->dst.b[bit / 8] ^= (uint8_t)(1u << bit % 8);
	} else if ((bit -= alen) < 32 && ack->opt.ts) {
		*what = "TSval";
		ack->opt.tsecr ^= 1u << bit;
	} else {
		return false;
	}
	return true;
}

/* @return how many changed ACKs were looked at; each must be refused. */
static unsigned try_all_bits(struct sw_keyring *kr, const struct sw_seg *good, sw_wall now,
			     unsigned turn)
{
	unsigned bit;
	struct sw_cookie c;

	for (bit = 0;; bit++) {
		struct sw_seg bad = *good;
		const char *what;

		if (!flip(&bad, bit, &what))
			return bit;
		cr_assert_eq(sw_cookie_check(kr, &bad, now, &c), SW_WHY_COOKIE_FORGED,
			     "%s, IPv%d, %s, bit %u, turn %u of seed 11", sw_mac_name(kr->alg),
			     (int)good->family, what, bit, turn);
	}
}

Test(cookie, a_million_acks_with_one_bit_changed_are_refused)
{
	const sw_wall now = wall(EPOCH, 31 * SECOND); /* inside the skew window: more MACs tried */
	uint64_t seed = 11;

	for (size_t a = 0; a < 2; a++) {
		const unsigned want = algs[a] == SW_MAC_SIPHASH24 ? MILLION : MILLION / 10;
		struct sw_keyring kr;
		unsigned done = 0;

		open_ring(&kr, algs[a], now);
		for (unsigned turn = 0; done < want; turn++) {
			const struct sw_terms offer = {
				.mss = (uint16_t)(536 + frame_rand(&seed) % 9000),
				.wscale = (uint8_t)(turn % 15),
				.wscale_ok = turn % 4 != 0,
				.sack = turn % 3 != 0,
				.ts = turn & 2,
				.ecn = turn % 5 == 0,
			};
			struct sw_seg syn = syn_of(turn & 1 ? SW_IP6 : SW_IP4), ack;
			struct sw_cookie c;

			syn.seq = (uint32_t)frame_rand(&seed);
			syn.sport = (uint16_t)frame_rand(&seed);
			c = mint(&kr, &syn, &offer, now);
			ack = ack_of(&syn, &c);
			expect_check(&kr, &ack, now, SW_WHY_ACK_PROVEN, "unchanged");
			done += try_all_bits(&kr, &ack, now, turn);
		}
		sw_keyring_wipe(&kr);
	}
}

Test(cookie, another_key_is_forged)
{
	const sw_wall now = wall(EPOCH, 0);
	const struct sw_masters theirs = masters(1, 99);
	const struct sw_terms offer = usual_terms(true);
	const struct sw_seg syn = syn_of(SW_IP4);

	for (size_t a = 0; a < 2; a++) {
		struct sw_keyring ours, other;
		struct sw_cookie c;
		struct sw_seg ack;

		open_ring(&ours, algs[a], now);
		cr_assert(sw_keyring_init(&other, algs[a], &theirs, now), "no keyring");
		c = mint(&other, &syn, &offer, now);
		ack = ack_of(&syn, &c);
		expect_check(&ours, &ack, now, SW_WHY_COOKIE_FORGED, "another master");
		expect_diagnosis(&ours, &ack, now, SW_WHY_COOKIE_FORGED, "another master");
		sw_keyring_wipe(&ours);
		sw_keyring_wipe(&other);
	}
}

Test(cookie, no_key_is_no_verdict)
{
	const sw_wall now = wall(EPOCH, 0), later = wall(EPOCH + 40, 0);
	const struct sw_terms offer = usual_terms(true);
	const struct sw_seg syn = syn_of(SW_IP4);
	struct sw_keyring kr;
	struct sw_terms terms;
	struct sw_cookie c;
	struct sw_seg ack;

	open_ring(&kr, SW_MAC_HMAC_SHA256, now);
	c = mint(&kr, &syn, &offer, now);
	ack = ack_of(&syn, &c);
	cr_assert(sw_cookie_round(SW_IP4, &offer, &terms), "round");
	cr_assert_eq(sw_cookie_mint(&kr, &syn, &terms, later, &c), SW_WHY_NO_KEY, "mint");
	expect_check(&kr, &ack, later, SW_WHY_NO_KEY, "check");
	sw_keyring_wipe(&kr);
	expect_check(&kr, &ack, now, SW_WHY_NO_KEY, "after the wipe");
}

/* Where in time a cookie of EPOCH stands: every second from long before to long after. */
Test(cookie, lifetime_second_by_second)
{
	const sw_wall minted = wall(EPOCH, 5 * SECOND);

	for (unsigned code = 0; code < 8; code++) {
		const struct sw_terms offer = usual_terms(code & 1);
		const struct sw_seg syn = syn_of(code & 2 ? SW_IP6 : SW_IP4);
		const enum sw_mac_alg alg = algs[code >> 2];
		struct sw_keyring kr;
		struct sw_cookie c;
		struct sw_seg ack;

		open_ring(&kr, alg, minted);
		c = mint(&kr, &syn, &offer, minted);
		ack = ack_of(&syn, &c);
		for (int s = -200; s < 300; s++) {
			const sw_wall now = { wall(EPOCH, 0).ns + (uint64_t)(s * (int64_t)SECOND) };
			const bool fine = s >= -2 && s < 64;

			cr_assert(sw_keyring_advance(&kr, now), "advance");
			expect_check(&kr, &ack, now,
				     fine ? SW_WHY_ACK_PROVEN : SW_WHY_COOKIE_FORGED, "check");
			if (!fine)
				expect_diagnosis(&kr, &ack, now,
						 s >= 64 && s < 128  ? SW_WHY_COOKIE_EXPIRED
						 : s >= -64 && s < 0 ? SW_WHY_COOKIE_FUTURE
								     : SW_WHY_COOKIE_FORGED,
						 "diagnosis");
		}
		sw_keyring_wipe(&kr);
	}
}

Test(cookie, window_edges_to_the_nanosecond)
{
	const struct sw_terms offer = usual_terms(true);
	const struct sw_seg syn = syn_of(SW_IP4);
	const uint64_t begin = wall(EPOCH, 0).ns;
	const struct {
		uint64_t ns;
		enum sw_why check, diagnosis;
	} rows[] = {
		{ begin - 2 * EPOCH_NS - 1, SW_WHY_COOKIE_FORGED, SW_WHY_COOKIE_FORGED },
		{ begin - 2 * EPOCH_NS, SW_WHY_COOKIE_FORGED, SW_WHY_COOKIE_FUTURE },
		{ begin - SW_COOKIE_SKEW_NS - 1, SW_WHY_COOKIE_FORGED, SW_WHY_COOKIE_FUTURE },
		{ begin - SW_COOKIE_SKEW_NS, SW_WHY_ACK_PROVEN, SW_NWHY },
		{ begin - 1, SW_WHY_ACK_PROVEN, SW_NWHY },
		{ begin, SW_WHY_ACK_PROVEN, SW_NWHY },
		{ begin + EPOCH_NS - 1, SW_WHY_ACK_PROVEN, SW_NWHY },
		{ begin + EPOCH_NS, SW_WHY_ACK_PROVEN, SW_NWHY },
		{ begin + 2 * EPOCH_NS - 1, SW_WHY_ACK_PROVEN, SW_NWHY },
		{ begin + 2 * EPOCH_NS, SW_WHY_COOKIE_FORGED, SW_WHY_COOKIE_EXPIRED },
		{ begin + 4 * EPOCH_NS - 1, SW_WHY_COOKIE_FORGED, SW_WHY_COOKIE_EXPIRED },
		{ begin + 4 * EPOCH_NS, SW_WHY_COOKIE_FORGED, SW_WHY_COOKIE_FORGED },
	};

	for (uint32_t odd = 0; odd < 2; odd++) {
		struct sw_keyring kr;
		struct sw_cookie c;
		struct sw_seg ack;

		open_ring(&kr, SW_MAC_SIPHASH24, wall(EPOCH + odd, 0));
		c = mint(&kr, &syn, &offer, wall(EPOCH + odd, 0));
		ack = ack_of(&syn, &c);
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			const sw_wall now = { rows[i].ns + odd * EPOCH_NS };
			char what[32];

			snprintf(what, sizeof(what), "row %zu, epoch %u", i, EPOCH + odd);
			cr_assert(sw_keyring_advance(&kr, now), "advance");
			expect_check(&kr, &ack, now, rows[i].check, what);
			if (rows[i].diagnosis != SW_NWHY)
				expect_diagnosis(&kr, &ack, now, rows[i].diagnosis, what);
		}
		sw_keyring_wipe(&kr);
	}
}

Test(cookie, diagnosis_hands_out_the_cookie)
{
	const struct sw_terms offer = usual_terms(true);
	const struct sw_seg syn = syn_of(SW_IP6);
	struct sw_cookie c, found;
	struct sw_keyring kr;
	struct sw_seg ack;

	open_ring(&kr, SW_MAC_HMAC_SHA256, wall(EPOCH, 0));
	c = mint(&kr, &syn, &offer, wall(EPOCH, 0));
	ack = ack_of(&syn, &c);
	cr_assert(sw_keyring_advance(&kr, wall(EPOCH + 2, 0)), "advance");
	cr_assert_eq(sw_cookie_diagnose(&kr, &ack, wall(EPOCH + 2, 0), &found),
		     SW_WHY_COOKIE_EXPIRED, "diagnosis");
	cr_assert(found.epoch.n == EPOCH && found.tag == c.tag && found.data == c.data, "cookie");
	sw_keyring_wipe(&kr);
}

/* Active, staged and retired keys: the first one mints, all of them prove. */
Test(cookie, rotation_of_master_keys)
{
	const sw_wall now = wall(EPOCH, 0);
	const struct sw_seg syn = syn_of(SW_IP4);

	for (unsigned ts = 0; ts < 2; ts++) {
		const struct sw_terms offer = usual_terms(ts);

		for (size_t which = 0; which < SW_MAX_MASTERS; which++) {
			const struct sw_masters all = masters(3, 1);
			struct sw_masters one = masters(1, (uint8_t)(1 + which));
			struct sw_keyring ours, theirs;
			struct sw_cookie c, found;
			struct sw_seg ack;

			cr_assert(sw_keyring_init(&ours, SW_MAC_SIPHASH24, &all, now), "init");
			cr_assert(sw_keyring_init(&theirs, SW_MAC_SIPHASH24, &one, now), "init");
			c = mint(&theirs, &syn, &offer, now);
			ack = ack_of(&syn, &c);
			cr_assert_eq(sw_cookie_check(&ours, &ack, now, &found), SW_WHY_ACK_PROVEN,
				     "master %zu", which);
			cr_assert_eq(found.master, which, "master %zu, not %zu", found.master,
				     which);
			c = mint(&ours, &syn, &offer, now);
			ack = ack_of(&syn, &c);
			expect_check(&theirs, &ack, now,
				     which ? SW_WHY_COOKIE_FORGED : SW_WHY_ACK_PROVEN,
				     "only the first one mints");
			sw_keyring_wipe(&ours);
			sw_keyring_wipe(&theirs);
		}
	}
}

/* The form is under the MAC: neither can be passed off as the other. */
Test(cookie, forms_do_not_mix)
{
	const sw_wall now = wall(EPOCH, 0);
	const struct sw_seg syn = syn_of(SW_IP4);
	struct sw_keyring kr;

	open_ring(&kr, SW_MAC_HMAC_SHA256, now);
	for (unsigned ts = 0; ts < 2; ts++) {
		const struct sw_terms offer = usual_terms(ts);
		const struct sw_cookie c = mint(&kr, &syn, &offer, now);
		struct sw_seg ack = ack_of(&syn, &c);

		ack.opt.ts = !ack.opt.ts;
		for (uint32_t i = 0; i < 4096; i++) {
			ack.opt.tsecr = i ? i << 20 | i : c.tsval;
			expect_check(&kr, &ack, now, SW_WHY_COOKIE_FORGED, "the other form");
		}
	}
	sw_keyring_wipe(&kr);
}

static bool same_terms(const struct sw_terms *a, const struct sw_terms *b)
{
	return a->mss == b->mss && a->wscale_ok == b->wscale_ok && a->wscale == b->wscale &&
	       a->sack == b->sack && a->ts == b->ts && a->ecn == b->ecn;
}

/* Every combination of terms, forms, families and MACs, in an even and an odd epoch. */
Test(cookie, round_trip_of_everything)
{
	static const uint16_t msses[] = { 0,	536,  1220, 1240, 1360, 1380, 1400, 1420,
					  1432, 1440, 1452, 1460, 8940, 8960, 65535 };
	unsigned done = 0;

	for (unsigned code = 0; code < 2 * 2 * 2 * 8 * 16 * 15; code++) {
		unsigned rest = code;
		const enum sw_mac_alg alg = algs[rest % 2];
		const enum sw_family family = (rest /= 2) % 2 ? SW_IP6 : SW_IP4;
		const uint32_t epoch = EPOCH + (rest /= 2) % 2;
		const unsigned flags = (rest /= 2) % 8, wscale = (rest /= 8) % 16;
		const struct sw_terms offer = {
			.mss = msses[rest / 16],
			.wscale = (uint8_t)(wscale == 15 ? 0 : wscale),
			.wscale_ok = wscale != 15,
			.sack = flags & 1,
			.ts = flags & 2,
			.ecn = flags & 4,
		};
		const sw_wall now = wall(epoch, 77);
		static struct sw_keyring kr[2][2];
		struct sw_keyring *ring = &kr[code % 2][epoch % 2];
		const struct sw_seg syn = syn_of(family);
		struct sw_terms want, got;
		struct sw_cookie c, back;
		struct sw_seg ack;

		if (ring->masters.n == 0)
			open_ring(ring, alg, now);
		c = mint(ring, &syn, &offer, now);
		ack = ack_of(&syn, &c);
		cr_assert_eq(sw_cookie_check(ring, &ack, now, &back), SW_WHY_ACK_PROVEN, "case %u",
			     code);
		cr_assert(back.form == c.form && back.data == c.data && back.tag == c.tag &&
				  back.isn == c.isn && back.tsval == c.tsval &&
				  back.epoch.n == epoch && back.master == 0,
			  "case %u: another cookie", code);
		sw_cookie_terms(family, back.form, back.data, &got);
		cr_assert(sw_cookie_round(family, &offer, &want), "case %u", code);
		cr_assert(same_terms(&got, &want), "case %u: other terms", code);
		cr_assert(got.sack == offer.sack && got.ts == offer.ts, "case %u", code);
		done++;
	}
	cr_assert_eq(done, 2 * 2 * 2 * 8 * 16 * 15, "%u cases", done);
}

Test(cookie, a_small_mss_is_refused)
{
	for (unsigned code = 0; code < 4; code++) {
		const enum sw_family family = code & 1 ? SW_IP6 : SW_IP4;
		const bool ts = code & 2;

		for (uint16_t mss = 1; mss < 600; mss++) {
			const struct sw_terms offer = { .mss = mss, .ts = ts };
			struct sw_terms out = { .mss = 7 };
			const bool ok = sw_cookie_round(family, &offer, &out);

			cr_assert_eq(ok, mss >= (ts ? 216 : 536), "MSS %u", mss);
			cr_assert(ok || out.mss == 7, "MSS %u: touched", mss);
		}
	}
}

Test(cookie, the_mss_never_exceeds_the_offer_and_wastes_little)
{
	for (unsigned code = 0; code < 4; code++) {
		const enum sw_family family = code & 1 ? SW_IP6 : SW_IP4;
		const bool ts = code & 2;
		uint16_t last = 0;
		struct sw_terms out;

		for (uint32_t mss = ts ? 216 : 536; mss < 65536; mss++) {
			const struct sw_terms offer = { .mss = (uint16_t)mss, .ts = ts };
			struct sw_terms again;

			cr_assert(sw_cookie_round(family, &offer, &out), "MSS %u", mss);
			cr_assert(out.mss <= mss, "MSS %u became %u", mss, out.mss);
			cr_assert(out.mss >= last, "MSS %u: %u after %u", mss, out.mss, last);
			cr_assert(sw_cookie_round(family, &out, &again), "twice");
			cr_assert_eq(again.mss, out.mss, "rounded twice: %u", again.mss);
			last = out.mss;
		}
		sw_cookie_terms(family, ts ? SW_FORM_WIDE : SW_FORM_NARROW, 0x3ff, &out);
		cr_assert_eq(last, family == SW_IP4 ? 8960 : 8940, "largest %u", last);
		cr_assert_eq(out.mss, last, "index 7 or 3: %u", out.mss);
		cr_assert(sw_cookie_round(family, &(struct sw_terms){ .ts = ts }, &out), "none");
		cr_assert_eq(out.mss, family == SW_IP4 ? 536 : 1220, "no option: %u", out.mss);
	}
}

Test(cookie, window_scale_rounding)
{
	static const uint8_t narrow[15] = { 0, 0, 0, 0, 4, 4, 6, 7, 8, 9, 10, 10, 10, 10, 10 };

	for (uint8_t shift = 0; shift < 15; shift++) {
		struct sw_terms offer = { .mss = 1460, .wscale = shift, .wscale_ok = true };
		struct sw_terms out, back;

		cr_assert(sw_cookie_round(SW_IP4, &offer, &out), "narrow");
		cr_assert(out.wscale_ok, "narrow shift %u is lost", shift);
		cr_assert_eq(out.wscale, narrow[shift], "narrow shift %u: %u", shift, out.wscale);
		sw_cookie_terms(SW_IP4, SW_FORM_NARROW,
				sw_cookie_data(SW_IP4, &out, (sw_epoch){ 0 }), &back);
		cr_assert(same_terms(&out, &back), "narrow shift %u", shift);
		offer.ts = true;
		cr_assert(sw_cookie_round(SW_IP4, &offer, &out), "wide");
		cr_assert(out.wscale_ok && out.wscale == shift, "wide shift %u", shift);
		sw_cookie_terms(SW_IP4, SW_FORM_WIDE, sw_cookie_data(SW_IP4, &out, (sw_epoch){ 0 }),
				&back);
		cr_assert(same_terms(&out, &back), "wide shift %u", shift);
	}
}

/* Data bits are chosen by whoever sends the ACK until the MAC is checked. */
Test(cookie, every_value_of_the_data_bits_is_legal)
{
	for (unsigned code = 0; code < 4; code++) {
		const enum sw_family family = code & 1 ? SW_IP6 : SW_IP4;
		const enum sw_form form = code & 2 ? SW_FORM_WIDE : SW_FORM_NARROW;

		for (uint32_t data = 0; data < 65536; data++) {
			const unsigned bits = form == SW_FORM_WIDE ? 10 : 7;
			const sw_epoch epoch = { data >> (bits - 1) & 1 };
			struct sw_terms t, again;

			sw_cookie_terms(family, form, (uint16_t)data, &t);
			cr_assert(t.mss >= 216 && t.wscale <= 14, "data %#x", data);
			cr_assert_eq(t.ts, form == SW_FORM_WIDE, "data %#x", data);
			cr_assert_eq(sw_cookie_data(family, &t, epoch), data & ((1u << bits) - 1),
				     "data %#x does not come back", data);
			cr_assert(sw_cookie_round(family, &t, &again) && same_terms(&t, &again),
				  "data %#x is not rounded", data);
		}
	}
}

Test(cookie, message_bytes)
{
	const struct sw_seg seg = syn_of(SW_IP4), seg6 = syn_of(SW_IP6);
	const uint8_t want[24] = { 1,	 0x24, 0x00, 0x5a, 0x9c, 0x40, 0x01, 0xbb,
				   0x01, 0x02, 0x03, 0x04, 0x03, 0x2a, 0x9f, 0x88,
				   192,	 0,    2,    1,	   198,	 51,   100,  2 };
	uint8_t msg[SW_COOKIE_MSG_MAX];

	cr_assert_eq(
		sw_cookie_msg(msg, &seg, 0x01020304, SW_FORM_NARROW, 0x5a, (sw_epoch){ EPOCH }), 24,
		"length");
	cr_assert_eq(memcmp(msg, want, sizeof(want)), 0, "IPv4");
	cr_assert_eq(
		sw_cookie_msg(msg, &seg6, 0x01020304, SW_FORM_WIDE, 0x25a, (sw_epoch){ EPOCH }), 48,
		"length");
	cr_assert_eq(memcmp(msg, "\1\x16\2\x5a", 4), 0, "IPv6 head");
	cr_assert_eq(memcmp(msg + 16, seg6.src.b, 16), 0, "client");
	cr_assert_eq(memcmp(msg + 32, seg6.dst.b, 16), 0, "server");
}
