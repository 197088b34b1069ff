/* SPDX-License-Identifier: MIT */
/* The command line of bench_gen. */
#ifndef BENCH_GEN_OPTIONS_H
#define BENCH_GEN_OPTIONS_H

#include "../flood.h"

#include <stdbool.h>
#include <stdint.h>

#define GEN_MAX_SECONDS 600

struct gen_options {
	struct flood_cfg cf; /* all but ifindex */
	const char *interface;
	uint64_t seconds;
	bool xdp; /* the engine: live frames, not a packet socket */
	bool json;
};

/** Says what is wrong and exits with 2 when the command line is. */
void gen_options_parse(struct gen_options *o, int argc, char **argv);

/** The name of a kind as the command line has it. */
const char *gen_kind_name(uint32_t kind);

#endif
