/* SPDX-License-Identifier: MIT */
#include "relay/pool.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

TestSuite(pool, .timeout = 10);

static const struct sw_health_config checked = { .interval_ms = 1000, .rise = 1, .fall = 1 };
static const struct sw_health_config unchecked = { .rise = 1, .fall = 1 };

static struct sockaddr_storage server(unsigned n)
{
	struct sockaddr_storage at = { 0 };
	struct sockaddr_in in4 = { .sin_family = AF_INET,
				   .sin_port = htons(80),
				   .sin_addr.s_addr = htonl(0x0a000000u + n) };

	memcpy(&at, &in4, sizeof(in4));
	return at;
}

static struct sockaddr_storage server6(uint16_t port)
{
	struct sockaddr_storage at = { 0 };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
				    .sin6_port = htons(port),
				    .sin6_addr = IN6ADDR_LOOPBACK_INIT };

	memcpy(&at, &in6, sizeof(in6));
	return at;
}

static char trail[64]; /* what the last set() reported: "-1" gone, "+2" came */

static void note(char sign, const struct sw_server *s)
{
	const size_t n = strlen(trail);

	snprintf(trail + n, sizeof(trail) - n, "%c%c", sign, s->stats.name[strlen("10.0.0.")]);
}

static void on_gone(struct sw_server *s)
{
	note('-', s);
}

static void on_came(struct sw_server *s)
{
	note('+', s);
}

/* Make the pool the servers of a list such as "123". */
static void set(struct sw_pool *pool, const char *list)
{
	struct sockaddr_storage addr[9];
	struct sw_pool_plan plan;
	char why[200];

	for (size_t i = 0; list[i]; i++)
		addr[i] = server((unsigned)(list[i] - '0'));
	cr_assert_eq(sw_pool_plan(pool, addr, strlen(list), &plan, why, sizeof(why)), 0, "%s", why);
	trail[0] = '\0';
	sw_pool_commit(pool, &plan, on_gone, on_came, NULL);
}

static char name_of(const struct sw_server *s)
{
	return s ? s->stats.name[strlen("10.0.0.")] : '.';
}

/* The servers that @n connections get, one try each. */
static void picks(struct sw_pool *pool, const struct sw_health_config *cf, int n, char *out,
		  uint64_t now)
{
	for (int i = 0; i < n; i++) {
		struct sw_tried tried = { 0 };

		*out++ = name_of(sw_pool_pick(pool, cf, AF_UNSPEC, &tried, now));
	}
	*out = '\0';
}

static void expect_picks(struct sw_pool *pool, const struct sw_health_config *cf, const char *want,
			 uint64_t now)
{
	char got[32];

	picks(pool, cf, (int)strlen(want), got, now);
	cr_expect_str_eq(got, want, "got %s, wanted %s", got, want);
}

/* All that one connection may try. */
static void expect_tries(struct sw_pool *pool, const struct sw_health_config *cf, const char *want)
{
	struct sw_tried tried = { 0 };
	char got[16];
	size_t n = 0;

	while (n < sizeof(got) - 1) {
		got[n] = name_of(sw_pool_pick(pool, cf, AF_UNSPEC, &tried, 1));
		if (got[n] == '.')
			break;
		n++;
	}
	got[n] = '\0';
	cr_expect_str_eq(got, want, "got %s, wanted %s", got, want);
}

Test(pool, in_turn)
{
	struct sw_pool pool = { 0 };

	TAILQ_INIT(&pool.leaving);
	set(&pool, "123");
	cr_expect_str_eq(trail, "+1+2+3", "%s", trail);
	expect_picks(&pool, &checked, "123123123", 1);
	sw_pool_clear(&pool, NULL);
}

Test(pool, the_load_of_one_that_is_down_is_shared_evenly)
{
	struct sw_pool pool = { 0 };

	TAILQ_INIT(&pool.leaving);
	set(&pool, "1234");
	pool.server[1]->health.down = true;
	expect_picks(&pool, &checked, "134134134", 1);
	cr_expect_eq(sw_pool_up(&pool), 3, "%u up", sw_pool_up(&pool));
	sw_pool_clear(&pool, NULL);
}

