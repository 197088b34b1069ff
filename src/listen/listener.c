/* SPDX-License-Identifier: MIT */
#include "synward/listener.h"
#include "listen/engine.h"
#include "listen/fallback.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define POPS_A_CALL 256 /* connections taken from the queue before other events have a turn */
#define TICK_SECONDS 1

struct synward_listener {
	struct event_base *base; /* borrowed */
	synward_accept_cb cb;
	synward_error_cb error_cb;
	void *arg;
	struct event *wake, *tick; /* owned; wake is NULL in transparent mode */
	struct sw_engine engine;   /* owned */
	struct sw_fallback *fallback; /* owned; instead of all of the above */
	int last_trouble;
	bool enabled, draining;
	bool dying, in_callback;
};

/* The callback may free the listener, so that nothing is touched after it before a look. */
static void deliver(struct synward_listener *lev, struct sw_admitted *a)
{
	lev->in_callback = true;
	lev->cb(lev, a->fd, (struct sockaddr *)&a->peer, (int)a->peerlen, lev->arg);
	lev->in_callback = false;
}

static void destroy(struct synward_listener *lev)
{
	if (lev->wake)
		event_free(lev->wake);
	if (lev->tick)
		event_free(lev->tick);
	sw_engine_stop(&lev->engine);
	sw_fallback_free(lev->fallback);
	free(lev);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct synward_listener *lev = arg;
	struct sw_admitted a;

	(void)fd;
	(void)what;
	sw_admitq_ack(lev->engine.queue);
	for (unsigned i = 0; i < POPS_A_CALL && lev->enabled && !lev->dying; i++) {
		if (!sw_admitq_pop(lev->engine.queue, &a))
			return;
		deliver(lev, &a);
	}
	if (lev->dying)
		destroy(lev);
	else if (lev->enabled)
		event_active(lev->wake, EV_READ, 0);
}

/* Once a second.  Trouble is reported on its first appearance. */
static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct synward_listener *lev = arg;
	int trouble;

	(void)fd;
	(void)what;
	trouble = -sw_engine_tick(&lev->engine);
	if (!trouble)
		trouble = sw_engine_trouble(&lev->engine);
	if (trouble && trouble != lev->last_trouble && lev->error_cb) {
		lev->last_trouble = trouble;
		errno = trouble;
		lev->error_cb(lev, lev->arg);
		return;
	}
	lev->last_trouble = trouble;
}

static int add_events(struct synward_listener *lev, const struct synward_config *cf)
{
	const struct timeval tick = { .tv_sec = TICK_SECONDS };

	lev->tick = event_new(lev->base, -1, EV_PERSIST, on_tick, lev);
	if (lev->engine.queue)
		lev->wake = event_new(lev->base, sw_admitq_fd(lev->engine.queue),
				      EV_READ | EV_PERSIST, on_wake, lev);
	if (!lev->tick || event_add(lev->tick, &tick) || (lev->engine.queue && !lev->wake))
		return sw_config_fail(cf, -ENOMEM, "out of memory");
	return 0;
}

static int start_fallback(struct synward_listener *lev, const struct synward_config *cf,
			  bool replace)
{
	struct sw_policy policy = { 0 };
	int rc = sw_config_guards(cf, &policy);
	char err[256] = "";

	if (rc)
		return rc;
	rc = sw_fallback_new(&lev->fallback, lev, policy.guard, policy.nguard, replace, err,
			     sizeof(err));
	return rc ? sw_config_fail(cf, rc, "%s", err) : 0;
}

struct synward_listener *synward_listener_new(struct event_base *base, synward_accept_cb cb,
					      void *arg, unsigned flags,
					      const struct synward_config *cf)
{
	struct synward_listener *lev = calloc(1, sizeof(*lev));
	const bool replace = flags & SYNWARD_OPT_REPLACE;
	int rc;

	if (!lev)
		return NULL;
	lev->base = base;
	lev->cb = cb;
	lev->arg = arg;
	rc = sw_engine_start(&lev->engine, cf, replace);
	if (!rc)
		rc = add_events(lev, cf);
	if ((rc == -EPERM || rc == -ENOTSUP) && (flags & SYNWARD_OPT_FALLBACK)) {
		sw_engine_stop(&lev->engine);
		rc = start_fallback(lev, cf, replace);
	}
	if (!rc && !(flags & SYNWARD_OPT_DISABLED))
		rc = synward_listener_enable(lev) ? -ENOMEM : 0;
	if (rc) {
		destroy(lev);
		errno = -rc;
		return NULL;
	}
	return lev;
}

void synward_listener_free(struct synward_listener *lev)
{
	if (!lev)
		return;
	if (lev->in_callback)
		lev->dying = true;
	else
		destroy(lev);
}

