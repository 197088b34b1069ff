/* SPDX-License-Identifier: MIT */
#include "core/used.h"

#include <criterion/criterion.h>

static struct sw_used used;

static uint64_t next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

Test(used, nothing_at_first)
{
	uint64_t seed = 1;

	sw_used_init(&used);
	for (int i = 0; i < 100000; i++)
		cr_assert(!sw_used_has(&used, next(&seed)), "tag %d", i);
	cr_assert(!sw_used_has(&used, 0), "a tag of zero is a tag");
}

Test(used, what_was_added)
{
	static const uint64_t tag[] = { 0, 1, 0xffffffff, 0x100000000, UINT64_MAX };

	sw_used_init(&used);
	for (size_t i = 0; i < sizeof(tag) / sizeof(tag[0]); i++) {
		sw_used_add(&used, tag[i]);
		cr_assert(sw_used_has(&used, tag[i]), "tag %zu", i);
	}
}

Test(used, every_bit_below_the_slot_counts)
{
	const uint64_t tag = 0x123456789abcdef0;

	sw_used_init(&used);
	sw_used_add(&used, tag);
	for (unsigned bit = 0; bit < 32 + 19; bit++)
		cr_assert(!sw_used_has(&used, tag ^ 1ull << bit), "bit %u", bit);
}

/* 100,000 connections later nine of ten replays are still known. */
Test(used, forgets_slowly)
{
	uint64_t seed = 7, again = 7;
	int known = 0;

	sw_used_init(&used);
	for (int i = 0; i < 100000; i++)
		sw_used_add(&used, next(&seed));
	for (int i = 0; i < 100000; i++)
		known += sw_used_has(&used, next(&again));
	cr_assert(known > 90000, "%d of 100000", known);
}
