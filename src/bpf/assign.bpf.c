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
#define HEADERS 200 /* bytes that are made linear: enough for every header that is followed */

/* struct bpf_tcp_req_attrs, include/net/tcp.h. */
struct bpf_tcp_req_attrs {
	__u32 rcv_tsval, rcv_tsecr;
	__u16 mss;
	__u8 rcv_wscale, snd_wscale;
	__u8 ecn_ok, wscale_ok, sack_ok, tstamp_ok;
	__u8 usec_ts_ok, reserved[3];
};
_Static_assert(sizeof(struct bpf_tcp_req_attrs) == 20, "the kernel checks the size");

/* Named, not described: the program only passes pointers to it. */
struct sock {
	char opaque;
};
extern int bpf_sk_assign_tcp_reqsk(struct __sk_buff *skb, struct sock *sk,
				   struct bpf_tcp_req_attrs *attrs, int attrs__sz) __ksym;

struct scratch {
	struct packet p;
	struct macwork x;
	struct proof proof;
	struct bpf_sock_tuple tuple;
	struct bpf_fib_lookup fib;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratch SEC(".maps");

/* Give a proven handshake to @sk, a listener.  @return the kernel's answer. */
static __always_inline int assign(struct __sk_buff *skb, struct bpf_sock *sk,
				  const struct packet *p, const struct proof *proof,
				  const struct sw_bpf_settings *s)
{
	const struct terms *t = &proof->terms;
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	struct bpf_tcp_req_attrs attrs = { .mss = t->mss,
					   .ecn_ok = t->ecn,
					   .wscale_ok = t->wscale_ok,
					   .sack_ok = t->sack,
					   .tstamp_ok = t->ts };

	if (!tp)
		return -1;
	if (t->wscale_ok) {
		attrs.snd_wscale = t->wscale;
		attrs.rcv_wscale = s->wscale;
	}
	if (t->ts) {
		attrs.rcv_tsval = bpf_ntohl(p->tsval);
		attrs.rcv_tsecr = proof->tsval;
	}
	return bpf_sk_assign_tcp_reqsk(skb, (struct sock *)tp, &attrs, sizeof(attrs));
}

/* @sk listens.  The kernel goes on with the packet, whatever comes of it: it resets what it does
 * not know, and the XDP program has bounded how much of that there is. */
static __always_inline void offer(struct __sk_buff *skb, struct scratch *x, struct bpf_sock *sk,
				  struct sw_bpf_settings *s, void *data, void *end)
{
	struct packet *p = &x->p;
	enum sw_why why;

	if (!(p->flags & TCP_ACK) || p->flags & (TCP_SYN | TCP_RST))
		return;
	why = copy_options(p, data, end);
	if (why == SW_WHY_SYN_ANSWERED) {
		read_options(p);
		why = check_cookie(&x->x, p, s, &x->proof);
	}
	if (why == SW_WHY_ACK_PROVEN && assign(skb, sk, p, &x->proof, s))
		count(SW_WHY_HANDOFF_FAILED);
	count(why);
}

SEC("tc")
int sw_assign(struct __sk_buff *skb)
{
	struct sw_bpf_settings *s;
	const __u32 zero = 0;
	struct bpf_sock *sk;
	struct scratch *x;
	enum sw_why why;
	void *data, *end;
	__u32 len;

	x = bpf_map_lookup_elem(&scratch, &zero);
	s = bpf_map_lookup_elem(&settings, &zero);
	if (!x || !s || skb->pkt_type != 0 /* PACKET_HOST */)
		return ACT_NEXT;
	bpf_skb_pull_data(skb, skb->len < HEADERS ? skb->len : HEADERS);
	data = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	__builtin_memset(&x->p, 0, sizeof(x->p));
	x->p.len = skb->len;
	x->p.l3_off = ETH_HLEN;
	why = read_ip(&x->p, data, end, skb->protocol);
	if (why == SW_WHY_FRAGMENT && x->p.fragment == FRAGMENT_FIRST) {
		const __be16 *ports = at(data, end, x->p.l4_off, 4);

		if (!ports)
			return ACT_NEXT;
		x->p.sport = ports[0];
		x->p.dport = ports[1];
	} else if (why != SW_WHY_SYN_ANSWERED) {
		return ACT_NEXT;
	}
	if (!is_guarded(skb, skb->ifindex, &x->p, &x->fib))
		return ACT_NEXT;
	len = tuple_of(&x->p, &x->tuple);
	if (len == sizeof(x->tuple.ipv4))
		sk = bpf_skc_lookup_tcp(skb, &x->tuple, sizeof(x->tuple.ipv4),
					BPF_F_CURRENT_NETNS, 0);
	else
		sk = bpf_skc_lookup_tcp(skb, &x->tuple, sizeof(x->tuple.ipv6),
					BPF_F_CURRENT_NETNS, 0);
	if (sk && sk->state != ST_LISTEN) {
		count(SW_WHY_HAS_SOCKET);
		bpf_sk_release(sk);
		return ACT_NEXT;
	}
	if (why == SW_WHY_FRAGMENT)
		count(why);
	else if (sk)
		offer(skb, x, sk, s, data, end);
	if (sk)
		bpf_sk_release(sk);
	/* A handshake hidden in fragments would come to the listener unseen. */
	return why == SW_WHY_FRAGMENT ? ACT_SHOT : ACT_NEXT;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
