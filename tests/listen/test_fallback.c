/* SPDX-License-Identifier: MIT */
/* Plain listening sockets, reached as an application reaches them: by the flag of the listener. */
#include "listen/fallback.h"
#include "front/net.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <synward/listener.h>

#define PORT 8443

static const char *interface = "g0";
static struct event_base *base;
static struct synward_listener *lev;
static char err[256];

static struct {
	unsigned n, errors;
	int fd[16], family[16], last_errno;
	bool free_it;
} seen;

static void on_accept(struct synward_listener *l, evutil_socket_t fd, struct sockaddr *peer,
		      int socklen, void *arg)
{
	cr_assert(l == lev && arg == &seen && seen.n < 16, "other arguments");
	cr_assert_eq(socklen, peer->sa_family == AF_INET ? 16 : 28, "%d bytes", socklen);
	seen.family[seen.n] = peer->sa_family;
	seen.fd[seen.n++] = (int)fd;
	if (seen.free_it) {
		synward_listener_free(l);
		lev = NULL;
	}
}

static void on_error(struct synward_listener *l, void *arg)
{
	seen.last_errno = errno;
	cr_assert(l == lev && arg == &seen, "other arguments");
	seen.errors++;
}

static void enter_privileged(void)
{
	net_enter();
	net_guarded();
	base = event_base_new();
	cr_assert_not_null(base, "no event base");
}

/* Every privilege, but an interface that cannot be guarded. */
static void enter_tunnel(void)
{
	enter_privileged();
	net_run("ip tuntap add dev tun0 mode tun && ip link set dev tun0 up");
	interface = "tun0";
}

/* A namespace with g0, without any privilege. */
static void enter(void)
{
	enter_privileged();
	cr_assert_eq(setresuid(65534, 65534, 65534), 0, "setresuid: %s", strerror(errno));
}

static struct synward_listener *make(unsigned flags, const char *const *listen, size_t n)
{
	const struct synward_config cf = { .interface = interface,
					   .listen = listen,
					   .nlisten = n,
					   .error = err,
					   .error_size = sizeof(err) };

	err[0] = 0;
	return synward_listener_new(base, on_accept, &seen, flags | SYNWARD_OPT_FALLBACK, &cf);
}

static const char *const all[] = { "0.0.0.0:8443", "[::]:8443" };

static void start(unsigned flags)
{
	lev = make(flags, all, 2);
	cr_assert_not_null(lev, "%s: %s", strerror(errno), err);
	cr_assert_eq(synward_listener_is_fallback(lev), 1, "it is no fallback");
	synward_listener_set_error_cb(lev, on_error);
}

static int try_connect(int family)
{
	const struct sockaddr_in in4 = { .sin_family = AF_INET,
					 .sin_port = htons(PORT),
					 .sin_addr = { htonl(INADDR_LOOPBACK) } };
	const struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
					  .sin6_port = htons(PORT),
					  .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert(fd >= 0, "socket: %s", strerror(errno));
	if (family == AF_INET ? connect(fd, (const struct sockaddr *)&in4, sizeof(in4)) :
				connect(fd, (const struct sockaddr *)&in6, sizeof(in6))) {
		close(fd);
		return -errno;
	}
	return fd;
}

static int open_connection(int family)
{
	const int fd = try_connect(family);

	cr_assert(fd >= 0, "connect: %s", strerror(-fd));
	return fd;
}

static bool run_until(const unsigned *n, unsigned want)
{
	const uint64_t deadline = net_now_ms() + NET_WAIT_MS;

	for (;;) {
		event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		if (*n >= want)
			return true;
		if (!net_again(deadline))
			return false;
	}
}

static void stop(void)
{
	synward_listener_free(lev);
	for (unsigned i = 0; i < seen.n; i++)
		close(seen.fd[i]);
	event_base_free(base);
}

Test(fallback, connections_of_both_families)
{
	struct synward_stats st;
	char data[8];
	int c[2];

	enter();
	start(0);
	c[0] = open_connection(AF_INET);
	cr_assert(run_until(&seen.n, 1), "no connection");
	c[1] = open_connection(AF_INET6);
	cr_assert(run_until(&seen.n, 2), "no second connection");
	cr_assert(seen.family[0] == AF_INET && seen.family[1] == AF_INET6, "families %d and %d",
		  seen.family[0], seen.family[1]);
	for (unsigned i = 0; i < 2; i++) {
		cr_assert(fcntl(seen.fd[i], F_GETFL) & O_NONBLOCK &&
				  fcntl(seen.fd[i], F_GETFD) == FD_CLOEXEC,
			  "blocking, or inherited");
		cr_assert_eq(write(seen.fd[i], "hello", 5), 5, "%s", strerror(errno));
		cr_assert_eq(read(c[i], data, sizeof(data)), 5, "%s", strerror(errno));
	}
	synward_listener_get_stats(lev, &st);
	cr_assert(st.frames == 0 && st.queued == 0, "%lu frames, %lu queued", st.frames, st.queued);
	stop();
}

