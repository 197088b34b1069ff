/* SPDX-License-Identifier: MIT */
#include "study/socks.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

struct sw_socks {
	struct mnl_socket *nl; /* owned */
	unsigned seq;
};

int sw_socks_open(struct sw_socks **out)
{
	struct sw_socks *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return -ENOMEM;
	s->nl = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	if (!s->nl || mnl_socket_bind(s->nl, 0, MNL_SOCKET_AUTOPID) < 0) {
		rc = -errno;
		sw_socks_close(s);
		return rc;
	}
	*out = s;
	return 0;
}

void sw_socks_close(struct sw_socks *s)
{
	if (s && s->nl)
		mnl_socket_close(s->nl);
	free(s);
}

static int note_state(const struct nlmsghdr *nlh, void *state)
{
	const struct inet_diag_msg *msg = mnl_nlmsg_get_payload(nlh);

	if (nlh->nlmsg_type == SOCK_DIAG_BY_FAMILY &&
	    mnl_nlmsg_get_payload_len(nlh) >= sizeof(*msg))
		*(int *)state = msg->idiag_state;
	return MNL_CB_STOP;
}

bool sw_socks_has(struct sw_socks *s, const struct sw_seg *seg)
{
	char buf[8192];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct inet_diag_req_v2 *req;
	int state = 0;
	ssize_t n;

	if (!s)
		return false;
	nlh->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	nlh->nlmsg_seq = ++s->seq;
	req = mnl_nlmsg_put_extra_header(nlh, sizeof(*req));
	req->sdiag_family = seg->family == SW_IP4 ? AF_INET : AF_INET6;
	req->sdiag_protocol = IPPROTO_TCP;
	req->idiag_states = UINT32_MAX;
	req->id.idiag_sport = htons(seg->dport);
	req->id.idiag_dport = htons(seg->sport);
	memcpy(req->id.idiag_src, seg->dst.b, sizeof(seg->dst.b));
	memcpy(req->id.idiag_dst, seg->src.b, sizeof(seg->src.b));
	req->id.idiag_cookie[0] = INET_DIAG_NOCOOKIE;
	req->id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	if (mnl_socket_sendto(s->nl, nlh, nlh->nlmsg_len) < 0)
		return false;
	n = mnl_socket_recvfrom(s->nl, buf, sizeof(buf));
	if (n < 0 || mnl_cb_run(buf, (size_t)n, s->seq, mnl_socket_get_portid(s->nl), note_state,
				&state) < 0)
		return false; /* ENOENT: there is none */
	return state != 0 && state != TCP_LISTEN && state != TCP_TIME_WAIT;
}
