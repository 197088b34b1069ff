/* SPDX-License-Identifier: MIT */
/* Pictures of connections and rates as SVG, for the HTML page.  Styled by the page's classes. */
#ifndef SW_STUDY_SVG_H
#define SW_STUDY_SVG_H

#include "study/ladder.h"
#include "study/sketch.h"

/** Write text with &, <, >, ", ' and control characters escaped. */
void sw_svg_text(FILE *out, const char *text);

/** One ladder. */
void sw_svg_ladder(FILE *out, const struct sw_flow *flow);

/** SYNs and completed handshakes over time. */
void sw_svg_rates(FILE *out, const struct sw_rate *syns, const struct sw_rate *opens);

#endif
