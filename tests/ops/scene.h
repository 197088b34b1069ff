/* SPDX-License-Identifier: MIT */
/* A snapshot with a number of its own in each place, for the tests of what renders it. */
#ifndef SW_TESTS_OPS_SCENE_H
#define SW_TESTS_OPS_SCENE_H

#include "core/reason.h"
#include "ops/reasons.h"
#include "ops/snapshot.h"

#include <stdio.h>
#include <string.h>

static inline void scene_stats(struct synward_stats *st, uint64_t seed)
{
	for (unsigned why = 0; why < SW_NWHY; why++)
		st->reason[why] = seed * 100 + why;
	for (unsigned why = 0; why < SW_NWHY; why++)
		if (sw_reason_refuses_syns(why))
			st->syn_refused[why] = seed + why;
	for (unsigned why = 0; why < SW_NWHY; why++)
		st->xdp_reason[why] = st->reason[why] / 3;
	st->xdp_answered = st->xdp_reason[SW_WHY_SYN_ANSWERED];
	st->synacks = st->reason[SW_WHY_SYN_ANSWERED] - 3;
	st->syns = st->reason[SW_WHY_SYN_ANSWERED];
	for (unsigned why = 0; why < SW_NWHY; why++)
		st->syns += st->syn_refused[why];
	st->syns_ip4 = st->syns / 2;
	st->syns_ip6 = st->syns / 3;
	st->handed = seed * 11;
	st->settling = 2;
	st->proven = st->handed + st->settling;
	for (unsigned i = 0; synward_stage_name(i); i++)
		st->proven += st->handoff_failed[i] = seed + 10 * i;
	st->proven_epoch[SYNWARD_EPOCH_CURRENT] = st->proven - 5;
	st->proven_epoch[SYNWARD_EPOCH_PREVIOUS] = 4;
	st->proven_epoch[SYNWARD_EPOCH_NEXT] = 1;
	st->proven_key[0] = st->proven - 20;
	st->proven_key[2] = 11;
	st->handoff_ns[13] = seed * 9;
	st->handoff_ns[14] = seed * 2;
	st->handoff_sum_ns = 1000000 * seed;
	st->frames = seed * 1000;
	st->dropped = seed * 13;
	st->queued = seed;
}

static inline void scene_listener(struct sw_snap_listener *l, const char *name, uint64_t seed)
{
	snprintf(l->name, sizeof(l->name), "%s", name);
	snprintf(l->interface, sizeof(l->interface), "eth0");
	snprintf(l->addresses, sizeof(l->addresses), "203.0.113.1:443, [2001:db8::1]:443");
	snprintf(l->pool, sizeof(l->pool), "app");
	l->xdp = SW_SNAP_XDP_NATIVE;
	l->offload = SYNWARD_OFFLOAD_XDP;
	l->queue_depth = 4096;
	l->keys.n = 1;
	snprintf(l->keys.key[0].slot, sizeof(l->keys.key[0].slot), "active");
	snprintf(l->keys.key[0].fingerprint, sizeof(l->keys.key[0].fingerprint), "%08x",
		 (unsigned)seed);
	l->nworker = 2;
	l->worker[1].ring_lost = seed + 1;
	scene_stats(&l->stats, seed);
	l->flood = (struct sw_snap_flood){ .active = true,
					   .count = seed,
					   .syn = 100 * seed,
					   .synack = 90 * seed,
					   .proven = 8 * seed,
					   .refused = 3 * seed,
					   .began = { 1700000000000000000ull } };
	l->conns.total = seed * 50;
	for (int i = 0; i < SW_NEND; i++)
		l->conns.ended[i] = (uint64_t)i + seed;
	l->conns.active = seed * 3;
	l->conns.to_server = 1000 * seed;
	l->conns.to_client = 2000 * seed;
	for (uint64_t us = 1; us < 1u << 20; us *= 2)
		sw_hist_add(&l->conns.duration, us * seed);
}

/** @return a snapshot of two listeners and two servers; the caller frees it. */
static inline struct sw_snapshot *scene(void)
{
	struct sw_snapshot *s = sw_snapshot_new(2, 2);

	if (!s)
		return NULL;
	s->started.ns = 1700000000000000000ull;
	s->now.ns = s->started.ns + 90000000000ull;
	s->ready = true;
	s->epoch = 53125000;
	s->keys.n = 2;
	snprintf(s->keys.key[0].slot, sizeof(s->keys.key[0].slot), "active");
	snprintf(s->keys.key[0].fingerprint, sizeof(s->keys.key[0].fingerprint), "9bd972de");
	snprintf(s->keys.key[1].slot, sizeof(s->keys.key[1].slot), "staged");
	snprintf(s->keys.key[1].fingerprint, sizeof(s->keys.key[1].fingerprint), "01fa77c3");
	scene_listener(&s->listener[0], "web", 17);
	scene_listener(&s->listener[1], "ssh", 5);
	for (int i = 0; i < 2; i++) {
		snprintf(s->server[i].pool, sizeof(s->server[i].pool), "app");
		snprintf(s->server[i].name, sizeof(s->server[i].name), "10.0.0.1%d:8443", i);
		s->server[i].up = i == 0;
		s->server[i].active = 30;
		s->server[i].failed[SW_DIAL_TIMEOUT] = 4;
		sw_hist_add(&s->server[i].connect, 250);
	}
	return s;
}

#endif
