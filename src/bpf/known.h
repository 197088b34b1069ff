/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Known flows (bpf/abi.h), and the budget for what they spare, as each program has them. */
#ifndef SW_BPF_KNOWN_H
#define SW_BPF_KNOWN_H

#include "bpf/abi.h"

#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

#define LOOK_RATE 50000 /* lookups a second and CPU for flows that are not known */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sw_bpf_host);
} host SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2 * SW_BPF_KNOWN_WORDS);
	__type(key, __u32);
	__type(value, __u64);
} known SEC(".maps");

static __always_inline __u64 *known_word(__u32 half, __u32 bit)
{
	const __u32 i = (half & 1) * SW_BPF_KNOWN_WORDS + (bit >> 6);

	return bpf_map_lookup_elem(&known, &i);
}

/* @return false when the flow of this bit certainly has no socket. */
static __always_inline bool known_is_set(const struct sw_bpf_host *h, __u32 bit)
{
	const __u64 *w = known_word(h->known, bit);

	return h->known == SW_BPF_KNOWN_NONE || !w || (*w >> (bit & 63) & 1);
}

/* @return true when the flow had a socket, or shares its bit with one that had. */
static __always_inline bool known_holds(const struct sw_bpf_host *h, __u32 bit)
{
	const __u64 *w = known_word(h->known, bit);

	return h->known != SW_BPF_KNOWN_NONE && w && (*w >> (bit & 63) & 1);
}

/* core/budget.c, one a CPU. */
struct bucket {
	__u64 last, credit;
};

static __always_inline bool may_pass(struct bucket *b, __u32 rate, __u64 now)
{
	__u64 cost;

	if (!rate)
		return false;
	cost = 1000000000ull / rate;
	b->credit += now - b->last;
	b->last = now;
	if (b->credit > 1000000000ull)
		b->credit = 1000000000ull;
	if (b->credit < cost)
		return false;
	b->credit -= cost;
	return true;
}

#endif
