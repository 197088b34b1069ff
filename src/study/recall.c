/* SPDX-License-Identifier: MIT */
#include "study/recall.h"

#include <stdlib.h>
#include <string.h>

#define SETS 16384u /* power of two */
#define WAYS 4u	    /* places a handshake may be in */

struct sw_recall {
	uint64_t seed;
	struct sw_recall_flow flow[SETS][WAYS];
};

struct sw_recall *sw_recall_new(uint64_t seed)
{
	struct sw_recall *r = calloc(1, sizeof(*r));

	if (r)
		r->seed = seed;
	return r;
}

void sw_recall_free(struct sw_recall *r)
{
	free(r);
}

/* The finisher of splitmix64 (Vigna) between words. */
static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0xbf58476d1ce4e5b9u;
	h = (h ^ h >> 31) * 0x94d049bb133111ebu;
	return h ^ h >> 29;
}

static uint64_t mix_addr(uint64_t h, const struct sw_addr *a)
{
	uint64_t w[2];

	memcpy(w, a->b, sizeof(w));
	return mix(mix(h, w[0]), w[1]);
}

/* As seen from the client, whichever way the segment goes. */
static struct sw_recall_flow name_of(const struct sw_seg *seg, enum sw_way way)
{
	if (way == SW_WAY_IN)
		return (struct sw_recall_flow){ .family = seg->family, .client = seg->src,
						.server = seg->dst, .cport = seg->sport,
						.sport = seg->dport };
	return (struct sw_recall_flow){ .family = seg->family, .client = seg->dst,
					.server = seg->src, .cport = seg->dport,
					.sport = seg->sport };
}

static struct sw_recall_flow *set_of(struct sw_recall *r, const struct sw_recall_flow *name)
{
	uint64_t h = mix(r->seed, (uint64_t)name->cport << 16 | name->sport);

	h = mix_addr(mix_addr(h, &name->client), &name->server);
	return r->flow[h & (SETS - 1)];
}

static bool same(const struct sw_recall_flow *a, const struct sw_recall_flow *b)
{
	return a->family == b->family && a->cport == b->cport && a->sport == b->sport &&
	       memcmp(&a->client, &b->client, sizeof(a->client)) == 0 &&
	       memcmp(&a->server, &b->server, sizeof(a->server)) == 0;
}

static struct sw_recall_flow *look(struct sw_recall *r, const struct sw_recall_flow *name)
{
	struct sw_recall_flow *set = set_of(r, name);

	for (size_t i = 0; i < WAYS; i++) {
		if (same(&set[i], name))
			return &set[i];
	}
	return NULL;
}

struct sw_recall_flow *sw_recall_find(struct sw_recall *r, const struct sw_seg *seg,
				      enum sw_way *way)
{
	for (enum sw_way w = SW_WAY_IN; w <= SW_WAY_OUT; w++) {
		const struct sw_recall_flow name = name_of(seg, w);
		struct sw_recall_flow *f = look(r, &name);

		if (f) {
			*way = w;
			return f;
		}
	}
	return NULL;
}

/* Is @a to go before @b?  Empty ones first, then handshakes, then connections; the oldest first. */
static bool goes_before(const struct sw_recall_flow *a, const struct sw_recall_flow *b)
{
	if ((a->family == 0) != (b->family == 0))
		return a->family == 0;
	if (a->open != b->open)
		return !a->open;
	return a->last.ns < b->last.ns;
}

struct sw_recall_flow *sw_recall_add(struct sw_recall *r, const struct sw_seg *seg, enum sw_way way,
				     sw_wall at)
{
	struct sw_recall_flow name = name_of(seg, way);
	struct sw_recall_flow *f = look(r, &name);

	if (!f) {
		struct sw_recall_flow *set = set_of(r, &name);

		f = &set[0];
		for (size_t i = 1; i < WAYS; i++) {
			if (goes_before(&set[i], f))
				f = &set[i];
		}
	}
	name.last = at;
	*f = name;
	return f;
}
