/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* core/wire.c and core/tcpopt.c once more, for the verifier: same order, same reasons. */
#ifndef SW_BPF_PACKET_H
#define SW_BPF_PACKET_H

#include "bpf/abi.h"

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10
#define TCP_ECE 0x40
#define TCP_CWR 0x80

#define MAX_VLAN 2
#define MAX_EXT 6
#define MAX_OFF 1023u /* no header begins behind this */
#define FRAGMENT_FIRST 1 /* begins with the TCP header, at l4_off */
#define FRAGMENT_LATER 2
#define FRAGMENT_HIDDEN 3 /* the first one, and more headers come before TCP */
#define NEXT_HOP 0
#define NEXT_ROUTING 43
#define NEXT_FRAGMENT 44
#define NEXT_DSTOPT 60

/* What is read of a packet.  Addresses, ports and numbers as on the wire. */
struct packet {
	__u8 src[16], dst[16];
	__be16 sport, dport;
	__be32 seq, ack;
	__u32 l3_off, l4_off, l4_len;
	__u32 len;  /* of the frame */
	__u8 family, flags, fragment, nvlan;
	__u8 opt_len;  /* bytes of TCP options */
	__u8 wscale, wscale_ok, sack, ts;
	__u8 walk; /* where a loop is: see "Loops" */
	__u8 listener, any; /* find_guard(): whose it is, and whether it guards every address */
	__u16 mss;   /* host order */
	__be32 tsval, tsecr;
	__u64 sum; /* read_ip4(): of the header */
	__u8 opt[64]; /* copy_options(): the first 40, zero behind opt_len */
};

static __always_inline void begin_packet(struct packet *p, __u32 len)
{
	__builtin_memset(p, 0, __builtin_offsetof(struct packet, opt));
	p->len = len;
	p->l3_off = ETH_HLEN;
}

/*
 * Loops keep what they change in struct packet, which is map memory: the verifier does not follow
 * values there.  In registers, each way out of a loop would be a state of its own for all that
 * comes behind, and forty options or fifteen words of header multiply into a million.
 */

/* @len must be a constant. */
static __always_inline void *at(void *data, void *end, __u32 off, __u32 len)
{
	if (off > MAX_OFF || data + off + len > end)
		return 0;
	return data + off;
}

struct ip4 {
	__u8 ver_ihl, tos;
	__be16 tot_len, id, frag;
	__u8 ttl, proto;
	__be16 check;
	__u8 src[4], dst[4];
};

struct ip6 {
	__u8 ver, class, label[2];
	__be16 len;
	__u8 next, hops;
	__u8 src[16], dst[16];
};

struct tcp {
	__be16 sport, dport;
	__be32 seq, ack;
	__u8 doff, flags;
	__be16 window, check, urg;
};

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)sum;
}

/* SW_WHY_SYN_ANSWERED stands for "well formed", as in core. */
static __always_inline enum sw_why read_ip4(struct packet *p, void *data, void *end)
{
	const struct ip4 *ip = at(data, end, p->l3_off, sizeof(*ip));
	const __u32 *w = (const __u32 *)ip;
	__u32 hlen, total;

	if (!ip)
		return SW_WHY_SHORT;
	if (ip->ver_ihl >> 4 != 4)
		return SW_WHY_BAD_IP_VERSION;
	p->walk = ip->ver_ihl & 0xf;
	if (p->walk < 5)
		return SW_WHY_BAD_IHL;
	p->sum = (__u64)w[0] + w[1] + w[2] + w[3] + w[4];
	for (__u32 i = 5; i < 15; i++) {
		if (i >= p->walk)
			break;
		w = at(data, end, p->l3_off + i * 4, 4);
		if (!w)
			return SW_WHY_SHORT;
		p->sum += *w;
	}
	if (fold(p->sum) != 0xffff)
		return SW_WHY_BAD_IP_CHECKSUM;
	hlen = p->walk * 4u;
	if (ip->proto != IPPROTO_TCP)
		return SW_WHY_NOT_TCP;
	p->family = 4;
	__builtin_memcpy(p->src, ip->src, 4);
	__builtin_memcpy(p->dst, ip->dst, 4);
	p->l4_off = p->l3_off + hlen;
	if (ip->frag & bpf_htons(0x3fff)) {
		p->fragment = ip->frag & bpf_htons(0x1fff) ? FRAGMENT_LATER : FRAGMENT_FIRST;
		return SW_WHY_FRAGMENT;
	}
	total = bpf_ntohs(ip->tot_len);
	if (total == 0 && p->len > 65535)
		total = p->len - p->l3_off;
	if (p->l3_off + total > p->len || total < hlen + sizeof(struct tcp))
		return SW_WHY_BAD_IP_LENGTH;
	p->l4_len = total - hlen;
	return SW_WHY_SYN_ANSWERED;
}

