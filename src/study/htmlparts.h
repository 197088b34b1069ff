/* SPDX-License-Identifier: MIT */
/* The parts of the HTML page that are around the ladders. */
#ifndef SW_STUDY_HTMLPARTS_H
#define SW_STUDY_HTMLPARTS_H

#include "study/explain.h"

/** @param title  Any bytes. */
void sw_htmlparts_head(FILE *out, const char *title);
void sw_htmlparts_summary(FILE *out, struct sw_summary *s, const struct sw_explain_config *cf,
			  const struct sw_explain_result *r);
void sw_htmlparts_foot(FILE *out);

#endif
