/* SPDX-License-Identifier: MIT */
#include "study/watch.h"

#include "study/recall.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PASSED	  256u	     /* frames that were given to the kernel; power of two */
#define PASSED_NS 20000000u /* they come by again within a turn of the packet loop */

struct sw_watch {
	struct sw_judge *judge;	 /* owned */
	struct sw_recall *flows; /* owned */
	struct sw_socks *socks;	 /* borrowed */
	struct sw_policy policy; /* the guards, when there are any */
	struct sw_budget lookups;
	struct passed {
		uint64_t sum; /* of the packet from its IP header on; 0 for none */
		sw_wall at;
	} passed[PASSED];
};

int sw_watch_new(struct sw_watch **out, const struct sw_watch_config *cf)
{
	struct sw_watch *w = calloc(1, sizeof(*w));
	int rc = -ENOMEM;

	if (!w)
		return rc;
	w->socks = cf->socks;
	if (cf->judge.policy)
		w->policy = *cf->judge.policy;
	sw_budget_init(&w->lookups, cf->lookups, cf->lookups, (sw_mono){ 0 });
	w->flows = sw_recall_new(cf->seed);
	if (w->flows)
		rc = sw_judge_new(&w->judge, &cf->judge);
	if (rc == 0)
		*out = w;
	else
		sw_watch_free(w);
	return rc;
}

void sw_watch_free(struct sw_watch *w)
{
	if (!w)
		return;
	sw_judge_free(w->judge);
	sw_recall_free(w->flows);
	free(w);
}

uint64_t sw_watch_unsearched(const struct sw_watch *w)
{
	return sw_judge_unsearched(w->judge);
}

static bool guards(const struct sw_policy *p, enum sw_family family, const struct sw_addr *addr,
		   uint16_t port)
{
	for (size_t i = 0; i < p->nguard; i++) {
		const struct sw_guard *g = &p->guard[i];

		if (g->family == family && g->port == port &&
		    (g->any || memcmp(&g->addr, addr, sizeof(*addr)) == 0))
			return true;
	}
	return false;
}

/* The way of a segment of a handshake that was never seen. */
static enum sw_way guess_way(const struct sw_watch *w, const struct sw_seg *seg)
{
	if (w->policy.nguard)
		return guards(&w->policy, seg->family, &seg->src, seg->sport) ? SW_WAY_OUT :
										SW_WAY_IN;
	/* Services have the lower port, as a rule. */
	return seg->sport < seg->dport ? SW_WAY_OUT : SW_WAY_IN;
}

static bool has_socket(struct sw_watch *w, const struct sw_seg *seg, sw_wall at)
{
	return w->socks && sw_budget_take(&w->lookups, (sw_mono){ at.ns }) &&
	       sw_socks_has(w->socks, seg);
}

/* FNV-1a (Fowler, Noll, Vo) of everything from the IP header on: the Ethernet header may change. */
static uint64_t sum_of(const struct sw_packet *p, const struct sw_seg *seg)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = seg->l3_off; i < p->frame.len; i++)
		h = (h ^ p->frame.data[i]) * 0x100000001b3u;
	return h ? h : 1;
}

/*
 * Was this very packet given to the kernel a moment ago?  The front end puts it back into the
 * interface, so a tap sees it twice.  Asking forgets it.
 */
static bool was_passed(struct sw_watch *w, const struct sw_packet *p, const struct sw_seg *seg)
{
	const uint64_t sum = sum_of(p, seg);
	struct passed *slot = &w->passed[sum & (PASSED - 1)];
	const bool hit = slot->sum == sum && p->at.ns >= slot->at.ns &&
			 p->at.ns - slot->at.ns < PASSED_NS;

	if (hit)
		slot->sum = 0;
	return hit;
}

static void note_passed(struct sw_watch *w, const struct sw_packet *p,
			const struct sw_judgement *jm)
{
	const uint64_t sum = sum_of(p, &jm->seg);

	if (jm->finding == SW_FOUND_DECISION && jm->decision.verdict == SW_PASS)
		w->passed[sum & (PASSED - 1)] = (struct passed){ sum, p->at };
}

static void judge(struct sw_watch *w, const struct sw_packet *p, enum sw_way way,
		  const struct sw_recall_flow *f, struct sw_judgement *jm)
{
	const struct sw_case c = { .frame = &p->frame,
				   .at = p->at,
				   .way = way,
				   .foreign = f && f->foreign,
				   .minted = f ? f->synack : (sw_wall){ 0 } };

	sw_judge_packet(w->judge, &c, jm);
}

static void see_syn(struct sw_watch *w, const struct sw_packet *p, const struct sw_seg *seg,
		    struct sw_judgement *jm)
{
	struct sw_recall_flow *f = sw_recall_add(w->flows, seg, SW_WAY_IN, p->at);

	f->syn = true;
	judge(w, p, SW_WAY_IN, f, jm);
}

static void see_synack(struct sw_watch *w, const struct sw_packet *p, const struct sw_seg *seg,
		       struct sw_judgement *jm)
{
	enum sw_way way;
	struct sw_recall_flow *f = sw_recall_find(w->flows, seg, &way);

	if (!f || way != SW_WAY_OUT)
		f = sw_recall_add(w->flows, seg, SW_WAY_OUT, p->at);
	judge(w, p, SW_WAY_OUT, f, jm);
	if (f->synack.ns == 0)
		f->synack = p->at;
	f->foreign = jm->finding == SW_FOUND_FOREIGN;
}

