/* SPDX-License-Identifier: MIT */
#include "listen/engine.h"
#include "handoff/repair.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(SW_NWHY <= SYNWARD_MAX_REASONS, "every reason has a counter");

static int start_workers(struct sw_engine *e, const struct synward_config *cf,
			 const struct sw_plan *plan)
{
	const struct sw_worker_config wc = { .ifindex = plan->link.ifindex,
					     .far_ifindex = sw_steer_far_ifindex(e->steer),
					     .ring_frames = plan->ring_frames,
					     .fanout = plan->workers > 1 ? 1 : -1,
					     .qdisc_bypass = cf->qdisc_bypass != 0,
					     .policy = &plan->policy,
					     .masters = &plan->masters,
					     .alg = plan->alg };
	int rc;

	e->worker = calloc(plan->workers, sizeof(*e->worker));
	if (!e->worker)
		return sw_config_fail(cf, -ENOMEM, "out of memory");
	e->nworker = plan->workers;
	for (unsigned i = 0; i < e->nworker; i++) {
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
	int rc = sw_repair_probe();

	if (rc)
		return sw_config_fail(cf, rc == -EPERM ? -EPERM : -ENOTSUP,
				      "cannot use TCP_REPAIR: %s; needs %s", strerror(-rc),
				      rc == -EPERM ? "CAP_NET_ADMIN" : "CONFIG_CHECKPOINT_RESTORE");
	rc = sw_admitq_new(&e->queue, plan->queue_depth);
	if (rc)
		return sw_config_fail(cf, rc, "cannot make the queue: %s", strerror(-rc));
	rc = sw_steer_open(&e->steer, &sc, err, sizeof(err));
	if (rc)
		return sw_config_fail(cf, rc, "%s", err);
	return start_workers(e, cf, plan);
}

/* The BPF answerer, last: what it lets through is waited for. */
static int start_bpf(struct sw_engine *e, const struct synward_config *cf,
		     const struct sw_plan *plan)
{
	const struct sw_answer_config ac = { .policy = &plan->policy,
					     .masters = &plan->masters,
					     .alg = plan->alg,
					     .transparent = cf->transparent != 0 };
	char err[256] = "";
	int rc = sw_answer_open(&e->answer, &ac, sw_clock_wall(), sw_clock_mono(), err, sizeof(err));

	if (!rc && cf->transparent)
		rc = sw_assign_open(&e->assign, e->answer, &ac, plan->link.ifindex, err, sizeof(err));
	if (!rc)
		rc = sw_answer_attach(e->answer, plan->link.ifindex, err, sizeof(err));
	return rc ? sw_config_fail(cf, rc, "%s", err) : 0;
}

int sw_engine_start(struct sw_engine *e, const struct synward_config *cf)
{
	struct sw_plan plan;
	int rc = sw_plan_make(&plan, cf);

	if (!rc && !cf->transparent)
		rc = start_front(e, cf, &plan);
	if (!rc && (cf->transparent || cf->offload == SYNWARD_OFFLOAD_XDP))
		rc = start_bpf(e, cf, &plan);
	sw_plan_wipe(&plan);
	return rc;
}

void sw_engine_stop(struct sw_engine *e)
{
	/* Answering and steering first: from here on the kernel answers. */
	sw_answer_close(e->answer);
	sw_assign_close(e->assign);
	sw_steer_close(e->steer);
	for (unsigned i = 0; i < e->nworker; i++)
		sw_worker_stop(&e->worker[i]);
	free(e->worker);
	sw_admitq_free(e->queue);
	memset(e, 0, sizeof(*e));
}

int sw_engine_tick(struct sw_engine *e)
{
	if (e->steer)
		sw_steer_renew(e->steer, sw_clock_mono());
	return e->answer ? sw_answer_tick(e->answer, sw_clock_wall(), sw_clock_mono()) : 0;
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
	why[SW_WHY_RING_LOST] += out->ring_lost;
	memcpy(out->reason, why, sizeof(why));
	out->proven = why[SW_WHY_ACK_PROVEN];
	out->syns = why[SW_WHY_SYN_ANSWERED] + why[SW_WHY_MSS_SMALL] + why[SW_WHY_BAD_FLAGS];
	out->queued = e->queue ? sw_admitq_len(e->queue) : 0;
}
