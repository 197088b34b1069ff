/* SPDX-License-Identifier: MIT */
#include "listen/engine.h"

#include <string.h>

_Static_assert(SW_NWHY <= SYNWARD_MAX_REASONS, "every reason has a counter");
_Static_assert(SW_NSTAGE <= SYNWARD_MAX_STAGES, "every stage has a counter");
_Static_assert(SW_HANDOFF_BUCKETS == SYNWARD_HANDOFF_BUCKETS, "the same histogram");
_Static_assert(SW_MAX_MASTERS == SYNWARD_MAX_KEYS, "as many keys");

static uint64_t load(const _Atomic uint64_t *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}

static void add_all(uint64_t *to, const _Atomic uint64_t *from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] += load(&from[i]);
}

/* What was handed over is read before what was made: of what is under way, some settles meanwhile,
 * and the other way round more would be handed than made. */
static void add_handoffs(struct synward_stats *out, const struct sw_worker *w)
{
	const uint64_t handed = load(&w->ad.h.handed);
	uint64_t failed[SW_NSTAGE] = { 0 }, gone, made;

	add_all(failed, w->ad.h.failed, SW_NSTAGE);
	gone = handed + failed[SW_STAGE_FIREWALL] + failed[SW_STAGE_UNVEIL];
	made = load(&w->n.made);
	out->handed += handed;
	for (size_t i = 0; i < SW_NSTAGE; i++)
		out->handoff_failed[i] += failed[i];
	out->settling += made > gone ? made - gone : 0;
	add_all(out->handoff_ns, w->ad.h.ns, SW_HANDOFF_BUCKETS);
	out->handoff_sum_ns += load(&w->ad.h.sum_ns);
	add_all(out->proven_epoch, w->ad.h.epoch, SYNWARD_NEPOCH);
	add_all(out->proven_key, w->ad.h.slot, SW_MAX_MASTERS);
}

static void add_worker(struct synward_stats *out, const struct sw_worker *w)
{
	add_all(out->reason, w->n.why, SW_NWHY);
	add_all(out->syn_refused, w->n.syn_refused, SW_NWHY);
	add_handoffs(out, w);
	out->frames += load(&w->n.frames);
	out->synacks += load(&w->n.synacks);
	out->syns_ip6 += load(&w->n.syns_ip6);
	out->passed += load(&w->n.passed);
	out->dropped += load(&w->n.dropped);
	out->ring_lost += load(&w->ring_lost);
}

/* Reasons for which only SYNs are refused at XDP, or nothing else that matters: without a key no
 * segment is answered. */
static bool refuses_syns(enum sw_why why)
{
	switch (why) {
	case SW_WHY_BAD_TCP_CHECKSUM:
	case SW_WHY_BAD_FLAGS:
	case SW_WHY_MSS_SMALL:
	case SW_WHY_NO_KEY:
	case SW_WHY_SEND_FAILED:
	case SW_WHY_VLAN_TAG:
	case SW_WHY_DRAINING:
		return true;
	default:
		return false;
	}
}

/* What XDP refused was dropped without a frame of the front end. */
static void add_answer(const struct sw_engine *e, struct synward_stats *out)
{
	uint64_t *mine = out->xdp_reason;

	sw_answer_count(e->answer, mine);
	out->synacks += mine[SW_WHY_SYN_ANSWERED];
	out->xdp_answered = mine[SW_WHY_SYN_ANSWERED];
	for (size_t i = 0; i < SW_NWHY; i++) {
		out->reason[i] += mine[i];
		if (i >= SW_WHY_SHORT)
			out->xdp_dropped += mine[i];
		if (refuses_syns((enum sw_why)i))
			out->syn_refused[i] += mine[i];
	}
	out->dropped += out->xdp_dropped;
	out->clock_age_ms = sw_answer_age_ms(e->answer, sw_clock_mono());
}

static void add_assign(const struct sw_engine *e, struct synward_stats *out)
{
	uint64_t mine[SW_NWHY] = { 0 };

	sw_answer_count_tc(e->answer, mine);
	for (size_t i = 0; i < SW_NWHY; i++)
		out->reason[i] += mine[i];
	out->syn_refused[SW_WHY_AROUND_XDP] += mine[SW_WHY_AROUND_XDP];
	out->handoff_failed[SW_STAGE_LISTENER] += mine[SW_WHY_HANDOFF_FAILED];
	if (mine[SW_WHY_ACK_PROVEN] > mine[SW_WHY_HANDOFF_FAILED])
		out->handed += mine[SW_WHY_ACK_PROVEN] - mine[SW_WHY_HANDOFF_FAILED];
}

/* Drained, a worker may still have frames from before; and places are kept for sockets in the
 * making. */
static uint64_t queued(const struct sw_engine *e)
{
	uint64_t n = e->queue ? sw_admitq_held(e->queue) : 0;

	for (unsigned i = 0; i < e->nworker && e->draining; i++)
		n += !atomic_load_explicit(&e->worker[i].quiet, memory_order_acquire);
	return n;
}

static void add_up(const struct sw_engine *e, struct synward_stats *out)
{
	bool ip4 = false, ip6 = false;

	out->syns = out->reason[SW_WHY_SYN_ANSWERED];
	out->proven = out->handed + out->settling;
	for (size_t i = 0; i < SW_NWHY; i++)
		out->syns += out->syn_refused[i];
	for (size_t i = 0; i < SW_NSTAGE; i++)
		out->proven += out->handoff_failed[i];
	for (size_t i = 0; i < e->nguard; i++) {
		ip4 = ip4 || e->guard[i].family == SW_IP4;
		ip6 = ip6 || e->guard[i].family == SW_IP6;
	}
	if (!ip4)
		out->syns_ip6 = out->syns;
	else if (!ip6)
		out->syns_ip4 = out->syns;
	else if (!e->answer && out->syns > out->syns_ip6)
		out->syns_ip4 = out->syns - out->syns_ip6;
}

void sw_engine_count(const struct sw_engine *e, struct synward_stats *out)
{
	memset(out, 0, sizeof(*out));
	/* Before the counters: what is in none of them is still queued. */
	out->queued = queued(e);
	for (unsigned i = 0; i < e->nworker; i++)
		add_worker(out, &e->worker[i]);
	if (e->steer)
		sw_steer_count(e->steer, out->reason);
	if (e->answer)
		add_answer(e, out);
	if (e->transparent && e->answer)
		add_assign(e, out);
	out->reason[SW_WHY_RING_LOST] += out->ring_lost;
	add_up(e, out);
}
