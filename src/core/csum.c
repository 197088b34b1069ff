/* SPDX-License-Identifier: MIT */
/*
 * The running sum adds words in the machine's own byte order, which RFC 1071 2(B) allows; only
 * the folded result is turned around.
 */
#include "core/csum.h"

#include "core/cursor.h"

#include <string.h>

uint64_t sw_csum_add(uint64_t sum, const void *data, size_t n)
{
	const uint8_t *p = data;
	uint32_t word;

	for (; n >= sizeof(word); n -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		sum += word;
	}
	if (n > 0) {
		word = 0;
		memcpy(&word, p, n);
		sum += word;
	}
	return sum;
}

uint16_t sw_csum_fold(uint64_t sum)
{
	uint16_t native;
	uint8_t b[2];

	sum = (sum >> 32) + (sum & 0xffffffff);
	sum = (sum >> 32) + (sum & 0xffffffff);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	native = (uint16_t)~sum;
	memcpy(b, &native, sizeof(b));
	return (uint16_t)(b[0] << 8 | b[1]);
}

uint64_t sw_csum_pseudo(enum sw_family family, const struct sw_addr *src, const struct sw_addr *dst,
			uint32_t len)
{
	uint8_t tail[8] = { 0, 0, 0, 0, 0, 0, 0, SW_IP_TCP };
	const size_t n = sw_addr_len(family);
	uint64_t sum;

	sw_put_u32(tail, len);
	sum = sw_csum_add(0, src->b, n);
	sum = sw_csum_add(sum, dst->b, n);
	return sw_csum_add(sum, tail, sizeof(tail));
}
