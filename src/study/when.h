/* SPDX-License-Identifier: MIT */
/* Times of the wall clock, as people write them. */
#ifndef SW_STUDY_WHEN_H
#define SW_STUDY_WHEN_H

#include "core/types.h"

#define SW_TIME_TEXT 40

/**
 * "2023-11-14T22:13:20Z", with the digits of a fraction when there is one.
 *
 * @return @out.
 */
const char *sw_time_text(sw_wall t, char out[SW_TIME_TEXT]);

/**
 * Read unix seconds ("1700000000.5"), RFC 3339 ("2023-11-14T22:13:20Z", "...+01:00") or "now".
 *
 * @param now  What "now" means.
 * @return false when it is none of these, or not between 1970 and 2500.
 */
SW_MUST bool sw_time_parse(const char *text, sw_wall now, sw_wall *out);

#endif
