/* SPDX-License-Identifier: MIT */
#include "steer/answer.h"
#include "steer/bpfkey.h"
#include "steer/bpfutil.h"

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

struct sw_answer {
	struct sw_answer_bpf *bpf; /* owned */
	int link_fd;               /* owned, or -1 */
	enum sw_xdp_mode mode;
	struct sw_masters masters;
	enum sw_mac_alg alg;
	struct sw_bpf_settings settings;
	sw_epoch done; /* keys up to done + EPOCHS_AHEAD are in place, when have_keys */
	bool have_keys;
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

	a->settings.wall_minus_mono_ns = (int64_t)(wall.ns - mono.ns);
	if (bpf_map_update_elem(bpf_map__fd(a->bpf->maps.settings), &zero, &a->settings, BPF_ANY) &&
	    !rc)
		rc = -errno;
	return rc;
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
						.transparent = cf->transparent };
}

static int load(struct sw_answer *a, const struct sw_answer_config *cf, char *err, size_t errlen)
{
	int rc;

	a->bpf = sw_answer_bpf__open();
	if (!a->bpf)
		return sw_bpf_explain(-errno, "open the XDP program", err, errlen);
	a->bpf->rodata->use_hmac = cf->alg == SW_MAC_HMAC_SHA256;
	a->bpf->rodata->have_any = sw_bpf_have_any(cf->policy->guard, cf->policy->nguard);
	rc = sw_answer_bpf__load(a->bpf);
	if (rc)
		return sw_bpf_explain(rc, "load the XDP program", err, errlen);
	rc = sw_bpf_fill_guards(bpf_map__fd(a->bpf->maps.guards), cf->policy->guard,
				cf->policy->nguard);
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

static int link_xdp(struct sw_answer *a, unsigned ifindex, __u32 flags)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = flags);

	a->link_fd = bpf_link_create(sw_answer_prog_fd(a), (int)ifindex, BPF_XDP, &opts);
	return a->link_fd < 0 ? -errno : 0;
}

int sw_answer_attach(struct sw_answer *a, unsigned ifindex, char *err, size_t errlen)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, q);
	int rc;

	/* Generic and native programs can sit side by side: look for any. */
	if (!bpf_xdp_query((int)ifindex, 0, &q) && q.attach_mode != XDP_ATTACHED_NONE)
		return name_the_other(ifindex, err, errlen);
	a->mode = SW_XDP_NATIVE;
	rc = link_xdp(a, ifindex, XDP_FLAGS_DRV_MODE);
	if (rc && rc != -EBUSY && rc != -EEXIST && rc != -EPERM) {
		a->mode = SW_XDP_GENERIC;
		rc = link_xdp(a, ifindex, XDP_FLAGS_SKB_MODE);
	}
	if (rc == -EBUSY || rc == -EEXIST)
		return name_the_other(ifindex, err, errlen);
	return rc ? sw_bpf_explain(rc, "attach the XDP program", err, errlen) : 0;
}

enum sw_xdp_mode sw_answer_mode(const struct sw_answer *a)
{
	return a->mode;
}

void sw_answer_count(const struct sw_answer *a, uint64_t why[SW_NWHY])
{
	sw_bpf_count(bpf_map__fd(a->bpf->maps.counters), why);
}

int sw_answer_prog_fd(const struct sw_answer *a)
{
	return bpf_program__fd(a->bpf->progs.sw_answer);
}

int sw_answer_map_fd(const struct sw_answer *a, enum sw_answer_map map)
{
	switch (map) {
	case SW_ANSWER_KEYS:
		return bpf_map__fd(a->bpf->maps.keys);
	case SW_ANSWER_SETTINGS:
		return bpf_map__fd(a->bpf->maps.settings);
	case SW_ANSWER_GUARDS:
		break;
	}
	return bpf_map__fd(a->bpf->maps.guards);
}
