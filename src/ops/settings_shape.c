/* SPDX-License-Identifier: MIT */
/* The tree of a configuration against the table. */
#include "ops/settings_check.h"

#include <stdio.h>
#include <string.h>

#define MAX_KEYS 32 /* of one group */

static void check_group(const struct sw_group *group, struct sw_yaml *map, struct sw_mistakes *m);

static const char *kind_name(const struct sw_yaml *node)
{
	return node->kind == SW_YAML_LIST ? "a list" :
	       node->kind == SW_YAML_MAP  ? "a map" :
					    "a single value";
}

static bool is_null(const struct sw_yaml *node)
{
	return node->kind == SW_YAML_TEXT && node->plain &&
	       (!*node->text || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0);
}

static void wrong_kind(const struct sw_option *o, struct sw_yaml *node, struct sw_mistakes *m)
{
	char right[160];

	node->bad = true;
	sw_option_expects(o, right, sizeof(right));
	if (is_null(node))
		sw_mistake_add(m, node->line, node->column, "%s has no value; expected %s", o->key,
			       right);
	else
		sw_mistake_add(m, node->line, node->column, "%s: %s; expected %s", o->key,
			       kind_name(node), right);
}

/* Of a list, @o is the list's row. */
static void check_text(const struct sw_option *o, struct sw_yaml *node, struct sw_mistakes *m)
{
	char err[SW_MISTAKE_LEN];

	if (sw_option_check(o, node->text, err, sizeof(err)))
		return;
	node->bad = true;
	sw_mistake_add(m, node->line, node->column, "%s", err);
}

static void check_number_of(const struct sw_option *o, struct sw_yaml *list, struct sw_mistakes *m)
{
	if (list->count >= o->min && list->count <= o->max)
		return;
	list->bad = true;
	sw_mistake_add(m, list->line, list->column, "%s: %zu entries; expected %u to %u", o->key,
		       list->count, o->min, o->max);
}

static void check_list(const struct sw_option *o, struct sw_yaml *list, struct sw_mistakes *m)
{
	check_number_of(o, list, m);
	for (struct sw_yaml *item = list->first; item; item = item->next) {
		if (item->kind == SW_YAML_TEXT && !is_null(item)) {
			check_text(o, item, m);
			continue;
		}
		item->bad = true;
		sw_mistake_add(m, item->line, item->column,
			       item->kind == SW_YAML_LIST && o->kind == SW_OPTION_ADDRESSES ?
				       "%s: a list in the list; an IPv6 address needs quotes, "
				       "\"[2001:db8::1]:443\"" :
				       "%s: an entry that is not a text; put it in quotes",
			       o->key);
	}
}

static void check_groups(const struct sw_option *o, struct sw_yaml *list, struct sw_mistakes *m)
{
	check_number_of(o, list, m);
	for (struct sw_yaml *item = list->first; item; item = item->next) {
		if (item->kind == SW_YAML_MAP) {
			check_group(o->group, item, m);
			continue;
		}
		item->bad = true;
		sw_mistake_add(m, item->line, item->column,
			       "%s: %s; expected a %s such as \"- name: web\" and more keys below",
			       o->key, is_null(item) ? "nothing" : kind_name(item), o->group->noun);
	}
}

static void check_value(const struct sw_option *o, struct sw_yaml *node, struct sw_mistakes *m)
{
	switch (o->kind) {
	case SW_OPTION_GROUP:
		if (node->kind == SW_YAML_MAP)
			check_group(o->group, node, m);
		else
			wrong_kind(o, node, m);
		return;
	case SW_OPTION_GROUPS:
		if (node->kind == SW_YAML_LIST)
			check_groups(o, node, m);
		else
			wrong_kind(o, node, m);
		return;
	case SW_OPTION_ADDRESSES:
	case SW_OPTION_TEXTS:
		if (node->kind == SW_YAML_LIST)
			check_list(o, node, m);
		else
			wrong_kind(o, node, m);
		return;
	default:
		if (node->kind == SW_YAML_TEXT && !is_null(node))
			check_text(o, node, m);
		else
			wrong_kind(o, node, m);
		return;
	}
}

/* @return the group below @group that has an option of that key, or NULL. */
static const struct sw_group *home_of(const struct sw_group *group, const char *key)
{
	const struct sw_group *found = sw_option_find(group, key) ? group : NULL;

	for (size_t i = 0; i < group->n && !found; i++)
		if (group->option[i].group)
			found = home_of(group->option[i].group, key);
	return found;
}

static void list_keys(const struct sw_group *group, char *out, size_t size)
{
	size_t at = 0;

	out[0] = '\0';
	for (size_t i = 0; i < group->n && at < size; i++)
		at += (size_t)snprintf(out + at, size - at, "%s%s", i ? ", " : "",
				       group->option[i].key);
}

static void unknown_key(const struct sw_group *group, struct sw_yaml *node, struct sw_mistakes *m)
{
	const struct sw_group *home = home_of(&sw_settings_schema, node->key);
	const char *keys[MAX_KEYS], *near;
	char all[300];

	for (size_t i = 0; i < group->n && i < MAX_KEYS; i++)
		keys[i] = group->option[i].key;
	near = sw_nearest(node->key, keys, group->n);
	list_keys(group, all, sizeof(all));
	node->bad = true;
	if (near)
		sw_mistake_add(m, node->key_line, node->key_column,
			       "unknown key \"%.60s\" %s; did you mean \"%s\"?", node->key,
			       group->where, near);
	else if (home)
		sw_mistake_add(m, node->key_line, node->key_column,
			       "unknown key \"%s\" %s; it belongs %s", node->key,
			       group->where, home->where);
	else
		sw_mistake_add(m, node->key_line, node->key_column,
			       "unknown key \"%.60s\" %s; the keys are %s", node->key,
			       group->where, all);
}

static void missing_key(const struct sw_option *o, const struct sw_group *group,
			const struct sw_yaml *map, struct sw_mistakes *m)
{
	char right[160];

	sw_mistake_add(m, map->line, map->column, "%s is missing %s; expected %s", o->key,
		       group->where, sw_option_expects(o, right, sizeof(right)));
}

static void check_group(const struct sw_group *group, struct sw_yaml *map, struct sw_mistakes *m)
{
	for (struct sw_yaml *node = map->first; node; node = node->next) {
		const struct sw_option *o = sw_option_find(group, node->key);

		if (o)
			check_value(o, node, m);
		else
			unknown_key(group, node, m);
	}
	for (size_t i = 0; i < group->n; i++)
		if (!group->option[i].dflt && !sw_yaml_get(map, group->option[i].key))
			missing_key(&group->option[i], group, map, m);
}

void sw_settings_check_shape(struct sw_yaml *root, struct sw_mistakes *m)
{
	if (root->kind == SW_YAML_MAP) {
		check_group(&sw_settings_schema, root, m);
		return;
	}
	root->bad = true;
	sw_mistake_add(m, root->line, root->column,
		       is_null(root) ? "empty; a configuration has listeners, see synward.yaml(5)" :
				       "not a map; a configuration begins with a key such as "
				       "\"listeners:\"");
}
