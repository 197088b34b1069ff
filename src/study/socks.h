/* SPDX-License-Identifier: MIT */
#ifndef SW_STUDY_SOCKS_H
#define SW_STUDY_SOCKS_H

#include "core/wire.h"

/** Asks the kernel which connections it has, as the steering program does for each packet. */
struct sw_socks;

/** @return 0 or -errno.  Needs no privilege. */
SW_MUST int sw_socks_open(struct sw_socks **out);
/** NULL is allowed. */
void sw_socks_close(struct sw_socks *s);

/**
 * Is there a socket for a segment that comes in, other than a listener or one in TIME_WAIT?
 * The answer is of the moment of the call, not of the capture.
 *
 * @param s  NULL: no.
 * @return false also when the kernel cannot be asked.
 */
SW_MUST bool sw_socks_has(struct sw_socks *s, const struct sw_seg *seg);

#endif
