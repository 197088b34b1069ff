/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The frames of a flood, the same from user space and from BPF: frame number n of a seed is always
 * the same frame.  Sources are 198.18.0.0/15 (RFC 2544) or 2001:db8:c612::/48 (RFC 3849) and
 * nothing else. */
#ifndef BENCH_FLOOD_H
#define BENCH_FLOOD_H

#include <linux/types.h>

#define FLOOD_NET     0xc6120000u /* 198.18.0.0 */
#define FLOOD_MASK    0xfffe0000u /* /15 */
#define FLOOD_PREFIX  0xc6120700u /* 198.18.7.0/24, for --prefix */
#define FLOOD_NET6_HI 0x20010db8u /* 2001:db8:c612::/48 ... */
#define FLOOD_NET6_LO 0xc6120000u
#define FLOOD_SUBNET  7	  /* ... and 2001:db8:c612:7::/64, for --prefix */
#define FLOOD_PAYLOAD 120 /* of syn-data, as in hping3 -d 120 -w 64 */
#define FLOOD_MAX     (14 + 60 + FLOOD_PAYLOAD)
#define FLOOD_SPARE   1 /* bytes that gen.bpf.c cuts off again */

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
	__u64 first; /* number of the first frame */
	__u64 count; /* frames in all; 0 for no limit */
	__u64 rate;  /* frames a second; 0 for no limit */
	__u32 daddr; /* host order */
	__u32 daddr6[4];
	__u32 kind; /* enum flood_kind */
	__u32 ifindex;
	__u32 len;    /* of each frame, FLOOD_MIX: of the longest */
	__u16 dport;  /* host order */
	__u8 v6;      /* 1: IPv6, to daddr6 */
	__u8 prefix;  /* 1: all sources from one /24, or one /64 */
	__u8 mac[12]; /* destination, source */
	__u8 pad[4];
};

/** A packet in 32-bit words of host order. */
struct flood_packet {
	__u32 ip[10];
	__u32 tcp[10]; /* 20 bytes of options */
	__u32 nip, ntcp;
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

/** What stands for an IPv6 address in flood_seq(). */
static inline __u32 flood_fold6(__u32 a0, __u32 a1, __u32 a2, __u32 a3)
{
	return (__u32)flood_mix64(((__u64)a2 << 32 | a3) ^ flood_mix64((__u64)a0 << 32 | a1));
}

static inline __u32 flood_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~(__u32)sum & 0xffff;
}

