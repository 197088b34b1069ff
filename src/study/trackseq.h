/* SPDX-License-Identifier: MIT */
/* The sequence numbers of one connection: what is new, what came again, what was overtaken. */
#ifndef SW_STUDY_TRACKSEQ_H
#define SW_STUDY_TRACKSEQ_H

#include "study/track.h"

/** @return true when @a comes before @b, modulo 2^32 (RFC 9293 3.4). */
static inline bool sw_seq_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

/**
 * Remember @in's identity.
 *
 * @return true when the very same packet was seen before.  The IPv4 identification tells.  Without
 *         one, the headers of a segment that takes sequence numbers do, if it comes sooner than a
 *         retransmission could.
 */
bool sw_seq_is_copy(struct sw_track *t, const struct sw_track_in *in);

/**
 * @return true when its sequence or ACK number is farther from what was seen than any window is
 *         wide: a segment of no use to its receiver, which changes nothing.
 */
bool sw_seq_is_outside(const struct sw_track *t, const struct sw_track_in *in);

/**
 * Follow sequence and acknowledgement numbers of a segment that is no reset.
 *
 * @param marks  What is known about it already: SYNs that came again are not counted twice.
 * @return further SW_MARK_*.
 */
uint32_t sw_seq_follow(struct sw_track *t, const struct sw_track_in *in, uint32_t marks);

#endif
