/* SPDX-License-Identifier: MIT */
#include "steer/claim.h"
#include "front/net.h"

#include <linux/capability.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

static char err[256];

static struct sw_guard guard(const char *addr, uint16_t port)
{
	const enum sw_family family = strchr(addr, ':') ? SW_IP6 : SW_IP4;

	return (struct sw_guard){ .family = family,
				  .any = !strcmp(addr, "0.0.0.0") || !strcmp(addr, "::"),
				  .addr = frame_addr(addr),
				  .port = port };
}

static int claim(unsigned ifindex, const char *addr, uint16_t port, int *fd)
{
	const struct sw_guard g = guard(addr, port);

	err[0] = 0;
	return sw_claim(ifindex, &g, 1, false, fd, err, sizeof(err));
}

static void expect_free(unsigned ifindex, const char *addr, uint16_t port, const char *what)
{
	int fd = -2;

	cr_assert_eq(claim(ifindex, addr, port, &fd), 0, "%s: %s", what, err);
	cr_assert(fd >= 0, "%s: descriptor %d", what, fd);
	cr_assert_eq(close(fd), 0, "%s: descriptor %d is not open", what, fd);
}

static void expect_busy(unsigned ifindex, const char *addr, uint16_t port, const char *what)
{
	const unsigned fds = net_fds();
	char pid[32];
	int fd = -2;

	cr_assert_eq(claim(ifindex, addr, port, &fd), -EBUSY, "%s: claimed", what);
	cr_assert_eq(fd, -1, "%s: descriptor %d", what, fd);
	snprintf(pid, sizeof(pid), "process %d", getpid());
	cr_assert(strstr(err, pid) && strstr(err, addr), "%s: no %s in '%s'", what, pid, err);
	cr_assert_eq(net_fds(), fds, "%s: %u descriptors, not %u", what, net_fds(), fds);
}

struct overlap {
	const char *held, *asked;
	uint16_t port;
	unsigned ifindex;
	bool busy;
	const char *what;
};

static const struct overlap overlaps[] = {
	{ "192.0.2.1", "192.0.2.1", 443, 7, true, "the same" },
	{ "192.0.2.1", "192.0.2.2", 443, 7, false, "another address" },
	{ "192.0.2.1", "192.0.2.10", 443, 7, false, "an address that begins the same" },
	{ "192.0.2.10", "192.0.2.1", 443, 7, false, "an address that the other begins with" },
	{ "192.0.2.1", "0.0.0.0", 443, 7, true, "every address over one" },
	{ "0.0.0.0", "192.0.2.1", 443, 7, true, "one under every address" },
	{ "0.0.0.0", "0.0.0.0", 443, 7, true, "every address twice" },
	{ "0.0.0.0", "::", 443, 7, false, "the other family, every address" },
	{ "0.0.0.0", "2001:db8::1", 443, 7, false, "the other family" },
	{ "::", "192.0.2.1", 443, 7, false, "the other family, IPv6 first" },
	{ "::", "2001:db8::1", 443, 7, true, "IPv6, one under every address" },
	{ "2001:db8::1", "::", 443, 7, true, "IPv6, every address over one" },
	{ "2001:db8::1", "2001:db8::1", 443, 7, true, "IPv6, the same" },
	{ "2001:db8::1", "2001:db8::2", 443, 7, false, "IPv6, another address" },
	{ "0.0.0.0", "0.0.0.0", 444, 7, false, "another port" },
	{ "0.0.0.0", "192.0.2.1", 44, 7, false, "a port that begins the same" },
	{ "0.0.0.0", "192.0.2.1", 4433, 7, false, "a port that begins the same, longer" },
	{ "0.0.0.0", "0.0.0.0", 443, 8, false, "another interface" },
	{ "0.0.0.0", "0.0.0.0", 443, 77, false, "an interface that begins the same" },
};

Test(claim, what_overlaps)
{
	net_enter();
	for (size_t i = 0; i < sizeof(overlaps) / sizeof(overlaps[0]); i++) {
		const struct overlap *o = &overlaps[i];
		int held = -1;

		cr_assert_eq(claim(7, o->held, 443, &held), 0, "%s: %s", o->what, err);
		if (o->busy)
			expect_busy(o->ifindex, o->asked, o->port, o->what);
		else
			expect_free(o->ifindex, o->asked, o->port, o->what);
		close(held);
		expect_free(o->ifindex, o->asked, o->port, "after the claim was closed");
	}
}

Test(claim, guards_of_one_call_may_overlap)
{
	const struct sw_guard g[3] = { guard("0.0.0.0", 443), guard("192.0.2.1", 443),
				       guard("::", 443) };
	int fd[3] = { -2, -2, -2 };

	net_enter();
	cr_assert_eq(sw_claim(7, g, 3, false, fd, err, sizeof(err)), 0, "%s", err);
	for (size_t i = 0; i < 3; i++)
		cr_assert_eq(close(fd[i]), 0, "descriptor %d", fd[i]);
}

