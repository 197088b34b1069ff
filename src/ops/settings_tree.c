/* SPDX-License-Identifier: MIT */
#include "ops/settings_tree.h"

#include <string.h>

const char *sw_tree_text(const struct sw_yaml *map, const char *key)
{
	const struct sw_yaml *node = sw_yaml_get(map, key);

	return node && node->kind == SW_YAML_TEXT && !node->bad ? node->text : NULL;
}

bool sw_tree_is_set(const struct sw_yaml *map, const char *key)
{
	const char *text = sw_tree_text(map, key);

	return text && *text;
}

const struct sw_yaml *sw_tree_items(const struct sw_yaml *map, const char *key)
{
	const struct sw_yaml *node = sw_yaml_get(map, key);

	return node && node->kind == SW_YAML_LIST && !node->bad ? node->first : NULL;
}

const char *sw_tree_name(const struct sw_yaml *map)
{
	const char *name = sw_tree_text(map, "name");

	return name ? name : "(no name)";
}

bool sw_tree_is_true(const struct sw_yaml *map, const char *key)
{
	const char *text = sw_tree_text(map, key);

	return text && strcmp(text, "true") == 0;
}

const char *sw_tree_interface(const struct sw_yaml *root, const struct sw_yaml *l)
{
	const char *text = sw_tree_is_set(l, "interface") ? sw_tree_text(l, "interface")
							  : sw_tree_text(root, "interface");

	return text && *text ? text : NULL;
}
