/* SPDX-License-Identifier: MIT */
#include "steer/answer.h"
#include "steer/bpfkey.h"
#include "steer/bpfutil.h"
#include "steer/secret.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <string.h>

#define EPOCHS_AHEAD 2
#define LINGER_TICKS 2 /* until no packet is under way any more that found the old index */

struct sw_answer {
	struct sw_masters masters; /* first: secret */
	pthread_mutex_t lock;      /* protects all below but xdp and alg */
	struct sw_xdp *xdp;        /* joined */
	enum sw_mac_alg alg;
	unsigned index;
	struct sw_bpf_settings settings;
	sw_epoch done; /* keys up to done + EPOCHS_AHEAD are in place, when have_keys */
	bool have_keys;
	sw_mono ticked; /* the last tick that succeeded */
	struct sw_guard guard[SW_MAX_GUARDS]; /* on now */
	size_t nguard;
	unsigned old, linger; /* the index before a change of keys, and for how many ticks more */
	uint64_t was[SW_NWHY], was_tc[SW_NWHY]; /* counted under indexes that were given back */
};

/* The index that keys are pushed to, with its masters.  @return 0 or -errno. */
static int push_key(const struct sw_answer *a, const struct sw_masters *masters, unsigned index,
		    size_t master, sw_epoch epoch)
{
	const uint32_t slot = (epoch.n & (SW_BPF_EPOCHS - 1)) * SW_BPF_MASTERS + (uint32_t)master;
	struct sw_bpf_key key = { 0 };
	uint8_t raw[SW_KEY_LEN];
	int rc = -EIO;

	if (master >= masters->n)
		return sw_xdp_put_key(a->xdp, index, slot, &key);
	if (sw_epoch_key_derive(raw, masters->key[master], a->alg, epoch) &&
	    sw_bpf_key_make(&key, raw, epoch))
		rc = sw_xdp_put_key(a->xdp, index, slot, &key);
	OPENSSL_cleanse(raw, sizeof(raw));
	OPENSSL_cleanse(&key, sizeof(key));
	return rc;
}

static int push_keys(const struct sw_answer *a, const struct sw_masters *masters, unsigned index,
		     sw_epoch now)
{
	int rc = 0;

	for (uint32_t e = now.n - 1; e != now.n + EPOCHS_AHEAD + 1; e++)
		for (size_t m = 0; m < SW_BPF_MASTERS && !rc; m++)
			rc = push_key(a, masters, index, m, (sw_epoch){ e });
	return rc;
}

static int renew_keys(struct sw_answer *a, sw_epoch now)
{
	int rc;

	if (a->have_keys && a->done.n == now.n)
		return 0;
	rc = push_keys(a, &a->masters, a->index, now);
	a->have_keys = rc == 0;
	a->done = now;
	return rc;
}

/* Give the index back that was in use before the last change of keys. */
static void retire(struct sw_answer *a)
{
	if (!a->linger)
		return;
	a->linger = 0;
	sw_xdp_count(a->xdp, a->old, a->was);
	sw_xdp_count_tc(a->xdp, a->old, a->was_tc);
	sw_xdp_leave(a->xdp, a->old);
}

int sw_answer_tick(struct sw_answer *a, sw_wall wall, sw_mono mono)
{
	int rc, err;

	pthread_mutex_lock(&a->lock);
	rc = renew_keys(a, sw_epoch_at(wall));
	err = sw_xdp_tick(a->xdp, wall, mono);
	if (!rc)
		rc = err;
	if (!rc)
		a->ticked = mono;
	if (a->linger == 1)
		retire(a);
	else if (a->linger)
		a->linger--;
	pthread_mutex_unlock(&a->lock);
	return rc;
}

uint64_t sw_answer_age_ms(const struct sw_answer *a, sw_mono now)
{
	const uint64_t ticked = __atomic_load_n(&a->ticked.ns, __ATOMIC_RELAXED);

	return now.ns > ticked ? (now.ns - ticked) / 1000000 : 0;
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
						.hmac = cf->alg == SW_MAC_HMAC_SHA256,
						.transparent = cf->transparent };
}

int sw_answer_open(struct sw_answer **out, const struct sw_answer_config *cf, sw_wall wall,
		   sw_mono mono, char *err, size_t errlen)
{
	struct sw_answer *a = sw_secret_new(sizeof(*a), sizeof(a->masters));
	int rc;

	if (!a)
		return -ENOMEM;
	pthread_mutex_init(&a->lock, NULL);
	a->masters = *cf->masters;
	a->alg = cf->alg;
	copy_policy(a, cf);
	rc = sw_xdp_join(&a->xdp, &a->index, cf->ifindex, err, errlen);
	if (rc)
		goto close_answer;
	/* Settings and keys first: a guard whose listener is not ready would refuse. */
	rc = sw_xdp_put_settings(a->xdp, a->index, &a->settings);
	if (!rc)
		rc = sw_answer_tick(a, wall, mono);
	if (rc) {
		rc = sw_bpf_explain(rc, "fill the BPF map of keys", err, errlen);
		goto close_answer;
	}
	*out = a;
	return 0;

close_answer:
	sw_answer_close(a);
	return rc;
}

