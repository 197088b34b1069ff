/* SPDX-License-Identifier: MIT */
#ifndef SW_CORE_BUDGET_H
#define SW_CORE_BUDGET_H

#include "core/types.h"

/** A token bucket.  One owner, no lock.  rate 0 never grants. */
struct sw_budget {
	uint32_t rate;  /* grants a second */
	uint32_t burst; /* most that can be saved up */
	uint64_t credit_ns; /* saved time, one grant costs 1e9 / rate */
	sw_mono last;
};

/** @return true and take one grant, or false when the bucket is empty at @now. */
SW_MUST bool sw_budget_take(struct sw_budget *b, sw_mono now);

/** Start with a full bucket. */
void sw_budget_init(struct sw_budget *b, uint32_t rate, uint32_t burst, sw_mono now);

#endif
