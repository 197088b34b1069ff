/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The counters that sink.bpf.c and sink.c share. */
#ifndef BENCH_SINK_H
#define BENCH_SINK_H

enum {
	SINK_SYNACK, /* SYN-ACKs that acknowledge what was sent */
	SINK_WRONG,  /* SYN-ACKs that do not */
	SINK_RST,
	SINK_OTHER,
	SINK_N
};

#endif
