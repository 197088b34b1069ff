/* SPDX-License-Identifier: MIT */
/*
 * From one set of settings to another, all or nothing.  Everything that can fail is made beside
 * what runs; then comes the switch, which cannot.  The start is a change from nothing.
 */
#include "cli/server_change.h"

#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A change while it is prepared. */
struct change {
	struct sw_server *sv;
	const struct sw_settings *from, *to; /* from: NULL at the start */
	struct sw_lines *lines;
	struct sw_guarded_list listeners; /* new ones */
	struct sw_pool_list pools;	  /* new ones */
	int failed;			  /* errno */
};

void sw_line(struct sw_lines *out, const char *fmt, ...)
{
	const size_t left = out->size - SW_LINES_END - out->len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(out->text + out->len, left, fmt, ap);
	va_end(ap);
	/* A line that does not fit is left out whole, with its newline. */
	if (out->more || n < 0 || (size_t)n + 1 >= left) {
		out->text[out->len] = '\0';
		out->more++;
		return;
	}
	out->len += (size_t)n;
	memcpy(out->text + out->len, "\n", 2);
	out->len++;
}

void sw_lines_end(struct sw_lines *out, const char *last)
{
	size_t left = out->size - out->len;

	if (out->more)
		snprintf(out->text + out->len, left, "and %zu more\n", out->more);
	out->len += strlen(out->text + out->len);
	left = out->size - out->len;
	if (last)
		snprintf(out->text + out->len, left, "%s\n", last);
	out->len += strlen(out->text + out->len);
}

static const struct sw_pool_settings *old_pool(const struct change *c, const char *name)
{
	return c->from ? sw_settings_pool(c->from, name) : NULL;
}

static const struct sw_listener_settings *old_listener(const struct change *c, const char *name)
{
	return c->from ? sw_settings_listener(c->from, name) : NULL;
}

static bool fail(struct change *c, int err, const char *line)
{
	c->failed = err;
	sw_line(c->lines, "%s", line);
	return false;
}

static bool prepare_limits(struct change *c)
{
	const struct sw_limits_config cf = sw_server_limits(c->to);

	return sw_limits_prepare(c->sv->limits, &cf) == 0 ||
	       fail(c, ENOMEM, "limits: out of memory");
}

static bool prepare_log(struct change *c)
{
	return sw_server_access_prepare(c->sv, &c->to->log) == 0 ||
	       fail(c, ENOMEM, "log.access: out of memory");
}

static bool prepare_pool(struct change *c, const struct sw_pool_settings *p)
{
	const struct sw_pool_settings *old = old_pool(c, p->name);
	struct sw_pool *pool = old ? sw_server_pool(c->sv, p->name) : NULL;
	char err[400] = "";
	int rc = 0;

	if (!pool) {
		rc = sw_pool_new(c->sv, p, &pool, err, sizeof(err));
		if (rc == 0)
			LIST_INSERT_HEAD(&c->pools, pool, link);
	} else if (!sw_settings_same_pool(old, p)) {
		rc = sw_pool_prepare(pool, p, err, sizeof(err));
	}
	return rc == 0 || fail(c, -rc, err);
}

static struct sw_pool *new_pool(const struct change *c, const char *name)
{
	struct sw_pool *pool;

	LIST_FOREACH(pool, &c->pools, link)
		if (strcmp(pool->name, name) == 0)
			return pool;
	return sw_server_pool(c->sv, name);
}

static void tell_warnings(const struct change *c, const char *name, char *lines)
{
	char *rest = lines;

	for (char *line; (line = strsep(&rest, "\n"));) {
		if (!line[0])
			continue;
		if (c->sv->single)
			sw_warn("%s", line);
		else
			sw_warn("listener %s: %s", name, line);
	}
}

static bool prepare_guard(struct change *c, struct sw_guarded *g,
			  const struct sw_listener_settings *l)
{
	char why[1024], line[1200];
	const int err = sw_guarded_prepare(g, c->to, l, why, sizeof(why));

	if (err == 0) {
		tell_warnings(c, l->name, why);
		return true;
	}
	if (c->sv->single)
		return fail(c, err, why);
	snprintf(line, sizeof(line), "listener %s: %s", l->name, why);
	return fail(c, err, line);
}

