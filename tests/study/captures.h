/* SPDX-License-Identifier: MIT */
/* Capture files in memory, for the tests of src/study. */
#ifndef SW_TESTS_CAPTURES_H
#define SW_TESTS_CAPTURES_H

#include "core/frames.h"

#include <stdio.h>
#include <stdlib.h>

/** A file that grows.  Zero it; free() what is at ->b. */
struct cap_file {
	uint8_t *b;
	size_t len;
};

static inline void cap_add(struct cap_file *f, const void *data, size_t n)
{
	f->b = realloc(f->b, f->len + n);
	memcpy(f->b + f->len, data, n);
	f->len += n;
}

static inline void cap_u16(struct cap_file *f, uint16_t v)
{
	cap_add(f, &v, sizeof(v));
}

static inline void cap_u32(struct cap_file *f, uint32_t v)
{
	cap_add(f, &v, sizeof(v));
}

/* pcap with nanoseconds, host byte order. */
static inline void cap_head(struct cap_file *f, uint32_t linktype)
{
	cap_u32(f, 0xa1b23c4d);
	cap_u16(f, 2);
	cap_u16(f, 4);
	cap_u32(f, 0);
	cap_u32(f, 0);
	cap_u32(f, 262144);
	cap_u32(f, linktype);
}

static inline void cap_packet(struct cap_file *f, uint64_t ns, const void *head, size_t head_len,
			      const void *data, size_t len)
{
	cap_u32(f, (uint32_t)(ns / 1000000000u));
	cap_u32(f, (uint32_t)(ns % 1000000000u));
	cap_u32(f, (uint32_t)(head_len + len));
	cap_u32(f, (uint32_t)(head_len + len));
	cap_add(f, head, head_len);
	cap_add(f, data, len);
}

static inline FILE *cap_open(const struct cap_file *f)
{
	return fmemopen(f->b, f->len, "rb");
}

#endif
