/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The flood at full speed: run by BPF_PROG_TEST_RUN with live frames, it turns each recycled page
 * into the next frame and sends it out of a veth.  The whole frame is written each time: a receiver
 * may have changed the page. */
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "flood.h"

const volatile struct flood_cfg cfg;
struct flood_state {
	__u64 made;	/* frames so far */
	__u64 start_ns; /* of the rate; 0 before the first frame */
	__u64 end_ns;	/* no frame after this time */
	__u64 over;	/* 1: made cfg.count frames, or the time is over */
} state;

/* A veth holds 256 frames: what was not sent in time is not made up for in one burst, which would
 * fill it and take clients' frames along. */
#define BURST 64

/* Is it time for the next frame? */
static __always_inline int due(void)
{
	const __u64 now = bpf_ktime_get_ns();
	__u64 target;

	if (now >= state.end_ns) {
		state.over = 1;
		return 0;
	}
	if (!cfg.rate)
		return 1;
	if (!state.start_ns)
		state.start_ns = now;
	target = (now - state.start_ns) * cfg.rate / 1000000000u;
	if (state.made >= target)
		return 0;
	if (target - state.made > BURST)
		state.start_ns += (target - state.made - BURST) * 1000000000u / cfg.rate;
	return 1;
}

static __always_inline void store_tcp(__u32 *tcp, const void *end, const struct flood_packet *p)
{
	if ((void *)(tcp + 5) > end)
		return;
#pragma unroll
	for (int i = 0; i < 5; i++)
		tcp[i] = bpf_htonl(p->tcp[i]);
	if (p->ntcp >= 8 && (void *)(tcp + 8) <= end) {
#pragma unroll
		for (int i = 5; i < 8; i++)
			tcp[i] = bpf_htonl(p->tcp[i]);
	}
	if (p->ntcp >= 10 && (void *)(tcp + 10) <= end) {
		tcp[8] = bpf_htonl(p->tcp[8]);
		tcp[9] = bpf_htonl(p->tcp[9]);
	}
	if (cfg.kind == FLOOD_SYN_DATA && (void *)(tcp + 5 + FLOOD_PAYLOAD / 4) <= end) {
#pragma unroll
		for (int i = 5; i < 5 + FLOOD_PAYLOAD / 4; i++)
			tcp[i] = 0x58585858;
	}
}

static __always_inline int store(struct xdp_md *ctx, const struct flood_packet *p)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 *eth = data, *ip = data + 14;
	__u16 *type = data + 12;

	if (data + 54 > end)
		return -1;
	eth[0] = ((const volatile __u32 *)cfg.mac)[0];
	eth[1] = ((const volatile __u32 *)cfg.mac)[1];
	eth[2] = ((const volatile __u32 *)cfg.mac)[2];
	*type = cfg.v6 ? bpf_htons(0x86dd) : bpf_htons(0x0800);
#pragma unroll
	for (int i = 0; i < 5; i++)
		ip[i] = bpf_htonl(p->ip[i]);
	if (!cfg.v6) {
		store_tcp(ip + 5, end, p);
		return 0;
	}
#pragma unroll
	for (int i = 5; i < 10; i++)
		ip[i] = bpf_htonl(p->ip[i]);
	store_tcp(ip + 10, end, p);
	return 0;
}

SEC("xdp")
int bench_gen(struct xdp_md *ctx)
{
	struct flood_packet p = {};
	struct flood_cfg cf = { .seed = cfg.seed,
				.daddr = cfg.daddr,
				.daddr6 = { cfg.daddr6[0], cfg.daddr6[1], cfg.daddr6[2],
					    cfg.daddr6[3] },
				.kind = cfg.kind,
				.dport = cfg.dport,
				.v6 = cfg.v6,
				.prefix = cfg.prefix };

	if (state.over || !due())
		return XDP_DROP;
	if (cfg.count && state.made >= cfg.count) {
		state.over = 1;
		return XDP_DROP;
	}
	flood_make(&p, &cf, cfg.first + state.made);
	/* A receiver that shortened the frame left its length in the page, and the kernel sets it anew
	 * only for a program that changes it (ctx_was_changed(), net/bpf/test_run.c). */
	if (bpf_xdp_adjust_tail(ctx, -FLOOD_SPARE) || store(ctx, &p))
		return XDP_ABORTED;
	state.made++;
	return (int)bpf_redirect(cfg.ifindex, 0);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
