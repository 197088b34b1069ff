/* SPDX-License-Identifier: MIT */
#ifndef SW_STUDY_XDP_H
#define SW_STUDY_XDP_H

#include "core/types.h"

/**
 * Does an XDP program stand in front of an interface?  What it answers or drops never reaches a
 * capture on this host.
 *
 * @return false also when the kernel does not say.
 */
SW_MUST bool sw_xdp_in_front(const char *iface);

#endif
