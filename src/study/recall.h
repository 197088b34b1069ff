/* SPDX-License-Identifier: MIT */
/*
 * Which handshakes a trace has seen: enough to tell the two directions apart and handshake from
 * data.  Of a fixed size; a flood of new ones pushes out the oldest that never completed.
 */
#ifndef SW_STUDY_RECALL_H
#define SW_STUDY_RECALL_H

#include "study/judge.h"

/** One handshake. */
struct sw_recall_flow {
	enum sw_family family; /* 0 for an empty place */
	struct sw_addr client, server;
	uint16_t cport, sport;
	sw_wall last;	/* its latest packet */
	sw_wall synack; /* its first SYN-ACK; 0 when none was seen */
	bool syn;	/* its SYN was seen */
	bool open;	/* the connection is there: what follows is no handshake */
	bool foreign;	/* the SYN-ACK was no cookie of our key */
};

struct sw_recall;

/** @param seed  Secret, so that nobody can aim at a place.  @return NULL without memory. */
struct sw_recall *sw_recall_new(uint64_t seed);
/** NULL is allowed. */
void sw_recall_free(struct sw_recall *r);

/**
 * The handshake a segment belongs to.
 *
 * @param way  Out: its direction.  Written when one is found.
 * @return borrowed until the next sw_recall_add(), or NULL.
 */
struct sw_recall_flow *sw_recall_find(struct sw_recall *r, const struct sw_seg *seg,
				      enum sw_way *way);

/** Remember a handshake by one of its segments, or begin it anew.  @return borrowed, never NULL. */
struct sw_recall_flow *sw_recall_add(struct sw_recall *r, const struct sw_seg *seg, enum sw_way way,
				     sw_wall at);

#endif
