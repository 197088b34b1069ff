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

/* No contender answers with IP options or extension headers: what has them is OTHER. */
static __always_inline int judge(const __u32 *tcp, __u32 source)
{
	const __u32 flags = bpf_ntohl(tcp[3]) >> 16 & 0x3f;

	if (flags & 0x04)
		return count(SINK_RST);
	if (flags != 0x12)
		return count(SINK_OTHER);
	return count(bpf_ntohl(tcp[2]) - 1 == flood_seq(seed, source, bpf_ntohl(tcp[0]) & 0xffff)
			     ? SINK_SYNACK
			     : SINK_WRONG);
}

static __always_inline int judge4(const __u32 *ip)
{
	const __u32 daddr = bpf_ntohl(ip[4]);

	if ((daddr & FLOOD_MASK) != FLOOD_NET)
		return XDP_PASS;
	if (bpf_ntohl(ip[0]) >> 24 != 0x45 || (bpf_ntohl(ip[2]) >> 16 & 0xff) != 6)
		return count(SINK_OTHER);
	return judge(ip + 5, daddr);
}

static __always_inline int judge6(const __u32 *ip, const void *end)
{
	const __u32 hi = bpf_ntohl(ip[6]), lo = bpf_ntohl(ip[7]);

	if (hi != FLOOD_NET6_HI || (lo & 0xffff0000u) != FLOOD_NET6_LO)
		return XDP_PASS;
	if ((bpf_ntohl(ip[1]) >> 8 & 0xff) != 6 || (const void *)(ip + 15) > end)
		return count(SINK_OTHER);
	return judge(ip + 10, flood_fold6(hi, lo, bpf_ntohl(ip[8]), bpf_ntohl(ip[9])));
}

SEC("xdp.frags")
int bench_sink(struct xdp_md *ctx)
{
	const void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	const __u16 *type = data + 12;

	if (data + 54 > end)
		return XDP_PASS;
	if (*type == bpf_htons(0x0800))
		return judge4(data + 14);
	if (*type == bpf_htons(0x86dd))
		return judge6(data + 14, end);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
