/* SPDX-License-Identifier: MIT */
#include "core/tcpopt.h"

#include "core/cursor.h"

#include <string.h>

#define WSCALE_MAX 14 /* RFC 7323 2.3 */

/* Lengths with the two bytes of kind and length. */
enum { LEN_SACK_OK = 2, LEN_WSCALE = 3, LEN_MSS = 4, LEN_TS = 10 };

static void read_option(struct sw_tcpopt *out, uint8_t kind, uint8_t len, struct sw_cur body)
{
	if (kind == SW_OPT_MSS && len == LEN_MSS) {
		out->mss = sw_cur_u16(&body);
	} else if (kind == SW_OPT_WSCALE && len == LEN_WSCALE) {
		const uint8_t shift = sw_cur_u8(&body);

		out->wscale = shift > WSCALE_MAX ? WSCALE_MAX : shift;
		out->wscale_ok = true;
	} else if (kind == SW_OPT_SACK_OK && len == LEN_SACK_OK) {
		out->sack = true;
	} else if (kind == SW_OPT_TS && len == LEN_TS) {
		out->tsval = sw_cur_u32(&body);
		out->tsecr = sw_cur_u32(&body);
		out->ts = true;
	}
}

void sw_tcpopt_parse(struct sw_tcpopt *out, const uint8_t *list, size_t len)
{
	struct sw_cur c = { list, list + len, false };

	memset(out, 0, sizeof(*out));
	while (c.p < c.end) {
		const uint8_t kind = sw_cur_u8(&c);
		uint8_t optlen;
		const uint8_t *body;

		if (kind == SW_OPT_EOL)
			return;
		if (kind == SW_OPT_NOP)
			continue;
		optlen = sw_cur_u8(&c);
		body = optlen >= 2 ? sw_cur_take(&c, optlen - 2u) : NULL;
		if (!body) {
			out->cut = true;
			return;
		}
		read_option(out, kind, optlen, (struct sw_cur){ body, c.p, false });
	}
}
