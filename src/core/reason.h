/* SPDX-License-Identifier: MIT */
/*
 * Why a packet met its fate: one list for logs, counters, traces and BPF.
 * SW_WHY(constant, name, sentence).  The order is part of the BPF map ABI: append only.
 * Includes nothing, so that BPF programs can include it.
 */
#ifndef SW_CORE_REASON_H
#define SW_CORE_REASON_H

#define SW_WHY_LIST(SW_WHY) \
	/* answered, admitted, left to the kernel */ \
	SW_WHY(SYN_ANSWERED, "syn_answered", "a SYN was answered with a cookie; no memory was kept") \
	SW_WHY(ACK_PROVEN, "ack_proven", "the ACK returned a valid cookie") \
	SW_WHY(AFTER_HANDOFF, "after_handoff", \
	       "the segment was queued behind the ACK that opened its connection") \
	SW_WHY(NOT_GUARDED, "not_guarded", "no guarded address and port matches") \
	SW_WHY(HAS_SOCKET, "has_socket", "a socket of the kernel owns this connection") \
	SW_WHY(STEERED, "steered", "the packet was sent to the front end") \
	SW_WHY(REINJECTED, "reinjected", "the front end gave the packet back to the kernel") \
	/* refused: the frame itself */ \
	SW_WHY(SHORT, "short", "the frame ends inside a header") \
	SW_WHY(NOT_IP, "not_ip", "the frame carries neither IPv4 nor IPv6") \
	SW_WHY(NOT_TCP, "not_tcp", "the packet carries no TCP") \
	SW_WHY(BAD_IP_VERSION, "bad_ip_version", "the IP version contradicts the EtherType") \
	SW_WHY(BAD_IHL, "bad_ihl", "the IPv4 header length is below five words") \
	SW_WHY(BAD_IP_LENGTH, "bad_ip_length", "the IP length does not cover the headers") \
	SW_WHY(BAD_IP_CHECKSUM, "bad_ip_checksum", "the IPv4 header checksum is wrong") \
	SW_WHY(FRAGMENT, "fragment", "the packet is a fragment") \
	SW_WHY(EXT_HEADERS, "ext_headers", "more IPv6 extension headers than are followed") \
	SW_WHY(BAD_DOFF, "bad_doff", "the TCP data offset is below five words") \
	SW_WHY(BAD_TCP_CHECKSUM, "bad_tcp_checksum", "the TCP checksum is wrong") \
	/* refused: addresses and flags */ \
	SW_WHY(MARTIAN, "martian", "no host can have this source address") \
	SW_WHY(LAND, "land", "source and destination are the same") \
	SW_WHY(PORT_ZERO, "port_zero", "the source port is zero") \
	SW_WHY(BAD_FLAGS, "bad_flags", "SYN together with FIN or RST") \
	SW_WHY(SYN_ACK, "syn_ack", "a SYN-ACK came to a guarded port") \
	SW_WHY(RST, "rst", "a reset for a connection that does not exist") \
	SW_WHY(NO_ACK, "no_ack", "neither SYN nor ACK nor RST is set") \
	SW_WHY(MSS_SMALL, "mss_small", "the MSS offered is below every entry of the cookie's table") \
	/* refused: the cookie */ \
	SW_WHY(COOKIE_FORGED, "cookie_forged", "no key of ours made this cookie for this connection") \
	SW_WHY(COOKIE_EXPIRED, "cookie_expired", "the cookie is genuine but too old") \
	SW_WHY(COOKIE_FUTURE, "cookie_future", "the cookie is genuine but its time has not come") \
	SW_WHY(NO_KEY, "no_key", "there is no key for this epoch") \
	/* proven, but not handed over */ \
	SW_WHY(DUPLICATE, "duplicate", "the connection exists already") \
	SW_WHY(QUEUE_FULL, "queue_full", "the application does not take connections fast enough") \
	SW_WHY(NO_DESCRIPTOR, "no_descriptor", "no file descriptor or memory for another socket") \
	SW_WHY(HANDOFF_FAILED, "handoff_failed", "the kernel refused to make the socket") \
	/* the way in and out */ \
	SW_WHY(CUT, "cut", "the frame did not fit the ring and could not be given back whole") \
	SW_WHY(RING_LOST, "ring_lost", "the receive ring was full") \
	SW_WHY(SEND_FAILED, "send_failed", "the kernel did not take an outgoing frame") \
	SW_WHY(VLAN_TAG, "vlan_tag", \
	       "the VLAN tag was taken out of the frame, and XDP cannot answer with it") \
	SW_WHY(AROUND_XDP, "around_xdp", "a SYN came to the listener by a way that misses XDP") \
	SW_WHY(FILTERED, "filtered", \
	       "the host's firewall kept the segment that proved the handshake from its socket") \
	SW_WHY(DRAINING, "draining", "the listener takes no new connections")

enum sw_why {
#define SW_WHY_ENUM(constant, name, sentence) SW_WHY_##constant,
	SW_WHY_LIST(SW_WHY_ENUM)
#undef SW_WHY_ENUM
	SW_NWHY
};

#ifndef __bpf__
/** @return the name used in counters, logs and labels; "?" when @why is out of range. */
const char *sw_why_name(enum sw_why why);
/** @return a sentence for people, without a full stop; "?" when @why is out of range. */
const char *sw_why_text(enum sw_why why);
#endif

#endif
