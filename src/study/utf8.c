/* SPDX-License-Identifier: MIT */
#include "study/utf8.h"

#include <stdint.h>

/* RFC 3629 section 4: the first byte says how many follow, and limits the second. */
static const struct lead {
	uint8_t lo, hi, len, second_lo, second_hi;
} leads[] = {
	{ 0x01, 0x7f, 1, 0, 0 },	{ 0xc2, 0xdf, 2, 0x80, 0xbf }, { 0xe0, 0xe0, 3, 0xa0, 0xbf },
	{ 0xe1, 0xec, 3, 0x80, 0xbf }, { 0xed, 0xed, 3, 0x80, 0x9f }, { 0xee, 0xef, 3, 0x80, 0xbf },
	{ 0xf0, 0xf0, 4, 0x90, 0xbf }, { 0xf1, 0xf3, 4, 0x80, 0xbf }, { 0xf4, 0xf4, 4, 0x80, 0x8f },
};

size_t sw_utf8_len(const char *s)
{
	const uint8_t *b = (const uint8_t *)s;

	for (size_t i = 0; i < sizeof(leads) / sizeof(leads[0]); i++) {
		const struct lead *l = &leads[i];

		if (b[0] < l->lo || b[0] > l->hi)
			continue;
		if (l->len > 1 && (b[1] < l->second_lo || b[1] > l->second_hi))
			return 0;
		for (size_t n = 2; n < l->len; n++) {
			if ((b[n] & 0xc0) != 0x80)
				return 0;
		}
		return l->len;
	}
	return 0;
}
