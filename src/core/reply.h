/* SPDX-License-Identifier: MIT */
#ifndef SW_CORE_REPLY_H
#define SW_CORE_REPLY_H

#include "core/decide.h"

/** Ethernet 14, two tags 8, IPv6 40, TCP 20, options 20. */
#define SW_REPLY_MAX 102

/**
 * Build the SYN-ACK frame that answers @syn: MACs, addresses and ports swapped, the same 802.1Q
 * tags, no IP options or extension headers.  Options in the kernel's order: MSS; SACK permitted
 * and timestamps (NOPs where one is missing); NOP, window scale.  ECE is set when @sa->ecn.
 * IPv4: DF set, ID 0 (RFC 6864 4.1), TOS 0.  IPv6: traffic class 0, flow label 0.  Checksums are
 * complete.
 *
 * @return the length of the frame, at most SW_REPLY_MAX; not padded to 60 bytes.
 */
size_t sw_reply_synack(uint8_t out[SW_REPLY_MAX], const struct sw_seg *syn,
		       const struct sw_synack *sa);

#endif
