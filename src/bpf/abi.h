/* SPDX-License-Identifier: MIT */
/* What the BPF programs and user space share.  Only what gcc and clang -target bpf both have. */
#ifndef SW_BPF_ABI_H
#define SW_BPF_ABI_H

#include "core/reason.h"
#include <linux/types.h>

#define SW_BPF_MAX_GUARDS 64

/** Key of the guard map.  A guard for every address of a family has addr all zero and any 1. */
struct sw_bpf_guard {
	__u8 family; /* 4 or 6, enum sw_family */
	__u8 any;    /* 1: every local address */
	__be16 port;
	__u8 addr[16]; /* IPv4 in the first four bytes */
};
_Static_assert(sizeof(struct sw_bpf_guard) == 20, "map key: no padding, same on both sides");

#endif
