/* SPDX-License-Identifier: MIT */
#include "ops/client.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

TestSuite(client, .timeout = 30);

/* A server that takes one connection, waits for the end of the request and says a fixed text. */
struct server {
	char path[100];
	const char *says; /* NULL: nothing, and the connection stays open until the client goes */
	int fd;
	pthread_t thread;
	char heard[1024];
};

static void *serve(void *arg)
{
	struct server *s = arg;
	const int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
	size_t len = 0;

	while (fd >= 0 && len < sizeof(s->heard) - 1 && !strstr(s->heard, "\r\n\r\n")) {
		const ssize_t n = read(fd, s->heard + len, sizeof(s->heard) - 1 - len);

		if (n <= 0)
			break;
		len += (size_t)n;
	}
	if (s->says)
		(void)!write(fd, s->says, strlen(s->says));
	else
		(void)!read(fd, s->heard, 1);
	close(fd);
	return NULL;
}

static void start(struct server *s, const char *name, const char *says)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	memset(s, 0, sizeof(*s));
	s->says = says;
	snprintf(s->path, sizeof(s->path), "/tmp/sw-client-%d-%s", (int)getpid(), name);
	memcpy(at.sun_path, s->path, strlen(s->path));
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(s->fd, (struct sockaddr *)&at, sizeof(at)), 0);
	cr_assert_eq(listen(s->fd, 1), 0);
	cr_assert_eq(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void stop(struct server *s)
{
	pthread_join(s->thread, NULL);
	close(s->fd);
	unlink(s->path);
}

Test(client, brings_status_and_body)
{
	struct server s;
	struct sw_reply r;
	char err[200];

	start(&s, "ok",
	      "HTTP/1.0 404 Not Found\r\nContent-Type: text/plain\r\n\r\nno such\nthing\n");
	cr_assert_eq(sw_client_request(s.path, "POST", "/drain/web", 5000, &r, err, sizeof(err)),
		     0);
	cr_assert_eq(r.status, 404);
	cr_assert_str_eq(r.body, "no such\nthing\n");
	cr_assert_eq(r.len, 14);
	stop(&s);
	cr_assert_eq(strncmp(s.heard, "POST /drain/web HTTP/1.0\r\n", 26), 0);
	sw_reply_free(&r);
	sw_reply_free(&r);
}

Test(client, refuses_what_is_not_http)
{
	static const char *const texts[] = { "", "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1\r\n\r\n",
					     "HTTP/1.1 200 OK\r\nno end" };
	char err[200];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct server s;
		struct sw_reply r;

		start(&s, "bad", texts[i]);
		cr_assert_eq(sw_client_request(s.path, "GET", "/", 5000, &r, err, sizeof(err)),
			     -EPROTO, "'%s'", texts[i]);
		stop(&s);
		cr_assert(strstr(err, "is not synward"), "%s", err);
	}
}

Test(client, does_not_wait_for_ever)
{
	struct server s;
	struct sw_reply r;
	char err[200];

	start(&s, "mute", NULL);
	cr_assert_eq(sw_client_request(s.path, "GET", "/", 50, &r, err, sizeof(err)), -ETIMEDOUT);
	cr_assert(strstr(err, "no answer in time"), "%s", err);
	stop(&s);
}

Test(client, says_why_nobody_answers)
{
	struct sw_reply r;
	char err[300], path[64], long_path[200];
	struct server s;

	cr_assert_eq(sw_client_request("/tmp/no/such/socket", "GET", "/", 50, &r, err, sizeof(err)),
		     -ENOENT);
	cr_assert(strstr(err, "/tmp/no/such/socket: no such socket"), "%s", err);
	start(&s, "gone", "HTTP/1.0 200 OK\r\n\r\n");
	cr_assert_eq(sw_client_request(s.path, "GET", "/", 5000, &r, err, sizeof(err)), 0);
	sw_reply_free(&r);
	pthread_join(s.thread, NULL);
	close(s.fd);
	cr_assert_eq(sw_client_request(s.path, "GET", "/", 50, &r, err, sizeof(err)),
		     -ECONNREFUSED);
	cr_assert(strstr(err, "nobody listens"), "%s", err);
	unlink(s.path);
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = '\0';
	cr_assert_eq(sw_client_request(long_path, "GET", "/", 50, &r, err, sizeof(err)),
		     -ENAMETOOLONG);
	snprintf(path, sizeof(path), "%s", "");
	cr_assert_eq(sw_client_request(path, "GET", "/", 50, &r, err, sizeof(err)), -ENAMETOOLONG);
}
