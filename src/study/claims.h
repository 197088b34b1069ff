/* SPDX-License-Identifier: MIT */
#ifndef SW_STUDY_CLAIMS_H
#define SW_STUDY_CLAIMS_H

#include "core/decide.h"

#include <stdio.h>

/**
 * What programs with synward's library guard on an interface of this network namespace, as the
 * names of their claims say (steer/claim.h).
 *
 * @param iface  "any" for all of them.
 * @param out  Room for @max.
 * @return how many were found, at most @max; 0 also when the list cannot be read.
 */
size_t sw_claims(const char *iface, struct sw_guard *out, size_t max);

/** The same from an open list in the form of /proc/net/unix; @ifindex 0 for all interfaces. */
size_t sw_claims_read(FILE *list, unsigned ifindex, struct sw_guard *out, size_t max);

#endif
