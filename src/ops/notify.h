/* SPDX-License-Identifier: MIT */
#ifndef SW_OPS_NOTIFY_H
#define SW_OPS_NOTIFY_H

#include "core/types.h"

/**
 * Tell the service manager a state: "READY=1", "STOPPING=1", several joined by newlines.
 *
 * @return 1 when sent, 0 when nobody asked ($NOTIFY_SOCKET is not set), or -errno.
 */
int sw_notify(const char *state);

#endif
