/* SPDX-License-Identifier: MIT */
#ifndef SW_CORE_CURSOR_H
#define SW_CORE_CURSOR_H

#include "core/types.h"

/** A read position that remembers it failed: later reads are harmless and yield zero. */
struct sw_cur {
	const uint8_t *p, *end;
	bool bad; /* latched by the first short read */
};

/** @return @n bytes and step over them, or NULL, when fewer are left. */
static inline const uint8_t *sw_cur_take(struct sw_cur *c, size_t n)
{
	if (c->bad || (size_t)(c->end - c->p) < n) {
		c->bad = true;
		return NULL;
	}
	c->p += n;
	return c->p - n;
}

static inline uint8_t sw_cur_u8(struct sw_cur *c)
{
	const uint8_t *b = sw_cur_take(c, 1);

	return b ? b[0] : 0;
}

static inline uint16_t sw_cur_u16(struct sw_cur *c)
{
	const uint8_t *b = sw_cur_take(c, 2);

	return (uint16_t)(b ? b[0] << 8 | b[1] : 0);
}

static inline uint32_t sw_cur_u32(struct sw_cur *c)
{
	const uint8_t *b = sw_cur_take(c, 4);

	return b ? (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3] : 0;
}

/** Big-endian stores; the caller has checked the room. */
static inline void sw_put_u16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void sw_put_u32(uint8_t *p, uint32_t v)
{
	sw_put_u16(p, (uint16_t)(v >> 16));
	sw_put_u16(p + 2, (uint16_t)v);
}

#endif
