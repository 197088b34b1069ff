/* SPDX-License-Identifier: MIT */
#include "relay/pool.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool same_addr(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	const struct sockaddr_in *a4 = (const void *)a, *b4 = (const void *)b;
	const struct sockaddr_in6 *a6 = (const void *)a, *b6 = (const void *)b;

	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_INET)
		return a4->sin_port == b4->sin_port && a4->sin_addr.s_addr == b4->sin_addr.s_addr;
	return a6->sin6_port == b6->sin6_port && a6->sin6_scope_id == b6->sin6_scope_id &&
	       memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof(a6->sin6_addr)) == 0;
}

static struct sw_server *server_new(const struct sockaddr_storage *addr)
{
	struct sw_server *s = calloc(1, sizeof(*s));
	union sw_sockaddr a;

	if (!s)
		return NULL;
	s->refs = 1;
	s->addr = *addr;
	s->addrlen = addr->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
						 : sizeof(struct sockaddr_in);
	s->check.fd = -1;
	memcpy(&a, addr, sizeof(a));
	sw_sockaddr_text(s->stats.name, sizeof(s->stats.name), &a);
	return s;
}

static struct sw_server *find(const struct sw_pool *pool, const struct sockaddr_storage *addr)
{
	struct sw_server *s;

	for (size_t i = 0; i < pool->n; i++)
		if (same_addr(&pool->server[i]->addr, addr))
			return pool->server[i];
	TAILQ_FOREACH(s, &pool->leaving, link)
	if (same_addr(&s->addr, addr))
		return s;
	return NULL;
}

static void unref(struct sw_pool *pool, struct sw_server *s)
{
	assert(s->refs > 0);
	if (--s->refs)
		return;
	if (s->leaving)
		TAILQ_REMOVE(&pool->leaving, s, link);
	free(s);
}

static int check_list(const struct sockaddr_storage *addr, size_t n, char *why, size_t size)
{
	if (n == 0 || n > SW_SERVERS_MAX) {
		snprintf(why, size, "%zu servers in a pool; 1 to %d would be right", n,
			 SW_SERVERS_MAX);
		return -EINVAL;
	}
	for (size_t i = 0; i < n; i++) {
		if (addr[i].ss_family != AF_INET && addr[i].ss_family != AF_INET6) {
			snprintf(why, size, "server %zu of the pool is no IPv4 or IPv6 address",
				 i + 1);
			return -EINVAL;
		}
		for (size_t k = 0; k < i; k++) {
			union sw_sockaddr twice;
			char name[SW_SERVER_NAME];

			if (!same_addr(&addr[i], &addr[k]))
				continue;
			memcpy(&twice, &addr[i], sizeof(twice));
			sw_sockaddr_text(name, sizeof(name), &twice);
			snprintf(why, size, "server %s is in the pool twice; once is enough", name);
			return -EINVAL;
		}
	}
	return 0;
}

int sw_pool_plan(struct sw_pool *pool, const struct sockaddr_storage *addr, size_t n,
		 struct sw_pool_plan *plan, char *why, size_t size)
{
	const int rc = check_list(addr, n, why, size);

	if (rc < 0)
		return rc;
	plan->n = 0;
	plan->server = calloc(n, sizeof(*plan->server));
	if (!plan->server)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct sw_server *s = find(pool, &addr[i]);

		if (s)
			s->refs++;
		else
			s = server_new(&addr[i]);
		if (!s) {
			sw_pool_plan_drop(pool, plan);
			return -ENOMEM;
		}
		plan->server[plan->n++] = s;
	}
	return 0;
}

void sw_pool_plan_drop(struct sw_pool *pool, struct sw_pool_plan *plan)
{
	for (size_t i = 0; i < plan->n; i++)
		unref(pool, plan->server[i]);
	free(plan->server);
	*plan = (struct sw_pool_plan){ 0 };
}

static void leave(struct sw_pool *pool, struct sw_server *s)
{
	s->leaving = true;
	TAILQ_INSERT_TAIL(&pool->leaving, s, link);
}

static void stay(struct sw_pool *pool, struct sw_server *s)
{
	if (s->leaving)
		TAILQ_REMOVE(&pool->leaving, s, link);
	s->leaving = false;
}

static bool is_in(struct sw_server *const *list, size_t n, const struct sw_server *s)
{
	for (size_t i = 0; i < n; i++)
		if (list[i] == s)
			return true;
	return false;
}

void sw_pool_commit(struct sw_pool *pool, struct sw_pool_plan *plan,
		    void (*gone)(struct sw_server *),
		    void (*came)(struct sw_server *), struct sw_relay *relay)
{
	struct sw_server **old = pool->server;
	const size_t nold = pool->n;
	bool is_new[SW_SERVERS_MAX];

	for (size_t i = 0; i < plan->n; i++) {
		is_new[i] = !is_in(old, nold, plan->server[i]);
		stay(pool, plan->server[i]);
		plan->server[i]->relay = relay;
	}
	pool->server = plan->server; /* and what the plan held */
	pool->n = plan->n;
	pool->next = pool->next % pool->n;
	pool->generation++;
	for (size_t i = 0; i < nold; i++) {
		if (!is_in(pool->server, pool->n, old[i])) {
			if (gone)
				gone(old[i]);
			leave(pool, old[i]);
		}
		unref(pool, old[i]);
	}
	free(old);
	for (size_t i = 0; came && i < pool->n; i++)
		if (is_new[i])
			came(pool->server[i]);
	*plan = (struct sw_pool_plan){ 0 };
}

struct sw_server *sw_pool_pick(struct sw_pool *pool, const struct sw_health_config *health,
			       int family, struct sw_tried *tried, uint64_t now_ms)
{
	size_t found = SIZE_MAX;

	if (tried->generation != pool->generation)
		*tried = (struct sw_tried){ 0, pool->generation };
	for (size_t k = 0; k < pool->n; k++) {
		const size_t i = (pool->next + k) % pool->n;
		const struct sw_server *s = pool->server[i];

		if (tried->mask & 1ull << i || (family != AF_UNSPEC && s->addr.ss_family != family))
			continue;
		if (sw_health_may(&s->health, health, now_ms)) {
			found = i;
			break;
		}
		if (found == SIZE_MAX)
			found = i; /* the last resort */
	}
	if (found == SIZE_MAX)
		return NULL;
	tried->mask |= 1ull << found;
	pool->next = (found + 1) % pool->n;
	sw_health_take(&pool->server[found]->health, now_ms);
	return pool->server[found];
}

unsigned sw_pool_up(const struct sw_pool *pool)
{
	unsigned up = 0;

	for (size_t i = 0; i < pool->n; i++)
		up += !pool->server[i]->health.down;
	return up;
}

void sw_server_hold(struct sw_server *s)
{
	s->refs++;
	s->stats.active++;
}

void sw_server_drop(struct sw_pool *pool, struct sw_server *s)
{
	s->stats.active--;
	unref(pool, s);
}

void sw_pool_clear(struct sw_pool *pool, void (*gone)(struct sw_server *))
{
	for (size_t i = 0; i < pool->n; i++) {
		if (gone)
			gone(pool->server[i]);
		unref(pool, pool->server[i]);
	}
	free(pool->server);
	pool->server = NULL;
	pool->n = 0;
}
