/* SPDX-License-Identifier: MIT */
#ifndef SW_CORE_TCPOPT_H
#define SW_CORE_TCPOPT_H

#include "core/types.h"

/** Option kinds: RFC 9293 3.1, RFC 7323, RFC 2018. */
enum sw_optkind { SW_OPT_EOL = 0, SW_OPT_NOP = 1, SW_OPT_MSS = 2, SW_OPT_WSCALE = 3,
		  SW_OPT_SACK_OK = 4, SW_OPT_TS = 8 };

/** The TCP options that a handshake negotiates. */
struct sw_tcpopt {
	uint32_t tsval, tsecr; /* RFC 7323, valid when ts */
	uint16_t mss;          /* bytes, RFC 9293 3.7.1; 0 when absent or offered as 0 */
	uint8_t wscale;        /* shift count 0..14, valid when wscale_ok */
	bool wscale_ok;
	bool sack; /* SACK permitted, RFC 2018 */
	bool ts;
	bool cut; /* the list was malformed; what stood before the fault was kept */
};

/**
 * Read an option list.  A malformed option ends the reading, as in the kernel
 * (tcp_parse_options() in net/ipv4/tcp_input.c): what was read so far counts.  An option that
 * comes twice counts as it came last.  A window scale above 14 is read as 14 (RFC 7323 2.3).
 * Options of a wrong length are skipped.  Reads exactly @list[0..@len).
 */
void sw_tcpopt_parse(struct sw_tcpopt *out, const uint8_t *list, size_t len);

#endif
