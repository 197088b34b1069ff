/* SPDX-License-Identifier: MIT */
/*
 * One guard per address and port: a claim is a listening abstract Unix socket whose name tells
 * what is guarded.  It is scoped to the network namespace and ends with its owner.  Who of this
 * process guards is another matter (listen/turnover.h).
 */
#ifndef SW_STEER_CLAIM_H
#define SW_STEER_CLAIM_H

#include "core/decide.h"

/**
 * Claim every guard on an interface.
 *
 * @param share  Claims of this process are no hindrance.
 * @param fd   Out: @n owned sockets, close them to give the claim up.  All -1 on failure.
 * @param err  Out: who has it.
 * @return 0, -EBUSY, or another -errno.
 */
SW_MUST int sw_claim(unsigned ifindex, const struct sw_guard *guard, size_t n, bool share, int *fd,
		     char *err, size_t errlen);

#endif
