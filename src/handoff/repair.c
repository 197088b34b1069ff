/* SPDX-License-Identifier: MIT */
#include "handoff/repair.h"
#include "bpf/abi.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/tcp.h>

/* linux/tcp.h and netinet/tcp.h do not go together; older copies lack some of these. */
#ifndef TCP_REPAIR_OFF_NO_WP
#define TCP_REPAIR_OFF_NO_WP -1
#endif
#define OPT_MAXSEG 2    /* RFC 9293 3.2 */
#define OPT_WINDOW 3    /* RFC 7323 2.2 */
#define OPT_SACK_PERM 4 /* RFC 2018 2 */
#define OPT_TIMESTAMP 8 /* RFC 7323 3.2 */
#define QUEUE_RECV 1
#define QUEUE_SEND 2
#define TS_ROOM 12       /* TCPOLEN_TSTAMP_ALIGNED */
#define MIN_MAXSEG 88    /* TCP_MIN_MSS and MAX_TCP_WINDOW bound TCP_MAXSEG */
#define MAX_MAXSEG 32767

const char *sw_repair_stage_name(enum sw_repair_stage stage)
{
	static const char *const name[SW_REPAIR_NSTAGE] = {
		"done", "socket", "enter", "sequence", "bind", "connect", "options", "window", "leave",
	};

	return (unsigned)stage < SW_REPAIR_NSTAGE ? name[stage] : "?";
}

static int set_int(int fd, int level, int opt, int value)
{
	return setsockopt(fd, level, opt, &value, sizeof(value)) ? -errno : 0;
}

static socklen_t to_sockaddr(struct sockaddr_storage *out, enum sw_family family,
			     const struct sw_addr *addr, uint16_t port, unsigned ifindex)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
	struct sockaddr_in *in4 = (struct sockaddr_in *)out;

	memset(out, 0, sizeof(*out));
	if (family == SW_IP4) {
		in4->sin_family = AF_INET;
		in4->sin_port = htons(port);
		memcpy(&in4->sin_addr, addr->b, 4);
		return sizeof(*in4);
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	memcpy(&in6->sin6_addr, addr->b, 16);
	if (addr->b[0] == 0xfe && (addr->b[1] & 0xc0) == 0x80)
		in6->sin6_scope_id = ifindex;
	return sizeof(*in6);
}

static int set_sequence(int fd, int queue, uint32_t seq)
{
	const int rc = set_int(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, queue);

	return rc ? rc : set_int(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, (int)seq);
}

/* Before connect(): a client without window scaling bounds our window to 16 bits.  The kernel
 * derives its own shift count from the clamp (tcp_select_initial_window()), here 0. */
static int enter(int fd, const struct sw_seg *ack, const struct sw_terms *terms,
		 const struct sw_cookie *cookie, enum sw_repair_stage *stage)
{
	int rc;

	*stage = SW_REPAIR_ENTER;
	rc = set_int(fd, SOL_SOCKET, SO_PRIORITY, (int)SW_BPF_VEIL);
	if (!rc)
		rc = set_int(fd, IPPROTO_TCP, TCP_REPAIR, 1);
	if (!rc && !terms->wscale_ok)
		rc = set_int(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, 65535);
	if (rc)
		return rc;
	*stage = SW_REPAIR_SEQUENCE;
	rc = set_sequence(fd, QUEUE_RECV, ack->seq);
	return rc ? rc : set_sequence(fd, QUEUE_SEND, cookie->isn + 1);
}

/* The kernel's own passive open takes the timestamps' room off the MSS it advertised
 * (tcp_rcv_state_process(), TCP_SYN_RECV); connect() does not, but it heeds TCP_MAXSEG. */
static int limit_advmss(int fd, const struct sw_seg *ack, const struct sw_terms *terms,
			const struct sw_policy *policy)
{
	const int mss = (ack->family == SW_IP4 ? policy->mss4 : policy->mss6) - TS_ROOM;

	if (!terms->ts || mss < MIN_MAXSEG || mss > MAX_MAXSEG)
		return 0;
	return set_int(fd, IPPROTO_TCP, TCP_MAXSEG, mss);
}

/* bind() to a broadcast address leaves the choice of the source to the route: that would be another
 * connection than the one that was proven. */
static int check_source(int fd, const struct sw_seg *ack)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	const void *have;

	if (getsockname(fd, (struct sockaddr *)&ss, &len))
		return -errno;
	have = ack->family == SW_IP4 ? (const void *)&((struct sockaddr_in *)&ss)->sin_addr :
				       (const void *)&((struct sockaddr_in6 *)&ss)->sin6_addr;
	return memcmp(have, ack->dst.b, sw_addr_len(ack->family)) ? -ENETUNREACH : 0;
}

static int bind_and_connect(int fd, const struct sw_seg *ack, unsigned ifindex,
			    enum sw_repair_stage *stage)
{
	struct sockaddr_storage local, peer;
	const socklen_t len = to_sockaddr(&local, ack->family, &ack->dst, ack->dport, ifindex);

