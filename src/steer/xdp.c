/* SPDX-License-Identifier: MIT */
#include "steer/xdp.h"
#include "steer/bpfutil.h"
#include "steer/known.h"
#include "steer/link.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

#include <answer.skel.h> /* generated */
#include <assign.skel.h> /* generated */

#define DEV_BOUND_ONLY (1u << 6) /* BPF_F_XDP_DEV_BOUND_ONLY, uapi headers of Linux 6.3 */

struct sw_xdp {
	SLIST_ENTRY(sw_xdp) link;
	unsigned ifindex;
	ino_t netns;
	uint32_t used;			 /* a bit for each listener */
	uint32_t has_any;		 /* a bit for each that guards every address */
	struct sw_answer_bpf *bpf;	 /* owned */
	struct sw_assign_bpf *tc;	 /* owned; NULL without transparent listeners */
	int link_fd, tc_fd;		 /* owned, or -1 */
	enum sw_xdp_mode mode;
	bool sees_tags; /* sw_answer_tag is loaded, not sw_answer */
	struct sw_bpf_host host;
	struct sw_known known;
};

/* Guards everything here: starts, ends and ticks are rare. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static SLIST_HEAD(, sw_xdp) all = SLIST_HEAD_INITIALIZER(all);

/* An interface's number says nothing without its network namespace. */
static ino_t this_netns(void)
{
	struct stat st;

	return stat("/proc/thread-self/ns/net", &st) ? 0 : st.st_ino;
}

/* @param old  Whose maps to go on with, or NULL. */
static int load_one(struct sw_xdp *x, bool sees_tags, struct sw_answer_bpf *old)
{
	struct sw_answer_bpf *b = sw_answer_bpf__open();
	struct bpf_map *map, *from;
	struct bpf_program *p;
	int rc;

	if (!b)
		return -errno;
	p = sees_tags ? b->progs.sw_answer : b->progs.sw_answer_tag;
	rc = bpf_program__set_autoload(p, false);
	if (sees_tags) {
		bpf_program__set_ifindex(b->progs.sw_answer_tag, x->ifindex);
		bpf_program__set_flags(b->progs.sw_answer_tag,
				       bpf_program__flags(b->progs.sw_answer_tag) | DEV_BOUND_ONLY);
	}
	if (old && !rc) {
		bpf_object__for_each_map(map, b->obj) {
			from = bpf_object__find_map_by_name(old->obj, bpf_map__name(map));
			if (from && !bpf_map__is_internal(map) && !rc)
				rc = bpf_map__reuse_fd(map, bpf_map__fd(from));
		}
	}
	if (!rc)
		rc = sw_answer_bpf__load(b);
	if (rc) {
		sw_answer_bpf__destroy(b);
		return rc;
	}
	x->bpf = b;
	x->sees_tags = sees_tags;
	return 0;
}

static int load(struct sw_xdp *x, char *err, size_t errlen)
{
	int rc = -ENOTSUP;

	if (x->ifindex && sw_bpf_have_kfunc("bpf_xdp_metadata_rx_vlan_tag"))
		rc = load_one(x, true, NULL);
	if (rc)
		rc = load_one(x, false, NULL);
	if (rc == -EINVAL) {
		snprintf(err, errlen,
			 "the kernel does not take the XDP program: it needs Linux 5.18, "
			 "--transparent 6.9; run without --offload xdp");
		return -ENOTSUP;
	}
	return rc ? sw_bpf_explain(rc, "load the XDP program", err, errlen) : 0;
}

static void destroy(struct sw_xdp *x)
{
	if (x->link_fd >= 0)
		close(x->link_fd);
	if (x->tc_fd >= 0)
		close(x->tc_fd);
	sw_known_close(&x->known);
	sw_assign_bpf__destroy(x->tc);
	sw_answer_bpf__destroy(x->bpf);
	free(x);
}

static int create(struct sw_xdp **out, unsigned ifindex, char *err, size_t errlen)
{
	struct sw_xdp *x = calloc(1, sizeof(*x));
	libbpf_print_fn_t print = sw_bpf_quiet();
	int rc = -ENOMEM;

	if (!x)
		goto restore_print;
	x->ifindex = ifindex;
	x->netns = this_netns();
	x->link_fd = x->tc_fd = -1;
	x->host.any_mac = 1;
	rc = load(x, err, errlen);
	if (!rc) {
		rc = sw_known_open(&x->known, bpf_map__fd(x->bpf->maps.known));
		if (rc)
			rc = sw_bpf_explain(rc, "map the BPF map of known flows", err, errlen);
	}
	if (rc)
		destroy(x);
	else
		*out = x;
restore_print:
	libbpf_set_print(print);
	return rc;
}

static struct sw_xdp *find(unsigned ifindex)
{
	const ino_t netns = this_netns();
	struct sw_xdp *x;

