/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The front end's decisions at XDP: SYNs are answered in place, segments that no socket knows and
 * no cookie proves are refused, everything else goes on to the kernel, where TC steers it.
 * core/decide.c is the reference; tests compare the two byte for byte.
 */
#include "bpf/cookie.h"
#include "bpf/guards.h"

/* Linux 6.8.  Asks the driver for the tag that it took out of the frame. */
extern int bpf_xdp_metadata_rx_vlan_tag(const struct xdp_md *ctx, __be16 *proto,
					__u16 *tci) __ksym __weak;

#define VLAN_ID 0xfff

struct scratch {
	struct packet p;
	struct macwork x;
	__u32 tcp[10]; /* the reply's TCP header, zero behind its length */
	__u32 tcp_len;
	struct proof proof;
	struct sw_bpf_flow flow;
	struct bpf_fib_lookup fib;
	struct bpf_sock_tuple tuple;
	struct bucket refuse[SW_BPF_LISTENERS], look;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratch SEC(".maps");

static __always_inline int drop(const struct packet *p, __u32 why)
{
	count(p, why);
	return XDP_DROP;
}

static __always_inline int pass(const struct packet *p, __u32 why)
{
	count(p, why);
	return XDP_PASS;
}

/* core/decide.c, is_martian4() and is_martian6(). */
static __always_inline bool is_martian(struct xdp_md *ctx, const struct packet *p, bool loopback)
{
	const __u8 *eth_src = at((void *)(long)ctx->data, (void *)(long)ctx->data_end, 6, 6);
	const __u32 *w = (const __u32 *)p->src;

	/* An answer to a group address of Ethernet would go to every host. */
	if (!eth_src || eth_src[0] & 1)
		return true;
	if (p->family == 4)
		return p->src[0] == 0 || p->src[0] >= 224 || (p->src[0] == 127 && !loopback);
	if (p->src[0] == 0xff)
		return true;
	if (w[0] | w[1])
		return false;
	if (w[2] == bpf_htonl(0xffff))
		return true;
	return w[2] == 0 && (w[3] == 0 || (w[3] == bpf_htonl(1) && !loopback));
}

static __always_inline bool is_land(const struct packet *p)
{
	const __u64 *s = (const __u64 *)p->src, *d = (const __u64 *)p->dst;

	return p->sport == p->dport && s[0] == d[0] && s[1] == d[1];
}

/* @return the state of the socket, 0 for none. */
static __always_inline __u32 socket_state(struct xdp_md *ctx, struct scratch *x)
{
	struct bpf_sock *sk;
	__u32 state;

	if (tuple_of(&x->p, &x->tuple) == sizeof(x->tuple.ipv4))
		sk = bpf_skc_lookup_tcp(ctx, &x->tuple, sizeof(x->tuple.ipv4),
					BPF_F_CURRENT_NETNS, 0);
	else
		sk = bpf_skc_lookup_tcp(ctx, &x->tuple, sizeof(x->tuple.ipv6),
					BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return 0;
	state = sk->state;
	bpf_sk_release(sk);
	return state;
}

static __always_inline __u64 pseudo_sum(const struct packet *p, __u32 len)
{
	const __u32 *s = (const __u32 *)p->src, *d = (const __u32 *)p->dst;
	__u64 sum = bpf_htons((__u16)len);

	sum += bpf_htons(IPPROTO_TCP);
	for (int i = 0; i < 4; i++)
		sum += (__u64)s[i] + d[i]; /* IPv4: the rest is zero */
	return sum;
}

/*
 * The checksum of a SYN.  Local and veth traffic carries the pseudo header's sum only, and XDP
 * cannot tell which frames do: both are right.  A payload is left unchecked: it is not used.
 */
static __always_inline bool csum_ok(struct xdp_md *ctx, const struct packet *p)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	const struct tcp *tcp = at(data, end, p->l4_off, sizeof(*tcp));
	const __u32 *w = (const __u32 *)tcp, *o = (const __u32 *)p->opt;
	__u64 sum = pseudo_sum(p, p->l4_len);

	if (!tcp)
		return false;
	if (tcp->check == fold(sum) || p->l4_len != sizeof(*tcp) + p->opt_len)
		return true;
	for (int i = 0; i < 5; i++)
		sum += w[i];
	for (int i = 0; i < 10; i++)
		sum += o[i];
	return fold(sum) == 0xffff;
}

static __always_inline __u32 put_options(__u32 *o, const struct packet *p,
					 const struct sw_bpf_settings *s, const struct terms *t,
					 __u32 tsval)
{
	__u32 n = 1;

	o[0] = bpf_htonl(0x02040000 | (p->family == 4 ? s->mss4 : s->mss6));
	if (t->ts) {
		o[1] = bpf_htonl(t->sack ? 0x0402080a : 0x0101080a);
		o[2] = bpf_htonl(tsval);
		o[3] = p->tsval;
		n = 4;
	} else if (t->sack) {
		o[1] = bpf_htonl(0x01010402);
		n = 2;
	}
	if (t->wscale_ok) {
		const __u32 opt = bpf_htonl(0x01030300 | s->wscale);

		if (n == 4)
			o[4] = opt;
		else if (n == 2)
			o[2] = opt;
		else
			o[1] = opt;
		n++;
	}
	return n;
}

/* core/reply.c.  @return the length of the TCP header. */
static __always_inline __u32 build_tcp(struct scratch *x, const struct sw_bpf_settings *s,
				       const struct terms *t, __u32 isn, __u32 tsval)
{
	const struct packet *p = &x->p;
	__u32 len;
	__u64 sum;

	for (int i = 0; i < 10; i++)
		x->tcp[i] = 0;
	len = 20 + 4 * put_options(x->tcp + 5, p, s, t, tsval);
	x->tcp[0] = (__u32)p->dport | (__u32)p->sport << 16;
	x->tcp[1] = bpf_htonl(isn);
	x->tcp[2] = bpf_htonl(bpf_ntohl(p->seq) + 1);
	x->tcp[3] = bpf_htonl(len / 4 << 28 |
			      (__u32)(TCP_SYN | TCP_ACK | (t->ecn ? TCP_ECE : 0)) << 16 |
			      s->window);
	sum = pseudo_sum(p, len);
	for (int i = 0; i < 10; i++)
		sum += x->tcp[i];
	x->tcp[4] = (__u16)~fold(sum);
	return len;
}

static __always_inline bool put_ip4(const struct packet *p, void *data, void *end, __u8 ttl,
				    __u32 tcp_len)
{
	__u32 *w = at(data, end, p->l3_off, 20);
	__u64 sum = 0;

	if (!w)
		return false;
	w[0] = bpf_htonl(0x45000000 | (20 + tcp_len));
	w[1] = bpf_htonl(0x4000);
	w[2] = bpf_htonl((__u32)ttl << 24 | IPPROTO_TCP << 16);
	__builtin_memcpy(&w[3], p->dst, 4);
	__builtin_memcpy(&w[4], p->src, 4);
	for (int i = 0; i < 5; i++)
		sum += w[i];
	((__u16 *)w)[5] = (__u16)~fold(sum);
	return true;
}

static __always_inline bool put_ip6(const struct packet *p, void *data, void *end, __u8 ttl,
				    __u32 tcp_len)
{
	struct ip6 *ip = at(data, end, p->l3_off, 40);

	if (!ip)
		return false;
	*(__u32 *)ip = bpf_htonl(0x60000000);
	ip->len = bpf_htons((__u16)tcp_len);
	ip->next = IPPROTO_TCP;
	ip->hops = ttl;
	__builtin_memcpy(ip->src, p->dst, 16);
	__builtin_memcpy(ip->dst, p->src, 16);
	return true;
}

static __always_inline bool put_frame(struct xdp_md *ctx, const struct scratch *x, __u8 ttl,
				      __u32 tcp_len)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	const struct packet *p = &x->p;
	const __u32 ip_len = p->family == 4 ? 20 : 40;
	__u16 *mac = at(data, end, 0, 12);
	__u32 *w;

