/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Transparent mode, at TC ingress behind the XDP answerer: an ACK that proves a cookie is given to
 * the kernel's own listener as a request that needs no more proof (bpf_sk_assign_tcp_reqsk(),
 * net/core/filter.c, Linux 6.9).  The kernel then makes the socket, and accept() returns it.
 */
#include "bpf/cookie.h"
#include "bpf/guards.h"

#define ACT_NEXT -1 /* TCX_NEXT */
#define ACT_SHOT 2  /* TCX_DROP */
#define HEADERS 1100 /* bytes that are made linear where headers are not: as far as XDP looks */

/* struct bpf_tcp_req_attrs, include/net/tcp.h. */
struct bpf_tcp_req_attrs {
	__u32 rcv_tsval, rcv_tsecr;
	__u16 mss;
	__u8 rcv_wscale, snd_wscale;
	__u8 ecn_ok, wscale_ok, sack_ok, tstamp_ok;
	__u8 usec_ts_ok, reserved[3];
};
_Static_assert(sizeof(struct bpf_tcp_req_attrs) == 20, "the kernel checks the size");

/* What is used of include/net/sock.h; libbpf puts in where the running kernel has it. */
struct sock {
	__u32 sk_ack_backlog, sk_max_ack_backlog;
} __attribute__((preserve_access_index));
extern int bpf_sk_assign_tcp_reqsk(struct __sk_buff *skb, struct sock *sk,
				   struct bpf_tcp_req_attrs *attrs, int attrs__sz) __ksym;

/* core/used.h: cookies that opened a connection, so that no late copy opens it again. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SW_BPF_USED);
	__type(key, __u32);
	__type(value, __u32);
} used SEC(".maps");

struct scratch {
	struct packet p;
	struct macwork x;
	struct proof proof;
	struct bpf_sock_tuple tuple;
	struct sw_bpf_flow flow;
	struct bpf_fib_lookup fib;
	struct bucket refuse[SW_BPF_LISTENERS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratch SEC(".maps");

static __always_inline int shot(const struct packet *p, __u32 why)
{
	count(p, why);
	return ACT_SHOT;
}

static __always_inline __u32 *used_slot(__u64 tag)
{
	const __u32 slot = (__u32)(tag >> 32) & (SW_BPF_USED - 1);

	return bpf_map_lookup_elem(&used, &slot);
}

static __always_inline __u32 used_mark(__u64 tag)
{
	return (__u32)tag ? (__u32)tag : 1;
}

/* Global functions: verified once. */
__noinline int read_skb(struct __sk_buff *skb, struct packet *p)
{
	if (!p)
		return SW_WHY_SHORT;
	begin_packet(p, skb->len);
	return read_ip(p, (void *)(long)skb->data, (void *)(long)skb->data_end, skb->protocol);
}

__noinline int read_skb_options(struct __sk_buff *skb, struct packet *p)
{
	enum sw_why why;

	if (!p)
		return SW_WHY_SHORT;
	why = copy_options(p, (void *)(long)skb->data, (void *)(long)skb->data_end);
	if (why == SW_WHY_SYN_ANSWERED)
		read_options(p);
	return why;
}

/* The kernel resets what proves nothing.  The XDP program has bounded how much of it gets here, but
 * for flows that are known. */
static __always_inline bool may_be_reset(struct scratch *x, const struct sw_bpf_settings *s)
{
	return may_pass(&x->refuse[x->p.listener & (SW_BPF_LISTENERS - 1)], s->refuse_rate,
			x->x.now);
}

/* Most frames have their headers in one piece.  Pulling them costs a copy where a frame is shared,
 * so it is not done for established traffic. */
static __always_inline void pull(struct __sk_buff *skb)
{
	bpf_skb_pull_data(skb, skb->len < HEADERS ? skb->len : HEADERS);
}

static __always_inline void fill_attrs(struct bpf_tcp_req_attrs *a, const struct packet *p,
				       const struct proof *proof, const struct sw_bpf_settings *s)
{
	const struct terms *t = &proof->terms;

	a->mss = t->mss;
	a->ecn_ok = t->ecn;
	a->wscale_ok = t->wscale_ok;
	a->sack_ok = t->sack;
	a->tstamp_ok = t->ts;
	if (t->wscale_ok) {
		a->snd_wscale = t->wscale;
		a->rcv_wscale = s->wscale;
	}
	if (t->ts) {
		a->rcv_tsval = bpf_ntohl(p->tsval);
		a->rcv_tsecr = proof->tsval;
	}
}

/*
 * Will there be room in the accept queue of @len of @max?  The kernel queues a whole batch of frames
 * behind this program before TCP sees the first, on several CPUs, so half the queue is a margin, up
 * to 64 places.  Queues below 16 say nothing.
 */
static __always_inline bool has_room(__u32 len, __u32 max)
{
	return max >= 16 && len + (max / 2 < 64 ? max / 2 : 64) <= max;
}

/*
 * Give a proven handshake to @sk, a listener.  With its accept queue full the kernel drops the
 * packet, and the client's next one must prove the same cookie again: only what certainly finds
 * room is marked as used.
 */
