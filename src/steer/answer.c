/* SPDX-License-Identifier: MIT */
#include "steer/answer.h"
#include "steer/bpfkey.h"
#include "steer/bpfutil.h"
#include "steer/link.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <answer.skel.h> /* generated */

#define EPOCHS_AHEAD 2
#define DEV_BOUND_ONLY (1u << 6) /* BPF_F_XDP_DEV_BOUND_ONLY, uapi headers of Linux 6.3 */

struct sw_answer {
	struct sw_answer_bpf *bpf; /* owned */
	int link_fd;               /* owned, or -1 */
	enum sw_xdp_mode mode;
	struct sw_masters masters;
	enum sw_mac_alg alg;
	struct sw_bpf_settings settings;
	sw_epoch done; /* keys up to done + EPOCHS_AHEAD are in place, when have_keys */
	bool have_keys;
	sw_mono ticked;    /* the last tick that succeeded */
	unsigned ifindex;  /* where it is to be attached, or 0 */
	bool have_any;     /* some guard has any set */
	bool sees_tags;    /* sw_answer_tag is loaded, not sw_answer */
};

static int push_key(struct sw_answer *a, size_t master, sw_epoch epoch)
{
	const uint32_t slot = (epoch.n & (SW_BPF_EPOCHS - 1)) * SW_BPF_MASTERS + (uint32_t)master;
	uint8_t raw[SW_KEY_LEN];
	struct sw_bpf_key key;
	int rc = -EIO;

	if (sw_epoch_key_derive(raw, a->masters.key[master], a->alg, epoch) &&
	    sw_bpf_key_make(&key, raw, epoch))
		rc = bpf_map_update_elem(bpf_map__fd(a->bpf->maps.keys), &slot, &key, BPF_ANY) ?
			     -errno :
			     0;
	OPENSSL_cleanse(raw, sizeof(raw));
	OPENSSL_cleanse(&key, sizeof(key));
	return rc;
}

static int push_keys(struct sw_answer *a, sw_epoch now)
{
	int rc = 0;

	if (a->have_keys && a->done.n == now.n)
		return 0;
	for (uint32_t e = now.n - 1; e != now.n + EPOCHS_AHEAD + 1; e++)
		for (size_t m = 0; m < a->masters.n && !rc; m++)
			rc = push_key(a, m, (sw_epoch){ e });
	a->have_keys = rc == 0;
	a->done = now;
	return rc;
}

int sw_answer_tick(struct sw_answer *a, sw_wall wall, sw_mono mono)
{
	const uint32_t zero = 0;
	int rc = push_keys(a, sw_epoch_at(wall));

	/* It may change while we run; what was known last stays when it cannot be asked. */
	if (a->ifindex && !sw_link_mac(a->ifindex, a->settings.mac))
		a->settings.any_mac = 0;
	a->settings.wall_minus_mono_ns = (int64_t)(wall.ns - mono.ns);
	if (bpf_map_update_elem(bpf_map__fd(a->bpf->maps.settings), &zero, &a->settings, BPF_ANY) &&
	    !rc)
		rc = -errno;
	if (!rc)
		a->ticked = mono;
	return rc;
}

uint64_t sw_answer_age_ms(const struct sw_answer *a, sw_mono now)
{
	return now.ns > a->ticked.ns ? (now.ns - a->ticked.ns) / 1000000 : 0;
}

static void copy_policy(struct sw_answer *a, const struct sw_answer_config *cf)
{
	const struct sw_policy *p = cf->policy;

	a->settings = (struct sw_bpf_settings){ .refuse_rate = p->refuse_rate,
						.mss4 = p->mss4,
						.mss6 = p->mss6,
						.window = p->window,
						.wscale = p->wscale,
						.ttl = p->ttl,
						.wscale_on = p->wscale_on,
						.sack_on = p->sack_on,
						.ts_on = p->ts_on,
						.ecn_on = p->ecn_on,
						.loopback = p->loopback,
						.masters = (uint8_t)cf->masters->n,
						.transparent = cf->transparent,
						.any_mac = 1 };
}

static struct bpf_map *map_of(const struct sw_answer_bpf *b, enum sw_answer_map map)
{
	switch (map) {
	case SW_ANSWER_KEYS:
		return b->maps.keys;
	case SW_ANSWER_SETTINGS:
		return b->maps.settings;
	case SW_ANSWER_RECENT:
		return b->maps.recent;
	case SW_ANSWER_GUARDS:
	case SW_NANSWER_MAP:
		break;
	}
	return b->maps.guards;
}

/* @param old  Whose maps to go on with, or NULL. */
static int load_one(struct sw_answer *a, bool sees_tags, const struct sw_answer_bpf *old)
{
	struct sw_answer_bpf *b = sw_answer_bpf__open();
	struct bpf_program *p;
	int rc = 0;

	if (!b)
		return -errno;
	b->rodata->use_hmac = a->alg == SW_MAC_HMAC_SHA256;
	b->rodata->have_any = a->have_any;
	p = sees_tags ? b->progs.sw_answer : b->progs.sw_answer_tag;
	rc = bpf_program__set_autoload(p, false);
	if (sees_tags) {
		bpf_program__set_ifindex(b->progs.sw_answer_tag, a->ifindex);
		bpf_program__set_flags(b->progs.sw_answer_tag,
				       bpf_program__flags(b->progs.sw_answer_tag) | DEV_BOUND_ONLY);
	}
	for (int m = 0; m < SW_NANSWER_MAP && old && !rc; m++)
		rc = bpf_map__reuse_fd(map_of(b, (enum sw_answer_map)m),
				       bpf_map__fd(map_of(old, (enum sw_answer_map)m)));
	if (!rc)
		rc = sw_answer_bpf__load(b);
	if (rc) {
		sw_answer_bpf__destroy(b);
		return rc;
	}
	a->bpf = b;
	a->sees_tags = sees_tags;
	return 0;
}