Test(claim, all_or_nothing)
{
	const struct sw_guard g[3] = { guard("192.0.2.1", 80), guard("192.0.2.1", 443),
				       guard("192.0.2.1", 8080) };
	int held = -1, fd[3] = { -2, -2, -2 };
	unsigned fds;

	net_enter();
	cr_assert_eq(claim(7, "192.0.2.1", 443, &held), 0, "%s", err);
	fds = net_fds();
	cr_assert_eq(sw_claim(7, g, 3, false, fd, err, sizeof(err)), -EBUSY, "claimed");
	cr_assert(fd[0] == -1 && fd[1] == -1 && fd[2] == -1, "%d %d %d", fd[0], fd[1], fd[2]);
	cr_assert_eq(net_fds(), fds, "%u descriptors, not %u", net_fds(), fds);
	expect_free(7, "192.0.2.1", 80, "the one before");
	expect_free(7, "192.0.2.1", 8080, "the one after");
}

Test(claim, twice_in_one_call)
{
	const struct sw_guard g[2] = { guard("192.0.2.1", 80), guard("192.0.2.1", 80) };
	int fd[2] = { -2, -2 };
	unsigned fds;

	net_enter();
	fds = net_fds();
	cr_assert_eq(sw_claim(7, g, 2, false, fd, err, sizeof(err)), -EBUSY, "claimed");
	cr_assert(fd[0] == -1 && fd[1] == -1, "%d %d", fd[0], fd[1]);
	cr_assert_eq(net_fds(), fds, "%u descriptors, not %u", net_fds(), fds);
	expect_free(7, "192.0.2.1", 80, "after the failure");
}

Test(claim, another_network_namespace_is_another_world)
{
	int held = -1;

	net_enter();
	cr_assert_eq(claim(7, "192.0.2.1", 443, &held), 0, "%s", err);
	expect_busy(7, "192.0.2.1", 443, "here");
	net_enter();
	expect_free(7, "192.0.2.1", 443, "elsewhere");
}

Test(claim, the_longest_name_fits)
{
	const char *longest = "1111:2222:3333:4444:5555:6666:7777:8888";
	int held = -1;

	net_enter();
	cr_assert_eq(claim(4294967295u, longest, 65535, &held), 0, "%s", err);
	expect_busy(4294967295u, longest, 65535, "the same");
	expect_free(4294967295u, "1111:2222:3333:4444:5555:6666:7777:8889", 65535, "the next");
}

Test(claim, no_descriptor)
{
	const struct sw_guard g = guard("192.0.2.1", 443);
	int fd = -2;

	net_enter();
	net_use_up_fds();
	cr_assert_eq(sw_claim(7, &g, 1, false, &fd, err, sizeof(err)), -EMFILE, "claimed");
	cr_assert(fd == -1 && strstr(err, "Too many open files"), "%d, '%s'", fd, err);
}

/* Within a process, one guard may wait for another's end. */
Test(claim, shared_within_a_process)
{
	const struct sw_guard g = guard("192.0.2.1", 443);
	int first = -1, second = -1;
	pid_t pid;
	int status;

	net_enter();
	cr_assert_eq(claim(7, "192.0.2.1", 443, &first), 0, "%s", err);
	cr_assert_eq(sw_claim(7, &g, 1, true, &second, err, sizeof(err)), 0, "%s", err);
	close(first);
	expect_busy(7, "192.0.2.1", 443, "the second still has it");
	/* Another process may not share. */
	pid = fork();
	if (pid == 0)
		_exit(sw_claim(7, &g, 1, true, &first, err, sizeof(err)) == -EBUSY ? 0 : 1);
	cr_assert(waitpid(pid, &status, 0) == pid && status == 0, "shared with another process");
	close(second);
	expect_free(7, "192.0.2.1", 443, "in the end");
}

/* A process of another user claims a port by hand.  @return its pid; it lives until it is killed. */
static pid_t stranger(bool may_guard)
{
	static const char name[] = "synward/7/4/80/192.0.2.1/0123456789abcdef";
	const struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { 0 };
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd, ready[2];
	char c = 0;
	pid_t pid;

	cr_assert_eq(pipe(ready), 0, "pipe");
	pid = fork();
	if (pid > 0) {
		cr_assert(read(ready[0], &c, 1) == 1 && c == '+', "no stranger");
		return pid;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_KEEPCAPS, may_guard);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	memcpy(sun.sun_path + 1, name, sizeof(name) - 1);
	data[0].permitted = data[0].effective = 1u << CAP_NET_ADMIN;
	if (setresuid(65534, 65534, 65534) || (may_guard && syscall(SYS_capset, &head, data)) ||
	    bind(fd, (struct sockaddr *)&sun,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof(name))) ||
	    listen(fd, 1) || write(ready[1], "+", 1) != 1)
		_exit(1);
	pause();
	_exit(0);
}

/* Any user can take abstract names: root, our own user and who may guard are believed. */
Test(claim, whom_to_believe)
{
	for (unsigned may_guard = 0; may_guard < 2; may_guard++) {
		const struct sw_guard g = guard("192.0.2.1", 80);
		int fd = -1, rc;
		pid_t pid;

		net_enter();
		pid = stranger(may_guard != 0);
		rc = sw_claim(7, &g, 1, false, &fd, err, sizeof(err));
		cr_assert_eq(rc, may_guard ? -EBUSY : 0, "may guard %u: %d %s", may_guard, rc, err);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		if (!rc)
			close(fd);
	}
}
