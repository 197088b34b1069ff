/* SPDX-License-Identifier: MIT */
#include "core/keyring.h"
#include "frames.h"

#include <criterion/criterion.h>

#define SECOND 1000000000ull
#define EPOCH  53125000u /* 1,700,000,000 s is its first second */

static struct sw_masters masters(size_t n)
{
	struct sw_masters m = { .n = n };

	for (size_t i = 0; i < SW_MAX_MASTERS; i++)
		memset(m.key[i], (int)i + 1, SW_KEY_LEN);
	return m;
}

static sw_wall wall(uint64_t epoch)
{
	return (sw_wall){ epoch * SW_EPOCH_SECONDS * SECOND };
}

/* Exactly the epochs e-3 .. e+2, of every master. */
static void expect_window(struct sw_keyring *kr, uint32_t e)
{
	for (size_t m = 0; m < SW_MAX_MASTERS; m++) {
		for (int d = -20; d <= 20; d++) {
			const sw_epoch at = { e + (uint32_t)d };
			const bool want =
				m < kr->masters.n && d >= -SW_EPOCHS_BEHIND && d <= SW_EPOCHS_AHEAD;

			cr_assert_eq(sw_keyring_mac(kr, m, at) != NULL, want,
				     "master %zu, epoch %u%+d", m, e, d);
		}
	}
	for (size_t m = 0; m < SW_MAX_MASTERS; m++) {
		size_t live = 0;

		for (size_t i = 0; i < SW_KEYRING_SLOTS; i++)
			live += kr->slot[m][i].live;
		cr_assert_eq(live, m < kr->masters.n ? 6 : 0, "%zu keys are held", live);
	}
}

/* A held key must be the key of its epoch. */
static void expect_right_keys(struct sw_keyring *kr, uint32_t e)
{
	for (size_t m = 0; m < kr->masters.n; m++) {
		for (int d = -SW_EPOCHS_BEHIND; d <= SW_EPOCHS_AHEAD; d++) {
			const sw_epoch at = { e + (uint32_t)d };
			uint8_t key[SW_KEY_LEN];

			cr_assert(sw_epoch_key_derive(key, kr->masters.key[m], kr->alg, at),
				  "HKDF");
			cr_assert_eq(memcmp(key, sw_keyring_mac(kr, m, at)->key, sizeof(key)), 0,
				     "master %zu, epoch %u%+d", m, e, d);
		}
	}
}

Test(keyring, no_masters_or_too_many_are_refused)
{
	struct sw_keyring kr;
	const struct sw_masters none = masters(0), many = masters(SW_MAX_MASTERS + 1);

	cr_assert(!sw_keyring_init(&kr, SW_MAC_HMAC_SHA256, &none, wall(EPOCH)), "none");
	cr_assert(!sw_keyring_init(&kr, SW_MAC_HMAC_SHA256, &many, wall(EPOCH)), "four");
}

Test(keyring, wiping_leaves_nothing)
{
	static const struct sw_keyring zero;
	const struct sw_masters m = masters(3);
	struct sw_keyring kr = { 0 };

	sw_keyring_wipe(&kr);
	cr_assert(sw_keyring_init(&kr, SW_MAC_HMAC_SHA256, &m, wall(EPOCH)), "init");
	sw_keyring_wipe(&kr);
	cr_assert_eq(memcmp(&kr, &zero, sizeof(kr)), 0, "bytes are left");
	sw_keyring_wipe(&kr);
	cr_assert(!sw_keyring_mac(&kr, 0, (sw_epoch){ EPOCH }), "a key is left");
}

Test(keyring, epochs_are_32_seconds)
{
	cr_assert_eq(sw_epoch_at((sw_wall){ 0 }).n, 0, "1970");
	cr_assert_eq(sw_epoch_at((sw_wall){ 32 * SECOND - 1 }).n, 0, "a nanosecond before");
	cr_assert_eq(sw_epoch_at((sw_wall){ 32 * SECOND }).n, 1, "the edge");
	cr_assert_eq(sw_epoch_at((sw_wall){ 1700000000 * SECOND }).n, EPOCH, "2023");
}

Test(keyring, the_window_moves_with_the_clock_and_survives_its_steps)
{
	static const int steps[] = { 0,	 1,  1,	 1,  5,	       6, 7, 8,	 9,  1000000, -1,
				     -1, -3, -8, -9, -1000000, 2, 4, -6, 16, -16 };
	const struct sw_masters m = masters(3);
	struct sw_keyring kr;
	uint32_t e = EPOCH;

	cr_assert(sw_keyring_init(&kr, SW_MAC_SIPHASH24, &m, wall(e)), "init");
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		e += (uint32_t)steps[i];
		cr_assert(sw_keyring_advance(&kr, (sw_wall){ wall(e).ns + i }), "step %zu", i);
		cr_assert_eq(kr.now.n, e, "now %u", kr.now.n);
		expect_window(&kr, e);
		expect_right_keys(&kr, e);
	}
	sw_keyring_wipe(&kr);
}

Test(keyring, works_at_both_ends_of_time)
{
	const struct sw_masters m = masters(1);
	struct sw_keyring kr;

	for (uint32_t e = 0; e < 5; e++) {
		cr_assert(sw_keyring_init(&kr, SW_MAC_SIPHASH24, &m, wall(e)), "epoch %u", e);
		expect_window(&kr, e);
		sw_keyring_wipe(&kr);
	}
	cr_assert(sw_keyring_init(&kr, SW_MAC_SIPHASH24, &m, (sw_wall){ UINT64_MAX }), "2554");
	expect_window(&kr, sw_epoch_at((sw_wall){ UINT64_MAX }).n);
	sw_keyring_wipe(&kr);
}

Test(keyring, keys_stay_in_place_within_an_epoch)
{
	const struct sw_masters m = masters(2);
	struct sw_keyring kr, before;

	cr_assert(sw_keyring_init(&kr, SW_MAC_HMAC_SHA256, &m, wall(EPOCH)), "init");
	before = kr;
	cr_assert(sw_keyring_advance(&kr, (sw_wall){ wall(EPOCH + 1).ns - 1 }), "advance");
	cr_assert_eq(memcmp(&kr, &before, sizeof(kr)), 0, "something moved");
	sw_keyring_wipe(&kr);
}

Test(keyring, masters_macs_and_epochs_have_different_keys)
{
	const struct sw_masters m = masters(2);
	uint8_t key[5][SW_KEY_LEN];

	cr_assert(
		sw_epoch_key_derive(key[0], m.key[0], SW_MAC_HMAC_SHA256, (sw_epoch){ 1 }) &&
			sw_epoch_key_derive(key[1], m.key[1], SW_MAC_HMAC_SHA256,
					    (sw_epoch){ 1 }) &&
			sw_epoch_key_derive(key[2], m.key[0], SW_MAC_SIPHASH24, (sw_epoch){ 1 }) &&
			sw_epoch_key_derive(key[3], m.key[0], SW_MAC_HMAC_SHA256,
					    (sw_epoch){ 2 }) &&
			sw_epoch_key_derive(key[4], m.key[0], SW_MAC_SIPHASH24, (sw_epoch){ 2 }),
		"HKDF");
	for (size_t i = 0; i < 5; i++)
		for (size_t j = 0; j < i; j++)
			cr_assert_neq(memcmp(key[i], key[j], SW_KEY_LEN), 0, "%zu and %zu", i, j);
}
