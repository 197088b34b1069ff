/* SPDX-License-Identifier: MIT */
/*
 * Which bytes of the MAC's input hold what.  Found by changing one thing after the other and
 * looking which bytes of sw_cookie_msg() follow, so it says what the core does.
 */
#ifndef SW_STUDY_MSGMAP_H
#define SW_STUDY_MSGMAP_H

#include "core/cookie.h"

#define SW_MSG_PARTS 12

struct sw_msg_part {
	const char *name; /* "version", "form and family", "data bits", "client port", ... */
	size_t off, len;  /* bytes */
};

/**
 * Take the MAC's input for this cookie apart.
 *
 * @param msg  Out: the bytes themselves.
 * @param len  Out: how many.
 * @return the number of parts, in the order of their bytes; together they cover the message.
 */
size_t sw_msg_map(const struct sw_seg *seg, uint32_t client_isn, const struct sw_cookie *c,
		  uint8_t msg[SW_COOKIE_MSG_MAX], size_t *len,
		  struct sw_msg_part out[SW_MSG_PARTS]);

#endif
