/* SPDX-License-Identifier: MIT */
#include "relay/dial.h"

#include "relay/source.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

static void set_int(int fd, int level, int option, int value)
{
	/* These options make things better, never right: a failure changes nothing. */
	(void)setsockopt(fd, level, option, &value, sizeof(value));
}

void sw_tune(int fd)
{
	set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, 60);
	set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, 10);
	set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, 5);
	set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
}

void sw_reset_close(int fd)
{
	const struct linger now = { .l_onoff = 1, .l_linger = 0 };

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

enum sw_relay_dial_fail sw_dial_fail_of(int err)
{
	switch (err) {
	case ECONNREFUSED:
		return SW_DIAL_REFUSED;
	case ETIMEDOUT:
		return SW_DIAL_TIMEOUT;
	case ENETUNREACH:
	case EHOSTUNREACH:
		return SW_DIAL_UNREACHABLE;
	case EADDRNOTAVAIL:
	case EAGAIN:
		return SW_DIAL_NO_PORT;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		return SW_DIAL_NO_RESOURCES;
	default:
		return SW_DIAL_OTHER;
	}
}

static int try_dial(const struct sw_server *s, const union sw_sockaddr *client, bool keep_port,
		    struct sw_dialled *out)
{
	bool kept = false;
	int rc = 0;

	out->why = SW_DIAL_OTHER;
	out->fd = socket(s->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (out->fd < 0) {
		rc = -errno;
		out->why = sw_dial_fail_of(-rc);
		return rc;
	}
	sw_tune(out->fd);
	if (client)
		rc = sw_source_bind(out->fd, client, keep_port, &kept);
	if (rc < 0) {
		out->why = SW_DIAL_NO_SOURCE;
	} else if (connect(out->fd, (const struct sockaddr *)&s->addr, s->addrlen) < 0 &&
		   errno != EINPROGRESS) {
		rc = -errno;
		out->why = sw_dial_fail_of(-rc);
	}
	if (rc < 0)
		close(out->fd);
	/* Its last connection from there to this server is not forgotten yet. */
	return rc == -EADDRNOTAVAIL && kept ? -EAGAIN : rc;
}

int sw_dial(const struct sw_server *s, const union sw_sockaddr *client, struct sw_dialled *out)
{
	int rc = try_dial(s, client, true, out);

	if (rc == -EAGAIN && client)
		rc = try_dial(s, client, false, out);
	return rc;
}
