/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The far end of the victim's veth: what it answers to spoofed sources is counted and dropped here,
 * where the victim cannot reach.  A SYN-ACK counts only when it acknowledges the sequence number
 * that the generator used for this source. */
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "flood.h"
#include "sink.h"

const volatile __u64 seed;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SINK_N);
	__type(key, __u32);
	__type(value, __u64);
} sink_count SEC(".maps");

static __always_inline int count(__u32 what)
{
	__u64 *n = bpf_map_lookup_elem(&sink_count, &what);

	if (n)
		++*n;
	return XDP_DROP;
}

SEC("xdp.frags")
int bench_sink(struct xdp_md *ctx)
{
	const void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	const __u32 *ip = data + 14;
	const __u16 *type = data + 12;
	__u32 daddr, ports, flags;

	if (data + 54 > end || *type != bpf_htons(0x0800) ||
	    (bpf_ntohl(ip[4]) & FLOOD_MASK) != FLOOD_NET)
		return XDP_PASS;
	/* No contender answers with IP options: 20 bytes, TCP. */
	if (bpf_ntohl(ip[0]) >> 24 != 0x45 || (bpf_ntohl(ip[2]) >> 16 & 0xff) != 6)
		return count(SINK_OTHER);
	daddr = bpf_ntohl(ip[4]);
	ports = bpf_ntohl(ip[5]);
	flags = bpf_ntohl(ip[8]) >> 16 & 0x3f;
	if (flags & 0x04)
		return count(SINK_RST);
	if (flags != 0x12)
		return count(SINK_OTHER);
	return count(bpf_ntohl(ip[7]) - 1 == flood_seq(seed, daddr, ports & 0xffff) ? SINK_SYNACK
										    : SINK_WRONG);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
