/* SPDX-License-Identifier: MIT */
#include "listen/policy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/ethtool.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define MIN_MSS 88u /* TCP_MIN_MSS, include/net/tcp.h */

/* Up to three numbers of a file under /proc/sys.  @return how many there were. */
static int read_numbers(const char *path, unsigned long out[3])
{
	FILE *f = fopen(path, "re");
	int n;

	if (!f)
		return 0;
	n = fscanf(f, "%lu %lu %lu", &out[0], &out[1], &out[2]);
	fclose(f);
	return n < 0 ? 0 : n;
}

static bool read_switch(const char *path)
{
	unsigned long v[3];

	return read_numbers(path, v) < 1 || v[0] != 0;
}

void sw_host_tcp_read(struct sw_host_tcp *out)
{
	unsigned long v[3];

	*out = (struct sw_host_tcp){ .rmem_default = 131072,
				     .rmem_max = 6291456,
				     .core_rmem_max = 212992,
				     .syncookies = 1,
				     .ecn = 2 };
	out->wscale = read_switch("/proc/sys/net/ipv4/tcp_window_scaling");
	out->sack = read_switch("/proc/sys/net/ipv4/tcp_sack");
	out->ts = read_switch("/proc/sys/net/ipv4/tcp_timestamps");
	if (read_numbers("/proc/sys/net/ipv4/tcp_syncookies", v) >= 1)
		out->syncookies = (uint32_t)v[0];
	if (read_numbers("/proc/sys/net/ipv4/tcp_ecn", v) >= 1)
		out->ecn = (uint32_t)v[0];
	if (read_numbers("/proc/sys/net/ipv4/tcp_rmem", v) == 3) {
		out->rmem_default = (uint32_t)v[1];
		out->rmem_max = (uint32_t)v[2];
	}
	if (read_numbers("/proc/sys/net/core/rmem_max", v) >= 1)
		out->core_rmem_max = (uint32_t)v[0];
}

/* @param most  What the family's length field leaves for the TCP payload. */
static uint16_t mss_for(unsigned mtu, unsigned headers, unsigned most)
{
	const unsigned mss = mtu > headers + MIN_MSS ? mtu - headers : MIN_MSS;

	return (uint16_t)(mss > most ? most : mss);
}

static unsigned log2_of(uint32_t v)
{
	return v ? 31u - (unsigned)__builtin_clz(v) : 0;
}

void sw_policy_fill(struct sw_policy *p, const struct sw_host_tcp *host,
		    const struct sw_link_info *link)
{
	const uint32_t space = host->rmem_max > host->core_rmem_max ? host->rmem_max :
								      host->core_rmem_max;
	const unsigned bits = log2_of(space);
	uint32_t window = host->rmem_default / 2;

	p->mss4 = mss_for(link->mtu, 40, 65535 - 40);
	p->mss6 = mss_for(link->mtu, 60, 65535 - 20); /* the IPv6 header does not count */
	p->wscale = (uint8_t)(bits <= 15 ? 0 : bits - 15 > 14 ? 14 : bits - 15);
	/* A whole number of segments, as the kernel has it. */
	if (window > p->mss4)
		window -= window % p->mss4;
	p->window = (uint16_t)(window > 65535 ? 65535 : window);
	p->ttl = 64;
	p->wscale_on = host->wscale;
	p->sack_on = host->sack;
	p->ts_on = host->ts;
	p->ecn_on = false; /* TCP_REPAIR cannot make an ECN connection */
	p->loopback = link->loopback;
	p->diagnose_rate = 1000;
}

/* What is looked for among the listeners, and what was found. */
struct search {
	const struct sw_guard *guard;
	enum sw_service found;
};

static int note_ulp(const struct nlattr *attr, void *out)
{
	if (mnl_attr_get_type(attr) == INET_ULP_INFO_NAME)
		*(bool *)out = strcmp(mnl_attr_get_str(attr), "mptcp") == 0;
	return MNL_CB_OK;
}

static int note_attr(const struct nlattr *attr, void *out)
{
	if (mnl_attr_get_type(attr) != INET_DIAG_ULP_INFO)
		return MNL_CB_OK;
	return mnl_attr_parse_nested(attr, note_ulp, out);
}

/* Does the listener @m take what comes to the guarded address?  An IPv6 one for every address may
 * take IPv4 too; whether it does (IPV6_V6ONLY) is not asked. */
static bool serves(const struct inet_diag_msg *m, const struct sw_guard *g)
{
	static const __be32 any[4];
	const size_t len = m->idiag_family == AF_INET ? 4 : 16;

	if (ntohs(m->id.idiag_sport) != g->port)
		return false;
	if (m->idiag_family == AF_INET6 && memcmp(m->id.idiag_src, any, 16) == 0)
		return true;
	if ((m->idiag_family == AF_INET) != (g->family == SW_IP4))
		return false;
	return g->any || memcmp(m->id.idiag_src, any, len) == 0 ||
	       memcmp(m->id.idiag_src, g->addr.b, len) == 0;
}

static int note_listener(const struct nlmsghdr *nlh, void *arg)
{
	const struct inet_diag_msg *m = mnl_nlmsg_get_payload(nlh);
	struct search *se = arg;
	bool mptcp = false;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*m) || !serves(m, se->guard))
		return MNL_CB_OK;
	if (mnl_attr_parse(nlh, sizeof(*m), note_attr, &mptcp) < 0)
		return MNL_CB_ERROR;
	if (mptcp)
		se->found = SW_SERVICE_MPTCP;
	else if (se->found == SW_SERVICE_NONE)
		se->found = SW_SERVICE_TCP;
	return MNL_CB_OK;
}

/* All TCP listeners of a family.  An MPTCP socket listens by a TCP socket with the "mptcp" ULP. */
static int each_listener(struct mnl_socket *nl, uint8_t family, struct search *se)
{
	char buf[32768]; /* the kernel fills no more at a time */
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct inet_diag_req_v2 *rq;
	ssize_t n;
	int rc = 1;

	nlh->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	rq = mnl_nlmsg_put_extra_header(nlh, sizeof(*rq));
	rq->sdiag_family = family;
	rq->sdiag_protocol = IPPROTO_TCP;
	rq->idiag_states = 1u << TCP_LISTEN;
	rq->idiag_ext = 1u << (INET_DIAG_INFO - 1); /* the ULP comes with it */
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	while (rc > 0) {
		n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		if (n < 0)
			return -errno;
		rc = mnl_cb_run(buf, (size_t)n, 0, 0, note_listener, se);
	}
	return rc < 0 ? -errno : 0;
}

int sw_service_find(const struct sw_guard *guard, enum sw_service *out)
{
	struct search se = { .guard = guard, .found = SW_SERVICE_NONE };
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	int rc;

	if (!nl)
		return -errno;
	rc = mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ? -errno : 0;
	if (!rc && guard->family == SW_IP4)
		rc = each_listener(nl, AF_INET, &se);
	if (!rc)
		rc = each_listener(nl, AF_INET6, &se);
	if (rc == -ENOENT && guard->family == SW_IP4)
		rc = 0; /* no IPv6 in this kernel */
	mnl_socket_close(nl);
	*out = se.found;
	return rc;
}

bool sw_link_is_veth(const char *name)
{
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
	struct ifreq ifr = { 0 };
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return false;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	ifr.ifr_data = (char *)&info;
	rc = ioctl(fd, SIOCETHTOOL, &ifr);
	close(fd);
	return rc == 0 && strcmp(info.driver, "veth") == 0;
}
