/* SPDX-License-Identifier: MIT */
/* What a single value of a configuration does not show: names, ways, floods, the key file. */
#include "listen/keyfile.h"
#include "ops/settings_tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_NAMES   200 /* bytes of a list of names in a message */
#define XDP_LISTENERS 16  /* SW_BPF_LISTENERS: they share one program */
#define MSS_LEAST     88  /* as in struct synward_config */

static void check_names(const struct sw_whole *w, const char *list, const char *what)
{
	for (const struct sw_yaml *a = sw_tree_items(w->root, list); a; a = a->next) {
		const struct sw_yaml *b = sw_tree_items(w->root, list);
		const char *name = sw_tree_text(a, "name");

		while (name && b != a &&
		       !(sw_tree_text(b, "name") && !strcmp(sw_tree_text(b, "name"), name)))
			b = b->next;
		if (name && b != a)
			SW_SAY(w, a, "name",
			       "%s \"%s\" is named twice, first on line %u; give each its own name",
			       what, name, sw_yaml_get(b, "name")->line);
	}
}

static size_t pool_names(const struct sw_whole *w, const char *names[SW_MAX_POOLS])
{
	size_t n = 0;

	for (const struct sw_yaml *p = sw_tree_items(w->root, "pools"); p && n < SW_MAX_POOLS;
	     p = p->next)
		if (sw_tree_text(p, "name"))
			names[n++] = sw_tree_text(p, "name");
	return n;
}

static void unknown_pool(const struct sw_whole *w, const struct sw_yaml *listener, const char *name)
{
	const char *names[SW_MAX_POOLS], *near;
	const size_t n = pool_names(w, names);
	char all[SHOWN_NAMES] = "";
	size_t at = 0;

	near = sw_nearest(name, names, n);
	for (size_t i = 0; i < n && at < sizeof(all); i++)
		at += (size_t)snprintf(all + at, sizeof(all) - at, "%s%s", i ? ", " : "", names[i]);
	if (near)
		SW_SAY(w, listener, "upstreams", "no pool is named \"%s\"; did you mean \"%s\"?",
		       name, near);
	else if (n)
		SW_SAY(w, listener, "upstreams", "no pool is named \"%s\"; the pools are %s", name,
		       all);
	else
		SW_SAY(w, listener, "upstreams", "no pool is named \"%s\"; add it under pools",
		       name);
}

