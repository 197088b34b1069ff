/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Drops everything as early as can be: what a flood reaches here is the generator's own ceiling. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp.frags")
int lab_drop(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
