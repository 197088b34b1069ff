/* SPDX-License-Identifier: MIT */
#include "steer/link.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define PAIR_MTU 65535
#define IF_OPER_UP 6 /* linux/if.h, which does not go with net/if.h */
#define ADDR_GEN_NONE 1 /* IN6_ADDR_GEN_MODE_NONE */

/* Send one request and wait for its acknowledgement. */
static int talk(struct nlmsghdr *nlh)
{
	char buf[8192];
	struct mnl_socket *nl;
	ssize_t n;
	int rc = 0;

	nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!nl)
		return -errno;
	nlh->nlmsg_seq = (uint32_t)time(NULL);
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0) {
		rc = -errno;
		goto close_socket;
	}
	n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
	if (n < 0 || mnl_cb_run(buf, (size_t)n, nlh->nlmsg_seq, mnl_socket_get_portid(nl), NULL,
				NULL) < 0)
		rc = -errno;

close_socket:
	mnl_socket_close(nl);
	return rc;
}

int sw_link_veth(const char *near, const char *far, int netns_fd)
{
	char buf[1024];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nlattr *info, *data, *peer;

	nlh->nlmsg_type = RTM_NEWLINK;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(nlh, IFLA_IFNAME, near);
	mnl_attr_put_u32(nlh, IFLA_MTU, PAIR_MTU);
	info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
	peer = mnl_attr_nest_start(nlh, VETH_INFO_PEER);
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(nlh, IFLA_IFNAME, far);
	mnl_attr_put_u32(nlh, IFLA_MTU, PAIR_MTU);
	mnl_attr_put_u32(nlh, IFLA_NET_NS_FD, (uint32_t)netns_fd);
	mnl_attr_nest_end(nlh, peer);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, info);
	return talk(nlh);
}

int sw_link_silence(unsigned ifindex)
{
	char buf[256];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nlattr *spec, *in6;
	struct ifinfomsg *ifm;

	nlh->nlmsg_type = RTM_SETLINK;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	ifm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifm));
	ifm->ifi_index = (int)ifindex;
	spec = mnl_attr_nest_start(nlh, IFLA_AF_SPEC);
	in6 = mnl_attr_nest_start(nlh, AF_INET6);
	mnl_attr_put_u8(nlh, IFLA_INET6_ADDR_GEN_MODE, ADDR_GEN_NONE);
	mnl_attr_nest_end(nlh, in6);
	mnl_attr_nest_end(nlh, spec);
	return talk(nlh);
}

static int note_operstate(const struct nlattr *attr, void *state)
{
	if (mnl_attr_get_type(attr) == IFLA_OPERSTATE)
		*(int *)state = mnl_attr_get_u8(attr);
	return MNL_CB_OK;
}

static int note_link(const struct nlmsghdr *nlh, void *state)
{
	return mnl_attr_parse(nlh, sizeof(struct ifinfomsg), note_operstate, state);
}

int sw_link_sends(unsigned ifindex)
{
	char buf[32768];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	struct ifinfomsg *ifm;
	int rc = 0, state = 0;
	ssize_t n;

	if (!nl)
		return -errno;
	/* Since Linux 6.9 the question itself makes the kernel notice (rtnl_getlink()). */
	nlh->nlmsg_type = RTM_GETLINK;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	ifm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifm));
	ifm->ifi_index = (int)ifindex;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0 ||
	    (n = mnl_socket_recvfrom(nl, buf, sizeof(buf))) < 0 ||
	    mnl_cb_run(buf, (size_t)n, 0, mnl_socket_get_portid(nl), note_link, &state) < 0)
		rc = -errno;
	mnl_socket_close(nl);
	return rc ? rc : state == IF_OPER_UP;
}

int sw_link_delete(unsigned ifindex)
{
	char buf[256];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *ifm;

	nlh->nlmsg_type = RTM_DELLINK;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	ifm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifm));
	ifm->ifi_index = (int)ifindex;
	return talk(nlh);
}

