/* SPDX-License-Identifier: MIT */
/* Whether a server gets connections: decided by checks, or, without checks, by what connections
 * met.  Pure: times are arguments, in milliseconds of any clock that is never 0. */
#ifndef SW_RELAY_HEALTH_H
#define SW_RELAY_HEALTH_H

#include "core/types.h"

#define SW_HEALTH_PAUSE_MS                                                                         \
	1000 /* a failed server without checks gets one connection in this time */

/** Zero every field that is not set: zero means the default, but no checks for the interval. */
struct sw_health_config {
	unsigned interval_ms; /* from one check's end to the next one's start; 0: no checks */
	unsigned timeout_ms;  /* for one check; 0: 1000 */
	unsigned rise;	      /* checks in a row that bring a server back; 0: 2 */
	unsigned fall;	      /* failed checks in a row that take it out; 0: 3 */
};

/** All zero: up, and nothing known. */
struct sw_health {
	bool down;
	unsigned run;	   /* results in a row that speak against the state */
	uint64_t again_ms; /* without checks: when a server that is down may be tried again */
};

/** @cf with its defaults. */
struct sw_health_config sw_health_defaults(struct sw_health_config cf);

/** What a result did to the state. */
enum sw_health_change { SW_HEALTH_SAME, SW_HEALTH_ROSE, SW_HEALTH_FELL };

/** A check ended.  @param cf  From sw_health_defaults(). */
SW_MUST enum sw_health_change sw_health_checked(struct sw_health *h,
						const struct sw_health_config *cf, bool passed);

/** A connection reached the server, or could not.  With checks this changes nothing: they decide.
 */
SW_MUST enum sw_health_change sw_health_met(struct sw_health *h, const struct sw_health_config *cf,
					    bool reached, uint64_t now_ms);

/**
 * May a connection go there, others being up?  One that is down and has no checks says yes once in
 * SW_HEALTH_PAUSE_MS; the caller that takes it calls sw_health_take().
 */
SW_MUST bool sw_health_may(const struct sw_health *h, const struct sw_health_config *cf,
			   uint64_t now_ms);

/** A connection goes there. */
void sw_health_take(struct sw_health *h, uint64_t now_ms);

#endif
