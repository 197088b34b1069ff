/* SPDX-License-Identifier: MIT */
/*
 * The private veth pair between the guarded interface and the front end.
 *
 * One end is in the caller's network namespace, the far end in a namespace of its own that lives
 * as long as the packet sockets made in it: when they are closed, be it by SIGKILL, the kernel
 * removes the namespace and with it both ends.
 */
#ifndef SW_STEER_PAIR_H
#define SW_STEER_PAIR_H

#include "core/types.h"

#define SW_PAIR_MAX_SOCKETS 64

struct sw_pair {
	char name[16];     /* of the near end */
	unsigned ifindex;  /* of the near end */
	unsigned far_ifindex;
	int fd[SW_PAIR_MAX_SOCKETS]; /* owned: AF_PACKET sockets of the far namespace, or -1 */
	size_t nfd;
	bool drops; /* what those sockets have seen goes no further (TCX) */
};

/**
 * Make the pair, both ends up, and @n unbound AF_PACKET sockets in the far namespace.
 * Needs CAP_NET_ADMIN and CAP_NET_RAW, and CAP_SYS_ADMIN or user namespaces.
 *
 * @param err  Out: one line about the failure.
 * @return 0 or -errno; nothing is left behind on failure.
 */
SW_MUST int sw_pair_open(struct sw_pair *p, size_t n, char *err, size_t errlen);

/** Remove the pair and close the sockets that were not taken.  Allowed after a failed open. */
void sw_pair_close(struct sw_pair *p);

/** Hand over socket @i: it is now the caller's to close. */
SW_MUST int sw_pair_take(struct sw_pair *p, size_t i);

#endif
