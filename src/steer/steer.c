/* SPDX-License-Identifier: MIT */
#include "steer/steer.h"
#include "bpf/abi.h"
#include "steer/bpfutil.h"
#include "steer/known.h"
#include "steer/link.h"
#include "steer/pair.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <steer.skel.h> /* generated */

#define LEASE_NS 3000000000ull
#define TC_PRIORITY 0x5359
#define TC_HANDLES 16

/* One program on one interface. */
struct hook {
	int link_fd; /* TCX, or -1 */
	struct bpf_tc_hook tc;
	struct bpf_tc_opts opts;
	bool tc_attached, tc_created;
};

struct sw_steer {
	struct sw_steer_bpf *bpf; /* owned */
	struct sw_pair pair;      /* owned */
	struct hook guard, pair_in;
	struct sw_bpf_host host; /* of it, known flows only */
	struct sw_known known;
	bool clsact;
};

static int attach_tcx(struct hook *h, int prog_fd, unsigned ifindex)
{
	h->link_fd = bpf_link_create(prog_fd, (int)ifindex, (enum bpf_attach_type)SW_TCX_INGRESS,
				     NULL);
	return h->link_fd < 0 ? -errno : 0;
}

/* Is the program under this handle one of ours whose owner stopped renewing its lease? */
static bool lease_expired(__u32 prog_id)
{
	const int prog = bpf_prog_get_fd_by_id(prog_id);
	struct bpf_prog_info info = { 0 };
	__u32 ids[8], len = sizeof(info);
	bool expired = false;

	if (prog < 0)
		return false;
	info.nr_map_ids = 8;
	info.map_ids = (uintptr_t)ids;
	if (bpf_obj_get_info_by_fd(prog, &info, &len) ||
	    (strcmp(info.name, "sw_steer") != 0 && strcmp(info.name, "sw_inject") != 0))
		goto close_prog;
	for (__u32 i = 0; i < info.nr_map_ids && i < 8; i++) {
		struct bpf_map_info map = { 0 };
		__u32 maplen = sizeof(map), key = 0;
		const int fd = bpf_map_get_fd_by_id(ids[i]);
		__u64 until;

		if (fd < 0)
			continue;
		if (!bpf_obj_get_info_by_fd(fd, &map, &maplen) && strstr(map.name, ".bss") &&
		    map.value_size == sizeof(until) && !bpf_map_lookup_elem(fd, &key, &until))
			expired = until && until < sw_bpf_mono().ns;
		close(fd);
	}
close_prog:
	close(prog);
	return expired;
}

/* Kernels before 6.6.  Takes a free handle, or that of a program whose owner died. */
static int attach_clsact(struct hook *h, int prog_fd, unsigned ifindex)
{
	int rc;

	memset(&h->tc, 0, sizeof(h->tc));
	h->tc.sz = sizeof(h->tc);
	h->tc.ifindex = (int)ifindex;
	h->tc.attach_point = BPF_TC_INGRESS;
	rc = bpf_tc_hook_create(&h->tc);
	if (rc && rc != -EEXIST)
		return rc;
	h->tc_created = rc == 0;
	for (unsigned i = 1; i <= TC_HANDLES; i++) {
		struct bpf_tc_opts q = { .sz = sizeof(q), .handle = i, .priority = TC_PRIORITY };
		bool stale = false;

		if (!bpf_tc_query(&h->tc, &q)) {
			stale = lease_expired(q.prog_id);
			if (!stale)
				continue;
		}
		memset(&h->opts, 0, sizeof(h->opts));
		h->opts.sz = sizeof(h->opts);
		h->opts.handle = i;
		h->opts.priority = TC_PRIORITY;
		h->opts.prog_fd = prog_fd;
		h->opts.flags = stale ? BPF_TC_F_REPLACE : 0;
		rc = bpf_tc_attach(&h->tc, &h->opts);
		h->tc_attached = rc == 0;
		return rc;
	}
	return -EBUSY;
}

static void detach(struct hook *h)
{
	if (h->link_fd >= 0)
		close(h->link_fd);
	h->link_fd = -1;
	if (h->tc_attached) {
		h->opts.prog_fd = 0;
		h->opts.prog_id = 0;
		h->opts.flags = 0;
		bpf_tc_detach(&h->tc, &h->opts);
	}
	h->tc_attached = false;
	/* The qdisc goes only when it was made here and nobody has joined it since. */
	if (h->tc_created && sw_link_has_filters((unsigned)h->tc.ifindex) == 0) {
		h->tc.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
		bpf_tc_hook_destroy(&h->tc);
	}
	h->tc_created = false;
}