static int load(struct sw_answer *a, const struct sw_answer_config *cf, char *err, size_t errlen)
{
	const struct sw_policy *p = cf->policy;
	int rc = -ENOTSUP, map;

	if (a->ifindex && sw_bpf_have_kfunc("bpf_xdp_metadata_rx_vlan_tag"))
		rc = load_one(a, true, NULL);
	if (rc)
		rc = load_one(a, false, NULL);
	if (rc == -EINVAL) {
		snprintf(err, errlen,
			 "the kernel does not take the XDP program: it needs Linux 5.18, "
			 "--transparent 6.9; run without --offload xdp");
		return -ENOTSUP;
	}
	if (rc)
		return sw_bpf_explain(rc, "load the XDP program", err, errlen);
	map = bpf_map__fd(a->bpf->maps.guards);
	rc = sw_bpf_fill_guards(map, p->guard, p->nguard);
	if (!rc && cf->transparent)
		rc = sw_bpf_fill_addresses(map, p->guard, p->nguard);
	return rc ? sw_bpf_explain(rc, "fill the BPF map of guards", err, errlen) : 0;
}

int sw_answer_open(struct sw_answer **out, const struct sw_answer_config *cf, sw_wall wall,
		   sw_mono mono, char *err, size_t errlen)
{
	struct sw_answer *a = calloc(1, sizeof(*a));
	libbpf_print_fn_t print = sw_bpf_quiet();
	int rc = -ENOMEM;

	if (!a)
		goto restore_print;
	a->link_fd = -1;
	a->masters = *cf->masters;
	a->alg = cf->alg;
	a->ifindex = cf->ifindex;
	a->have_any = sw_bpf_have_any(cf->policy->guard, cf->policy->nguard);
	copy_policy(a, cf);
	rc = load(a, cf, err, errlen);
	if (rc)
		goto close_answer;
	rc = sw_answer_tick(a, wall, mono);
	if (rc) {
		rc = sw_bpf_explain(rc, "fill the BPF map of keys", err, errlen);
		goto close_answer;
	}
	*out = a;
	goto restore_print;

close_answer:
	sw_answer_close(a);
restore_print:
	libbpf_set_print(print);
	return rc;
}

void sw_answer_close(struct sw_answer *a)
{
	if (!a)
		return;
	if (a->link_fd >= 0)
		close(a->link_fd);
	sw_answer_bpf__destroy(a->bpf);
	OPENSSL_cleanse(a, sizeof(*a));
	free(a);
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

static int link_xdp(struct sw_answer *a, __u32 flags)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = flags);

	a->link_fd = bpf_link_create(sw_answer_prog_fd(a), (int)a->ifindex, BPF_XDP, &opts);
	return a->link_fd < 0 ? -errno : 0;
}

/* A program that asks the driver cannot run in generic mode.  The maps stay. */
static int reload_plain(struct sw_answer *a)
{
	struct sw_answer_bpf *old = a->bpf;
	libbpf_print_fn_t print = sw_bpf_quiet();
	const int rc = load_one(a, false, old);

	libbpf_set_print(print);
	if (!rc)
		sw_answer_bpf__destroy(old);
	return rc;
}

static int link_generic(struct sw_answer *a)
{
	const int rc = a->sees_tags ? reload_plain(a) : 0;

	a->mode = SW_XDP_GENERIC;
	return rc ? rc : link_xdp(a, XDP_FLAGS_SKB_MODE);
}

int sw_answer_attach(struct sw_answer *a, char *err, size_t errlen)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, q);
	int rc;

	/* Generic and native programs can sit side by side: look for any. */
	if (!bpf_xdp_query((int)a->ifindex, 0, &q) && q.attach_mode != XDP_ATTACHED_NONE)
		return name_the_other(a->ifindex, err, errlen);
	a->mode = SW_XDP_NATIVE;
	rc = link_xdp(a, XDP_FLAGS_DRV_MODE);
	if (rc && rc != -EBUSY && rc != -EEXIST && rc != -EPERM)
		rc = link_generic(a);
	if (rc == -EBUSY || rc == -EEXIST)
		return name_the_other(a->ifindex, err, errlen);
	return rc ? sw_bpf_explain(rc, "attach the XDP program", err, errlen) : 0;
}

enum sw_xdp_mode sw_answer_mode(const struct sw_answer *a)
{
	return a->mode;
}

bool sw_answer_sees_tags(const struct sw_answer *a)
{
	return a->sees_tags;
}

void sw_answer_count(const struct sw_answer *a, uint64_t why[SW_NWHY])
{
	sw_bpf_count(bpf_map__fd(a->bpf->maps.counters), why);
}

int sw_answer_prog_fd(const struct sw_answer *a)
{
	return bpf_program__fd(a->sees_tags ? a->bpf->progs.sw_answer_tag :
					      a->bpf->progs.sw_answer);
}

int sw_answer_map_fd(const struct sw_answer *a, enum sw_answer_map map)
{
	return bpf_map__fd(map_of(a->bpf, map));
}