static __always_inline bool is_ext(__u8 next)
{
	return next == NEXT_HOP || next == NEXT_ROUTING || next == NEXT_FRAGMENT ||
	       next == NEXT_DSTOPT;
}

/* Step over the extension header @next at p->l4_off, the @n-th.  Its successor goes to p->walk. */
static __always_inline enum sw_why skip_ext(struct packet *p, void *data, void *end, __u32 n)
{
	const __u8 next = p->walk;
	const __u8 *h = at(data, end, p->l4_off, 8);

	if (n == MAX_EXT)
		return SW_WHY_EXT_HEADERS;
	if (!h)
		return SW_WHY_SHORT;
	p->walk = h[0];
	if (next != NEXT_FRAGMENT) {
		p->l4_off += 8 + h[1] * 8u;
		return (next == NEXT_HOP && n > 0) || (next == NEXT_ROUTING && h[3] != 0) ?
			       SW_WHY_EXT_HEADERS : SW_WHY_SYN_ANSWERED;
	}
	p->l4_off += 8;
	if (!((h[2] << 8 | h[3]) & 0xfff9))
		return SW_WHY_SYN_ANSWERED;
	p->fragment = (h[2] << 8 | h[3]) & 0xfff8 ? FRAGMENT_LATER :
		      h[0] == IPPROTO_TCP	  ? FRAGMENT_FIRST :
		      is_ext(h[0])		  ? FRAGMENT_HIDDEN :
						    FRAGMENT_LATER;
	return SW_WHY_FRAGMENT;
}

static __always_inline enum sw_why read_ip6(struct packet *p, void *data, void *end)
{
	const struct ip6 *ip = at(data, end, p->l3_off, sizeof(*ip));
	const __u32 ext_off = p->l3_off + sizeof(*ip);
	__u32 payload;

	if (!ip)
		return SW_WHY_SHORT;
	if (ip->ver >> 4 != 6)
		return SW_WHY_BAD_IP_VERSION;
	p->family = 6;
	__builtin_memcpy(p->src, ip->src, 16);
	__builtin_memcpy(p->dst, ip->dst, 16);
	payload = bpf_ntohs(ip->len);
	if (payload == 0 && p->len > 65535)
		payload = p->len - ext_off;
	p->walk = ip->next;
	p->l4_off = ext_off;
	for (__u32 n = 0; n <= MAX_EXT; n++) {
		enum sw_why why;

		if (!is_ext(p->walk))
			break;
		why = skip_ext(p, data, end, n);
		if (why != SW_WHY_SYN_ANSWERED)
			return why;
	}
	if (p->walk != IPPROTO_TCP)
		return SW_WHY_NOT_TCP;
	if (ext_off + payload > p->len || ext_off + payload < p->l4_off + sizeof(struct tcp))
		return SW_WHY_BAD_IP_LENGTH;
	p->l4_len = ext_off + payload - p->l4_off;
	return SW_WHY_SYN_ANSWERED;
}

static __always_inline bool is_tag(__u32 type)
{
	return type == bpf_htons(ETH_P_8021Q) || type == bpf_htons(ETH_P_8021AD);
}

/* Ethernet and what follows up to the TCP ports.  @type is the EtherType at p->l3_off - 2. */
static __always_inline enum sw_why read_ip(struct packet *p, void *data, void *end, __u32 type)
{
	enum sw_why why = SW_WHY_NOT_IP;
	const struct tcp *tcp;

	for (int i = 0; i < MAX_VLAN; i++) {
		const __be16 *tag;

		if (!is_tag(type) || p->nvlan == MAX_VLAN)
			break;
		tag = at(data, end, p->l3_off, 4);
		if (!tag)
			return SW_WHY_SHORT;
		type = tag[1];
		p->l3_off += 4;
		p->nvlan++;
	}
	if (is_tag(type))
		return SW_WHY_VLAN_TAG; /* the kernel strips any number of tags with VLAN 0 */
	if (type == bpf_htons(ETH_P_IP))
		why = read_ip4(p, data, end);
	else if (type == bpf_htons(ETH_P_IPV6))
		why = read_ip6(p, data, end);
	if (why != SW_WHY_SYN_ANSWERED)
		return why;
	tcp = at(data, end, p->l4_off, sizeof(*tcp));
	if (!tcp)
		return SW_WHY_SHORT;
	p->sport = tcp->sport;
	p->dport = tcp->dport;
	p->seq = tcp->seq;
	p->ack = tcp->ack;
	p->flags = tcp->flags;
	return SW_WHY_SYN_ANSWERED;
}

