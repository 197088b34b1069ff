/* SPDX-License-Identifier: MIT */
/*
 * A network for one test, in a namespace that dies with it:
 *
 *   the test's packet socket -- p0 ===veth=== g0 -- the kernel, synward
 *
 * g0 is what gets guarded.  MAC and IP addresses are those of core/frames.h, so that frame_syn()
 * makes a SYN that comes from p0 and is for g0.  Nothing speaks of its own accord.
 */
#ifndef SW_TESTS_NET_H
#define SW_TESTS_NET_H

#include "core/frames.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

#define NET_FRAME_MAX 131072
#define NET_WAIT_MS 5000 /* for what must happen; only a failing test waits that long */

/** Run a shell command that must succeed. */
__attribute__((format(printf, 1, 2))) static inline void net_run(const char *fmt, ...)
{
	char cmd[1024];
	va_list ap;
	int rc;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	rc = system(cmd);
	cr_assert_eq(rc, 0, "'%s' gave %#x", cmd, (unsigned)rc);
}

/** What a shell command prints. */
__attribute__((format(printf, 3, 4))) static inline void net_output(char *out, size_t size,
								     const char *fmt, ...)
{
	char cmd[1024];
	va_list ap;
	size_t n;
	FILE *f;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	f = popen(cmd, "r");
	cr_assert_not_null(f, "'%s': %s", cmd, strerror(errno));
	n = fread(out, 1, size - 1, f);
	out[n] = 0;
	pclose(f);
}

static inline void net_sysctl(const char *name, const char *value)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/sys/%s", name);
	f = fopen(path, "we");
	cr_assert(f && fputs(value, f) >= 0 && fclose(f) == 0, "%s = %s: %s", path, value,
		  strerror(errno));
}

/** A namespace of our own with lo up.  Whoever is stuck in it dies of SIGALRM. */
static inline void net_enter(void)
{
	alarm(60);
	setenv("PATH", "/usr/sbin:/sbin:/usr/bin:/bin", 1);
	cr_assert_eq(unshare(CLONE_NEWNET | CLONE_NEWNS), 0, "unshare: %s; run as root",
		     strerror(errno));
	cr_assert_eq(mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0, "mount: %s",
		     strerror(errno));
	net_run("ip link set lo up");
}

static inline unsigned net_index(const char *name)
{
	const unsigned i = if_nametoindex(name);

	cr_assert_neq(i, 0, "no interface %s: %s", name, strerror(errno));
	return i;
}

static inline uint64_t net_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000u + (uint64_t)ts.tv_nsec / 1000000u;
}

/** Wait a little between two looks.  @return false when @deadline has passed. */
static inline bool net_again(uint64_t deadline)
{
	if (net_now_ms() >= deadline)
		return false;
	poll(NULL, 0, 5);
	return true;
}

/**
 * Wait until an interface that is up sends.  The end of a veth pair that came up first drops
 * everything until the kernel has noticed the carrier (net/core/link_watch.c).
 */
static inline void net_settle(const char *name)
{
	const uint64_t deadline = net_now_ms() + NET_WAIT_MS;
	char out[1024];

	do
		net_output(out, sizeof(out), "ip -o link show dev %s", name);
	while (!strstr(out, "state UP") && net_again(deadline));
	cr_assert(strstr(out, "state UP"), "%s does not come up: %s", name, out);
}

/** A silent veth pair, both ends up, without addresses. */
static inline void net_veth(const char *a, const char *b, unsigned mtu)
{
	net_sysctl("net/ipv6/conf/default/disable_ipv6", "1");
	net_run("ip link add name %s mtu %u type veth peer name %s mtu %u", a, mtu, b, mtu);
	net_sysctl("net/ipv6/conf/default/disable_ipv6", "0");
	net_run("ip link set dev %s up && ip link set dev %s up", a, b);
	net_settle(a);
	net_settle(b);
}

/** g0 and p0 as in the picture above. */
static inline void net_guarded(void)
{
	net_sysctl("net/ipv6/conf/default/addr_gen_mode", "1"); /* no link-local address */
	net_run("ip link add name g0 address 02:00:00:00:00:02 type veth "
		"peer name p0 address 02:00:00:00:00:01");
	net_sysctl("net/ipv6/conf/p0/disable_ipv6", "1");
	net_sysctl("net/ipv4/conf/all/rp_filter", "0");
	net_sysctl("net/ipv4/conf/g0/rp_filter", "0");
	net_run("ip link set p0 up && ip link set g0 up");
	net_settle("p0");
	net_settle("g0");
	net_run("ip addr add 198.51.100.2/24 dev g0 && ip route add 192.0.2.0/24 dev g0");
	net_run("ip addr add 2001:db8:ffff::2/64 dev g0 nodad && ip route add 2001:db8::/64 dev g0");
	net_run("ip neigh add 192.0.2.1 lladdr 02:00:00:00:00:01 dev g0 nud permanent");
	net_run("ip neigh add 2001:db8::1 lladdr 02:00:00:00:00:01 dev g0 nud permanent");
}

