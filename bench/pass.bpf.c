/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Passes everything.  On the far end of a veth pair it makes the kernel deliver what XDP_TX sends:
 * veth flushes such frames only to an end that has an XDP program of its own. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp.frags")
int lab_pass(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
