/* SPDX-License-Identifier: MIT */
/*
 * YAML text as a tree in which every key and value knows its line and column.
 *
 * libcyaml tells no place for most errors, so the text is read twice: first here, with the events
 * of libyaml (which libcyaml is built on), to check it and point at mistakes; then by libcyaml.
 * Size, depth and number of nodes are bounded, and aliases are refused, so a small text cannot
 * become large in memory.
 */
#ifndef SW_OPS_YAML_H
#define SW_OPS_YAML_H

#include "core/types.h"
#include "ops/mistakes.h"

#define SW_YAML_MAX_BYTES (256 * 1024)
#define SW_YAML_MAX_NODES 20000
#define SW_YAML_MAX_DEPTH 16
#define SW_YAML_MAX_KEYS  256 /* in one map */

enum sw_yaml_kind { SW_YAML_TEXT, SW_YAML_LIST, SW_YAML_MAP };

/** One value.  Lines and columns count from 1, in characters. */
struct sw_yaml {
	enum sw_yaml_kind kind;
	unsigned line, column;
	char *text; /* owned; of a SW_YAML_TEXT, ends with a zero and has none before */
	bool plain; /* the text was written without quotes */
	bool bad;   /* a mistake was found here; for the checks that come later */

	struct sw_yaml *first, *last; /* owned; items of a list, values of a map, in order */
	size_t count;		      /* of those */
	struct sw_yaml *next;	      /* the next item or value of the same parent */
	char *key;		      /* owned; of a map's value */
	unsigned key_line, key_column;
};

/**
 * @param mistakes  Gets what is wrong: one mistake of syntax, or every duplicate key.
 * @return the root, which the caller frees with sw_yaml_free(), or NULL when the text cannot be
 *         understood as YAML.  With duplicate keys there is a root, and mistakes.
 */
struct sw_yaml *sw_yaml_read(const char *text, size_t len, struct sw_mistakes *mistakes);

/** NULL is allowed. */
void sw_yaml_free(struct sw_yaml *root);

/** @return the value of @key, or NULL when there is none or @map is NULL or not a map. */
struct sw_yaml *sw_yaml_get(const struct sw_yaml *map, const char *key);

#endif
