/* SPDX-License-Identifier: MIT */
#include "ops/client.h"
#include "ops/http_inside.h"
#include "scene.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

TestSuite(http, .timeout = 60);

/* The owner of a server, and what it was asked for. */
struct owner {
	struct event_base *base;
	struct sw_http *http;
	char path[64];
	bool ready;
	int rc;
	char told[64]; /* the operation and the listener */
};

static struct sw_snapshot *on_snapshot(void *arg)
{
	struct owner *o = arg;
	struct sw_snapshot *s = scene();

	s->ready = o->ready;
	snprintf(s->why_not, sizeof(s->why_not), "%s", o->ready ? "" : "listener web is draining");
	return s;
}

static int told(struct owner *o, const char *op, const char *name, char *text, size_t size)
{
	snprintf(o->told, sizeof(o->told), "%s %s", op, name);
	snprintf(text, size, "%s: done with %s\n", op, name);
	return o->rc;
}

static int on_reload(void *arg, char *text, size_t size)
{
	return told(arg, "reload", "", text, size);
}

static int on_drain(void *arg, const char *name, char *text, size_t size)
{
	return told(arg, "drain", name, text, size);
}

static int on_undrain(void *arg, const char *name, char *text, size_t size)
{
	return told(arg, "undrain", name, text, size);
}

static struct sw_http_config config_of(struct owner *o, const char *address)
{
	return (struct sw_http_config){
		.socket = o->path,
		.address = address,
		.ops = { .arg = o,
			 .snapshot = on_snapshot,
			 .reload = on_reload,
			 .drain = on_drain,
			 .undrain = on_undrain },
	};
}

static void start(struct owner *o, const char *name, const char *address)
{
	struct sw_http_config cf;
	char err[256];

	*o = (struct owner){ .base = event_base_new(), .ready = true };
	snprintf(o->path, sizeof(o->path), "/tmp/sw-http-%d-%s", (int)getpid(), name);
	cf = config_of(o, address);
	cr_assert_eq(sw_http_new(o->base, &cf, &o->http, err, sizeof(err)), 0, "%s", err);
}

static void stop(struct owner *o)
{
	sw_http_free(o->http);
	event_base_free(o->base);
	cr_assert_neq(access(o->path, F_OK), 0, "the socket is left");
}

/* One request from another thread, while this one runs the owner's loop. */
struct request {
	struct owner *o;
	const char *method, *path;
	struct sw_reply reply;
	int rc;
};

static void *do_request(void *arg)
{
	struct request *r = arg;
	char err[256];

	r->rc = sw_client_request(r->o->path, r->method, r->path, 20000, &r->reply, err,
				  sizeof(err));
	event_base_loopbreak(r->o->base);
	return NULL;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
}

static void request(struct request *r, struct owner *o, const char *method, const char *path)
{
	const struct timeval tick = { 0, 10000 }; /* loopbreak() of another thread wakes nobody */
	struct event *ev = event_new(o->base, -1, EV_PERSIST, on_tick, NULL);
	pthread_t thread;

	*r = (struct request){ .o = o, .method = method, .path = path };
	cr_assert_eq(event_add(ev, &tick), 0);
	cr_assert_eq(pthread_create(&thread, NULL, do_request, r), 0);
	event_base_dispatch(o->base);
	pthread_join(thread, NULL);
	event_free(ev);
	cr_assert_eq(r->rc, 0, "%s %s: %d", method, path, r->rc);
}

static void expect(struct owner *o, const char *method, const char *path, int status,
		   const char *part)
{
	struct request r;

	request(&r, o, method, path);
	cr_expect_eq(r.reply.status, status, "%s %s: %d", method, path, r.reply.status);
	cr_expect(strstr(r.reply.body, part) != NULL, "%s %s: no '%s' in '%s'", method, path, part,
		  r.reply.body);
	sw_reply_free(&r.reply);
}

Test(http, shows_what_there_is_to_see)
{
	struct owner o;

	start(&o, "views", NULL);
	expect(&o, "GET", "/metrics", 200, "synward_flood_active{listener=\"web\"} 1\n");
	expect(&o, "GET", "/stats", 200, "\"ready\":true");
	expect(&o, "GET", "/stats?pretty", 200, "\"ready\":true");
	expect(&o, "GET", "/healthz", 200, "ok");
	expect(&o, "GET", "/", 200, "<title>synward</title>");
	expect(&o, "GET", "/dashboard.js", 200, "EventSource");
	expect(&o, "GET", "/dashboard.css", 200, "--bg");
	expect(&o, "HEAD", "/metrics", 200, "");
	stop(&o);
}

