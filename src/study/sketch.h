/* SPDX-License-Identifier: MIT */
/* Counts of things too many to remember, in fixed memory. */
#ifndef SW_STUDY_SKETCH_H
#define SW_STUDY_SKETCH_H

#include "core/types.h"

#define SW_DISTINCT_REGS 1024 /* a standard error of 3.3 % */
#define SW_SPREAD_BINS	 4096
#define SW_TOP_SIZE	 128
#define SW_RATE_PEAKS	 5
#define SW_RATE_BARS	 240

/** How many different hashes were seen (HyperLogLog).  All zero is empty. */
struct sw_distinct {
	uint8_t reg[SW_DISTINCT_REGS];
};

void sw_distinct_add(struct sw_distinct *d, uint64_t hash);
/** @return an estimate, exact to a few percent. */
uint64_t sw_distinct_count(const struct sw_distinct *d);

/** How evenly hashes are spread.  All zero is empty. */
struct sw_spread {
	uint32_t bin[SW_SPREAD_BINS];
	uint64_t n;
};

void sw_spread_add(struct sw_spread *s, uint64_t hash);
/**
 * Shannon's entropy over the bins.
 *
 * @return bits, 0 (always the same) to 12 (as even as random numbers), or less for few samples.
 */
double sw_spread_bits(const struct sw_spread *s);
/** @return the bits that as many samples have when no two are alike: log2 of their number, 12 at
 *          most. */
double sw_spread_most(const struct sw_spread *s);

/** One of the addresses that were seen most. */
struct sw_top_entry {
	enum sw_family family;
	struct sw_addr addr;
	uint64_t packets; /* never too low, and too high by @error at most */
	uint64_t error;
	uint64_t bytes, syns, opened, refused, half_open; /* since it is in the table */
	uint64_t ports; /* bits by hash: how many ports it sent SYNs to, up to some 100 */
	uint64_t more_ports;
};

/** The most frequent addresses (space saving).  All zero is empty. */
struct sw_top {
	struct sw_top_entry entry[SW_TOP_SIZE];
	uint32_t tag[SW_TOP_SIZE]; /* of each address: what a search looks at first */
	size_t n;
};

/** @return the entry of @addr, with one more packet; it may have taken the place of another. */
struct sw_top_entry *sw_top_add(struct sw_top *t, enum sw_family family,
				const struct sw_addr *addr);
/** @return the entry of @addr, or NULL. */
struct sw_top_entry *sw_top_find(struct sw_top *t, enum sw_family family,
				 const struct sw_addr *addr);
/** Most packets first. */
void sw_top_sort(struct sw_top *t);
/** Count a port that a SYN went to. */
void sw_top_port(struct sw_top_entry *e, uint64_t hash);
/** @return about how many different ports, up to some 400. */
unsigned sw_top_ports(const struct sw_top_entry *e);

struct sw_rate_peak {
	uint64_t second; /* since 1970 */
	uint64_t count;
};

/** Events per second: the highest seconds, and a picture of the whole time.  All zero is empty. */
struct sw_rate {
	struct sw_rate_peak peak[SW_RATE_PEAKS]; /* highest first, count 0 for none */
	struct sw_rate_peak now;		 /* being counted */
	uint32_t bar[SW_RATE_BARS];
	uint64_t first, width; /* seconds: of bar 0, and how many a bar stands for */
	uint64_t total;
};

void sw_rate_add(struct sw_rate *r, sw_wall at);
/** Call once, after the last sw_rate_add(): the second being counted may be a peak. */
void sw_rate_end(struct sw_rate *r);

#endif
