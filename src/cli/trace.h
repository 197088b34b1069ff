/* SPDX-License-Identifier: MIT */
/* The parts of synward trace: its command line, and what it writes. */
#ifndef SW_CLI_TRACE_H
#define SW_CLI_TRACE_H

#include "study/pcapng.h"
#include "study/watch.h"

#define SW_TRACE_FILTER 3000 /* bytes */

/** The command line.  Texts are borrowed from argv. */
struct sw_trace_args {
	const char *iface, *read, *write, *key_file;
	char filter[SW_TRACE_FILTER];
	enum sw_mac_alg alg;
	struct sw_policy policy; /* the guards only */
	unsigned count;		 /* 0 for no end */
	bool help, drop, accept;
	bool some_reasons, reason[SW_NWHY];
};

/** @param a  Zero; filled in.  @return an exit code, after a line on stderr when it is not 0. */
SW_MUST int sw_trace_args_read(struct sw_trace_args *a, int argc, char **argv);

/** Where the packets that are shown go. */
struct sw_trace_out {
	bool pcapng;	      /* else lines */
	bool colour;	      /* lines only */
	struct sw_pcapng file; /* pcapng only */
	FILE *stream;	      /* owned, unless it is stdout */
	uint32_t iface;
	const char *path; /* for errors; borrowed */
};

/**
 * @param path  NULL: lines to standard output; "-": pcapng to standard output; else a file.
 * @return 0 or -errno.
 */
SW_MUST int sw_trace_out_open(struct sw_trace_out *o, const char *path);

/** The head of a pcapng file; nothing for lines.  @return 0 or -errno. */
SW_MUST int sw_trace_out_begin(struct sw_trace_out *o, const struct sw_capture *c,
			       const char *source, const char *filter, const char *comment);

/** @return 0 or -errno. */
SW_MUST int sw_trace_out_packet(struct sw_trace_out *o, const struct sw_packet *p,
				const struct sw_judgement *jm, enum sw_way way);

/** Let the reader see what was written.  @return 0 or -errno. */
SW_MUST int sw_trace_out_flush(struct sw_trace_out *o);

/** @param at  Time of the last packet.  @return 0 or -errno. */
SW_MUST int sw_trace_out_end(struct sw_trace_out *o, const struct sw_capture_stats *st, sw_wall at);

#endif
