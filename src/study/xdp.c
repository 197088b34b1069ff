/* SPDX-License-Identifier: MIT */
#include "study/xdp.h"

#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

static int note_attached(const struct nlattr *attr, void *out)
{
	if (mnl_attr_get_type(attr) == IFLA_XDP_ATTACHED)
		*(bool *)out = mnl_attr_get_u8(attr) != XDP_ATTACHED_NONE;
	return MNL_CB_OK;
}

static int note_attr(const struct nlattr *attr, void *out)
{
	if (mnl_attr_get_type(attr) == IFLA_XDP)
		return mnl_attr_parse_nested(attr, note_attached, out);
	return MNL_CB_OK;
}

static int note_link(const struct nlmsghdr *nlh, void *out)
{
	return mnl_attr_parse(nlh, sizeof(struct ifinfomsg), note_attr, out);
}

static bool ask(struct mnl_socket *nl, unsigned ifindex)
{
	char buf[32768]; /* the kernel fills no more at a time */
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	bool attached = false;
	ssize_t n;

	nlh->nlmsg_type = RTM_GETLINK;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	nlh->nlmsg_seq = 1;
	ifi->ifi_index = (int)ifindex;
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		return false;
	n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
	if (n < 0 ||
	    mnl_cb_run(buf, (size_t)n, 1, mnl_socket_get_portid(nl), note_link, &attached) < 0)
		return false;
	return attached;
}

bool sw_xdp_in_front(const char *iface)
{
	const unsigned ifindex = if_nametoindex(iface);
	struct mnl_socket *nl = ifindex ? mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC) : NULL;
	bool attached;

	if (!nl)
		return false;
	attached = mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) == 0 && ask(nl, ifindex);
	mnl_socket_close(nl);
	return attached;
}
