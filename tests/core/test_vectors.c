/* SPDX-License-Identifier: MIT */
/* The numbers of docs/cookie.md, which vectors.py computes without any code of ours. */
#include "core/cookie.h"
#include "frames.h"

#include <criterion/criterion.h>
#include <stdio.h>

struct key_vector {
	enum sw_mac_alg alg;
	uint32_t epoch;
	const char *key;
};

struct cookie_vector {
	enum sw_mac_alg alg;
	const char *src, *dst;
	uint16_t sport, dport;
	uint32_t client_isn;
	uint32_t seconds;
	uint16_t mss;
	int wscale;
	bool sack, ts, ecn;
	uint32_t isn, tsval;
};

#include "vectors.inc"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct sw_masters masters(void)
{
	struct sw_masters m = { .n = 1 };

	for (size_t i = 0; i < SW_KEY_LEN; i++)
		m.key[0][i] = (uint8_t)i;
	return m;
}

Test(vectors, mac_of_the_siphash_paper)
{
	uint8_t key[SW_KEY_LEN] = { 0 }, msg[15];
	struct sw_mac mac = { 0 };
	uint64_t tag = 0;

	for (uint8_t i = 0; i < 16; i++)
		key[i] = i;
	for (uint8_t i = 0; i < 15; i++)
		msg[i] = i;
	cr_assert(sw_mac_init(&mac, SW_MAC_SIPHASH24, key), "libcrypto has no SipHash");
	for (int again = 0; again < 3; again++) {
		cr_assert(sw_mac_tag(&mac, msg, sizeof(msg), &tag), "tag %d failed", again);
		cr_assert_eq(tag, 0xe545be4961ca29a1u, "turn %d: %#lx", again, tag);
	}
	sw_mac_wipe(&mac);
}

/* RFC 4231 test case 2 has a key of 4 bytes; zero bytes behind it change nothing (RFC 2104 2). */
Test(vectors, mac_of_rfc4231)
{
	uint8_t key[SW_KEY_LEN] = { 'J', 'e', 'f', 'e' };
	const char msg[] = "what do ya want for nothing?";
	struct sw_mac mac = { 0 };
	uint64_t tag = 0;

	cr_assert(sw_mac_init(&mac, SW_MAC_HMAC_SHA256, key), "libcrypto has no HMAC");
	for (int again = 0; again < 3; again++) {
		cr_assert(sw_mac_tag(&mac, (const uint8_t *)msg, sizeof(msg) - 1, &tag),
			  "tag %d failed", again);
		cr_assert_eq(tag, 0x5bdcc146bf60754eu, "turn %d: %#lx", again, tag);
	}
	sw_mac_wipe(&mac);
}

Test(vectors, epoch_keys)
{
	const struct sw_masters m = masters();

	for (size_t i = 0; i < COUNT(key_vectors); i++) {
		const struct key_vector *v = &key_vectors[i];
		uint8_t got[SW_KEY_LEN];
		char hex[2 * SW_KEY_LEN + 1];

		cr_assert(sw_epoch_key_derive(got, m.key[0], v->alg, (sw_epoch){ v->epoch }),
			  "HKDF failed");
		for (size_t b = 0; b < SW_KEY_LEN; b++)
			snprintf(hex + 2 * b, 3, "%02x", got[b]);
		cr_assert_eq(strcmp(hex, v->key), 0, "%s epoch %u: %s", sw_mac_name(v->alg),
			     v->epoch, hex);
	}
}

static struct sw_terms offer_of(const struct cookie_vector *v)
{
	return (struct sw_terms){
		.mss = v->mss,
		.wscale = (uint8_t)(v->wscale < 0 ? 0 : v->wscale),
		.wscale_ok = v->wscale >= 0,
		.sack = v->sack,
		.ts = v->ts,
		.ecn = v->ecn,
	};
}

Test(vectors, cookies)
{
	const struct sw_masters m = masters();

	for (size_t i = 0; i < COUNT(cookie_vectors); i++) {
		const struct cookie_vector *v = &cookie_vectors[i];
		const sw_wall now = { v->seconds * 1000000000ull };
		const struct sw_terms offer = offer_of(v);
		struct frame_spec s = frame_syn(strchr(v->src, ':') ? SW_IP6 : SW_IP4);
		struct sw_keyring kr;
		struct sw_cookie c, back;
		struct sw_terms terms;
		struct sw_seg syn, ack;

		s.src = frame_addr(v->src);
		s.dst = frame_addr(v->dst);
		s.sport = v->sport;
		s.dport = v->dport;
		s.seq = v->client_isn;
		syn = frame_seg(&s);
		cr_assert(sw_keyring_init(&kr, v->alg, &m, now), "row %zu: no keyring", i);
		cr_assert(sw_cookie_round(s.family, &offer, &terms), "row %zu: not rounded", i);
		cr_assert_eq(sw_cookie_mint(&kr, &syn, &terms, now, &c), SW_WHY_SYN_ANSWERED,
			     "row %zu: not minted", i);
		cr_assert_eq(c.isn, v->isn, "row %zu: ISN %08x != %08x", i, c.isn, v->isn);
		cr_assert_eq(c.tsval, v->tsval, "row %zu: TSval %08x != %08x", i, c.tsval,
			     v->tsval);
		s = frame_ack_of(&s, v->isn, v->ts, v->tsval);
		ack = frame_seg(&s);
		cr_assert_eq(sw_cookie_check(&kr, &ack, now, &back), SW_WHY_ACK_PROVEN,
			     "row %zu: not proven", i);
		sw_keyring_wipe(&kr);
	}
}