static inline void net_bind(int fd, unsigned ifindex)
{
	const struct sockaddr_ll ll = { .sll_family = AF_PACKET,
					.sll_protocol = htons(ETH_P_ALL),
					.sll_ifindex = (int)ifindex };
	const int on = 1, room = 64 << 20;

	cr_assert(setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) == 0 &&
			  setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) == 0 &&
			  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) == 0 &&
			  bind(fd, (const struct sockaddr *)&ll, sizeof(ll)) == 0,
		  "packet socket on %u: %s", ifindex, strerror(errno));
}

/** A packet socket that sends on an interface and sees what comes in there. */
static inline int net_packet(const char *name)
{
	const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	cr_assert(fd >= 0, "packet socket: %s", strerror(errno));
	net_bind(fd, net_index(name));
	return fd;
}

/** The same with PACKET_VNET_HDR: frames of net_send_vnet() and net_recv_vnet(). */
static inline int net_packet_vnet(const char *name)
{
	const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), on = 1;

	cr_assert(fd >= 0 && !setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)),
		  "packet socket: %s", strerror(errno));
	net_bind(fd, net_index(name));
	return fd;
}

static inline void net_send(int fd, const void *data, size_t len)
{
	const ssize_t n = send(fd, data, len, 0);

	cr_assert_eq(n, (ssize_t)len, "sent %zd of %zu: %s", n, len, strerror(errno));
}

static inline void net_send_frame(int fd, const struct frame *f)
{
	net_send(fd, f->b, f->len);
}

static inline void net_send_vnet(int fd, const struct virtio_net_hdr *vnet, const void *data,
				 size_t len)
{
	struct iovec iov[2] = { { (void *)(uintptr_t)vnet, sizeof(*vnet) },
				{ (void *)(uintptr_t)data, len } };
	const ssize_t n = writev(fd, iov, 2);

	cr_assert_eq(n, (ssize_t)(len + sizeof(*vnet)), "sent %zd of %zu: %s", n, len,
		     strerror(errno));
}

/**
 * The next frame that came in, with the 802.1Q tag put back where it was on the wire.
 *
 * @param vnet  NULL unless the socket is net_packet_vnet()'s.
 * @return its length, 0 when none came in time.
 */
static inline size_t net_recv_vnet(int fd, struct virtio_net_hdr *vnet, uint8_t *out, size_t size,
				   int timeout_ms)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	union {
		char buf[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
		struct cmsghdr align;
	} ctl;
	struct iovec iov[2] = { { vnet, vnet ? sizeof(*vnet) : 0 }, { out, size } };
	struct msghdr msg = { .msg_iov = iov,
			      .msg_iovlen = 2,
			      .msg_control = ctl.buf,
			      .msg_controllen = sizeof(ctl.buf) };
	ssize_t n;

	if (poll(&pfd, 1, timeout_ms) != 1)
		return 0;
	n = recvmsg(fd, &msg, 0);
	cr_assert(n > 0 && !(msg.msg_flags & MSG_TRUNC), "recvmsg: %zd, %s", n, strerror(errno));
	n -= (ssize_t)iov[0].iov_len;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		struct tpacket_auxdata aux;

		memcpy(&aux, CMSG_DATA(c), sizeof(aux));
		if (c->cmsg_type != PACKET_AUXDATA || !(aux.tp_status & TP_STATUS_VLAN_VALID))
			continue;
		memmove(out + 16, out + 12, (size_t)n - 12);
		frame_put16(out + 12, aux.tp_vlan_tpid);
		frame_put16(out + 14, aux.tp_vlan_tci);
		n += 4;
	}
	return (size_t)n;
}

static inline size_t net_recv(int fd, uint8_t *out, size_t size, int timeout_ms)
{
	return net_recv_vnet(fd, NULL, out, size, timeout_ms);
}

/** The next TCP segment that came in, taken apart.  @return false when none came in time. */
static inline bool net_recv_seg(int fd, struct sw_seg *seg, int timeout_ms)
{
	static uint8_t buf[NET_FRAME_MAX];

	for (;;) {
		const size_t n = net_recv(fd, buf, sizeof(buf), timeout_ms);
		const struct sw_frame view = { .data = buf, .len = n, .wire_len = n,
					       .csum_partial = true };

		if (!n)
			return false;
		if (sw_wire_parse(seg, &view) == SW_WIRE_OK)
			return true;
	}
}

/** @return descriptors that are open, the one used for counting left out. */
static inline unsigned net_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	cr_assert_not_null(d, "/proc/self/fd: %s", strerror(errno));
	while (readdir(d))
		n++;
	closedir(d);
	return n - 3; /* ".", ".." and the directory itself */
}

/** Take every descriptor that this process may have.  @return the last one. */
static inline int net_use_up_fds(void)
{
	const struct rlimit lim = { 200, 200 };
	int fd, last = -1;

	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &lim), 0, "setrlimit: %s", strerror(errno));
	while ((fd = dup(0)) >= 0)
		last = fd;
	cr_assert_eq(last, 199, "the last one is %d", last);
	return last;
}

/** @return true once no interface has this name. */
static inline bool net_gone(const char *name)
{
	const uint64_t deadline = net_now_ms() + NET_WAIT_MS;

	while (if_nametoindex(name))
		if (!net_again(deadline))
			return false;
	return true;
}

#endif
