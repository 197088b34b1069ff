/* SPDX-License-Identifier: MIT */
/* What is wrong in a configuration file, each with its place. */
#ifndef SW_OPS_MISTAKES_H
#define SW_OPS_MISTAKES_H

#include "core/types.h"

#define SW_MISTAKE_LEN 400
#define SW_MISTAKES_MAX 100 /* kept; the rest is counted */

/** Line and column from 1, in characters; line 0 is the file as a whole. */
struct sw_mistake {
	unsigned line, column;
	char text[SW_MISTAKE_LEN];
};

/** Set the path and zero the rest. */
struct sw_mistakes {
	const char *path;      /* borrowed */
	struct sw_mistake *at; /* owned */
	size_t n, more;	       /* kept; not kept */
};

void sw_mistake_add(struct sw_mistakes *m, unsigned line, unsigned column, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/** Order them by place; those of one place stay as they were. */
void sw_mistakes_sort(struct sw_mistakes *m);

/** Write "FILE:LINE:COLUMN: text".  @return @out. */
const char *sw_mistake_str(const struct sw_mistakes *m, size_t i, char *out, size_t size);

void sw_mistakes_free(struct sw_mistakes *m);

/**
 * The candidate that a mistyped word most likely means: one letter in three may be wrong,
 * missing, too many or swapped; '-' and '_' are the same, and so are capitals.
 *
 * @return one of @candidates, or NULL when none is near.
 */
const char *sw_nearest(const char *word, const char *const *candidates, size_t n);

#endif