/* Is the connection there, once this segment was judged so? */
static bool opens(const struct sw_judgement *jm, const struct sw_recall_flow *f)
{
	switch (jm->finding) {
	case SW_FOUND_DECISION:
		return jm->decision.verdict == SW_ADMIT ||
		       jm->decision.why == SW_WHY_AFTER_HANDOFF ||
		       jm->decision.why == SW_WHY_DUPLICATE;
	case SW_FOUND_NO_KEY:
	case SW_FOUND_FOREIGN:
		return f && f->synack.ns != 0;
	default:
		return false;
	}
}

/*
 * The segment of a connection that is older than the trace: refused, or not proven, were it not for
 * its socket.  What proves a cookie has a socket by the time it is looked at, too.
 */
static bool is_older(struct sw_watch *w, const struct sw_packet *p, const struct sw_judgement *jm)
{
	return (sw_judgement_refused(jm) || jm->finding == SW_FOUND_NO_KEY) &&
	       has_socket(w, &jm->seg, p->at);
}

static void open_flow(struct sw_watch *w, const struct sw_packet *p, const struct sw_seg *seg,
		      struct sw_recall_flow *f)
{
	if (!f)
		f = sw_recall_add(w->flows, seg, SW_WAY_IN, p->at);
	f->open = true;
	f->last = p->at;
}

static void judge_again(struct sw_watch *w, const struct sw_packet *p, struct sw_judgement *jm)
{
	const struct sw_case c = { .frame = &p->frame, .at = p->at, .again = true };

	sw_judge_packet(w->judge, &c, jm);
}

/* Anything behind SYN and SYN-ACK.  @return whether it belongs to the handshake. */
static bool see_rest(struct sw_watch *w, const struct sw_packet *p, const struct sw_seg *seg,
		     struct sw_judgement *jm, enum sw_way *way)
{
	struct sw_recall_flow *f = sw_recall_find(w->flows, seg, way);
	const bool reset = seg->flags & SW_TCP_RST;

	if (!f)
		*way = guess_way(w, seg);
	if (f && f->open) {
		f->open = !reset; /* what comes behind a reset finds no socket */
		return false;
	}
	if (*way == SW_WAY_OUT && !reset)
		return false;
	if (*way == SW_WAY_IN && was_passed(w, p, seg)) {
		judge_again(w, p, jm);
		return true;
	}
	judge(w, p, *way, f, jm);
	if (*way == SW_WAY_IN && !f && is_older(w, p, jm)) {
		open_flow(w, p, seg, f);
		return false;
	}
	if (w->socks)
		note_passed(w, p, jm);
	if (!reset && opens(jm, f))
		open_flow(w, p, seg, f);
	return true;
}

bool sw_watch_packet(struct sw_watch *w, const struct sw_packet *p, struct sw_judgement *jm,
		     enum sw_way *way)
{
	struct sw_seg seg;
	const enum sw_why why = sw_wire_parse(&seg, &p->frame);
	bool in, out;

	*way = SW_WAY_IN;
	if (why == SW_WHY_NOT_IP || why == SW_WHY_NOT_TCP)
		return false;
	if (why != SW_WIRE_OK) {
		judge(w, p, SW_WAY_IN, NULL, jm);
		return true;
	}
	in = guards(&w->policy, seg.family, &seg.dst, seg.dport);
	out = guards(&w->policy, seg.family, &seg.src, seg.sport);
	if (w->policy.nguard && !in && !out)
		return false;
	if (!(seg.flags & SW_TCP_SYN) || (seg.flags & SW_TCP_RST))
		return see_rest(w, p, &seg, jm, way);
	/* A SYN-ACK that comes to what is guarded is an attack, not an answer. */
	if (!(seg.flags & SW_TCP_ACK) || (in && !out)) {
		see_syn(w, p, &seg, jm);
		return true;
	}
	*way = SW_WAY_OUT;
	see_synack(w, p, &seg, jm);
	return true;
}

bool sw_judgement_refused(const struct sw_judgement *jm)
{
	const enum sw_why why = jm->decision.why;

	if (jm->finding == SW_FOUND_MALFORMED)
		return true;
	return jm->finding == SW_FOUND_DECISION &&
	       (jm->decision.verdict == SW_DROP || why == SW_WHY_COOKIE_FORGED ||
		why == SW_WHY_COOKIE_EXPIRED || why == SW_WHY_COOKIE_FUTURE);
}

bool sw_judgement_accepted(const struct sw_judgement *jm)
{
	return jm->finding == SW_FOUND_OURS ||
	       (jm->finding == SW_FOUND_DECISION &&
		(jm->decision.verdict == SW_REPLY || jm->decision.verdict == SW_ADMIT));
}

const char *sw_judgement_reason(const struct sw_judgement *jm)
{
	if (jm->finding == SW_FOUND_DECISION || jm->finding == SW_FOUND_MALFORMED)
		return sw_why_name(jm->decision.why);
	if (jm->finding == SW_FOUND_AGAIN)
		return sw_why_name(SW_WHY_REINJECTED);
	return jm->finding == SW_FOUND_SOCKET ? sw_why_name(SW_WHY_HAS_SOCKET) : "-";
}
