/* SPDX-License-Identifier: MIT */
/*
 * The sockets of a probe.
 *
 * A raw socket sends and hears: it gets a copy of each TCP packet of the one host, and the ICMP
 * messages about ours.  The kernel gets those packets too, knows no connection of these ports and
 * would answer a SYN-ACK with a reset of its own.  So each source port is held by a listening
 * socket with a socket filter that takes nothing: the kernel finds an owner for the packet, drops
 * it there, and stays silent.  The ports are also reserved that way.  Both are descriptors of this
 * process and nothing else, so they end with it, however it ends.
 */
#ifndef SW_STUDY_PROBE_NET_H
#define SW_STUDY_PROBE_NET_H

#include "study/probe.h"

#include <sys/socket.h>

#define SW_PROBE_ERR 200 /* bytes of a message, with the final zero */

struct sw_probe_net {
	int raw, quiet[SW_PROBE_SLOTS]; /* descriptors, -1 when closed */
	enum sw_family family;
	struct sw_addr src, dst;
	struct sockaddr_storage local; /* our address, port 0 */
	uint16_t sport[SW_PROBE_SLOTS];
};

/** A packet about one of our SYNs. */
struct sw_probe_packet {
	uint64_t at_ns;	   /* CLOCK_REALTIME, when the kernel received it */
	bool icmp;	   /* an ICMP message; else seg */
	struct sw_seg seg; /* ICMP: only sport, dport and seq are set, those of our SYN */
	uint8_t icmp_type, icmp_code;
	struct sw_addr icmp_from;
};

/**
 * Open the sockets and take SW_PROBE_SLOTS source ports.
 *
 * @param host  Where to; the port is not used.
 * @param err   On failure what went wrong and what would help.
 * @return 0; -EPERM without CAP_NET_RAW; another negative errno.
 */
SW_MUST int sw_probe_net_open(struct sw_probe_net *net, const struct sockaddr_storage *host,
			      char err[SW_PROBE_ERR]);

/**
 * Send one TCP segment to the host.
 *
 * @return 0; -EAGAIN when there is no room just then; another negative errno, such as -EPERM from
 *         the local firewall and -ENETUNREACH.
 */
SW_MUST int sw_probe_net_send(struct sw_probe_net *net, const uint8_t *tcp, size_t len);

/** Take one packet without waiting.  @return false when there is none. */
SW_MUST bool sw_probe_net_recv(struct sw_probe_net *net, struct sw_probe_packet *out);

/** Close everything.  Safe to call twice. */
void sw_probe_net_close(struct sw_probe_net *net);

#endif