static __always_inline int assign(struct __sk_buff *skb, struct bpf_sock *sk, struct scratch *x,
				  const struct sw_bpf_settings *s)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	struct bpf_tcp_req_attrs attrs = {};
	__u32 *slot = used_slot(x->x.tag);
	const struct sock *listener = (const struct sock *)tp;
	__u32 len, max;

	if (!tp || !slot)
		return ACT_NEXT;
	if (*slot == used_mark(x->x.tag)) {
		count(&x->p, SW_WHY_DUPLICATE);
		return may_be_reset(x, s) ? ACT_NEXT : ACT_SHOT;
	}
	fill_attrs(&attrs, &x->p, &x->proof, s);
	len = listener->sk_ack_backlog;
	max = listener->sk_max_ack_backlog;
	if (bpf_sk_assign_tcp_reqsk(skb, (struct sock *)tp, &attrs, sizeof(attrs))) {
		count(&x->p, SW_WHY_ACK_PROVEN);
		count(&x->p, SW_WHY_HANDOFF_FAILED);
		return ACT_NEXT;
	}
	if (has_room(len, max))
		*slot = used_mark(x->x.tag);
	count(&x->p, len > max ? SW_WHY_QUEUE_FULL : SW_WHY_ACK_PROVEN);
	return ACT_NEXT;
}

/* @sk listens. */
static __always_inline int offer(struct __sk_buff *skb, struct scratch *x, struct bpf_sock *sk,
				 struct sw_bpf_settings *s)
{
	struct packet *p = &x->p;
	int why;

	x->x.now = bpf_ktime_get_coarse_ns();
	if (p->flags & TCP_RST)
		return ACT_NEXT;
	/* XDP answers SYNs.  The listener must not see one. */
	if (p->flags & TCP_SYN)
		return shot(p, SW_WHY_AROUND_XDP);
	if (!(p->flags & TCP_ACK))
		return ACT_NEXT;
	why = read_skb_options(skb, p);
	if (why == SW_WHY_SHORT) {
		pull(skb);
		why = read_skb_options(skb, p);
	}
	if (why == SW_WHY_SYN_ANSWERED)
		why = check_cookie(&x->x, p, s, &x->proof);
	flow_of(p, &x->flow);
	if (why == SW_WHY_ACK_PROVEN) {
		bpf_map_update_elem(&recent, &x->flow, &x->x.now, BPF_ANY);
		return assign(skb, sk, x, s);
	}
	/* It follows an ACK that found no place in the accept queue: it comes again behind it. */
	if (is_recent(&x->flow, x->x.now))
		return shot(p, SW_WHY_QUEUE_FULL);
	count(p, why);
	return may_be_reset(x, s) ? ACT_NEXT : ACT_SHOT;
}

/*
 * Where the TCP header is out of reach: too many IPv6 extension headers, or a chain of them that
 * runs on in the next fragment.  The kernel would follow it to its listener.  Port 0 in the map of
 * guards stands for the address.
 */
static __always_inline bool is_hidden(const struct packet *p, int why)
{
	return p->family == 6 && (why == SW_WHY_EXT_HEADERS || why == SW_WHY_SHORT ||
				  (why == SW_WHY_FRAGMENT && p->fragment == FRAGMENT_HIDDEN));
}

static __always_inline void read_ports(struct __sk_buff *skb, struct packet *p)
{
	const __be16 *ports = at((void *)(long)skb->data, (void *)(long)skb->data_end, p->l4_off, 4);

	if (!ports)
		return;
	p->sport = ports[0];
	p->dport = ports[1];
}

static __always_inline struct bpf_sock *find_socket(struct __sk_buff *skb, struct scratch *x)
{
	if (tuple_of(&x->p, &x->tuple) == sizeof(x->tuple.ipv4))
		return bpf_skc_lookup_tcp(skb, &x->tuple, sizeof(x->tuple.ipv4),
					  BPF_F_CURRENT_NETNS, 0);
	return bpf_skc_lookup_tcp(skb, &x->tuple, sizeof(x->tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
}

/* @return the settings of the transparent listener that guards the packet, or NULL. */
static __always_inline struct sw_bpf_settings *guarding(struct __sk_buff *skb, struct scratch *x)
{
	const __u32 zero = 0;
	const struct sw_bpf_host *h = bpf_map_lookup_elem(&host, &zero);
	struct sw_bpf_settings *s;

	if (!h || !find_guard(skb, skb->ifindex, &x->p, h, &x->fib))
		return 0;
	s = settings_of(&x->p);
	return s && s->transparent ? s : 0;
}

SEC("tc")
int sw_assign(struct __sk_buff *skb)
{
	struct sw_bpf_settings *s;
	int why, act = ACT_NEXT;
	const __u32 zero = 0;
	struct bpf_sock *sk;
	struct scratch *x;

	x = bpf_map_lookup_elem(&scratch, &zero);
	if (!x || skb->pkt_type != 0 /* PACKET_HOST */)
		return ACT_NEXT;
	why = read_skb(skb, &x->p);
	if (why == SW_WHY_SHORT) {
		pull(skb);
		why = read_skb(skb, &x->p);
	}
	if (why == SW_WHY_VLAN_TAG)
		return shot(&x->p, why);
	if (is_hidden(&x->p, why))
		return guarding(skb, x) ? shot(&x->p, why) : ACT_NEXT;
	if (why == SW_WHY_FRAGMENT && x->p.fragment == FRAGMENT_FIRST)
		read_ports(skb, &x->p);
	else if (why != SW_WHY_SYN_ANSWERED)
		return ACT_NEXT;
	if (x->p.dport == 0)
		return ACT_NEXT;
	s = guarding(skb, x);
	if (!s)
		return ACT_NEXT;
	sk = find_socket(skb, x);
	if (sk && sk->state != ST_LISTEN)
		count(&x->p, SW_WHY_HAS_SOCKET);
	else if (why == SW_WHY_FRAGMENT) /* a handshake in fragments would come in unseen */
		act = shot(&x->p, why);
	else if (sk)
		act = offer(skb, x, sk, s);
	if (sk)
		bpf_sk_release(sk);
	return act;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
