/* SPDX-License-Identifier: MIT */
/* What a single value of a configuration does not show. */
#include "listen/keyfile.h"
#include "ops/settings_check.h"
#include "steer/addr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_NAMES  200 /* bytes of a list of names in a message */
#define XDP_LISTENERS 16 /* SW_BPF_LISTENERS: they share one program */
#define MSS_LEAST     88 /* as in struct synward_config */

/* What is checked, with its place. */
struct whole {
	const struct sw_yaml *root;
	struct sw_mistakes *m;
};

/* @return the text of a key's value, or NULL when it is not there or is bad. */
static const char *text_of(const struct sw_yaml *map, const char *key)
{
	const struct sw_yaml *node = sw_yaml_get(map, key);

	return node && node->kind == SW_YAML_TEXT && !node->bad ? node->text : NULL;
}

static bool is_set(const struct sw_yaml *map, const char *key)
{
	const char *text = text_of(map, key);

	return text && *text;
}

/* The list under a key: its first item, or NULL.  A list that is too long is left alone: what
 * follows compares each item with each. */
static const struct sw_yaml *items_of(const struct sw_yaml *map, const char *key)
{
	const struct sw_yaml *node = sw_yaml_get(map, key);

	return node && node->kind == SW_YAML_LIST && !node->bad ? node->first : NULL;
}

static const char *name_of(const struct sw_yaml *map)
{
	const char *name = text_of(map, "name");

	return name ? name : "(no name)";
}

static bool is_true(const struct sw_yaml *map, const char *key)
{
	const char *text = text_of(map, key);

	return text && strcmp(text, "true") == 0;
}

/* A mistake at the value of a key, or at the map when the key is not there. */
#define SAY(w, map, key_, ...)                                                                     \
	do {                                                                                       \
		const struct sw_yaml *at_ = sw_yaml_get((map), (key_));                            \
                                                                                                   \
		at_ = at_ ? at_ : (map);                                                           \
		sw_mistake_add((w)->m, at_->line, at_->column, __VA_ARGS__);                       \
	} while (0)

static void check_names(const struct whole *w, const char *list, const char *what)
{
	for (const struct sw_yaml *a = items_of(w->root, list); a; a = a->next) {
		const struct sw_yaml *b = items_of(w->root, list);
		const char *name = text_of(a, "name");

		while (name && b != a && !(text_of(b, "name") && !strcmp(text_of(b, "name"), name)))
			b = b->next;
		if (name && b != a)
			SAY(w, a, "name",
			    "%s \"%s\" is named twice, first on line %u; give each its own name",
			    what, name, sw_yaml_get(b, "name")->line);
	}
}

static size_t pool_names(const struct whole *w, const char *names[SW_MAX_POOLS])
{
	size_t n = 0;

	for (const struct sw_yaml *p = items_of(w->root, "pools"); p && n < SW_MAX_POOLS;
	     p = p->next)
		if (text_of(p, "name"))
			names[n++] = text_of(p, "name");
	return n;
}

static void unknown_pool(const struct whole *w, const struct sw_yaml *listener, const char *name)
{
	const char *names[SW_MAX_POOLS], *near;
	const size_t n = pool_names(w, names);
	char all[SHOWN_NAMES] = "";
	size_t at = 0;

	near = sw_nearest(name, names, n);
	for (size_t i = 0; i < n && at < sizeof(all); i++)
		at += (size_t)snprintf(all + at, sizeof(all) - at, "%s%s", i ? ", " : "", names[i]);
	if (near)
		SAY(w, listener, "upstreams", "no pool is named \"%s\"; did you mean \"%s\"?", name,
		    near);
	else if (n)
		SAY(w, listener, "upstreams", "no pool is named \"%s\"; the pools are %s", name,
		    all);
	else
		SAY(w, listener, "upstreams", "no pool is named \"%s\"; add it under pools", name);
}

