/* SPDX-License-Identifier: MIT */
/*
 * Frames for tests, built from a description.  The checksum is written out here once more, byte
 * by byte, so that it does not share a fault with the code under test.
 */
#ifndef SW_TESTS_FRAMES_H
#define SW_TESTS_FRAMES_H

#include "core/wire.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

#define FRAME_MAX    512
#define FRAME_WALL_S 1700000000ull /* a time in the middle of nothing special */

struct frame_spec {
	enum sw_family family;
	struct sw_addr src, dst;
	uint8_t eth_src[6], eth_dst[6];
	struct sw_vlan vlan[3]; /* in the data, outermost first; tpid 0 ends the list */
	uint8_t ip4_opt_len;	/* bytes of NOPs, a multiple of 4 */
	uint8_t ext[8], n_ext;	/* IPv6 extension headers, 8 bytes each */
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint8_t flags;
	uint16_t window;
	uint8_t opt[40], opt_len; /* a multiple of 4 */
	uint16_t payload;	  /* bytes of 'x' */
	uint8_t pad;		  /* bytes behind the packet, as Ethernet adds them */
};

struct frame {
	uint8_t b[FRAME_MAX];
	size_t len, l3, l4, l4_len;
	enum sw_family family;
};

/* splitmix64 (Vigna): a fixed sequence per seed. */
static inline uint64_t frame_rand(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static inline struct sw_addr frame_addr(const char *text)
{
	struct sw_addr a;

	memset(&a, 0, sizeof(a));
	if (inet_pton(strchr(text, ':') ? AF_INET6 : AF_INET, text, a.b) != 1)
		memset(&a, 0xee, sizeof(a));
	return a;
}

static inline uint32_t frame_sum(uint32_t sum, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

static inline uint16_t frame_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static inline void frame_put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void frame_put32(uint8_t *p, uint32_t v)
{
	frame_put16(p, (uint16_t)(v >> 16));
	frame_put16(p + 2, (uint16_t)v);
}

/* What the TCP checksum field should hold, with the field itself left out. */
static inline uint16_t frame_tcp_csum(const struct frame *f)
{
	const size_t alen = f->family == SW_IP4 ? 4 : 16;
	const uint8_t *addrs = f->b + f->l3 + (f->family == SW_IP4 ? 12 : 8);
	uint32_t sum = frame_sum(6, addrs, 2 * alen);

	sum += (uint32_t)f->l4_len;
	sum = frame_sum(sum, f->b + f->l4, 16);
	sum = frame_sum(sum, f->b + f->l4 + 18, f->l4_len - 18);
	return frame_fold(sum);
}

static inline void frame_fix_ip4(struct frame *f)
{
	uint8_t *ip = f->b + f->l3;

	if (f->family != SW_IP4)
		return;
	frame_put16(ip + 10, 0);
	frame_put16(ip + 10, frame_fold(frame_sum(0, ip, (ip[0] & 15u) * 4u)));
}

static inline void frame_fix(struct frame *f)
{
	frame_fix_ip4(f);
	frame_put16(f->b + f->l4 + 16, frame_tcp_csum(f));
}

/* A SYN to port 443 without options. */
static inline struct frame_spec frame_syn(enum sw_family family)
{
	const bool v4 = family == SW_IP4;

	return (struct frame_spec){
		.family = family,
		.src = frame_addr(v4 ? "192.0.2.1" : "2001:db8::1"),
		.dst = frame_addr(v4 ? "198.51.100.2" : "2001:db8:ffff::2"),
		.eth_src = { 2, 0, 0, 0, 0, 1 },
		.eth_dst = { 2, 0, 0, 0, 0, 2 },
		.sport = 40000,
		.dport = 443,
		.seq = 0x12345678,
		.flags = SW_TCP_SYN,
		.window = 64240,
	};
}

static inline void frame_opt(struct frame_spec *s, const void *bytes, size_t n)
{
	memcpy(s->opt + s->opt_len, bytes, n);
	s->opt_len = (uint8_t)(s->opt_len + n);
}

static inline void frame_opt_mss(struct frame_spec *s, uint16_t mss)
{
	const uint8_t o[4] = { 2, 4, (uint8_t)(mss >> 8), (uint8_t)mss };

	frame_opt(s, o, sizeof(o));
}

static inline void frame_opt_wscale(struct frame_spec *s, uint8_t shift)
{
	const uint8_t o[4] = { 1, 3, 3, shift };

	frame_opt(s, o, sizeof(o));
}

static inline void frame_opt_sack(struct frame_spec *s)
{
	frame_opt(s, "\1\1\4\2", 4);
}

static inline void frame_opt_ts(struct frame_spec *s, uint32_t tsval, uint32_t tsecr)
{
	uint8_t o[12] = { 1, 1, 8, 10 };

	frame_put32(o + 4, tsval);
	frame_put32(o + 8, tsecr);
	frame_opt(s, o, sizeof(o));
}

/* What a Linux client offers. */
static inline struct frame_spec frame_syn_usual(enum sw_family family)
{
	struct frame_spec s = frame_syn(family);

	frame_opt_mss(&s, family == SW_IP4 ? 1460 : 1440);
	frame_opt_sack(&s);
	frame_opt_ts(&s, 1000, 0);
	frame_opt_wscale(&s, 7);
	return s;
}

/* The ACK that answers a SYN-ACK with @isn and, when @ts, with @tsval. */
static inline struct frame_spec frame_ack_of(const struct frame_spec *syn, uint32_t isn, bool ts,
					     uint32_t tsval)
{
	struct frame_spec s = *syn;

	s.flags = SW_TCP_ACK;
	s.seq = syn->seq + 1;
	s.ack = isn + 1;
	s.opt_len = 0;
	if (ts)
		frame_opt_ts(&s, 1001, tsval);
	return s;
}

static inline struct frame frame_make(const struct frame_spec *s)
{
	struct frame f = { .family = s->family };
	const size_t tcp_len = 20u + s->opt_len + s->payload;
	uint8_t *p = f.b;

	memcpy(p, s->eth_dst, 6);
	memcpy(p + 6, s->eth_src, 6);
	p += 12;
	for (size_t i = 0; i < 3 && s->vlan[i].tpid; i++, p += 4) {
		frame_put16(p, s->vlan[i].tpid);
		frame_put16(p + 2, s->vlan[i].tci);
	}
	frame_put16(p, s->family == SW_IP4 ? 0x0800 : 0x86dd);
	p += 2;
	f.l3 = (size_t)(p - f.b);
	if (s->family == SW_IP4) {
		const size_t hlen = 20u + s->ip4_opt_len;

		p[0] = (uint8_t)(4 << 4 | hlen / 4);
		frame_put16(p + 2, (uint16_t)(hlen + tcp_len));
		p[6] = 0x40;
		p[8] = 64;
		p[9] = 6;
		memcpy(p + 12, s->src.b, 4);
		memcpy(p + 16, s->dst.b, 4);
		memset(p + 20, 1, s->ip4_opt_len);
		p += hlen;
	} else {
		uint8_t *number = p + 6;

		p[0] = 6 << 4;
		frame_put16(p + 4, (uint16_t)(8u * s->n_ext + tcp_len));
		p[7] = 64;
		memcpy(p + 8, s->src.b, 16);
		memcpy(p + 24, s->dst.b, 16);
		p += 40;
		for (size_t i = 0; i < s->n_ext; i++, p += 8) {
			*number = s->ext[i];
			number = p;
			if (s->ext[i] == SW_IP_HOPOPT || s->ext[i] == SW_IP_DSTOPT)
				memcpy(p + 2, "\1\4\0\0\0\0", 6); /* PadN */
		}
		*number = 6;
	}
	f.l4 = (size_t)(p - f.b);
	f.l4_len = tcp_len;
	frame_put16(p, s->sport);
	frame_put16(p + 2, s->dport);
	frame_put32(p + 4, s->seq);
	frame_put32(p + 8, s->ack);
	p[12] = (uint8_t)((20u + s->opt_len) / 4 << 4);
	p[13] = s->flags;
	frame_put16(p + 14, s->window);
	memcpy(p + 20, s->opt, s->opt_len);
	memset(p + 20 + s->opt_len, 'x', s->payload);
	f.len = f.l4 + tcp_len + s->pad;
	frame_fix(&f);
	return f;
}

/* The whole frame, as a socket would deliver it. */
static inline struct sw_frame frame_view(const struct frame *f)
{
	return (struct sw_frame){ .data = f->b, .len = f->len, .wire_len = f->len };
}

/* A segment that needs no frame, for the tests of the cookie. */
static inline struct sw_seg frame_seg(const struct frame_spec *s)
{
	const struct frame f = frame_make(s);
	const struct sw_frame view = frame_view(&f);
	struct sw_seg seg;

	if (sw_wire_parse(&seg, &view) != SW_WIRE_OK)
		memset(&seg, 0, sizeof(seg));
	return seg;
}

#endif
