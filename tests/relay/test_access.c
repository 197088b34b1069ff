/* SPDX-License-Identifier: MIT */
#include "relay/access.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(access, .timeout = 10);

static union sw_sockaddr in4(const char *ip, uint16_t port)
{
	union sw_sockaddr a = { .in4 = { .sin_family = AF_INET, .sin_port = htons(port) } };

	cr_assert_eq(inet_pton(AF_INET, ip, &a.in4.sin_addr), 1, "%s", ip);
	return a;
}

static union sw_sockaddr in6(const char *ip, uint16_t port)
{
	union sw_sockaddr a = { .in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) } };

	cr_assert_eq(inet_pton(AF_INET6, ip, &a.in6.sin6_addr), 1, "%s", ip);
	return a;
}

static struct sw_access usual(void)
{
	return (struct sw_access){
		.id = 0xfedcba9876543210u,
		.client = in4("198.51.100.7", 40000),
		.local = in4("192.0.2.1", 443),
		.listener = "web",
		.pool = "app",
		.server = "10.0.0.11:8443",
		.started = { 1767323045678000000u }, /* 2026-01-02 03:04:05.678 */
		.connect_us = 312,
		.total_us = 12700,
		.to_server = 84,
		.to_client = 1500,
		.attempts = 1,
		.cause = SW_END_CLIENT_FIN
	};
}

static void expect_line(enum sw_access_form form, const struct sw_access *a, const char *want)
{
	char line[SW_ACCESS_MAX];
	const size_t n = sw_access_format(line, form, a);

	cr_expect_str_eq(line, want, "got  %swant %s", line, want);
	cr_expect_eq(n, strlen(line), "%zu is not the length", n);
}

Test(access, text)
{
	const struct sw_access a = usual();

	expect_line(SW_ACCESS_TEXT, &a,
		    "synward: access client=198.51.100.7:40000 listener=web local=192.0.2.1:443 "
		    "server=app/10.0.0.11:8443 start=2026-01-02T03:04:05.678Z connect_ms=0.312 "
		    "total_ms=12.700 to_server=84 to_client=1500 cause=client_fin attempts=1 "
		    "id=fedcba9876543210\n");
}

Test(access, logfmt)
{
	const struct sw_access a = usual();

	expect_line(SW_ACCESS_LOGFMT, &a,
		    "ts=2026-01-02T03:04:05.690Z level=info msg=access client=198.51.100.7:40000 "
		    "listener=web local=192.0.2.1:443 server=app/10.0.0.11:8443 "
		    "start=2026-01-02T03:04:05.678Z connect_ms=0.312 total_ms=12.700 to_server=84 "
		    "to_client=1500 cause=client_fin attempts=1 id=fedcba9876543210\n");
}

Test(access, json)
{
	const struct sw_access a = usual();

	expect_line(SW_ACCESS_JSON, &a,
		    "{\"ts\":\"2026-01-02T03:04:05.690Z\",\"level\":\"info\",\"msg\":\"access\","
		    "\"client\":\"198.51.100.7:40000\",\"listener\":\"web\","
		    "\"local\":\"192.0.2.1:443\",\"server\":\"app/10.0.0.11:8443\","
		    "\"start\":\"2026-01-02T03:04:05.678Z\",\"connect_ms\":0.312,"
		    "\"total_ms\":12.700,\"to_server\":84,\"to_client\":1500,"
		    "\"cause\":\"client_fin\",\"attempts\":1,\"id\":\"fedcba9876543210\"}\n");
}

/* Refused at once: nothing but the client and the listener is known. */
static struct sw_access unknown(void)
{
	return (struct sw_access){ .client = in6("2001:db8::7", 1),
				   .listener = "",
				   .pool = "app",
				   .server = "",
				   .connect_us = SW_NEVER,
				   .cause = SW_END_SOURCE_LIMIT };
}

Test(access, unknown_in_text)
{
	const struct sw_access a = unknown();

	expect_line(SW_ACCESS_TEXT, &a,
		    "synward: access client=[2001:db8::7]:1 listener=- local=- server=- "
		    "start=1970-01-01T00:00:00.000Z connect_ms=- total_ms=0.000 to_server=0 "
		    "to_client=0 cause=source_limit attempts=0 id=0000000000000000\n");
}

