/* SPDX-License-Identifier: MIT */
#ifndef SW_CORE_CSUM_H
#define SW_CORE_CSUM_H

#include "core/types.h"

/**
 * Add @n bytes to the one's complement sum @sum, RFC 1071.  An odd @n is padded with a zero
 * byte, so only the last piece of a message may be odd.
 */
SW_MUST uint64_t sw_csum_add(uint64_t sum, const void *data, size_t n);

/** Fold and complement.  @return the checksum in host order; store it with sw_put_u16(). */
SW_MUST uint16_t sw_csum_fold(uint64_t sum);

/**
 * Sum of the TCP pseudo header, RFC 9293 3.1 and RFC 8200 8.1.
 *
 * @param len  TCP header and data in bytes.
 */
SW_MUST uint64_t sw_csum_pseudo(enum sw_family family, const struct sw_addr *src,
				const struct sw_addr *dst, uint32_t len);

#endif
