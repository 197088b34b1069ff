/* SPDX-License-Identifier: MIT */
#include "relay/source.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static int make_transparent(int fd, int family)
{
	const int one = 1;
	const int rc = family == AF_INET6
			       ? setsockopt(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, &one, sizeof(one))
			       : setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &one, sizeof(one));

	return rc < 0 ? -errno : 0;
}

int sw_source_allowed(void)
{
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return -errno;
	rc = make_transparent(fd, AF_INET);
	close(fd);
	return rc;
}

union sw_sockaddr sw_source_of(const union sw_sockaddr *client)
{
	union sw_sockaddr to = { .in4 = { .sin_family = AF_INET } };

	if (client->sa.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&client->in6.sin6_addr))
		return *client;
	to.in4.sin_port = client->in6.sin6_port;
	memcpy(&to.in4.sin_addr, client->in6.sin6_addr.s6_addr + 12, 4);
	return to;
}

static socklen_t size_of(const union sw_sockaddr *a)
{
	return a->sa.sa_family == AF_INET6 ? sizeof(a->in6) : sizeof(a->in4);
}

int sw_source_bind(int fd, const union sw_sockaddr *client, bool keep_port, bool *kept)
{
	union sw_sockaddr from = *client;
	const int one = 1;
	const int rc = make_transparent(fd, from.sa.sa_family);

	if (rc < 0)
		return rc;
	/* The client may use its port for several connections at a time, to several of our ports.
	 */
	if (keep_port && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0 &&
	    bind(fd, &from.sa, size_of(&from)) == 0) {
		*kept = true;
		return 0;
	}
	*kept = false;
	if (from.sa.sa_family == AF_INET6)
		from.in6.sin6_port = 0;
	else
		from.in4.sin_port = 0;
	/* The port is chosen by connect(), which knows the other end: 28,000 for each server. */
	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	return bind(fd, &from.sa, size_of(&from)) < 0 ? -errno : 0;
}
