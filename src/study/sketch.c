/* SPDX-License-Identifier: MIT */
#include "study/sketch.h"

#include "study/hash.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define REG_BITS 10 /* 2^10 registers */

void sw_distinct_add(struct sw_distinct *d, uint64_t hash)
{
	const size_t i = hash >> (64 - REG_BITS);
	const uint64_t rest = hash << REG_BITS | 1ull << (REG_BITS - 1); /* never all zero */
	const uint8_t rank = (uint8_t)(__builtin_clzll(rest) + 1);

	if (d->reg[i] < rank)
		d->reg[i] = rank;
}

uint64_t sw_distinct_count(const struct sw_distinct *d)
{
	const double m = SW_DISTINCT_REGS;
	double sum = 0, guess;
	unsigned zero = 0;

	for (size_t i = 0; i < SW_DISTINCT_REGS; i++) {
		sum += ldexp(1, -d->reg[i]);
		zero += d->reg[i] == 0;
	}
	guess = 0.7213 / (1 + 1.079 / m) * m * m / sum;
	if (guess < 2.5 * m && zero)
		guess = m * log(m / zero); /* few: count the registers that are still empty */
	return (uint64_t)(guess + 0.5);
}

void sw_spread_add(struct sw_spread *s, uint64_t hash)
{
	s->bin[hash % SW_SPREAD_BINS]++;
	s->n++;
}

double sw_spread_bits(const struct sw_spread *s)
{
	double bits = 0;

	for (size_t i = 0; s->n && i < SW_SPREAD_BINS; i++) {
		const double p = (double)s->bin[i] / (double)s->n;

		if (s->bin[i])
			bits -= p * log2(p);
	}
	return bits > 0 ? bits : 0;
}

double sw_spread_most(const struct sw_spread *s)
{
	const double most = s->n ? log2((double)s->n) : 0;

	return most < log2(SW_SPREAD_BINS) ? most : log2(SW_SPREAD_BINS);
}

static uint32_t tag_of(const struct sw_addr *addr)
{
	return (uint32_t)sw_hash_addr(0, addr, 0);
}

struct sw_top_entry *sw_top_find(struct sw_top *t, enum sw_family family,
				 const struct sw_addr *addr)
{
	const uint32_t tag = tag_of(addr);

	for (size_t i = 0; i < t->n; i++) {
		struct sw_top_entry *e = &t->entry[i];

		if (t->tag[i] == tag && e->family == family &&
		    memcmp(&e->addr, addr, sizeof(*addr)) == 0)
			return e;
	}
	return NULL;
}

static struct sw_top_entry *smallest(struct sw_top *t)
{
	struct sw_top_entry *min = &t->entry[0];

	for (size_t i = 1; i < t->n; i++) {
		if (t->entry[i].packets < min->packets)
			min = &t->entry[i];
	}
	return min;
}

/* Frequent addresses move towards the front, so that a search for them ends early. */
static struct sw_top_entry *forward(struct sw_top *t, struct sw_top_entry *e)
{
	const size_t i = (size_t)(e - t->entry);
	const uint32_t tag = t->tag[i];
	struct sw_top_entry swap;

	if (i == 0 || e[-1].packets >= e->packets)
		return e;
	swap = e[-1];
	e[-1] = *e;
	*e = swap;
	t->tag[i] = t->tag[i - 1];
	t->tag[i - 1] = tag;
	return e - 1;
}

struct sw_top_entry *sw_top_add(struct sw_top *t, enum sw_family family,
				const struct sw_addr *addr)
{
	struct sw_top_entry *e = sw_top_find(t, family, addr);

	if (!e && t->n < SW_TOP_SIZE) {
		e = &t->entry[t->n++];
		*e = (struct sw_top_entry){ .family = family, .addr = *addr };
	} else if (!e) {
		e = smallest(t);
		*e = (struct sw_top_entry){ .family = family, .addr = *addr,
					    .packets = e->packets, .error = e->packets };
	}
	t->tag[e - t->entry] = tag_of(addr);
	e->packets++;
	return forward(t, e);
}

static int by_packets(const void *a, const void *b)
{
	const struct sw_top_entry *x = a, *y = b;
	const uint64_t p = x->packets - x->error, q = y->packets - y->error;

	/* What is certain counts: a newcomer inherits the count of the one it pushed out. */
	if (p != q)
		return (q > p) - (q < p);
	return memcmp(&x->addr, &y->addr, sizeof(x->addr));
}

void sw_top_sort(struct sw_top *t)
{
	qsort(t->entry, t->n, sizeof(t->entry[0]), by_packets);
	for (size_t i = 0; i < t->n; i++)
		t->tag[i] = tag_of(&t->entry[i].addr);
}

void sw_top_port(struct sw_top_entry *e, uint64_t hash)
{
	*(hash & 64 ? &e->more_ports : &e->ports) |= 1ull << (hash & 63);
}

unsigned sw_top_ports(const struct sw_top_entry *e)
{
	const int zero = 128 - __builtin_popcountll(e->ports) - __builtin_popcountll(e->more_ports);

	return (unsigned)(128 * log(128.0 / (zero ? zero : 1)) + 0.5);
}

static void offer_peak(struct sw_rate *r, struct sw_rate_peak p)
{
	for (size_t i = 0; p.count && i < SW_RATE_PEAKS; i++) {
		if (p.count > r->peak[i].count) {
			memmove(&r->peak[i + 1], &r->peak[i],
				(SW_RATE_PEAKS - i - 1) * sizeof(p));
			r->peak[i] = p;
			return;
		}
	}
}

static void widen(struct sw_rate *r)
{
	for (size_t i = 0; i < SW_RATE_BARS / 2; i++)
		r->bar[i] = r->bar[2 * i] + r->bar[2 * i + 1];
	memset(r->bar + SW_RATE_BARS / 2, 0, sizeof(r->bar) / 2);
	r->width *= 2;
}

void sw_rate_add(struct sw_rate *r, sw_wall at)
{
	const uint64_t second = at.ns / 1000000000u;

	if (r->total++ == 0) {
		r->first = r->now.second = second;
		r->width = 1;
	}
	/* A packet may be captured a little late: it counts for the second at hand. */
	if (second > r->now.second) {
		offer_peak(r, r->now);
		r->now = (struct sw_rate_peak){ second, 0 };
	}
	r->now.count++;
	while ((r->now.second - r->first) / r->width >= SW_RATE_BARS)
		widen(r);
	r->bar[(r->now.second - r->first) / r->width]++;
}

void sw_rate_end(struct sw_rate *r)
{
	offer_peak(r, r->now);
	r->now.count = 0;
}
