/* SPDX-License-Identifier: MIT */
#include "steer/known.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HALF_BYTES   (SW_BPF_KNOWN_WORDS * sizeof(uint64_t))
#define MANY_BITS    (1u << (SW_BPF_KNOWN_BITS - 4)) /* one SYN in 16 looks up in vain */
#define AGAIN_NS     30000000000ull
#define PHASE_NS     100000000ull /* longer than a program runs, and than a proven socket takes */
#define READS_A_TICK 64 /* of up to 32 KiB: some ten thousand sockets */

int sw_known_open(struct sw_known *k, int map_fd)
{
	void *p = mmap(NULL, 2 * HALF_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);

	memset(k, 0, sizeof(*k));
	k->half = SW_BPF_KNOWN_NONE;
	if (p == MAP_FAILED)
		return -errno;
	k->words = p;
	return 0;
}

static void end_dump(struct sw_known *k)
{
	if (k->dump)
		mnl_socket_close(k->dump);
	k->dump = NULL;
}

void sw_known_close(struct sw_known *k)
{
	end_dump(k);
	if (k->words)
		munmap(k->words, 2 * HALF_BYTES);
	k->words = NULL;
}

void sw_known_add_port(struct sw_known *k, __be16 port, sw_mono now)
{
	k->port[port >> 3] |= (uint8_t)(1u << (port & 7));
	/* What was noted lacks the sockets of this port.  Bits that are set stay: they do no harm. */
	k->half = SW_BPF_KNOWN_NONE;
	k->phase = SW_KNOWN_MARKS;
	k->phase_ns = now.ns;
	end_dump(k);
}

uint32_t sw_known_fill(const struct sw_known *k, uint32_t half)
{
	const uint64_t *w = k->words + half * SW_BPF_KNOWN_WORDS;
	uint32_t n = 0;

	for (uint32_t i = 0; i < SW_BPF_KNOWN_WORDS; i++)
		n += (uint32_t)__builtin_popcountll(w[i]);
	return n;
}

/* The half that is being made. */
static uint32_t other(const struct sw_known *k)
{
	return k->half == 0 ? 1 : 0;
}

/* A socket of IPv6 may speak IPv4: then its addresses are ::ffff:a.b.c.d. */
static void put_address(uint8_t out[16], const __be32 in[4], bool v4, bool mapped)
{
	memset(out, 0, 16);
	memcpy(out, mapped ? in + 3 : in, v4 ? 4 : 16);
}

static int note_socket(const struct nlmsghdr *nlh, void *arg)
{
	const struct inet_diag_msg *m = mnl_nlmsg_get_payload(nlh);
	struct sw_known *k = arg;
	const __be16 port = m->id.idiag_sport;
	uint8_t src[16], dst[16];
	bool mapped, v4;
	uint32_t bit;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*m) || !(k->port[port >> 3] >> (port & 7) & 1))
		return MNL_CB_OK;
	mapped = m->idiag_family == AF_INET6 && !m->id.idiag_dst[0] && !m->id.idiag_dst[1] &&
		 m->id.idiag_dst[2] == htonl(0xffff);
	v4 = mapped || m->idiag_family == AF_INET;
	put_address(src, m->id.idiag_dst, v4, mapped); /* packets come from the other end */
	put_address(dst, m->id.idiag_src, v4, mapped);
	bit = sw_bpf_known_bit(src, dst, m->id.idiag_dport, port);
	__atomic_fetch_or(&k->words[other(k) * SW_BPF_KNOWN_WORDS + (bit >> 6)],
			  1ull << (bit & 63), __ATOMIC_RELAXED);
	return MNL_CB_OK;
}

static int begin_dump(struct sw_known *k, uint8_t family)
{
	char buf[256] = "";
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct inet_diag_req_v2 *rq;

	nlh->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	rq = mnl_nlmsg_put_extra_header(nlh, sizeof(*rq));
	rq->sdiag_family = family;
	rq->sdiag_protocol = IPPROTO_TCP;
	rq->idiag_states = ~(1u << TCP_LISTEN | 1u << TCP_CLOSE);
	k->family = family;
	return mnl_socket_sendto(k->dump, nlh, nlh->nlmsg_len) < 0 ? -errno : 0;
}

static int open_dump(struct sw_known *k)
{
	k->dump = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	if (!k->dump)
		return -errno;
	if (mnl_socket_bind(k->dump, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	return begin_dump(k, AF_INET);
}

/* @return 1 when every socket is noted, 0 when more come, or -errno. */
static int read_dump(struct sw_known *k)
{
	char buf[32768]; /* the kernel fills no more at a time */

	for (int i = 0; i < READS_A_TICK; i++) {
		const ssize_t n = mnl_socket_recvfrom(k->dump, buf, sizeof(buf));
		int rc;

		if (n < 0)
			return -errno;
		rc = mnl_cb_run(buf, (size_t)n, 0, 0, note_socket, k);
		if (rc > 0)
			continue;
		if (k->family == AF_INET6)
			return rc == 0 || errno == ENOENT ? 1 : -errno; /* no IPv6 in this kernel */
		if (rc < 0)
			return -errno;
		rc = begin_dump(k, AF_INET6);
		if (rc)
			return rc;
	}
	return 0;
}

/* A dump that fails is made again later; until then what held holds. */
static void give_up(struct sw_known *k, sw_mono now)
{
	end_dump(k);
	memset(k->words + other(k) * SW_BPF_KNOWN_WORDS, 0, HALF_BYTES);
	k->phase = SW_KNOWN_HOLDS;
	k->again_ns = now.ns + AGAIN_NS;
}

static bool is_due(const struct sw_known *k, sw_mono now)
{
	return now.ns >= k->again_ns &&
	       (k->half == SW_BPF_KNOWN_NONE || sw_known_fill(k, k->half) > MANY_BITS);
}

static void step(struct sw_known *k, sw_mono now)
{
	int rc = 0;

	switch (k->phase) {
	case SW_KNOWN_HOLDS:
		if (!is_due(k, now))
			return;
		memset(k->words + other(k) * SW_BPF_KNOWN_WORDS, 0, HALF_BYTES);
		k->phase = SW_KNOWN_MARKS;
		k->phase_ns = now.ns;
		return;
	case SW_KNOWN_MARKS:
		if (now.ns < k->phase_ns + PHASE_NS)
			return;
		k->phase = SW_KNOWN_DUMPS;
		rc = open_dump(k);
		if (rc)
			break;
		/* fall through */
	case SW_KNOWN_DUMPS:
		rc = read_dump(k);
		if (rc == 1) {
			end_dump(k);
			k->half = other(k);
			k->phase = SW_KNOWN_SWAPPED;
			k->phase_ns = now.ns;
			k->again_ns = now.ns + AGAIN_NS;
		}
		break;
	case SW_KNOWN_SWAPPED:
		if (now.ns < k->phase_ns + PHASE_NS)
			return;
		memset(k->words + other(k) * SW_BPF_KNOWN_WORDS, 0, HALF_BYTES);
		k->phase = SW_KNOWN_HOLDS;
		return;
	}
	if (rc < 0)
		give_up(k, now);
}

void sw_known_tick(struct sw_known *k, struct sw_bpf_host *host, sw_mono now)
{
	if (k->words)
		step(k, now);
	host->known = k->words ? k->half : SW_BPF_KNOWN_NONE;
	host->known_both =
		k->words && (k->phase == SW_KNOWN_MARKS || k->phase == SW_KNOWN_DUMPS);
}
