/* SPDX-License-Identifier: MIT */
/*
 * Transparent mode: a program at TC ingress gives proven handshakes to the kernel's own listeners.
 * Needs the XDP answerer in front of it, whose keys and settings it shares.
 */
#ifndef SW_STEER_ASSIGN_H
#define SW_STEER_ASSIGN_H

#include "steer/answer.h"

struct sw_assign;

/**
 * Load and attach (TCX; the link ends with the process).
 *
 * @param answer  Opened with transparent set; lives longer.
 * @return 0 or -errno with a line in @err: -ENOTSUP where bpf_sk_assign_tcp_reqsk() is missing
 *         (before Linux 6.9), -EPERM, -EBUSY (another synward guards the same address and port).
 */
SW_MUST int sw_assign_open(struct sw_assign **out, const struct sw_answer *answer,
			   const struct sw_answer_config *cf, unsigned ifindex, char *err,
			   size_t errlen);
void sw_assign_close(struct sw_assign *as); /**< NULL is allowed. */

/**
 * @param kfunc  A function of the kernel that BPF programs call.
 * @return 0, or -ENOTSUP with a line in @err that says what --transparent needs.
 */
SW_MUST int sw_assign_need(const char *kfunc, char *err, size_t errlen);

/** Add the program's counters to @why. */
void sw_assign_count(const struct sw_assign *as, uint64_t why[SW_NWHY]);

#endif