/* @n words of options that lie in one piece; behind them zeros.  @n must be a constant. */
static __always_inline bool copy_words(struct packet *p, void *data, void *end, __u32 n)
{
	const __u32 *w = at(data, end, p->l4_off + sizeof(struct tcp), n * 4);
	__u32 *o = (__u32 *)p->opt;

	if (!w)
		return false;
	for (__u32 i = 0; i < 10; i++)
		o[i] = i < n ? w[i] : 0;
	return true;
}

/* Take the options out of the packet, so that they can be walked without bounds of the packet. */
static __always_inline enum sw_why copy_options(struct packet *p, void *data, void *end)
{
	const struct tcp *tcp = at(data, end, p->l4_off, sizeof(*tcp));
	__u32 hlen;

	if (!tcp)
		return SW_WHY_SHORT;
	hlen = (tcp->doff >> 4) * 4u;
	if (hlen < sizeof(*tcp))
		return SW_WHY_BAD_DOFF;
	if (hlen > p->l4_len)
		return SW_WHY_SHORT;
	p->opt_len = (__u8)(hlen - sizeof(*tcp));
	/* The lengths that nearly all have: SYNs of most systems, their other segments, and none. */
	if (p->opt_len == 20)
		return copy_words(p, data, end, 5) ? SW_WHY_SYN_ANSWERED : SW_WHY_SHORT;
	if (p->opt_len == 12)
		return copy_words(p, data, end, 3) ? SW_WHY_SYN_ANSWERED : SW_WHY_SHORT;
	for (__u32 i = 0; i < 10; i++) {
		const __u32 *w = at(data, end, p->l4_off + sizeof(*tcp) + i * 4, 4);

		if (i * 4 < p->opt_len && !w)
			return SW_WHY_SHORT;
		*(__u32 *)(p->opt + i * 4) = i * 4 < p->opt_len ? *w : 0;
	}
	return SW_WHY_SYN_ANSWERED;
}

#define OPT(p, i) ((p)->opt[(i) & 63])

static __always_inline __be32 opt_u32(const struct packet *p, __u32 i)
{
	return (__u32)OPT(p, i) | (__u32)OPT(p, i + 1) << 8 | (__u32)OPT(p, i + 2) << 16 |
	       (__u32)OPT(p, i + 3) << 24;
}

/*
 * A global function: verified once, for any packet.  Its position is kept in memory, where the
 * verifier does not follow it: followed, forty options would be a million states.
 */
__noinline int read_options(struct packet *p)
{
	if (!p)
		return 0;
	p->walk = 0;
	for (int i = 0; i < 40; i++) {
		const __u32 off = p->walk;
		__u8 kind, size;

		if (off >= p->opt_len || off >= 40)
			break;
		kind = OPT(p, off);
		size = OPT(p, off + 1);
		if (kind == 0)
			break;
		if (kind == 1) {
			p->walk = (__u8)(off + 1);
			continue;
		}
		if (off + 1 >= p->opt_len || size < 2 || off + size > p->opt_len)
			break;
		if (kind == 2 && size == 4) {
			p->mss = (__u16)(OPT(p, off + 2) << 8 | OPT(p, off + 3));
		} else if (kind == 3 && size == 3) {
			p->wscale = OPT(p, off + 2) > 14 ? 14 : OPT(p, off + 2);
			p->wscale_ok = 1;
		} else if (kind == 4 && size == 2) {
			p->sack = 1;
		} else if (kind == 8 && size == 10) {
			p->tsval = opt_u32(p, off + 2);
			p->tsecr = opt_u32(p, off + 6);
			p->ts = 1;
		}
		p->walk = (__u8)(off + size);
	}
	return 0;
}

#endif