	SLIST_FOREACH(x, &all, link)
		if (x->ifindex == ifindex && x->netns == netns)
			return x;
	return NULL;
}

static int take_index(struct sw_xdp *x, unsigned *index)
{
	unsigned i = 0;

	while (i < SW_BPF_LISTENERS && x->used >> i & 1)
		i++;
	if (i == SW_BPF_LISTENERS)
		return -ENOSPC;
	x->used |= 1u << i;
	*index = i;
	return 0;
}

static int join(struct sw_xdp **out, unsigned *index, unsigned ifindex, char *err, size_t errlen)
{
	struct sw_xdp *x = ifindex ? find(ifindex) : NULL;
	int rc;

	if (!x) {
		rc = create(&x, ifindex, err, errlen);
		if (rc)
			return rc;
		SLIST_INSERT_HEAD(&all, x, link);
	}
	rc = take_index(x, index);
	if (rc)
		snprintf(err, errlen, "the interface has %d listeners with XDP: no more fit",
			 SW_BPF_LISTENERS);
	else
		*out = x;
	return rc;
}

int sw_xdp_join(struct sw_xdp **out, unsigned *index, unsigned ifindex, char *err, size_t errlen)
{
	int rc;

	pthread_mutex_lock(&lock);
	rc = join(out, index, ifindex, err, errlen);
	pthread_mutex_unlock(&lock);
	return rc;
}

int sw_xdp_join_again(struct sw_xdp *x, unsigned *index)
{
	int rc;

	pthread_mutex_lock(&lock);
	rc = take_index(x, index);
	pthread_mutex_unlock(&lock);
	return rc;
}

static bool is_transparent(const struct sw_xdp *x, __u32 index)
{
	struct sw_bpf_settings s;

	return !bpf_map_lookup_elem(bpf_map__fd(x->bpf->maps.settings), &index, &s) && s.transparent;
}

/* Does a transparent listener guard a port of the address of @row, which has port 0? */
static bool has_heir(const struct sw_xdp *x, const struct sw_bpf_guard *row,
		     struct sw_bpf_guarded *heir)
{
	const int map = bpf_map__fd(x->bpf->maps.guards);
	struct sw_bpf_guard key, *last = NULL, like;

	while (!bpf_map_get_next_key(map, last, &key)) {
		like = key;
		like.port = 0;
		if (key.port && !memcmp(&like, row, sizeof(like)) &&
		    !bpf_map_lookup_elem(map, &key, heir) && is_transparent(x, heir->listener))
			return true;
		last = &key;
	}
	return false;
}

/* Take a row out, unless another listener has it.  A row without port is every transparent
 * listener's that guards a port of the address. */
static int forget_row(struct sw_xdp *x, unsigned index, const struct sw_bpf_guard *key)
{
	const int map = bpf_map__fd(x->bpf->maps.guards);
	struct sw_bpf_guarded g, heir;
	int rc;

	if (bpf_map_lookup_elem(map, key, &g) || g.listener != index)
		return 0;
	if (key->port == 0 && has_heir(x, key, &heir)) {
		g.listener = heir.listener;
		rc = bpf_map_update_elem(map, key, &g, BPF_ANY);
	} else {
		rc = bpf_map_delete_elem(map, key);
	}
	return rc ? -errno : 0;
}

/* @param ports  Rows with a port; else those without. */
static void forget_rows(struct sw_xdp *x, unsigned index, bool ports)
{
	const int map = bpf_map__fd(x->bpf->maps.guards);
	struct sw_bpf_guard key, next;
	int more = bpf_map_get_next_key(map, NULL, &key);

	while (!more) {
		more = bpf_map_get_next_key(map, &key, &next);
		if ((key.port != 0) == ports)
			(void)forget_row(x, index, &key);
		key = next;
	}
}

static void forget_keys(struct sw_xdp *x, unsigned index)
{
	const struct sw_bpf_key none = { 0 };

	for (uint32_t slot = 0; slot < SW_BPF_KEYS; slot++)
		(void)!sw_xdp_put_key(x, index, slot, &none);
}

static void forget_counters(int map_fd, unsigned index)
{
	const int ncpu = libbpf_num_possible_cpus();
	__u64 *none = ncpu > 0 ? calloc((size_t)ncpu, sizeof(*none)) : NULL;

	for (__u32 i = 0; none && i < SW_NWHY; i++) {
		const __u32 row = index * SW_BPF_WHY_STRIDE + i;

		bpf_map_update_elem(map_fd, &row, none, BPF_ANY);
	}
	free(none);
}

