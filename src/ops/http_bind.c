/* SPDX-License-Identifier: MIT */
#include "ops/http_inside.h"
#include "steer/addr.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG 128

static int new_socket(int family, int *fd)
{
	*fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return *fd < 0 ? -errno : 0;
}

/* @return whether a program listens on the socket file. */
static bool is_in_use(const struct sockaddr_un *at)
{
	int fd, rc;

	if (new_socket(AF_UNIX, &fd))
		return false;
	rc = connect(fd, (const struct sockaddr *)at, sizeof(*at));
	if (rc < 0)
		rc = errno == EAGAIN ? 0 : -1; /* its backlog is full */
	close(fd);
	return rc == 0;
}

static int check_place(const struct sockaddr_un *at, char *err, size_t errlen)
{
	struct stat st;

	if (lstat(at->sun_path, &st) < 0)
		return 0; /* bind() says what else is wrong */
	if (!S_ISSOCK(st.st_mode)) {
		snprintf(err, errlen,
			 "control socket %s: a file that is not a socket is there; "
			 "name another path",
			 at->sun_path);
		return -EEXIST;
	}
	if (is_in_use(at)) {
		snprintf(err, errlen,
			 "control socket %s: another synward listens there; stop it, "
			 "or name another path",
			 at->sun_path);
		return -EADDRINUSE;
	}
	return 0;
}

/* Under a name of its own first, so that nobody can connect before the mode is right, and that it
 * replaces an old one at once. */
static int bind_and_rename(int fd, const struct sockaddr_un *at)
{
	struct sockaddr_un first = { .sun_family = AF_UNIX };
	const int n = snprintf(first.sun_path, sizeof(first.sun_path), "%s.%d", at->sun_path,
			       (int)getpid());

	if (n < 0 || (size_t)n >= sizeof(first.sun_path))
		return -ENAMETOOLONG;
	(void)unlink(first.sun_path);
	if (bind(fd, (const struct sockaddr *)&first, sizeof(first)) < 0)
		return -errno;
	if (chmod(first.sun_path, 0660) < 0 || listen(fd, BACKLOG) < 0 ||
	    rename(first.sun_path, at->sun_path) < 0) {
		const int rc = -errno;

		(void)unlink(first.sun_path);
		return rc;
	}
	return 0;
}

int sw_http_bind_unix(struct sw_http *h, int *out, char *err, size_t errlen)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct stat st;
	int fd, rc;

	if (!h->socket[0] || strlen(h->socket) + 12 > sizeof(at.sun_path)) {
		snprintf(err, errlen, "control socket '%s': a path of 1 to %zu bytes is right",
			 h->socket, sizeof(at.sun_path) - 12);
		return -ENAMETOOLONG;
	}
	memcpy(at.sun_path, h->socket, strlen(h->socket));
	rc = check_place(&at, err, errlen);
	if (rc)
		return rc;
	rc = new_socket(AF_UNIX, &fd);
	if (rc)
		return rc;
	rc = bind_and_rename(fd, &at);
	if (!rc && stat(at.sun_path, &st) < 0)
		rc = -errno;
	if (rc) {
		snprintf(err, errlen,
			 "control socket %s: %s; its directory must be there and "
			 "writable",
			 h->socket, strerror(-rc));
		close(fd);
		return rc;
	}
	h->socket_dev = st.st_dev;
	h->socket_ino = st.st_ino;
	*out = fd;
	return 0;
}

void sw_http_unbind_unix(const struct sw_http *h)
{
	struct stat st;

	if (h->socket_ino && stat(h->socket, &st) == 0 && st.st_dev == h->socket_dev &&
	    st.st_ino == h->socket_ino)
		(void)unlink(h->socket);
}

static int set_flag(int fd, int level, int option, int on)
{
	return setsockopt(fd, level, option, &on, sizeof(on)) < 0 ? -errno : 0;
}

static int listen_on(int fd, const struct sockaddr_storage *addr)
{
	int rc = set_flag(fd, SOL_SOCKET, SO_REUSEADDR, 1);

	if (!rc && addr->ss_family == AF_INET6)
		rc = set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (!rc && bind(fd, (const struct sockaddr *)addr,
			addr->ss_family == AF_INET ? sizeof(struct sockaddr_in)
						   : sizeof(struct sockaddr_in6)) < 0)
		rc = -errno;
	if (!rc && listen(fd, BACKLOG) < 0)
		rc = -errno;
	return rc;
}

int sw_http_bind_tcp(const char *address, int old, int *out, char *err, size_t errlen)
{
	struct sockaddr_storage addr;
	char why[200];
	int fd, rc;

	if (sw_addr_parse(address, &addr, why, sizeof(why)) < 0) {
		snprintf(err, errlen, "metrics address %s", why);
		return -EINVAL;
	}
	rc = new_socket(addr.ss_family, &fd);
	if (rc)
		return rc;
	/* From 127.0.0.1:9177 to 0.0.0.0:9177: both listen for a moment. */
	if (old >= 0 && !set_flag(old, SOL_SOCKET, SO_REUSEPORT, 1))
		(void)set_flag(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	rc = listen_on(fd, &addr);
	(void)set_flag(fd, SOL_SOCKET, SO_REUSEPORT, 0);
	if (old >= 0)
		(void)set_flag(old, SOL_SOCKET, SO_REUSEPORT, 0);
	if (rc) {
		snprintf(err, errlen, "metrics address %s: %s%s", address, strerror(-rc),
			 rc == -EADDRINUSE ? "; 'ss -ltnp' shows who has it" : "");
		close(fd);
		return rc;
	}
	*out = fd;
	return 0;
}