Test(http, tells_readiness_with_the_reason)
{
	struct owner o;

	start(&o, "ready", NULL);
	expect(&o, "GET", "/readyz", 200, "ready\n");
	stop(&o);
	start(&o, "ready", NULL);
	o.ready = false;
	expect(&o, "GET", "/readyz", 503, "listener web is draining\n");
	expect(&o, "GET", "/healthz", 200, "ok");
	stop(&o);
}

Test(http, refuses_what_it_does_not_know)
{
	static const char *const paths[] = { "/nothing",       "/metrics/", "/drain/",	   "/drain",
					     "/../etc/passwd", "/%2e%2e/",  "/dashboard.c" };
	struct owner o;

	start(&o, "unknown", NULL);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		expect(&o, "GET", paths[i], 404, "not found");
	expect(&o, "POST", "/metrics", 405, "read-only");
	expect(&o, "DELETE", "/stats", 405, "read-only");
	expect(&o, "GET", "/reload", 405, "use POST");
	cr_expect_str_eq(o.told, "", "a GET has changed something");
	expect(&o, "POST", "/drain/a-name-that-is-longer-than-any-listeners", 404,
	       "so long a name");
	stop(&o);
}

Test(http, has_things_done)
{
	struct owner o;

	start(&o, "control", NULL);
	expect(&o, "POST", "/reload", 200, "reload: done with \n");
	cr_expect_str_eq(o.told, "reload ");
	expect(&o, "POST", "/drain/web", 200, "drain: done with web\n");
	cr_expect_str_eq(o.told, "drain web");
	expect(&o, "POST", "/undrain/ssh", 200, "undrain: done with ssh\n");
	cr_expect_str_eq(o.told, "undrain ssh");
	expect(&o, "POST", "/rekey", 501, "not supported");
	stop(&o);
}

Test(http, says_how_it_went)
{
	static const struct {
		int rc, status;
	} rows[] = { { 0, 200 },       { -EALREADY, 200 }, { -EINVAL, 400 },
		     { -ENOENT, 404 }, { -ENOTSUP, 501 },  { -EBUSY, 500 } };
	struct owner o;

	start(&o, "codes", NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		o.rc = rows[i].rc;
		expect(&o, "POST", "/reload", rows[i].status, "reload: done");
	}
	stop(&o);
}

Test(http, the_socket_is_for_its_owner_and_group)
{
	struct owner o;
	struct stat st;

	start(&o, "mode", NULL);
	cr_assert_eq(stat(o.path, &st), 0);
	cr_assert(S_ISSOCK(st.st_mode));
	cr_assert_eq(st.st_mode & 07777, 0660, "%o", st.st_mode & 07777);
	stop(&o);
}

Test(http, two_do_not_share_a_socket_but_a_dead_ones_is_taken)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct owner o;
	struct sw_http *second;
	struct sw_http_config cf;
	char err[256];
	int fd;

	start(&o, "twice", NULL);
	cf = config_of(&o, NULL);
	cr_assert_eq(sw_http_new(o.base, &cf, &second, err, sizeof(err)), -EADDRINUSE);
	cr_assert(strstr(err, "another synward listens there"), "%s", err);
	expect(&o, "GET", "/healthz", 200, "ok");
	stop(&o);

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	memcpy(at.sun_path, o.path, strlen(o.path));
	cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	close(fd); /* the file stays */
	start(&o, "twice", NULL);
	expect(&o, "GET", "/healthz", 200, "ok");
	stop(&o);
}

