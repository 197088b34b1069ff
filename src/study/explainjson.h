/* SPDX-License-Identifier: MIT */
/* What was explained, as one JSON object that is written while the capture is read. */
#ifndef SW_STUDY_EXPLAINJSON_H
#define SW_STUDY_EXPLAINJSON_H

#include "study/explain.h"

struct sw_json;

/** @param out  Borrowed.  @return 0 or -ENOMEM. */
SW_MUST int sw_json_begin(struct sw_json **j, FILE *out);
/** Write a connection.  @return 0, -ENOMEM, or what the write said. */
SW_MUST int sw_json_flow(struct sw_json *j, const struct sw_flow *flow, const struct sw_look *look);
/** Write the summary and the end.  @return as sw_json_flow(). */
SW_MUST int sw_json_end(struct sw_json *j, struct sw_summary *s,
			const struct sw_explain_config *cf, const struct sw_explain_result *r);
/** NULL is allowed. */
void sw_json_free(struct sw_json *j);

#endif
