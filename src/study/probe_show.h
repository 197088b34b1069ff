/* SPDX-License-Identifier: MIT */
#ifndef SW_STUDY_PROBE_SHOW_H
#define SW_STUDY_PROBE_SHOW_H

#include "study/probe_run.h"

#include <stdio.h>

/** Beyond this many ports the text names only those that answered with a SYN-ACK. */
#define SW_PROBE_LIST_ALL 20

/** What was probed, and how. */
struct sw_probe_report {
	const char *host; /* as the user gave it */
	enum sw_family family;
	struct sw_addr src, dst;
	const struct sw_probe_port *ports;
	unsigned nports;
	bool samples; /* more than one SYN a port was asked for: judge the ISNs */
	bool full;
};

/** Print for people. */
void sw_probe_text(FILE *to, const struct sw_probe_report *report);

/** Print one JSON object and a newline.  @return false when there is no memory for it. */
SW_MUST bool sw_probe_json(FILE *to, const struct sw_probe_report *report);

#endif
