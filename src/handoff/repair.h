/* SPDX-License-Identifier: MIT */
/*
 * A proven handshake becomes a connected socket: TCP_REPAIR (linux/tcp.h, tcp_repair in
 * net/ipv4/tcp.c) sets the sequence numbers, connect() then makes the socket established without
 * sending anything.
 */
#ifndef SW_HANDOFF_REPAIR_H
#define SW_HANDOFF_REPAIR_H

#include "core/decide.h"

/** Where the making of a socket stopped. */
enum sw_repair_stage {
	SW_REPAIR_DONE,
	SW_REPAIR_SOCKET,
	SW_REPAIR_ENTER,
	SW_REPAIR_SEQUENCE,
	SW_REPAIR_BIND,
	SW_REPAIR_CONNECT,
	SW_REPAIR_OPTIONS,
	SW_REPAIR_WINDOW,
	SW_REPAIR_LEAVE,
	SW_REPAIR_NSTAGE
};

/** @return "socket", "enter", ... */
const char *sw_repair_stage_name(enum sw_repair_stage stage);

/**
 * Make the server's socket of the connection that @ack proved.  Needs CAP_NET_ADMIN, and
 * CAP_NET_BIND_SERVICE for ports below 1024.
 *
 * @param ack      The segment that proved the cookie.
 * @param terms    What was negotiated.
 * @param cookie   Its ISN and TSval are the ones that the SYN-ACK carried.
 * @param policy   The window and window scale that the SYN-ACK offered.
 * @param ifindex  Where the segment came in: the scope of link-local addresses.
 * @param fd       Out: a connected, non-blocking, close-on-exec socket, still veiled (bpf/abi.h):
 *                 its segments go on coming to the front end.  Unchanged on failure.
 * @param stage    Out, may be NULL: where it failed.
 * @return 0, -EADDRNOTAVAIL when the connection exists already, -EMFILE, -ENFILE, -ENOBUFS or
 *         -ENOMEM when resources are short, or another -errno.
 */
SW_MUST int sw_repair_connect(const struct sw_seg *ack, const struct sw_terms *terms,
			      const struct sw_cookie *cookie, const struct sw_policy *policy,
			      unsigned ifindex, int *fd, enum sw_repair_stage *stage);

/**
 * Did the kernel deliver a segment to the socket?  The frame that proved the handshake is given
 * back and takes the kernel's way, firewall rules included.  A socket that hears nothing belongs
 * to a client that the host's rules shut out.
 */
SW_MUST bool sw_repair_heard(int fd);

/** Close without a word to the peer. */
void sw_repair_discard(int fd);

/** From here on the kernel delivers to the socket directly.  @return 0 or -errno. */
SW_MUST int sw_repair_unveil(int fd);

/**
 * @return 0 when this process may make sockets of @family on @port with TCP_REPAIR; -EACCES when
 *         the port needs CAP_NET_BIND_SERVICE; -EPERM without CAP_NET_ADMIN; else -errno.
 */
SW_MUST int sw_repair_probe(enum sw_family family, uint16_t port);

#endif
