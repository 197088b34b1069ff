/* SPDX-License-Identifier: MIT */
#include "relay/proxyhdr.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "" is an address that is not IP. */
static struct sockaddr_storage addr(const char *ip, uint16_t port)
{
	struct sockaddr_storage ss = { .ss_family = AF_UNIX };
	struct sockaddr_in *sin = (void *)&ss;
	struct sockaddr_in6 *sin6 = (void *)&ss;

	if (inet_pton(AF_INET, ip, &sin->sin_addr) == 1) {
		sin->sin_family = AF_INET;
		sin->sin_port = htons(port);
	} else if (inet_pton(AF_INET6, ip, &sin6->sin6_addr) == 1) {
		sin6->sin6_family = AF_INET6;
		sin6->sin6_port = htons(port);
	}
	return ss;
}

struct v1_row {
	char src[48], dst[48];
	uint16_t sport, dport;
	char want[112];
};

ParameterizedTestParameters(proxyhdr, v1)
{
	static struct v1_row rows[] = {
		{ "198.51.100.7", "203.0.113.1", 40000, 443,
		  "PROXY TCP4 198.51.100.7 203.0.113.1 40000 443\r\n" },
		{ "255.255.255.255", "255.255.255.255", 65535, 65535,
		  "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n" },
		{ "2001:db8::7", "2001:db8::1", 40000, 80,
		  "PROXY TCP6 2001:db8::7 2001:db8::1 40000 80\r\n" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", 65535, 65535,
		  "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe 65535 65535\r\n" },
		{ "::ffff:198.51.100.7", "::ffff:203.0.113.1", 1, 2,
		  "PROXY TCP4 198.51.100.7 203.0.113.1 1 2\r\n" },
		{ "::ffff:198.51.100.7", "203.0.113.1", 1, 2,
		  "PROXY TCP4 198.51.100.7 203.0.113.1 1 2\r\n" },
		{ "198.51.100.7", "::ffff:203.0.113.1", 1, 2,
		  "PROXY TCP4 198.51.100.7 203.0.113.1 1 2\r\n" },
		{ "198.51.100.7", "2001:db8::1", 1, 2, "PROXY UNKNOWN\r\n" },
		{ "", "203.0.113.1", 1, 2, "PROXY UNKNOWN\r\n" },
		{ "", "", 1, 2, "PROXY UNKNOWN\r\n" },
	};
	return cr_make_param_array(struct v1_row, rows, sizeof(rows) / sizeof(rows[0]));
}

ParameterizedTest(struct v1_row *r, proxyhdr, v1)
{
	const struct sockaddr_storage src = addr(r->src, r->sport), dst = addr(r->dst, r->dport);
	uint8_t out[SW_PROXYHDR_MAX];
	const size_t n =
		sw_proxyhdr_build(out, SW_PROXY_V1, (const void *)&src, (const void *)&dst);

	cr_expect_eq(n, strlen(r->want), "length %zu != %zu", n, strlen(r->want));
	cr_expect(memcmp(out, r->want, strlen(r->want)) == 0, "got %.*s", (int)n, out);
}

/* The bytes after the signature, as in the tables of the specification. */
struct v2_row {
	char src[48], dst[48];
	size_t n;
	uint8_t want[40];
};

ParameterizedTestParameters(proxyhdr, v2)
{
	static struct v2_row rows[] = {
		{ "198.51.100.7",
		  "203.0.113.1",
		  16,
		  { 0x21, 0x11, 0, 12, 198, 51, 100, 7, 203, 0, 113, 1, 0x9c, 0x40, 1, 0xbb } },
		{ "::ffff:198.51.100.7",
		  "::ffff:203.0.113.1",
		  16,
		  { 0x21, 0x11, 0, 12, 198, 51, 100, 7, 203, 0, 113, 1, 0x9c, 0x40, 1, 0xbb } },
		{ "2001:db8::7", "2001:db8::1", 40, { 0x21, 0x21, 0, 36, 0x20, 1,    0xd, 0xb8,
						      0,    0,	  0, 0,	 0,    0,    0,	  0,
						      0,    0,	  0, 7,	 0x20, 1,    0xd, 0xb8,
						      0,    0,	  0, 0,	 0,    0,    0,	  0,
						      0,    0,	  0, 1,	 0x9c, 0x40, 1,	  0xbb } },
		{ "2001:db8::7", "203.0.113.1", 4, { 0x21, 0, 0, 0 } },
		{ "", "", 4, { 0x21, 0, 0, 0 } },
	};
	return cr_make_param_array(struct v2_row, rows, sizeof(rows) / sizeof(rows[0]));
}

ParameterizedTest(struct v2_row *r, proxyhdr, v2)
{
	static const char signature[] = "\r\n\r\n\0\r\nQUIT\n";
	const struct sockaddr_storage src = addr(r->src, 40000), dst = addr(r->dst, 443);
	uint8_t out[SW_PROXYHDR_MAX];
	const size_t n =
		sw_proxyhdr_build(out, SW_PROXY_V2, (const void *)&src, (const void *)&dst);

	cr_assert_eq(n, 12 + r->n, "length %zu != %zu", n, 12 + r->n);
	cr_expect(memcmp(out, signature, 12) == 0, "signature differs");
	cr_expect(memcmp(out + 12, r->want, r->n) == 0, "%s: body differs", r->src);
}

Test(proxyhdr, none_is_empty)
{
	const struct sockaddr_storage a = addr("198.51.100.7", 1);
	uint8_t out[SW_PROXYHDR_MAX];

	cr_expect_eq(sw_proxyhdr_build(out, SW_PROXY_NONE, (const void *)&a, (const void *)&a), 0,
		     "no header was asked for");
}

Test(proxyhdr, local)
{
	static const char v1[] = "PROXY UNKNOWN\r\n";
	static const char v2[] = "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
	uint8_t out[SW_PROXYHDR_MAX];

	cr_expect_eq(sw_proxyhdr_local(out, SW_PROXY_NONE), 0, "none is something");
	cr_assert_eq(sw_proxyhdr_local(out, SW_PROXY_V1), sizeof(v1) - 1, "v1 length");
	cr_expect(memcmp(out, v1, sizeof(v1) - 1) == 0, "v1 differs");
	cr_assert_eq(sw_proxyhdr_local(out, SW_PROXY_V2), sizeof(v2) - 1, "v2 length");
	cr_expect(memcmp(out, v2, sizeof(v2) - 1) == 0, "v2 differs");
}

Test(proxyhdr, id)
{
	static const char *const ip[] = { "198.51.100.7", "2001:db8::7", "" };
	static const uint8_t addresses[] = { 12, 36, 0 };

	for (size_t i = 0; i < 3; i++) {
		const struct sockaddr_storage a = addr(ip[i], 1);
		uint8_t *out = malloc(SW_PROXYHDR_MAX); /* the exact size, for a sanitizer to see */
		size_t n = sw_proxyhdr_build(out, SW_PROXY_V2, (const void *)&a, (const void *)&a);

		n = sw_proxyhdr_add_id(out, n, 0x0123456789abcdefu);
		cr_expect_eq(n, 16u + addresses[i] + 19, "%s: %zu bytes", ip[i], n);
		cr_expect(out[14] == 0 && out[15] == addresses[i] + 19, "length %u", out[15]);
		cr_expect(memcmp(out + 16 + addresses[i],
				 "\x05\0\x10"
				 "0123456789abcdef",
				 19) == 0,
			  "%s: the TLV differs", ip[i]);
		free(out);
	}
}
