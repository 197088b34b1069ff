/* SPDX-License-Identifier: MIT */
#ifndef SW_CLI_SERVER_CHANGE_H
#define SW_CLI_SERVER_CHANGE_H

#include "cli/server_impl.h"

#define SW_LINES_END 160 /* bytes of a text that are kept for sw_lines_end() */

/** A bounded text that grows by lines. */
struct sw_lines {
	char *text; /* borrowed; always ends with a zero byte */
	size_t size, len; /* size: more than SW_LINES_END */
	size_t more; /* lines that did not fit */
};

/** Add a line, or several.  What does not fit is left out and counted, and so is all that follows. */
void sw_line(struct sw_lines *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** Say how many lines were left out, if any, and then @last, which may be NULL and fits. */
void sw_lines_end(struct sw_lines *out, const char *last);

/**
 * Run with other settings, or, when none run yet, start with these.
 *
 * @param to     Taken over on success.
 * @param lines  Gets what is wrong, on failure.
 * @return 0, or errno with everything as before.
 */
SW_MUST int sw_server_change(struct sw_server *sv, struct sw_settings *to, struct sw_lines *lines);

#endif
