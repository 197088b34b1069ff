/* SPDX-License-Identifier: MIT */
/*
 * libcrypto's EVP_MAC copies its HMAC state by malloc() for each message, which took 250 of 400 ns
 * (bench/micro).  So HMAC keeps the two states behind the key itself, which RFC 2104 section 4
 * suggests, and copies them by value: only the older interface of libcrypto's SHA-256 lets it.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "core/mac.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/sha.h>
#include <string.h>

#define SIPHASH_KEY_LEN 16
#define TAG_LEN		8

_Static_assert(sizeof(SHA256_CTX) == SW_SHA256_CTX, "room for libcrypto's state, by value");

static const struct {
	const char *name;     /* ours */
	const char *provider; /* libcrypto's */
} algs[] = {
	[SW_MAC_HMAC_SHA256] = { "hmac-sha256", NULL },
	[SW_MAC_SIPHASH24] = { "siphash-2-4", "SIPHASH" },
};

const char *sw_mac_name(enum sw_mac_alg alg)
{
	return algs[alg].name;
}

bool sw_mac_by_name(const char *name, enum sw_mac_alg *out)
{
	for (size_t i = 0; i < sizeof(algs) / sizeof(algs[0]); i++) {
		if (strcmp(name, algs[i].name) == 0) {
			*out = (enum sw_mac_alg)i;
			return true;
		}
	}
	return false;
}

/* The state behind one block: the key, padded with zeros, xor @pad. */
static bool padded_state(uint8_t out[SW_SHA256_CTX], const uint8_t key[SW_KEY_LEN], uint8_t pad)
{
	uint8_t block[SHA256_CBLOCK];
	SHA256_CTX cx;
	bool ok;

	memset(block, pad, sizeof(block));
	for (size_t i = 0; i < SW_KEY_LEN; i++)
		block[i] ^= key[i];
	ok = SHA256_Init(&cx) && SHA256_Update(&cx, block, sizeof(block));
	memcpy(out, &cx, sizeof(cx));
	OPENSSL_cleanse(block, sizeof(block));
	OPENSSL_cleanse(&cx, sizeof(cx));
	return ok;
}

static bool load_siphash(struct sw_mac *m)
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, algs[SW_MAC_SIPHASH24].provider, NULL);
	size_t size = TAG_LEN;
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
		OSSL_PARAM_construct_end(),
	};

	m->cx = mac ? EVP_MAC_CTX_new(mac) : NULL; /* takes a reference of its own */
	EVP_MAC_free(mac);
	return m->cx && EVP_MAC_init(m->cx, m->key, SIPHASH_KEY_LEN, params) == 1;
}

bool sw_mac_init(struct sw_mac *m, enum sw_mac_alg alg, const uint8_t key[SW_KEY_LEN])
{
	memset(m, 0, sizeof(*m));
	m->alg = alg;
	memcpy(m->key, key, SW_KEY_LEN);
	if (alg == SW_MAC_SIPHASH24)
		m->set = load_siphash(m);
	else
		m->set = padded_state(m->inner, key, 0x36) && padded_state(m->outer, key, 0x5c);
	if (!m->set)
		sw_mac_wipe(m);
	return m->set;
}

void sw_mac_wipe(struct sw_mac *m)
{
	EVP_MAC_CTX_free(m->cx);
	OPENSSL_cleanse(m, sizeof(*m));
}

/* RFC 2104: H(K xor opad, H(K xor ipad, text)). */
static bool hmac(const struct sw_mac *m, const uint8_t *msg, size_t len,
		 uint8_t out[SHA256_DIGEST_LENGTH])
{
	SHA256_CTX cx;

	memcpy(&cx, m->inner, sizeof(cx));
	if (!SHA256_Update(&cx, msg, len) || !SHA256_Final(out, &cx))
		return false;
	memcpy(&cx, m->outer, sizeof(cx));
	return SHA256_Update(&cx, out, SHA256_DIGEST_LENGTH) && SHA256_Final(out, &cx);
}

/* libcrypto's SipHash wants the key every time, which costs next to nothing. */
static bool siphash(struct sw_mac *m, const uint8_t *msg, size_t len, uint8_t *out, size_t room)
{
	size_t n = 0;

	return EVP_MAC_init(m->cx, m->key, SIPHASH_KEY_LEN, NULL) == 1 &&
	       EVP_MAC_update(m->cx, msg, len) == 1 && EVP_MAC_final(m->cx, out, &n, room) == 1 &&
	       n >= TAG_LEN;
}

bool sw_mac_tag(struct sw_mac *m, const uint8_t *msg, size_t len, uint64_t *tag)
{
	uint8_t out[SHA256_DIGEST_LENGTH];
	uint64_t v = 0;

	if (!m->set || !(m->alg == SW_MAC_SIPHASH24 ? siphash(m, msg, len, out, sizeof(out)) :
						      hmac(m, msg, len, out)))
		return false;
	for (size_t i = 0; i < TAG_LEN; i++)
		v = v << 8 | out[i];
	*tag = v;
	return true;
}
