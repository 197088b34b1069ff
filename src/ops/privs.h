/* SPDX-License-Identifier: MIT */
/*
 * Least privilege.  The user changes first, while there is one thread; the capabilities go when
 * everything that takes them is open.
 *
 *	sw_privs_prepare()   first of all: become the user, keep the capabilities
 *	                     ... key, sockets, listeners, threads ...
 *	sw_privs_drop()      everything is open; then READY=1
 */
#ifndef SW_OPS_PRIVS_H
#define SW_OPS_PRIVS_H

#include "core/types.h"

/** What decides how much is needed.  Zero every field that is not set. */
struct sw_privs_config {
	const char *user; /* become this user; NULL or "": stay who we are */
	bool relay;	  /* some listener relays: each handoff is a TCP_REPAIR */
	bool low_port;	  /* some relayed port is below 1024: the handoff binds to it */
	bool reload;	  /* listeners may be opened later: rings, BPF programs, namespaces */
	bool commands;	  /* a program may be executed: the flood command */
};

/**
 * The capabilities that are needed once everything is open.  Pure.
 *
 * @param maps_need_cap    sw_maps_need_cap() of listen/shed.h.
 * @param first_needs_cap  sw_first_needs_cap() of listen/shed.h.
 * @return 1 << CAP_* of linux/capability.h for each.
 */
SW_MUST uint64_t sw_privs_needed(const struct sw_privs_config *cf, bool maps_need_cap,
				 bool first_needs_cap);

/**
 * Call it before the first thread and before secrets are read.  The process becomes cf->user with
 * the capabilities that it has: what only root may read or make can still be read and made, and new
 * files belong to the user.  No new privileges by exec, no core dumps, no ptrace by processes of
 * the same user.
 *
 * @param err  On failure one line.  On success empty, or a line that warns.
 * @return 0, -EINVAL (no such user), -EPERM (not allowed to), or -errno.
 */
SW_MUST int sw_privs_prepare(const struct sw_privs_config *cf, char *err, size_t errlen);

/**
 * Give a directory or file that was there before to the user, so that it can be written to or
 * removed after sw_privs_drop().  Call it between the two.  Does nothing without cf->user.
 *
 * @return 0 or -errno with a line in @err.
 */
SW_MUST int sw_privs_own(const struct sw_privs_config *cf, const char *path, char *err,
			 size_t errlen);

/**
 * Give up every capability but sw_privs_needed(), and install the system call filter in all
 * threads.  Other threads must have given up theirs themselves (sw_shed() of listen/shed.h): this
 * waits up to a second for them and fails when one still holds more.
 *
 * @return 0, or -errno with a line in @err.  After a failure the process must end: it may be half
 *         way.
 */
SW_MUST int sw_privs_drop(const struct sw_privs_config *cf, char *err, size_t errlen);

/** May the process, as it is now, read this file?  For a warning after sw_privs_drop(). */
SW_MUST bool sw_privs_can_read(const char *path);

/** One thread's "CapEff:" and "CapPrm:" of /proc/PID/status, together.  Pure.
 *
 * @param bits  Out: 1 << CAP_* for each.  Written when true.
 * @return false when @status has not both.
 */
SW_MUST bool sw_privs_status(const char *status, uint64_t *bits);

#endif