	if (!mac)
		return false;
	for (int i = 0; i < 3; i++) {
		const __u16 m = mac[i];

		mac[i] = mac[i + 3];
		mac[i + 3] = m;
	}
	if (!(p->family == 4 ? put_ip4(p, data, end, ttl, tcp_len) :
			       put_ip6(p, data, end, ttl, tcp_len)))
		return false;
	w = at(data, end, p->l3_off + ip_len, 40);
	if (tcp_len == 40 && w) {
		for (__u32 i = 0; i < 10; i++)
			w[i] = x->tcp[i];
		return true;
	}
	for (__u32 i = 0; i < 10; i++) {
		if (i * 4 >= tcp_len)
			break;
		w = at(data, end, p->l3_off + ip_len + i * 4, 4);
		if (!w)
			return false;
		*w = x->tcp[i];
	}
	return true;
}

/* bpf_sk_assign_tcp_reqsk() takes no smaller MSS than 536 (IPv4) or 1220 (IPv6). */
static __always_inline bool too_small(const struct packet *p, const struct terms *t)
{
	return t->mss_index < (p->family == 4 ? t->ts ? 1 : 0 : t->ts ? 2 : 1);
}

/*
 * Everything of the reply that needs no packet, into x->tcp and x->tcp_len.  A global function:
 * verified once, and its many branches do not multiply with the caller's.
 *
 * @return SW_WHY_SYN_ANSWERED, or why there is none.
 */
