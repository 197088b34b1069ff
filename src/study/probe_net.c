/* SPDX-License-Identifier: MIT */
#include "study/probe_net.h"

#include "core/cursor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ETH_LEN	    14
#define IP6_LEN	    40
#define PACKET_MAX  65536 /* bytes */
#define CONTROL_MAX 512
#define TCP_MIN	    8 /* bytes of our header that an ICMP message returns at least */

static int fail(char err[SW_PROBE_ERR], const char *what, const char *hint)
{
	const int e = errno;

	(void)snprintf(err, SW_PROBE_ERR, "%s: %s%s", what, strerror(e), e == EPERM ? hint : "");
	return -e;
}

static socklen_t len_of(const struct sockaddr_storage *sa)
{
	return sa->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

static void set_port(struct sockaddr_storage *sa, uint16_t port)
{
	if (sa->ss_family == AF_INET)
		((struct sockaddr_in *)sa)->sin_port = htons(port);
	else
		((struct sockaddr_in6 *)sa)->sin6_port = htons(port);
}

static uint16_t port_of(const struct sockaddr_storage *sa)
{
	return ntohs(sa->ss_family == AF_INET ? ((const struct sockaddr_in *)sa)->sin_port
					      : ((const struct sockaddr_in6 *)sa)->sin6_port);
}

static struct sw_addr addr_of(const struct sockaddr_storage *sa)
{
	struct sw_addr out = { { 0 } };

	if (sa->ss_family == AF_INET)
		memcpy(out.b, &((const struct sockaddr_in *)sa)->sin_addr, 4);
	else
		memcpy(out.b, &((const struct sockaddr_in6 *)sa)->sin6_addr, 16);
	return out;
}

static int flag(int fd, int level, int name)
{
	const int on = 1;

	return setsockopt(fd, level, name, &on, sizeof(on));
}

/* The owner of a source port that hears nothing.  The filter comes before listen(): from the first
 * moment on no SYN to the port is answered either. */
static int open_quiet(struct sw_probe_net *net, unsigned i, char err[SW_PROBE_ERR])
{
	struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
	const struct sock_fprog prog = { 1, &nothing };
	struct sockaddr_storage at = net->local;
	socklen_t len = len_of(&at);
	const int fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	net->quiet[i] = fd;
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) < 0 ||
	    bind(fd, (struct sockaddr *)&at, len) < 0 || listen(fd, 1) < 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &len) < 0)
		return fail(err, "cannot take a source port", "");
	net->sport[i] = port_of(&at);
	return 0;
}

/* Only what comes to our ports.  A raw IPv4 socket's packets begin with the IP header, those of a
 * raw IPv6 socket with the TCP header. */
static int filter_ports(const struct sw_probe_net *net, char err[SW_PROBE_ERR])
{
	struct sock_filter code[4 + SW_PROBE_SLOTS];
	struct sock_fprog prog = { 0, code };
	unsigned n = 0;

	if (net->family == SW_IP4) {
		code[n++] = (struct sock_filter)BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0);
		code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2);
	} else {
		code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 2);
	}
	for (unsigned i = 0; i < SW_PROBE_SLOTS; i++) {
		const uint8_t to_accept = (uint8_t)(SW_PROBE_SLOTS - i);

		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, net->sport[i],
							 to_accept, 0);
	}
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, PACKET_MAX);
	prog.len = (unsigned short)n;
	if (setsockopt(net->raw, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) < 0)
		return fail(err, "cannot filter the raw socket", "");
	return 0;
}

static int set_options(const struct sw_probe_net *net)
{
	if (flag(net->raw, SOL_SOCKET, SO_TIMESTAMPNS) < 0)
		return -1;
	if (net->family == SW_IP4)
		return flag(net->raw, IPPROTO_IP, IP_RECVERR);
	if (flag(net->raw, IPPROTO_IPV6, IPV6_RECVERR) < 0 ||
	    flag(net->raw, IPPROTO_IPV6, IPV6_RECVHOPLIMIT) < 0)
		return -1;
	return flag(net->raw, IPPROTO_IPV6, IPV6_RECVTCLASS);
}

