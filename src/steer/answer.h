/* SPDX-License-Identifier: MIT */
/*
 * The BPF answerer of one listener: SYNs are answered and segments without proof refused at XDP,
 * before the kernel makes anything of them.  docs/architecture.md, "The BPF answerer".
 *
 * The functions may be called from several threads, but for open and close.
 */
#ifndef SW_STEER_ANSWER_H
#define SW_STEER_ANSWER_H

#include "core/decide.h"
#include "steer/xdp.h"

struct sw_answer;

struct sw_answer_config {
	const struct sw_policy *policy;   /* copied, but for the guards */
	const struct sw_masters *masters; /* copied */
	enum sw_mac_alg alg;
	bool transparent; /* the kernel's listener gets the connections */
	unsigned ifindex; /* where it is to be attached; 0: nowhere, it is only tested */
};

/**
 * Load the program and give it its keys and settings.  Not attached yet, and nothing is guarded.
 *
 * @return 0 or -errno with a line in @err: -EPERM (capability), -ENOTSUP (kernel feature), -ENOSPC
 *         (too many listeners on the interface).
 */
SW_MUST int sw_answer_open(struct sw_answer **out, const struct sw_answer_config *cf, sw_wall wall,
			   sw_mono mono, char *err, size_t errlen);
/** Detach and unload, wipe the keys.  NULL is allowed. */
void sw_answer_close(struct sw_answer *a);

/**
 * Attach to the interface: native mode, or generic mode where the driver cannot.  The link ends
 * with the process.
 *
 * @return 0; -EBUSY when an XDP program is there already, which stays and is named in @err; or
 *         another -errno.
 */
SW_MUST int sw_answer_attach(struct sw_answer *a, char *err, size_t errlen);
/** @return how it is attached. */
enum sw_xdp_mode sw_answer_mode(const struct sw_answer *a);
/** @return whether it sees VLAN tags that the driver takes out of frames. */
bool sw_answer_sees_tags(const struct sw_answer *a);

/**
 * Begin to guard, or stop.  At once; what another listener of the interface guards becomes this
 * one's, and stopping leaves alone what another has taken.
 *
 * @return 0 or -errno.
 */
SW_MUST int sw_answer_guard(struct sw_answer *a, const struct sw_guard *guard, bool on);

/**
 * Correct the program's clock, and bring the keys of the epochs now-1 .. now+2 into place.  Call
 * every second: the keys are there a minute before they are needed, so a stall does no harm.
 *
 * @return 0 or -errno of the first map that could not be written.
 */
SW_MUST int sw_answer_tick(struct sw_answer *a, sw_wall wall, sw_mono mono);

/** @return milliseconds since the last sw_answer_tick() that succeeded. */
uint64_t sw_answer_age_ms(const struct sw_answer *a, sw_mono now);

/** Add the counters of the program at XDP, or of the one at TC, to @why. */
void sw_answer_count(struct sw_answer *a, uint64_t why[SW_NWHY]);
void sw_answer_count_tc(struct sw_answer *a, uint64_t why[SW_NWHY]);

/** From now on drop SYNs, or answer them again; cookies that are out stay good.  @return 0 or
 *  -errno. */
SW_MUST int sw_answer_drain(struct sw_answer *a, bool on);

/**
 * Go over to other master keys.  Each packet is judged by the old set or by the new one, by no
 * mixture.
 *
 * @return 0; or -errno, and the keys stay: -ENOSPC when the interface has SW_BPF_LISTENERS
 *         listeners, so that there is no room for a second set.
 */
SW_MUST int sw_answer_rekey(struct sw_answer *a, const struct sw_masters *masters, sw_wall wall);

/** @return the programs, for transparent mode.  Borrowed. */
struct sw_xdp *sw_answer_xdp(const struct sw_answer *a);

/** @return the program, for BPF_PROG_TEST_RUN.  Borrowed. */
int sw_answer_prog_fd(const struct sw_answer *a);

#endif