/** Bytes of a frame, of FLOOD_MIX the longest. */
static inline __u32 flood_len(__u32 kind, __u8 v6)
{
	const __u32 head = 14 + (v6 ? 40 : 20) + 20;

	switch (kind) {
	case FLOOD_SYN_LINUX:
	case FLOOD_MIX:
		return head + 20;
	case FLOOD_SYN_DATA:
		return head + FLOOD_PAYLOAD;
	case FLOOD_ACK_TS:
		return head + 12;
	default:
		return head;
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

/* Word 3 of the TCP header but for its length: flags and window. */
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

static inline void flood_options(struct flood_packet *p, __u32 kind, __u8 v6, __u64 r)
{
	p->ntcp = 5;
	if (kind == FLOOD_SYN_LINUX) {
		p->tcp[5] = v6 ? 0x020405a0 : 0x020405b4; /* MSS 1440 or 1460 */
		p->tcp[6] = 0x0402080a;			  /* SACK permitted, timestamps */
		p->tcp[7] = (__u32)r;
		p->tcp[8] = 0;
		p->tcp[9] = 0x01030307; /* NOP, window scale 7 */
		p->ntcp = 10;
	} else if (kind == FLOOD_ACK_TS) {
		p->tcp[5] = 0x0101080a;
		p->tcp[6] = (__u32)r;
		p->tcp[7] = (__u32)(r >> 32);
		p->ntcp = 8;
	}
}

/* @sum: of the addresses; @length: of the TCP segment. */
static inline void flood_checksum(struct flood_packet *p, __u64 sum, __u32 length, __u32 payload)
{
	sum += 6 + length;
	for (int i = 0; i < 5; i++)
		sum += p->tcp[i];
	if (p->ntcp >= 8)
		sum += (__u64)p->tcp[5] + p->tcp[6] + p->tcp[7];
	if (p->ntcp >= 10)
		sum += (__u64)p->tcp[8] + p->tcp[9];
	sum += (__u64)(payload / 4) * 0x58585858u; /* 'X', as hping3 has it */
	p->tcp[4] |= flood_fold(sum) << 16;
}

/* The IPv4 header.  @return what flood_seq() takes for its source. */
static inline __u32 flood_ip4(struct flood_packet *p, const struct flood_cfg *cf, __u64 r,
			      __u32 length, __u32 linux_like)
{
	const __u32 saddr = cf->prefix ? FLOOD_PREFIX | (__u32)(r & 0xff)
				       : FLOOD_NET | (__u32)(r & ~FLOOD_MASK);
	__u64 sum = 0;

	p->ip[0] = 0x45000000u | (20 + length);
	p->ip[1] = (__u32)(r >> 33) << 16 | (linux_like ? 0x4000u : 0);
	p->ip[2] = 64u << 24 | 6u << 16;
	p->ip[3] = saddr;
	p->ip[4] = cf->daddr;
	for (int i = 0; i < 5; i++)
		sum += p->ip[i];
	p->ip[2] |= flood_fold(sum);
	p->nip = 5;
	return saddr;
}

/* The same for IPv6, with a flow label as Linux sets one. */
static inline __u32 flood_ip6(struct flood_packet *p, const struct flood_cfg *cf, __u64 r, __u64 r2,
			      __u32 length)
{
	const __u32 subnet = cf->prefix ? FLOOD_SUBNET : (__u32)(r2 >> 40) & 0xffff;

	p->ip[0] = 0x60000000u | ((__u32)(r >> 29) & 0xfffff);
	p->ip[1] = length << 16 | 6u << 8 | 64;
	p->ip[2] = FLOOD_NET6_HI;
	p->ip[3] = FLOOD_NET6_LO | subnet;
	p->ip[4] = (__u32)(r >> 32);
	p->ip[5] = (__u32)r;
	for (int i = 0; i < 4; i++)
		p->ip[6 + i] = cf->daddr6[i];
	p->nip = 10;
	return flood_fold6(p->ip[2], p->ip[3], p->ip[4], p->ip[5]);
}

/** Frame number @n: the packet behind its Ethernet header.  The payload of syn-data is all 'X'. */
static inline __attribute__((always_inline)) void flood_make(struct flood_packet *p,
							     const struct flood_cfg *cf, __u64 n)
{
	const __u64 r = flood_mix64(cf->seed + n * 0x9e3779b97f4a7c15ull);
	const __u64 r2 = flood_mix64(r + 0x9e3779b97f4a7c15ull);
	const __u32 kind = cf->kind == FLOOD_MIX ? flood_pick(r2 >> 60) : cf->kind;
	const __u32 payload = kind == FLOOD_SYN_DATA ? FLOOD_PAYLOAD : 0;
	const __u32 sport = 1024 + (((__u32)(r >> 17) & 0xffff) * 64512u >> 16);
	const __u32 linux_like = kind != FLOOD_SYN_PLAIN && kind != FLOOD_SYN_DATA;
	__u32 length, source;
	__u64 sum = 0;

	flood_options(p, kind, cf->v6, r2 * 0x9e3779b97f4a7c15ull);
	length = p->ntcp * 4 + payload;
	if (cf->v6) {
		source = flood_ip6(p, cf, r, r2, length);
		for (int i = 2; i < 10; i++)
			sum += p->ip[i];
	} else {
		source = flood_ip4(p, cf, r, length, linux_like);
		sum = (__u64)p->ip[3] + p->ip[4];
	}
	p->tcp[0] = sport << 16 | cf->dport;
	p->tcp[1] = flood_seq(cf->seed, source, sport);
	p->tcp[2] = kind == FLOOD_SYN_LINUX || kind == FLOOD_RST ? 0 : (__u32)r2;
	p->tcp[3] = p->ntcp << 28 | flood_flags(kind);
	p->tcp[4] = 0;
	flood_checksum(p, sum, length, payload);
}

#endif
