/* SPDX-License-Identifier: MIT */
/* What the two halves of bench_micro share: rows of the core, and of the BPF programs. */
#ifndef BENCH_MICRO_H
#define BENCH_MICRO_H

#include "core/decide.h"
#include "flood.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** What both answer by.  It guards nothing yet. */
extern const struct sw_policy micro_policy;

/** Do the step of @row @n times.  @return how many nanoseconds that took. */
typedef uint64_t micro_round(const void *row, uint64_t n);

/** @return ns for a step, in the best of several rounds. */
double micro_measure(micro_round *go, const void *row);
/** Print a row; with --baseline, the ratio to what it was. */
void micro_print(const char *name, double ns);

/** Write an Ethernet frame around @p, which has no payload.  @return its length. */
size_t micro_frame(uint8_t out[FLOOD_MAX], const struct flood_packet *p);

/** Measure the BPF programs of src/bpf and print their rows.  Ends the process on trouble. */
void micro_bpf(void);

#endif
