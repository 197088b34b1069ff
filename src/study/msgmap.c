/* SPDX-License-Identifier: MIT */
#include "study/msgmap.h"

#include <string.h>

/* What goes into the MAC. */
struct input {
	struct sw_seg seg;
	uint32_t client_isn;
	struct sw_cookie cookie;
};

enum what { FORM, DATA, CLIENT_PORT, SERVER_PORT, CLIENT_ISN, EPOCH, CLIENT_ADDR, SERVER_ADDR,
	    NWHAT };

static const char *const names[NWHAT] = {
	[FORM] = "form and family",    [DATA] = "data bits",
	[CLIENT_PORT] = "client port", [SERVER_PORT] = "server port",
	[CLIENT_ISN] = "client ISN",   [EPOCH] = "epoch",
	[CLIENT_ADDR] = "client address", [SERVER_ADDR] = "server address",
};

static size_t message(uint8_t msg[SW_COOKIE_MSG_MAX], const struct input *in)
{
	return sw_cookie_msg(msg, &in->seg, in->client_isn, in->cookie.form, in->cookie.data,
			     in->cookie.epoch);
}

static void flip_addr(struct sw_addr *a)
{
	for (size_t i = 0; i < sizeof(a->b); i++)
		a->b[i] = (uint8_t)~a->b[i];
}

/* Every bit of one thing is turned over. */
static void turn(struct input *in, enum what w)
{
	switch (w) {
	case FORM:
		in->cookie.form = in->cookie.form == SW_FORM_WIDE ? SW_FORM_NARROW : SW_FORM_WIDE;
		break;
	case DATA:
		in->cookie.data = (uint16_t)~in->cookie.data;
		break;
	case CLIENT_PORT:
		in->seg.sport = (uint16_t)~in->seg.sport;
		break;
	case SERVER_PORT:
		in->seg.dport = (uint16_t)~in->seg.dport;
		break;
	case CLIENT_ISN:
		in->client_isn = ~in->client_isn;
		break;
	case EPOCH:
		in->cookie.epoch.n = ~in->cookie.epoch.n;
		break;
	case CLIENT_ADDR:
		flip_addr(&in->seg.src);
		break;
	case SERVER_ADDR:
		flip_addr(&in->seg.dst);
		break;
	case NWHAT:
		break;
	}
}

/* Who decides each byte: a number of enum what, or NWHAT when nothing does. */
static void find_owners(const struct input *in, const uint8_t *msg, size_t len,
			enum what owner[SW_COOKIE_MSG_MAX])
{
	for (size_t i = 0; i < len; i++)
		owner[i] = NWHAT;
	for (enum what w = 0; w < NWHAT; w++) {
		uint8_t other[SW_COOKIE_MSG_MAX];
		struct input changed = *in;

		turn(&changed, w);
		(void)message(other, &changed);
		for (size_t i = 0; i < len; i++) {
			if (other[i] != msg[i])
				owner[i] = w;
		}
	}
}

size_t sw_msg_map(const struct sw_seg *seg, uint32_t client_isn, const struct sw_cookie *c,
		  uint8_t msg[SW_COOKIE_MSG_MAX], size_t *len,
		  struct sw_msg_part out[SW_MSG_PARTS])
{
	const struct input in = { .seg = *seg, .client_isn = client_isn, .cookie = *c };
	enum what owner[SW_COOKIE_MSG_MAX];
	size_t n = 0;

	*len = message(msg, &in);
	find_owners(&in, msg, *len, owner);
	for (size_t i = 0; i < *len; i++) {
		if (n > 0 && (owner[i] == owner[i - 1] || n == SW_MSG_PARTS)) {
			out[n - 1].len++;
			continue;
		}
		out[n++] = (struct sw_msg_part){ .name = owner[i] == NWHAT ? "version" :
									     names[owner[i]],
						 .off = i, .len = 1 };
	}
	return n;
}
