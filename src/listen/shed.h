/* SPDX-License-Identifier: MIT */
#ifndef SW_LISTEN_SHED_H
#define SW_LISTEN_SHED_H

#include "core/types.h"

/** @return true on kernels before 5.19, where every use of a BPF map takes CAP_BPF while
 *  kernel.unprivileged_bpf_disabled is set. */
SW_MUST bool sw_maps_need_cap(void);

/** @return true where RLIMIT_RTPRIO is 0 and SCHED_FIFO takes CAP_SYS_NICE: raising it takes
 *  CAP_SYS_RESOURCE, which root in a container may lack. */
SW_MUST bool sw_first_needs_cap(void);

/**
 * What a packet thread needs, 1 << CAP_* for each: CAP_NET_ADMIN for TCP_REPAIR and for ending a
 * TIME_WAIT, CAP_NET_BIND_SERVICE to bind the repaired socket to a port below 1024, where
 * sw_maps_need_cap() CAP_BPF to renew the keys of BPF programs, and where sw_first_needs_cap()
 * CAP_SYS_NICE to come first on its core while it is overloaded (sw_thread_first() of worker.h).
 */
SW_MUST uint64_t sw_shed_keeps(void);

/**
 * Give up every capability of the calling thread but sw_shed_keeps(): capabilities belong to a
 * thread, and no other thread can take them away.  What the thread does not have it does not get.
 */
void sw_shed(void);

#endif
