/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Who gets this packet: the kernel or the front end, never both.
 *
 *   wire -> [guarded interface] sw_steer -- guarded, no socket --> pair -> front end
 *                    ^          `- everything else --> kernel
 *                    |
 *   front end -> [pair] sw_inject, marks and redirects to ingress
 */
#include "bpf/known.h"

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/if_packet.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define ACT_NEXT -1 /* TCX_NEXT, TC_ACT_UNSPEC: the next program, then the kernel */
#define ACT_SHOT 2  /* TCX_DROP, TC_ACT_SHOT */

#define AF_INET_ 2
#define AF_INET6_ 10
#define ST_TIME_WAIT 6
#define ST_LISTEN 10

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

#define IP_MF 0x2000
#define IP_OFFSET 0x1fff
#define MAX_EXT 6
#define MAX_VLAN 2

/* Set once by user space before loading. */
const volatile __u32 guard_ifindex;
const volatile __u32 pair_ifindex;
const volatile __u32 inject_mark;
const volatile __u8 have_any; /* some guard has any set */

/* Where the kernel keeps the program after its owner died (clsact), user space renews this time
 * (CLOCK_MONOTONIC), and an expired lease turns the program off.  0: no lease. */
__u64 lease_until;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * SW_BPF_MAX_GUARDS);
	__type(key, struct sw_bpf_guard);
	__type(value, struct sw_bpf_guarded);
} guards SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SW_NWHY);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bucket);
} look SEC(".maps");

struct flow {
	__u8 family;
	__u8 fragment; /* 1: first fragment, 2: a later one, which has no ports */
	__u8 flags;
	__u8 hidden; /* enum sw_why: the TCP header is out of reach, and the kernel might find it */
	struct bpf_sock_tuple tuple;
};

static __always_inline void count(__u32 why)
{
	__u64 *n = bpf_map_lookup_elem(&counters, &why);

	if (n)
		*n += 1;
}

struct ports {
	__be16 sport, dport;
	__be32 seq, ack;
	__u8 doff, flags;
};

static __always_inline int read_ip4(struct __sk_buff *skb, __u32 off, struct flow *fl)
{
	struct iphdr ip;
	struct ports tcp;

	if (bpf_skb_load_bytes(skb, off, &ip, sizeof(ip)) || ip.version != 4 || ip.ihl < 5 ||
	    ip.protocol != IPPROTO_TCP)
		return -1;
	if (ip.frag_off & bpf_htons(IP_OFFSET))
		return -1;
	fl->fragment = (ip.frag_off & bpf_htons(IP_MF)) != 0;
	off += ip.ihl * 4u;
	if (bpf_skb_load_bytes(skb, off, &tcp, 14)) {
		/* A first fragment of 8 bytes still names its ports. */
		if (!fl->fragment || bpf_skb_load_bytes(skb, off, &tcp, 4))
			return -1;
		tcp.flags = 0;
	}
	fl->family = 4;
	fl->flags = tcp.flags;
	fl->tuple.ipv4.saddr = ip.saddr;
	fl->tuple.ipv4.daddr = ip.daddr;
	fl->tuple.ipv4.sport = tcp.sport;
	fl->tuple.ipv4.dport = tcp.dport;
	return 0;
}

/* The chain of extension headers goes on beyond what is followed here, or in the next fragment.
 * Without ports, port 0 in the map of guards stands for the address. */
static __always_inline int hide(struct flow *fl, __u8 why)
{
	if (!why)
		return -1;
	fl->hidden = why;
	return 0;
}

static __always_inline int read_ip6(struct __sk_buff *skb, __u32 off, struct flow *fl)
{
	struct ipv6hdr ip;
	struct ports tcp;
	__u8 next;

	if (bpf_skb_load_bytes(skb, off, &ip, sizeof(ip)) || ip.version != 6)
		return -1;
	next = ip.nexthdr;
	off += sizeof(ip);
	fl->family = 6;
	__builtin_memcpy(fl->tuple.ipv6.saddr, &ip.saddr, 16);
	__builtin_memcpy(fl->tuple.ipv6.daddr, &ip.daddr, 16);
	for (int i = 0; i < MAX_EXT && next != IPPROTO_TCP; i++) {
		__u8 ext[4];

		if (bpf_skb_load_bytes(skb, off, ext, sizeof(ext)))
			return hide(fl, fl->fragment ? SW_WHY_FRAGMENT : 0);
		if (next == IPPROTO_FRAGMENT) {
			const __u16 frag = (__u16)(ext[2] << 8 | ext[3]);

			if (frag & 0xfff8)
				return -1;
			fl->fragment = frag & 1;
			off += 8;
		} else if (next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING ||
			   next == IPPROTO_DSTOPTS) {
			off += (ext[1] + 1u) * 8u;
		} else {
			return -1;
		}
		next = ext[0];
	}
	if (next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS ||
	    next == IPPROTO_FRAGMENT)
		return hide(fl, SW_WHY_EXT_HEADERS);
	if (next != IPPROTO_TCP)
		return -1;
	if (bpf_skb_load_bytes(skb, off, &tcp, 14)) {
		if (!fl->fragment)
			return -1;
		if (bpf_skb_load_bytes(skb, off, &tcp, 4))
			return hide(fl, SW_WHY_FRAGMENT);
		tcp.flags = 0;
	}
	fl->flags = tcp.flags;
	fl->tuple.ipv6.sport = tcp.sport;
	fl->tuple.ipv6.dport = tcp.dport;
	return 0;
}

/* With forwarding on, a guard for every address must not catch what only passes through. */
static __always_inline bool is_local(struct __sk_buff *skb, const struct flow *fl)
{
	struct bpf_fib_lookup fib = { .ifindex = skb->ingress_ifindex };
	long rc;

	if (!fib.ifindex)
		fib.ifindex = skb->ifindex;
	fib.l4_protocol = IPPROTO_TCP;
	if (fl->family == 4) {
		fib.family = AF_INET_;
		fib.ipv4_src = fl->tuple.ipv4.saddr;
		fib.ipv4_dst = fl->tuple.ipv4.daddr;
	} else {
		fib.family = AF_INET6_;
		__builtin_memcpy(fib.ipv6_src, fl->tuple.ipv6.saddr, 16);
		__builtin_memcpy(fib.ipv6_dst, fl->tuple.ipv6.daddr, 16);
	}
	rc = bpf_fib_lookup(skb, &fib, sizeof(fib), 0);
	return rc != BPF_FIB_LKUP_RET_SUCCESS && rc != BPF_FIB_LKUP_RET_NO_NEIGH &&
	       rc != BPF_FIB_LKUP_RET_FRAG_NEEDED && rc != BPF_FIB_LKUP_RET_UNREACHABLE &&
	       rc != BPF_FIB_LKUP_RET_PROHIBIT && rc != BPF_FIB_LKUP_RET_BLACKHOLE;
}

static __always_inline bool is_guarded(struct __sk_buff *skb, const struct flow *fl)
{
	struct sw_bpf_guard key = { .family = fl->family };

	if (fl->family == 4) {
		key.port = fl->tuple.ipv4.dport;
		__builtin_memcpy(key.addr, &fl->tuple.ipv4.daddr, 4);
	} else {
		key.port = fl->tuple.ipv6.dport;
		__builtin_memcpy(key.addr, fl->tuple.ipv6.daddr, 16);
	}
	if (bpf_map_lookup_elem(&guards, &key))
		return true;
	if (!have_any)
		return false;
	__builtin_memset(key.addr, 0, sizeof(key.addr));
	key.any = 1;
	return bpf_map_lookup_elem(&guards, &key) && is_local(skb, fl);
}

/* The words of an address as struct sw_addr has them. */
static __always_inline __u32 flow_bit(const struct flow *fl)
{
	__u64 a[4];

	if (fl->family == 4) {
		return sw_bpf_known_mix(sw_bpf_word4(fl->tuple.ipv4.saddr), 0,
					sw_bpf_word4(fl->tuple.ipv4.daddr), 0, fl->tuple.ipv4.sport,
					fl->tuple.ipv4.dport);
	}
	__builtin_memcpy(a, fl->tuple.ipv6.saddr, 32);
	return sw_bpf_known_bit((const __u8 *)a, (const __u8 *)(a + 2), fl->tuple.ipv6.sport,
				fl->tuple.ipv6.dport);
}

/* As find_state() of the answerer, but for SYNs only.  Linux 5.10 has no atomic OR: a bit that is
 * lost between two CPUs, or to user space that notes a socket, is set by the connection's next
 * segment.  Only SYNs ask for it: without it a SYN of an idle connection is answered by a cookie. */
static __always_inline void mark_half(__u32 half, __u32 bit)
{
	__u64 *w = known_word(half, bit);

	if (w && !(*w >> (bit & 63) & 1))
		*w |= 1ull << (bit & 63);
}

/* A function of its own, of numbers: inlined, a pointer is spilled to where a number goes later, which
 * the verifier does not take without CAP_PERFMON. */
static __noinline bool is_new(__u32 bit)
{
	const __u32 zero = 0;
	const struct sw_bpf_host *h = bpf_map_lookup_elem(&host, &zero);
	struct bucket *b = bpf_map_lookup_elem(&look, &zero);

	return h && b && !known_is_set(h, bit) && !may_pass(b, LOOK_RATE, bpf_ktime_get_ns());
}

static __always_inline void mark(const struct flow *fl, const struct sw_bpf_host *h)
{
	const __u32 bit = flow_bit(fl);

	if (h->known != SW_BPF_KNOWN_NONE || h->known_both)
		mark_half(h->known, bit);
	if (h->known_both)
		mark_half(h->known + 1, bit);
}

/* The kernel keeps what it has a socket for.  A connection in TIME_WAIT may be opened anew, so its
 * SYNs and the ACKs that may prove them are the front end's (RFC 9293 3.10.7.4). */
static __always_inline bool kernel_owns(struct __sk_buff *skb, struct flow *fl)
{
	const __u32 zero = 0;
	const struct sw_bpf_host *h = bpf_map_lookup_elem(&host, &zero);
	struct bpf_sock *sk, *full;
	__u32 state;
	bool veiled;

	if (!h || ((fl->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN && is_new(flow_bit(fl))))
		return false;
	if (fl->family == 4) /* constant lengths: the verifier must see them */
		sk = bpf_skc_lookup_tcp(skb, &fl->tuple, sizeof(fl->tuple.ipv4),
					BPF_F_CURRENT_NETNS, 0);
	else
		sk = bpf_skc_lookup_tcp(skb, &fl->tuple, sizeof(fl->tuple.ipv6),
					BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return false;
	state = sk->state;
	full = bpf_sk_fullsock(sk);
	veiled = full && full->priority == SW_BPF_VEIL;
	bpf_sk_release(sk);
	if (state != ST_LISTEN)
		mark(fl, h);
	if (veiled || state == ST_LISTEN)
		return false;
	if (state == ST_TIME_WAIT && !(fl->flags & (TCP_FIN | TCP_RST)))
		return false;
	return true;
}

static __always_inline bool is_tag(__u32 proto)
{
	return proto == bpf_htons(ETH_P_8021Q) || proto == bpf_htons(ETH_P_8021AD);
}

SEC("tc")
int sw_steer(struct __sk_buff *skb)
{
	struct flow fl = {};
	__u32 off = ETH_HLEN;
	__u32 proto = skb->protocol;

	if (skb->mark == inject_mark) {
		skb->mark = 0;
		return ACT_NEXT;
	}
	if (skb->pkt_type != PACKET_HOST)
		return ACT_NEXT;
	if (lease_until && bpf_ktime_get_ns() > lease_until)
		return ACT_NEXT;
	for (int i = 0; i < MAX_VLAN && is_tag(proto); i++) {
		__be16 inner[2];

		if (bpf_skb_load_bytes(skb, off, inner, sizeof(inner)))
			return ACT_NEXT;
		proto = inner[1];
		off += 4;
	}
	if (is_tag(proto)) { /* the kernel strips any number of tags with VLAN 0 */
		count(SW_WHY_VLAN_TAG);
		return ACT_SHOT;
	}
	if (proto == bpf_htons(ETH_P_IP)) {
		if (read_ip4(skb, off, &fl))
			return ACT_NEXT;
	} else if (proto == bpf_htons(ETH_P_IPV6)) {
		if (read_ip6(skb, off, &fl))
			return ACT_NEXT;
	} else {
		return ACT_NEXT;
	}
	if (!is_guarded(skb, &fl))
		return ACT_NEXT;
	if (fl.hidden) {
		count(fl.hidden);
		return ACT_SHOT;
	}
	if (kernel_owns(skb, &fl)) {
		count(SW_WHY_HAS_SOCKET);
		return ACT_NEXT;
	}
	if (fl.fragment) {
		count(SW_WHY_FRAGMENT);
		return ACT_SHOT;
	}
	count(SW_WHY_STEERED);
	/* The ring at the far end sees the frame all the same, and the stack there drops it at once
	 * instead of looking for a route.  From Linux 6.16 see far_side() of steer/pair.c. */
	bpf_skb_change_type(skb, PACKET_OTHERHOST);
	return bpf_redirect_peer(pair_ifindex, 0);
}

SEC("tc")
int sw_inject(struct __sk_buff *skb)
{
	count(SW_WHY_REINJECTED);
	skb->mark = inject_mark;
	return bpf_redirect(guard_ifindex, BPF_F_INGRESS);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
