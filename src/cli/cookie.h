/* SPDX-License-Identifier: MIT */
/* What synward cookie found out, for its two ways of printing. */
#ifndef SW_CLI_COOKIE_H
#define SW_CLI_COOKIE_H

#include "listen/keyfile.h"
#include "study/fields.h"
#include "study/judge.h"
#include "study/msgmap.h"

struct sw_cookie_report {
	bool mint; /* else check */
	/* what was given */
	struct sw_seg seg; /* the SYN, or the ACK */
	sw_wall at;
	enum sw_mac_alg alg;
	struct sw_keyfile keys;
	bool throw_away; /* the key was made for this call */
	struct sw_terms offer; /* mint */
	/* what came out */
	enum sw_why why; /* SYN_ANSWERED, ACK_PROVEN, or why not */
	char sentence[SW_SENTENCE_MAX];
	bool has_cookie; /* ->cookie is genuine; else it is what the ACK claims */
	struct sw_cookie cookie;
	struct sw_terms terms;
	bool has_wanted; /* a refused ACK: ->wanted is what it should have returned */
	struct sw_cookie wanted;
};

/** The client's ISN: of the SYN itself, or one below the ACK's sequence number. */
uint32_t sw_cookie_report_isn(const struct sw_cookie_report *r);

void sw_cookie_print(const struct sw_cookie_report *r);

/** @return false without memory. */
SW_MUST bool sw_cookie_print_json(const struct sw_cookie_report *r);

#endif