static bool has_pool(const struct whole *w, const char *name)
{
	const char *names[SW_MAX_POOLS];
	const size_t n = pool_names(w, names);

	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

/* Where the connections of a listener go. */
static void check_way(const struct whole *w, const struct sw_yaml *l)
{
	const struct sw_yaml *upstreams = sw_yaml_get(l, "upstreams");
	const struct sw_yaml *transparent = sw_yaml_get(l, "transparent");

	if ((upstreams && upstreams->bad) || (transparent && transparent->bad))
		return;
	if (is_set(l, "upstreams") && is_true(l, "transparent"))
		SAY(w, l, "upstreams",
		    "listener \"%s\" has upstreams and is transparent; keep one of the two",
		    name_of(l));
	else if (!is_set(l, "upstreams") && !is_true(l, "transparent"))
		sw_mistake_add(w->m, l->line, l->column,
			       "listener \"%s\" has no upstreams and is not transparent; add "
			       "\"upstreams: POOL\" or \"transparent: true\"",
			       name_of(l));
	else if (is_set(l, "upstreams") && !has_pool(w, text_of(l, "upstreams")))
		unknown_pool(w, l, text_of(l, "upstreams"));
}

/* @return the interface of a listener, or NULL when none is named or the value is bad. */
static const char *interface_of(const struct whole *w, const struct sw_yaml *l)
{
	const char *text = is_set(l, "interface") ? text_of(l, "interface") :
						    text_of(w->root, "interface");

	return text && *text ? text : NULL;
}

static void check_interface(const struct whole *w, const struct sw_yaml *l)
{
	const struct sw_yaml *own = sw_yaml_get(l, "interface");
	const struct sw_yaml *all = sw_yaml_get(w->root, "interface");

	if (interface_of(w, l) || (own && own->bad) || (all && all->bad))
		return;
	SAY(w, l, "interface",
	    "listener \"%s\" has no interface; add \"interface: eth0\", here or for all",
	    name_of(l));
}

static void check_mss(const struct whole *w, const struct sw_yaml *l)
{
	const char *text = text_of(l, "mss_max");
	const unsigned long mss = text ? strtoul(text, NULL, 10) : 0;

	if (mss > 0 && mss < MSS_LEAST)
		SAY(w, l, "mss_max", "mss_max: \"%s\" is too small; expected 0, or %d to 65495",
		    text, MSS_LEAST);
}

/* A guarded address, reduced to what decides whether two catch the same packet. */
struct guard {
	int family;
	in_port_t port;
	bool any;
	uint8_t ip[16];
};

static bool read_guard(const char *text, struct guard *g)
{
	static const uint8_t zero[16];
	struct sockaddr_storage ss;

	memset(g, 0, sizeof(*g));
	if (sw_addr_parse(text, &ss, NULL, 0) < 0)
		return false;
	g->family = ss.ss_family;
	if (ss.ss_family == AF_INET) {
		g->port = ((const struct sockaddr_in *)&ss)->sin_port;
		memcpy(g->ip, &((const struct sockaddr_in *)&ss)->sin_addr, 4);
	} else {
		g->port = ((const struct sockaddr_in6 *)&ss)->sin6_port;
		memcpy(g->ip, &((const struct sockaddr_in6 *)&ss)->sin6_addr, 16);
	}
	g->any = memcmp(g->ip, zero, sizeof(zero)) == 0;
	return true;
}

static bool same_place(const struct guard *a, const struct guard *b)
{
	return a->family == b->family && a->port == b->port &&
	       memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

/* Do two guards of different listeners stand against each other?  Within one listener an address
 * beside "every address" is harmless. */
static bool collide(const struct guard *a, const struct guard *b, bool same_listener)
{
	if (same_place(a, b))
		return true;
	return !same_listener && a->family == b->family && a->port == b->port && (a->any || b->any);
}

/* Is it an address of whatever host this is: of loopback, or "every address"? */
static bool is_here(const struct guard *g)
{
	static const uint8_t loopback6[16] = { [15] = 1 };

	return g->any || (g->family == AF_INET && g->ip[0] == 127) ||
	       (g->family == AF_INET6 && !memcmp(g->ip, loopback6, sizeof(loopback6)));
}

static bool usable(const struct sw_yaml *address, struct guard *g)
{
	return address->kind == SW_YAML_TEXT && !address->bad && read_guard(address->text, g);
}

/* A guarded address, and whose it is. */
struct place {
	const struct sw_yaml *listener, *address;
	const char *interface; /* NULL: not known */
	struct guard guard;
};

static bool same_interface(const struct place *a, const struct place *b)
{
	return a->listener == b->listener ||
	       (a->interface && b->interface && strcmp(a->interface, b->interface) == 0);
}

/* Tell the first place before @at that stands against it. */
static void check_place(const struct whole *w, const struct place *first, const struct place *at)
{
	for (const struct place *p = first; p < at; p++) {
		if (!same_interface(p, at) ||
		    !collide(&at->guard, &p->guard, p->listener == at->listener))
			continue;
		sw_mistake_add(w->m, at->address->line, at->address->column,
			       "%s is guarded already, by listener \"%s\" on line %u; guard an "
			       "address and port once on an interface",
			       at->address->text, name_of(p->listener), p->address->line);
		return;
	}
}

static void check_addresses(const struct whole *w)
{
	struct place *place = calloc(SW_MAX_LISTENERS * SW_MAX_ADDRESSES, sizeof(*place));
	size_t n = 0;

	for (const struct sw_yaml *l = place ? items_of(w->root, "listeners") : NULL; l; l = l->next)
		for (const struct sw_yaml *a = items_of(l, "listen"); a; a = a->next) {
			struct place *p = &place[n];

			*p = (struct place){ .listener = l, .address = a };
			if (!usable(a, &p->guard))
				continue;
			p->interface = interface_of(w, l);
			check_place(w, place, p);
			n++;
		}
	free(place);
}

static bool is_xdp(const struct sw_yaml *l)
{
	const char *offload = text_of(l, "offload");

	return is_true(l, "transparent") || (offload && strcmp(offload, "xdp") == 0);
}

/* Listeners that share one XDP program have a bounded number of places there. */
static void check_xdp(const struct whole *w, const struct sw_yaml *l)
{
	const char *interface = interface_of(w, l);
	unsigned before = 0;

	if (!interface || !is_xdp(l))
		return;
	for (const struct sw_yaml *k = items_of(w->root, "listeners"); k != l; k = k->next) {
		const char *its = interface_of(w, k);

		before += is_xdp(k) && its && strcmp(its, interface) == 0;
	}
	if (before >= XDP_LISTENERS)
		sw_mistake_add(w->m, l->line, l->column,
			       "listener \"%s\" is one too many with XDP on %s; at most %d share "
			       "an interface, put more addresses into one listener",
			       name_of(l), interface, XDP_LISTENERS);
}

/* A server twice in a pool: its state and its metrics would be there twice, too. */
static void check_servers(const struct whole *w, const struct sw_yaml *pool)
{
	struct guard mine, other;

	for (const struct sw_yaml *a = items_of(pool, "servers"); a; a = a->next) {
		const struct sw_yaml *b = items_of(pool, "servers");

		if (!usable(a, &mine))
			continue;
		while (b != a && !(usable(b, &other) && same_place(&mine, &other)))
			b = b->next;
		if (b != a)
			sw_mistake_add(w->m, a->line, a->column,
				       "server %s is in pool \"%s\" twice, first on line %u; keep "
				       "one",
				       a->text, name_of(pool), b->line);
	}
}

/* Does a connection to @server come back to who made it?  On lo, "every address" takes those of
 * loopback in.  Elsewhere it does not, and a server on the same port of another host is as good as
 * any. */
static bool leads_back(const struct guard *listen, const struct guard *server, bool on_lo)
{
	return collide(listen, server, !on_lo || !is_here(server));
}

static void check_loop(const struct whole *w, const struct sw_yaml *l, const struct sw_yaml *server)
{
	const char *interface = interface_of(w, l);
	const bool on_lo = interface && strcmp(interface, "lo") == 0;
	struct guard mine, its;

	if (!usable(server, &its))
		return;
	for (const struct sw_yaml *a = items_of(l, "listen"); a; a = a->next) {
		if (!usable(a, &mine) || !leads_back(&mine, &its, on_lo))
			continue;
		sw_mistake_add(w->m, server->line, server->column,
			       "server %s is guarded by listener \"%s\"; let the service listen "
			       "elsewhere, such as %s",
			       server->text, name_of(l),
			       its.family == AF_INET ? "127.0.0.1:8080" : "[::1]:8080");
		return;
	}
}

/* Servers that are what the listeners of their pool guard. */
static void check_loops(const struct whole *w, const struct sw_yaml *pool)
{
	const char *name = text_of(pool, "name");

	for (const struct sw_yaml *s = items_of(pool, "servers"); s; s = s->next)
		for (const struct sw_yaml *l = items_of(w->root, "listeners"); l; l = l->next)
			if (name && is_set(l, "upstreams") && !strcmp(text_of(l, "upstreams"), name))
				check_loop(w, l, s);
}

/* Metrics on a guarded address: the connections would be the listener's. */
static void check_metrics(const struct whole *w)
{
	const struct sw_yaml *metrics = sw_yaml_get(w->root, "metrics");
	const char *address = is_set(metrics, "address") ? text_of(metrics, "address") : NULL;
	struct guard mine, its;

	if (!address || !read_guard(address, &its))
		return;
	for (const struct sw_yaml *l = items_of(w->root, "listeners"); l; l = l->next)
		for (const struct sw_yaml *a = items_of(l, "listen"); a; a = a->next) {
			if (!usable(a, &mine) || !collide(&mine, &its, false))
				continue;
			SAY(w, metrics, "address",
			    "metrics.address %s is guarded by listener \"%s\"; take another address "
			    "or port",
			    address, name_of(l));
			return;
		}
}

static uint32_t count_or_default(const struct sw_yaml *map, const struct sw_group *group,
				 const char *key)
{
	const char *text = text_of(map, key);

	return (uint32_t)strtoul(text ? text : sw_option_find(group, key)->dflt, NULL, 10);
}

static void check_flood(const struct whole *w)
{
	const struct sw_group *group = sw_option_find(&sw_settings_schema, "flood")->group;
	const struct sw_yaml *flood = sw_yaml_get(w->root, "flood");
	const struct sw_yaml *program = items_of(flood, "command");
	uint32_t enter, leave;

	if (!flood || flood->kind != SW_YAML_MAP)
		return;
	enter = count_or_default(flood, group, "enter");
	leave = count_or_default(flood, group, "leave");
	if (enter > 0 && leave >= enter)
		SAY(w, flood, "leave", "leave: %u is not below enter, which is %u; expected less",
		    leave, enter);
	if (program && program->kind == SW_YAML_TEXT && !program->bad && program->text[0] != '/')
		sw_mistake_add(w->m, program->line, program->column,
			       "command: \"%.60s\" is not a path from the root; no shell looks it "
			       "up, write /usr/bin/%.60s",
			       program->text, program->text);
}

static void check_key_file(const struct whole *w, const struct sw_settings_look *look)
{
	const char *path = look->key_file_path ? look->key_file_path : text_of(w->root, "key_file");
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
	const struct whole w = { root, m };

	check_names(&w, "listeners", "listener");
	check_names(&w, "pools", "pool");
	for (const struct sw_yaml *l = items_of(root, "listeners"); l; l = l->next) {
		if (l->kind != SW_YAML_MAP)
			continue;
		check_way(&w, l);
		check_interface(&w, l);
		check_mss(&w, l);
		check_xdp(&w, l);
	}
	check_addresses(&w);
	for (const struct sw_yaml *p = items_of(root, "pools"); p; p = p->next) {
		check_servers(&w, p);
		check_loops(&w, p);
	}
	check_metrics(&w);
	check_flood(&w);
	check_key_file(&w, look);
}
