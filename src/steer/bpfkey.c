/* SPDX-License-Identifier: MIT */
#define OPENSSL_SUPPRESS_DEPRECATED /* EVP does not show the state of a hash in progress */
#include "steer/bpfkey.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <string.h>

/* The eight words of a state that the core keeps as libcrypto's SHA256_CTX. */
static void put_state(uint32_t out[8], const uint8_t state[SW_SHA256_CTX])
{
	SHA256_CTX cx;

	memcpy(&cx, state, sizeof(cx));
	for (size_t i = 0; i < 8; i++)
		out[i] = cx.h[i];
	OPENSSL_cleanse(&cx, sizeof(cx));
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
	struct sw_mac mac;

	memset(out, 0, sizeof(*out));
	if (!sw_mac_init(&mac, SW_MAC_HMAC_SHA256, key))
		return false;
	put_state(out->inner, mac.inner);
	put_state(out->outer, mac.outer);
	sw_mac_wipe(&mac);
	out->epoch = epoch.n;
	out->live = 1;
	out->sip[0] = little_endian(key);
	out->sip[1] = little_endian(key + 8);
	return true;
}
