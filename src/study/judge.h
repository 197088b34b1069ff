/* SPDX-License-Identifier: MIT */
/*
 * What synward would do with a packet, and why, in words.  The verdict is sw_decide()'s: this
 * file sets up its context, calls it with the packet's own capture time as the clock, and puts the
 * outcome into a sentence.  No rule of the handshake is written here.
 */
#ifndef SW_STUDY_JUDGE_H
#define SW_STUDY_JUDGE_H

#include "core/decide.h"
#include "study/neighbour.h"
#include "study/words.h"

#define SW_SENTENCE_MAX 512 /* bytes of a sentence or of a line of facts, final zero included */

struct sw_judge;

struct sw_judge_config {
	const struct sw_masters *masters; /* copied; NULL: no key, so nothing is proven */
	enum sw_mac_alg alg;
	/*
	 * Copied; what this host offers and guards.  NULL: every option but ECN.  Without guards
	 * whatever the caller calls SW_WAY_IN is guarded.
	 */
	const struct sw_policy *policy;
	/*
	 * Refused ACKs that are looked into (study/neighbour.h): so many a second of the capture's
	 * clock, which whoever wrote the file has set, and so many in all; 0 for no end.
	 */
	uint32_t searches, searches_max;
	enum sw_effort effort;	/* how far each of them is */
};

/** Which way a packet goes. */
enum sw_way { SW_WAY_IN, SW_WAY_OUT }; /* to the server, from the server */

/** A packet to judge.  Everything is borrowed for the call. */
struct sw_case {
	const struct sw_frame *frame;
	sw_wall at;   /* capture time: the clock of the decision */
	enum sw_way way;
	bool socket;  /* the kernel had a socket for it: steering never shows it to the core */
	bool again;   /* the same frame as before, which the front end gave to the kernel */
	bool foreign; /* its SYN-ACK was seen, and was FOUND_FOREIGN: the key guards something else */
	sw_wall minted; /* when its SYN-ACK went out, if that was seen; else 0 */
};

enum sw_finding {
	SW_FOUND_DECISION, /* a packet to the server: ->decision is what synward does with it */
	SW_FOUND_NO_KEY,   /* the same, but its outcome hangs on a key that is not given */
	SW_FOUND_SOCKET,   /* the kernel's socket had it */
	SW_FOUND_AGAIN,	   /* a packet that was judged before, on its way into the kernel */
	SW_FOUND_OURS,	   /* a SYN-ACK whose ISN and TSval are a cookie of our key */
	SW_FOUND_FOREIGN,  /* a SYN-ACK that is not, or the ACK to it */
	SW_FOUND_ANSWER,   /* something else that the server sent */
	SW_FOUND_MALFORMED, /* no TCP segment that could be read; ->decision.why says what is wrong */
	SW_NFOUND
};

struct sw_judgement {
	enum sw_finding finding;
	struct sw_decision decision; /* FOUND_DECISION, FOUND_NO_KEY, FOUND_MALFORMED */
	struct sw_seg seg;	     /* all but FOUND_MALFORMED */
	bool has_cookie;	     /* ->cookie and ->terms are proven or minted with our key */
	struct sw_cookie cookie;
	struct sw_terms terms;
	char sentence[SW_SENTENCE_MAX]; /* for people, no full stop at the end */
	char facts[SW_SENTENCE_MAX];	/* for machines: "synward: verdict=reply reason=..." */
};

/** @param out  Written on success.  @return 0, -ENOMEM, or -EIO when libcrypto fails. */
SW_MUST int sw_judge_new(struct sw_judge **out, const struct sw_judge_config *cf);
/** NULL is allowed.  Wipes the keys. */
void sw_judge_free(struct sw_judge *j);

/**
 * Judge a packet.  The judge remembers proven cookies as a worker does, so packets go in in the
 * order in which they were captured; times may step back.
 */
void sw_judge_packet(struct sw_judge *j, const struct sw_case *c, struct sw_judgement *out);

/** @return how many packets were not looked into because the searches were used up. */
uint64_t sw_judge_unsearched(const struct sw_judge *j);

/**
 * One word for the line of facts: what sw_verdict_name() (study/words.h) says for a decision, else
 * "unproven", "socket", "again", "ours", "foreign", "answer" or "malformed".
 */
const char *sw_judgement_word(const struct sw_judgement *jm);

#endif