__noinline int make_reply(struct scratch *x, struct sw_bpf_settings *s)
{
	const __u32 zero = 0;
	const struct sw_bpf_host *h = bpf_map_lookup_elem(&host, &zero);
	struct terms t;
	__u32 epoch, form, data;

	if (!x || !s || !h)
		return SW_WHY_NO_KEY;
	if (!round_terms(&x->p, s, &t) || (s->transparent && too_small(&x->p, &t)))
		return SW_WHY_MSS_SMALL;
	epoch = (__u32)((x->x.now + (__u64)h->wall_minus_mono_ns) / EPOCH_NS);
	form = t.ts ? FORM_WIDE : FORM_NARROW;
	data = data_bits(&t, epoch);
	begin_message(&x->x, &x->p, s, x->p.seq);
	if (!make_tag(&x->x, form << 4 | x->p.family, data, epoch, 0))
		return SW_WHY_NO_KEY;
	x->tcp_len = build_tcp(x, s, &t, isn_of(form, x->x.tag, data),
			       tsval_of(form, x->x.tag, data));
	return SW_WHY_SYN_ANSWERED;
}

static __always_inline int answer(struct xdp_md *ctx, struct scratch *x,
				  struct sw_bpf_settings *s)
{
	struct packet *p = &x->p;
	const __u32 ip_len = p->family == 4 ? 20 : 40;
	int why;

	if (!csum_ok(ctx, p))
		return drop(p, SW_WHY_BAD_TCP_CHECKSUM);
	why = make_reply(x, s);
	if (why != SW_WHY_SYN_ANSWERED)
		return drop(p, why);
	if (bpf_xdp_adjust_tail(ctx, (int)(p->l3_off + ip_len + x->tcp_len) - (int)p->len) ||
	    !put_frame(ctx, x, s->ttl, x->tcp_len))
		return drop(p, SW_WHY_SEND_FAILED);
	count(p, SW_WHY_SYN_ANSWERED);
	return XDP_TX;
}

