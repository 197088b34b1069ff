/* SPDX-License-Identifier: MIT */
#define OPENSSL_SUPPRESS_DEPRECATED /* EVP does not show the state of a hash in progress */
#include "steer/bpfkey.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <string.h>

/* The state of SHA-256 behind one block of the key, padded with zeros, xor @pad. */
static bool padded_state(uint32_t out[8], const uint8_t key[SW_KEY_LEN], uint8_t pad)
{
	uint8_t block[SHA256_CBLOCK];
	SHA256_CTX cx;
	bool ok;

	memset(block, pad, sizeof(block));
	for (size_t i = 0; i < SW_KEY_LEN; i++)
		block[i] ^= key[i];
	ok = SHA256_Init(&cx) && SHA256_Update(&cx, block, sizeof(block));
	for (size_t i = 0; i < 8; i++)
		out[i] = cx.h[i];
	OPENSSL_cleanse(block, sizeof(block));
	OPENSSL_cleanse(&cx, sizeof(cx));
	return ok;
}

static uint64_t little_endian(const uint8_t *b)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < 8; i++)
		v |= (uint64_t)b[i] << 8 * i;
	return v;
}

bool sw_bpf_key_make(struct sw_bpf_key *out, const uint8_t key[SW_KEY_LEN], sw_epoch epoch)
{
	memset(out, 0, sizeof(*out));
	out->epoch = epoch.n;
	out->live = 1;
	out->sip[0] = little_endian(key);
	out->sip[1] = little_endian(key + 8);
	return padded_state(out->inner, key, 0x36) && padded_state(out->outer, key, 0x5c);
}
