/* SPDX-License-Identifier: MIT */
#ifndef SW_CORE_WIRE_H
#define SW_CORE_WIRE_H

#include "core/reason.h"
#include "core/tcpopt.h"
#include "core/types.h"

#define SW_MAX_VLAN 2   /* 802.1Q tags that are followed, outermost first */
#define SW_MAX_IP6_EXT 6 /* IPv6 extension headers that are followed */

struct sw_vlan {
	uint16_t tpid; /* 0x8100 or 0x88a8 */
	uint16_t tci;
};

/** One Ethernet frame, borrowed.  Sockets deliver the outermost 802.1Q tag beside the data. */
struct sw_frame {
	const uint8_t *data;
	size_t len;           /* bytes at data */
	size_t wire_len;      /* bytes of the frame before it was cut to len; >= len */
	struct sw_vlan vlan;  /* tag that was taken out of the data; tpid 0 for none */
	bool csum_partial;    /* the TCP checksum is still to be filled in (local and veth traffic) */
	bool csum_checked;    /* somebody else found the TCP checksum right */
};

/** A TCP segment as it came.  All numbers in host order. */
struct sw_seg {
	enum sw_family family;
	struct sw_addr src, dst;
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint16_t window; /* not scaled */
	uint8_t flags;   /* SW_TCP_* */
	uint8_t ttl, tos;
	uint8_t nvlan;
	struct sw_vlan vlan[SW_MAX_VLAN];
	uint8_t eth_src[6], eth_dst[6];
	uint32_t l3_off, l4_off; /* bytes from the start of the frame */
	uint32_t l4_len;         /* TCP header and data, by the IP length */
	uint32_t payload_len;    /* by the IP length, even when the frame was cut */
	struct sw_tcpopt opt;
};

/**
 * Take a frame apart: Ethernet, up to two 802.1Q tags, IPv4 with options or IPv6 with extension
 * headers, TCP with options.  Checks every length, and the IPv4 header checksum; the TCP
 * checksum is sw_wire_tcp_csum_ok()'s.  IPv4 fragments (also first ones) and IPv6 fragments are
 * SW_WHY_FRAGMENT, except the atomic fragment of RFC 6946.
 *
 * Headers must be complete in @f->data; the payload may be cut (wire_len > len) or be followed
 * by Ethernet padding.  An IPv4 total length or IPv6 payload length of zero means "until the end
 * of the frame" for frames of more than 65,535 bytes only (BIG TCP).
 *
 * @param out  Written in full on SW_WHY_SYN_ANSWERED, which here only means "well formed";
 *             otherwise unspecified.
 * @return SW_WHY_SYN_ANSWERED for a well-formed TCP segment of any kind, else the reason.
 */
SW_MUST enum sw_why sw_wire_parse(struct sw_seg *out, const struct sw_frame *f);

#define SW_WIRE_OK SW_WHY_SYN_ANSWERED

/**
 * Check the TCP checksum of a parsed frame.
 *
 * @return true when it is right, when the frame says that it is partial or checked, and when the
 *         frame was cut so that nobody can tell.
 */
SW_MUST bool sw_wire_tcp_csum_ok(const struct sw_frame *f, const struct sw_seg *seg);

#endif
