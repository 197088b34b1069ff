/* SPDX-License-Identifier: MIT */
#include "ops/client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define REPLY_MAX (16u << 20) /* bytes; far more than a synward has to say */

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* @return 0 when the socket is ready, -ETIMEDOUT, or -errno. */
static int wait_ready(int fd, short events, uint64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = events };

	for (;;) {
		const uint64_t now = now_ms();
		int rc = now < deadline ? poll(&p, 1, (int)(deadline - now)) : 0;

		if (rc > 0)
			return 0;
		if (rc == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

static int dial(const char *path, uint64_t deadline, int *out)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	const size_t len = strlen(path);
	int fd, rc;

	if (len == 0 || len >= sizeof(to.sun_path))
		return -ENAMETOOLONG;
	memcpy(to.sun_path, path, len);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* EAGAIN: the backlog is full, which a Unix socket cannot wait for by poll(). */
	while ((rc = connect(fd, (const struct sockaddr *)&to, sizeof(to))) < 0 &&
	       errno == EAGAIN && now_ms() < deadline)
		(void)poll(NULL, 0, 10);
	if (rc < 0) {
		rc = errno == EAGAIN ? -ETIMEDOUT : -errno;
		close(fd);
		return rc;
	}
	*out = fd;
	return 0;
}

static int send_all(int fd, const char *text, size_t len, uint64_t deadline)
{
	while (len) {
		const ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
		int rc;

		if (n >= 0) {
			text += n;
			len -= (size_t)n;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		rc = wait_ready(fd, POLLOUT, deadline);
		if (rc)
			return rc;
	}
	return 0;
}

/* Everything until the other side closes.  @out is the caller's to free on success. */
static int read_all(int fd, uint64_t deadline, char **out, size_t *outlen)
{
	size_t len = 0, room = 65536;
	char *buf = malloc(room), *more;
	int rc = buf ? 0 : -ENOMEM;

	while (rc == 0) {
		ssize_t n;

		if (room - len < 2) {
			more = room < REPLY_MAX ? realloc(buf, room * 2) : NULL;
			if (!more) {
				rc = -ENOMEM;
				break;
			}
			buf = more;
			room *= 2;
		}
		n = recv(fd, buf + len, room - len - 1, 0);
		if (n == 0)
			break;
		if (n > 0)
			len += (size_t)n;
		else if (errno == EAGAIN)
			rc = wait_ready(fd, POLLIN, deadline);
		else if (errno != EINTR)
			rc = -errno;
	}
	if (rc) {
		free(buf);
		return rc;
	}
	buf[len] = '\0';
	*out = buf;
	*outlen = len;
	return 0;
}

/* "HTTP/1.0 200 OK", headers, an empty line, the body.  @reply owns @text on success. */
static int parse_reply(char *text, size_t len, struct sw_reply *reply)
{
	const char *body = strstr(text, "\r\n\r\n");
	int status;

	if (sscanf(text, "HTTP/1.%*1d %3d", &status) != 1 || !body || strlen(text) != len)
		return -EPROTO;
	body += 4;
	reply->status = status;
	reply->len = len - (size_t)(body - text);
	memmove(text, body, reply->len + 1);
	reply->body = text;
	return 0;
}

static const char *hint_of(int rc)
{
	switch (rc) {
	case -ENOENT:
		return "no such socket; is synward running, with control.socket in its "
		       "configuration?";
	case -ECONNREFUSED:
		return "nobody listens there; is synward running?";
	case -EACCES:
	case -EPERM:
		return "no permission; run it as root or as synward's own group";
	case -ETIMEDOUT:
		return "no answer in time";
	case -EPROTO:
		return "what listens there is not synward";
	case -ENAMETOOLONG:
		return "not the path of a socket: 1 to 107 bytes are";
	default:
		return strerror(-rc);
	}
}

static int exchange(const char *socket, const char *method, const char *path, uint64_t deadline,
		    struct sw_reply *out)
{
	char request[512], *text = NULL;
	size_t len = 0;
	int fd = -1, rc;
	const int n = snprintf(request, sizeof(request),
			       "%s %s HTTP/1.0\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
			       method, path);

	if (n < 0 || (size_t)n >= sizeof(request))
		return -EINVAL;
	rc = dial(socket, deadline, &fd);
	if (rc)
		return rc;
	rc = send_all(fd, request, (size_t)n, deadline);
	if (rc == 0)
		rc = read_all(fd, deadline, &text, &len);
	close(fd);
	if (rc)
		return rc;
	rc = parse_reply(text, len, out);
	if (rc)
		free(text);
	return rc;
}

int sw_client_request(const char *socket, const char *method, const char *path, unsigned timeout_ms,
		      struct sw_reply *out, char *err, size_t errlen)
{
	const int rc = exchange(socket, method, path, now_ms() + timeout_ms, out);

	if (rc && errlen)
		snprintf(err, errlen, "%s: %s", socket, hint_of(rc));
	return rc;
}

void sw_reply_free(struct sw_reply *r)
{
	free(r->body);
	*r = (struct sw_reply){ 0 };
}
