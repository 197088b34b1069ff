/* SPDX-License-Identifier: MIT */
#include "steer/addr.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct good_row {
	char text[64];
	int family;
	uint16_t port;
	char want[64]; /* as sw_addr_str() writes it */
};

ParameterizedTestParameters(addr, good)
{
	static struct good_row rows[] = {
		{ "192.0.2.1:80", AF_INET, 80, "192.0.2.1:80" },
		{ "0.0.0.0:1", AF_INET, 1, "0.0.0.0:1" },
		{ "255.255.255.255:65535", AF_INET, 65535, "255.255.255.255:65535" },
		{ "[2001:db8::1]:80", AF_INET6, 80, "[2001:db8::1]:80" },
		{ "[2001:DB8:0:0:0:0:0:1]:443", AF_INET6, 443, "[2001:db8::1]:443" },
		{ "[::]:80", AF_INET6, 80, "[::]:80" },
		{ "192.0.2.1:00080", AF_INET, 80, "192.0.2.1:80" },
		{ "[1111:2222:3333:4444:5555:6666:7777:8888]:65535", AF_INET6, 65535,
		  "[1111:2222:3333:4444:5555:6666:7777:8888]:65535" },
	};
	return cr_make_param_array(struct good_row, rows, sizeof(rows) / sizeof(rows[0]));
}

ParameterizedTest(struct good_row *r, addr, good)
{
	struct sockaddr_storage ss;
	char err[160] = "", back[SW_ADDR_STRLEN];
	const struct sockaddr_in *sin = (const void *)&ss;

	cr_assert_eq(sw_addr_parse(r->text, &ss, err, sizeof(err)), 0, "%s: %s", r->text, err);
	cr_expect_eq(ss.ss_family, r->family, "%s: family %d", r->text, ss.ss_family);
	cr_expect_eq(ntohs(sin->sin_port), r->port, "%s: port %u", r->text, ntohs(sin->sin_port));
	sw_addr_str((const struct sockaddr *)&ss, back);
	cr_expect_str_eq(back, r->want, "%s came back as %s", r->text, back);
	cr_expect_eq(sw_addr_socklen(&ss), r->family == AF_INET ? 16 : 28, "length %u",
		     sw_addr_socklen(&ss));
}

struct bad_row {
	char text[96];
	unsigned column;
	char part[32]; /* of the message */
};

ParameterizedTestParameters(addr, bad)
{
	static struct bad_row rows[] = {
		{ "", 1, "not an IPv4 address" },
		{ ":", 1, "not an IPv4 address" },
		{ ":80", 1, "not an IPv4 address" },
		{ "192.0.2.1", 10, "no port" },
		{ "192.0.2.1:", 11, "no port" },
		{ "192.0.2.1:0", 11, "out of range" },
		{ "192.0.2.1:65536", 11, "out of range" },
		{ "192.0.2.1:99999999999999999999", 11, "out of range" },
		{ "192.0.2.1:-1", 11, "not a digit" },
		{ "192.0.2.1:80x", 13, "not a digit" },
		{ "192.0.2.1:80 ", 13, "not a digit" },
		{ " 192.0.2.1:80", 1, "names are not" },
		{ "192.0.2:80", 8, "not an IPv4 address" },
		{ "192.0.2.256:80", 9, "not an IPv4 address" },
		{ "192.0.2.01:80", 9, "not an IPv4 address" },
		{ "192..2.1:80", 5, "not an IPv4 address" },
		{ "192.0.2.1.5:80", 10, "not an IPv4 address" },
		{ "localhost:80", 1, "names are not" },
		{ "192.0.2.x:80", 9, "names are not" },
		{ "2001:db8::1:80", 1, "brackets" },
		{ "::1", 1, "brackets" },
		{ "[2001:db8::1:80", 1, "no closing bracket" },
		{ "[2001:db8::1]", 14, "no port" },
		{ "[2001:db8::1]80", 14, "no port" },
		{ "[2001:db8::1]:", 15, "no port" },
		{ "[2001:db8::g]:80", 2, "not an IPv6 address" },
		{ "[]:80", 2, "not an IPv6 address" },
		{ "[192.0.2.1]:80", 2, "not an IPv6 address" },
		{ "[fe80::1%eth0]:80", 9, "scope" },
		{ "[::ffff:192.0.2.1]:80", 2, "IPv6 form" },
		{ "[11111111111111111111111111111111111111111111111111111]:80", 2,
		  "not an IPv6 address" },
		{ "11111111111111111111111111111111111111111111111111111:80", 1,
		  "not an IPv4 address" },
	};
	return cr_make_param_array(struct bad_row, rows, sizeof(rows) / sizeof(rows[0]));
}

ParameterizedTest(struct bad_row *r, addr, bad)
{
	struct sockaddr_storage ss, before;
	char err[200] = "", column[32];
	/* An exact-size block: the sanitizer sees a step past the end. */
	char *tight = strdup(r->text);

	memset(&ss, 0x5a, sizeof(ss));
	before = ss;
	snprintf(column, sizeof(column), ": column %u: ", r->column);
	cr_expect_eq(sw_addr_parse(tight, &ss, err, sizeof(err)), -EINVAL, "'%s' was read",
		     r->text);
	cr_expect(strstr(err, r->part) && strstr(err, column), "'%s': got '%s'", r->text, err);
	cr_expect(memcmp(&ss, &before, sizeof(ss)) == 0, "'%s': out was written", r->text);
	cr_expect_eq(sw_addr_parse(tight, &ss, NULL, 0), -EINVAL, "'%s' was read", r->text);
	free(tight);
}

Test(addr, every_prefix_of_a_good_address)
{
	static const char text[] = "[2001:db8::1]:8";

	for (size_t n = 0; n < sizeof(text) - 1; n++) {
		char *tight = strndup(text, n), err[200];
		struct sockaddr_storage ss;

		cr_expect_eq(sw_addr_parse(tight, &ss, err, sizeof(err)), -EINVAL, "'%s' was read",
			     tight);
		free(tight);
	}
}
