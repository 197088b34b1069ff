/* SPDX-License-Identifier: MIT */
/* Inside the settings: the checks between the tree of a text and the struct. */
#ifndef SW_OPS_SETTINGS_CHECK_H
#define SW_OPS_SETTINGS_CHECK_H

#include "ops/mistakes.h"
#include "ops/schema.h"
#include "ops/settings.h"
#include "ops/yaml.h"

/** Each key and value against its row of the table.  Marks what is wrong as bad. */
void sw_settings_check_shape(struct sw_yaml *root, struct sw_mistakes *m);

/** What no single value shows: names, pools, addresses guarded twice, the key file.  Works on what
 *  is not marked as bad. */
void sw_settings_check_whole(const struct sw_yaml *root, const struct sw_settings_look *look,
			     struct sw_mistakes *m);

/** One value against its row.  @return true and nothing written, or false and what is wrong and
 *  what would be right. */
SW_MUST bool sw_option_check(const struct sw_option *o, const char *text, char *err, size_t errlen);

/** Write what an option takes: "a number of 1 to 64".  @return @out. */
const char *sw_option_expects(const struct sw_option *o, char *out, size_t size);

/** Write a text in double quotes, in ASCII: however it looks, it is read as the same text. */
void sw_settings_quote(const char *text, FILE *to);

#endif