void sw_xdp_leave(struct sw_xdp *x, unsigned index)
{
	if (!x)
		return;
	pthread_mutex_lock(&lock);
	x->used &= ~(1u << index);
	x->has_any &= ~(1u << index);
	if (x->used) {
		forget_rows(x, index, true);
		forget_rows(x, index, false);
		forget_keys(x, index);
		forget_counters(bpf_map__fd(x->bpf->maps.counters), index);
		if (x->tc)
			forget_counters(bpf_map__fd(x->tc->maps.counters), index);
	} else {
		SLIST_REMOVE(&all, x, sw_xdp, link);
		destroy(x);
	}
	pthread_mutex_unlock(&lock);
}

static int put_host(struct sw_xdp *x)
{
	const uint32_t zero = 0;

	x->host.have_any = x->has_any != 0;
	return bpf_map_update_elem(bpf_map__fd(x->bpf->maps.host), &zero, &x->host, BPF_ANY) ?
		       -errno :
		       0;
}

int sw_xdp_guard(struct sw_xdp *x, unsigned index, const struct sw_guard *guard, size_t n,
		 bool addresses, char *err, size_t errlen)
{
	const int map = bpf_map__fd(x->bpf->maps.guards);
	int rc;

	pthread_mutex_lock(&lock);
	if (sw_bpf_have_any(guard, n))
		x->has_any |= 1u << index;
	for (size_t i = 0; i < n; i++)
		sw_known_add_port(&x->known, htons(guard[i].port), sw_bpf_mono());
	x->host.known = SW_BPF_KNOWN_NONE;
	x->host.known_both = 1;
	rc = put_host(x);
	if (!rc)
		rc = sw_bpf_fill_guards(map, guard, n, index);
	if (!rc && addresses)
		rc = sw_bpf_fill_addresses(map, guard, n, index);
	pthread_mutex_unlock(&lock);
	return rc ? sw_bpf_explain(rc, "fill the BPF map of guards", err, errlen) : 0;
}

int sw_xdp_unguard(struct sw_xdp *x, unsigned index, const struct sw_guard *guard)
{
	const struct sw_bpf_guard with = sw_bpf_guard_key(guard, guard->port);
	const struct sw_bpf_guard without = sw_bpf_guard_key(guard, 0);
	int rc;

	pthread_mutex_lock(&lock);
	rc = forget_row(x, index, &with);
	if (!rc)
		rc = forget_row(x, index, &without);
	pthread_mutex_unlock(&lock);
	return rc;
}

static int name_the_other(unsigned ifindex, char *err, size_t errlen)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, q);
	struct bpf_prog_info info = { 0 };
	__u32 len = sizeof(info);
	int fd = -1;

	if (!bpf_xdp_query((int)ifindex, 0, &q) && q.prog_id)
		fd = bpf_prog_get_fd_by_id(q.prog_id);
	if (fd >= 0) {
		(void)!bpf_obj_get_info_by_fd(fd, &info, &len);
		close(fd);
	}
	snprintf(err, errlen,
		 "the interface has an XDP program already: %s, id %u; detach it ('ip link set dev IF "
		 "xdp off') or run without --offload xdp",
		 info.name[0] ? info.name : "unnamed", q.prog_id);
	return -EBUSY;
}

static int link_xdp(struct sw_xdp *x, __u32 flags)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = flags);

	x->link_fd = bpf_link_create(sw_xdp_prog_fd(x), (int)x->ifindex, BPF_XDP, &opts);
	return x->link_fd < 0 ? -errno : 0;
}

/* A program that asks the driver cannot run in generic mode.  The maps stay. */
static int reload_plain(struct sw_xdp *x)
{
	struct sw_answer_bpf *old = x->bpf;
	libbpf_print_fn_t print = sw_bpf_quiet();
	const int rc = load_one(x, false, old);

	libbpf_set_print(print);
	if (!rc)
		sw_answer_bpf__destroy(old);
	return rc;
}

static int link_generic(struct sw_xdp *x)
{
	const int rc = x->sees_tags ? reload_plain(x) : 0;

	x->mode = SW_XDP_GENERIC;
	return rc ? rc : link_xdp(x, XDP_FLAGS_SKB_MODE);
}

static int attach(struct sw_xdp *x, char *err, size_t errlen)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, q);
	int rc;

	/* Generic and native programs can sit side by side: look for any. */
	if (!bpf_xdp_query((int)x->ifindex, 0, &q) && q.attach_mode != XDP_ATTACHED_NONE)
		return name_the_other(x->ifindex, err, errlen);
	x->mode = SW_XDP_NATIVE;
	rc = link_xdp(x, XDP_FLAGS_DRV_MODE);
	if (rc && rc != -EBUSY && rc != -EEXIST && rc != -EPERM)
		rc = link_generic(x);
	if (rc == -EBUSY || rc == -EEXIST)
		return name_the_other(x->ifindex, err, errlen);
	return rc ? sw_bpf_explain(rc, "attach the XDP program", err, errlen) : 0;
}

