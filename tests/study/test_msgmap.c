/* SPDX-License-Identifier: MIT */
#include "study/msgmap.h"

#include "study/keys.h"

#include <criterion/criterion.h>
#include <string.h>

struct want {
	const char *name;
	size_t off4, len4, off6, len6;
};

/* The table of docs/cookie.md, "MAC". */
static const struct want wants[] = {
	{ "version", 0, 1, 0, 1 },	       { "form and family", 1, 1, 1, 1 },
	{ "data bits", 2, 2, 2, 2 },	       { "client port", 4, 2, 4, 2 },
	{ "server port", 6, 2, 6, 2 },	       { "client ISN", 8, 4, 8, 4 },
	{ "epoch", 12, 4, 12, 4 },	       { "client address", 16, 4, 16, 16 },
	{ "server address", 20, 4, 32, 16 },
};

Test(msgmap, is_the_manuals)
{
	for (int i = 0; i < 4; i++) {
		const bool v4 = i & 1;
		const struct frame_spec s = keys_syn(v4 ? SW_IP4 : SW_IP6, i & 2);
		const struct sw_masters m = keys_masters(1);
		const struct sw_cookie c =
			keys_mint(&m, 0, SW_MAC_HMAC_SHA256, &s, (sw_wall){ KEYS_NOW_NS });
		const struct sw_seg seg = frame_seg(&s);
		struct sw_msg_part part[SW_MSG_PARTS];
		uint8_t msg[SW_COOKIE_MSG_MAX], again[SW_COOKIE_MSG_MAX];
		size_t len, n = sw_msg_map(&seg, seg.seq, &c, msg, &len, part);

		cr_assert_eq(n, sizeof(wants) / sizeof(wants[0]), "%zu parts", n);
		for (size_t k = 0; k < n; k++) {
			cr_assert_str_eq(part[k].name, wants[k].name);
			cr_assert_eq(part[k].off, v4 ? wants[k].off4 : wants[k].off6, "%s at %zu",
				     part[k].name, part[k].off);
			cr_assert_eq(part[k].len, v4 ? wants[k].len4 : wants[k].len6, "%s: %zu",
				     part[k].name, part[k].len);
		}
		cr_assert_eq(len, sw_cookie_msg(again, &seg, seg.seq, c.form, c.data, c.epoch),
			     "length %zu", len);
		cr_assert_eq(memcmp(msg, again, len), 0, "another message");
	}
}
