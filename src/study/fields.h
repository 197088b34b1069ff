/* SPDX-License-Identifier: MIT */
/* The fields of a cookie in words.  Positions and meanings come from src/core. */
#ifndef SW_STUDY_FIELDS_H
#define SW_STUDY_FIELDS_H

#include "core/cookie.h"

#define SW_FIELD_TEXT 96

/** One field of a cookie, read out of the numbers on the wire. */
struct sw_field {
	const char *name; /* "tag", "epoch_parity", "mss_index", "wscale", "sack", "ecn" */
	bool in_tsval;	  /* it is in the TSval, else in the ISN */
	uint8_t hi, lo;	  /* bit numbers, 0 is the lowest */
	uint32_t value;
	char meaning[SW_FIELD_TEXT]; /* "1460 bytes", "shift 7", "offered" */
};

#define SW_FIELDS_MAX 8

/**
 * Take a cookie apart.
 *
 * @param c  form, data, isn and tsval are read.
 * @return how many fields there are, highest bit of the ISN first.
 */
size_t sw_fields(struct sw_field out[SW_FIELDS_MAX], enum sw_family family,
		 const struct sw_cookie *c);

#endif