int sw_xdp_attach(struct sw_xdp *x, char *err, size_t errlen)
{
	int rc = 0;

	pthread_mutex_lock(&lock);
	if (x->link_fd < 0)
		rc = attach(x, err, errlen);
	pthread_mutex_unlock(&lock);
	return rc;
}

/* The TC program shares the maps of the XDP program but for its counters and scratch space. */
static int load_tc(struct sw_xdp *x)
{
	struct sw_assign_bpf *b = sw_assign_bpf__open();
	int rc;

	if (!b)
		return -errno;
	rc = bpf_map__reuse_fd(b->maps.keys, bpf_map__fd(x->bpf->maps.keys));
	if (!rc)
		rc = bpf_map__reuse_fd(b->maps.settings, bpf_map__fd(x->bpf->maps.settings));
	if (!rc)
		rc = bpf_map__reuse_fd(b->maps.host, bpf_map__fd(x->bpf->maps.host));
	if (!rc)
		rc = bpf_map__reuse_fd(b->maps.guards, bpf_map__fd(x->bpf->maps.guards));
	if (!rc)
		rc = bpf_map__reuse_fd(b->maps.recent, bpf_map__fd(x->bpf->maps.recent));
	if (!rc)
		rc = bpf_map__reuse_fd(b->maps.known, bpf_map__fd(x->bpf->maps.known));
	if (!rc)
		rc = sw_assign_bpf__load(b);
	if (rc)
		sw_assign_bpf__destroy(b);
	else
		x->tc = b;
	return rc;
}

static int attach_tc(struct sw_xdp *x, char *err, size_t errlen)
{
	libbpf_print_fn_t print = sw_bpf_quiet();
	int rc = x->tc ? 0 : load_tc(x);

	libbpf_set_print(print);
	if (rc)
		return sw_bpf_explain(rc, "load the TC program", err, errlen);
	x->tc_fd = bpf_link_create(bpf_program__fd(x->tc->progs.sw_assign), (int)x->ifindex,
				   (enum bpf_attach_type)SW_TCX_INGRESS, NULL);
	return x->tc_fd < 0 ? sw_bpf_explain(-errno, "attach BPF to the interface", err, errlen) : 0;
}

int sw_xdp_attach_tc(struct sw_xdp *x, char *err, size_t errlen)
{
	int rc = 0;

	pthread_mutex_lock(&lock);
	if (x->tc_fd < 0)
		rc = attach_tc(x, err, errlen);
	pthread_mutex_unlock(&lock);
	return rc;
}

int sw_xdp_put_settings(struct sw_xdp *x, unsigned index, const struct sw_bpf_settings *s)
{
	const __u32 i = index;

	return bpf_map_update_elem(bpf_map__fd(x->bpf->maps.settings), &i, s, BPF_ANY) ? -errno : 0;
}

int sw_xdp_put_key(struct sw_xdp *x, unsigned index, uint32_t slot, const struct sw_bpf_key *key)
{
	const __u32 i = index * SW_BPF_KEYS + slot;

	return bpf_map_update_elem(bpf_map__fd(x->bpf->maps.keys), &i, key, BPF_ANY) ? -errno : 0;
}

int sw_xdp_tick(struct sw_xdp *x, sw_wall wall, sw_mono mono)
{
	int rc;

	pthread_mutex_lock(&lock);
	/* It may change while we run; what was known last stays when it cannot be asked. */
	if (x->ifindex && !sw_link_mac(x->ifindex, x->host.mac))
		x->host.any_mac = 0;
	x->host.wall_minus_mono_ns = (int64_t)(wall.ns - mono.ns);
	sw_known_tick(&x->known, &x->host, mono);
	rc = put_host(x);
	pthread_mutex_unlock(&lock);
	return rc;
}

enum sw_xdp_mode sw_xdp_mode(const struct sw_xdp *x)
{
	return x->mode;
}

bool sw_xdp_sees_tags(const struct sw_xdp *x)
{
	return x->sees_tags;
}

void sw_xdp_count(const struct sw_xdp *x, unsigned index, uint64_t why[SW_NWHY])
{
	sw_bpf_count(bpf_map__fd(x->bpf->maps.counters), index * SW_BPF_WHY_STRIDE, why);
}

void sw_xdp_count_tc(const struct sw_xdp *x, unsigned index, uint64_t why[SW_NWHY])
{
	if (x->tc)
		sw_bpf_count(bpf_map__fd(x->tc->maps.counters), index * SW_BPF_WHY_STRIDE, why);
}

int sw_xdp_prog_fd(const struct sw_xdp *x)
{
	return bpf_program__fd(x->sees_tags ? x->bpf->progs.sw_answer_tag :
					      x->bpf->progs.sw_answer);
}
