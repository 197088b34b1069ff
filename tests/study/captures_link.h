/* SPDX-License-Identifier: MIT */
/* What stands in front of IP for each link type that is read. */
#ifndef SW_TESTS_CAPTURES_LINK_H
#define SW_TESTS_CAPTURES_LINK_H

#include "core/types.h"

struct link_head {
	const char *name;
	uint32_t linktype;
	const char *head;
	size_t len;
	enum sw_family family;
	bool ethernet;
};

static const struct link_head link_heads[] = {
	{ "ethernet", 1, "", 0, SW_IP4, true },
	{ "ethernet6", 1, "", 0, SW_IP6, true },
	{ "null", 0, "\2\0\0\0", 4, SW_IP4, false },
	{ "null6", 0, "\36\0\0\0", 4, SW_IP6, false },
	{ "loop", 108, "\0\0\0\2", 4, SW_IP4, false },
	{ "raw", 101, "", 0, SW_IP4, false },
	{ "raw6", 101, "", 0, SW_IP6, false },
	{ "ipv4", 228, "", 0, SW_IP4, false },
	{ "ipv6", 229, "", 0, SW_IP6, false },
	{ "sll", 113, "\0\0\0\1\0\6abcdef\0\0\10\0", 16, SW_IP4, false },
	{ "sll6", 113, "\0\0\0\1\0\6abcdef\0\0\x86\xdd", 16, SW_IP6, false },
	{ "sll2", 276, "\10\0\0\0\0\0\0\2\0\1\0\6abcdef\0\0", 20, SW_IP4, false },
	{ "sll2-6", 276, "\x86\xdd\0\0\0\0\0\2\0\1\0\6abcdef\0\0", 20, SW_IP6, false },
};

#endif
