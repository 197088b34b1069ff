/* SPDX-License-Identifier: MIT */
#include "steer/answer.h"
#include "steer/bpfkey.h"
#include "steer/bpfutil.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#define EPOCHS_AHEAD 2

struct sw_answer {
	struct sw_xdp *xdp; /* joined */
	unsigned index;
	struct sw_masters masters;
	enum sw_mac_alg alg;
	struct sw_bpf_settings settings;
	sw_epoch done; /* keys up to done + EPOCHS_AHEAD are in place, when have_keys */
	bool have_keys;
	sw_mono ticked; /* the last tick that succeeded */
};

static int push_key(struct sw_answer *a, size_t master, sw_epoch epoch)
{
	const uint32_t slot = (epoch.n & (SW_BPF_EPOCHS - 1)) * SW_BPF_MASTERS + (uint32_t)master;
	struct sw_bpf_key key = { 0 };
	uint8_t raw[SW_KEY_LEN];
	int rc = -EIO;

	if (master >= a->masters.n)
		return sw_xdp_put_key(a->xdp, a->index, slot, &key);
	if (sw_epoch_key_derive(raw, a->masters.key[master], a->alg, epoch) &&
	    sw_bpf_key_make(&key, raw, epoch))
		rc = sw_xdp_put_key(a->xdp, a->index, slot, &key);
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
		for (size_t m = 0; m < SW_BPF_MASTERS && !rc; m++)
			rc = push_key(a, m, (sw_epoch){ e });
	a->have_keys = rc == 0;
	a->done = now;
	return rc;
}

int sw_answer_tick(struct sw_answer *a, sw_wall wall, sw_mono mono)
{
	int rc = push_keys(a, sw_epoch_at(wall));
	const int err = sw_xdp_tick(a->xdp, wall, mono);

	if (!rc)
		rc = err;
	if (!rc)
		a->ticked = mono;
	return rc;
}

uint64_t sw_answer_age_ms(const struct sw_answer *a, sw_mono now)
{
	return now.ns > a->ticked.ns ? (now.ns - a->ticked.ns) / 1000000 : 0;
}

static int put_policy(struct sw_answer *a, const struct sw_answer_config *cf)
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
						.hmac = cf->alg == SW_MAC_HMAC_SHA256,
						.transparent = cf->transparent };
	return sw_xdp_put_settings(a->xdp, a->index, &a->settings);
}

/* Settings and keys first: a guard whose listener is not ready would refuse. */
static int prepare(struct sw_answer *a, const struct sw_answer_config *cf, sw_wall wall,
		   sw_mono mono, char *err, size_t errlen)
{
	int rc = put_policy(a, cf);

	if (!rc)
		rc = sw_answer_tick(a, wall, mono);
	if (rc)
		return sw_bpf_explain(rc, "fill the BPF map of keys", err, errlen);
	return sw_xdp_guard(a->xdp, a->index, cf->policy->guard, cf->policy->nguard, cf->transparent,
			    err, errlen);
}

int sw_answer_open(struct sw_answer **out, const struct sw_answer_config *cf, sw_wall wall,
		   sw_mono mono, char *err, size_t errlen)
{
	struct sw_answer *a = calloc(1, sizeof(*a));
	int rc;

	if (!a)
		return -ENOMEM;
	a->masters = *cf->masters;
	a->alg = cf->alg;
	rc = sw_xdp_join(&a->xdp, &a->index, cf->ifindex, err, errlen);
	if (!rc)
		rc = prepare(a, cf, wall, mono, err, errlen);
	if (rc)
		sw_answer_close(a);
	else
		*out = a;
	return rc;
}

void sw_answer_close(struct sw_answer *a)
{
	if (!a)
		return;
	sw_xdp_leave(a->xdp, a->index);
	OPENSSL_cleanse(a, sizeof(*a));
	free(a);
}

int sw_answer_attach(struct sw_answer *a, char *err, size_t errlen)
{
	return sw_xdp_attach(a->xdp, err, errlen);
}

int sw_answer_drain(struct sw_answer *a, bool on)
{
	a->settings.draining = on;
	return sw_xdp_put_settings(a->xdp, a->index, &a->settings);
}

int sw_answer_rekey(struct sw_answer *a, const struct sw_masters *masters, sw_wall wall)
{
	int rc;

	a->masters = *masters;
	a->have_keys = false;
	rc = push_keys(a, sw_epoch_at(wall));
	if (rc)
		return rc;
	a->settings.masters = (uint8_t)masters->n;
	return sw_xdp_put_settings(a->xdp, a->index, &a->settings);
}

enum sw_xdp_mode sw_answer_mode(const struct sw_answer *a)
{
	return sw_xdp_mode(a->xdp);
}

bool sw_answer_sees_tags(const struct sw_answer *a)
{
	return sw_xdp_sees_tags(a->xdp);
}

void sw_answer_count(const struct sw_answer *a, uint64_t why[SW_NWHY])
{
	sw_xdp_count(a->xdp, a->index, why);
}

struct sw_xdp *sw_answer_xdp(const struct sw_answer *a)
{
	return a->xdp;
}

unsigned sw_answer_index(const struct sw_answer *a)
{
	return a->index;
}

int sw_answer_prog_fd(const struct sw_answer *a)
{
	return sw_xdp_prog_fd(a->xdp);
}