Test(http, does_not_replace_a_file_that_is_no_socket)
{
	struct owner o = { .base = event_base_new() };
	struct sw_http_config cf;
	char err[256];
	int fd;

	snprintf(o.path, sizeof(o.path), "/tmp/sw-http-%d-file", (int)getpid());
	fd = open(o.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	cr_assert_geq(fd, 0);
	close(fd);
	cf = config_of(&o, NULL);
	cr_assert_eq(sw_http_new(o.base, &cf, &o.http, err, sizeof(err)), -EEXIST);
	cr_assert(strstr(err, "not a socket"), "%s", err);
	cr_assert_eq(access(o.path, F_OK), 0);
	unlink(o.path);
	event_base_free(o.base);
}

Test(http, leaves_a_socket_alone_that_is_anothers_by_now)
{
	struct owner o;
	int fd;

	start(&o, "other", NULL);
	cr_assert_eq(unlink(o.path), 0);
	fd = open(o.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(fd);
	sw_http_free(o.http);
	event_base_free(o.base);
	cr_assert_eq(access(o.path, F_OK), 0);
	unlink(o.path);
}

Test(http, refuses_addresses_that_are_none)
{
	static const char *const addresses[] = { "9177", "localhost:9177", "127.0.0.1:99999", "" };
	struct owner o = { .base = event_base_new() };

	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		struct sw_http_config cf = config_of(&o, addresses[i]);
		char err[256];

		cf.socket = NULL;
		cr_assert_eq(sw_http_new(o.base, &cf, &o.http, err, sizeof(err)), -EINVAL, "%s",
			     addresses[i]);
		cr_assert(strstr(err, "metrics address"), "%s", err);
	}
	event_base_free(o.base);
}

/* @return a port of loopback that nobody has; another program may take it, which these tests would
 * show by a failure that is not silent. */
static unsigned free_port(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	close(fd);
	return ntohs(at.sin_port);
}

/* Says @text, all that it has to say, to a port of loopback.  @return the status, 0 when nobody
 * listens. */
static int tcp_status(unsigned port, const char *text)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char reply[4096] = "";
	int status = 0;

	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0) {
		cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
		cr_assert_eq(shutdown(fd, SHUT_WR), 0); /* as nc and socat do */
		(void)!recv(fd, reply, sizeof(reply) - 1, MSG_WAITALL);
		(void)sscanf(reply, "HTTP/1.%*d %d", &status);
	}
	close(fd);
	return status;
}

Test(http, tcp_is_read_only)
{
	char address[32];
	struct owner o;
	const unsigned port = free_port();

	snprintf(address, sizeof(address), "127.0.0.1:%u", port);
	start(&o, "tcp", address);
	cr_expect_eq(tcp_status(port, "GET / HTTP/1.0\r\n\r\n"), 200);
	cr_expect_eq(tcp_status(port, "POST /reload HTTP/1.0\r\nContent-Length: 0\r\n\r\n"), 405);
	cr_expect_eq(tcp_status(port, "POST /drain/web HTTP/1.0\r\nContent-Length: 0\r\n\r\n"),
		     405);
	cr_expect_eq(tcp_status(port, "POST /reload HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello"),
		     413, "no body is taken");
	cr_expect_str_eq(o.told, "");
	stop(&o);
}

/* Slots at 10 s: what a client asked for lately does not count, but when it came. */
Test(http, who_came_first_makes_room)
{
	static const struct {
		struct sw_slot slot[2];
		int goes;
	} rows[] = {
#define SLOT(what, came, since)                                                                    \
	{ .state = SW_SLOT_##what, .accepted_ms = (came), .since_ms = (since) }
		{ { SLOT(IDLE, 5000, 5000), SLOT(IDLE, 0, 9990) }, 1 }, /* asks all the time */
		{ { SLOT(IDLE, 9750, 9990), SLOT(IDLE, 9751, 9751) }, 0 },
		{ { SLOT(IDLE, 9751, 9751), SLOT(IDLE, 9999, 9999) }, -1 },
		{ { SLOT(BUSY, 0, 0), SLOT(IDLE, 9750, 9990) }, 1 },
		{ { SLOT(BUSY, 9000, 9990), SLOT(IDLE, 9751, 9751) }, 0 },
		{ { SLOT(BUSY, 9001, 9001), SLOT(BUSY, 9500, 9500) }, -1 },
		{ { SLOT(BUSY, 8000, 8000), SLOT(BUSY, 0, 9990) }, 1 },
		{ { SLOT(STREAM, 0, 0), SLOT(NEW, 0, 0) }, -1 },
		{ { SLOT(FREE, 0, 0), SLOT(STREAM, 0, 0) }, -1 },
#undef SLOT
	};
	static struct sw_door d = { .nslot = 2 };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct sw_slot *s;

		memcpy(d.slot, rows[i].slot, sizeof(rows[i].slot));
		s = sw_door_next_to_go(&d, 10000);
		cr_expect_eq(s ? (int)(s - d.slot) : -1, rows[i].goes, "row %zu", i);
	}
}

