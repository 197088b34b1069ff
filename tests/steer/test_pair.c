/* SPDX-License-Identifier: MIT */
#include "steer/pair.h"
#include "steer/link.h"
#include "front/net.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

static struct sw_pair pair;
static char err[256];

static void open_pair(size_t n)
{
	const int rc = sw_pair_open(&pair, n, err, sizeof(err));

	cr_assert_eq(rc, 0, "%s: %s", strerror(-rc), err);
}

/* Number of the network namespace that a socket belongs to. */
static uint64_t netns_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	cr_assert_eq(getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len), 0,
		     "SO_NETNS_COOKIE: %s", strerror(errno));
	return cookie;
}

static int try_bind(int fd, unsigned ifindex)
{
	const struct sockaddr_ll ll = { .sll_family = AF_PACKET,
					.sll_protocol = htons(ETH_P_ALL),
					.sll_ifindex = (int)ifindex };

	return bind(fd, (const struct sockaddr *)&ll, sizeof(ll)) ? -errno : 0;
}

Test(pair, the_near_end_is_here_and_the_sockets_are_not)
{
	struct sw_link_info li;
	uint8_t buf[2048];
	char out[4096];
	int own, rc;

	net_enter();
	net_veth("e0", "e1", 1500); /* so that interface numbers differ there */
	own = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	open_pair(3);
	rc = sw_link_info(pair.name, &li);
	cr_assert(rc == 0 && li.ifindex == pair.ifindex && li.up && li.mtu == 65535 && li.ethernet,
		  "%s: %s, index %u, up %d, MTU %u", pair.name, strerror(-rc), li.ifindex, li.up,
		  li.mtu);
	cr_assert_eq(pair.nfd, 3, "%zu sockets", pair.nfd);
	net_output(out, sizeof(out), "cat /proc/net/if_inet6");
	cr_assert(!strstr(out, pair.name), "the near end has an address: %s", out);
	for (size_t i = 0; i < 3; i++) {
		cr_assert_neq(netns_of(pair.fd[i]), netns_of(own), "socket %zu is of ours", i);
		cr_assert_eq(netns_of(pair.fd[i]), netns_of(pair.fd[0]), "socket %zu", i);
	}
	cr_assert_neq(pair.ifindex, pair.far_ifindex, "both ends are %u", pair.ifindex);
	cr_assert_eq(try_bind(pair.fd[0], pair.ifindex), -ENODEV, "it sees the near end");
	cr_assert_eq(try_bind(own, pair.far_ifindex) == 0,
		     if_indextoname(pair.far_ifindex, out) != NULL, "the far end is here");
	/* What goes into one end comes out of the other, and nothing else does. */
	net_bind(pair.fd[0], pair.far_ifindex);
	own = net_packet(pair.name);
	net_send(own, "\xff\xff\xff\xff\xff\xff\2\0\0\0\0\1\x88\xb5" "near", 18);
	cr_assert_eq(net_recv(pair.fd[0], buf, sizeof(buf), NET_WAIT_MS), 18, "near to far");
	cr_assert_eq(memcmp(buf + 14, "near", 4), 0, "another frame");
	net_send(pair.fd[0], "\xff\xff\xff\xff\xff\xff\2\0\0\0\0\1\x88\xb5" "far!", 18);
	cr_assert_eq(net_recv(own, buf, sizeof(buf), NET_WAIT_MS), 18, "far to near");
	cr_assert_eq(memcmp(buf + 14, "far!", 4), 0, "another frame");
	sw_pair_close(&pair);
}

/* IPv4 packets that the stack of a socket's namespace has got. */
static unsigned long stack_got(int fd)
{
	const int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	const int there = ioctl(fd, SIOCGSKNS);
	unsigned long n = 0;
	char out[8192];
	char *row;

	cr_assert(here >= 0 && there >= 0 && setns(there, CLONE_NEWNET) == 0, "setns: %s",
		  strerror(errno));
	net_output(out, sizeof(out), "cat /proc/thread-self/net/snmp");
	cr_assert_eq(setns(here, CLONE_NEWNET), 0, "setns: %s", strerror(errno));
	row = strstr(out, "\nIp: ");
	cr_assert(row && sscanf(row, "\nIp: %*u %*u %lu", &n) == 1, "%s", out);
	close(there);
	close(here);
	return n;
}

