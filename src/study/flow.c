/* SPDX-License-Identifier: MIT */
#include "study/flow.h"

#include "study/hash.h"

#include <errno.h>
#include <stdlib.h>

#define WELL_KNOWN 1024 /* ports below belong to services */

/* Oldest first. */
struct list {
	struct sw_flow *oldest, *newest;
	size_t n;
};

struct sw_flows {
	struct sw_flow *slab; /* owned, all of them */
	struct sw_flow *spare; /* linked by ->newer */
	struct sw_flow **bucket; /* owned; mask + 1 of them */
	size_t mask, capacity, used;
	struct list list[SW_NFLOW_LIST];
	uint64_t seed, next_id;
	sw_flow_fn leave;
	void *arg;
};

int sw_flows_new(struct sw_flows **out, size_t capacity, uint64_t seed, sw_flow_fn leave, void *arg)
{
	struct sw_flows *fs = calloc(1, sizeof(*fs));
	size_t buckets = 1;

	if (!fs)
		return -ENOMEM;
	while (buckets < capacity)
		buckets *= 2;
	fs->slab = calloc(capacity, sizeof(*fs->slab));
	fs->bucket = calloc(buckets, sizeof(struct sw_flow *));
	if (!fs->slab || !fs->bucket) {
		sw_flows_free(fs);
		return -ENOMEM;
	}
	fs->mask = buckets - 1;
	fs->capacity = capacity;
	fs->seed = seed;
	fs->leave = leave;
	fs->arg = arg;
	*out = fs;
	return 0;
}

void sw_flows_free(struct sw_flows *fs)
{
	if (!fs)
		return;
	for (size_t i = 0; fs->slab && i < fs->used; i++)
		sw_rungs_clear(&fs->slab[i].rungs);
	free(fs->slab);
	free(fs->bucket);
	free(fs);
}

/* The same for both directions. */
static struct sw_flow **bucket_of(const struct sw_flows *fs, const struct sw_flow_key *k)
{
	const uint64_t c = sw_hash_addr(fs->seed, &k->client, k->cport);
	const uint64_t s = sw_hash_addr(fs->seed, &k->server, k->sport);

	return &fs->bucket[sw_hash_mix(c + s, (c ^ s) | 1) & fs->mask];
}

static void unlink_list(struct sw_flows *fs, struct sw_flow *f)
{
	struct list *l = &fs->list[f->list];

	*(f->older ? &f->older->newer : &l->oldest) = f->newer;
	*(f->newer ? &f->newer->older : &l->newest) = f->older;
	l->n--;
}

static void link_list(struct sw_flows *fs, struct sw_flow *f, enum sw_flow_list which)
{
	struct list *l = &fs->list[which];

	f->list = which;
	f->older = l->newest;
	f->newer = NULL;
	*(l->newest ? &l->newest->newer : &l->oldest) = f;
	l->newest = f;
	l->n++;
}

static void remove_flow(struct sw_flows *fs, struct sw_flow *f, enum sw_leave why)
{
	struct sw_flow **at = bucket_of(fs, &f->key);

	fs->leave(f, why, fs->arg);
	while (*at != f)
		at = &(*at)->same_hash;
	*at = f->same_hash;
	unlink_list(fs, f);
	sw_rungs_clear(&f->rungs);
	f->newer = fs->spare;
	fs->spare = f;
}

/* What is over is of least use, but late segments still come for a while. */
static struct sw_flow *victim(const struct sw_flows *fs)
{
	const struct list *l = fs->list;

	if (l[SW_FLOW_OVER].n > fs->capacity / 8)
		return l[SW_FLOW_OVER].oldest;
	if (l[SW_FLOW_UNOPENED].n > fs->capacity / 4)
		return l[SW_FLOW_UNOPENED].oldest;
	if (l[SW_FLOW_ALIVE].n)
		return l[SW_FLOW_ALIVE].oldest;
	return l[SW_FLOW_UNOPENED].n ? l[SW_FLOW_UNOPENED].oldest : l[SW_FLOW_OVER].oldest;
}

static struct sw_flow *take(struct sw_flows *fs)
{
	struct sw_flow *f;

	if (!fs->spare && fs->used < fs->capacity)
		return &fs->slab[fs->used++];
	if (!fs->spare)
		remove_flow(fs, victim(fs), SW_LEAVE_EVICTED);
	f = fs->spare;
	fs->spare = f->newer;
	return f;
}

