/* SPDX-License-Identifier: MIT */
/* What a whole capture amounts to, in memory that does not grow with it. */
#ifndef SW_STUDY_SUMMARY_H
#define SW_STUDY_SUMMARY_H

#include "core/decide.h"
#include "study/flow.h"
#include "study/sketch.h"

#define SW_TARGETS	128 /* servers' addresses and ports that are told apart */
#define SW_FLOOD_MIN	100 /* connection attempts; fewer are no flood */
#define SW_FLOOD_SHARE	0.5 /* of them never opened */

/** One address and port that SYNs, or segments without a connection, went to. */
struct sw_target {
	enum sw_family family;
	struct sw_addr addr;
	uint16_t port;
	uint64_t syns;	   /* SYNs, with those sent again */
	uint64_t attempts; /* connections */
	uint64_t opened;   /* of those that began with a SYN: how many opened so far */
	uint64_t began;	   /* how many of them began with a SYN */
	uint64_t outcome[SW_NOUTCOME]; /* of those that left the table */
	uint64_t hping, scanner, bare, with_data; /* attempts whose SYN looks so */
	struct sw_distinct sources; /* of the attempts */
	struct sw_spread spread;
	struct sw_rate rate; /* of SYNs */
};

struct sw_summary {
	uint64_t packets, bytes, segments; /* in the capture; as TCP by the core's parser */
	uint64_t refused[SW_NWHY];	   /* frames that the parser refused, by reason */
	uint64_t refused_first[SW_NWHY];   /* packet number */
	sw_wall first, last;		   /* capture times */
	uint64_t flows;			   /* connections that left the table */
	uint64_t outcome[SW_NOUTCOME], close[SW_NCLOSE], finding[SW_NFIND], rst[SW_NRST];
	uint64_t mark[SW_NMARK]; /* packets */
	uint64_t verdict[SW_NVERDICT], why[SW_NWHY]; /* of the core, with a key */
	uint64_t evicted_unopened, evicted_alive, evicted_over;
	struct sw_rate syn_rate, open_rate;
	struct sw_distinct sources; /* that sent SYNs */
	struct sw_top top;
	struct sw_target *target; /* owned; SW_TARGETS of them and one for all others */
	size_t ntarget;
};

/** @return 0 or -ENOMEM. */
SW_MUST int sw_summary_init(struct sw_summary *s);
void sw_summary_free(struct sw_summary *s);

/** A packet was read.  @param bytes  On the wire. */
void sw_summary_packet(struct sw_summary *s, sw_wall at, uint64_t number, uint32_t bytes,
		       enum sw_why parsed);
/** A segment was followed. */
void sw_summary_segment(struct sw_summary *s, const struct sw_flow *flow,
			const struct sw_track_in *in, const struct sw_track_out *out);
/** The core decided about a packet. */
void sw_summary_decision(struct sw_summary *s, const struct sw_decision *d);
/** A connection left the table. */
void sw_summary_flow(struct sw_summary *s, const struct sw_flow *flow, enum sw_leave leave);
/** The capture ended; sorts targets by attempts and talkers by packets. */
void sw_summary_end(struct sw_summary *s);

/** @return the target of a flow, or the one for all others. */
struct sw_target *sw_summary_target(struct sw_summary *s, const struct sw_flow_key *key);

/** @return how many of the target's connections never opened. */
uint64_t sw_target_unopened(const struct sw_target *t);
/** @return true when so many attempts failed, or are left open so far, that it looks like a flood. */
bool sw_target_is_flooded(const struct sw_target *t);
/** @return true when most of a talker's packets were certainly counted for it. */
bool sw_top_is_certain(const struct sw_top_entry *e);
/** @return true for the target that stands for all that had no place. */
bool sw_target_is_rest(const struct sw_summary *s, const struct sw_target *t);

#endif