Test(fallback, only_when_it_was_asked_for)
{
	const struct synward_config cf = { .interface = "g0",
					   .listen = all,
					   .nlisten = 2,
					   .error = err,
					   .error_size = sizeof(err) };

	enter();
	cr_assert_null(synward_listener_new(base, on_accept, &seen, 0, &cf), "works");
	cr_assert_eq(errno, EPERM, "%s", strerror(errno));
	cr_assert_eq(try_connect(AF_INET), -ECONNREFUSED, "it listens");
}

/* What is wrong whoever asks stays wrong. */
Test(fallback, not_for_settings_that_are_wrong)
{
	static const char *const bad[] = { "0.0.0.0" };

	enter();
	cr_assert_null(make(0, bad, 1), "works");
	cr_assert(errno == EINVAL && strstr(err, "port"), "%s, '%s'", strerror(errno), err);
}

/* A kernel or an interface that does not suffice, with every privilege. */
Test(fallback, where_a_feature_is_missing)
{
	const struct synward_config cf = { .interface = "tun0",
					   .listen = all,
					   .nlisten = 2,
					   .error = err,
					   .error_size = sizeof(err) };

	net_enter();
	net_run("ip tuntap add dev tun0 mode tun && ip link set dev tun0 up");
	base = event_base_new();
	lev = synward_listener_new(base, on_accept, &seen, SYNWARD_OPT_FALLBACK, &cf);
	cr_assert_not_null(lev, "%s: %s", strerror(errno), err);
	cr_assert_eq(synward_listener_is_fallback(lev), 1, "it is no fallback");
	open_connection(AF_INET6);
	cr_assert(run_until(&seen.n, 1), "no connection");
	stop();
}

Test(fallback, disabled_and_enabled)
{
	enter();
	start(SYNWARD_OPT_DISABLED);
	open_connection(AF_INET);
	for (unsigned i = 0; i < 10; i++)
		event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	cr_assert_eq(seen.n, 0, "called while disabled");
	cr_assert_eq(synward_listener_enable(lev), 0, "enable");
	cr_assert(run_until(&seen.n, 1), "no connection");
	cr_assert_eq(synward_listener_disable(lev), 0, "disable");
	open_connection(AF_INET6);
	for (unsigned i = 0; i < 10; i++)
		event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	cr_assert_eq(seen.n, 1, "called while disabled");
	cr_assert_eq(synward_listener_enable(lev), 0, "enable");
	cr_assert(run_until(&seen.n, 2), "no second connection");
	stop();
}

Test(fallback, free_in_the_callback)
{
	unsigned fds;

	enter();
	fds = net_fds();
	start(0);
	seen.free_it = true;
	open_connection(AF_INET);
	open_connection(AF_INET);
	cr_assert(run_until(&seen.n, 1), "no connection");
	for (unsigned i = 0; i < 10; i++)
		event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	cr_assert(seen.n == 1 && !lev, "%u calls", seen.n);
	/* Left are our two ends and the one that was accepted. */
	cr_assert_eq(net_fds(), fds + 3, "%u descriptors, not %u", net_fds(), fds + 3);
	cr_assert_eq(try_connect(AF_INET), -ECONNREFUSED, "it still listens");
	event_base_free(base);
}

Test(fallback, a_port_that_is_taken)
{
	static const char *const some[] = { "127.0.0.1:8444", "127.0.0.2:8444", "0.0.0.0:8443" };
	struct synward_listener *second;
	unsigned fds;

	enter();
	start(0);
	fds = net_fds();
	second = make(0, some, 3);
	cr_assert(!second && errno == EADDRINUSE && strstr(err, "8443"), "%s, '%s'",
		  strerror(errno), err);
	cr_assert_eq(net_fds(), fds, "%u descriptors, not %u", net_fds(), fds);
	second = make(0, some, 2);
	cr_assert_not_null(second, "after the failure: %s", err);
	synward_listener_free(second);
	stop();
}

Test(fallback, a_port_that_needs_privilege)
{
	static const char *const low[] = { "0.0.0.0:443" };

	enter();
	cr_assert_null(make(0, low, 1), "works");
	cr_assert(errno == EACCES && strstr(err, "443"), "%s, '%s'", strerror(errno), err);
}