/* @return a connection that asked for /events.  @param want  Of the status. */
static int subscribe(const void *at, socklen_t len, int want)
{
	static const char text[] = "GET /events HTTP/1.0\r\n\r\n";
	const int family = ((const struct sockaddr *)at)->sa_family;
	const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char reply[4096] = "";
	int status = 0;

	cr_assert_eq(connect(fd, at, len), 0);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	cr_assert_gt(recv(fd, reply, sizeof(reply) - 1, 0), 0);
	(void)sscanf(reply, "HTTP/1.%*d %d", &status);
	cr_assert_eq(status, want, "%s", reply);
	return fd;
}

Test(http, strangers_take_subscriptions_from_each_other_only)
{
	struct sockaddr_in tcp = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_un local = { .sun_family = AF_UNIX };
	int fd[19], unix_fd[17];
	char address[32], rest[4096];
	struct owner o;
	unsigned port = free_port();

	tcp.sin_port = htons((uint16_t)port);
	snprintf(address, sizeof(address), "127.0.0.1:%u", port);
	start(&o, "subscribers", address);
	memcpy(local.sun_path, o.path, strlen(o.path));
	for (size_t i = 0; i < 19; i++)
		fd[i] = subscribe(&tcp, sizeof(tcp), 200);
	for (size_t i = 0; i < 17; i++)
		unix_fd[i] = subscribe(&local, sizeof(local), i < 16 ? 200 : 503);
	for (size_t i = 0; i < 3; i++)
		while (recv(fd[i], rest, sizeof(rest), 0) > 0) /* until it is cut off */
			;
	cr_expect(recv(fd[3], rest, sizeof(rest), MSG_DONTWAIT) != 0, "cut off, too");
	for (size_t i = 0; i < 19; i++)
		close(fd[i]);
	for (size_t i = 0; i < 17; i++)
		close(unix_fd[i]);
	stop(&o);
}

Test(http, headers_are_limited)
{
	static char text[8192];
	char address[32];
	struct owner o;
	const unsigned port = free_port();
	int status;

	snprintf(address, sizeof(address), "127.0.0.1:%u", port);
	start(&o, "headers", address);
	snprintf(text, sizeof(text), "GET / HTTP/1.0\r\nX: %06000d\r\n\r\n", 0);
	status = tcp_status(port, text);
	cr_expect(status == 0 || status >= 400, "%d", status);
	cr_expect_eq(tcp_status(port, "GET / HTTP/1.0\r\nX: 1\r\n\r\n"), 200);
	stop(&o);
}

Test(http, moves_to_another_address_all_or_nothing)
{
	const unsigned first = free_port(), second = free_port();
	char a[32], b[32], everywhere[32], err[256];
	struct owner o;

	snprintf(a, sizeof(a), "127.0.0.1:%u", first);
	snprintf(b, sizeof(b), "127.0.0.1:%u", second);
	snprintf(everywhere, sizeof(everywhere), "0.0.0.0:%u", second);
	start(&o, "move", a);
	cr_assert_eq(sw_http_move(o.http, "nonsense", err, sizeof(err)), -EINVAL);
	cr_expect_eq(tcp_status(first, "GET / HTTP/1.0\r\n\r\n"), 200, "as before");
	cr_assert_eq(sw_http_move(o.http, b, err, sizeof(err)), 0, "%s", err);
	cr_assert_eq(sw_http_move(o.http, b, err, sizeof(err)), 0, "where it is");
	expect(&o, "GET", "/healthz", 200, "ok"); /* the thread has read its mail by now */
	cr_expect_eq(tcp_status(second, "GET / HTTP/1.0\r\n\r\n"), 200);
	cr_expect_eq(tcp_status(first, "GET / HTTP/1.0\r\n\r\n"), 0);
	cr_assert_eq(sw_http_move(o.http, everywhere, err, sizeof(err)), 0, "%s", err);
	expect(&o, "GET", "/healthz", 200, "ok");
	cr_expect_eq(tcp_status(second, "GET / HTTP/1.0\r\n\r\n"), 200);
	cr_assert_eq(sw_http_move(o.http, NULL, err, sizeof(err)), 0);
	expect(&o, "GET", "/healthz", 200, "ok");
	cr_expect_eq(tcp_status(second, "GET / HTTP/1.0\r\n\r\n"), 0);
	stop(&o);
}

