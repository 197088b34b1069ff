/* SPDX-License-Identifier: MIT */
/* Numbers as people read them. */
#ifndef SW_OPS_HUMAN_H
#define SW_OPS_HUMAN_H

#include "core/types.h"

/** "182k", "34.1M", "7902": three or four digits that mean something.  @return @out. */
const char *sw_short_number(uint64_t n, char out[16]);
/** "3m12s", "850ms", "2h05m".  @return @out. */
const char *sw_short_time(uint64_t ns, char out[16]);
/** "0.31ms", "12ms", "1.2s".  @return @out. */
const char *sw_short_latency(double seconds, char out[16]);

#endif