static __always_inline int judge(struct scratch *x, struct sw_bpf_settings *s,
				 const struct sw_bpf_host *h)
{
	const struct packet *p = &x->p;
	const enum sw_why why = check_cookie(&x->x, &x->p, s, &x->proof);

	if (why == SW_WHY_ACK_PROVEN) {
		flow_of(p, &x->flow);
		bpf_map_update_elem(&recent, &x->flow, &x->x.now, BPF_ANY);
		mark_known(p, h);
		return XDP_PASS; /* counted by who admits it */
	}
	if (may_be_known(p, h)) { /* what was proven is known */
		flow_of(p, &x->flow);
		if (is_recent(&x->flow, x->x.now))
			return pass(p, SW_WHY_AFTER_HANDOFF);
	}
	return may_pass(&x->refuse[p->listener & (SW_BPF_LISTENERS - 1)], s->refuse_rate,
			x->x.now) ?
		       XDP_PASS :
		       drop(p, why);
}

/* A guarded segment without a socket of its own.  core/decide.c, sw_decide(). */
static __always_inline int decide(struct xdp_md *ctx, struct scratch *x,
				  struct sw_bpf_settings *s, const struct sw_bpf_host *h)
{
	struct packet *p = &x->p;

	if (is_martian(ctx, p, s->loopback))
		return drop(p, SW_WHY_MARTIAN);
	if (is_land(p))
		return drop(p, SW_WHY_LAND);
	if (p->sport == 0)
		return drop(p, SW_WHY_PORT_ZERO);
	if (p->flags & TCP_SYN) {
		if (p->flags & (TCP_FIN | TCP_RST))
			return drop(p, SW_WHY_BAD_FLAGS);
		if (p->flags & TCP_ACK)
			return drop(p, SW_WHY_SYN_ACK);
		if (s->draining)
			return drop(p, SW_WHY_DRAINING);
		return answer(ctx, x, s);
	}
	if (p->flags & TCP_RST) {
		flow_of(p, &x->flow);
		return is_recent(&x->flow, x->x.now) ? pass(p, SW_WHY_AFTER_HANDOFF) : drop(p, SW_WHY_RST);
	}
	if (!(p->flags & TCP_ACK))
		return drop(p, SW_WHY_NO_ACK);
	return judge(x, s, h);
}

/* A tag in the data is copied into the answer.  One that is not there would be lacking.  Tag 0 only
 * has a priority: the network is the untagged one. */
static __always_inline bool has_hidden_tag(struct xdp_md *ctx)
{
	__be16 proto = 0;
	__u16 tci = 0;

	return !bpf_xdp_metadata_rx_vlan_tag(ctx, &proto, &tci) && (tci & VLAN_ID);
}

/* A promiscuous interface, and one behind a switch that floods, sees frames for others. */
static __always_inline bool is_for_us(void *data, void *end, const struct sw_bpf_host *h)
{
	const __u16 *to = at(data, end, 0, 6), *own = (const __u16 *)h->mac;

	return to && (h->any_mac || (to[0] == own[0] && to[1] == own[1] && to[2] == own[2]));
}

static __always_inline bool is_plain_ack(__u8 flags)
{
	return (flags & (TCP_SYN | TCP_RST | TCP_ACK)) == TCP_ACK;
}

/*
 * Most frames of a busy host: an ACK of a flow that has a socket, behind no tag, IP option or extension
 * header.  They go on unread: a socket that is there takes them, and where there is none any more TC
 * keeps from a listener what proves nothing.  Who has had a connection may send at most what an
 * open one would have let through as well.
 */
static __always_inline bool is_settled(void *data, void *end, __be16 type,
				       const struct sw_bpf_host *h)
{
	const struct {
		struct ip4 ip;
		struct tcp tcp;
	} *v4;
	const struct {
		struct ip6 ip;
		struct tcp tcp;
	} *v6;

	if (type == bpf_htons(ETH_P_IP)) {
		v4 = at(data, end, ETH_HLEN, sizeof(*v4));
		return v4 && v4->ip.ver_ihl == 0x45 && v4->ip.proto == IPPROTO_TCP &&
		       !(v4->ip.frag & bpf_htons(0x3fff)) && is_plain_ack(v4->tcp.flags) &&
		       known_holds(h, sw_bpf_known_mix(sw_bpf_word4(*(const __be32 *)v4->ip.src), 0,
						       sw_bpf_word4(*(const __be32 *)v4->ip.dst), 0,
						       v4->tcp.sport, v4->tcp.dport));
	}
	if (type == bpf_htons(ETH_P_IPV6)) {
		v6 = at(data, end, ETH_HLEN, sizeof(*v6));
		return v6 && v6->ip.next == IPPROTO_TCP && is_plain_ack(v6->tcp.flags) &&
		       known_holds(h, sw_bpf_known_bit(v6->ip.src, v6->ip.dst, v6->tcp.sport,
						       v6->tcp.dport));
	}
	return false;
}

