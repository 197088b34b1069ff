/* SPDX-License-Identifier: MIT */
/* From one configuration of a relay to another: all that can fail first, then what cannot. */
#include "relay/change.h"

#include "relay/check.h"
#include "relay/conn.h"
#include "relay/source.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_BUFFER	   65536
#define DEFAULT_CONNECT_MS 3000

/* What a configuration needs, beside what runs. */
struct sw_relay_change {
	struct sw_relay *relay;	   /* borrowed */
	struct sw_relay_config cf; /* with its defaults, without the caller's pointers */
	struct sw_pool_plan plan;
	struct sw_scratch scratch; /* no bytes: the relay's own stays */
	struct sw_era *era;	   /* owned */
	char name[SW_POOL_NAME];
};

void sw_relay_explain(const struct sw_relay_config *cf, const char *why)
{
	if (cf->error && cf->error_size)
		snprintf(cf->error, cf->error_size, "%s", why);
}

static int check_source(const struct sw_relay_config *cf, char *why, size_t size)
{
	const int rc = cf->source_client ? sw_source_allowed() : 0;

	if (rc == -EPERM)
		snprintf(why, size,
			 "connecting from the client's address (source: client) needs CAP_NET_RAW "
			 "or "
			 "CAP_NET_ADMIN; grant one, or use the PROXY protocol");
	return rc;
}

static void take_config(struct sw_relay_change *c, const struct sw_relay_config *cf)
{
	c->cf = *cf;
	snprintf(c->name, sizeof(c->name), "%s", cf->name ? cf->name : "");
	c->cf.name = NULL;
	c->cf.upstream = NULL;
	c->cf.error = NULL;
	c->cf.health = sw_health_defaults(cf->health);
	if (!c->cf.connect_timeout_ms)
		c->cf.connect_timeout_ms = DEFAULT_CONNECT_MS;
	c->scratch.size = cf->buffer_bytes ? cf->buffer_bytes : DEFAULT_BUFFER;
}

static bool make_room(struct sw_relay_change *c)
{
	c->era = sw_era_new(c->cf.connect_timeout_ms, c->cf.idle_timeout_ms);
	if (c->scratch.size != c->relay->scratch.size)
		c->scratch.bytes = malloc(c->scratch.size);
	return c->era && (c->scratch.bytes || c->scratch.size == c->relay->scratch.size);
}

static int fill(struct sw_relay_change *c, const struct sw_relay_config *cf, char *why, size_t size)
{
	int rc = check_source(cf, why, size);

	take_config(c, cf);
	if (rc == 0)
		rc = sw_pool_plan(&c->relay->pool, cf->upstream, cf->nupstream, &c->plan, why,
				  size);
	if (rc == 0 && !make_room(c))
		rc = -ENOMEM;
	return rc;
}

int sw_relay_prepare(struct sw_relay *r, const struct sw_relay_config *cf,
		     struct sw_relay_change **out)
{
	struct sw_relay_change *c = calloc(1, sizeof(*c));
	char why[256] = "";
	int rc = -ENOMEM;

	if (c) {
		c->relay = r;
		rc = fill(c, cf, why, sizeof(why));
	}
	sw_relay_explain(cf, rc < 0 && !why[0] ? strerror(-rc) : why);
	if (rc < 0)
		sw_relay_abort(c);
	else
		*out = c;
	return rc;
}

void sw_relay_abort(struct sw_relay_change *c)
{
	if (!c)
		return;
	sw_pool_plan_drop(&c->relay->pool, &c->plan);
	free(c->scratch.bytes);
	free(c->era);
	free(c);
}

static void on_gone(struct sw_server *s)
{
	sw_check_stop(s);
	sw_server_tell_config(s, SW_SERVER_REMOVED);
}

static void on_came(struct sw_server *s)
{
	s->health = (struct sw_health){ 0 }; /* what was known is old, if it was here before */
	sw_check_start(s, 0);
	sw_server_tell_config(s, SW_SERVER_ADDED);
}

/* The first checks are spread over the interval, and so are all that follow. */
static void restart_checks(struct sw_relay *r)
{
	for (size_t i = 0; i < r->pool.n; i++) {
		const uint64_t all = r->cf.health.interval_ms;

		sw_check_stop(r->pool.server[i]);
		sw_check_start(r->pool.server[i], (unsigned)(all * i / r->pool.n));
	}
}

void sw_relay_commit(struct sw_relay_change *c)
{
	struct sw_relay *r = c->relay;
	const unsigned interval_ms = r->cf.health.interval_ms;
	const bool first = r->pool.n == 0; /* nobody is told about the servers at the start */

	r->cf = c->cf;
	memcpy(r->name, c->name, sizeof(r->name));
	if (c->scratch.bytes) {
		free(r->scratch.bytes);
		r->scratch = c->scratch;
	}
	assert(r->scratch.size == c->scratch.size); /* one change at a time */
	sw_era_begin(r, c->era);
	sw_pool_commit(&r->pool, &c->plan, first ? NULL : on_gone, first ? NULL : on_came, r);
	if (first || interval_ms != r->cf.health.interval_ms)
		restart_checks(r);
	sw_relay_arm(r);
	free(c);
}

int sw_relay_update(struct sw_relay *r, const struct sw_relay_config *cf)
{
	struct sw_relay_change *c;
	const int rc = sw_relay_prepare(r, cf, &c);

	if (rc == 0)
		sw_relay_commit(c);
	return rc;
}
