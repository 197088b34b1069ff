/* SPDX-License-Identifier: MIT */
#include "listen/admit.h"
#include "handoff/repair.h"
#include "handoff/timewait.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

_Static_assert(SW_STAGE_LEAVE - SW_STAGE_SOCKET == SW_REPAIR_LEAVE - SW_REPAIR_SOCKET,
	       "the same steps in the same order");

const char *sw_stage_name(unsigned stage)
{
	if (stage >= SW_STAGE_SOCKET && stage <= SW_STAGE_LEAVE)
		return sw_repair_stage_name((enum sw_repair_stage)(stage - SW_STAGE_SOCKET +
								   SW_REPAIR_SOCKET));
	switch (stage) {
	case SW_STAGE_QUEUE:
		return "queue";
	case SW_STAGE_UNVEIL:
		return "unveil";
	case SW_STAGE_EXISTS:
		return "exists";
	case SW_STAGE_FIREWALL:
		return "firewall";
	case SW_STAGE_LISTENER:
		return "listener";
	default:
		return NULL;
	}
}

static socklen_t peer_of(struct sockaddr_storage *out, const struct sw_seg *seg, unsigned ifindex)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
	struct sockaddr_in *in4 = (struct sockaddr_in *)out;

	memset(out, 0, sizeof(*out));
	if (seg->family == SW_IP4) {
		in4->sin_family = AF_INET;
		in4->sin_port = htons(seg->sport);
		memcpy(&in4->sin_addr, seg->src.b, 4);
		return sizeof(*in4);
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(seg->sport);
	memcpy(&in6->sin6_addr, seg->src.b, 16);
	if (IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr))
		in6->sin6_scope_id = ifindex;
	return sizeof(*in6);
}

static void note_trouble(struct sw_admission *ad, int error)
{
	atomic_store_explicit(&ad->trouble, error, memory_order_relaxed);
}

static enum sw_why why_failed(struct sw_admission *ad, int rc, enum sw_repair_stage where)
{
	if (rc == -EADDRNOTAVAIL) {
		sw_count(&ad->h.failed[SW_STAGE_EXISTS], 1);
		return SW_WHY_DUPLICATE;
	}
	sw_count(&ad->h.failed[where - SW_REPAIR_SOCKET + SW_STAGE_SOCKET], 1);
	note_trouble(ad, -rc);
	switch (rc) {
	case -EMFILE:
	case -ENFILE:
	case -ENOMEM:
	case -ENOBUFS:
		return SW_WHY_NO_DESCRIPTOR;
	default:
		return SW_WHY_HANDOFF_FAILED;
	}
}

static int make_socket(struct sw_admission *ad, const struct sw_seg *seg,
		       const struct sw_decision *d, int *fd, enum sw_repair_stage *where)
{
	const struct sw_policy *policy = &ad->cx->policy;
	const int rc = sw_repair_connect(seg, &d->terms, &d->cookie, policy, ad->ifindex, fd, where);

	/* The client opens a connection anew that this host has just closed. */
	if (rc != -EADDRNOTAVAIL || sw_timewait_end(seg, ad->ifindex))
		return rc;
	return sw_repair_connect(seg, &d->terms, &d->cookie, policy, ad->ifindex, fd, where);
}

/* Of what cookie: epochs differ by -1, 0 or 1, sw_cookie_check() accepts no others. */
static void note_cookie(struct sw_admission *ad, const struct sw_decision *d)
{
	const uint32_t ahead = d->cookie.epoch.n - ad->cx->keys.now.n;

	sw_count(&ad->h.epoch[ahead == 0 ? 0 : ahead == 1 ? 2 : 1], 1);
	if (!d->before && d->cookie.master < SW_MAX_MASTERS)
		sw_count(&ad->h.slot[ad->slot[d->cookie.master]], 1);
}

static void note_duration(struct sw_handoffs *h, uint64_t ns)
{
	const unsigned log2 = 63u - (unsigned)__builtin_clzll(ns | 1);

	sw_count(&h->ns[log2 < SW_HANDOFF_BUCKETS ? log2 : SW_HANDOFF_BUCKETS - 1], 1);
	sw_count(&h->sum_ns, ns);
}

enum sw_why sw_admit(struct sw_admission *ad, const struct sw_seg *seg,
		     const struct sw_decision *d, sw_mono (*clock)(void))
{
	struct sw_made *m = &ad->made[ad->nmade];
	enum sw_repair_stage where;
	sw_mono begun;
	int rc;

	note_cookie(ad, d);
	if (ad->nmade == SW_MAX_MADE || !sw_admitq_reserve(ad->queue)) {
		sw_count(&ad->h.failed[SW_STAGE_QUEUE], 1);
		note_trouble(ad, EAGAIN);
		return SW_WHY_QUEUE_FULL;
	}
	begun = clock();
	rc = make_socket(ad, seg, d, &m->a.fd, &where);
	if (rc) {
		sw_admitq_cancel(ad->queue);
		return why_failed(ad, rc, where);
	}
	m->since = clock();
	note_duration(&ad->h, m->since.ns - begun.ns);
	m->a.peerlen = peer_of(&m->a.peer, seg, ad->ifindex);
	ad->nmade++;
	return SW_WHY_ACK_PROVEN;
}

static void lose(struct sw_admission *ad, const struct sw_made *m, enum sw_stage stage,
		 enum sw_why why)
{
	sw_repair_discard(m->a.fd);
	sw_admitq_cancel(ad->queue);
	sw_count(&ad->h.failed[stage], 1);
	sw_count(&ad->n->why[why], 1);
}

/* The kernel has delivered, and what was queued behind the ACK has been given back: from here on it
 * delivers directly, and the application has the socket.  @return whether it went well. */
static bool publish(struct sw_admission *ad, const struct sw_made *m)
{
	if (sw_repair_unveil(m->a.fd)) {
		lose(ad, m, SW_STAGE_UNVEIL, SW_WHY_HANDOFF_FAILED);
		return false;
	}
	sw_count(&ad->h.handed, 1);
	sw_admitq_push(ad->queue, &m->a);
	return true;
}

bool sw_admit_settle(struct sw_admission *ad, sw_mono now)
{
	unsigned kept = 0;
	bool published = false;

	for (unsigned i = 0; i < ad->nmade; i++) {
		const struct sw_made m = ad->made[i];

		if (!ad->settle_ns || sw_repair_heard(m.a.fd))
			published |= publish(ad, &m);
		else if (now.ns < m.since.ns + ad->settle_ns)
			ad->made[kept++] = m;
		else
			lose(ad, &m, SW_STAGE_FIREWALL, SW_WHY_FILTERED);
	}
	ad->nmade = kept;
	if (published)
		sw_admitq_wake(ad->queue);
	return kept > 0;
}

void sw_admit_finish(struct sw_admission *ad)
{
	for (unsigned i = 0; i < ad->nmade; i++)
		(void)publish(ad, &ad->made[i]);
	ad->nmade = 0;
}
