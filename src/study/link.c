/* SPDX-License-Identifier: MIT */
#include "study/link.h"

#include "core/cursor.h"

#define SLL_LEN	     16
#define SLL_PROTO    14
#define SLL2_LEN     20
#define NULL_LEN     4
#define BSD_INET     2 /* AF_INET everywhere */

static const struct link {
	int type;
	const char *name;
} links[] = {
	{ SW_LINK_NULL, "BSD loopback" }, { SW_LINK_ETHERNET, "Ethernet" },
	{ SW_LINK_RAW, "raw IP" },	  { SW_LINK_LOOP, "OpenBSD loopback" },
	{ SW_LINK_SLL, "Linux cooked v1" }, { SW_LINK_IPV4, "raw IPv4" },
	{ SW_LINK_IPV6, "raw IPv6" },	  { SW_LINK_SLL2, "Linux cooked v2" },
};

static const struct link *find(int linktype)
{
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		if (links[i].type == linktype)
			return &links[i];
	}
	return NULL;
}

bool sw_link_known(int linktype)
{
	return find(linktype) != NULL;
}

const char *sw_link_name(int linktype)
{
	const struct link *l = find(linktype);

	return l ? l->name : "?";
}

/* AF_INET6 is 10 on Linux, 24, 28 and 30 on the BSDs and macOS. */
static uint16_t type_of_family(uint32_t family)
{
	/* The writer's byte order is not known; no family is above 255. */
	if (family > 0xffffffu)
		family >>= 24;
	switch (family) {
	case BSD_INET:
		return SW_ETH_IP4;
	case 10:
	case 24:
	case 28:
	case 30:
		return SW_ETH_IP6;
	default:
		return 0;
	}
}

static uint16_t type_of_version(uint8_t first)
{
	return first >> 4 == 4 ? SW_ETH_IP4 : first >> 4 == 6 ? SW_ETH_IP6 : 0;
}

void sw_link_strip(int linktype, const uint8_t *data, size_t len, uint16_t *type, size_t *skip)
{
	struct sw_cur c = { data, data + len, false };

	*type = 0;
	*skip = 0;
	switch (linktype) {
	case SW_LINK_NULL:
	case SW_LINK_LOOP:
		*type = type_of_family(sw_cur_u32(&c));
		*skip = NULL_LEN;
		break;
	case SW_LINK_SLL:
		(void)sw_cur_take(&c, SLL_PROTO);
		*type = sw_cur_u16(&c);
		*skip = SLL_LEN;
		break;
	case SW_LINK_SLL2:
		*type = sw_cur_u16(&c);
		*skip = SLL2_LEN;
		break;
	case SW_LINK_IPV4:
		*type = SW_ETH_IP4;
		break;
	case SW_LINK_IPV6:
		*type = SW_ETH_IP6;
		break;
	case SW_LINK_RAW:
		*type = type_of_version(sw_cur_u8(&c));
		break;
	default:
		break;
	}
	if (c.bad || *skip > len) {
		*type = 0;
		*skip = len;
	}
}
