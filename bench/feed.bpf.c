/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* For bench_micro: writes the next frame of a row over the one that is there, and goes on to the
 * program to be measured.  So a program that answers in place finds a new question at each run. */
#include "feed.h"

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FEED_FRAMES);
	__type(key, __u32);
	__type(value, struct feed_frame);
} frames SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} next SEC(".maps");

static __u32 turn;

SEC("xdp.frags")
int bench_feed(struct xdp_md *ctx)
{
	const __u32 i = turn++ % FEED_FRAMES;
	const struct feed_frame *f = bpf_map_lookup_elem(&frames, &i);
	struct feed_frame *to;

	if (!f)
		return XDP_ABORTED;
	to = (void *)(long)ctx->data;
	if ((void *)to + FEED_LEN > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	for (int w = 0; w < 9; w++)
		to->word[w] = f->word[w];
	to->last = f->last;
	bpf_tail_call(ctx, &next, 0);
	return XDP_ABORTED;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
