/* SPDX-License-Identifier: MIT */
#include "relay/limits.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

TestSuite(limits, .timeout = 60);

static const uint8_t key[16] = "sixteen bytes!!";

static struct sw_limits *limits(size_t connections, size_t per_source, unsigned p4, unsigned p6)
{
	const struct sw_limits_config cf = { connections, per_source, p4, p6 };
	struct sw_limits *l = sw_limits_new(&cf, key);

	cr_assert_not_null(l, "sw_limits_new failed");
	return l;
}

static enum sw_limits_rc take(struct sw_limits *l, const char *ip, struct sw_limits_share *share)
{
	struct sockaddr_in in4 = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, ip, &in4.sin_addr) == 1)
		return sw_limits_take(l, (void *)&in4, share);
	cr_assert_eq(inet_pton(AF_INET6, ip, &in6.sin6_addr), 1, "%s is no address", ip);
	return sw_limits_take(l, (void *)&in6, share);
}

static struct sw_limits_stats stats(const struct sw_limits *l)
{
	struct sw_limits_stats s;

	sw_limits_get_stats(l, &s);
	return s;
}

static void change(struct sw_limits *l, struct sw_limits_config cf)
{
	cr_assert_eq(sw_limits_prepare(l, &cf), 0, "sw_limits_prepare failed");
	sw_limits_commit(l, &cf);
}

Test(limits, none_by_default)
{
	struct sw_limits *l = limits(0, 0, 0, 0);
	static struct sw_limits_share share[1000];

	for (int i = 0; i < 1000; i++)
		cr_assert_eq(take(l, "192.0.2.1", &share[i]), SW_LIMITS_OK, "refused at %d", i);
	cr_expect_eq(stats(l).active, 1000, "%lu", stats(l).active);
	cr_expect_eq(stats(l).sources, 0, "sources are counted for nothing");
	for (int i = 0; i < 1000; i++)
		sw_limits_give(l, &share[i]);
	sw_limits_free(l);
	sw_limits_free(NULL);
}

Test(limits, in_all)
{
	struct sw_limits *l = limits(2, 0, 0, 0);
	struct sw_limits_share a, b, c;

	cr_expect_eq(take(l, "192.0.2.1", &a), SW_LIMITS_OK, "first");
	cr_expect_eq(take(l, "2001:db8::1", &b), SW_LIMITS_OK, "second");
	cr_expect_eq(take(l, "192.0.2.3", &c), SW_LIMITS_TOTAL, "third");
	sw_limits_give(l, &a);
	cr_expect_eq(take(l, "192.0.2.3", &c), SW_LIMITS_OK, "a place was given back");
	cr_expect_eq(stats(l).refused, 1, "%lu", stats(l).refused);
	sw_limits_give(l, &b);
	sw_limits_give(l, &c);
	sw_limits_free(l);
}

struct pair {
	unsigned p4, p6;
	char a[40], b[40];
	bool same; /* source */
};