int synward_listener_enable(struct synward_listener *lev)
{
	if (lev->fallback)
		return sw_fallback_enable(lev->fallback, true);
	lev->enabled = true;
	if (!lev->wake)
		return 0;
	if (event_add(lev->wake, NULL))
		return -1;
	/* What was queued while nobody looked. */
	event_active(lev->wake, EV_READ, 0);
	return 0;
}

int synward_listener_disable(struct synward_listener *lev)
{
	if (lev->fallback)
		return sw_fallback_enable(lev->fallback, false);
	lev->enabled = false;
	return lev->wake ? event_del(lev->wake) : 0;
}

/* @return as the public functions do. */
static int result(int rc)
{
	if (rc)
		errno = -rc;
	return rc ? -1 : 0;
}

int synward_listener_drain(struct synward_listener *lev, int on)
{
	const bool want = on != 0;
	int rc = 0;

	if (want != lev->draining)
		rc = lev->fallback ? sw_fallback_drain(lev->fallback, want) :
				     sw_engine_drain(&lev->engine, want);
	if (!rc)
		lev->draining = want;
	return result(rc);
}

int synward_listener_is_draining(const struct synward_listener *lev)
{
	return lev->draining;
}

int synward_listener_reload_key(struct synward_listener *lev, char *error, size_t size)
{
	char err[300] = "";
	int rc;

	if (size)
		error[0] = '\0';
	rc = lev->fallback ? 0 : sw_engine_rekey(&lev->engine, err, sizeof(err));
	if (rc && size)
		snprintf(error, size, "%s", err);
	return result(rc);
}

unsigned synward_listener_get_keys(const struct synward_listener *lev,
				   struct synward_key out[SYNWARD_MAX_KEYS])
{
	const struct sw_keyfile *keys = lev->engine.keys;
	const size_t n = keys ? keys->masters.n : 0;

	for (size_t i = 0; i < n; i++) {
		snprintf(out[i].slot, sizeof(out[i].slot), "%s", sw_key_slot_name(keys->slot[i]));
		sw_key_fingerprint(keys->masters.key[i], out[i].fingerprint);
	}
	return (unsigned)n;
}

uint64_t synward_listener_heartbeat(const struct synward_listener *lev)
{
	return lev->fallback ? sw_clock_mono().ns / 1000000000ull :
			       sw_engine_heartbeat(&lev->engine);
}

const char *synward_listener_xdp_mode(const struct synward_listener *lev)
{
	if (!lev->engine.answer)
		return NULL;
	return sw_answer_mode(lev->engine.answer) == SW_XDP_NATIVE ? "native" : "generic";
}

unsigned synward_listener_get_workers(const struct synward_listener *lev,
				      struct synward_worker_stats *out, unsigned n)
{
	for (unsigned i = 0; i < lev->engine.nworker && i < n; i++) {
		const struct sw_worker *w = &lev->engine.worker[i];

		out[i].frames = atomic_load_explicit(&w->n.frames, memory_order_relaxed);
		out[i].ring_lost = atomic_load_explicit(&w->ring_lost, memory_order_relaxed);
		out[i].beats = atomic_load_explicit(&w->beats, memory_order_relaxed);
	}
	return lev->engine.nworker;
}

struct event_base *synward_listener_get_base(struct synward_listener *lev)
{
	return lev->base;
}

void synward_listener_set_cb(struct synward_listener *lev, synward_accept_cb cb, void *arg)
{
	lev->cb = cb;
	lev->arg = arg;
}

void synward_listener_set_error_cb(struct synward_listener *lev, synward_error_cb cb)
{
	lev->error_cb = cb;
}

int synward_listener_is_fallback(const struct synward_listener *lev)
{
	return lev->fallback != NULL;
}

void sw_listener_accepted(struct synward_listener *lev, int fd, struct sockaddr *peer, int peerlen)
{
	lev->cb(lev, fd, peer, peerlen, lev->arg);
}

void sw_listener_trouble(struct synward_listener *lev, int error)
{
	if (lev->error_cb) {
		errno = error;
		lev->error_cb(lev, lev->arg);
	}
}

void synward_listener_get_stats(const struct synward_listener *lev, struct synward_stats *out)
{
	sw_engine_count(&lev->engine, out);
}

const char *synward_reason_name(unsigned i)
{
	return i < SW_NWHY ? sw_why_name((enum sw_why)i) : NULL;
}

const char *synward_reason_text(unsigned i)
{
	return i < SW_NWHY ? sw_why_text((enum sw_why)i) : NULL;
}

const char *synward_stage_name(unsigned i)
{
	return sw_stage_name(i);
}

const char *synward_version(void)
{
	return SYNWARD_VERSION;
}
