/* SPDX-License-Identifier: MIT */
#include "steer/bpfutil.h"
#include "bpf/abi.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

_Static_assert(SW_BPF_MAX_GUARDS == SW_MAX_GUARDS, "every guard fits the map");

sw_mono sw_bpf_mono(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (sw_mono){ (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec };
}

static int quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	(void)level;
	(void)fmt;
	(void)ap;
	return 0;
}

libbpf_print_fn_t sw_bpf_quiet(void)
{
	return libbpf_set_print(quiet);
}

int sw_bpf_explain(int rc, const char *what, char *err, size_t errlen)
{
	switch (rc) {
	case -EPERM:
	case -EACCES:
		snprintf(err, errlen,
			 "cannot %s: %s; needs CAP_BPF and CAP_NET_ADMIN, for XDP also CAP_PERFMON",
			 what, strerror(-rc));
		return -EPERM;
	case -EINVAL:
	case -EOPNOTSUPP:
	case -ENOSYS:
		snprintf(err, errlen,
			 "cannot %s: %s; the kernel must be 5.10 or newer with CONFIG_BPF_SYSCALL "
			 "and CONFIG_NET_CLS_BPF or, from 6.6, CONFIG_NET_XGRESS",
			 what, strerror(-rc));
		return -ENOTSUP;
	default:
		snprintf(err, errlen, "cannot %s: %s", what, strerror(-rc));
		return rc;
	}
}

bool sw_bpf_have_any(const struct sw_guard *guard, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (guard[i].any)
			return true;
	return false;
}

bool sw_bpf_have_kfunc(const char *name)
{
	struct btf *btf = btf__load_vmlinux_btf();
	const bool found = btf && btf__find_by_name_kind(btf, name, BTF_KIND_FUNC) > 0;

	btf__free(btf);
	return found;
}

struct sw_bpf_guard sw_bpf_guard_key(const struct sw_guard *g, uint16_t port)
{
	struct sw_bpf_guard key = { .family = (__u8)g->family, .any = g->any, .port = htons(port) };

	if (!g->any)
		memcpy(key.addr, g->addr.b, sizeof(key.addr));
	return key;
}

static int fill(int map_fd, const struct sw_guard *g, uint16_t port, unsigned listener)
{
	const struct sw_bpf_guard key = sw_bpf_guard_key(g, port);
	const struct sw_bpf_guarded value = { .listener = listener };

	return bpf_map_update_elem(map_fd, &key, &value, BPF_ANY) ? -errno : 0;
}

int sw_bpf_guard(int map_fd, const struct sw_guard *g, unsigned listener, bool on)
{
	const struct sw_bpf_guard key = sw_bpf_guard_key(g, g->port);

	if (on) {
		const int rc = fill(map_fd, g, 0, listener); /* for what shows no ports; stays */

		return rc ? rc : fill(map_fd, g, g->port, listener);
	}
	return bpf_map_delete_elem(map_fd, &key) && errno != ENOENT ? -errno : 0;
}

int sw_bpf_fill_guards(int map_fd, const struct sw_guard *guard, size_t n, unsigned listener)
{
	int rc = 0;

	for (size_t i = 0; i < n && !rc; i++)
		rc = fill(map_fd, &guard[i], guard[i].port, listener);
	return rc;
}

int sw_bpf_fill_addresses(int map_fd, const struct sw_guard *guard, size_t n, unsigned listener)
{
	int rc = 0;

	for (size_t i = 0; i < n && !rc; i++)
		rc = fill(map_fd, &guard[i], 0, listener);
	return rc;
}

void sw_bpf_count(int map_fd, uint32_t first, uint64_t why[SW_NWHY])
{
	const int ncpu = libbpf_num_possible_cpus();
	__u64 *cpu = ncpu > 0 ? calloc((size_t)ncpu, sizeof(*cpu)) : NULL;

	for (__u32 i = 0; cpu && i < SW_NWHY; i++) {
		const __u32 row = first + i;

		if (!bpf_map_lookup_elem(map_fd, &row, cpu))
			for (int c = 0; c < ncpu; c++)
				why[i] += cpu[c];
	}
	free(cpu);
}