#define HEARD_SHIFT 22 /* 4 ms */

/*
 * The state of the socket that a guarded packet belongs to, 0 for none.  In a flood, a packet of no
 * known flow spares the lookup.  The budget is for what the map of known flows may lack: a
 * connection that came by another interface, or was begun from here.  Where the service itself is
 * to get the connection, that someone listens was found a moment ago.
 */
static __always_inline __u32 find_state(struct xdp_md *ctx, struct scratch *x,
					const struct sw_bpf_settings *s,
					const struct sw_bpf_host *h, struct sw_bpf_guarded *g)
{
	const struct packet *p = &x->p;
	const __u32 heard = (__u32)(x->x.now >> HEARD_SHIFT);
	__u32 state;

	if ((!s->transparent || (g->heard == heard && !p->any)) && !may_be_known(p, h) &&
	    !may_pass(&x->look, LOOK_RATE, x->x.now))
		return s->transparent ? ST_LISTEN : 0;
	state = socket_state(ctx, x);
	if (state == ST_LISTEN && g->heard != heard)
		g->heard = heard;
	if (state && state != ST_LISTEN)
		mark_known(p, h);
	return state;
}

static __always_inline int answer_frame(struct xdp_md *ctx, bool see_tag)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct sw_bpf_settings *s;
	struct sw_bpf_guarded *g;
	struct sw_bpf_host *h;
	const __u32 zero = 0;
	struct scratch *x;
	const __be16 *type;
	enum sw_why why;
	struct packet *p;
	__u32 state;

	h = bpf_map_lookup_elem(&host, &zero);
	type = at(data, end, 12, 2);
	if (!h || !type || is_settled(data, end, *type, h) || !is_for_us(data, end, h))
		return XDP_PASS;
	x = bpf_map_lookup_elem(&scratch, &zero);
	if (!x)
		return XDP_PASS;
	p = &x->p;
	begin_packet(p, (__u32)bpf_xdp_get_buff_len(ctx));
	/* What is malformed below the ports, or a fragment, is the kernel's and TC's. */
	if (read_ip(p, data, end, *type) != SW_WHY_SYN_ANSWERED || p->dport == 0)
		return XDP_PASS;
	x->x.now = bpf_ktime_get_coarse_ns();
	g = find_guard(ctx, ctx->ingress_ifindex, p, h, &x->fib);
	s = settings_of(p);
	if (!g || !s)
		return XDP_PASS;
	state = find_state(ctx, x, s, h, g);
	if (state && state != ST_LISTEN &&
	    (state != ST_TIME_WAIT || s->transparent || !(p->flags & TCP_SYN)))
		return XDP_PASS;
	if (!state && s->transparent)
		return XDP_PASS; /* nobody listens: the kernel says so */
	if (see_tag && has_hidden_tag(ctx)) /* the front end has it from the kernel */
		return s->transparent ? drop(p, SW_WHY_VLAN_TAG) : XDP_PASS;
	why = copy_options(p, data, end);
	if (why != SW_WHY_SYN_ANSWERED)
		return drop(p, why);
	read_options(p);
	return decide(ctx, x, s, h);
}

SEC("xdp.frags")
int sw_answer(struct xdp_md *ctx)
{
	return answer_frame(ctx, false);
}

/* Loaded instead of the other where it can be: needs BPF_F_XDP_DEV_BOUND_ONLY and native mode. */
SEC("xdp.frags")
int sw_answer_tag(struct xdp_md *ctx)
{
	return answer_frame(ctx, true);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
