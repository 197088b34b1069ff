/* SPDX-License-Identifier: MIT */
/* Inside the checks of a whole configuration: its tree, by key.  A map may be NULL or no map. */
#ifndef SW_OPS_SETTINGS_TREE_H
#define SW_OPS_SETTINGS_TREE_H

#include "ops/settings_check.h"

/** What is checked, and where mistakes go. */
struct sw_whole {
	const struct sw_yaml *root;
	struct sw_mistakes *m;
};

/** @return the text of a key's value, or NULL when it is not there or is bad. */
const char *sw_tree_text(const struct sw_yaml *map, const char *key);

/** @return whether a key has a text that is not empty; whether it says true. */
bool sw_tree_is_set(const struct sw_yaml *map, const char *key);
bool sw_tree_is_true(const struct sw_yaml *map, const char *key);

/** The list under a key: its first item, or NULL.  A list that is too long is left alone: what
 *  follows compares each item with each. */
const struct sw_yaml *sw_tree_items(const struct sw_yaml *map, const char *key);

/** @return the name of a listener or a pool, "(no name)" without one. */
const char *sw_tree_name(const struct sw_yaml *map);

/** @return the interface of a listener, or NULL when none is named or the value is bad. */
const char *sw_tree_interface(const struct sw_yaml *root, const struct sw_yaml *listener);

/** A mistake at the value of a key, or at the map when the key is not there. */
#define SW_SAY(w, map, key_, ...)                                                                  \
	do {                                                                                       \
		const struct sw_yaml *at_ = sw_yaml_get((map), (key_));                            \
                                                                                                   \
		at_ = at_ ? at_ : (map);                                                           \
		sw_mistake_add((w)->m, at_->line, at_->column, __VA_ARGS__);                       \
	} while (0)

/** Addresses that stand against each other: guarded twice, a server twice in a pool, a server or
 * the metrics behind their own guard.  In settings_addresses.c. */
void sw_settings_check_addresses(const struct sw_whole *w);

#endif
