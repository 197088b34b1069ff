/* SPDX-License-Identifier: MIT */
/* The server's pools, and what all of them share. */
#include "cli/server_impl.h"
#include "steer/addr.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define RESERVED_FILES 256 /* the control socket, metrics, a reload's listeners, health checks */

/* A connection and its server's are two descriptors.  All of a small limit's quarter would be more
 * than what else there is to open. */
size_t sw_server_room(void)
{
	struct rlimit files;
	rlim_t reserved;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur == RLIM_INFINITY)
		return SIZE_MAX;
	reserved = files.rlim_cur / 4 < RESERVED_FILES ? files.rlim_cur / 4 : RESERVED_FILES;
	return (size_t)(files.rlim_cur - reserved) / 2;
}

struct sw_limits_config sw_server_limits(const struct sw_settings *s)
{
	const size_t room = sw_server_room(), wanted = s->limits.connections;

	return (struct sw_limits_config){
		.connections = wanted && wanted < room ? wanted : room,
		.per_source = s->limits.per_source,
		.prefix4 = s->limits.source_prefix4,
		.prefix6 = s->limits.source_prefix6,
	};
}

static void on_relay_log(void *arg, bool trouble, const char *line)
{
	(void)arg;
	SW_LOG_AT(trouble ? SW_LOG_WARN : SW_LOG_INFO, "%s", line);
}

static void on_server_event(void *arg, const struct sw_server_event *ev)
{
	struct sw_server *sv = arg;
	char name[SW_NAME_MAX + SW_SERVER_NAME + 2], text[256];

	if (!sv->http || (ev->change != SW_SERVER_UP && ev->change != SW_SERVER_DOWN))
		return;
	snprintf(name, sizeof(name), "%s/%s", ev->pool, ev->server);
	snprintf(text, sizeof(text), "%s is %s%s%s; up: %u of %u", name,
		 ev->change == SW_SERVER_UP ? "up" : "down", *ev->why ? ": " : "", ev->why, ev->up,
		 ev->servers);
	sw_http_event(sv->http, ev->change == SW_SERVER_UP ? "upstream_up" : "upstream_down", name,
		      text);
}

static void on_access(void *arg, const struct sw_access *a)
{
	struct sw_server *sv = arg;

	if (sv->access)
		sw_accesslog_add(sv->access, a);
}

/* All but the servers. */
static struct sw_relay_config config_of(struct sw_server *sv, const struct sw_pool_settings *p)
{
	return (struct sw_relay_config){
		.name = sv->single ? NULL : p->name,
		.connect_timeout_ms = p->connect_timeout,
		.idle_timeout_ms = p->idle_timeout,
		.retries = p->retries ? p->retries : SW_RETRIES_NONE,
		.proxy = (enum sw_proxy_version)p->proxy_protocol,
		.source_client = p->source == SW_SET_SOURCE_CLIENT,
		.health = { p->health.interval, p->health.timeout, p->health.rise, p->health.fall },
		.limits = sv->limits,
		.log = on_relay_log,
		.server = on_server_event,
		.server_arg = sv,
		.access = on_access,
		.access_arg = sv,
	};
}

static int read_servers(const struct sw_pool_settings *p, struct sockaddr_storage *out)
{
	for (uint32_t i = 0; i < p->nservers; i++)
		if (sw_addr_parse(p->servers[i], &out[i], NULL, 0) < 0)
			return -EINVAL;
	return 0;
}

/* Make a relay, or what it needs for other settings. */
static int make(struct sw_pool *pool, const struct sw_pool_settings *p, char *err, size_t errlen)
{
	struct sw_relay_config cf = config_of(pool->server, p);
	struct sockaddr_storage servers[SW_MAX_ADDRESSES];
	char why[256] = "";
	int rc = read_servers(p, servers);

	cf.upstream = servers;
	cf.nupstream = p->nservers;
	cf.error = why;
	cf.error_size = sizeof(why);
	if (rc == 0)
		rc = pool->relay ? sw_relay_prepare(pool->relay, &cf, &pool->next) :
				   sw_relay_new(pool->server->base, &cf, &pool->relay);
	if (rc < 0)
		snprintf(err, errlen, "pool %s: %s", p->name, why[0] ? why : strerror(-rc));
	return rc;
}

int sw_pool_new(struct sw_server *sv, const struct sw_pool_settings *p, struct sw_pool **out,
		char *err, size_t errlen)
{
	struct sw_pool *pool = calloc(1, sizeof(*pool));
	int rc;

	if (!pool) {
		snprintf(err, errlen, "pool %s: out of memory", p->name);
		return -ENOMEM;
	}
	pool->server = sv;
	snprintf(pool->name, sizeof(pool->name), "%s", p->name);
	rc = make(pool, p, err, errlen);
	if (rc < 0)
		free(pool);
	else
		*out = pool;
	return rc;
}

int sw_pool_prepare(struct sw_pool *pool, const struct sw_pool_settings *p, char *err,
		    size_t errlen)
{
	return make(pool, p, err, errlen);
}

void sw_pool_switch(struct sw_pool *pool)
{
	if (pool->next)
		sw_relay_commit(pool->next);
	pool->next = NULL;
}

void sw_pool_stay(struct sw_pool *pool)
{
	sw_relay_abort(pool->next);
	pool->next = NULL;
}

void sw_pool_free(struct sw_pool *pool)
{
	struct sw_relay_stats last;

	if (!pool)
		return;
	sw_relay_get_stats(pool->relay, &last);
	last.active = 0;
	sw_relay_stats_add(&pool->server->past_relays, &last);
	sw_relay_free(pool->relay);
	free(pool);
}

struct sw_pool *sw_server_pool(struct sw_server *sv, const char *name)
{
	struct sw_pool *pool;

	LIST_FOREACH(pool, &sv->pools, link)
		if (!pool->leaving && strcmp(pool->name, name) == 0)
			return pool;
	return NULL;
}

size_t sw_server_active(const struct sw_server *sv)
{
	const struct sw_pool *pool;
	size_t n = 0;

	LIST_FOREACH(pool, &sv->pools, link)
		n += sw_relay_active(pool->relay);
	return n;
}

int sw_server_access_prepare(struct sw_server *sv, const struct sw_log_settings *log)
{
	const enum sw_access_form form = (enum sw_access_form)log->format;

	if (!log->access || sv->access)
		return 0;
	return sw_accesslog_new(sv->base, STDERR_FILENO, form, 0, &sv->next_access);
}

void sw_server_access_switch(struct sw_server *sv)
{
	const struct sw_log_settings *log = &sv->settings->log;

	if (sv->next_access)
		sv->access = sv->next_access;
	sv->next_access = NULL;
	if (!log->access)
		sw_accesslog_off(sv->access); /* what waits for the reader still goes out */
	else
		sw_accesslog_set_form(sv->access, (enum sw_access_form)log->format);
}
