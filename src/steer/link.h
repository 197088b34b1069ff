/* SPDX-License-Identifier: MIT */
#ifndef SW_STEER_LINK_H
#define SW_STEER_LINK_H

#include "core/types.h"

/**
 * Make a veth pair.  Both ends take frames of up to 65,535 bytes and are down.
 *
 * @param near, far  Names.  @param netns_fd  Where the far end goes.
 * @return 0 or -errno: -EEXIST when a name is taken, -EOPNOTSUPP without veth in the kernel,
 *         -EPERM without CAP_NET_ADMIN.
 */
SW_MUST int sw_link_veth(const char *near, const char *far, int netns_fd);

/**
 * No IPv6 link-local address for an interface: it must not speak of its own accord.
 *
 * @return 0 or -errno: -EAFNOSUPPORT where IPv6 is off, which is as good.
 */
SW_MUST int sw_link_silence(unsigned ifindex);

/**
 * @return 1 when an interface sends, 0 when not yet: an end of a veth pair that came up first drops
 *         everything until the kernel has noticed the carrier (net/core/link_watch.c); or -errno.
 */
SW_MUST int sw_link_sends(unsigned ifindex);

/** Remove an interface of the caller's namespace.  @return 0 or -errno. */
int sw_link_delete(unsigned ifindex);

/** @return 1 when the interface's clsact qdisc holds any filter, 0 when none, or -errno. */
SW_MUST int sw_link_has_filters(unsigned ifindex);

/** What a guarded interface is like. */
struct sw_link_info {
	unsigned ifindex;
	unsigned mtu; /* bytes of IP packet */
	bool up, loopback, ethernet;
	uint8_t mac[6]; /* zero on the loopback */
};

/** @return 0 and the MAC address an interface has now, or -errno; @mac is unchanged on failure. */
SW_MUST int sw_link_mac(unsigned ifindex, uint8_t mac[6]);

/** @return 0, -ENODEV or another -errno; @out is unchanged on failure. */
SW_MUST int sw_link_info(const char *name, struct sw_link_info *out);

/** Set an interface of the calling thread's namespace up.  @return its index or -errno. */
SW_MUST int sw_link_up(const char *name);

#endif
