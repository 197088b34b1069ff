/* SPDX-License-Identifier: MIT */
#include "listen/engine.h"
#include "handoff/repair.h"
#include "listen/policy.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(SW_NWHY <= SYNWARD_MAX_REASONS, "every reason has a counter");

#define SETTLE_NS 100000000ull /* the softirq that delivers may lag behind under a flood */

/*
 * Leases, keys and clocks of the BPF programs.  By the first worker where there is one: the
 * application's event loop may be busy for longer than they last.
 */
static int beat(struct sw_engine *e)
{
	struct sw_answer *answer = __atomic_load_n(&e->answer, __ATOMIC_ACQUIRE);

	if (e->steer)
		sw_steer_renew(e->steer, sw_clock_mono());
	return answer ? sw_answer_tick(answer, sw_clock_wall(), sw_clock_mono()) : 0;
}

static void on_worker_tick(void *arg)
{
	struct sw_engine *e = arg;
	const int rc = beat(e);

	if (rc)
		atomic_store_explicit(&e->worker[0].trouble, -rc, memory_order_relaxed);
}

static int start_workers(struct sw_engine *e, const struct synward_config *cf,
			 const struct sw_plan *plan)
{
	struct sw_worker_config wc = { .ifindex = plan->link.ifindex,
					     .far_ifindex = sw_steer_far_ifindex(e->steer),
					     .ring_frames = plan->ring_frames,
					     .fanout = plan->workers > 1 ? 1 : -1,
					     .qdisc_bypass = cf->qdisc_bypass != 0,
					     .policy = &plan->policy,
					     .masters = &plan->masters,
					     .alg = plan->alg,
					     .settle_ns = SETTLE_NS };
	int rc;

	e->worker = calloc(plan->workers, sizeof(*e->worker));
	if (!e->worker)
		return sw_config_fail(cf, -ENOMEM, "out of memory");
	e->nworker = plan->workers;
	for (unsigned i = 0; i < e->nworker; i++) {
		wc.tick = i == 0 ? on_worker_tick : NULL;
		wc.tick_arg = e;
		rc = sw_worker_init(&e->worker[i], sw_steer_take_socket(e->steer, i), e->queue, &wc);
		if (rc)
			return sw_config_fail(cf, rc,
					      "cannot set up the packet ring of worker %u: %s%s", i,
					      strerror(-rc),
					      rc == -ENOMEM ? "; try fewer ring frames" : "");
	}
	for (unsigned i = 0; i < e->nworker; i++) {
		rc = sw_worker_start(&e->worker[i]);
		if (rc)
			return sw_config_fail(cf, rc, "cannot start a thread: %s", strerror(-rc));
	}
	return 0;
}

/* Better at the start than at the first connection. */
static int probe_handoff(const struct synward_config *cf, const struct sw_policy *policy)
{
	for (size_t i = 0; i < policy->nguard; i++) {
		const struct sw_guard *g = &policy->guard[i];
		const int rc = sw_repair_probe(g->family, g->port);

		if (rc == -EPERM)
			return sw_config_fail(cf, rc,
					      "cannot use TCP_REPAIR: %s; needs CAP_NET_ADMIN",
					      strerror(-rc));
		if (rc == -EACCES)
			return sw_config_fail(cf, -EPERM,
					      "cannot use port %u: %s; needs CAP_NET_BIND_SERVICE",
					      g->port, strerror(-rc));
		if (rc)
			return sw_config_fail(cf, -ENOTSUP,
					      "cannot use TCP_REPAIR: %s; the kernel needs "
					      "CONFIG_CHECKPOINT_RESTORE",
					      strerror(-rc));
	}
	return 0;
}

/* The front end in user space. */
static int start_front(struct sw_engine *e, const struct synward_config *cf,
		       const struct sw_plan *plan)
{
	const struct sw_steer_config sc = { .interface = cf->interface,
					    .ifindex = plan->link.ifindex,
					    .guard = plan->policy.guard,
					    .nguard = plan->policy.nguard,
					    .workers = plan->workers,
					    .clsact = getenv("SYNWARD_CLSACT") != NULL };
	char err[256] = "";
	int rc = probe_handoff(cf, &plan->policy);

	if (rc)
		return rc;
	rc = sw_admitq_new(&e->queue, plan->queue_depth);
	if (rc)
		return sw_config_fail(cf, rc, "cannot make the queue: %s", strerror(-rc));
	rc = sw_steer_open(&e->steer, &sc, err, sizeof(err));
	if (rc)
		return sw_config_fail(cf, rc, "%s", err);
	return start_workers(e, cf, plan);
}

static void warn_of_mode(const struct sw_engine *e, const struct synward_config *cf)
{
	if (sw_answer_mode(e->answer) == SW_XDP_GENERIC)
		sw_config_warn(cf, "%s has no native XDP: generic mode is used, which is slower",
			       cf->interface);
	else if (sw_link_is_veth(cf->interface))
		sw_config_warn(cf, "%s is a veth: its answers leave it only while the peer has an "
			       "XDP program too, one that passes everything will do",
			       cf->interface);
}

