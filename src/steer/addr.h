/* SPDX-License-Identifier: MIT */
#ifndef SW_STEER_ADDR_H
#define SW_STEER_ADDR_H

#include "core/types.h"

#include <sys/socket.h>

#define SW_ADDR_STRLEN 56 /* "[" an IPv6 address "]:65535" and the final zero */

/**
 * Read "192.0.2.1:80" or "[2001:db8::1]:80".  No names, no scope ids, no IPv4-mapped addresses;
 * the port is 1 to 65535.
 *
 * @param out  A sockaddr_in or sockaddr_in6.  Written on success.
 * @param err  On failure one line: what is wrong, at which column, and what would be right.
 *             May be NULL when @errlen is 0.
 *
 * @return 0 or -EINVAL.
 */
SW_MUST int sw_addr_parse(const char *text, struct sockaddr_storage *out, char *err, size_t errlen);

/** Write an address so that sw_addr_parse() reads it.  @return @out. */
const char *sw_addr_str(const struct sockaddr *sa, char out[SW_ADDR_STRLEN]);

/** @return the length that bind() and connect() want. */
socklen_t sw_addr_socklen(const struct sockaddr_storage *sa);

#endif
