/* SPDX-License-Identifier: MIT */
/*
 * Explains a capture: reads it once, follows its connections, asks the core about each packet of
 * a handshake, and writes what it found as text, JSON, HTML and an annotated pcapng file.
 * Memory is bounded by the capacity of the flow table, whatever the size of the capture.
 */
#ifndef SW_STUDY_EXPLAIN_H
#define SW_STUDY_EXPLAIN_H

#include "study/capture.h"
#include "study/judge.h"
#include "study/ladder.h"
#include "study/summary.h"

#define SW_EXPLAIN_LADDERS 100 /* connections drawn unless told otherwise */
/*
 * Refused ACKs whose neighbours are searched: a second of the capture, so that a flood does not
 * use up the whole, and in all, so that a file whose clock runs fast costs no more.
 */
#define SW_EXPLAIN_SEARCHES	20
#define SW_EXPLAIN_SEARCHES_MAX 10000

struct sw_explain_config {
	const char *name; /* of the capture, for reports; borrowed */
	size_t flows;	  /* capacity of the flow table, see sw_flows_new() */
	uint64_t seed;	  /* random */
	uint64_t ladders; /* connections drawn at most; JSON has all */
	bool all; /* draw and list what a flood's target never completed, too */
	uint32_t outcomes, findings, closes; /* draw only these; all zero: no choice was made */
	const struct sw_masters *masters;    /* copied; NULL for none */
	enum sw_mac_alg alg;
	bool color;
	/* Where to; NULL for not at all.  Borrowed. */
	FILE *text, *json, *html, *pcapng;
	/** Called now and then while reading; NULL for never. */
	void (*progress)(const struct sw_capture *c, uint64_t packets, void *arg);
	void *arg;
};

struct sw_explain_result {
	uint64_t packets, segments, flows;
	uint64_t drawn, undrawn; /* connections with a ladder; that would have had one */
	uint64_t collapsed; /* connections that are only in the counts */
	uint64_t unsearched; /* refused packets with the plain reason: SW_EXPLAIN_SEARCHES */
	bool damaged;	    /* the capture could not be read to its end: ->err */
	char err[SW_CAPTURE_ERR];
};

/**
 * Read @c to its end and write everything.
 *
 * @param out  Written in full, also on failure.
 * @return 0, also for a damaged capture, of which the readable part is explained; -EINTR after
 *         sw_capture_break(), likewise; -ENOMEM; -EIO for libcrypto; or what a write said.
 */
SW_MUST int sw_explain(struct sw_capture *c, const struct sw_explain_config *cf,
		       struct sw_explain_result *out);

#endif