static int open_raw(struct sw_probe_net *net, const struct sockaddr_storage *host,
		    char err[SW_PROBE_ERR])
{
	struct sockaddr_storage to = *host;
	socklen_t len = len_of(host);

	set_port(&to, 0);
	net->raw = socket(to.ss_family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
	if (net->raw < 0)
		return fail(err, "cannot open a raw socket",
			    ": it needs CAP_NET_RAW, run it by sudo");
	if (set_options(net) < 0)
		return fail(err, "cannot set up the raw socket", "");
	if (connect(net->raw, (struct sockaddr *)&to, len) < 0)
		return fail(err, "no way to the host", "");
	if (getsockname(net->raw, (struct sockaddr *)&net->local, &len) < 0)
		return fail(err, "no local address", "");
	set_port(&net->local, 0);
	net->src = addr_of(&net->local);
	net->dst = addr_of(host);
	return 0;
}

int sw_probe_net_open(struct sw_probe_net *net, const struct sockaddr_storage *host,
		      char err[SW_PROBE_ERR])
{
	int rc;

	memset(net, 0, sizeof(*net));
	net->raw = -1;
	for (unsigned i = 0; i < SW_PROBE_SLOTS; i++)
		net->quiet[i] = -1;
	net->family = host->ss_family == AF_INET ? SW_IP4 : SW_IP6;
	rc = open_raw(net, host, err);
	for (unsigned i = 0; i < SW_PROBE_SLOTS && rc == 0; i++)
		rc = open_quiet(net, i, err);
	if (rc == 0)
		rc = filter_ports(net, err);
	if (rc < 0)
		sw_probe_net_close(net);
	return rc;
}

int sw_probe_net_send(struct sw_probe_net *net, const uint8_t *tcp, size_t len)
{
	/* An ICMP message leaves its error at the socket, and the next call reports it: such an
	 * error is about an earlier packet, and asking for it takes it away. */
	int pending;
	socklen_t n = sizeof(pending);

	(void)getsockopt(net->raw, SOL_SOCKET, SO_ERROR, &pending, &n);
	return send(net->raw, tcp, len, 0) == (ssize_t)len ? 0 : -errno;
}

void sw_probe_net_close(struct sw_probe_net *net)
{
	for (unsigned i = 0; i < SW_PROBE_SLOTS; i++) {
		if (net->quiet[i] >= 0)
			(void)close(net->quiet[i]);
		net->quiet[i] = -1;
	}
	if (net->raw >= 0)
		(void)close(net->raw);
	net->raw = -1;
}

/* ---- receiving ---- */

struct control {
	uint64_t at_ns;
	int ttl, tclass;
	const struct sock_extended_err *ee;
};

static void read_control(struct msghdr *msg, struct control *out)
{
	memset(out, 0, sizeof(*out));
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPNS) {
			struct timespec ts;

			memcpy(&ts, CMSG_DATA(c), sizeof(ts));
			out->at_ns = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT) {
			memcpy(&out->ttl, CMSG_DATA(c), sizeof(out->ttl));
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
			memcpy(&out->tclass, CMSG_DATA(c), sizeof(out->tclass));
		} else if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
			   (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR)) {
			out->ee = (const struct sock_extended_err *)CMSG_DATA(c);
		}
	}
	if (out->at_ns == 0) {
		struct timespec ts;

		(void)clock_gettime(CLOCK_REALTIME, &ts);
		out->at_ns = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	}
}

static void read_offender(const struct sock_extended_err *ee, struct sw_addr *out)
{
	const struct sockaddr *sa = SO_EE_OFFENDER(ee);

	memset(out, 0, sizeof(*out));
	if (sa->sa_family == AF_INET)
		memcpy(out->b, &((const struct sockaddr_in *)sa)->sin_addr, 4);
	else if (sa->sa_family == AF_INET6)
		memcpy(out->b, &((const struct sockaddr_in6 *)sa)->sin6_addr, 16);
}

