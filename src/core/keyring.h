/* SPDX-License-Identifier: MIT */
#ifndef SW_CORE_KEYRING_H
#define SW_CORE_KEYRING_H

#include "core/mac.h"

#define SW_EPOCH_SECONDS 32
#define SW_MAX_MASTERS 3    /* active, staged, retired */
#define SW_KEYRING_SLOTS 8  /* power of two, at least the 6 epochs kept */
#define SW_EPOCHS_BEHIND 3  /* kept to tell "expired" from "forged" */
#define SW_EPOCHS_AHEAD 2

/** The master keys of a key file: the first one mints, all of them prove. */
struct sw_masters {
	uint8_t key[SW_MAX_MASTERS][SW_KEY_LEN];
	size_t n; /* 1..SW_MAX_MASTERS */
};

struct sw_epoch_key {
	struct sw_mac mac;
	sw_epoch epoch;
	bool live;
};

/** Epoch keys of all masters.  One worker owns one; nothing is locked. */
struct sw_keyring {
	struct sw_masters masters;
	enum sw_mac_alg alg;
	sw_epoch now; /* the epoch of the last sw_keyring_advance() */
	struct sw_epoch_key slot[SW_MAX_MASTERS][SW_KEYRING_SLOTS];
};

/** @return the epoch @now falls in. */
static inline sw_epoch sw_epoch_at(sw_wall now)
{
	return (sw_epoch){ (uint32_t)(now.ns / (1000000000ull * SW_EPOCH_SECONDS)) };
}

/**
 * K_E = HKDF-SHA256(master, salt "synward cookie v1", info = E as 8 bytes big-endian, then
 * the MAC's name), 32 bytes.  docs/cookie.md, "Keys".
 *
 * @return false when libcrypto fails.
 */
SW_MUST bool sw_epoch_key_derive(uint8_t out[SW_KEY_LEN], const uint8_t master[SW_KEY_LEN],
				 enum sw_mac_alg alg, sw_epoch epoch);

/** @param masters  Copied.  @return false when libcrypto fails; @kr is then wiped. */
SW_MUST bool sw_keyring_init(struct sw_keyring *kr, enum sw_mac_alg alg,
			     const struct sw_masters *masters, sw_wall now);

/** Forget every key.  Allowed on an all-zero struct and twice. */
void sw_keyring_wipe(struct sw_keyring *kr);

/**
 * Bring the keys of the epochs now-3 .. now+2 into place.  Nothing to do, and cheap, while the
 * epoch stays; some 10 us a master when it changes, so call it between bursts.
 *
 * @return false when libcrypto fails: keys that could not be made are missing, the rest work.
 */
SW_MUST bool sw_keyring_advance(struct sw_keyring *kr, sw_wall now);

/** @return the MAC of an epoch, borrowed, or NULL when its key is not held. */
struct sw_mac *sw_keyring_mac(struct sw_keyring *kr, size_t master, sw_epoch epoch);

#endif
