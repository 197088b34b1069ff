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

/** What listens on a guarded address, in this network namespace. */
enum sw_service { SW_SERVICE_NONE, SW_SERVICE_TCP, SW_SERVICE_MPTCP };

/**
 * Ask the kernel.  For a guard of every address, any listener on its port will do; where both
 * kinds listen, it is SW_SERVICE_MPTCP.
 *
 * @return 0 with *out set, or -errno.
 */
SW_MUST int sw_service_find(const struct sw_guard *guard, enum sw_service *out);

/** @return whether an interface is one end of a veth pair. */
SW_MUST bool sw_link_is_veth(const char *name);

#endif
