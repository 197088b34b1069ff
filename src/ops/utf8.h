/* SPDX-License-Identifier: MIT */
#ifndef SW_OPS_UTF8_H
#define SW_OPS_UTF8_H

#include "core/types.h"

/**
 * Read one character (RFC 3629: shortest form, no surrogates, at most U+10FFFF).
 *
 * @param left  Bytes at @p, at least 1.
 * @param ch    Out.  Written on success.
 * @return the number of bytes, 0 when they are not UTF-8.
 */
SW_MUST size_t sw_utf8_next(const char *p, size_t left, uint32_t *ch);

#endif