ParameterizedTestParameters(limits, prefixes)
{
	static struct pair rows[] = {
		{ 0, 0, "192.0.2.1", "192.0.2.1", true },
		{ 0, 0, "192.0.2.1", "192.0.2.2", false },
		{ 24, 0, "192.0.2.1", "192.0.2.255", true },
		{ 24, 0, "192.0.2.1", "192.0.3.1", false },
		{ 25, 0, "192.0.2.127", "192.0.2.128", false },
		{ 31, 0, "192.0.2.2", "192.0.2.3", true },
		{ 31, 0, "192.0.2.1", "192.0.2.2", false },
		{ 1, 0, "1.0.0.0", "127.255.255.255", true },
		{ 1, 0, "127.255.255.255", "128.0.0.0", false },
		{ 0, 0, "2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true },
		{ 0, 0, "2001:db8::1", "2001:db8:0:1::1", false },
		{ 0, 56, "2001:db8:0:1::1", "2001:db8:0:ff::1", true },
		{ 0, 56, "2001:db8:0:1::1", "2001:db8:0:100::1", false },
		{ 0, 128, "2001:db8::1", "2001:db8::2", false },
		{ 0, 128, "2001:db8::1", "2001:db8::1", true },
		/* A mapped address is the IPv4 address it stands for. */
		{ 0, 0, "::ffff:192.0.2.1", "192.0.2.1", true },
		{ 0, 0, "::ffff:192.0.2.1", "::ffff:192.0.2.2", false },
		/* Families do not meet: 192.0.2.1 is not c000:201::. */
		{ 32, 32, "192.0.2.1", "c000:201::", false },
		/* Out of range is as much as there is. */
		{ 99, 999, "192.0.2.1", "192.0.2.0", false },
		{ 99, 999, "2001:db8::1", "2001:db8::", false },
	};
	return cr_make_param_array(struct pair, rows, sizeof(rows) / sizeof(rows[0]));
}

ParameterizedTest(struct pair *row, limits, prefixes)
{
	struct sw_limits *l = limits(0, 1, row->p4, row->p6);
	struct sw_limits_share a, b;
	enum sw_limits_rc rc;

	cr_expect_eq(take(l, row->a, &a), SW_LIMITS_OK, "%s", row->a);
	rc = take(l, row->b, &b);
	cr_expect_eq(rc, row->same ? SW_LIMITS_SOURCE : SW_LIMITS_OK, "/%u /%u %s %s: %d", row->p4,
		     row->p6, row->a, row->b, rc);
	sw_limits_give(l, &a);
	if (rc == SW_LIMITS_OK)
		sw_limits_give(l, &b);
	cr_expect_eq(stats(l).sources, 0, "an entry did not vanish");
	sw_limits_free(l);
}

Test(limits, other_families_are_counted_in_all_only)
{
	struct sw_limits *l = limits(2, 1, 0, 0);
	const struct sockaddr local = { .sa_family = AF_UNIX };
	struct sw_limits_share a, b, c;

	cr_expect_eq(sw_limits_take(l, &local, &a), SW_LIMITS_OK, "first");
	cr_expect_eq(sw_limits_take(l, &local, &b), SW_LIMITS_OK, "second");
	cr_expect_eq(sw_limits_take(l, &local, &c), SW_LIMITS_TOTAL, "third");
	sw_limits_give(l, &a);
	sw_limits_give(l, &b);
	sw_limits_free(l);
}

Test(limits, update_keeps_what_is_there)
{
	struct sw_limits *l = limits(0, 0, 0, 0);
	struct sw_limits_share before, a, b, c;

	cr_expect_eq(take(l, "192.0.2.1", &before), SW_LIMITS_OK, "without limits");
	change(l, (struct sw_limits_config){ 0, 1, 32, 64 });
	cr_expect_eq(take(l, "192.0.2.1", &a), SW_LIMITS_OK, "the one from before does not count");
	cr_expect_eq(take(l, "192.0.2.1", &b), SW_LIMITS_SOURCE, "the limit holds at once");
	change(l, (struct sw_limits_config){ 0, 1, 24, 64 });
	cr_expect_eq(take(l, "192.0.2.9", &b), SW_LIMITS_OK, "another prefix, another count");
	cr_expect_eq(take(l, "192.0.2.1", &c), SW_LIMITS_SOURCE, "the new prefix holds");
	cr_expect_eq(stats(l).sources, 2, "%lu", stats(l).sources);
	sw_limits_give(l, &a); /* counted by /32: not the entry by /24 */
	cr_expect_eq(take(l, "192.0.2.1", &c), SW_LIMITS_SOURCE, "the wrong entry vanished");
	sw_limits_give(l, &b);
	cr_expect_eq(take(l, "192.0.2.1", &c), SW_LIMITS_OK, "the entry did not vanish");
	sw_limits_give(l, &c);
	sw_limits_give(l, &before);
	cr_expect_eq(stats(l).active, 0, "%lu", stats(l).active);
	sw_limits_free(l);
}

Test(limits, prepared_ones_do_not_count_yet)
{
	struct sw_limits *l = limits(0, 0, 0, 0);
	const struct sw_limits_config tight = { 1, 1, 24, 64 };
	struct sw_limits_share share[3];

	cr_assert_eq(sw_limits_prepare(l, &tight), 0, "sw_limits_prepare failed");
	for (int i = 0; i < 3; i++)
		cr_expect_eq(take(l, "192.0.2.1", &share[i]), SW_LIMITS_OK, "refused at %d", i);
	cr_expect_eq(stats(l).sources, 0, "%lu sources", stats(l).sources);
	for (int i = 0; i < 3; i++)
		sw_limits_give(l, &share[i]);
	sw_limits_free(l);
}

/* The n-th address of a crowd that makes every prefix another one. */
static struct sockaddr_in crowd(uint32_t n)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_addr.s_addr = htonl(0x0a000000u + n) };
}

