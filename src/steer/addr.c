/* SPDX-License-Identifier: MIT */
#include "steer/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN 60 /* the most of a wrong address that an error repeats */

/* What is being read and where an error goes. */
struct reader {
	const char *text;
	char *err;
	size_t errlen;
};

static int fail(const struct reader *r, const char *at, const char *what)
{
	if (r->errlen)
		snprintf(r->err, r->errlen, "%.*s: column %zu: %s", SHOWN, r->text,
			 (size_t)(at - r->text) + 1, what);
	return -EINVAL;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* @param colon  The ':' in front of the port. */
static int read_port(const struct reader *r, const char *colon, in_port_t *port)
{
	const char *digits = colon + 1;
	const size_t n = strspn(digits, "0123456789");
	unsigned long value;

	if (*digits == '\0')
		return fail(r, digits, "no port; a port is 1 to 65535");
	if (digits[n] != '\0')
		return fail(r, digits + n, "not a digit; a port is 1 to 65535");
	value = n <= 5 ? strtoul(digits, NULL, 10) : 0;
	if (value < 1 || value > 65535)
		return fail(r, digits, "port out of range; a port is 1 to 65535");
	*port = htons((uint16_t)value);
	return 0;
}

static int read_ip6(const struct reader *r, struct sockaddr_storage *out)
{
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6 };
	const char *ip = r->text + 1, *close = strchr(ip, ']'), *scope;
	char copy[INET6_ADDRSTRLEN] = "";
	size_t n;

	if (!close)
		return fail(r, r->text, "no closing bracket; write [2001:db8::1]:80");
	n = (size_t)(close - ip);
	scope = memchr(ip, '%', n);
	if (scope)
		return fail(r, scope, "scope ids are not supported; write a global address");
	if (n < sizeof(copy))
		memcpy(copy, ip, n);
	if (inet_pton(AF_INET6, copy, &sin6.sin6_addr) != 1)
		return fail(r, ip, "not an IPv6 address; write [2001:db8::1]:80");
	if (IN6_IS_ADDR_V4MAPPED(&sin6.sin6_addr))
		return fail(r, ip, "an IPv4 address in IPv6 form; write 192.0.2.1:80");
	if (close[1] != ':')
		return fail(r, close + 1, "no port; write [2001:db8::1]:80");
	if (read_port(r, close + 1, &sin6.sin6_port) < 0)
		return -EINVAL;
	memset(out, 0, sizeof(*out));
	memcpy(out, &sin6, sizeof(sin6));
	return 0;
}

/* @return the first character that cannot be part of an IPv4 address, or where it lacks one. */
static const char *ip4_stumble(const char *p, const char *end)
{
	for (int octet = 0; octet < 4; octet++) {
		const char *start = p;
		unsigned value = 0;

		while (p < end && is_digit(*p) && value <= 255)
			value = value * 10 + (unsigned)(*p++ - '0');
		if (p == start)
			return p;
		if (value > 255 || (*start == '0' && p > start + 1))
			return start;
		if (octet < 3 && (p == end || *p++ != '.'))
			return p == end ? p : p - 1;
	}
	return p;
}

static int read_ip4(const struct reader *r, struct sockaddr_storage *out)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	const char *colon = strrchr(r->text, ':');
	const char *end = colon ? colon : r->text + strlen(r->text);
	const size_t n = (size_t)(end - r->text);
	char copy[INET_ADDRSTRLEN] = "";
	const char *odd;

	if (colon && memchr(r->text, ':', n))
		return fail(r, r->text, "an IPv6 address needs brackets; write [2001:db8::1]:80");
	if (n < sizeof(copy))
		memcpy(copy, r->text, n);
	if (inet_pton(AF_INET, copy, &sin.sin_addr) != 1) {
		odd = ip4_stumble(r->text, end);
		return fail(
			r, odd,
			n && odd < end && !is_digit(*odd) && *odd != '.'
				? "names are not looked up; write an address such as 192.0.2.1:80"
				: "not an IPv4 address; write four numbers of 0 to 255, "
				  "192.0.2.1:80");
	}
	if (!colon)
		return fail(r, end, "no port; write 192.0.2.1:80");
	if (read_port(r, colon, &sin.sin_port) < 0)
		return -EINVAL;
	memset(out, 0, sizeof(*out));
	memcpy(out, &sin, sizeof(sin));
	return 0;
}

int sw_addr_parse(const char *text, struct sockaddr_storage *out, char *err, size_t errlen)
{
	const struct reader r = { text, err, errlen };

	return text[0] == '[' ? read_ip6(&r, out) : read_ip4(&r, out);
}

const char *sw_addr_str(const struct sockaddr *sa, char out[SW_ADDR_STRLEN])
{
	char ip[INET6_ADDRSTRLEN];

	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *sin = (const void *)sa;

		inet_ntop(AF_INET, &sin->sin_addr, ip, sizeof(ip));
		snprintf(out, SW_ADDR_STRLEN, "%s:%u", ip, ntohs(sin->sin_port));
	} else if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *sin6 = (const void *)sa;

		inet_ntop(AF_INET6, &sin6->sin6_addr, ip, sizeof(ip));
		snprintf(out, SW_ADDR_STRLEN, "[%s]:%u", ip, ntohs(sin6->sin6_port));
	} else {
		snprintf(out, SW_ADDR_STRLEN, "?");
	}
	return out;
}

socklen_t sw_addr_socklen(const struct sockaddr_storage *sa)
{
	return sa->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}
