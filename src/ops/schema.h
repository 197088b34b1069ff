/* SPDX-License-Identifier: MIT */
/*
 * The one table of all options of a configuration file.  Reading, checking, printing and comparing
 * go by it, libcyaml's schema is built from it, and tests compare the manual and
 * conf/synward.yaml with it.
 */
#ifndef SW_OPS_SCHEMA_H
#define SW_OPS_SCHEMA_H

#include "core/types.h"

#include <cyaml/cyaml.h>
#include <stdio.h>

enum sw_option_kind {
	SW_OPTION_COUNT,     /* uint32_t */
	SW_OPTION_TIME,	     /* uint32_t, ms; "3s" in the file */
	SW_OPTION_FLAG,	     /* bool */
	SW_OPTION_WORD,	     /* an enum, one of words[] */
	SW_OPTION_NAME,	     /* char *; a to z, 0 to 9, _ and - */
	SW_OPTION_INTERFACE, /* char * */
	SW_OPTION_PATH,	     /* char *; begins with / */
	SW_OPTION_TEXT,	     /* char * */
	SW_OPTION_ADDRESS,   /* char *; "192.0.2.1:80" */
	SW_OPTION_ADDRESSES, /* char **, and their number */
	SW_OPTION_TEXTS,     /* char **, and their number */
	SW_OPTION_GROUP,     /* a struct of its own */
	SW_OPTION_GROUPS,    /* an array of structs, and their number */
};

/** Whether a reload applies a change, or the program must be started again. */
enum sw_option_change { SW_CHANGE_LIVE, SW_CHANGE_RESTART };

struct sw_group;

/** One option. */
struct sw_option {
	const char *key;
	const char *dflt; /* as in a file; "" for a text that is not set, NULL: must be given */
	const char *help; /* one line, without a full stop */
	const char *unit; /* of a count, "bytes"; NULL for a bare number */
	enum sw_option_kind kind;
	enum sw_option_change change;
	uint32_t min, max; /* count: value; time: ms; text: bytes; lists: how many */
	uint32_t offset;   /* in the struct of its group */
	uint32_t count_offset; /* of lists: where their number is */
	const struct cyaml_strval *words;
	uint32_t nwords;
	const struct sw_group *group;
};

/** The options of one map. */
struct sw_group {
	const char *noun;  /* "listener" */
	const char *where; /* for messages: "in a listener" */
	const struct sw_option *option;
	size_t n;
	size_t size; /* of its struct */
};

/** The whole file; its struct is struct sw_settings. */
extern const struct sw_group sw_settings_schema;

/** @return the option of that key, or NULL. */
const struct sw_option *sw_option_find(const struct sw_group *group, const char *key);

/** Write every option as a line: "listeners.workers", its default or "required", "live" or
 *  "restart", what it takes, and its help, with tabs between. */
void sw_schema_list(FILE *to);

/** @return what libcyaml wants to know, built from the table once. */
const struct cyaml_schema_value *sw_settings_cyaml(void);

/** Read "500ms", "3s", "10m", "1h", or "0".  @param ms  Written on success. */
SW_MUST bool sw_time_parse_ms(const char *text, uint32_t *ms);

#define SW_TIME_STRLEN 16
/** Write a time in its largest unit that divides it, so that sw_time_parse_ms() reads it. */
const char *sw_time_str_ms(uint32_t ms, char out[SW_TIME_STRLEN]);

#endif
