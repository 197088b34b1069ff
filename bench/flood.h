/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The frames of a flood, the same from user space and from BPF: frame number n of a seed is always
 * the same frame.  Sources are 198.18.0.0/15 (RFC 2544) and nothing else. */
#ifndef BENCH_FLOOD_H
#define BENCH_FLOOD_H

#include <linux/types.h>

#define FLOOD_NET     0xc6120000u /* 198.18.0.0 */
#define FLOOD_MASK    0xfffe0000u /* /15 */
#define FLOOD_PREFIX  0xc6120700u /* 198.18.7.0/24, for --prefix */
#define FLOOD_WORDS   15	  /* IPv4, TCP, 20 bytes of options */
#define FLOOD_PAYLOAD 120	  /* of syn-data, as in hping3 -d 120 -w 64 */
#define FLOOD_MAX     (14 + 40 + FLOOD_PAYLOAD)

enum flood_kind {
	FLOOD_SYN_PLAIN, /* as hping3 -S: no options, window 512, a random ACK number */
	FLOOD_SYN_DATA,	 /* as hping3 -S -d 120 -w 64 */
	FLOOD_SYN_LINUX, /* MSS, SACK, timestamps, window scale */
	FLOOD_ACK,	 /* random numbers, no options */
	FLOOD_ACK_TS,	 /* random numbers, random timestamps */
	FLOOD_RST,
	FLOOD_FIN,
	FLOOD_MIX, /* all of them but syn-data, in frames of one size */
	FLOOD_NKIND
};

struct flood_cfg {
	__u64 seed;
	__u64 count; /* frames in all; 0 for no limit */
	__u64 rate;  /* frames a second; 0 for no limit */
	__u32 daddr; /* host order */
	__u32 kind;  /* enum flood_kind */
	__u32 ifindex;
	__u32 len;    /* of each frame, FLOOD_MIX: of the longest */
	__u16 dport;  /* host order */
	__u8 prefix;  /* 1: all sources from one /24 */
	__u8 mac[12]; /* destination, source */
	__u8 pad[5];
};

/** An IPv4 packet in 32-bit words of host order. */
struct flood_packet {
	__u32 w[FLOOD_WORDS];
	__u32 nw;
};

static inline __u64 flood_mix64(__u64 x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

/** The sequence number of every frame from this source: an answer proves that it saw the frame. */
static inline __u32 flood_seq(__u64 seed, __u32 saddr, __u32 sport)
{
	return (__u32)(flood_mix64(seed ^ ((__u64)saddr << 16) ^ sport) >> 32);
}

static inline __u32 flood_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~(__u32)sum & 0xffff;
}

static inline __u32 flood_len(__u32 kind)
{
	switch (kind) {
	case FLOOD_SYN_LINUX:
	case FLOOD_MIX:
		return 74;
	case FLOOD_SYN_DATA:
		return FLOOD_MAX;
	case FLOOD_ACK_TS:
		return 66;
	default:
		return 54;
	}
}

/* A kind of FLOOD_MIX: half SYNs, a quarter ACKs, the rest resets and FINs. */
static inline __u32 flood_pick(__u64 r)
{
	switch (r & 15) {
	case 0:
	case 1:
	case 2:
		return FLOOD_SYN_PLAIN;
	case 3:
	case 4:
	case 5:
	case 6:
	case 7:
		return FLOOD_SYN_LINUX;
	case 8:
	case 9:
		return FLOOD_ACK;
	case 10:
	case 11:
		return FLOOD_ACK_TS;
	case 12:
	case 13:
		return FLOOD_RST;
	default:
		return FLOOD_FIN;
	}
}

/* Word 8 of the packet but for the header length: flags and window. */
static inline __u32 flood_flags(__u32 kind)
{
	switch (kind) {
	case FLOOD_SYN_PLAIN:
		return 0x02u << 16 | 512;
	case FLOOD_SYN_DATA:
		return 0x02u << 16 | 64;
	case FLOOD_SYN_LINUX:
		return 0x02u << 16 | 64240;
	case FLOOD_RST:
		return 0x04u << 16;
	case FLOOD_FIN:
		return 0x11u << 16 | 501;
	default:
		return 0x10u << 16 | 501;
	}
}

static inline void flood_options(struct flood_packet *p, __u32 kind, __u64 r)
{
	p->nw = 10;
	if (kind == FLOOD_SYN_LINUX) {
		p->w[10] = 0x020405b4; /* MSS 1460 */
		p->w[11] = 0x0402080a; /* SACK permitted, timestamps */
		p->w[12] = (__u32)r;
		p->w[13] = 0;
		p->w[14] = 0x01030307; /* NOP, window scale 7 */
		p->nw = 15;
	} else if (kind == FLOOD_ACK_TS) {
		p->w[10] = 0x0101080a;
		p->w[11] = (__u32)r;
		p->w[12] = (__u32)(r >> 32);
		p->nw = 13;
	}
}

static inline void flood_checksums(struct flood_packet *p, __u32 payload)
{
	__u64 ip = 0, tcp = 6 + p->nw * 4 - 20 + payload;

	for (int i = 0; i < 5; i++)
		ip += p->w[i];
	tcp += (__u64)p->w[3] + p->w[4];
	for (int i = 5; i < 10; i++)
		tcp += p->w[i];
	if (p->nw >= 13)
		tcp += (__u64)p->w[10] + p->w[11] + p->w[12];
	if (p->nw >= 15)
		tcp += (__u64)p->w[13] + p->w[14];
	tcp += (__u64)(payload / 4) * 0x58585858u; /* 'X', as hping3 has it */
	p->w[2] |= flood_fold(ip);
	p->w[9] |= flood_fold(tcp) << 16;
}

/** Frame number @n: the packet behind its Ethernet header.  The payload of syn-data is all 'X'. */
static inline __attribute__((always_inline)) void flood_make(struct flood_packet *p,
							     const struct flood_cfg *cf, __u64 n)
{
	const __u64 r = flood_mix64(cf->seed + n * 0x9e3779b97f4a7c15ull);
	const __u64 r2 = flood_mix64(r + 0x9e3779b97f4a7c15ull);
	const __u32 kind = cf->kind == FLOOD_MIX ? flood_pick(r2 >> 60) : cf->kind;
	const __u32 payload = kind == FLOOD_SYN_DATA ? FLOOD_PAYLOAD : 0;
	const __u32 saddr = cf->prefix ? FLOOD_PREFIX | (__u32)(r & 0xff)
				       : FLOOD_NET | (__u32)(r & ~FLOOD_MASK);
	const __u32 sport = 1024 + (((__u32)(r >> 17) & 0xffff) * 64512u >> 16);
	const __u32 linux_like = kind != FLOOD_SYN_PLAIN && kind != FLOOD_SYN_DATA;

	flood_options(p, kind, r2 * 0x9e3779b97f4a7c15ull);
	p->w[0] = 0x45000000u | (p->nw * 4 + payload);
	p->w[1] = (__u32)(r >> 33) << 16 | (linux_like ? 0x4000u : 0);
	p->w[2] = 64u << 24 | 6u << 16;
	p->w[3] = saddr;
	p->w[4] = cf->daddr;
	p->w[5] = sport << 16 | cf->dport;
	p->w[6] = flood_seq(cf->seed, saddr, sport);
	p->w[7] = kind == FLOOD_SYN_LINUX || kind == FLOOD_RST ? 0 : (__u32)r2;
	p->w[8] = (p->nw - 5) << 28 | flood_flags(kind);
	p->w[9] = 0;
	flood_checksums(p, payload);
}

#endif
