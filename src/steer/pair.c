/* SPDX-License-Identifier: MIT */
#include "steer/pair.h"
#include "steer/bpfutil.h"
#include "steer/link.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/bpf.h>
#include <linux/if_packet.h>

#define FAR_NAME "synward-far"
#define NAME_TRIES 100
#define CARRIER_TRIES 1000 /* milliseconds */
#define TCX_SHOT 2	   /* TCX_DROP, uapi headers of Linux 6.6 */

/*
 * A child enters the new namespace, because a packet socket belongs to the namespace of the
 * thread that makes it.  It speaks over a socketpair: an int (0 or -errno), with a descriptor.
 */
static int send_step(int sock, int status, int fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} ctl = { .buf = { 0 } };
	struct iovec iov = { &status, sizeof(status) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = ctl.buf;
		msg.msg_controllen = sizeof(ctl.buf);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	return sendmsg(sock, &msg, MSG_NOSIGNAL) == sizeof(status) ? 0 : -errno;
}

/* @return the status that came, or -EPIPE when the other side is gone.  *fd is -1 for none. */
static int recv_step(int sock, int *fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} ctl;
	int status = 0;
	struct iovec iov = { &status, sizeof(status) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = ctl.buf,
			      .msg_controllen = sizeof(ctl.buf) };
	struct cmsghdr *c;
	ssize_t n;

	*fd = -1;
	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n != sizeof(status))
		return -EPIPE;
	if (msg.msg_flags & MSG_CTRUNC)
		return -EMFILE;
	c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(c), sizeof(*fd));
	return status;
}

/* @return a program that drops every packet, or -errno. */
static int load_drop(void)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = TCX_SHOT },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	const libbpf_print_fn_t old = sw_bpf_quiet();
	const int fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "sw_far", "Dual MIT/GPL", insns, 2,
				     NULL);

	libbpf_set_print(old);
	return fd;
}

/*
 * The far side, in the child.  Only system calls: the parent may have threads.
 *
 * The stack there has no use for what the packet sockets have seen.  It drops what is for another host
 * soon, but bpf_redirect_peer() of Linux 6.16 and up makes each frame one for this host, whose route
 * the stack then looks for.  TCX comes behind the packet sockets.
 */
static void far_side(int sock, size_t n, int drop)
{
	int ns, rc, unused;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWNET) && unshare(CLONE_NEWUSER | CLONE_NEWNET)) {
		send_step(sock, -errno, -1);
		return;
	}
	ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (ns < 0) {
		send_step(sock, -errno, -1);
		return;
	}
	/* The parent makes the pair with its far end here, then says so. */
	if (send_step(sock, 0, ns) || recv_step(sock, &unused))
		return;
	rc = sw_link_silence(if_nametoindex(FAR_NAME));
	if (!rc || rc == -EAFNOSUPPORT || rc == -EOPNOTSUPP)
		rc = sw_link_up(FAR_NAME);
	if (send_step(sock, rc, -1) || rc < 0)
		return;
	/* It stays as long as the interface.  A kernel without TCX: that costs time, nothing else. */
	if (send_step(sock, drop >= 0 && !bpf_prog_attach(drop, rc, SW_TCX_INGRESS, 0), -1))
		return;
	for (size_t i = 0; i < n; i++) {
		const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

		if (send_step(sock, fd < 0 ? -errno : 0, fd) || fd < 0)
			return;
		close(fd);
	}
}

/* Find a free name and make the pair. */
static int make_link(struct sw_pair *p, int ns)
{
	int rc = -EEXIST;

	for (unsigned i = 0; i < NAME_TRIES && rc == -EEXIST; i++) {
		snprintf(p->name, sizeof(p->name), "synward%u",
			 ((unsigned)getpid() + i * 7919u) % 1000000u);
		rc = sw_link_veth(p->name, FAR_NAME, ns);
	}
	if (rc)
		return rc;
	p->ifindex = if_nametoindex(p->name);
	if (!p->ifindex)
		return -errno;
	rc = sw_link_silence(p->ifindex);
	if (rc && rc != -EAFNOSUPPORT && rc != -EOPNOTSUPP)
		return rc;
	rc = sw_link_up(p->name);
	return rc < 0 ? rc : 0;
}

/* The near end came up first: nothing may be steered to it before it sends. */
static void await_carrier(unsigned ifindex)
{
	for (unsigned i = 0; i < CARRIER_TRIES && sw_link_sends(ifindex) == 0; i++)
		poll(NULL, 0, 1);
}

static int near_side(struct sw_pair *p, int sock, size_t n, char *err, size_t errlen)
{
	int ns, rc, unused;

	rc = recv_step(sock, &ns);
	if (rc) {
		snprintf(err, errlen,
			 "cannot make a network namespace: %s; needs CAP_SYS_ADMIN or user "
			 "namespaces (sysctl user.max_user_namespaces)",
			 strerror(-rc));
		return rc;
	}
	rc = make_link(p, ns);
	close(ns);
	if (rc) {
		snprintf(err, errlen, "cannot make a veth pair: %s; %s", strerror(-rc),
			 rc == -EOPNOTSUPP ? "the kernel needs CONFIG_VETH" :
					     "needs CAP_NET_ADMIN");
		return rc;
	}
	rc = send_step(sock, 0, -1);
	if (!rc)
		rc = recv_step(sock, &unused);
	if (rc < 0) {
		snprintf(err, errlen, "cannot set the far end of the veth pair up: %s",
			 strerror(-rc));
		return rc;
	}
	p->far_ifindex = (unsigned)rc;
	p->drops = recv_step(sock, &unused) > 0;
	await_carrier(p->ifindex);
	for (; p->nfd < n; p->nfd++) {
		rc = recv_step(sock, &p->fd[p->nfd]);
		if (rc) {
			snprintf(err, errlen,
				 "cannot make a packet socket: %s; needs CAP_NET_RAW and "
				 "CONFIG_PACKET",
				 strerror(-rc));
			return rc;
		}
	}
	return 0;
}

int sw_pair_open(struct sw_pair *p, size_t n, char *err, size_t errlen)
{
	sigset_t all, old;
	int sv[2], rc, drop;
	pid_t pid;

	memset(p, 0, sizeof(*p));
	for (size_t i = 0; i < SW_PAIR_MAX_SOCKETS; i++)
		p->fd[i] = -1;
	if (n > SW_PAIR_MAX_SOCKETS)
		return -EINVAL;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv)) {
		rc = -errno;
		snprintf(err, errlen, "cannot make a socket pair: %s", strerror(-rc));
		return rc;
	}
	drop = load_drop();
	/* The child has none of our signal handlers to run; what comes waits for the parent. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	pid = fork();
	if (pid == 0) {
		close(sv[0]);
		far_side(sv[1], n, drop);
		_exit(0);
	}
	rc = pid < 0 ? -errno : 0;
	if (drop >= 0)
		close(drop);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	close(sv[1]);
	if (rc)
		snprintf(err, errlen, "cannot start a child process: %s", strerror(-rc));
	else
		rc = near_side(p, sv[0], n, err, errlen);
	close(sv[0]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (rc)
		sw_pair_close(p);
	return rc;
}

void sw_pair_close(struct sw_pair *p)
{
	if (p->ifindex)
		sw_link_delete(p->ifindex);
	p->ifindex = 0;
	for (size_t i = 0; i < p->nfd; i++)
		if (p->fd[i] >= 0)
			close(p->fd[i]);
	p->nfd = 0;
}

int sw_pair_take(struct sw_pair *p, size_t i)
{
	const int fd = p->fd[i];

	p->fd[i] = -1;
	return fd;
}
