/* SPDX-License-Identifier: MIT */
/* What the BPF programs and user space share.  Only what gcc and clang -target bpf both have. */
#ifndef SW_BPF_ABI_H
#define SW_BPF_ABI_H

#include "core/reason.h"
#include <linux/types.h>

#define SW_BPF_MAX_GUARDS 64
#define SW_BPF_GUARD_ROWS (2 * SW_BPF_MAX_GUARDS)

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

#define SW_BPF_EPOCHS 4   /* slots of epoch keys, by epoch & 3: E-1 .. E+2 */
#define SW_BPF_MASTERS 3  /* SW_MAX_MASTERS */
#define SW_BPF_KEYS (SW_BPF_EPOCHS * SW_BPF_MASTERS)
#define SW_BPF_USED (1u << 19) /* SW_USED_SLOTS */
#define SW_BPF_RECENT 65536 /* proven connections that are remembered while they settle */

/** Element (epoch & 3) * SW_BPF_MASTERS + master of the key map. */
struct sw_bpf_key {
	__u32 epoch;
	__u32 live;      /* 0: empty */
	__u64 sip[2];    /* siphash-2-4: the first 16 bytes of the epoch key, little-endian words */
	__u32 inner[8];  /* hmac-sha256: the state of SHA-256 behind the ipad block */
	__u32 outer[8];  /* and behind the opad block */
};
_Static_assert(sizeof(struct sw_bpf_key) == 88, "map value: no padding, same on both sides");

/** The only element of the settings map.  What struct sw_policy says, and the clock. */
struct sw_bpf_settings {
	__s64 wall_minus_mono_ns; /* CLOCK_REALTIME - CLOCK_MONOTONIC */
	__u32 refuse_rate;        /* unproven ACKs a second and CPU that are let through */
	__u16 mss4, mss6, window;
	__u8 wscale, ttl;
	__u8 wscale_on, sack_on, ts_on, ecn_on, loopback;
	__u8 masters; /* how many master keys there are */
	__u8 transparent; /* the kernel's own listener gets the connections */
	__u8 any_mac; /* the next is not known */
	__u8 mac[6];  /* of the interface: frames for others are none of ours */
};
_Static_assert(sizeof(struct sw_bpf_settings) == 40, "map value: no hidden padding");

/** A connection.  Addresses as struct sw_addr, ports in network order. */
struct sw_bpf_flow {
	__u8 src[16], dst[16];
	__be16 sport, dport;
	__u32 family; /* 4 or 6 */
};
_Static_assert(sizeof(struct sw_bpf_flow) == 40, "map key: no padding");

#endif
