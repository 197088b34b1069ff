/* SPDX-License-Identifier: MIT */
#ifndef SW_HANDOFF_TIMEWAIT_H
#define SW_HANDOFF_TIMEWAIT_H

#include "core/wire.h"

/**
 * End the TIME_WAIT state of the connection that @ack names, so that a client may open it anew.
 * The kernel's own listener does the same for a SYN (RFC 9293 3.10.7.4, RFC 6191); connect() does
 * so only when the old connection had timestamps (tcp_twsk_unique()).
 *
 * @return 0; -ENOENT when there is no such socket; -EEXIST when it is in another state, which is
 *         left alone; -EOPNOTSUPP when the kernel cannot (CONFIG_INET_DIAG_DESTROY, and for this
 *         state Linux 6.5 or so); or another -errno.
 */
SW_MUST int sw_timewait_end(const struct sw_seg *ack, unsigned ifindex);

#endif