/* The BPF answerer, last: what it lets through is waited for. */
static int start_bpf(struct sw_engine *e, const struct synward_config *cf,
		     const struct sw_plan *plan)
{
	const struct sw_answer_config ac = { .policy = &plan->policy,
					     .masters = &plan->masters,
					     .alg = plan->alg,
					     .transparent = cf->transparent != 0,
					     .ifindex = plan->link.ifindex };
	char err[256] = "";
	int rc = sw_answer_open(&e->answer, &ac, sw_clock_wall(), sw_clock_mono(), err, sizeof(err));

	if (!rc && cf->transparent)
		rc = sw_assign_open(&e->assign, e->answer, &ac, plan->link.ifindex, err, sizeof(err));
	if (!rc)
		rc = sw_answer_attach(e->answer, err, sizeof(err));
	if (rc)
		return sw_config_fail(cf, rc, "%s", err);
	warn_of_mode(e, cf);
	return 0;
}

int sw_engine_start(struct sw_engine *e, const struct synward_config *cf)
{
	struct sw_plan plan;
	int rc = sw_plan_make(&plan, cf);

	e->ifindex = plan.link.ifindex;
	if (!rc && !cf->transparent)
		rc = start_front(e, cf, &plan);
	if (!rc && (cf->transparent || cf->offload == SYNWARD_OFFLOAD_XDP))
		rc = start_bpf(e, cf, &plan);
	sw_plan_wipe(&plan);
	return rc;
}

void sw_engine_stop(struct sw_engine *e)
{
	/* The threads first, they use the rest; then answering and steering end at once. */
	for (unsigned i = 0; i < e->nworker; i++)
		sw_worker_stop(&e->worker[i]);
	sw_answer_close(e->answer);
	sw_assign_close(e->assign);
	sw_steer_close(e->steer);
	free(e->worker);
	sw_admitq_free(e->queue);
	memset(e, 0, sizeof(*e));
}

int sw_engine_tick(struct sw_engine *e)
{
	char name[IF_NAMESIZE];

	/* An interface that goes takes the programs on it along. */
	if (e->ifindex && !if_indextoname(e->ifindex, name) && errno == ENXIO)
		return -ENODEV;
	return e->nworker ? 0 : beat(e);
}

int sw_engine_trouble(struct sw_engine *e)
{
	int trouble = 0;

	for (unsigned i = 0; i < e->nworker; i++) {
		const int t = atomic_exchange_explicit(&e->worker[i].trouble, 0,
						       memory_order_relaxed);

		if (t)
			trouble = t;
	}
	return trouble;
}

static uint64_t load(const _Atomic uint64_t *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}

static void add_worker(struct synward_stats *out, uint64_t why[SW_NWHY], const struct sw_worker *w)
{
	for (size_t i = 0; i < SW_NWHY; i++)
		why[i] += load(&w->n.why[i]);
	out->frames += load(&w->n.frames);
	out->synacks += load(&w->n.synacks);
	out->handed += load(&w->n.handed);
	out->passed += load(&w->n.passed);
	out->dropped += load(&w->n.dropped);
	out->ring_lost += load(&w->ring_lost);
}

/* What XDP refused was dropped without a frame of the front end. */
static void add_answer(struct synward_stats *out, uint64_t why[SW_NWHY],
		       const struct sw_answer *answer)
{
	uint64_t mine[SW_NWHY] = { 0 };

	sw_answer_count(answer, mine);
	out->synacks += mine[SW_WHY_SYN_ANSWERED];
	out->xdp_answered = mine[SW_WHY_SYN_ANSWERED];
	for (size_t i = 0; i < SW_NWHY; i++) {
		why[i] += mine[i];
		if (i >= SW_WHY_SHORT)
			out->xdp_dropped += mine[i];
	}
	out->dropped += out->xdp_dropped;
}

static void add_assign(struct synward_stats *out, uint64_t why[SW_NWHY],
		       const struct sw_assign *assign)
{
	uint64_t mine[SW_NWHY] = { 0 };

	sw_assign_count(assign, mine);
	for (size_t i = 0; i < SW_NWHY; i++)
		why[i] += mine[i];
	out->handed += mine[SW_WHY_ACK_PROVEN] - mine[SW_WHY_HANDOFF_FAILED];
}

void sw_engine_count(const struct sw_engine *e, struct synward_stats *out)
{
	uint64_t why[SW_NWHY] = { 0 };

	memset(out, 0, sizeof(*out));
	for (unsigned i = 0; i < e->nworker; i++)
		add_worker(out, why, &e->worker[i]);
	if (e->steer)
		sw_steer_count(e->steer, why);
	if (e->answer)
		add_answer(out, why, e->answer);
	if (e->assign)
		add_assign(out, why, e->assign);
	if (e->answer)
		out->clock_age_ms = sw_answer_age_ms(e->answer, sw_clock_mono());
	why[SW_WHY_RING_LOST] += out->ring_lost;
	memcpy(out->reason, why, sizeof(why));
	out->proven = why[SW_WHY_ACK_PROVEN];
	out->syns = why[SW_WHY_SYN_ANSWERED] + why[SW_WHY_MSS_SMALL] + why[SW_WHY_BAD_FLAGS];
	out->queued = e->queue ? sw_admitq_len(e->queue) : 0;
}
