/* SPDX-License-Identifier: MIT */
#include "study/link.h"

#include "core/types.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

struct row {
	int link;
	const char *bytes;
	size_t len;
	uint16_t type;
	size_t skip;
};

static const struct row rows[] = {
	{ SW_LINK_NULL, "\2\0\0\0E", 5, SW_ETH_IP4, 4 },
	{ SW_LINK_NULL, "\0\0\0\2E", 5, SW_ETH_IP4, 4 },
	{ SW_LINK_NULL, "\30\0\0\0`", 5, SW_ETH_IP6, 4 },
	{ SW_LINK_NULL, "\0\0\0\36`", 5, SW_ETH_IP6, 4 },
	{ SW_LINK_NULL, "\7\0\0\0x", 5, 0, 4 },
	{ SW_LINK_LOOP, "\0\0\0\12`", 5, SW_ETH_IP6, 4 },
	{ SW_LINK_SLL, "\0\0\0\1\0\6abcdef\0\0\10\0E", 17, SW_ETH_IP4, 16 },
	{ SW_LINK_SLL, "\0\0\0\1\0\6abcdef\0\0\x86\xdd`", 17, SW_ETH_IP6, 16 },
	{ SW_LINK_SLL2, "\10\0\0\0\0\0\0\2\0\1\0\6abcdef\0\0E", 21, SW_ETH_IP4, 20 },
	{ SW_LINK_IPV4, "E", 1, SW_ETH_IP4, 0 },
	{ SW_LINK_IPV6, "`", 1, SW_ETH_IP6, 0 },
	{ SW_LINK_RAW, "E", 1, SW_ETH_IP4, 0 },
	{ SW_LINK_RAW, "`", 1, SW_ETH_IP6, 0 },
	{ SW_LINK_RAW, "\0", 1, 0, 0 },
};

Test(link, headers)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];
		uint16_t type = 1;
		size_t skip = 99;

		cr_assert(sw_link_known(r->link), "row %zu", i);
		sw_link_strip(r->link, (const uint8_t *)r->bytes, r->len, &type, &skip);
		cr_assert_eq(type, r->type, "row %zu: type %#x", i, type);
		cr_assert_eq(skip, r->skip, "row %zu: %zu bytes", i, skip);
	}
}

/* A header that is cut is nobody's. */
Test(link, every_prefix)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t n = 0; n < rows[i].skip; n++) {
			uint8_t *tight = malloc(n ? n : 1);
			uint16_t type = 1;
			size_t skip = 99;

			memcpy(tight, rows[i].bytes, n);
			sw_link_strip(rows[i].link, tight, n, &type, &skip);
			cr_assert(type == 0 && skip == n, "row %zu cut at %zu", i, n);
			free(tight);
		}
	}
}

Test(link, names)
{
	cr_assert_str_eq(sw_link_name(SW_LINK_ETHERNET), "Ethernet");
	cr_assert_str_eq(sw_link_name(12345), "?");
	cr_assert(!sw_link_known(12345), "12345 is known");
}