Test(http, a_client_that_closes_its_half_gets_its_answer)
{
	static const char text[] = "GET /stats HTTP/1.0\r\n\r\n";
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct owner o;
	char reply[64] = "";
	int fd;

	start(&o, "half", NULL);
	memcpy(at.sun_path, o.path, strlen(o.path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	cr_assert_eq(shutdown(fd, SHUT_WR), 0);
	expect(&o, "GET", "/healthz", 200, "ok"); /* the loop runs meanwhile */
	cr_assert_gt(recv(fd, reply, sizeof(reply) - 1, 0), 0);
	cr_expect_eq(strncmp(reply, "HTTP/1.0 200 OK", 15), 0, "%s", reply);
	close(fd);
	stop(&o);
}

Test(http, an_owner_that_hangs_is_not_healthy)
{
	struct owner o;
	struct sw_reply r;
	char err[256];

	start(&o, "hangs", NULL); /* its loop does not run */
	cr_assert_eq(sw_client_request(o.path, "GET", "/healthz", 20000, &r, err, sizeof(err)), 0);
	cr_expect_eq(r.status, 503);
	cr_expect(strstr(r.body, "does not answer"), "%s", r.body);
	sw_reply_free(&r);
	stop(&o);
}

Test(http, ends_while_clients_wait)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct owner o;
	int fd[8];

	start(&o, "ends", NULL);
	memcpy(at.sun_path, o.path, strlen(o.path));
	for (size_t i = 0; i < 8; i++) {
		static const char *const says[] = { "", "GET /met", "GET /metrics HTTP/1.1\r\n\r\n",
						    "POST /reload HTTP/1.1\r\n\r\n" };

		fd[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		cr_assert_eq(connect(fd[i], (struct sockaddr *)&at, sizeof(at)), 0);
		cr_assert_geq(write(fd[i], says[i % 4], strlen(says[i % 4])), 0);
	}
	close(fd[2]); /* one that waits, and one that was to change something, go away */
	close(fd[3]);
	sw_http_event(o.http, "reload", "", "to nobody");
	stop(&o);
	for (size_t i = 0; i < 8; i++)
		if (i != 2 && i != 3)
			close(fd[i]);
}

/* What a subscriber of /events receives, until it has seen a text. */
struct listening {
	struct owner *o;
	const char *until;
	char heard[65536];
	bool seen;
};

static void *do_listen(void *arg)
{
	static const char text[] = "GET /events HTTP/1.0\r\n\r\n";
	struct listening *l = arg;
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t len = 0;
	bool told_once = false;

	memcpy(at.sun_path, l->o->path, strlen(l->o->path));
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0 &&
	    write(fd, text, strlen(text)) > 0) {
		while (len < sizeof(l->heard) - 1 && !l->seen) {
			const ssize_t n = read(fd, l->heard + len, sizeof(l->heard) - 1 - len);

			if (n <= 0)
				break;
			len += (size_t)n;
			l->seen = strstr(l->heard, l->until) != NULL;
			if (!told_once && strstr(l->heard, "\"listeners\"")) {
				sw_http_event(l->o->http, "reload", "", "not \xff UTF-8");
				sw_http_event(l->o->http, "flood_began", "web",
					      "web: \"it\nbegins");
				told_once = true;
			}
		}
	}
	close(fd);
	event_base_loopbreak(l->o->base);
	return NULL;
}

Test(http, subscribers_get_a_sample_at_once_and_what_happens)
{
	const struct timeval tick = { 0, 10000 };
	static struct listening l;
	struct owner o;
	struct event *ev;
	pthread_t thread;

	start(&o, "events", NULL);
	l = (struct listening){ .o = &o, .until = "\"text\":\"web: \\\"it\\nbegins\"}\n\n" };
	ev = event_new(o.base, -1, EV_PERSIST, on_tick, NULL);
	cr_assert_eq(event_add(ev, &tick), 0);
	cr_assert_eq(pthread_create(&thread, NULL, do_listen, &l), 0);
	event_base_dispatch(o.base);
	pthread_join(thread, NULL);
	event_free(ev);
	cr_expect(strstr(l.heard, "Content-Type: text/event-stream"));
	cr_expect(strstr(l.heard, "event: sample\ndata: {"));
	cr_expect(strstr(l.heard, "event: flood_began\ndata: {\"time\":"));
	cr_expect(l.seen, "%s", l.heard);
	expect(&o, "GET", "/healthz", 200, "ok");
	stop(&o);
}