/* The far end's own stack has no use for what the sockets get. */
Test(pair, only_the_sockets_see_it)
{
	static const uint8_t packet[34] = { [12] = 8, [14] = 0x45, [17] = 20, [22] = 64, [23] = 6 };
	uint8_t frame[34], buf[2048];
	unsigned long before;
	int own;

	net_enter();
	open_pair(1);
	net_bind(pair.fd[0], pair.far_ifindex);
	own = net_packet(pair.name);
	memcpy(frame, packet, sizeof(frame));
	memset(frame, 0xff, 6); /* for everybody, the far end too */
	net_send(own, frame, sizeof(frame));
	cr_assert_eq(net_recv(pair.fd[0], buf, sizeof(buf), NET_WAIT_MS), 34, "near to far");
	if (!pair.drops)
		cr_skip_test("this kernel has no TCX (Linux 6.6): the stack drops it later");
	cr_assert_eq(stack_got(pair.fd[0]), 0, "the stack got it");
	sw_pair_close(&pair);
	close(own);
	/* An end without the program: what is counted is what the stack gets. */
	net_veth("e0", "e1", 1500);
	own = net_packet("e0");
	before = stack_got(own);
	net_send(own, frame, sizeof(frame));
	for (const uint64_t end = net_now_ms() + NET_WAIT_MS; stack_got(own) == before;)
		cr_assert(net_again(end), "the stack of another pair did not get it");
	close(own);
}

Test(pair, close_removes_everything)
{
	unsigned fds;
	char name[16];

	net_enter();
	fds = net_fds();
	for (unsigned i = 0; i < 10; i++) {
		open_pair(2);
		memcpy(name, pair.name, sizeof(name));
		sw_pair_close(&pair);
		cr_assert(net_gone(name), "%s is still there", name);
		sw_pair_close(&pair); /* once more is allowed */
	}
	cr_assert_eq(net_fds(), fds, "%u descriptors, not %u", net_fds(), fds);
}

Test(pair, a_socket_that_was_taken_outlives_the_pair)
{
	unsigned fds;
	int fd;

	net_enter();
	fds = net_fds();
	open_pair(2);
	fd = sw_pair_take(&pair, 1);
	cr_assert(fd >= 0, "took %d", fd);
	sw_pair_close(&pair);
	cr_assert_eq(net_fds(), fds + 1, "%u descriptors, not %u", net_fds(), fds + 1);
	cr_assert_neq(netns_of(fd), 0, "not open");
	close(fd);
}

