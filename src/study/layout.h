/* SPDX-License-Identifier: MIT */
/* Without a key: what a SYN-ACK's numbers would say if they were a cookie of synward's. */
#ifndef SW_STUDY_LAYOUT_H
#define SW_STUDY_LAYOUT_H

#include "core/cookie.h"
#include "study/track.h"

#define SW_LAYOUT_TEXT 224

struct sw_layout {
	enum sw_form form;
	struct sw_terms terms; /* as the data bits have them */
	unsigned parity;       /* of the epoch */
	/*
	 * The parity is that of the SYN-ACK's time, and the terms are what the core's rounding
	 * makes of the client's offer.  Of random numbers, one of 512 fits (wide; the ECN bit is
	 * free), or one of 128 (narrow).
	 */
	bool fits;
};

/** @param out  Written on success.  @return false when no SYN and SYN-ACK were seen. */
SW_MUST bool sw_layout_of(const struct sw_track *t, enum sw_family family, struct sw_layout *out);

/** One line for people.  @return @out. */
const char *sw_layout_text(const struct sw_layout *l, char out[SW_LAYOUT_TEXT]);

#endif
