/* SPDX-License-Identifier: MIT */
#ifndef SW_STEER_BPFKEY_H
#define SW_STEER_BPFKEY_H

#include "bpf/abi.h"
#include "core/keyring.h"

/**
 * The form in which the BPF programs hold an epoch key: SipHash's two words, and the two states
 * of SHA-256 that HMAC starts from (RFC 2104).
 *
 * @return false when libcrypto fails.
 */
SW_MUST bool sw_bpf_key_make(struct sw_bpf_key *out, const uint8_t key[SW_KEY_LEN],
			     sw_epoch epoch);

#endif
