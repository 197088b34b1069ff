/* SPDX-License-Identifier: MIT */
/*
 * The BPF programs of one interface: one at XDP, and for transparent listeners one at TC.  An
 * interface takes one XDP program only, so the listeners of this process share it: each has an
 * index, and with it its own guards, settings, keys and counters.  Functions may be called from
 * several threads.
 */
#ifndef SW_STEER_XDP_H
#define SW_STEER_XDP_H

#include "bpf/abi.h"
#include "core/decide.h"

struct sw_xdp;

/** How an XDP program sits on its interface. */
enum sw_xdp_mode { SW_XDP_NATIVE, SW_XDP_GENERIC };

/**
 * Become a listener of an interface; the first one loads the program.
 *
 * @param ifindex  0: no interface.  The program is loaded for this call alone, to be tested.
 * @param index    Out: the listener's index.
 * @return 0 or -errno with a line in @err: -EPERM, -ENOTSUP, -ENOSPC (SW_BPF_LISTENERS are there).
 */
SW_MUST int sw_xdp_join(struct sw_xdp **out, unsigned *index, unsigned ifindex, char *err,
			size_t errlen);

/**
 * One more index for a listener that is there already.
 *
 * @return 0, or -ENOSPC.
 */
SW_MUST int sw_xdp_join_again(struct sw_xdp *x, unsigned *index);

/** Forget the listener's guards and keys; the last one detaches and unloads.  NULL is allowed. */
void sw_xdp_leave(struct sw_xdp *x, unsigned index);

/**
 * Guard these addresses for listener @index.  Those that another listener of the interface guards
 * become this one's.
 *
 * @param addresses  Guard against what has no ports to look at, too.
 * @return 0 or -errno with a line in @err.
 */
SW_MUST int sw_xdp_guard(struct sw_xdp *x, unsigned index, const struct sw_guard *guard, size_t n,
			 bool addresses, char *err, size_t errlen);

/** Stop guarding an address, unless another listener of the interface has taken it.  @return 0 or
 *  -errno. */
SW_MUST int sw_xdp_unguard(struct sw_xdp *x, unsigned index, const struct sw_guard *guard);

/** Attach the XDP program unless it is: native, or generic where the driver cannot.  The link ends
 *  with the process.  @return 0; -EBUSY when another program is there, which is named in @err;
 *  or another -errno. */
SW_MUST int sw_xdp_attach(struct sw_xdp *x, char *err, size_t errlen);

/** Load and attach the TC program of transparent mode unless it is.  It goes with the last
 *  listener.  @return 0 or -errno with a line in @err. */
SW_MUST int sw_xdp_attach_tc(struct sw_xdp *x, char *err, size_t errlen);

/** @return 0 or -errno. */
SW_MUST int sw_xdp_put_settings(struct sw_xdp *x, unsigned index, const struct sw_bpf_settings *s);
/** @param slot  Below SW_BPF_KEYS.  @return 0 or -errno. */
SW_MUST int sw_xdp_put_key(struct sw_xdp *x, unsigned index, uint32_t slot,
			   const struct sw_bpf_key *key);

/** Correct the clock, look at the interface's MAC address, keep the known flows fresh.  Call every
 *  second; several listeners may.  @return 0 or -errno. */
SW_MUST int sw_xdp_tick(struct sw_xdp *x, sw_wall wall, sw_mono mono);

enum sw_xdp_mode sw_xdp_mode(const struct sw_xdp *x);
/** @return whether the program sees VLAN tags that the driver takes out of frames. */
bool sw_xdp_sees_tags(const struct sw_xdp *x);
/** Add the counters of listener @index at XDP, or at TC. */
void sw_xdp_count(const struct sw_xdp *x, unsigned index, uint64_t why[SW_NWHY]);
void sw_xdp_count_tc(const struct sw_xdp *x, unsigned index, uint64_t why[SW_NWHY]);
/** @return the XDP program, for BPF_PROG_TEST_RUN.  Borrowed. */
int sw_xdp_prog_fd(const struct sw_xdp *x);

#endif