static void run_child(char name[16], bool hold)
{
	int fds[2], status, len;
	pid_t pid;

	cr_assert_eq(pipe2(fds, O_CLOEXEC), 0, "%s", strerror(errno));
	pid = fork();
	if (pid == 0) {
		/* No assertion in here: the parent judges. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (sw_pair_open(&pair, 4, err, sizeof(err)) ||
		    write(fds[1], pair.name, sizeof(pair.name)) < 0)
			_exit(1);
		while (hold)
			pause();
		_exit(0);
	}
	cr_assert_gt(pid, 0, "fork: %s", strerror(errno));
	close(fds[1]);
	len = (int)read(fds[0], name, 16);
	close(fds[0]);
	cr_assert(len == 16 && name[0], "the child made no pair");
	if (hold) {
		cr_assert_neq(if_nametoindex(name), 0, "%s is not there", name);
		kill(pid, SIGKILL);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid, "waitpid: %s", strerror(errno));
	cr_assert(hold ? WIFSIGNALED(status) : WIFEXITED(status) && WEXITSTATUS(status) == 0,
		  "the child ended with %#x", (unsigned)status);
}

/* Nobody closes anything: the kernel does. */
Test(pair, goes_with_its_owner)
{
	net_enter();
	for (unsigned hold = 0; hold < 2; hold++) {
		char name[16] = "";

		run_child(name, hold != 0);
		cr_assert(net_gone(name), "%s outlived its owner, killed %u", name, hold);
	}
}

/* While one taken socket lives, so does the pair. */
Test(pair, lives_as_long_as_a_socket)
{
	char name[16];
	int fd;

	net_enter();
	open_pair(2);
	memcpy(name, pair.name, sizeof(name));
	fd = sw_pair_take(&pair, 0);
	close(sw_pair_take(&pair, 1));
	cr_assert_neq(if_nametoindex(name), 0, "gone too early");
	close(fd);
	cr_assert(net_gone(name), "%s is still there", name);
	sw_pair_close(&pair);
}

Test(pair, a_name_that_is_taken)
{
	char first[16], second[16];
	struct sw_pair other;

	net_enter();
	open_pair(1);
	memcpy(first, pair.name, sizeof(first));
	sw_pair_close(&pair);
	cr_assert(net_gone(first), "%s is still there", first);
	net_run("ip link add name %s type veth peer name other", first);
	open_pair(1);
	memcpy(second, pair.name, sizeof(second));
	cr_assert_str_neq(first, second, "both are %s", first);
	cr_assert(net_index(first) != net_index(second), "the same interface");
	/* Two of one process at the same time. */
	cr_assert_eq(sw_pair_open(&other, 1, err, sizeof(err)), 0, "%s", err);
	cr_assert(strcmp(other.name, first) && strcmp(other.name, second), "%s again", other.name);
	sw_pair_close(&other);
	sw_pair_close(&pair);
	cr_assert_neq(if_nametoindex(first), 0, "the other's link was removed");
}

Test(pair, how_many_sockets)
{
	net_enter();
	open_pair(SW_PAIR_MAX_SOCKETS);
	for (size_t i = 0; i < SW_PAIR_MAX_SOCKETS; i++)
		cr_assert_neq(netns_of(pair.fd[i]), 0, "socket %zu", i);
	sw_pair_close(&pair);
	cr_assert_eq(sw_pair_open(&pair, SW_PAIR_MAX_SOCKETS + 1, err, sizeof(err)), -EINVAL,
		     "too many");
	sw_pair_close(&pair);
}

Test(pair, without_capability)
{
	unsigned fds;
	int rc;

	net_enter();
	cr_assert_eq(setresuid(65534, 65534, 65534), 0, "%s", strerror(errno));
	fds = net_fds();
	rc = sw_pair_open(&pair, 1, err, sizeof(err));
	cr_assert(rc == -EPERM && strstr(err, "CAP_"), "%d, '%s'", rc, err);
	cr_assert_eq(net_fds(), fds, "%u descriptors, not %u", net_fds(), fds);
	sw_pair_close(&pair);
}

/* Take every free descriptor.  @return how many there were. */
static int use_up(int fd[64])
{
	int n = 0;

	while (n < 64 && (fd[n] = dup(0)) >= 0)
		n++;
	return n;
}

/* One descriptor more at a time until it works: no failure may lose one. */
Test(pair, few_descriptors)
{
	int spare[64], rc = -1, n;

	net_enter();
	net_use_up_fds();
	for (n = 0; n < 20 && rc; n++) {
		if (n)
			close(100 + n);
		rc = sw_pair_open(&pair, 3, err, sizeof(err));
		cr_assert(rc == 0 || err[0], "%s without a line", strerror(-rc));
		sw_pair_close(&pair);
		cr_assert_eq(use_up(spare), n, "%d descriptors, %s: some are lost", n,
			     strerror(-rc));
		for (int i = 0; i < n; i++)
			close(spare[i]);
	}
	cr_assert(rc == 0 && n > 3, "%d with %d descriptors: %s", rc, n, err);
}
