/* SPDX-License-Identifier: MIT */
#include "core/mac.h"

#include <criterion/criterion.h>
#include <string.h>

static const enum sw_mac_alg algs[] = { SW_MAC_HMAC_SHA256, SW_MAC_SIPHASH24 };

Test(mac, a_wiped_one_gives_no_tag)
{
	const uint8_t key[SW_KEY_LEN] = { 1 };
	struct sw_mac m = { 0 };
	uint64_t tag = 77;

	cr_assert(!sw_mac_tag(&m, key, 4, &tag), "all zero");
	cr_assert(sw_mac_init(&m, SW_MAC_HMAC_SHA256, key), "init");
	sw_mac_wipe(&m);
	sw_mac_wipe(&m);
	cr_assert(!sw_mac_tag(&m, key, 4, &tag), "wiped");
	cr_assert_eq(tag, 77, "the tag was touched");
	for (size_t i = 0; i < SW_KEY_LEN; i++)
		cr_assert_eq(m.key[i], 0, "key byte %zu is left", i);
}

Test(mac, names_go_both_ways)
{
	enum sw_mac_alg got = SW_MAC_SIPHASH24;

	cr_assert(!sw_mac_by_name("md5", &got) && !sw_mac_by_name("", &got), "unknown name");
	cr_assert_eq(got, SW_MAC_SIPHASH24, "touched by a failure");
	for (size_t i = 0; i < 2; i++) {
		cr_assert(sw_mac_by_name(sw_mac_name(algs[i]), &got), "%s", sw_mac_name(algs[i]));
		cr_assert_eq(got, algs[i], "%s", sw_mac_name(algs[i]));
	}
}

/* The second tag of a context must not remember the first one's message. */
Test(mac, tags_do_not_depend_on_earlier_ones)
{
	uint8_t key[SW_KEY_LEN], msg[48];

	for (uint8_t i = 0; i < SW_KEY_LEN; i++)
		key[i] = (uint8_t)(i * 7);
	memset(msg, 0x5a, sizeof(msg));
	for (size_t a = 0; a < 2; a++) {
		struct sw_mac used = { 0 };

		cr_assert(sw_mac_init(&used, algs[a], key), "init");
		for (size_t n = 0; n <= sizeof(msg); n++) {
			struct sw_mac fresh = { 0 };
			uint64_t t1 = 0, t2 = 1;

			cr_assert(sw_mac_init(&fresh, algs[a], key), "init");
			cr_assert(sw_mac_tag(&used, msg, n, &t1), "used");
			cr_assert(sw_mac_tag(&fresh, msg, n, &t2), "fresh");
			cr_assert_eq(t1, t2, "%s, %zu bytes: %lx != %lx", sw_mac_name(algs[a]), n,
				     t1, t2);
			sw_mac_wipe(&fresh);
		}
		sw_mac_wipe(&used);
	}
}

/* SipHash takes 16 bytes of the key, HMAC all of them. */
Test(mac, key_bytes_that_count)
{
	const uint8_t msg[24] = { 1, 2, 3 };

	for (size_t a = 0; a < 2; a++) {
		const size_t len = algs[a] == SW_MAC_SIPHASH24 ? 16 : SW_KEY_LEN;

		for (size_t i = 0; i < SW_KEY_LEN; i++) {
			uint8_t key[SW_KEY_LEN] = { 0 };
			struct sw_mac m1 = { 0 }, m2 = { 0 };
			uint64_t t1 = 0, t2 = 0;

			cr_assert(sw_mac_init(&m1, algs[a], key), "init");
			key[i] = 1;
			cr_assert(sw_mac_init(&m2, algs[a], key), "init");
			cr_assert(sw_mac_tag(&m1, msg, 24, &t1) && sw_mac_tag(&m2, msg, 24, &t2),
				  "tag");
			cr_assert_eq(t1 == t2, i >= len, "%s byte %zu", sw_mac_name(algs[a]), i);
			sw_mac_wipe(&m1);
			sw_mac_wipe(&m2);
		}
	}
}