	to_sockaddr(&peer, ack->family, &ack->src, ack->sport, ifindex);
	*stage = SW_REPAIR_BIND;
	/* IP_FREEBIND serves both families: addresses that are local by a route only (AnyIP). */
	if (set_int(fd, IPPROTO_IP, IP_FREEBIND, 1) || bind(fd, (struct sockaddr *)&local, len))
		return -errno;
	*stage = SW_REPAIR_CONNECT;
	if (connect(fd, (struct sockaddr *)&peer, len))
		return -errno;
	return check_source(fd, ack);
}

static int set_options(int fd, const struct sw_terms *terms, const struct sw_cookie *cookie,
		       const struct sw_policy *policy)
{
	struct tcp_repair_opt opt[4];
	size_t n = 0;

	opt[n++] = (struct tcp_repair_opt){ OPT_MAXSEG, terms->mss };
	if (terms->wscale_ok)
		opt[n++] = (struct tcp_repair_opt){ OPT_WINDOW, terms->wscale |
									(uint32_t)policy->wscale << 16 };
	if (terms->sack)
		opt[n++] = (struct tcp_repair_opt){ OPT_SACK_PERM, 0 };
	if (terms->ts)
		opt[n++] = (struct tcp_repair_opt){ OPT_TIMESTAMP, 0 };
	if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_OPTIONS, opt, (socklen_t)(n * sizeof(opt[0]))))
		return -errno;
	/* Later timestamps go on from the one in the SYN-ACK.  The lowest bit asks recent kernels
	 * for microseconds: round up to an even value. */
	if (terms->ts)
		return set_int(fd, IPPROTO_TCP, TCP_TIMESTAMP, (int)((cookie->tsval + 1) & ~1u));
	return 0;
}

/* connect() computed the segment size before it knew the peer's MSS.  Setting no IP options at
 * all computes it anew (do_ip_setsockopt()); ipv6_update_options() does so only for a set of
 * options, but that may be empty: a control buffer too short for any message. */
static int renew_mss(int fd, enum sw_family family)
{
	if (family == SW_IP4)
		return setsockopt(fd, IPPROTO_IP, IP_OPTIONS, NULL, 0) ? -errno : 0;
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_2292PKTOPTIONS, "", 1) ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_2292PKTOPTIONS, NULL, 0))
		return -errno;
	return 0;
}

static int set_window(int fd, const struct sw_seg *ack, const struct sw_terms *terms,
		      const struct sw_policy *policy)
{
	const uint32_t snd = (uint32_t)ack->window << (terms->wscale_ok ? terms->wscale : 0);
	const struct tcp_repair_window w = { .snd_wl1 = ack->seq,
					     .snd_wnd = snd,
					     .max_window = snd,
					     .rcv_wnd = policy->window,
					     .rcv_wup = ack->seq };

	return setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &w, sizeof(w)) ? -errno : 0;
}

int sw_repair_connect(const struct sw_seg *ack, const struct sw_terms *terms,
		      const struct sw_cookie *cookie, const struct sw_policy *policy,
		      unsigned ifindex, int *out, enum sw_repair_stage *where)
{
	enum sw_repair_stage stage = SW_REPAIR_SOCKET;
	const int fd = socket(ack->family == SW_IP4 ? AF_INET : AF_INET6,
			      SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	int rc = fd < 0 ? -errno : 0;

	if (rc)
		goto done;
	rc = enter(fd, ack, terms, cookie, &stage);
	if (!rc)
		rc = limit_advmss(fd, ack, terms, policy);
	if (!rc)
		rc = bind_and_connect(fd, ack, ifindex, &stage);
	if (rc)
		goto close_fd;
	stage = SW_REPAIR_OPTIONS;
	rc = set_options(fd, terms, cookie, policy);
	if (!rc)
		rc = renew_mss(fd, ack->family);
	if (rc)
		goto close_fd;
	stage = SW_REPAIR_WINDOW;
	rc = set_window(fd, ack, terms, policy);
	if (rc)
		goto close_fd;
	stage = SW_REPAIR_LEAVE;
	rc = set_int(fd, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP);
	if (rc)
		goto close_fd;
	/* Leaving repair cleared it; a listener on this port must be able to bind beside us. */
	rc = set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (rc)
		goto close_fd;
	*out = fd;
	stage = SW_REPAIR_DONE;
	goto done;

close_fd:
	close(fd); /* in repair mode: silent, no FIN, no RST */
done:
	if (where)
		*where = stage;
	return rc;
}

bool sw_repair_heard(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	memset(&info, 0, sizeof(info));
	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) || info.tcpi_segs_in > 0;
}

void sw_repair_discard(int fd)
{
	/* Whatever state it is in: closing in repair mode sends nothing. */
	(void)!set_int(fd, IPPROTO_TCP, TCP_REPAIR, 1);
	close(fd);
}

int sw_repair_unveil(int fd)
{
	return set_int(fd, SOL_SOCKET, SO_PRIORITY, 0);
}

int sw_repair_probe(enum sw_family family, uint16_t port)
{
	const int fd = socket(family == SW_IP4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC,
			      IPPROTO_TCP);
	static const struct sw_addr any;
	struct sockaddr_storage ss;
	int rc = fd < 0 ? -errno : 0;

	if (rc)
		return rc;
	rc = set_int(fd, IPPROTO_TCP, TCP_REPAIR, 1);
	if (!rc && bind(fd, (struct sockaddr *)&ss, to_sockaddr(&ss, family, &any, port, 0)))
		rc = -errno;
	close(fd);
	return rc;
}
