/* SPDX-License-Identifier: MIT */
/* Addresses of a configuration that stand against each other. */
#include "ops/settings_tree.h"
#include "steer/addr.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

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
static void check_place(const struct sw_whole *w, const struct place *first, const struct place *at)
{
	for (const struct place *p = first; p < at; p++) {
		if (!same_interface(p, at) ||
		    !collide(&at->guard, &p->guard, p->listener == at->listener))
			continue;
		sw_mistake_add(w->m, at->address->line, at->address->column,
			       "%s is guarded already, by listener \"%s\" on line %u; guard an "
			       "address and port once on an interface",
			       at->address->text, sw_tree_name(p->listener), p->address->line);
		return;
	}
}

static void check_guards(const struct sw_whole *w)
{
	struct place *place = calloc(SW_MAX_LISTENERS * SW_MAX_ADDRESSES, sizeof(*place));
	size_t n = 0;

	for (const struct sw_yaml *l = place ? sw_tree_items(w->root, "listeners") : NULL; l;
	     l = l->next)
		for (const struct sw_yaml *a = sw_tree_items(l, "listen"); a; a = a->next) {
			struct place *p = &place[n];

			*p = (struct place){ .listener = l, .address = a };
			if (!usable(a, &p->guard))
				continue;
			p->interface = sw_tree_interface(w->root, l);
			check_place(w, place, p);
			n++;
		}
	free(place);
}

/* A server twice in a pool: its state and its metrics would be there twice, too. */
static void check_servers(const struct sw_whole *w, const struct sw_yaml *pool)
{
	struct guard mine, other;

	for (const struct sw_yaml *a = sw_tree_items(pool, "servers"); a; a = a->next) {
		const struct sw_yaml *b = sw_tree_items(pool, "servers");

		if (!usable(a, &mine))
			continue;
		while (b != a && !(usable(b, &other) && same_place(&mine, &other)))
			b = b->next;
		if (b != a)
			sw_mistake_add(w->m, a->line, a->column,
				       "server %s is in pool \"%s\" twice, first on line %u; keep "
				       "one",
				       a->text, sw_tree_name(pool), b->line);
	}
}

/* Does a connection to @server come back to who made it?  On lo, "every address" takes those of
 * loopback in.  Elsewhere it does not, and a server on the same port of another host is as good as
 * any. */
static bool leads_back(const struct guard *listen, const struct guard *server, bool on_lo)
{
	return collide(listen, server, !on_lo || !is_here(server));
}

static void check_loop(const struct sw_whole *w, const struct sw_yaml *l,
		       const struct sw_yaml *server)
{
	const char *interface = sw_tree_interface(w->root, l);
	const bool on_lo = interface && strcmp(interface, "lo") == 0;
	struct guard mine, its;

	if (!usable(server, &its))
		return;
	for (const struct sw_yaml *a = sw_tree_items(l, "listen"); a; a = a->next) {
		if (!usable(a, &mine) || !leads_back(&mine, &its, on_lo))
			continue;
		sw_mistake_add(w->m, server->line, server->column,
			       "server %s is guarded by listener \"%s\"; let the service listen "
			       "elsewhere, such as %s",
			       server->text, sw_tree_name(l),
			       its.family == AF_INET ? "127.0.0.1:8080" : "[::1]:8080");
		return;
	}
}

/* Servers that are what the listeners of their pool guard. */
static void check_loops(const struct sw_whole *w, const struct sw_yaml *pool)
{
	const char *name = sw_tree_text(pool, "name");

	for (const struct sw_yaml *s = sw_tree_items(pool, "servers"); s; s = s->next)
		for (const struct sw_yaml *l = sw_tree_items(w->root, "listeners"); l; l = l->next)
			if (name && sw_tree_is_set(l, "upstreams") &&
			    !strcmp(sw_tree_text(l, "upstreams"), name))
				check_loop(w, l, s);
}

/* Metrics on a guarded address: the connections would be the listener's. */
static void check_metrics(const struct sw_whole *w)
{
	const struct sw_yaml *metrics = sw_yaml_get(w->root, "metrics");
	const char *address =
		sw_tree_is_set(metrics, "address") ? sw_tree_text(metrics, "address") : NULL;
	struct guard mine, its;

	if (!address || !read_guard(address, &its))
		return;
	for (const struct sw_yaml *l = sw_tree_items(w->root, "listeners"); l; l = l->next)
		for (const struct sw_yaml *a = sw_tree_items(l, "listen"); a; a = a->next) {
			if (!usable(a, &mine) || !collide(&mine, &its, false))
				continue;
			SW_SAY(w, metrics, "address",
			       "metrics.address %s is guarded by listener \"%s\"; take another "
			       "address "
			       "or port",
			       address, sw_tree_name(l));
			return;
		}
}

void sw_settings_check_addresses(const struct sw_whole *w)
{
	check_guards(w);
	for (const struct sw_yaml *p = sw_tree_items(w->root, "pools"); p; p = p->next) {
		check_servers(w, p);
		check_loops(w, p);
	}
	check_metrics(w);
}
