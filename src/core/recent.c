/* SPDX-License-Identifier: MIT */
#include "core/recent.h"

#include <string.h>

_Static_assert((SW_RECENT_SLOTS & (SW_RECENT_SLOTS - 1)) == 0, "slots are chosen by mask");

__extension__ typedef unsigned __int128 u128;

/* Multiply and fold: every bit of the result depends on the seed and on both words. */
static uint64_t mix(uint64_t h, uint64_t a, uint64_t b)
{
	const u128 p = (u128)(a ^ h) * (b ^ 0x9e3779b97f4a7c15u);

	return h ^ (uint64_t)p ^ (uint64_t)(p >> 64);
}

static uint64_t hash(const struct sw_recent *r, const struct sw_seg *seg)
{
	const uint64_t rest = (uint64_t)seg->family << 32 | (uint32_t)seg->sport << 16 | seg->dport;
	uint64_t w[4], h;

	memcpy(w, seg->src.b, sizeof(seg->src.b));
	memcpy(w + 2, seg->dst.b, sizeof(seg->dst.b));
	h = mix(r->seed, w[0], w[1]);
	h = mix(h, w[2], w[3]);
	return mix(h, rest, h >> 32);
}

static size_t slot_of(const struct sw_recent *r, const struct sw_seg *seg)
{
	return (size_t)(hash(r, seg) & (SW_RECENT_SLOTS - 1));
}

static bool is_of(const struct sw_recent_slot *s, const struct sw_seg *seg)
{
	return s->sport == seg->sport && s->dport == seg->dport &&
	       memcmp(&s->src, &seg->src, sizeof(s->src)) == 0 &&
	       memcmp(&s->dst, &seg->dst, sizeof(s->dst)) == 0;
}

void sw_recent_init(struct sw_recent *r, uint64_t seed)
{
	memset(r, 0, sizeof(*r));
	r->seed = seed;
}

void sw_recent_add(struct sw_recent *r, const struct sw_seg *seg, sw_mono now)
{
	const size_t i = slot_of(r, seg);

	r->used[i >> 6] |= 1ull << (i & 63);
	r->slot[i] = (struct sw_recent_slot){
		.src = seg->src,
		.dst = seg->dst,
		.sport = seg->sport,
		.dport = seg->dport,
		.until = { now.ns + SW_RECENT_NS },
	};
}

void sw_recent_forget(struct sw_recent *r, const struct sw_seg *seg, sw_mono now)
{
	const size_t i = slot_of(r, seg);
	const uint64_t bit = 1ull << (i & 63);

	if (!(r->used[i >> 6] & bit))
		return;
	if (is_of(&r->slot[i], seg))
		r->slot[i].until.ns = 0;
	if (r->slot[i].until.ns <= now.ns)
		r->used[i >> 6] &= ~bit;
}

bool sw_recent_has(const struct sw_recent *r, const struct sw_seg *seg, sw_mono now)
{
	const struct sw_recent_slot *s = &r->slot[slot_of(r, seg)];

	return s->until.ns > now.ns && is_of(s, seg);
}
