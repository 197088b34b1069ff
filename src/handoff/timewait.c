/* SPDX-License-Identifier: MIT */
#include "handoff/timewait.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>

#define STATE_TIME_WAIT 6 /* TCP_TIME_WAIT, include/net/tcp_states.h */

/* One request about exactly this connection. */
static struct nlmsghdr *request(char *buf, uint16_t type, uint16_t flags, const struct sw_seg *ack,
				unsigned ifindex)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct inet_diag_req_v2 *req;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	nlh->nlmsg_seq = 1;
	req = mnl_nlmsg_put_extra_header(nlh, sizeof(*req));
	req->sdiag_family = ack->family == SW_IP4 ? AF_INET : AF_INET6;
	req->sdiag_protocol = IPPROTO_TCP;
	req->idiag_states = 1u << STATE_TIME_WAIT;
	req->id.idiag_sport = htons(ack->dport);
	req->id.idiag_dport = htons(ack->sport);
	memcpy(req->id.idiag_src, ack->dst.b, sizeof(ack->dst.b));
	memcpy(req->id.idiag_dst, ack->src.b, sizeof(ack->src.b));
	req->id.idiag_if = ifindex;
	req->id.idiag_cookie[0] = INET_DIAG_NOCOOKIE;
	req->id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	return nlh;
}

static int note_state(const struct nlmsghdr *nlh, void *state)
{
	const struct inet_diag_msg *msg = mnl_nlmsg_get_payload(nlh);

	if (nlh->nlmsg_type == SOCK_DIAG_BY_FAMILY)
		*(int *)state = msg->idiag_state;
	return MNL_CB_STOP;
}

static int talk(struct mnl_socket *nl, const struct nlmsghdr *nlh, int *state)
{
	char buf[4096];
	ssize_t n;

	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
	if (n < 0 || mnl_cb_run(buf, (size_t)n, 1, mnl_socket_get_portid(nl), note_state, state) < 0)
		return -errno;
	return 0;
}

int sw_timewait_end(const struct sw_seg *ack, unsigned ifindex)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	char buf[256];
	int rc, state = 0;

	if (!nl)
		return -errno;
	rc = mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ? -errno : 0;
	if (!rc)
		rc = talk(nl, request(buf, SOCK_DIAG_BY_FAMILY, 0, ack, ifindex), &state);
	if (!rc && state != STATE_TIME_WAIT)
		rc = -EEXIST;
	if (!rc)
		rc = talk(nl, request(buf, SOCK_DESTROY, NLM_F_ACK, ack, ifindex), &state);
	mnl_socket_close(nl);
	return rc;
}