static int attach(struct sw_steer *st, struct hook *h, int prog_fd, unsigned ifindex)
{
	int rc = -EINVAL;

	if (!st->clsact)
		rc = attach_tcx(h, prog_fd, ifindex);
	if (rc == -EINVAL) {
		st->clsact = true;
		sw_steer_renew(st, sw_bpf_mono());
		rc = attach_clsact(h, prog_fd, ifindex);
	}
	return rc;
}

static int put_host(struct sw_steer *st)
{
	const __u32 zero = 0;

	return bpf_map_update_elem(bpf_map__fd(st->bpf->maps.host), &zero, &st->host, BPF_ANY) ?
		       -errno :
		       0;
}

static int load(struct sw_steer *st, const struct sw_steer_config *cf, char *err, size_t errlen)
{
	__u32 mark;
	int rc;

	if (getrandom(&mark, sizeof(mark), 0) != sizeof(mark))
		return -errno;
	st->bpf = sw_steer_bpf__open();
	if (!st->bpf)
		return sw_bpf_explain(-errno, "open the BPF programs", err, errlen);
	st->bpf->rodata->guard_ifindex = cf->ifindex;
	st->bpf->rodata->pair_ifindex = st->pair.ifindex;
	st->bpf->rodata->inject_mark = mark | 1;
	st->bpf->rodata->have_any = sw_bpf_have_any(cf->guard, cf->nguard);
	rc = sw_steer_bpf__load(st->bpf);
	if (rc)
		return sw_bpf_explain(rc, "load the BPF programs", err, errlen);
	/* Without the map every flow is looked up. */
	(void)!sw_known_open(&st->known, bpf_map__fd(st->bpf->maps.known));
	for (size_t i = 0; i < cf->nguard; i++)
		sw_known_add_port(&st->known, htons(cf->guard[i].port), sw_bpf_mono());
	st->host.known = SW_BPF_KNOWN_NONE;
	st->host.known_both = st->known.words != NULL;
	rc = put_host(st);
	if (rc)
		return sw_bpf_explain(rc, "fill a BPF map", err, errlen);
	return 0;
}

int sw_steer_open(struct sw_steer **out, const struct sw_steer_config *cf, char *err,
		  size_t errlen)
{
	libbpf_print_fn_t print = sw_bpf_quiet();
	struct sw_steer *st = calloc(1, sizeof(*st));
	int rc = -ENOMEM;

	if (!st)
		goto restore_print;
	st->guard.link_fd = st->pair_in.link_fd = -1;
	st->clsact = cf->clsact;
	rc = sw_pair_open(&st->pair, cf->workers, err, errlen);
	if (rc)
		goto close_all;
	rc = load(st, cf, err, errlen);
	if (rc)
		goto close_all;
	/* The way back before the way in. */
	rc = attach(st, &st->pair_in, bpf_program__fd(st->bpf->progs.sw_inject), st->pair.ifindex);
	if (!rc)
		rc = attach(st, &st->guard, bpf_program__fd(st->bpf->progs.sw_steer), cf->ifindex);
	if (rc) {
		rc = sw_bpf_explain(rc, "attach BPF to the interface", err, errlen);
		goto close_all;
	}
	*out = st;
	goto restore_print;

close_all:
	sw_steer_close(st);
restore_print:
	libbpf_set_print(print);
	return rc;
}

void sw_steer_close(struct sw_steer *st)
{
	libbpf_print_fn_t print;

	if (!st)
		return;
	print = sw_bpf_quiet(); /* an interface that is gone is no news */
	detach(&st->guard);
	detach(&st->pair_in);
	sw_known_close(&st->known);
	sw_steer_bpf__destroy(st->bpf);
	sw_pair_close(&st->pair);
	free(st);
	libbpf_set_print(print);
}

int sw_steer_guard(struct sw_steer *st, const struct sw_guard *g, bool on)
{
	return sw_bpf_guard(bpf_map__fd(st->bpf->maps.guards), g, 0, on);
}

int sw_steer_take_socket(struct sw_steer *st, size_t i)
{
	return sw_pair_take(&st->pair, i);
}

unsigned sw_steer_far_ifindex(const struct sw_steer *st)
{
	return st->pair.far_ifindex;
}

void sw_steer_renew(struct sw_steer *st, sw_mono now)
{
	if (st->clsact)
		__atomic_store_n(&st->bpf->bss->lease_until, now.ns + LEASE_NS,
				 __ATOMIC_RELAXED);
}

int sw_steer_tick(struct sw_steer *st, sw_mono now)
{
	sw_steer_renew(st, now);
	sw_known_tick(&st->known, &st->host, now);
	return put_host(st);
}

void sw_steer_count(const struct sw_steer *st, uint64_t why[SW_NWHY])
{
	sw_bpf_count(bpf_map__fd(st->bpf->maps.counters), 0, why);
}

const char *sw_steer_mode(const struct sw_steer *st)
{
	return st->clsact ? "clsact" : "tcx";
}
