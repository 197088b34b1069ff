/* SPDX-License-Identifier: MIT */
/* Connecting to a server from the client's own address (IP_TRANSPARENT). */
#ifndef SW_RELAY_SOURCE_H
#define SW_RELAY_SOURCE_H

#include "relay/access.h"

/** @return 0 when this process may use addresses that are not this host's, else -errno: -EPERM
 *  without CAP_NET_RAW and CAP_NET_ADMIN. */
SW_MUST int sw_source_allowed(void);

/** The client's address in the family it belongs to: IPv4-mapped IPv6 becomes IPv4. */
union sw_sockaddr sw_source_of(const union sw_sockaddr *client);

/**
 * Bind a fresh TCP socket of the client's family to its address, and to its port if @keep_port; the
 * kernel chooses another one where the port is taken, or needs a capability that is missing.
 *
 * @param kept  Out: the socket has the client's port.
 * @return 0 or -errno.
 */
SW_MUST int sw_source_bind(int fd, const union sw_sockaddr *client, bool keep_port, bool *kept);

#endif
