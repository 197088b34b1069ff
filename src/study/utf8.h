/* SPDX-License-Identifier: MIT */
#ifndef SW_STUDY_UTF8_H
#define SW_STUDY_UTF8_H

#include <stddef.h>

/**
 * How many bytes of @s make up its first character.
 *
 * @return 1 to 4 for a legal character (RFC 3629), 0 at the end of the text or for a byte that is
 *         none: an overlong form, a surrogate, or a sequence that is cut.
 */
size_t sw_utf8_len(const char *s);

#endif