Test(fallback, no_descriptors)
{
	int last, c;

	enter();
	start(0);
	c = open_connection(AF_INET);
	last = net_use_up_fds();
	cr_assert(run_until(&seen.errors, 1), "no report");
	cr_assert(seen.last_errno == EMFILE && seen.n == 0, "%s", strerror(seen.last_errno));
	close(last);
	cr_assert(run_until(&seen.n, 1), "no connection");
	cr_assert_eq(seen.fd[0], last, "another descriptor");
	close(c);
	stop();
}

Test(fallback, nothing_is_left_behind)
{
	unsigned fds;

	enter();
	fds = net_fds();
	for (unsigned i = 0; i < 20; i++) {
		start(i & 1 ? SYNWARD_OPT_DISABLED : 0);
		synward_listener_free(lev);
	}
	cr_assert_eq(net_fds(), fds, "%u descriptors, not %u", net_fds(), fds);
	sw_fallback_free(NULL);
	event_base_free(base);
}

/* Sends a SYN.  @return the socket, and whether it is connected within @ms in *done. */
static int begin(int ms, bool *done)
{
	const struct sockaddr_in in4 = { .sin_family = AF_INET,
					 .sin_port = htons(PORT),
					 .sin_addr = { htonl(INADDR_LOOPBACK) } };
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };

	cr_assert(fd >= 0 && connect(fd, (const struct sockaddr *)&in4, sizeof(in4)) < 0 &&
			  errno == EINPROGRESS,
		  "%s", strerror(errno));
	*done = poll(&pfd, 1, ms) == 1 && !(pfd.revents & POLLERR);
	return fd;
}

/* No answer and no reset; who connected before comes to the callback. */
Test(fallback, drained)
{
	bool done;
	int fd;

	enter_tunnel();
	start(0);
	open_connection(AF_INET);
	cr_assert_eq(synward_listener_drain(lev, 1), 0, "%s", strerror(errno));
	fd = begin(50, &done);
	cr_assert(!done, "connected");
	cr_assert(run_until(&seen.n, 1), "what was in the backlog is lost");
	cr_assert_eq(synward_listener_drain(lev, 0), 0, "%s", strerror(errno));
	open_connection(AF_INET6);
	cr_assert(run_until(&seen.n, 2), "no connection");
	/* The one from before tries again after a second, and is let in. */
	cr_assert(run_until(&seen.n, 3), "the retransmission is not heard");
	close(fd);
	stop();
}

/* Some kernels let nobody but a privileged user filter a socket: then it says so, and goes on. */
Test(fallback, drained_or_not)
{
	enter();
	start(0);
	if (synward_listener_drain(lev, 1)) {
		cr_assert(errno == EPERM && !synward_listener_is_draining(lev), "%s",
			  strerror(errno));
		open_connection(AF_INET);
		cr_assert(run_until(&seen.n, 1), "no connection");
	}
	stop();
}

/* The successor shares the sockets, so that nobody is refused, and accepts from the drain on. */
Test(fallback, replaced)
{
	struct synward_listener *old;
	int c[3];

	enter();
	start(0);
	old = lev;
	c[0] = open_connection(AF_INET);
	start(SYNWARD_OPT_REPLACE);
	c[1] = open_connection(AF_INET6);
	lev = old;
	cr_assert(run_until(&seen.n, 2), "%u connections", seen.n);
	lev = make(SYNWARD_OPT_REPLACE, all, 2);
	cr_assert_null(synward_listener_xdp_mode(lev), "XDP");
	synward_listener_free(lev);
	lev = old;
	c[2] = open_connection(AF_INET);
	cr_assert(run_until(&seen.n, 3), "called off, and yet it accepts no more");
	for (unsigned i = 0; i < 3; i++)
		close(c[i]);
	synward_listener_free(old);
}

Test(fallback, replaced_by_a_drain)
{
	struct synward_listener *old;

	enter();
	start(0);
	old = lev;
	start(SYNWARD_OPT_REPLACE);
	cr_assert_eq(synward_listener_drain(old, 1), 0, "%s", strerror(errno));
	open_connection(AF_INET);
	open_connection(AF_INET6);
	cr_assert(run_until(&seen.n, 2), "%u connections", seen.n);
	cr_assert(synward_listener_drain(old, 0) == -1 && errno == EBUSY, "taken back");
	synward_listener_free(old);
	open_connection(AF_INET);
	cr_assert(run_until(&seen.n, 3), "%u connections", seen.n);
	cr_assert(synward_listener_heartbeat(lev) > 0, "dead");
	stop();
}
