/* SPDX-License-Identifier: MIT */
/*
 * The system calls of a running synward.  Everything else fails with EPERM, and the kernel logs it
 * (audit type 1326), so that a call that is missing here shows.
 */
#ifndef SW_OPS_SECCOMP_H
#define SW_OPS_SECCOMP_H

#include "core/types.h"

struct sw_seccomp_config {
	bool reload;   /* listeners may be opened: BPF programs, a network namespace, a child */
	/* A program may be executed: only what neither such a program nor a reload needs is
	 * refused. */
	bool commands;
};

/**
 * Install the filter in all threads of the process and for all that it starts.  Sets "no new
 * privileges".
 *
 * @param err  On failure one line.
 * @return 0 or -errno.
 */
SW_MUST int sw_seccomp_install(const struct sw_seccomp_config *cf, char *err, size_t errlen);

/** @return false in a build with sanitizers, which make system calls of their own: there
 *  sw_seccomp_install() does nothing. */
SW_MUST bool sw_seccomp_available(void);

#endif