Test(pool, all_down_are_tried_in_turn)
{
	struct sw_pool pool = { 0 };

	TAILQ_INIT(&pool.leaving);
	set(&pool, "123");
	for (size_t i = 0; i < 3; i++)
		pool.server[i]->health.down = true;
	expect_picks(&pool, &checked, "123123", 1);
	expect_tries(&pool, &checked, "123");
	cr_expect_eq(sw_pool_up(&pool), 0, "%u up", sw_pool_up(&pool));
	sw_pool_clear(&pool, NULL);
}

Test(pool, one_connection_tries_each_once_those_that_are_up_first)
{
	struct sw_pool pool = { 0 };

	TAILQ_INIT(&pool.leaving);
	set(&pool, "1234");
	pool.server[0]->health.down = pool.server[2]->health.down = true;
	expect_tries(&pool, &checked, "2413");
	sw_pool_clear(&pool, NULL);
}

Test(pool, a_failed_server_without_checks_gets_one_in_a_while)
{
	struct sw_pool pool = { 0 };

	TAILQ_INIT(&pool.leaving);
	set(&pool, "12");
	cr_expect_eq(sw_health_met(&pool.server[0]->health, &unchecked, false, 1000),
		     SW_HEALTH_FELL, "did not fall");
	expect_picks(&pool, &unchecked, "2222", 1000 + SW_HEALTH_PAUSE_MS - 1);
	expect_picks(&pool, &unchecked, "1222", 1000 + SW_HEALTH_PAUSE_MS);
	expect_picks(&pool, &unchecked, "1222", 1000 + 2 * SW_HEALTH_PAUSE_MS);
	sw_pool_clear(&pool, NULL);
}

Test(pool, only_servers_of_a_family)
{
	struct sockaddr_storage addr[2] = { server(1), server6(80) };
	struct sw_pool pool = { 0 };
	struct sw_tried tried = { 0 };
	struct sw_pool_plan plan;
	char why[200];

	TAILQ_INIT(&pool.leaving);
	cr_assert_eq(sw_pool_plan(&pool, addr, 2, &plan, why, sizeof(why)), 0, "%s", why);
	sw_pool_commit(&pool, &plan, NULL, NULL, NULL);
	cr_expect_eq(sw_pool_pick(&pool, &checked, AF_INET6, &tried, 1), pool.server[1], "not ::1");
	cr_expect_null(sw_pool_pick(&pool, &checked, AF_INET6, &tried, 1), "the other family");
	cr_expect_eq(sw_pool_pick(&pool, &checked, AF_INET, &tried, 1), pool.server[0], "not v4");
	sw_pool_clear(&pool, NULL);
}

Test(pool, update_matches_by_address)
{
	struct sw_pool pool = { 0 };
	struct sw_server *two, *three;
	struct sw_tried tried = { 0 };

	TAILQ_INIT(&pool.leaving);
	set(&pool, "123");
	two = pool.server[1];
	three = pool.server[2];
	two->stats.connected = 22;
	two->health.down = true;
	cr_expect_neq(sw_pool_pick(&pool, &checked, AF_UNSPEC, &tried, 1), NULL, "none");
	set(&pool, "4321");
	cr_expect_str_eq(trail, "+4", "%s", trail);
	cr_expect(pool.server[2] == two && two->stats.connected == 22 && two->health.down,
		  "one that stays lost its state");
	cr_expect_eq(pool.server[1], three, "the order is not the new one");
	set(&pool, "4");
	cr_expect_str_eq(trail, "-3-2-1", "%s", trail);
	cr_expect(TAILQ_EMPTY(&pool.leaving), "one without connections stays");
	expect_picks(&pool, &checked, "444", 1);
	sw_pool_clear(&pool, NULL);
}

