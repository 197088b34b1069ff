/* SPDX-License-Identifier: MIT */
/*
 * The connections that are being followed: a table of fixed capacity.  When it is full, one has to
 * go: one that ended, else one that never opened, so that a flood of SYNs does not push out
 * connections that are alive, as long as there are others to take.
 */
#ifndef SW_STUDY_FLOW_H
#define SW_STUDY_FLOW_H

#include "study/rungs.h"

/** What tells connections apart.  VLAN tags do not count: both sides of a trunk show the same. */
struct sw_flow_key {
	enum sw_family family;
	struct sw_addr client, server;
	uint16_t cport, sport;
};

enum sw_flow_list { SW_FLOW_UNOPENED, SW_FLOW_ALIVE, SW_FLOW_OVER, SW_NFLOW_LIST };

struct sw_flow {
	uint64_t id;	   /* 1 for the first connection of the capture */
	uint64_t first;	   /* number of its first packet */
	struct sw_flow_key key;
	struct sw_track track;
	struct sw_rungs rungs;
	bool guessed; /* no SYN was seen: which end is the client is a guess */
	/* The table's own. */
	struct sw_flow *same_hash, *older, *newer;
	enum sw_flow_list list;
};

/* Why a flow leaves the table. */
enum sw_leave {
	SW_LEAVE_END,	  /* the capture ended */
	SW_LEAVE_REUSED,  /* a new SYN took its ports */
	SW_LEAVE_EVICTED, /* the table was full */
};

/** Called for each flow that leaves.  @flow is borrowed and goes away afterwards. */
typedef void (*sw_flow_fn)(const struct sw_flow *flow, enum sw_leave why, void *arg);

struct sw_flows;

#define SW_FLOWS_MIN	 16
#define SW_FLOWS_MAX	 1048576
#define SW_FLOWS_DEFAULT 20000

/**
 * @param capacity  SW_FLOWS_MIN to SW_FLOWS_MAX connections, some 2 KiB each and up to 9 KiB with
 *                  its packets.
 * @param seed      Random: a hostile capture must not choose its hash chains.
 * @return 0 or -ENOMEM.
 */
SW_MUST int sw_flows_new(struct sw_flows **out, size_t capacity, uint64_t seed, sw_flow_fn leave,
			 void *arg);

/** Without calling back.  NULL is allowed. */
void sw_flows_free(struct sw_flows *fs);

/** Look at every flow, in no order.  @fn gets SW_LEAVE_END, though nothing leaves. */
void sw_flows_each(const struct sw_flows *fs, sw_flow_fn fn, void *arg);

/** Everything leaves, oldest connection first. */
void sw_flows_end(struct sw_flows *fs);

/**
 * The connection of a segment; one that is new, or whose SYN uses the ports again, is made.
 *
 * @param number  Of the packet.
 * @param from    Out: which end sent it.
 * @return borrowed, until the next call.
 */
struct sw_flow *sw_flows_get(struct sw_flows *fs, const struct sw_seg *seg, uint64_t number,
			     enum sw_end *from);

/** Call after sw_track_segment(): keeps the order in which flows would be evicted. */
void sw_flows_touch(struct sw_flows *fs, struct sw_flow *flow);

#endif
