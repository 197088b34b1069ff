/* SPDX-License-Identifier: MIT */
/* Other link types as Ethernet: https://www.tcpdump.org/linktypes.html says how each begins. */
#ifndef SW_STUDY_LINK_H
#define SW_STUDY_LINK_H

#include "core/types.h"

#define SW_LINK_ETH_LEN 14 /* bytes of the header that replaces the other one */

enum sw_linktype {
	SW_LINK_NULL = 0, /* BSD loopback, the family in some host's byte order */
	SW_LINK_ETHERNET = 1,
	SW_LINK_RAW = 101, /* an IP packet, its version tells which */
	SW_LINK_LOOP = 108,
	SW_LINK_SLL = 113,  /* Linux "any", cooked version 1 */
	SW_LINK_IPV4 = 228,
	SW_LINK_IPV6 = 229,
	SW_LINK_SLL2 = 276, /* Linux "any", cooked version 2 */
};

/** @return whether sw_link_strip() knows @linktype. */
SW_MUST bool sw_link_known(int linktype);

/** @return "Ethernet", "Linux cooked v1", ..., or "?". */
const char *sw_link_name(int linktype);

/**
 * What stands in front of the network layer.
 *
 * @param type  Out: the EtherType, or 0 when the packet holds nothing that has one.
 * @param skip  Out: bytes of the link-layer header, at most @len.
 */
void sw_link_strip(int linktype, const uint8_t *data, size_t len, uint16_t *type, size_t *skip);

#endif
