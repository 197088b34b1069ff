/* SPDX-License-Identifier: MIT */
#include "study/probe_run.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS   1000000ull
#define SPEAK_NS    (300 * NS_PER_MS)  /* how long a service may take to speak first */
#define CLOSE_NS    (2000 * NS_PER_MS) /* how long the server may take for its FIN */
#define PORT_GAP_NS (100 * NS_PER_MS)  /* a connection is about eight packets */
#define HEAR_MAX    256		       /* packets between two looks at the clock */
#define READ_MAX    (1u << 20)	       /* bytes; who sends more is cut off */

struct conn {
	int fd;
	struct sw_probe_net *net;
	struct sw_probe_port *port;
	const volatile sig_atomic_t *stop;
};

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	(void)clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* The kernel sent the SYN, so its ISN is known from what acknowledges it. */
static void hear(struct conn *c)
{
	struct sw_probe_sample *s = c->port->s;
	struct sw_probe_packet p;

	for (unsigned n = 0; n < HEAR_MAX && sw_probe_net_recv(c->net, &p); n++) {
		enum sw_probe_heard heard;

		s->syn.isn = p.icmp ? p.seg.seq : p.seg.ack - 1;
		if (s->heard != SW_PROBE_SILENCE)
			continue;
		if (p.icmp && p.seg.dport == s->syn.dport && p.seg.sport == s->syn.sport) {
			s->heard = SW_PROBE_ICMP;
			s->icmp_type = p.icmp_type;
			s->icmp_code = p.icmp_code;
			s->icmp_from = p.icmp_from;
		} else if (!p.icmp && sw_probe_matches(&s->syn, &p.seg, &heard)) {
			s->heard = heard;
			s->answer = p.seg;
		} else {
			continue;
		}
		s->heard_ns = p.at_ns > s->sent_ns ? p.at_ns : s->sent_ns;
	}
}

/* Wait for an event of the connection while the raw socket listens.  @return false: time is up. */
static bool wait_for(struct conn *c, short events, uint64_t until)
{
	sigset_t none;

	sigemptyset(&none);
	while (!*c->stop) {
		struct pollfd pfd[2] = { { c->fd, events, 0 }, { c->net->raw, POLLIN, 0 } };
		const uint64_t now = clock_ns(CLOCK_MONOTONIC);
		const uint64_t left = until > now ? until - now : 0;
		const struct timespec ts = { (time_t)(left / 1000000000u),
					     (long)(left % 1000000000u) };

		if (ppoll(pfd, 2, &ts, &none) < 0 && errno != EINTR)
			return false;
		hear(c);
		if (pfd[0].revents)
			return true;
		if (left == 0)
			return false;
	}
	return false;
}

static int open_socket(struct conn *c, char err[SW_PROBE_ERR])
{
	struct sockaddr_storage at = c->net->local;
	const bool ip4 = at.ss_family == AF_INET;
	const socklen_t len = ip4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	const uint16_t port = htons(c->net->sport[0]);
	const int on = 1, one_retry = 1;

	memcpy((char *)&at + (ip4 ? offsetof(struct sockaddr_in, sin_port)
				  : offsetof(struct sockaddr_in6, sin6_port)),
	       &port, sizeof(port));
	c->fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd >= 0 && setsockopt(c->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
	    setsockopt(c->fd, IPPROTO_TCP, TCP_SYNCNT, &one_retry, sizeof(one_retry)) == 0 &&
	    bind(c->fd, (struct sockaddr *)&at, len) == 0)
		return 0;
	(void)snprintf(err, SW_PROBE_ERR, "cannot take source port %u: %s", c->net->sport[0],
		       strerror(errno));
	return -errno;
}