void sw_answer_close(struct sw_answer *a)
{
	if (!a)
		return;
	if (a->xdp) {
		retire(a);
		sw_xdp_leave(a->xdp, a->index);
	}
	pthread_mutex_destroy(&a->lock);
	sw_secret_free(a, sizeof(*a), sizeof(a->masters));
}

int sw_answer_attach(struct sw_answer *a, char *err, size_t errlen)
{
	return sw_xdp_attach(a->xdp, err, errlen);
}

static bool same(const struct sw_guard *a, const struct sw_guard *b)
{
	return a->family == b->family && a->port == b->port && a->any == b->any &&
	       !memcmp(&a->addr, &b->addr, sizeof(a->addr));
}

/* Keep the list of what is on. */
static void note_guard(struct sw_answer *a, const struct sw_guard *g, bool on)
{
	size_t i = 0;

	while (i < a->nguard && !same(&a->guard[i], g))
		i++;
	if (on && i == a->nguard && i < SW_MAX_GUARDS)
		a->guard[a->nguard++] = *g;
	else if (!on && i < a->nguard)
		a->guard[i] = a->guard[--a->nguard];
}

static int put_guard(const struct sw_answer *a, unsigned index, const struct sw_guard *g)
{
	char unused[256];

	return sw_xdp_guard(a->xdp, index, g, 1, a->settings.transparent, unused, sizeof(unused));
}

int sw_answer_guard(struct sw_answer *a, const struct sw_guard *g, bool on)
{
	int rc;

	pthread_mutex_lock(&a->lock);
	rc = on ? put_guard(a, a->index, g) : sw_xdp_unguard(a->xdp, a->index, g);
	if (!rc || !on)
		note_guard(a, g, on);
	pthread_mutex_unlock(&a->lock);
	return rc;
}

int sw_answer_drain(struct sw_answer *a, bool on)
{
	int rc;

	pthread_mutex_lock(&a->lock);
	a->settings.draining = on;
	rc = sw_xdp_put_settings(a->xdp, a->index, &a->settings);
	pthread_mutex_unlock(&a->lock);
	return rc;
}

/* A second index with the new keys; then each guard passes to it at once. */
static int rekey(struct sw_answer *a, const struct sw_masters *masters, sw_epoch now)
{
	struct sw_bpf_settings settings = a->settings;
	unsigned index;
	char err[256];
	int rc;

	retire(a);
	rc = sw_xdp_join_again(a->xdp, &index);
	if (rc)
		return rc;
	settings.masters = (uint8_t)masters->n;
	rc = sw_xdp_put_settings(a->xdp, index, &settings);
	if (!rc)
		rc = push_keys(a, masters, index, now);
	if (!rc)
		rc = sw_xdp_guard(a->xdp, index, a->guard, a->nguard, settings.transparent, err,
				  sizeof(err));
	if (rc) {
		(void)!sw_xdp_guard(a->xdp, a->index, a->guard, a->nguard, settings.transparent,
				    err, sizeof(err));
		sw_xdp_leave(a->xdp, index);
		return rc;
	}
	a->old = a->index;
	a->linger = LINGER_TICKS;
	a->index = index;
	a->settings = settings;
	a->masters = *masters;
	a->have_keys = true;
	a->done = now;
	return 0;
}

int sw_answer_rekey(struct sw_answer *a, const struct sw_masters *masters, sw_wall wall)
{
	int rc;

	pthread_mutex_lock(&a->lock);
	rc = rekey(a, masters, sw_epoch_at(wall));
	pthread_mutex_unlock(&a->lock);
	return rc;
}

enum sw_xdp_mode sw_answer_mode(const struct sw_answer *a)
{
	return sw_xdp_mode(a->xdp);
}

bool sw_answer_sees_tags(const struct sw_answer *a)
{
	return sw_xdp_sees_tags(a->xdp);
}

typedef void count_fn(const struct sw_xdp *x, unsigned index, uint64_t why[SW_NWHY]);

static void count(struct sw_answer *a, count_fn *add, const uint64_t was[SW_NWHY],
		  uint64_t why[SW_NWHY])
{
	pthread_mutex_lock(&a->lock);
	for (size_t i = 0; i < SW_NWHY; i++)
		why[i] += was[i];
	if (a->linger)
		add(a->xdp, a->old, why);
	add(a->xdp, a->index, why);
	pthread_mutex_unlock(&a->lock);
}

void sw_answer_count(struct sw_answer *a, uint64_t why[SW_NWHY])
{
	count(a, sw_xdp_count, a->was, why);
}

void sw_answer_count_tc(struct sw_answer *a, uint64_t why[SW_NWHY])
{
	count(a, sw_xdp_count_tc, a->was_tc, why);
}

struct sw_xdp *sw_answer_xdp(const struct sw_answer *a)
{
	return a->xdp;
}

int sw_answer_prog_fd(const struct sw_answer *a)
{
	return sw_xdp_prog_fd(a->xdp);
}