static bool prepare_listener(struct change *c, const struct sw_listener_settings *l)
{
	const struct sw_listener_settings *old = old_listener(c, l->name);
	struct sw_guarded *g = old ? sw_server_find(c->sv, l->name) : NULL;

	if (!g) {
		old = NULL;
		g = sw_guarded_new(c->sv, l->name);
		if (!g)
			return fail(c, ENOMEM, "out of memory");
		LIST_INSERT_HEAD(&c->listeners, g, link);
	}
	g->next_pool = *l->upstreams ? new_pool(c, l->upstreams) : NULL;
	/* One whose interface went away gets another chance. */
	if (old && !g->lost && !sw_guarded_differs(c->from, old, c->to, l))
		return true;
	return prepare_guard(c, g, l);
}

/* The last that can fail, because it moves at once. */
static bool move_metrics(struct change *c)
{
	const char *address = c->to->metrics.address;
	char err[300];
	int rc;

	if (!c->from || strcmp(c->from->metrics.address, address) == 0)
		return true;
	if (!c->sv->http)
		return fail(c, EINVAL, "metrics.address needs a restart: nothing is served over "
				       "HTTP yet, control.socket is \"\"");
	rc = sw_http_move(c->sv->http, *address ? address : NULL, err, sizeof(err));
	return rc == 0 || fail(c, -rc, err);
}

static bool prepare(struct change *c)
{
	bool ok = prepare_limits(c) && prepare_log(c);

	for (uint32_t i = 0; i < c->to->npools && ok; i++)
		ok = prepare_pool(c, &c->to->pools[i]);
	for (uint32_t i = 0; i < c->to->nlisteners && ok; i++)
		ok = prepare_listener(c, &c->to->listeners[i]);
	return ok && move_metrics(c);
}

/* Free what was made: nothing of what runs has changed. */
static void undo(struct change *c)
{
	struct sw_guarded *g;
	struct sw_pool *pool;

	while ((g = LIST_FIRST(&c->listeners))) {
		LIST_REMOVE(g, link);
		sw_guarded_free(g);
	}
	LIST_FOREACH(g, &c->sv->listeners, link) {
		synward_listener_free(g->next);
		g->next = NULL;
		g->next_pool = NULL;
	}
	while ((pool = LIST_FIRST(&c->pools))) {
		LIST_REMOVE(pool, link);
		sw_pool_free(pool);
	}
	LIST_FOREACH(pool, &c->sv->pools, link)
		sw_pool_stay(pool);
	sw_accesslog_free(c->sv->next_access);
	c->sv->next_access = NULL;
}

static void switch_listeners(struct change *c)
{
	struct sw_guarded *g, *next;

	for (g = LIST_FIRST(&c->sv->listeners); g; g = next) {
		next = LIST_NEXT(g, link);
		if (g->leaving)
			continue;
		if (sw_settings_listener(c->to, g->name))
			sw_guarded_switch(g);
		else
			sw_guarded_leave(g);
	}
	while ((g = LIST_FIRST(&c->listeners))) {
		LIST_REMOVE(g, link);
		LIST_INSERT_HEAD(&c->sv->listeners, g, link);
		sw_guarded_switch(g);
	}
}

static void switch_pools(struct change *c)
{
	struct sw_pool *pool;

	LIST_FOREACH(pool, &c->sv->pools, link) {
		sw_pool_switch(pool);
		pool->leaving = pool->leaving || !sw_settings_pool(c->to, pool->name);
	}
	while ((pool = LIST_FIRST(&c->pools))) {
		LIST_REMOVE(pool, link);
		LIST_INSERT_HEAD(&c->sv->pools, pool, link);
	}
}

int sw_server_change(struct sw_server *sv, struct sw_settings *to, struct sw_lines *lines)
{
	struct change c = { .sv = sv, .from = sv->settings, .to = to, .lines = lines };
	const struct sw_limits_config limits = sw_server_limits(to);
	static const struct timeval soon = { .tv_usec = 10000 };

	LIST_INIT(&c.listeners);
	LIST_INIT(&c.pools);
	if (!prepare(&c)) {
		undo(&c);
		return c.failed;
	}
	sw_limits_commit(sv->limits, &limits);
	switch_pools(&c);
	switch_listeners(&c);
	sw_settings_free(sv->settings);
	sv->settings = to;
	sw_server_log(sv, &to->log);
	sw_server_access_switch(sv);
	(void)event_add(sv->retire, &soon);
	return 0;
}
