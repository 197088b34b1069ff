/* SPDX-License-Identifier: MIT */
/* What the BPF programs and user space share.  Only what gcc and clang -target bpf both have. */
#ifndef SW_BPF_ABI_H
#define SW_BPF_ABI_H

#include "core/reason.h"
#include <linux/types.h>

#define SW_BPF_MAX_GUARDS 64

/*
 * SO_PRIORITY of a socket that is being made.  connect() in repair mode lets the kernel deliver to
 * it at once, before its options and timestamp are set: what it would answer then, with another
 * timestamp, makes the client drop everything that follows (RFC 7323 5.3).  Steering keeps its
 * segments at the front end until the priority is 0 again, and until what is
 * queued there has been given back, so that nothing overtakes it.
 */
#define SW_BPF_VEIL 0x73796e77u

/** Key of the guard map.  A guard for every address of a family has addr all zero and any 1. */
struct sw_bpf_guard {
	__u8 family; /* 4 or 6, enum sw_family */
	__u8 any;    /* 1: every local address */
	__be16 port;
	__u8 addr[16]; /* IPv4 in the first four bytes */
};
_Static_assert(sizeof(struct sw_bpf_guard) == 20, "map key: no padding, same on both sides");

#endif
