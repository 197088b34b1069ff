/* SPDX-License-Identifier: MIT */
/* The two comments of a packet: a sentence for people, facts for machines. */
#ifndef SW_STUDY_ANNOTATE_H
#define SW_STUDY_ANNOTATE_H

#include "study/flow.h"
#include "study/judge.h"

#define SW_COMMENT_MAX 1024

struct sw_comment {
	char sentence[SW_COMMENT_MAX], facts[SW_COMMENT_MAX];
};

/** @param jm  The core's judgement; NULL for a packet of an established connection. */
void sw_annotate(struct sw_comment *out, const struct sw_flow *flow, const struct sw_track_in *in,
		 const struct sw_track_out *tr, const struct sw_judgement *jm);

/** A frame that the core's parser refused. */
void sw_annotate_refused(struct sw_comment *out, enum sw_why why);

#endif
