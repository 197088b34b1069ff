/* SPDX-License-Identifier: MIT */
#include "core/used.h"
#include "frames.h"

#include <criterion/criterion.h>

static struct sw_used used; /* large; a test runs alone in its process */

Test(used, empty_knows_nothing)
{
	uint64_t seed = 1;

	sw_used_init(&used);
	cr_assert(!sw_used_has(&used, 0), "tag 0");
	for (unsigned i = 0; i < 100000; i++)
		cr_assert(!sw_used_has(&used, frame_rand(&seed)), "turn %u of seed 1", i);
}

/* Tags that meet in a slot are told apart, also the tag whose mark would read as "empty". */
Test(used, other_tags_are_not_taken_for_it)
{
	static const uint64_t tags[] = { 0, 1, 0x0123456789abcdef, UINT64_MAX, 0xffffffff00000000 };

	for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
		sw_used_init(&used);
		sw_used_add(&used, tags[i]);
		cr_assert(sw_used_has(&used, tags[i]), "tag %#lx is lost", tags[i]);
		for (unsigned bit = 0; bit < 51; bit++) {
			const uint64_t other = tags[i] ^ 1ull << bit;

			if ((tags[i] & 0xfffffffe) == 0 && bit == 0)
				continue; /* 0 is kept as 1 */
			cr_assert(!sw_used_has(&used, other), "tag %#lx, bit %u", tags[i], bit);
		}
	}
}

Test(used, remembers_and_forgets_the_oldest_of_a_slot)
{
	const uint64_t first = 0x1111111122222222, second = 0x1111111133333333;

	sw_used_init(&used);
	sw_used_add(&used, first);
	sw_used_add(&used, second);
	cr_assert(sw_used_has(&used, second), "the newer one");
	cr_assert(!sw_used_has(&used, first), "the older one");
}

/* A tenth of the slots in use: nearly all of them are still known. */
Test(used, keeps_what_fits)
{
	const unsigned n = SW_USED_SLOTS / 10;
	uint64_t seed = 9, again = 9;
	unsigned known = 0;

	sw_used_init(&used);
	for (unsigned i = 0; i < n; i++)
		sw_used_add(&used, frame_rand(&seed));
	for (unsigned i = 0; i < n; i++)
		known += sw_used_has(&used, frame_rand(&again));
	cr_assert(known > n / 100 * 94, "%u of %u", known, n);
}
