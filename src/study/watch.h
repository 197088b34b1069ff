/* SPDX-License-Identifier: MIT */
/* The packets of a trace, one after the other: which belong to a handshake, and what became of them. */
#ifndef SW_STUDY_WATCH_H
#define SW_STUDY_WATCH_H

#include "study/capture.h"
#include "study/judge.h"
#include "study/socks.h"

struct sw_watch;

struct sw_watch_config {
	struct sw_judge_config judge;
	/* Borrowed; NULL: the capture is not of this host, or not of now. */
	struct sw_socks *socks;
	uint32_t lookups;	/* questions a second to the kernel about unknown connections */
	uint64_t seed;		/* secret, so that nobody can aim at a place in the memory */
};

/** @return 0 or -errno. */
SW_MUST int sw_watch_new(struct sw_watch **out, const struct sw_watch_config *cf);
/** NULL is allowed. */
void sw_watch_free(struct sw_watch *w);

/**
 * Take the next packet.
 *
 * @param jm   Out: what was found.  Written when true.
 * @param way  Out: as far as it is known.  Written when true.
 * @return whether it is part of a handshake: SYN, SYN-ACK, the ACK that is to prove a cookie, a reset
 *         before the connection is there, or a segment that is malformed.  False for the data of a
 *         connection, and for what is no TCP.
 */
SW_MUST bool sw_watch_packet(struct sw_watch *w, const struct sw_packet *p,
			     struct sw_judgement *jm, enum sw_way *way);

/** sw_judge_unsearched() of its judge. */
uint64_t sw_watch_unsearched(const struct sw_watch *w);

/** Was the packet refused, whoever would answer it with a reset? */
bool sw_judgement_refused(const struct sw_judgement *jm);
/** Was it answered by a cookie, or proven, or a cookie of ours? */
bool sw_judgement_accepted(const struct sw_judgement *jm);
/** The reason, or "-" where no decision was made. */
const char *sw_judgement_reason(const struct sw_judgement *jm);

#endif
