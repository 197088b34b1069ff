/* SPDX-License-Identifier: MIT */
#include "relay/source.h"

#include "front/net.h"
#include "relay/relay.h"

#include <arpa/inet.h>
#include <string.h>

TestSuite(source, .timeout = 60);

static union sw_sockaddr client(const char *ip, uint16_t port)
{
	union sw_sockaddr a = { .in4 = { .sin_family = AF_INET, .sin_port = htons(port) } };

	if (inet_pton(AF_INET, ip, &a.in4.sin_addr) == 1)
		return a;
	a = (union sw_sockaddr){ .in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) } };
	cr_assert_eq(inet_pton(AF_INET6, ip, &a.in6.sin6_addr), 1, "%s is no address", ip);
	return a;
}

/* @return the address that a socket was bound to. */
static void expect_bound(const char *ip, uint16_t port, bool keep_port, bool want_kept,
			 const char *want)
{
	const union sw_sockaddr from = client(ip, port);
	const int fd = socket(from.sa.sa_family, SOCK_STREAM, 0);
	union sw_sockaddr got;
	socklen_t len = sizeof(got);
	bool kept = !want_kept;
	char text[64];

	cr_expect_eq(sw_source_bind(fd, &from, keep_port, &kept), 0, "%s: refused", ip);
	cr_expect_eq(kept, want_kept, "%s: kept %d", ip, (int)kept);
	cr_expect_eq(getsockname(fd, &got.sa, &len), 0, "getsockname");
	sw_sockaddr_text(text, sizeof(text), &got);
	cr_expect_str_eq(text, want, "got %s, wanted %s", text, want);
	close(fd);
}

Test(source, binds_to_addresses_that_are_not_ours)
{
	net_enter();
	cr_expect_eq(sw_source_allowed(), 0, "not allowed as root");
	expect_bound("198.51.100.7", 40000, true, true, "198.51.100.7:40000");
	expect_bound("2001:db8::7", 40000, true, true, "[2001:db8::7]:40000");
	/* The kernel chooses when it connects. */
	expect_bound("198.51.100.7", 40000, false, false, "198.51.100.7:0");
	expect_bound("2001:db8::7", 40000, false, false, "[2001:db8::7]:0");
}

Test(source, a_taken_port_is_left_alone)
{
	const union sw_sockaddr from = client("127.0.0.1", 40000);
	int fd;

	net_enter();
	fd = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert(bind(fd, &from.sa, sizeof(from.in4)) == 0 && listen(fd, 1) == 0, "no listener");
	expect_bound("127.0.0.1", 40000, true, false, "127.0.0.1:0");
	close(fd);
}

Test(source, mapped_addresses_are_ipv4)
{
	const union sw_sockaddr mapped = client("::ffff:198.51.100.7", 40000);
	const union sw_sockaddr plain = client("198.51.100.7", 40000);
	const union sw_sockaddr six = client("2001:db8::7", 40000);
	union sw_sockaddr got = sw_source_of(&mapped);

	cr_expect(memcmp(&got.in4, &plain.in4, sizeof(plain.in4)) == 0, "not unmapped");
	got = sw_source_of(&six);
	cr_expect(memcmp(&got.in6, &six.in6, sizeof(six.in6)) == 0, "IPv6 changed");
	got = sw_source_of(&plain);
	cr_expect(memcmp(&got.in4, &plain.in4, sizeof(plain.in4)) == 0, "IPv4 changed");
}

/* Without the capability the relay does not begin, and an update changes nothing. */
Test(source, needs_a_capability)
{
	struct sockaddr_storage up = { .ss_family = AF_INET };
	struct event_base *base = event_base_new();
	char error[256] = "";
	struct sw_relay_config cf = {
		.upstream = &up, .nupstream = 1, .error = error, .error_size = sizeof(error)
	};
	struct sw_relay *r = NULL;

	cr_assert_eq(setuid(65534), 0, "setuid: %s", strerror(errno));
	cr_expect_eq(sw_source_allowed(), -EPERM, "allowed");
	cr_assert_eq(sw_relay_new(base, &cf, &r), 0, "%s", error);
	cf.source_client = true;
	cr_expect_eq(sw_relay_update(r, &cf), -EPERM, "updated");
	cr_expect_str_eq(
		error,
		"connecting from the client's address (source: client) needs CAP_NET_RAW or "
		"CAP_NET_ADMIN; grant one, or use the PROXY protocol",
		"%s", error);
	sw_relay_free(r);
	r = NULL;
	cr_expect_eq(sw_relay_new(base, &cf, &r), -EPERM, "began");
	cr_expect_null(r, "written on failure");
	event_base_free(base);
}
