/* SPDX-License-Identifier: MIT */
/*
 * Why a cookie that was refused is nearly right.  The core only says "forged": here other ports,
 * times, forms and numbers are put in the refused segment's place and given to the core again,
 * until one is proven.  Nothing on the packet path does that.
 */
#ifndef SW_STUDY_NEIGHBOUR_H
#define SW_STUDY_NEIGHBOUR_H

#include "core/cookie.h"

enum sw_near {
	SW_NEAR_NONE,	     /* nothing near is right: a guess, or another key */
	SW_NEAR_TIME,	     /* right at another time */
	SW_NEAR_MAC,	     /* right with the other MAC */
	SW_NEAR_SERVER_PORT, /* right for another port of the server */
	SW_NEAR_CLIENT_PORT, /* right for another port of the client: an address translator */
	SW_NEAR_REVERSED,    /* right for the other direction */
	SW_NEAR_SEQ,	     /* right for another sequence number: a later segment of the stream */
	SW_NEAR_ACK,	     /* the ACK number is off by one */
	SW_NEAR_TS_LOST,     /* the ISN is right, but the timestamp option is missing */
	SW_NEAR_TS_ADDED,    /* right without the timestamp option that is there */
	SW_NEAR_TSECR,	     /* the ISN is right, the TSecr is not */
	SW_NEAR_ISN,	     /* the TSecr is right, the ACK number is not */
	SW_NNEAR
};

/** How far to look: milliseconds, or up to half a second. */
enum sw_effort { SW_EFFORT_QUICK, SW_EFFORT_FULL };

struct sw_neighbour {
	enum sw_near kind;
	struct sw_cookie cookie; /* the genuine one, unless NONE */
	enum sw_mac_alg alg;	 /* that proves it */
	uint32_t got, right;	 /* port, number or TSecr: what came, what would be proven */
	uint32_t tried;		 /* cookies that were compared: the odds of a chance hit */
};

/**
 * Look for a neighbour of @ack that is proven.
 *
 * @param now  The time at which @ack was refused.
 * @return false when libcrypto fails; @out->kind is then SW_NEAR_NONE.
 */
SW_MUST bool sw_neighbour_find(const struct sw_masters *masters, enum sw_mac_alg alg,
			       const struct sw_seg *ack, sw_wall now, enum sw_effort effort,
			       struct sw_neighbour *out);

/** Put it into words, as in "right cookie for port 443, this ACK came to 8443". */
void sw_neighbour_text(const struct sw_neighbour *n, const struct sw_seg *ack, sw_wall now,
		       sw_wall minted, char *out, size_t len);

#endif
