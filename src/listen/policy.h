/* SPDX-License-Identifier: MIT */
#ifndef SW_LISTEN_POLICY_H
#define SW_LISTEN_POLICY_H

#include "core/decide.h"
#include "steer/link.h"

/** The host's TCP settings that show in a SYN-ACK. */
struct sw_host_tcp {
	bool wscale, sack, ts;       /* net.ipv4.tcp_window_scaling, tcp_sack, tcp_timestamps */
	uint32_t syncookies, ecn;    /* net.ipv4.tcp_syncookies, tcp_ecn */
	uint32_t rmem_default, rmem_max; /* net.ipv4.tcp_rmem, second and third, bytes */
	uint32_t core_rmem_max;      /* net.core.rmem_max, bytes */
};

/** Read them.  What cannot be read has the kernel's default. */
void sw_host_tcp_read(struct sw_host_tcp *out);

/**
 * What a listening socket of this host would offer: MSS from the interface's MTU, window and
 * window scale as tcp_select_initial_window() (net/ipv4/tcp_output.c) chooses them.  Fills every
 * field but the guards.
 */
void sw_policy_fill(struct sw_policy *p, const struct sw_host_tcp *host,
		    const struct sw_link_info *link);

#endif