static int note_filter(const struct nlmsghdr *nlh, void *found)
{
	if (nlh->nlmsg_type == RTM_NEWTFILTER)
		*(int *)found = 1;
	return MNL_CB_OK;
}

static int dump_filters(struct mnl_socket *nl, unsigned ifindex, uint32_t parent, int *found)
{
	char buf[32768]; /* as large as the kernel's pieces of a dump get */
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct tcmsg *tcm;
	int rc;

	nlh->nlmsg_type = RTM_GETTFILTER;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = parent;
	tcm = mnl_nlmsg_put_extra_header(nlh, sizeof(*tcm));
	tcm->tcm_ifindex = (int)ifindex;
	tcm->tcm_parent = parent;
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	do {
		const ssize_t n = mnl_socket_recvfrom(nl, buf, sizeof(buf));

		if (n < 0)
			return -errno;
		rc = mnl_cb_run(buf, (size_t)n, parent, mnl_socket_get_portid(nl), note_filter,
				found);
	} while (rc > MNL_CB_STOP);
	return rc < 0 ? -errno : 0;
}

int sw_link_has_filters(unsigned ifindex)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	int found = 0, rc;

	if (!nl)
		return -errno;
	rc = mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ? -errno : 0;
	if (!rc)
		rc = dump_filters(nl, ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS), &found);
	if (!rc)
		rc = dump_filters(nl, ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS), &found);
	mnl_socket_close(nl);
	return rc ? rc : found;
}

static int name_into(struct ifreq *ifr, const char *name)
{
	const size_t n = strlen(name);

	memset(ifr, 0, sizeof(*ifr));
	if (n == 0 || n >= sizeof(ifr->ifr_name))
		return -ENODEV;
	memcpy(ifr->ifr_name, name, n);
	return 0;
}

int sw_link_info(const char *name, struct sw_link_info *out)
{
	struct sw_link_info li = { 0 };
	struct ifreq ifr;
	int fd, rc = name_into(&ifr, name);

	if (rc)
		return rc;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	rc = -ENODEV;
	if (ioctl(fd, SIOCGIFINDEX, &ifr))
		goto close_fd;
	li.ifindex = (unsigned)ifr.ifr_ifindex;
	if (ioctl(fd, SIOCGIFMTU, &ifr))
		goto close_fd;
	li.mtu = (unsigned)ifr.ifr_mtu;
	if (ioctl(fd, SIOCGIFFLAGS, &ifr))
		goto close_fd;
	li.up = (ifr.ifr_flags & IFF_UP) != 0;
	li.loopback = (ifr.ifr_flags & IFF_LOOPBACK) != 0;
	if (ioctl(fd, SIOCGIFHWADDR, &ifr))
		goto close_fd;
	memcpy(li.mac, ifr.ifr_hwaddr.sa_data, sizeof(li.mac));
	li.ethernet = ifr.ifr_hwaddr.sa_family == ARPHRD_ETHER || li.loopback;
	*out = li;
	rc = 0;

close_fd:
	close(fd);
	return rc;
}

int sw_link_up(const char *name)
{
	struct ifreq ifr;
	int fd, rc = name_into(&ifr, name);

	if (rc)
		return rc;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	ifr.ifr_flags = IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &ifr) || ioctl(fd, SIOCGIFINDEX, &ifr))
		rc = -errno;
	else
		rc = ifr.ifr_ifindex;
	close(fd);
	return rc;
}

int sw_link_mac(unsigned ifindex, uint8_t mac[6])
{
	char name[IF_NAMESIZE];
	struct sw_link_info li;
	int rc;

	if (!if_indextoname(ifindex, name))
		return -errno;
	rc = sw_link_info(name, &li);
	if (!rc)
		memcpy(mac, li.mac, sizeof(li.mac));
	return rc;
}
