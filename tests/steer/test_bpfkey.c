/* SPDX-License-Identifier: MIT */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "steer/bpfkey.h"

#include <criterion/criterion.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <string.h>

static void make(struct sw_bpf_key *key, uint8_t raw[SW_KEY_LEN])
{
	for (unsigned i = 0; i < SW_KEY_LEN; i++)
		raw[i] = (uint8_t)(7 * i + 1);
	cr_assert(sw_bpf_key_make(key, raw, (sw_epoch){ 77 }), "libcrypto");
}

/* Go on from the state behind one block. */
static void finish(const uint32_t state[8], const void *msg, size_t len, uint8_t out[32])
{
	SHA256_CTX cx;

	SHA256_Init(&cx);
	memcpy(cx.h, state, sizeof(cx.h));
	cx.Nl = 8 * SHA256_CBLOCK;
	SHA256_Update(&cx, msg, len);
	SHA256_Final(out, &cx);
}

Test(bpfkey, the_states_make_an_hmac)
{
	uint8_t raw[SW_KEY_LEN], inner[32], mac[32], want[32];
	static const char msg[] = "twenty-four bytes, about";
	struct sw_bpf_key key;

	make(&key, raw);
	finish(key.inner, msg, sizeof(msg), inner);
	finish(key.outer, inner, sizeof(inner), mac);
	cr_assert(HMAC(EVP_sha256(), raw, sizeof(raw), (const uint8_t *)msg, sizeof(msg), want,
		       NULL), "libcrypto");
	cr_assert_eq(memcmp(mac, want, sizeof(want)), 0, "another MAC");
}

Test(bpfkey, siphash_words_are_little_endian)
{
	uint8_t raw[SW_KEY_LEN];
	struct sw_bpf_key key;

	make(&key, raw);
	cr_assert_eq(key.epoch, 77, "%u", key.epoch);
	cr_assert_eq(key.live, 1, "%u", key.live);
	cr_assert_eq(key.sip[0], 0x322b241d160f0801u, "%llx", (unsigned long long)key.sip[0]);
	cr_assert_eq(key.sip[1], 0x6a635c554e474039u, "%llx", (unsigned long long)key.sip[1]);
}