static void dial(struct conn *c, const struct sockaddr_storage *host, uint64_t timeout_ns)
{
	const bool ip4 = host->ss_family == AF_INET;
	const socklen_t len = ip4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	struct sw_probe_full *f = &c->port->full;
	socklen_t n = sizeof(f->error);

	c->port->s->sent_ns = clock_ns(CLOCK_REALTIME);
	f->error = connect(c->fd, (const struct sockaddr *)host, len) < 0 ? errno : 0;
	if (f->error != 0 && f->error != EINPROGRESS)
		return;
	f->error = ETIMEDOUT;
	if (wait_for(c, POLLOUT, clock_ns(CLOCK_MONOTONIC) + timeout_ns))
		(void)getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &f->error, &n);
	f->connected = f->error == 0;
}

/* Read all that is there.  @return true at the end of the stream, or of the connection. */
static bool drain(struct conn *c)
{
	struct sw_probe_full *f = &c->port->full;
	char buf[4096];

	while (f->bytes < READ_MAX) {
		const ssize_t n = recv(c->fd, buf, sizeof(buf), 0);

		if (n < 0 && errno == EAGAIN)
			return false;
		if (n < 0)
			f->error = errno;
		if (n <= 0)
			return true;
		f->bytes += (unsigned)n;
	}
	f->error = EMSGSIZE;
	return true;
}

static bool drain_until(struct conn *c, uint64_t until)
{
	while (wait_for(c, POLLIN, until)) {
		if (drain(c))
			return true;
	}
	return false;
}

/* RFC 9293 3.6: our FIN, then the server's.  What is left unread would make close() a reset. */
static void hang_up(struct conn *c)
{
	struct sw_probe_full *f = &c->port->full;
	const uint64_t start = clock_ns(CLOCK_MONOTONIC);

	if (shutdown(c->fd, SHUT_WR) < 0) {
		f->error = errno;
		return;
	}
	if (!f->server_first)
		f->no_fin = !drain_until(c, start + CLOSE_NS);
	f->close_ns = clock_ns(CLOCK_MONOTONIC) - start;
}

static int one(struct conn *c, const struct sockaddr_storage *to, uint64_t timeout_ns,
	       char err[SW_PROBE_ERR])
{
	struct sw_probe_port *p = c->port;
	const int rc = open_socket(c, err);

	memset(p->s, 0, sizeof(*p->s));
	memset(&p->full, 0, sizeof(p->full));
	p->s->syn = (struct sw_probe_syn){ .sport = c->net->sport[0], .dport = p->port };
	p->s->tries = 1;
	p->n = 1;
	if (rc == 0) {
		dial(c, to, timeout_ns);
		if (p->full.connected) {
			const uint64_t speak = clock_ns(CLOCK_MONOTONIC) + SPEAK_NS;

			p->full.server_first = drain_until(c, speak);
			p->full.spoke_first = p->full.bytes > 0;
			hang_up(c);
		}
	}
	if (c->fd >= 0)
		(void)close(c->fd);
	return rc;
}

static struct sockaddr_storage address_of(const struct sw_probe_net *net, uint16_t port)
{
	struct sockaddr_storage to = net->local;

	if (net->family == SW_IP4) {
		struct sockaddr_in *sin = (struct sockaddr_in *)&to;

		sin->sin_port = htons(port);
		memcpy(&sin->sin_addr, net->dst.b, 4);
	} else {
		struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)&to;

		sin6->sin6_port = htons(port);
		memcpy(&sin6->sin6_addr, net->dst.b, 16);
	}
	return to;
}

int sw_probe_connect(struct sw_probe_net *net, const struct sw_probe_config *cf,
		     struct sw_probe_port *ports, unsigned nports,
		     const volatile sig_atomic_t *stop, char err[SW_PROBE_ERR])
{
	const struct timespec gap = { 0, (long)PORT_GAP_NS };
	int rc = 0;

	/* This port's packets are the kernel's business. */
	(void)close(net->quiet[0]);
	net->quiet[0] = -1;
	for (unsigned i = 0; i < nports && rc == 0 && !*stop; i++) {
		const struct sockaddr_storage to = address_of(net, ports[i].port);
		struct conn c = { -1, net, &ports[i], stop };

		rc = one(&c, &to, cf->timeout_ns, err);
		(void)nanosleep(&gap, NULL);
	}
	return rc;
}
