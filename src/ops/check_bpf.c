/* SPDX-License-Identifier: MIT */
/* What BPF can do here, and who else is on the hooks. */
#include "ops/checkup.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TCX_INGRESS 46 /* BPF_TCX_INGRESS, newer than the headers of Debian 12 */
#define MAX_PROGS   16

static int be_silent(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	(void)level, (void)fmt, (void)ap;
	return 0;
}

void sw_check_bpf(struct sw_checkup *cx)
{
	const libbpf_print_fn_t before = libbpf_set_print(be_silent);
	const int rc = libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_SCHED_CLS, NULL);

	libbpf_set_print(before);
	if (rc == 1)
		sw_found(cx, SW_FOUND_OK, NULL, "BPF programs for traffic control load");
	else if (!sw_has_cap(cx, SW_CAP_BPF) && !sw_has_cap(cx, SW_CAP_SYS_ADMIN))
		sw_found(cx, SW_FOUND_CAPABILITY, "give CAP_BPF and CAP_NET_ADMIN",
			 "BPF programs for traffic control are refused");
	else
		sw_found(cx, SW_FOUND_KERNEL,
			 "use a kernel with CONFIG_BPF_SYSCALL and "
			 "CONFIG_NET_CLS_BPF; containers may also filter bpf(2)",
			 "BPF programs for traffic control do not load: %s",
			 rc < 0 ? strerror(-rc) : "no such type");
}

static void name_of(uint32_t id, char out[BPF_OBJ_NAME_LEN])
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);
	const int fd = bpf_prog_get_fd_by_id(id);

	snprintf(out, BPF_OBJ_NAME_LEN, "?");
	if (fd < 0)
		return;
	if (bpf_obj_get_info_by_fd(fd, &info, &len) == 0 && info.name[0])
		snprintf(out, BPF_OBJ_NAME_LEN, "%s", info.name);
	close(fd);
}

static void report_progs(struct sw_checkup *cx, const char *hook, const uint32_t *ids, size_t n)
{
	const char *dev = cx->cf->interface;

	for (size_t i = 0; i < n; i++) {
		char name[BPF_OBJ_NAME_LEN], fix[64];

		name_of(ids[i], name);
		snprintf(fix, sizeof(fix), "see: bpftool prog show id %u", ids[i]);
		sw_found(cx, SW_FOUND_WARN, fix,
			 "another program is on %s's %s hook: %s (id %u) may take packets first",
			 dev, hook, name, ids[i]);
	}
	if (n == 0)
		sw_found(cx, SW_FOUND_OK, NULL, "nothing else is on %s's %s hook", dev, hook);
}

static void check_tcx(struct sw_checkup *cx)
{
	uint32_t ids[MAX_PROGS], n = MAX_PROGS, flags = 0;
	const int rc = bpf_prog_query((int)cx->ifindex, (enum bpf_attach_type)TCX_INGRESS, 0,
				      &flags, ids, &n);

	if (rc == 0)
		report_progs(cx, "TCX ingress", ids, n);
	else if (rc == -EINVAL)
		sw_found(cx, SW_FOUND_OK, NULL, "no TCX before Linux 6.6: clsact is used");
	else
		sw_found(cx, SW_FOUND_WARN, "see: bpftool net",
			 "the TCX ingress hook cannot be asked: %s", strerror(-rc));
}

static void check_xdp(struct sw_checkup *cx)
{
	uint32_t id = 0;
	const int rc = bpf_xdp_query_id((int)cx->ifindex, 0, &id);

	if (rc == 0)
		report_progs(cx, "XDP", &id, id ? 1 : 0);
	else
		sw_found(cx, SW_FOUND_WARN, "see: bpftool net", "the XDP hook cannot be asked: %s",
			 strerror(-rc));
}

void sw_check_hooks(struct sw_checkup *cx)
{
	if (!cx->ifindex)
		return;
	check_tcx(cx);
	check_xdp(cx);
}