/* @return bytes received, or -1. */
static ssize_t receive(int fd, int flags, uint8_t *buf, size_t size, uint8_t control[CONTROL_MAX],
		       struct control *out)
{
	struct sockaddr_storage from;
	struct iovec iov = { buf, size };
	struct msghdr msg = { .msg_name = &from,
			      .msg_namelen = sizeof(from),
			      .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = CONTROL_MAX };
	const ssize_t n = recvmsg(fd, &msg, flags | MSG_DONTWAIT);

	if (n >= 0)
		read_control(&msg, out);
	return n;
}

/* An ICMP message about one of our packets: the kernel returns what the message quotes of it. */
static bool recv_icmp(struct sw_probe_net *net, struct sw_probe_packet *out)
{
	_Alignas(struct cmsghdr) uint8_t control[CONTROL_MAX];
	uint8_t buf[512];
	struct control c;
	const ssize_t n = receive(net->raw, MSG_ERRQUEUE, buf, sizeof(buf), control, &c);
	struct sw_cur cur = { buf, buf + (n > 0 ? n : 0), false };

	if (n < TCP_MIN || !c.ee ||
	    (c.ee->ee_origin != SO_EE_ORIGIN_ICMP && c.ee->ee_origin != SO_EE_ORIGIN_ICMP6))
		return false;
	memset(out, 0, sizeof(*out));
	out->icmp = true;
	out->at_ns = c.at_ns;
	out->icmp_type = c.ee->ee_type;
	out->icmp_code = c.ee->ee_code;
	read_offender(c.ee, &out->icmp_from);
	out->seg.sport = sw_cur_u16(&cur);
	out->seg.dport = sw_cur_u16(&cur);
	out->seg.seq = sw_cur_u32(&cur);
	return true;
}

/* The IPv6 header that the kernel took off, from what it says about it. */
static void put_ip6(const struct sw_probe_net *net, uint8_t *p, size_t len, const struct control *c)
{
	memset(p, 0, IP6_LEN);
	sw_put_u32(p, 6u << 28 | ((uint32_t)c->tclass & 0xff) << 20);
	sw_put_u16(p + 4, (uint16_t)len);
	p[6] = SW_IP_TCP;
	p[7] = (uint8_t)c->ttl;
	memcpy(p + 8, net->dst.b, 16);
	memcpy(p + 24, net->src.b, 16);
}

static bool recv_tcp(struct sw_probe_net *net, struct sw_probe_packet *out, bool *more)
{
	_Alignas(struct cmsghdr) uint8_t control[CONTROL_MAX];
	static _Thread_local uint8_t buf[ETH_LEN + IP6_LEN + PACKET_MAX];
	const size_t head = ETH_LEN + (net->family == SW_IP4 ? 0 : IP6_LEN);
	struct control c;
	const ssize_t n = receive(net->raw, 0, buf + head, PACKET_MAX, control, &c);
	struct sw_frame frame;

	*more = n >= 0;
	if (n < 0)
		return false;
	memset(buf, 0, ETH_LEN);
	sw_put_u16(buf + ETH_LEN - 2, net->family == SW_IP4 ? SW_ETH_IP4 : SW_ETH_IP6);
	if (net->family == SW_IP6)
		put_ip6(net, buf + ETH_LEN, (size_t)n, &c);
	frame = (struct sw_frame){ .data = buf,
				   .len = head + (size_t)n,
				   .wire_len = head + (size_t)n,
				   .csum_partial = true };
	memset(out, 0, sizeof(*out));
	out->at_ns = c.at_ns;
	return sw_wire_parse(&out->seg, &frame) == SW_WIRE_OK;
}

bool sw_probe_net_recv(struct sw_probe_net *net, struct sw_probe_packet *out)
{
	bool more = true;

	if (recv_icmp(net, out))
		return true;
	while (more) {
		if (recv_tcp(net, out, &more))
			return true;
	}
	return false;
}