Test(access, unknown_in_json)
{
	const struct sw_access a = unknown();

	expect_line(SW_ACCESS_JSON, &a,
		    "{\"ts\":\"1970-01-01T00:00:00.000Z\",\"level\":\"info\",\"msg\":\"access\","
		    "\"client\":\"[2001:db8::7]:1\",\"listener\":null,\"local\":null,"
		    "\"server\":null,\"start\":\"1970-01-01T00:00:00.000Z\",\"connect_ms\":null,"
		    "\"total_ms\":0.000,\"to_server\":0,\"to_client\":0,\"cause\":\"source_limit\","
		    "\"attempts\":0,\"id\":\"0000000000000000\"}\n");
}

Test(access, pool_without_a_name)
{
	struct sw_access a = usual();
	char line[SW_ACCESS_MAX];

	a.pool = "";
	cr_expect_gt(sw_access_format(line, SW_ACCESS_TEXT, &a), 0, "nothing");
	cr_expect_not_null(strstr(line, " server=10.0.0.11:8443 "), "%s", line);
}

Test(access, names_cannot_forge_a_field)
{
	struct sw_access a = usual();
	char line[SW_ACCESS_MAX];

	a.listener = "a b=\"c\"\n\\";
	cr_expect_gt(sw_access_format(line, SW_ACCESS_TEXT, &a), 0, "nothing");
	cr_expect_not_null(strstr(line, " listener=\"a b=\\\"c\\\"\\u000a\\\\\" local="), "%s",
			   line);
	cr_expect_gt(sw_access_format(line, SW_ACCESS_JSON, &a), 0, "nothing");
	cr_expect_not_null(strstr(line, ",\"listener\":\"a b=\\\"c\\\"\\u000a\\\\\",\"local\""),
			   "%s", line);
}

/* The longest of everything, with names that nobody limits, still ends in a newline. */
Test(access, longest)
{
	static const char *const long_ip = "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff";
	char name[2000], line[SW_ACCESS_MAX];
	struct sw_access a = usual();

	memset(name, '"', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	a.client = a.local = in6(long_ip, 65535);
	a.connect_us = a.total_us = UINT64_MAX - 1;
	a.to_server = a.to_client = UINT64_MAX;
	a.attempts = UINT32_MAX;
	a.cause = SW_END_CONNECT_FAILED;
	for (enum sw_access_form f = SW_ACCESS_TEXT; f <= SW_ACCESS_JSON; f++) {
		char *tight;
		size_t n;

		a.listener = "0123456789abcdef0123456789abcde";
		a.pool = a.listener;
		a.server = "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535";
		n = sw_access_format(line, f, &a);
		cr_expect_not_null(strstr(line, "id"), "the longest honest line is cut: %s", line);
		cr_expect_eq(line[n - 1], '\n', "no end: %s", line);
		a.listener = a.pool = a.server = name;
		tight = malloc(SW_ACCESS_MAX); /* of the exact size, for a sanitizer to see */
		n = sw_access_format(tight, f, &a);
		cr_expect(n < SW_ACCESS_MAX && tight[n - 1] == '\n' && tight[n] == '\0', "form %d",
			  (int)f);
		free(tight);
	}
}

Test(access, addresses)
{
	const union sw_sockaddr none = { .sa = { .sa_family = AF_UNIX } };
	union sw_sockaddr a = in6("::ffff:192.0.2.1", 80);
	char out[64];

	cr_expect_eq(sw_sockaddr_text(out, sizeof(out), &a), strlen(out), "length");
	cr_expect_str_eq(out, "[::ffff:192.0.2.1]:80", "%s", out);
	cr_expect_eq(sw_sockaddr_text(out, sizeof(out), &none), 1, "length");
	cr_expect_str_eq(out, "-", "%s", out);
	a = in4("192.0.2.1", 80);
	cr_expect_eq(sw_sockaddr_text(out, 5, &a), 4, "length of what was cut");
	cr_expect_str_eq(out, "192.", "%s", out);
}
