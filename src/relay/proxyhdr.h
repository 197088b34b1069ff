/* SPDX-License-Identifier: MIT */
#ifndef SW_RELAY_PROXYHDR_H
#define SW_RELAY_PROXYHDR_H

#include "core/types.h"

#include <sys/socket.h>

enum sw_proxy_version { SW_PROXY_NONE, SW_PROXY_V1, SW_PROXY_V2 };

#define SW_PROXYHDR_MAX	   107 /* bytes; v1 over IPv6 at its longest, with the CR LF */
#define SW_PROXYHDR_ID_LEN 16  /* an id is sent as this many hex digits */

/**
 * Write a PROXY protocol header that names a client to the server behind a relay.
 *
 * IPv4-mapped IPv6 addresses are written as IPv4 when both are.  Addresses that are not IP, or of
 * two families, give the form for "unknown": the receiver then uses the connection's own.
 *
 * @param out    Out.
 * @param src    The client's address and port.
 * @param dst    The address and port the client connected to.
 * @return the length of the header, 0 for SW_PROXY_NONE.
 */
SW_MUST size_t sw_proxyhdr_build(uint8_t out[SW_PROXYHDR_MAX], enum sw_proxy_version version,
				 const struct sockaddr *src, const struct sockaddr *dst);

/**
 * Write the header of a connection that the relay makes for itself, as for a health check: LOCAL in
 * version 2, UNKNOWN in version 1.  The receiver then uses the connection's own addresses.
 *
 * @return the length of the header, 0 for SW_PROXY_NONE.
 */
SW_MUST size_t sw_proxyhdr_local(uint8_t out[SW_PROXYHDR_MAX], enum sw_proxy_version version);

/**
 * Add PP2_TYPE_UNIQUE_ID (section 2.2.5) to a header of version 2.
 *
 * @param hdr  In and out: a header by sw_proxyhdr_build() for SW_PROXY_V2.
 * @param len  Its length.
 * @return its new length.
 */
SW_MUST size_t sw_proxyhdr_add_id(uint8_t hdr[SW_PROXYHDR_MAX], size_t len, uint64_t id);

#endif
