/* SPDX-License-Identifier: MIT */
#include "study/annotate.h"

#include "study/tale.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void add(char out[SW_COMMENT_MAX], const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void add(char out[SW_COMMENT_MAX], const char *fmt, ...)
{
	const size_t n = strlen(out);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(out + n, SW_COMMENT_MAX - n, fmt, ap);
	va_end(ap);
}

static void sentence(char out[SW_COMMENT_MAX], const struct sw_track_in *in,
		     const struct sw_track_out *tr, const struct sw_judgement *jm)
{
	char flags[SW_TALE_FLAGS], marks[SW_MARKS_TEXT];

	add(out, "%s: %s", sw_end_name(in->from), sw_tale_flags(in->seg->flags, flags));
	if (in->seg->payload_len)
		add(out, ", %u bytes", in->seg->payload_len);
	if (*sw_marks_text(tr->marks, marks))
		add(out, "; %s", marks);
	if (jm)
		add(out, ". %s", jm->sentence);
}

void sw_annotate(struct sw_comment *out, const struct sw_flow *flow, const struct sw_track_in *in,
		 const struct sw_track_out *tr, const struct sw_judgement *jm)
{
	char marks[SW_MARKS_TEXT];

	out->sentence[0] = out->facts[0] = '\0';
	sentence(out->sentence, in, tr, jm);
	add(out->facts, "%s", jm ? jm->facts : "synward: verdict=socket reason=has_socket");
	add(out->facts, " connection=%llu end=%s seq=%u ack=%u len=%u",
	    (unsigned long long)flow->id, sw_end_name(in->from), tr->seq, tr->ack,
	    in->seg->payload_len);
	if (*sw_marks_names(tr->marks, marks))
		add(out->facts, " marks=%s", marks);
}

void sw_annotate_refused(struct sw_comment *out, enum sw_why why)
{
	snprintf(out->sentence, SW_COMMENT_MAX, "not followed: %s", sw_why_text(why));
	snprintf(out->facts, SW_COMMENT_MAX, "synward: verdict=drop reason=%s", sw_why_name(why));
}