static bool has_pool(const struct sw_whole *w, const char *name)
{
	const char *names[SW_MAX_POOLS];
	const size_t n = pool_names(w, names);

	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

/* Where the connections of a listener go. */
static void check_way(const struct sw_whole *w, const struct sw_yaml *l)
{
	const struct sw_yaml *upstreams = sw_yaml_get(l, "upstreams");
	const struct sw_yaml *transparent = sw_yaml_get(l, "transparent");

	if ((upstreams && upstreams->bad) || (transparent && transparent->bad))
		return;
	if (sw_tree_is_set(l, "upstreams") && sw_tree_is_true(l, "transparent"))
		SW_SAY(w, l, "upstreams",
		       "listener \"%s\" has upstreams and is transparent; keep one of the two",
		       sw_tree_name(l));
	else if (!sw_tree_is_set(l, "upstreams") && !sw_tree_is_true(l, "transparent"))
		sw_mistake_add(w->m, l->line, l->column,
			       "listener \"%s\" has no upstreams and is not transparent; add "
			       "\"upstreams: POOL\" or \"transparent: true\"",
			       sw_tree_name(l));
	else if (sw_tree_is_set(l, "upstreams") && !has_pool(w, sw_tree_text(l, "upstreams")))
		unknown_pool(w, l, sw_tree_text(l, "upstreams"));
}

static void check_interface(const struct sw_whole *w, const struct sw_yaml *l)
{
	const struct sw_yaml *own = sw_yaml_get(l, "interface");
	const struct sw_yaml *all = sw_yaml_get(w->root, "interface");

	if (sw_tree_interface(w->root, l) || (own && own->bad) || (all && all->bad))
		return;
	SW_SAY(w, l, "interface",
	       "listener \"%s\" has no interface; add \"interface: eth0\", here or for all",
	       sw_tree_name(l));
}

static void check_mss(const struct sw_whole *w, const struct sw_yaml *l)
{
	const char *text = sw_tree_text(l, "mss_max");
	const unsigned long mss = text ? strtoul(text, NULL, 10) : 0;

	if (mss > 0 && mss < MSS_LEAST)
		SW_SAY(w, l, "mss_max", "mss_max: \"%s\" is too small; expected 0, or %d to 65495",
		       text, MSS_LEAST);
}

static bool is_xdp(const struct sw_yaml *l)
{
	const char *offload = sw_tree_text(l, "offload");

	return sw_tree_is_true(l, "transparent") || (offload && strcmp(offload, "xdp") == 0);
}

/* Listeners that share one XDP program have a bounded number of places there. */
static void check_xdp(const struct sw_whole *w, const struct sw_yaml *l)
{
	const char *interface = sw_tree_interface(w->root, l);
	unsigned before = 0;

	if (!interface || !is_xdp(l))
		return;
	for (const struct sw_yaml *k = sw_tree_items(w->root, "listeners"); k != l; k = k->next) {
		const char *its = sw_tree_interface(w->root, k);

		before += is_xdp(k) && its && strcmp(its, interface) == 0;
	}
	if (before >= XDP_LISTENERS)
		sw_mistake_add(w->m, l->line, l->column,
			       "listener \"%s\" is one too many with XDP on %s; at most %d share "
			       "an interface, put more addresses into one listener",
			       sw_tree_name(l), interface, XDP_LISTENERS);
}

static uint32_t count_or_default(const struct sw_yaml *map, const struct sw_group *group,
				 const char *key)
{
	const char *text = sw_tree_text(map, key);

	return (uint32_t)strtoul(text ? text : sw_option_find(group, key)->dflt, NULL, 10);
}

static void check_flood(const struct sw_whole *w)
{
	const struct sw_group *group = sw_option_find(&sw_settings_schema, "flood")->group;
	const struct sw_yaml *flood = sw_yaml_get(w->root, "flood");
	const struct sw_yaml *program = sw_tree_items(flood, "command");
	uint32_t enter, leave;

	if (!flood || flood->kind != SW_YAML_MAP)
		return;
	enter = count_or_default(flood, group, "enter");
	leave = count_or_default(flood, group, "leave");
	if (enter > 0 && leave >= enter)
		SW_SAY(w, flood, "leave",
		       "leave: %u is not below enter, which is %u; expected less", leave, enter);
	if (program && program->kind == SW_YAML_TEXT && !program->bad && program->text[0] != '/')
		sw_mistake_add(w->m, program->line, program->column,
			       "command: \"%.60s\" is not a path from the root; no shell looks it "
			       "up, write /usr/bin/%.60s",
			       program->text, program->text);
}

static void check_key_file(const struct sw_whole *w, const struct sw_settings_look *look)
{
	const char *path =
		look->key_file_path ? look->key_file_path : sw_tree_text(w->root, "key_file");
	const struct sw_yaml *at = sw_yaml_get(w->root, "key_file");
	struct sw_keyfile file;
	char err[300];

	if (!look->key_file || !path || !*path)
		return;
	if (sw_keyfile_load(path, &file, err, sizeof(err)) < 0)
		sw_mistake_add(w->m, at ? at->line : 0, at ? at->column : 0, "key_file: %s", err);
	explicit_bzero(&file, sizeof(file));
}

void sw_settings_check_whole(const struct sw_yaml *root, const struct sw_settings_look *look,
			     struct sw_mistakes *m)
{
	const struct sw_whole w = { root, m };

	check_names(&w, "listeners", "listener");
	check_names(&w, "pools", "pool");
	for (const struct sw_yaml *l = sw_tree_items(root, "listeners"); l; l = l->next) {
		if (l->kind != SW_YAML_MAP)
			continue;
		check_way(&w, l);
		check_interface(&w, l);
		check_mss(&w, l);
		check_xdp(&w, l);
	}
	sw_settings_check_addresses(&w);
	check_flood(&w);
	check_key_file(&w, look);
}
