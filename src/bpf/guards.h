/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The guard map and the counters, as each program has them. */
#ifndef SW_BPF_GUARDS_H
#define SW_BPF_GUARDS_H

#include "bpf/cookie.h"
#include "bpf/known.h"
#include "bpf/packet.h"

#define AF_INET_ 2
#define AF_INET6_ 10
#define ST_TIME_WAIT 6
#define ST_LISTEN 10

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SW_BPF_GUARD_ROWS);
	__type(key, struct sw_bpf_guard);
	__type(value, struct sw_bpf_guarded);
} guards SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SW_BPF_WHY_STRIDE * SW_BPF_LISTENERS);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

/* Connections proven a moment ago: their next segments prove nothing, and their sockets may still
 * be on the way.  Only proof makes an entry, so nobody can fill it without real handshakes. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SW_BPF_RECENT);
	__type(key, struct sw_bpf_flow);
	__type(value, __u64); /* CLOCK_MONOTONIC when it was proven */
} recent SEC(".maps");

#define RECENT_NS 2000000000ull

static __always_inline void count(const struct packet *p, __u32 why)
{
	const __u32 i = p->listener * SW_BPF_WHY_STRIDE + why;
	__u64 *n = bpf_map_lookup_elem(&counters, &i);

	if (n)
		*n += 1;
}

static __always_inline __u32 known_bit(const struct packet *p)
{
	return sw_bpf_known_bit(p->src, p->dst, p->sport, p->dport);
}

/* @return false when the flow certainly has no socket. */
static __always_inline bool may_be_known(const struct packet *p, const struct sw_bpf_host *h)
{
	return known_is_set(h, known_bit(p));
}

static __always_inline void mark_half(__u32 half, __u32 bit)
{
	__u64 *w = known_word(half, bit);

	if (w && !(*w >> (bit & 63) & 1))
		__sync_fetch_and_or(w, 1ull << (bit & 63)); /* Linux 5.12 */
}

/* The flow has a socket, or will have one at once. */
static __always_inline void mark_known(const struct packet *p, const struct sw_bpf_host *h)
{
	const __u32 bit = known_bit(p);

	if (h->known != SW_BPF_KNOWN_NONE || h->known_both)
		mark_half(h->known, bit);
	if (h->known_both)
		mark_half(h->known + 1, bit);
}

/* With forwarding on, a guard for every address must not catch what only passes through. */
static __always_inline bool is_local(void *ctx, __u32 ifindex, const struct packet *p,
				     struct bpf_fib_lookup *fib)
{
	long rc;

	__builtin_memset(fib, 0, sizeof(*fib));
	fib->ifindex = ifindex;
	fib->l4_protocol = IPPROTO_TCP;
	if (p->family == 4) {
		fib->family = AF_INET_;
		__builtin_memcpy(&fib->ipv4_src, p->src, 4);
		__builtin_memcpy(&fib->ipv4_dst, p->dst, 4);
	} else {
		fib->family = AF_INET6_;
		__builtin_memcpy(fib->ipv6_src, p->src, 16);
		__builtin_memcpy(fib->ipv6_dst, p->dst, 16);
	}
	rc = bpf_fib_lookup(ctx, fib, sizeof(*fib), 0);
	return rc != BPF_FIB_LKUP_RET_SUCCESS && rc != BPF_FIB_LKUP_RET_NO_NEIGH &&
	       rc != BPF_FIB_LKUP_RET_FRAG_NEEDED && rc != BPF_FIB_LKUP_RET_UNREACHABLE &&
	       rc != BPF_FIB_LKUP_RET_PROHIBIT && rc != BPF_FIB_LKUP_RET_BLACKHOLE;
}

/* @return whose guard covers the packet, and p->listener; NULL for none. */
static __always_inline struct sw_bpf_guarded *find_guard(void *ctx, __u32 ifindex, struct packet *p,
							 const struct sw_bpf_host *h,
							 struct bpf_fib_lookup *fib)
{
	struct sw_bpf_guard key = { .family = p->family, .port = p->dport };
	struct sw_bpf_guarded *g;

	__builtin_memcpy(key.addr, p->dst, 16);
	g = bpf_map_lookup_elem(&guards, &key);
	if (!g) {
		if (!h->have_any)
			return 0;
		__builtin_memset(key.addr, 0, sizeof(key.addr));
		key.any = 1;
		g = bpf_map_lookup_elem(&guards, &key);
		if (!g || (p->family == 4 ? p->dst[0] >= 224 : p->dst[0] == 0xff) ||
		    !is_local(ctx, ifindex, p, fib))
			return 0;
		p->any = 1;
	}
	p->listener = g->listener & (SW_BPF_LISTENERS - 1);
	return g;
}

static __always_inline struct sw_bpf_settings *settings_of(const struct packet *p)
{
	const __u32 i = p->listener;

	return bpf_map_lookup_elem(&settings, &i);
}

static __always_inline void flow_of(const struct packet *p, struct sw_bpf_flow *f)
{
	__builtin_memcpy(f->src, p->src, 16);
	__builtin_memcpy(f->dst, p->dst, 16);
	f->sport = p->sport;
	f->dport = p->dport;
	f->family = p->family;
}

static __always_inline bool is_recent(const struct sw_bpf_flow *flow, __u64 now)
{
	const __u64 *since = bpf_map_lookup_elem(&recent, flow);

	return since && now - *since < RECENT_NS;
}

/* @return the length of the tuple. */
static __always_inline __u32 tuple_of(const struct packet *p, struct bpf_sock_tuple *tuple)
{
	if (p->family == 4) {
		__builtin_memcpy(&tuple->ipv4.saddr, p->src, 4);
		__builtin_memcpy(&tuple->ipv4.daddr, p->dst, 4);
		tuple->ipv4.sport = p->sport;
		tuple->ipv4.dport = p->dport;
		return sizeof(tuple->ipv4);
	}
	__builtin_memcpy(tuple->ipv6.saddr, p->src, 16);
	__builtin_memcpy(tuple->ipv6.daddr, p->dst, 16);
	tuple->ipv6.sport = p->sport;
	tuple->ipv6.dport = p->dport;
	return sizeof(tuple->ipv6);
}

#endif
