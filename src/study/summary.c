/* SPDX-License-Identifier: MIT */
#include "study/summary.h"

#include "study/hash.h"
#include "study/tale.h"

#include <errno.h>
#include <stdlib.h>

/* Not secret: the same capture gives the same estimates.  The flow table has its own seed. */
#define SKETCH_SEED 0x73796e77617264ull

int sw_summary_init(struct sw_summary *s)
{
	memset(s, 0, sizeof(*s));
	s->target = calloc(SW_TARGETS + 1, sizeof(*s->target));
	return s->target ? 0 : -ENOMEM;
}

void sw_summary_free(struct sw_summary *s)
{
	free(s->target);
	s->target = NULL;
}

void sw_summary_packet(struct sw_summary *s, sw_wall at, uint64_t number, uint32_t bytes,
		       enum sw_why parsed)
{
	if (s->packets++ == 0)
		s->first = s->last = at;
	if (at.ns < s->first.ns)
		s->first = at;
	if (at.ns > s->last.ns)
		s->last = at;
	s->bytes += bytes;
	if (parsed == SW_WIRE_OK)
		s->segments++;
	else if (s->refused[parsed]++ == 0)
		s->refused_first[parsed] = number;
}

static bool is_target(const struct sw_target *t, const struct sw_flow_key *k)
{
	return t->port == k->sport && t->family == k->family &&
	       memcmp(&t->addr, &k->server, sizeof(t->addr)) == 0;
}

struct sw_target *sw_summary_target(struct sw_summary *s, const struct sw_flow_key *k)
{
	struct sw_target *t = s->target;

	for (size_t i = 0; i < s->ntarget; i++, t++) {
		if (is_target(t, k))
			return t;
	}
	if (s->ntarget == SW_TARGETS)
		return &s->target[SW_TARGETS];
	s->ntarget++;
	t->family = k->family;
	t->addr = k->server;
	t->port = k->sport;
	return t;
}

bool sw_target_is_rest(const struct sw_summary *s, const struct sw_target *t)
{
	return t == &s->target[SW_TARGETS];
}

/* The first packet of a connection. */
static void on_attempt(struct sw_summary *s, struct sw_target *t, const struct sw_flow *f,
		       const struct sw_seg *seg)
{
	const uint64_t hash = sw_hash_addr(SKETCH_SEED, &f->key.client, 0);

	t->attempts++;
	sw_distinct_add(&t->sources, hash);
	sw_spread_add(&t->spread, hash);
	if (!(seg->flags & SW_TCP_SYN))
		return;
	sw_distinct_add(&s->sources, hash);
	t->began++;
	t->hping += !!(f->track.findings & SW_FIND_HPING);
	t->scanner += !!(f->track.findings & SW_FIND_SCANNER);
	t->bare += !seg->opt.mss && !seg->opt.sack && !seg->opt.ts && !seg->opt.wscale_ok;
	t->with_data += seg->payload_len > 0;
}

static void on_syn(struct sw_summary *s, struct sw_target *t, struct sw_top_entry *talker,
		   const struct sw_track_in *in)
{
	talker->syns++;
	sw_top_port(talker, sw_hash_addr(SKETCH_SEED, &in->seg->dst, in->seg->dport));
	t->syns++;
	sw_rate_add(&s->syn_rate, in->at);
	sw_rate_add(&t->rate, in->at);
}

void sw_summary_segment(struct sw_summary *s, const struct sw_flow *f, const struct sw_track_in *in,
			const struct sw_track_out *out)
{
	const struct sw_seg *seg = in->seg;
	struct sw_top_entry *talker = sw_top_add(&s->top, seg->family, &seg->src);
	const bool syn = (seg->flags & (SW_TCP_SYN | SW_TCP_ACK)) == SW_TCP_SYN;
	const bool first = f->first == in->number;

	talker->bytes += seg->payload_len;
	for (uint32_t left = out->marks; left; left &= left - 1)
		s->mark[__builtin_ctz(left)]++;
	if (first || syn || (out->marks & SW_MARK_OPENS)) {
		struct sw_target *t = sw_summary_target(s, &f->key);

		if (first)
			on_attempt(s, t, f, seg);
		if (syn)
			on_syn(s, t, talker, in);
		if (out->marks & SW_MARK_OPENS) {
			t->opened++;
			sw_rate_add(&s->open_rate, in->at);
		}
	}
}

void sw_summary_decision(struct sw_summary *s, const struct sw_decision *d)
{
	s->verdict[d->verdict]++;
	s->why[d->why]++;
}

static void on_leave(struct sw_summary *s, const struct sw_flow *f, enum sw_outcome o)
{
	struct sw_top_entry *client = sw_top_find(&s->top, f->key.family, &f->key.client);

	sw_summary_target(s, &f->key)->outcome[o]++;
	if (!client)
		return;
	client->opened += f->track.opened;
	client->refused += o == SW_OUTCOME_REFUSED;
	client->half_open += o == SW_OUTCOME_HALF_OPEN || o == SW_OUTCOME_HALF_OPEN_RESET;
}

void sw_summary_flow(struct sw_summary *s, const struct sw_flow *f, enum sw_leave leave)
{
	const enum sw_outcome o = sw_track_outcome(&f->track);

	s->flows++;
	s->outcome[o]++;
	s->close[sw_track_close(&f->track)]++;
	s->rst[f->track.rst]++;
	for (uint32_t left = f->track.findings; left; left &= left - 1)
		s->finding[__builtin_ctz(left)]++;
	on_leave(s, f, o);
	if (leave != SW_LEAVE_EVICTED)
		return;
	s->evicted_unopened += f->list == SW_FLOW_UNOPENED;
	s->evicted_alive += f->list == SW_FLOW_ALIVE;
	s->evicted_over += f->list == SW_FLOW_OVER;
}

uint64_t sw_target_unopened(const struct sw_target *t)
{
	uint64_t n = 0;

	for (unsigned o = 0; o < SW_NOUTCOME; o++)
		n += sw_outcome_incomplete((enum sw_outcome)o) ? t->outcome[o] : 0;
	return n;
}

bool sw_target_is_flooded(const struct sw_target *t)
{
	const uint64_t ended = sw_target_unopened(t);
	const uint64_t sofar = t->began > t->opened ? t->began - t->opened : 0;

	return t->attempts >= SW_FLOOD_MIN &&
	       (double)(ended > sofar ? ended : sofar) >= SW_FLOOD_SHARE * (double)t->attempts;
}

static int by_attempts(const void *a, const void *b)
{
	const struct sw_target *x = a, *y = b;

	return (y->attempts > x->attempts) - (y->attempts < x->attempts);
}

bool sw_top_is_certain(const struct sw_top_entry *e)
{
	return e->error <= e->packets / 2 && e->packets - e->error > 1;
}

void sw_summary_end(struct sw_summary *s)
{
	sw_rate_end(&s->syn_rate);
	sw_rate_end(&s->open_rate);
	for (size_t i = 0; i <= SW_TARGETS; i++)
		sw_rate_end(&s->target[i].rate);
	qsort(s->target, s->ntarget, sizeof(*s->target), by_attempts);
	sw_top_sort(&s->top);
}
