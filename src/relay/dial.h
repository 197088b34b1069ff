/* SPDX-License-Identifier: MIT */
/* Inside the relay: sockets on their way to a server. */
#ifndef SW_RELAY_DIAL_H
#define SW_RELAY_DIAL_H

#include "relay/pool.h"

/** What came of it. */
struct sw_dialled {
	int fd;			     /* on success; the caller's */
	enum sw_relay_dial_fail why; /* on failure */
};

/**
 * Open a socket and start to connect it.
 *
 * @param client  Connect from this address; NULL: from this host's.
 * @return 0 or -errno.
 */
SW_MUST int sw_dial(const struct sw_server *s, const union sw_sockaddr *client,
		    struct sw_dialled *out);

/** @return what sort of failure an errno from connecting is. */
enum sw_relay_dial_fail sw_dial_fail_of(int err);

/** Close with a reset instead of a FIN. */
void sw_reset_close(int fd);

/** No delay, and probes that find a dead peer: after 60 s of silence, 5 of them, 10 s apart.
 *  Sockets that are not TCP are left alone. */
void sw_tune(int fd);

#endif
