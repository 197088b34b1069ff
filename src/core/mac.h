/* SPDX-License-Identifier: MIT */
#ifndef SW_CORE_MAC_H
#define SW_CORE_MAC_H

#include "core/types.h"

#include <openssl/types.h>

#define SW_SHA256_CTX 112 /* bytes of libcrypto's SHA256_CTX; mac.c checks */

#define SW_KEY_LEN 32 /* bytes of a master key and of an epoch key */

/** Which MAC seals a cookie.  The names are those of the command line. */
enum sw_mac_alg { SW_MAC_HMAC_SHA256, SW_MAC_SIPHASH24 };

/** @return "hmac-sha256" or "siphash-2-4". */
const char *sw_mac_name(enum sw_mac_alg alg);

/** @param out  Written on success.  @return false when @name is none of sw_mac_name()'s. */
SW_MUST bool sw_mac_by_name(const char *name, enum sw_mac_alg *out);

/** A MAC with its key in place.  Not shared between threads: libcrypto's state is inside. */
struct sw_mac {
	EVP_MAC_CTX *cx; /* owned; siphash-2-4 only */
	enum sw_mac_alg alg;
	bool set; /* the key is in place */
	uint8_t key[SW_KEY_LEN]; /* siphash-2-4 uses the first 16 bytes */
	/* hmac-sha256: the hash behind the key's inner and outer block, RFC 2104. */
	_Alignas(8) uint8_t inner[SW_SHA256_CTX], outer[SW_SHA256_CTX];
};

/**
 * Set up.  Takes memory inside libcrypto, so it is not for the packet path.
 *
 * @return false when libcrypto has no such MAC or no memory; @m is then as after wipe.
 */
SW_MUST bool sw_mac_init(struct sw_mac *m, enum sw_mac_alg alg, const uint8_t key[SW_KEY_LEN]);

/** Forget the key.  Allowed on an all-zero struct and twice. */
void sw_mac_wipe(struct sw_mac *m);

/**
 * The first 8 bytes of the MAC over @msg, read as a big-endian number.
 *
 * @param tag  Out.  Written on success only.
 * @return false when libcrypto fails; nothing may then be concluded about the message.
 */
SW_MUST bool sw_mac_tag(struct sw_mac *m, const uint8_t *msg, size_t len, uint64_t *tag);

#endif
