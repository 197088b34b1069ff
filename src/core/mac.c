/* SPDX-License-Identifier: MIT */
#include "core/mac.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <string.h>

#define SIPHASH_KEY_LEN 16
#define TAG_LEN		8
#define MAC_MAX		32 /* HMAC-SHA256; libcrypto does not write less */

static const struct {
	const char *name;     /* ours */
	const char *provider; /* libcrypto's */
} algs[] = {
	[SW_MAC_HMAC_SHA256] = { "hmac-sha256", "HMAC" },
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

static bool load_key(struct sw_mac *m)
{
	char digest[] = "SHA256";
	size_t size = TAG_LEN;
	const OSSL_PARAM hmac[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};
	const OSSL_PARAM siphash[] = {
		OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
		OSSL_PARAM_construct_end(),
	};

	if (m->alg == SW_MAC_SIPHASH24)
		return EVP_MAC_init(m->cx, m->key, SIPHASH_KEY_LEN, siphash) == 1;
	return EVP_MAC_init(m->cx, m->key, SW_KEY_LEN, hmac) == 1;
}

bool sw_mac_init(struct sw_mac *m, enum sw_mac_alg alg, const uint8_t key[SW_KEY_LEN])
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, algs[alg].provider, NULL);

	memset(m, 0, sizeof(*m));
	m->alg = alg;
	memcpy(m->key, key, SW_KEY_LEN);
	m->cx = mac ? EVP_MAC_CTX_new(mac) : NULL; /* takes a reference of its own */
	EVP_MAC_free(mac);
	if (m->cx && load_key(m))
		return true;
	sw_mac_wipe(m);
	return false;
}

void sw_mac_wipe(struct sw_mac *m)
{
	EVP_MAC_CTX_free(m->cx);
	OPENSSL_cleanse(m, sizeof(*m));
}

/*
 * Back to the state behind the key.  libcrypto 3.0 does that for HMAC without hashing the key
 * again; its SipHash wants the key every time, which there costs next to nothing.
 */
static bool restart(struct sw_mac *m)
{
	if (m->alg == SW_MAC_SIPHASH24)
		return EVP_MAC_init(m->cx, m->key, SIPHASH_KEY_LEN, NULL) == 1;
	return EVP_MAC_init(m->cx, NULL, 0, NULL) == 1;
}

bool sw_mac_tag(struct sw_mac *m, const uint8_t *msg, size_t len, uint64_t *tag)
{
	uint8_t out[MAC_MAX];
	size_t n = 0;
	uint64_t v = 0;

	if (!m->cx || !restart(m) || EVP_MAC_update(m->cx, msg, len) != 1 ||
	    EVP_MAC_final(m->cx, out, &n, sizeof(out)) != 1 || n < TAG_LEN)
		return false;
	for (size_t i = 0; i < TAG_LEN; i++)
		v = v << 8 | out[i];
	*tag = v;
	return true;
}
