/* SPDX-License-Identifier: MIT */
/*
 * Transparent mode: a program at TC ingress gives proven handshakes to the kernel's own listeners.
 * Needs the XDP answerer in front of it, whose keys and settings it shares (steer/xdp.h).
 */
#ifndef SW_STEER_ASSIGN_H
#define SW_STEER_ASSIGN_H

#include "steer/answer.h"

/**
 * Load the program and attach it to the interface, unless it is there already.  It goes with the
 * last listener of the interface that uses BPF.
 *
 * @param answer  Opened with transparent set.
 * @return 0 or -errno with a line in @err: -ENOTSUP where bpf_sk_assign_tcp_reqsk() is missing
 *         (before Linux 6.9), -EPERM.
 */
SW_MUST int sw_assign_attach(struct sw_answer *answer, char *err, size_t errlen);

/**
 * @param kfunc  A function of the kernel that BPF programs call.
 * @return 0, or -ENOTSUP with a line in @err that says what --transparent needs.
 */
SW_MUST int sw_assign_need(const char *kfunc, char *err, size_t errlen);

#endif
