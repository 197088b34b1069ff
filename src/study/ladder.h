/* SPDX-License-Identifier: MIT */
/* One connection as text: client, wire and server, a line per packet. */
#ifndef SW_STUDY_LADDER_H
#define SW_STUDY_LADDER_H

#include "study/flow.h"

#include <stdio.h>

#define SW_LANE_TEXT 128

/** How a report looks and what it shows. */
struct sw_look {
	bool color; /* ECMA-48 colours */
	bool keyed; /* a key was given: the core's proof instead of the layout */
};

/** Write the head and the ladder of a connection. */
void sw_ladder_text(FILE *out, const struct sw_flow *flow, const struct sw_look *look);

/* The pieces, which the HTML page has too.  All return @out. */

/** "closed, four-way, the client first; TIME_WAIT at the client". */
const char *sw_ladder_ending(const struct sw_flow *flow, char out[SW_LANE_TEXT * 2]);
/** "SYN, seq 0", "PSH, ACK, seq 1, ack 1, 100 bytes". */
const char *sw_ladder_label(const struct sw_rung *row, char out[SW_LANE_TEXT]);
/** "12 segments, 1.2 KiB from the client; 3 segments from the server". */
const char *sw_ladder_fold(const struct sw_rung *row, char out[SW_LANE_TEXT]);
/** What is special about a packet: options of a SYN, marks, window. */
const char *sw_ladder_note(const struct sw_flow *flow, const struct sw_rung *row,
			   char out[SW_LANE_TEXT * 3]);

#endif
