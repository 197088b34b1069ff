/* SPDX-License-Identifier: MIT */
/* What the loaders of the BPF programs have in common. */
#ifndef SW_STEER_BPFUTIL_H
#define SW_STEER_BPFUTIL_H

#include "bpf/abi.h"
#include "core/decide.h"

#include <bpf/libbpf.h>

#define SW_TCX_INGRESS 46 /* BPF_TCX_INGRESS, uapi headers of Linux 6.6 */

/** @return the clock that programs read by bpf_ktime_get_ns(). */
sw_mono sw_bpf_mono(void);

/** Silence libbpf.  @return the print function to restore with libbpf_set_print(). */
libbpf_print_fn_t sw_bpf_quiet(void);

/**
 * Say what failed and what to do.
 *
 * @param rc  -errno.
 * @return @rc, with what stands for a missing capability as -EPERM and for a missing kernel
 *         feature as -ENOTSUP.
 */
SW_MUST int sw_bpf_explain(int rc, const char *what, char *err, size_t errlen);

/** @return whether a guard is for every address of its family. */
SW_MUST bool sw_bpf_have_any(const struct sw_guard *guard, size_t n);

/**
 * @param name  A function of the kernel that BPF programs call.
 * @return whether the running kernel has it (and BTF, which tells).
 */
SW_MUST bool sw_bpf_have_kfunc(const char *name);

/** @return a guard's key in the maps, with another port. */
struct sw_bpf_guard sw_bpf_guard_key(const struct sw_guard *g, uint16_t port);

/** Write a guard of a listener into a map, or take it out.  @return 0 or -errno. */
SW_MUST int sw_bpf_guard(int map_fd, const struct sw_guard *g, unsigned listener, bool on);

/** Write the guards of a listener into a map.  @return 0 or -errno. */
SW_MUST int sw_bpf_fill_guards(int map_fd, const struct sw_guard *guard, size_t n,
			       unsigned listener);

/** Write their addresses once more, with port 0.  @return 0 or -errno. */
SW_MUST int sw_bpf_fill_addresses(int map_fd, const struct sw_guard *guard, size_t n,
				  unsigned listener);

/** Add the elements @first and following of a per-CPU array of counters, summed over the CPUs. */
void sw_bpf_count(int map_fd, uint32_t first, uint64_t why[SW_NWHY]);

#endif