static struct sw_flow_key key_of(const struct sw_seg *seg, bool from_client)
{
	if (from_client)
		return (struct sw_flow_key){ seg->family, seg->src, seg->dst, seg->sport,
					     seg->dport };
	return (struct sw_flow_key){ seg->family, seg->dst, seg->src, seg->dport, seg->sport };
}

/* A SYN or SYN-ACK tells.  Otherwise services have low ports, and who is reset asked first. */
static bool is_client(const struct sw_seg *seg, bool *guessed)
{
	*guessed = !(seg->flags & SW_TCP_SYN);
	if (!*guessed)
		return !(seg->flags & SW_TCP_ACK);
	if ((seg->sport < WELL_KNOWN) != (seg->dport < WELL_KNOWN))
		return seg->dport < WELL_KNOWN;
	if (seg->flags & SW_TCP_RST)
		return false;
	return seg->sport >= seg->dport;
}

static struct sw_flow *make(struct sw_flows *fs, const struct sw_seg *seg, uint64_t number)
{
	struct sw_flow *f = take(fs);
	struct sw_flow **at;

	*f = (struct sw_flow){ .id = ++fs->next_id, .first = number };
	f->key = key_of(seg, is_client(seg, &f->guessed));
	at = bucket_of(fs, &f->key);
	f->same_hash = *at;
	*at = f;
	link_list(fs, f, SW_FLOW_UNOPENED);
	return f;
}

static bool same(const struct sw_addr *a, const struct sw_addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* @return true when @f is the connection between these ends, and who of them sends. */
static bool matches(const struct sw_flow *f, const struct sw_seg *seg, enum sw_end *from)
{
	const struct sw_flow_key *k = &f->key;

	if (k->family != seg->family)
		return false;
	*from = SW_CLIENT;
	if (k->cport == seg->sport && k->sport == seg->dport && same(&k->client, &seg->src) &&
	    same(&k->server, &seg->dst))
		return true;
	*from = SW_SERVER;
	return k->cport == seg->dport && k->sport == seg->sport && same(&k->client, &seg->dst) &&
	       same(&k->server, &seg->src);
}

struct sw_flow *sw_flows_get(struct sw_flows *fs, const struct sw_seg *seg, uint64_t number,
			     enum sw_end *from)
{
	const struct sw_flow_key k = key_of(seg, true);
	struct sw_flow *f = *bucket_of(fs, &k);

	while (f && !matches(f, seg, from))
		f = f->same_hash;
	if (f && sw_track_is_new(&f->track, seg, *from)) {
		remove_flow(fs, f, SW_LEAVE_REUSED);
		f = NULL;
	}
	if (!f) {
		f = make(fs, seg, number);
		(void)matches(f, seg, from);
	}
	return f;
}

void sw_flows_touch(struct sw_flows *fs, struct sw_flow *f)
{
	const enum sw_outcome o = sw_track_outcome(&f->track);
	enum sw_flow_list which = SW_FLOW_ALIVE;

	if (sw_outcome_incomplete(o))
		which = SW_FLOW_UNOPENED;
	else if (o == SW_OUTCOME_CLOSED || o == SW_OUTCOME_RESET)
		which = SW_FLOW_OVER;
	unlink_list(fs, f);
	link_list(fs, f, which);
}

static int by_id(const void *a, const void *b)
{
	const struct sw_flow *const *x = a, *const *y = b;

	return ((*x)->id > (*y)->id) - ((*x)->id < (*y)->id);
}

void sw_flows_each(const struct sw_flows *fs, sw_flow_fn fn, void *arg)
{
	for (size_t i = 0; i < SW_NFLOW_LIST; i++) {
		for (const struct sw_flow *f = fs->list[i].oldest; f; f = f->newer)
			fn(f, SW_LEAVE_END, arg);
	}
}

void sw_flows_end(struct sw_flows *fs)
{
	size_t n = 0, all = 0;
	struct sw_flow **order;

	for (size_t i = 0; i < SW_NFLOW_LIST; i++)
		all += fs->list[i].n;
	order = all ? calloc(all, sizeof(struct sw_flow *)) : NULL;
	for (size_t i = 0; i < SW_NFLOW_LIST; i++) {
		/* Without memory for their order they leave in the order of the lists. */
		while (!order && fs->list[i].oldest)
			remove_flow(fs, fs->list[i].oldest, SW_LEAVE_END);
		for (struct sw_flow *f = fs->list[i].oldest; f; f = f->newer)
			order[n++] = f;
	}
	if (order)
		qsort(order, n, sizeof(struct sw_flow *), by_id);
	for (size_t i = 0; i < n; i++)
		remove_flow(fs, order[i], SW_LEAVE_END);
	free(order);
}
