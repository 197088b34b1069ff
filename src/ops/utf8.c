/* SPDX-License-Identifier: MIT */
#include "ops/utf8.h"

size_t sw_utf8_next(const char *p, size_t left, uint32_t *ch)
{
	static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	const uint8_t lead = (uint8_t)p[0];
	size_t n = 1;
	uint32_t value = lead;

	if (lead >= 0x80) {
		if (lead < 0xc0 || lead > 0xf4)
			return 0;
		n = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
		value = lead & (0xffu >> (n + 1));
	}
	if (n > left)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if (((uint8_t)p[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | ((uint8_t)p[i] & 0x3f);
	}
	if (value < least[n] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
		return 0;
	*ch = value;
	return n;
}
