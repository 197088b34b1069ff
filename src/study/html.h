/* SPDX-License-Identifier: MIT */
/*
 * What was explained, as one HTML page that needs nothing else: styles, script and pictures are
 * inside, and its content policy forbids it to load anything.
 */
#ifndef SW_STUDY_HTML_H
#define SW_STUDY_HTML_H

#include "study/explain.h"

struct sw_html;

/** Connections are kept in a temporary file until the summary is known.  @return 0 or -errno. */
SW_MUST int sw_html_begin(struct sw_html **h);
/** @return 0 or -errno of the write. */
SW_MUST int sw_html_flow(struct sw_html *h, const struct sw_flow *flow, const struct sw_look *look);
/** Write the page to @out.  @return 0 or -errno of a read or write. */
SW_MUST int sw_html_end(struct sw_html *h, FILE *out, struct sw_summary *s,
			const struct sw_explain_config *cf, const struct sw_explain_result *r);
/** NULL is allowed. */
void sw_html_free(struct sw_html *h);

#endif
