/* SPDX-License-Identifier: MIT */
#include "listen/engine.h"
#include "handoff/repair.h"
#include "listen/policy.h"
#include "steer/claim.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SETTLE_NS 100000000ull /* the softirq that delivers may lag behind under a flood */

/*
 * Leases, keys and clocks of the BPF programs.  By the first worker where there is one: the
 * application's event loop may be busy for longer than they last.
 */
static int beat(struct sw_engine *e)
{
	struct sw_answer *answer = __atomic_load_n(&e->answer, __ATOMIC_ACQUIRE);
	int rc = 0;

	if (e->steer)
		rc = sw_steer_tick(e->steer, sw_clock_mono());
	if (answer && !rc)
		rc = sw_answer_tick(answer, sw_clock_wall(), sw_clock_mono());
	if (!rc)
		sw_count(&e->renewed, 1);
	return rc;
}

static void on_worker_tick(void *arg)
{
	struct sw_engine *e = arg;
	const int rc = beat(e);

	if (rc)
		atomic_store_explicit(&e->worker[0].ad.trouble, -rc, memory_order_relaxed);
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
				       .keys = e->keys,
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

static int start_bpf(struct sw_engine *e, const struct synward_config *cf,
		     const struct sw_plan *plan)
{
	const struct sw_answer_config ac = { .policy = &plan->policy,
					     .masters = &e->keys->masters,
					     .alg = plan->alg,
					     .transparent = cf->transparent != 0,
					     .ifindex = plan->link.ifindex };
	struct sw_answer *answer = NULL;
	char err[256] = "";
	int rc = sw_answer_open(&answer, &ac, sw_clock_wall(), sw_clock_mono(), err, sizeof(err));

	/* The first worker's ticks renew it from here on. */
	__atomic_store_n(&e->answer, answer, __ATOMIC_RELEASE);
	if (!rc && cf->transparent)
		rc = sw_assign_attach(answer, err, sizeof(err));
	if (!rc)
		rc = sw_answer_attach(answer, err, sizeof(err));
	if (rc)
		return sw_config_fail(cf, rc, "%s", err);
	warn_of_mode(e, cf);
	return 0;
}

/* On: who gets what the answerer lets through, before the answerer.  Off: the other way round. */
static int turn(void *arg, const struct sw_guard *g, bool on)
{
	struct sw_engine *e = arg;
	int rc = 0, err = 0;

	if (on && e->steer)
		rc = sw_steer_guard(e->steer, g, true);
	if (!rc && e->answer)
		rc = sw_answer_guard(e->answer, g, on);
	if ((!on || rc) && e->steer)
		err = sw_steer_guard(e->steer, g, false);
	return rc ? rc : err;
}

static bool holds(const struct sw_keyfile *keys, const uint8_t key[SW_KEY_LEN])
{
	for (size_t i = 0; i < keys->masters.n; i++)
		if (!memcmp(keys->masters.key[i], key, SW_KEY_LEN))
			return true;
	return false;
}

/* Does @e prove all that @from has answered? */
static bool proves_all_of(const struct sw_engine *e, const struct sw_engine *from)
{
	for (size_t i = 0; i < from->keys->masters.n; i++)
		if (!holds(e->keys, from->keys->masters.key[i]))
			return false;
	return e->alg == from->alg;
}

static int succeed(void *arg, void *predecessor)
{
	struct sw_engine *e = arg;
	const struct sw_engine *from = predecessor;
	const struct sw_keyfile *keys = proves_all_of(e, from) ? NULL : from->keys;
	int rc = 0;

	for (unsigned i = 0; i < e->nworker && !rc; i++) {
		struct sw_rekey *rk;

		rc = sw_rekey_new(&rk, keys, from->alg);
		if (!rc)
			sw_worker_succeed(&e->worker[i], rk);
	}
	return rc;
}

/* Without a key file the predecessor's key, so that its handshakes complete. */
static void inherit(void *predecessor, void *arg)
{
	const struct sw_engine *from = predecessor;

	*(struct sw_keyfile *)arg = *from->keys;
}

static uint64_t this_netns(void)
{
	struct stat st;

	return stat("/proc/thread-self/ns/net", &st) ? 0 : st.st_ino;
}

/* What the engine keeps of the plan. */
static int adopt(struct sw_engine *e, const struct synward_config *cf, struct sw_plan *plan)
{
	e->ifindex = plan->link.ifindex;
	e->transparent = cf->transparent != 0;
	e->alg = plan->alg;
	e->nguard = plan->policy.nguard;
	memcpy(e->guard, plan->policy.guard, sizeof(e->guard));
	e->keys = plan->keys;
	plan->keys = NULL;
	e->seat = (struct sw_seat){ .netns = this_netns(),
				    .ifindex = e->ifindex,
				    .guard = e->guard,
				    .n = e->nguard,
				    .arg = e,
				    .turn = turn,
				    .succeed = succeed };
	if (!cf->key_file)
		return 0;
	e->key_file = strdup(cf->key_file);
	return e->key_file ? 0 : sw_config_fail(cf, -ENOMEM, "out of memory");
}

static int claim(struct sw_engine *e, const struct synward_config *cf, bool replace)
{
	char err[256] = "";
	const int rc = sw_claim(e->ifindex, e->guard, e->nguard, replace, e->claim, err,
				sizeof(err));

	if (rc)
		return sw_config_fail(cf, rc, "%s", err);
	e->nclaim = e->nguard;
	if (replace && !e->key_file)
		sw_seat_predecessor(&e->seat, inherit, e->keys);
	return 0;
}

/* Last: nobody is steered to what does not run. */
static int sit_down(struct sw_engine *e, const struct synward_config *cf)
{
	const int rc = sw_seat_join(&e->seat);

	return rc ? sw_config_fail(cf, rc, "cannot fill the BPF map of guards: %s", strerror(-rc)) :
		    0;
}

int sw_engine_start(struct sw_engine *e, const struct synward_config *cf, bool replace)
{
	struct sw_plan plan;
	int rc = sw_plan_make(&plan, cf);

	if (!rc)
		rc = adopt(e, cf, &plan);
	if (!rc)
		rc = claim(e, cf, replace);
	if (!rc && !cf->transparent)
		rc = start_front(e, cf, &plan);
	if (!rc && (cf->transparent || cf->offload == SYNWARD_OFFLOAD_XDP))
		rc = start_bpf(e, cf, &plan);
	if (!rc)
		rc = sit_down(e, cf);
	sw_plan_wipe(&plan);
	return rc;
}

void sw_engine_stop(struct sw_engine *e)
{
	/* The guards first: nothing may be steered to threads that have ended. */
	sw_seat_leave(&e->seat);
	for (unsigned i = 0; i < e->nworker; i++)
		sw_worker_stop(&e->worker[i]);
	sw_answer_close(e->answer);
	sw_steer_close(e->steer);
	free(e->worker);
	sw_admitq_free(e->queue);
	for (size_t i = 0; i < e->nclaim; i++)
		close(e->claim[i]);
	sw_keys_free(e->keys);
	free(e->key_file);
	memset(e, 0, sizeof(*e));
}

int sw_engine_drain(struct sw_engine *e, bool on)
{
	int rc = on ? sw_seat_close(&e->seat) : sw_seat_open(&e->seat);

	if (!rc && e->answer)
		rc = sw_answer_drain(e->answer, on);
	if (rc) {
		if (on)
			(void)!sw_seat_open(&e->seat);
		return rc;
	}
	/* With nothing left to guard there are no SYNs to drop, but frames to be done with. */
	for (unsigned i = 0; i < e->nworker; i++)
		sw_worker_drain(&e->worker[i], on);
	e->draining = on;
	return 0;
}

/* The keyring of each worker.  @return 0 or -errno: nothing is held then. */
static int make_rekeys(struct sw_rekey **rk, const struct sw_engine *e,
		       const struct sw_keyfile *keys)
{
	int rc = 0;

	for (unsigned i = 0; i < e->nworker && !rc; i++)
		rc = sw_rekey_new(&rk[i], keys, e->alg);
	for (unsigned i = 0; i < e->nworker && rc; i++) {
		sw_rekey_free(rk[i]);
		rk[i] = NULL;
	}
	return rc;
}

/* First all that can fail. */
static int go_over(struct sw_engine *e, const struct sw_keyfile *keys, char *err, size_t errlen)
{
	struct sw_rekey **rk = calloc(e->nworker + 1, sizeof(*rk));
	int rc = rk ? make_rekeys(rk, e, keys) : -ENOMEM;

	if (!rc && e->answer) {
		rc = sw_answer_rekey(e->answer, &keys->masters, sw_clock_wall());
		for (unsigned i = 0; i < e->nworker && rc; i++)
			sw_rekey_free(rk[i]);
	}
	if (rc)
		snprintf(err, errlen, "%s: cannot put the keys into place: %s%s", e->key_file,
			 strerror(-rc),
			 rc == -ENOSPC ? "; an interface takes 15 listeners with BPF when keys are "
					 "to be changed" :
					 "");
	for (unsigned i = 0; i < e->nworker && !rc; i++)
		sw_worker_rekey(&e->worker[i], rk[i]);
	free(rk);
	if (rc)
		return rc;
	sw_seats_lock();
	*e->keys = *keys;
	sw_seats_unlock();
	return 0;
}

int sw_engine_rekey(struct sw_engine *e, char *err, size_t errlen)
{
	struct sw_keyfile *keys;
	int rc;

	if (!e->key_file)
		return 0;
	keys = sw_keys_new();
	if (!keys) {
		snprintf(err, errlen, "out of memory");
		return -ENOMEM;
	}
	rc = sw_keyfile_load(e->key_file, keys, err, errlen);
	if (!rc && memcmp(keys, e->keys, sizeof(*keys)) != 0)
		rc = go_over(e, keys, err, errlen);
	sw_keys_free(keys);
	return rc;
}

int sw_engine_tick(struct sw_engine *e)
{
	char name[IF_NAMESIZE];

	/* An interface that goes takes the programs on it along. */
	if (e->ifindex && !if_indextoname(e->ifindex, name) && errno == ENXIO)
		return -ENODEV;
	return e->nworker ? 0 : beat(e);
}

/* That of the slowest worker: it stands still when any of them does. */
uint64_t sw_engine_heartbeat(const struct sw_engine *e)
{
	uint64_t least = UINT64_MAX;

	for (unsigned i = 0; i < e->nworker; i++) {
		const uint64_t n = atomic_load_explicit(&e->worker[i].beats, memory_order_relaxed);

		least = n < least ? n : least;
	}
	return e->nworker ? least : atomic_load_explicit(&e->renewed, memory_order_relaxed);
}

int sw_engine_trouble(struct sw_engine *e)
{
	int trouble = 0;

	for (unsigned i = 0; i < e->nworker; i++) {
		const int t = atomic_exchange_explicit(&e->worker[i].ad.trouble, 0,
						       memory_order_relaxed);

		if (t)
			trouble = t;
	}
	return trouble;
}
