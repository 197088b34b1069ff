/* SPDX-License-Identifier: MIT */
#include "core/recent.h"
#include "frames.h"

#include <criterion/criterion.h>

static struct sw_recent recent;

static const sw_mono start = { 5000000000u };

static struct sw_seg seg_of(enum sw_family family)
{
	const struct frame_spec s = frame_syn(family);

	return frame_seg(&s);
}

Test(recent, empty_knows_nothing)
{
	const struct sw_seg seg = seg_of(SW_IP4);
	const struct sw_seg zero = { .family = SW_IP4 };

	sw_recent_init(&recent, 1);
	cr_assert(!sw_recent_has(&recent, &seg, start), "a segment");
	cr_assert(!sw_recent_has(&recent, &zero, (sw_mono){ 0 }), "all zero, at time zero");
}

Test(recent, every_part_of_the_tuple_counts)
{
	for (unsigned v = 4; v <= 6; v += 2) {
		const struct sw_seg seg = seg_of((enum sw_family)v);

		/* With one slot known to be the right one, only the comparison can refuse. */
		sw_recent_init(&recent, 2);
		sw_recent_add(&recent, &seg, start);
		for (size_t i = 1; i < SW_RECENT_SLOTS; i++)
			for (size_t k = 0; k < SW_RECENT_SLOTS; k++)
				if (recent.slot[k].until.ns && !recent.slot[i].until.ns)
					recent.slot[i] = recent.slot[k];
		for (unsigned bit = 0; bit < 16 * 8; bit++) {
			struct sw_seg a = seg, b = seg;

			a.src.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
			b.dst.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
			cr_assert(!sw_recent_has(&recent, &a, start), "IPv%u src bit %u", v, bit);
			cr_assert(!sw_recent_has(&recent, &b, start), "IPv%u dst bit %u", v, bit);
		}
		for (unsigned bit = 0; bit < 16; bit++) {
			struct sw_seg a = seg, b = seg;

			a.sport ^= (uint16_t)(1 << bit);
			b.dport ^= (uint16_t)(1 << bit);
			cr_assert(!sw_recent_has(&recent, &a, start), "IPv%u sport %u", v, bit);
			cr_assert(!sw_recent_has(&recent, &b, start), "IPv%u dport %u", v, bit);
		}
		cr_assert(sw_recent_has(&recent, &seg, start), "IPv%u itself", v);
	}
}

Test(recent, forgets_after_two_seconds_to_the_nanosecond)
{
	const struct sw_seg seg = seg_of(SW_IP6);

	sw_recent_init(&recent, 3);
	sw_recent_add(&recent, &seg, start);
	cr_assert(sw_recent_has(&recent, &seg, (sw_mono){ start.ns + SW_RECENT_NS - 1 }), "held");
	cr_assert(!sw_recent_has(&recent, &seg, (sw_mono){ start.ns + SW_RECENT_NS }), "over");
}

Test(recent, a_new_syn_ends_the_memory_of_its_own_client_only)
{
	const struct sw_seg seg = seg_of(SW_IP4);
	struct sw_seg other = seg;

	sw_recent_init(&recent, 4);
	sw_recent_add(&recent, &seg, start);
	for (unsigned port = 1; port < 40000; port++) {
		other.sport = (uint16_t)port;
		sw_recent_forget(&recent, &other, start);
	}
	cr_assert(sw_recent_has(&recent, &seg, start), "forgotten by others' SYNs");
	sw_recent_forget(&recent, &seg, start);
	cr_assert(!sw_recent_has(&recent, &seg, start), "kept after its own SYN");
}

static unsigned marked(void)
{
	unsigned n = 0;

	for (size_t i = 0; i < SW_RECENT_SLOTS / 64; i++)
		n += (unsigned)__builtin_popcountll(recent.used[i]);
	return n;
}

/* SYNs clear the marks of what is over, and of nothing else. */
Test(recent, marks_go_when_their_time_is_over)
{
	const struct sw_seg seg = seg_of(SW_IP4);
	struct sw_seg other = seg;

	sw_recent_init(&recent, 7);
	cr_assert_eq(marked(), 0, "of an empty one");
	sw_recent_add(&recent, &seg, start);
	for (unsigned round = 0; round < 2; round++) {
		const sw_mono now = { start.ns + SW_RECENT_NS - 1 + round };

		for (unsigned port = 1; port < 60000; port++) {
			other.sport = (uint16_t)port;
			other.src.b[3] = (uint8_t)(seg.src.b[3] + 1);
			sw_recent_forget(&recent, &other, now);
		}
		cr_assert_eq(marked(), round ? 0 : 1, "round %u: %u", round, marked());
		cr_assert_eq(sw_recent_has(&recent, &seg, now), round == 0, "round %u", round);
	}
	sw_recent_add(&recent, &seg, start);
	cr_assert(sw_recent_has(&recent, &seg, start), "added again");
	sw_recent_forget(&recent, &seg, start);
	cr_assert(!sw_recent_has(&recent, &seg, start), "its own SYN");
}

/* Ports of one client must not pile up in a few slots, and the seed must move them. */
Test(recent, the_hash_spreads_and_depends_on_the_seed)
{
	struct sw_seg seg = seg_of(SW_IP4);
	size_t kept[2] = { 0, 0 }, used = 0;
	size_t place[2] = { 0, 0 };

	for (uint64_t seed = 0; seed < 2; seed++) {
		sw_recent_init(&recent, seed);
		sw_recent_add(&recent, &seg, start);
		for (size_t i = 0; i < SW_RECENT_SLOTS; i++)
			if (recent.slot[i].until.ns)
				place[seed] = i;
		for (unsigned port = 0; port < SW_RECENT_SLOTS; port++) {
			seg.sport = (uint16_t)port;
			sw_recent_add(&recent, &seg, start);
		}
		seg.sport = 40000;
		used = 0;
		for (size_t i = 0; i < SW_RECENT_SLOTS; i++)
			used += recent.slot[i].until.ns != 0;
		kept[seed] = used;
		/* 4096 balls in 4096 bins fill 63 of 100; half would be bad luck beyond belief. */
		cr_assert(used > SW_RECENT_SLOTS / 2, "seed %lu: %zu slots", seed, used);
	}
	cr_assert_neq(place[0], place[1], "both seeds use slot %zu (%zu, %zu)", place[0], kept[0],
		      kept[1]);
}