Test(limits, full_table_lets_the_rest_in_uncounted)
{
	enum { N = SW_LIMITS_SOURCES, MORE = 1000 };
	struct sw_limits *l = limits(0, 1, 0, 0);
	struct sw_limits_share *share = calloc(N + MORE, sizeof(*share)), again;
	struct sockaddr_in from;

	for (uint32_t i = 0; i < N + MORE; i++) {
		from = crowd(i);
		cr_assert_eq(sw_limits_take(l, (void *)&from, &share[i]), SW_LIMITS_OK, "at %u", i);
	}
	cr_expect_eq(stats(l).sources, N, "%lu", stats(l).sources);
	cr_expect_eq(stats(l).uncounted, MORE, "%lu", stats(l).uncounted);
	for (uint32_t i = 0; i < N; i += 997) {
		from = crowd(i);
		cr_expect_eq(sw_limits_take(l, (void *)&from, &again), SW_LIMITS_SOURCE,
			     "the limit of %u does not hold while the table is full", i);
	}
	/* Places given back are places again, in whatever order. */
	for (uint32_t i = 0; i < N + MORE; i += 2)
		sw_limits_give(l, &share[i]);
	for (uint32_t i = 1; i < N; i += 2) {
		from = crowd(i);
		cr_assert_eq(sw_limits_take(l, (void *)&from, &again), SW_LIMITS_SOURCE,
			     "%u was lost when others vanished", i);
	}
	for (uint32_t i = 1; i < N + MORE; i += 2)
		sw_limits_give(l, &share[i]);
	cr_expect_eq(stats(l).sources, 0, "%lu entries left", stats(l).sources);
	cr_expect_eq(stats(l).active, 0, "%lu active", stats(l).active);
	free(share);
	sw_limits_free(l);
}

static uint32_t step(uint32_t *x)
{
	return *x = *x * 1664525u + 1013904223u;
}

/* A model that cannot be wrong beside the table: counts in an array by source. */
Test(limits, agrees_with_a_plain_count)
{
	enum { SOURCES = 400, LIVE = 3000, STEPS = 200000, LIMIT = 9 };
	struct sw_limits *l = limits(0, LIMIT, 0, 0);
	static struct sw_limits_share share[LIVE];
	static uint32_t source[LIVE];
	static unsigned count[SOURCES];
	uint32_t x = 1;

	for (int i = 0; i < STEPS; i++) {
		const uint32_t slot = (step(&x) >> 8) % LIVE, who = (step(&x) >> 8) % SOURCES;
		const struct sockaddr_in from = crowd(who);
		const bool want = count[who] < LIMIT;

		if (share[slot].taken) {
			sw_limits_give(l, &share[slot]);
			count[source[slot]]--;
			continue;
		}
		cr_assert_eq(sw_limits_take(l, (void *)&from, &share[slot]) == SW_LIMITS_OK, want,
			     "step %d: source %u has %u", i, who, count[who]);
		source[slot] = who;
		count[who] += want;
	}
	for (int i = 0; i < LIVE; i++)
		if (share[i].taken)
			sw_limits_give(l, &share[i]);
	cr_expect_eq(stats(l).sources, 0, "%lu entries left", stats(l).sources);
	sw_limits_free(l);
}