Test(pool, a_server_that_left_lives_as_long_as_its_connections)
{
	struct sw_pool pool = { 0 };
	struct sw_server *one;

	TAILQ_INIT(&pool.leaving);
	set(&pool, "12");
	one = pool.server[0];
	sw_server_hold(one);
	sw_server_hold(one);
	set(&pool, "2");
	cr_expect_eq(TAILQ_FIRST(&pool.leaving), one, "it is gone");
	sw_server_drop(&pool, one);
	cr_expect_eq(one->stats.active, 1, "%lu active", one->stats.active);
	set(&pool, "21");
	cr_expect_str_eq(trail, "+1", "%s", trail);
	cr_expect_eq(pool.server[1], one, "there are two of it");
	cr_expect(TAILQ_EMPTY(&pool.leaving), "it is back and leaving");
	set(&pool, "2");
	sw_server_drop(&pool, one); /* freed here: a sanitizer would tell otherwise */
	cr_expect(TAILQ_EMPTY(&pool.leaving), "it stays");
	sw_pool_clear(&pool, NULL);
}

Test(pool, an_update_forgets_what_a_connection_tried)
{
	struct sw_pool pool = { 0 };
	struct sw_tried tried = { 0 };

	TAILQ_INIT(&pool.leaving);
	set(&pool, "1");
	cr_expect_eq(name_of(sw_pool_pick(&pool, &checked, AF_UNSPEC, &tried, 1)), '1', "not 1");
	cr_expect_null(sw_pool_pick(&pool, &checked, AF_UNSPEC, &tried, 1), "1 twice");
	set(&pool, "2");
	cr_expect_eq(name_of(sw_pool_pick(&pool, &checked, AF_UNSPEC, &tried, 1)), '2', "not 2");
	sw_pool_clear(&pool, NULL);
}

static void expect_refused(const struct sockaddr_storage *addr, size_t n, const char *want)
{
	struct sw_pool pool = { 0 };
	struct sw_pool_plan plan = { 0 };
	char why[200] = "";

	TAILQ_INIT(&pool.leaving);
	cr_expect_eq(sw_pool_plan(&pool, addr, n, &plan, why, sizeof(why)), -EINVAL, "accepted");
	cr_expect_str_eq(why, want, "got '%s', wanted '%s'", why, want);
	cr_expect_null(plan.server, "something is planned");
}

Test(pool, refuses)
{
	struct sockaddr_storage addr[SW_SERVERS_MAX + 1];

	for (unsigned i = 0; i <= SW_SERVERS_MAX; i++)
		addr[i] = server(i);
	expect_refused(addr, 0, "0 servers in a pool; 1 to 64 would be right");
	expect_refused(addr, SW_SERVERS_MAX + 1, "65 servers in a pool; 1 to 64 would be right");
	addr[3] = addr[1];
	expect_refused(addr, 4, "server 10.0.0.1:80 is in the pool twice; once is enough");
	addr[0] = addr[2] = server6(81);
	expect_refused(addr, 3, "server [::1]:81 is in the pool twice; once is enough");
	addr[1].ss_family = AF_UNIX;
	expect_refused(addr, 2, "server 2 of the pool is no IPv4 or IPv6 address");
}

Test(pool, sixty_four)
{
	struct sockaddr_storage addr[SW_SERVERS_MAX];
	struct sw_pool pool = { 0 };
	struct sw_pool_plan plan;
	struct sw_tried tried = { 0 };
	char why[200];

	TAILQ_INIT(&pool.leaving);
	for (unsigned i = 0; i < SW_SERVERS_MAX; i++)
		addr[i] = server(i);
	cr_assert_eq(sw_pool_plan(&pool, addr, SW_SERVERS_MAX, &plan, why, sizeof(why)), 0, "%s",
		     why);
	sw_pool_commit(&pool, &plan, NULL, NULL, NULL);
	for (unsigned i = 0; i < SW_SERVERS_MAX; i++)
		cr_expect_eq(sw_pool_pick(&pool, &checked, AF_UNSPEC, &tried, 1), pool.server[i],
			     "not server %u", i);
	cr_expect_null(sw_pool_pick(&pool, &checked, AF_UNSPEC, &tried, 1), "one twice");
	sw_pool_clear(&pool, NULL);
}
