/* SPDX-License-Identifier: MIT */
/* A snapshot as JSON: what /stats and /events send, and `status -j` prints. */
#ifndef SW_OPS_STATS_JSON_H
#define SW_OPS_STATS_JSON_H

#include "ops/snapshot.h"

/**
 * @param indent  Spaces a level; 0 for one line.
 * @return text that the caller frees with free(), or NULL without memory.
 */
char *sw_stats_json(const struct sw_snapshot *s, unsigned indent);

#endif
