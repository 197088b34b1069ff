/* SPDX-License-Identifier: MIT */
/* The summary of a capture, for people. */
#ifndef SW_STUDY_REPORT_H
#define SW_STUDY_REPORT_H

#include "study/explain.h"

#define SW_REPORT_TOP	  10 /* talkers listed */
#define SW_REPORT_TARGETS 10
#define SW_FLOOD_TEXT	  640

/** Write it, after sw_summary_end(). */
void sw_report_text(FILE *out, struct sw_summary *s, const struct sw_explain_config *cf,
		    const struct sw_explain_result *r);

/** What the attempts at a target look like, in a sentence.  @return @out. */
const char *sw_report_flood(const struct sw_summary *s, const struct sw_target *t,
			    char out[SW_FLOOD_TEXT]);

/** @return true when a source tried many ports that did not open. */
bool sw_report_is_scan(const struct sw_top_entry *e);

/** A hint for a reader whose frames were refused for @why, or NULL. */
const char *sw_report_hint(enum sw_why why);

#endif
