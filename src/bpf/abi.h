/* SPDX-License-Identifier: MIT */
/* What the BPF programs and user space share.  Only what gcc and clang -target bpf both have. */
#ifndef SW_BPF_ABI_H
#define SW_BPF_ABI_H

#include "core/reason.h"
#include <linux/types.h>

#define SW_BPF_MAX_GUARDS 64 /* of one listener */
#define SW_BPF_LISTENERS 16  /* on one interface; a power of two */
#define SW_BPF_GUARD_ROWS (2 * SW_BPF_MAX_GUARDS * SW_BPF_LISTENERS)
#define SW_BPF_WHY_STRIDE 64 /* counter of a listener and a reason: listener * 64 + reason */
_Static_assert(SW_NWHY <= SW_BPF_WHY_STRIDE, "every reason has a counter");

/*
 * SO_PRIORITY of a socket that is being made.  connect() in repair mode lets the kernel deliver to
 * it at once, before its options and timestamp are set: what it would answer then, with another
 * timestamp, makes the client drop everything that follows (RFC 7323 5.3).  Steering keeps its
 * segments at the front end until the priority is 0 again, and until what is
 * queued there has been given back, so that nothing overtakes it.
 */
#define SW_BPF_VEIL 0x73796e77u

/** Key of the guard map.  A guard for every address of a family has addr all zero and any 1.  In
 *  transparent mode each address is there once more, with port 0. */
struct sw_bpf_guard {
	__u8 family; /* 4 or 6, enum sw_family */
	__u8 any;    /* 1: every local address */
	__be16 port;
	__u8 addr[16]; /* IPv4 in the first four bytes */
};
_Static_assert(sizeof(struct sw_bpf_guard) == 20, "map key: no padding, same on both sides");

/** Value of the guard map. */
struct sw_bpf_guarded {
	__u32 listener; /* 0 .. SW_BPF_LISTENERS - 1 */
	__u32 heard;    /* when a listening socket was found there; see find_state() */
};

#define SW_BPF_EPOCHS 4   /* slots of epoch keys, by epoch & 3: E-1 .. E+2 */
#define SW_BPF_MASTERS 3  /* SW_MAX_MASTERS */
#define SW_BPF_KEYS (SW_BPF_EPOCHS * SW_BPF_MASTERS)
#define SW_BPF_USED (1u << 19) /* SW_USED_SLOTS */
#define SW_BPF_RECENT 65536 /* proven connections that are remembered while they settle */

/** Element listener * SW_BPF_KEYS + (epoch & 3) * SW_BPF_MASTERS + master of the key map. */
struct sw_bpf_key {
	__u32 epoch;
	__u32 live;      /* 0: empty */
	__u64 sip[2];    /* siphash-2-4: the first 16 bytes of the epoch key, little-endian words */
	__u32 inner[8];  /* hmac-sha256: the state of SHA-256 behind the ipad block */
	__u32 outer[8];  /* and behind the opad block */
};
_Static_assert(sizeof(struct sw_bpf_key) == 88, "map value: no padding, same on both sides");

/** Element `listener` of the settings map.  What struct sw_policy says. */
struct sw_bpf_settings {
	__u32 refuse_rate; /* unproven ACKs a second and CPU that are let through */
	__u16 mss4, mss6, window;
	__u8 wscale, ttl;
	__u8 wscale_on, sack_on, ts_on, ecn_on, loopback;
	__u8 masters;     /* how many master keys there are */
	__u8 transparent; /* the kernel's own listener gets the connections */
	__u8 hmac;        /* 1: hmac-sha256, 0: siphash-2-4 */
	__u8 draining;    /* SYNs are dropped */
	__u8 pad[3];
};
_Static_assert(sizeof(struct sw_bpf_settings) == 24, "map value: no hidden padding");

/** The only element of the host map: what all listeners of an interface share. */
struct sw_bpf_host {
	__s64 wall_minus_mono_ns; /* CLOCK_REALTIME - CLOCK_MONOTONIC */
	__u32 known;              /* half of the map of known flows that holds: SW_BPF_KNOWN_*  */
	__u8 known_both;          /* 1: mark in both halves */
	__u8 have_any;            /* some guard has any set */
	__u8 any_mac;             /* the next is not known */
	__u8 mac[6];              /* of the interface: frames for others are none of ours */
	__u8 pad[3];
};
_Static_assert(sizeof(struct sw_bpf_host) == 24, "map value: no hidden padding");

/*
 * Known flows: a bitmap by a hash of the flow, in which the bit of every connection that has a
 * socket is set.  A SYN whose bit is clear needs no lookup in the kernel's table, which is the
 * dearest step of an answer: each random source misses the cache there.  A bit that is set says
 * nothing, the lookup is then made.  User space makes the map anew from the kernel's sockets, in
 * the half that does not hold, when too many bits are set.
 */
#define SW_BPF_KNOWN_BITS 20
#define SW_BPF_KNOWN_WORDS (1u << (SW_BPF_KNOWN_BITS - 6)) /* of 64 bits; one half */
#define SW_BPF_KNOWN_NONE 2u /* sw_bpf_host.known: neither half holds yet */

/* @return an IPv4 address as the first eight bytes of a struct sw_addr. */
static inline __u64 sw_bpf_word4(__be32 a)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return a;
#else
	return (__u64)a << 32;
#endif
}

/* The bit of a flow, of its addresses by words of eight bytes. */
static inline __u32 sw_bpf_known_mix(__u64 s0, __u64 s1, __u64 d0, __u64 d1, __be16 sport,
				     __be16 dport)
{
	__u64 h = s0 * 0x9e3779b97f4a7c15ull ^ s1 * 0xc2b2ae3d27d4eb4full;

	h ^= (d0 ^ d1 << 1) * 0x165667b19e3779f9ull;
	h ^= ((__u64)sport << 16 | dport) * 0x27d4eb2f165667c5ull;
	h ^= h >> 29;
	h *= 0xbf58476d1ce4e5b9ull;
	return (__u32)(h >> (64 - SW_BPF_KNOWN_BITS));
}

/** @return the bit of a flow: addresses as in struct sw_addr, ports in network order. */
static inline __u32 sw_bpf_known_bit(const __u8 src[16], const __u8 dst[16], __be16 sport,
				     __be16 dport)
{
	const __u64 *s = (const __u64 *)src, *d = (const __u64 *)dst;

	return sw_bpf_known_mix(s[0], s[1], d[0], d[1], sport, dport);
}

/** A connection.  Addresses as struct sw_addr, ports in network order. */
struct sw_bpf_flow {
	__u8 src[16], dst[16];
	__be16 sport, dport;
	__u32 family; /* 4 or 6 */
};
_Static_assert(sizeof(struct sw_bpf_flow) == 40, "map key: no padding");

#endif
