/* SPDX-License-Identifier: MIT */
#include "synward/listener.h"
#include "handoff/repair.h"
#include "listen/fallback.h"
#include "listen/keyfile.h"
#include "listen/policy.h"
#include "listen/worker.h"
#include "steer/addr.h"
#include "steer/steer.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define POPS_A_CALL 256 /* connections taken from the queue before other events have a turn */
#define TICK_SECONDS 1
#define MAX_WORKERS 64
#define MAX_QUEUE 1048576
#define MAX_RING 1048576

_Static_assert(SW_NWHY <= SYNWARD_MAX_REASONS, "every reason has a counter");

struct synward_listener {
	struct event_base *base; /* borrowed */
	synward_accept_cb cb;
	synward_error_cb error_cb;
	void *arg;
	struct event *wake, *tick; /* owned */
	struct sw_admitq *queue;   /* owned */
	struct sw_steer *steer;    /* owned */
	struct sw_worker *worker;  /* owned array */
	unsigned nworker;
	struct sw_fallback *fallback; /* owned; instead of all of the above */
	int last_trouble;
	bool enabled;
	bool dying, in_callback;
};

static int fail(const struct synward_config *cf, int rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Set errno and the caller's line.  @return rc. */
static int fail(const struct synward_config *cf, int rc, const char *fmt, ...)
{
	va_list ap;

	if (cf->error && cf->error_size) {
		va_start(ap, fmt);
		vsnprintf(cf->error, cf->error_size, fmt, ap);
		va_end(ap);
	}
	return rc;
}

static int parse_guards(const struct synward_config *cf, struct sw_policy *p)
{
	if (cf->nlisten == 0 || cf->nlisten > SW_MAX_GUARDS)
		return fail(cf, -EINVAL, "%zu listen addresses; give 1 to %d", cf->nlisten,
			    SW_MAX_GUARDS);
	for (size_t i = 0; i < cf->nlisten; i++) {
		struct sw_guard *g = &p->guard[i];
		struct sockaddr_storage ss;
		char err[200];

		if (sw_addr_parse(cf->listen[i], &ss, err, sizeof(err)))
			return fail(cf, -EINVAL, "%s", err);
		if (ss.ss_family == AF_INET) {
			const struct sockaddr_in *in4 = (const struct sockaddr_in *)&ss;

			g->family = SW_IP4;
			g->port = ntohs(in4->sin_port);
			g->any = in4->sin_addr.s_addr == htonl(INADDR_ANY);
			memcpy(g->addr.b, &in4->sin_addr, 4);
		} else {
			const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&ss;

			g->family = SW_IP6;
			g->port = ntohs(in6->sin6_port);
			g->any = IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr);
			memcpy(g->addr.b, &in6->sin6_addr, 16);
		}
		for (size_t j = 0; j < i; j++)
			if (!memcmp(&p->guard[j], g, sizeof(*g)))
				return fail(cf, -EINVAL, "%s is given twice", cf->listen[i]);
		p->nguard = i + 1;
	}
	return 0;
}

static int find_link(const struct synward_config *cf, struct sw_link_info *link)
{
	if (!cf->interface)
		return fail(cf, -EINVAL, "no interface given; name the one the SYNs come in on");
	if (sw_link_info(cf->interface, link))
		return fail(cf, -ENODEV, "no interface %s here; 'ip link' lists them",
			    cf->interface);
	if (!link->ethernet)
		return fail(cf, -ENOTSUP, "interface %s is not Ethernet; guard one that is",
			    cf->interface);
	if (!link->up)
		return fail(cf, -ENETDOWN, "interface %s is down; 'ip link set %s up'",
			    cf->interface, cf->interface);
	return 0;
}

static int read_keys(const struct synward_config *cf, struct sw_masters *masters)
{
	char err[300];
	int rc;

	memset(masters, 0, sizeof(*masters));
	if (!cf->key_file) {
		masters->n = 1;
		if (getrandom(masters->key[0], SW_KEY_LEN, 0) != SW_KEY_LEN)
			return fail(cf, -EIO, "no random numbers from the kernel");
		return 0;
	}
	rc = sw_keyfile_read(cf->key_file, masters, err, sizeof(err));
	return rc ? fail(cf, -EINVAL, "%s", err) : 0;
}

static unsigned or_default(unsigned value, unsigned dflt)
{
	return value ? value : dflt;
}

static int check_numbers(const struct synward_config *cf)
{
	if (cf->workers > MAX_WORKERS)
		return fail(cf, -EINVAL, "%u workers; give 1 to %d", cf->workers, MAX_WORKERS);
	if (cf->queue_depth > MAX_QUEUE)
		return fail(cf, -EINVAL, "queue depth %u; give 1 to %d", cf->queue_depth,
			    MAX_QUEUE);
	if (cf->ring_frames > MAX_RING)
		return fail(cf, -EINVAL, "%u ring frames; give 1 to %d", cf->ring_frames, MAX_RING);
	if (cf->mac != SYNWARD_MAC_HMAC_SHA256 && cf->mac != SYNWARD_MAC_SIPHASH_2_4)
		return fail(cf, -EINVAL, "no such MAC: %d", (int)cf->mac);
	return 0;
}

static int start_workers(struct synward_listener *lev, const struct synward_config *cf,
			 const struct sw_policy *policy, const struct sw_masters *masters,
			 unsigned ifindex)
{
	struct sw_worker_config wc = { .ifindex = ifindex,
				       .far_ifindex = sw_steer_far_ifindex(lev->steer),
				       .ring_frames = or_default(cf->ring_frames, 8192),
				       .fanout = cf->workers > 1 ? 1 : -1,
				       .qdisc_bypass = cf->qdisc_bypass != 0,
				       .policy = policy,
				       .masters = masters,
				       .alg = cf->mac == SYNWARD_MAC_SIPHASH_2_4 ? SW_MAC_SIPHASH24 :
										   SW_MAC_HMAC_SHA256 };
	int rc;

	lev->worker = calloc(lev->nworker, sizeof(*lev->worker));
	if (!lev->worker)
		return fail(cf, -ENOMEM, "out of memory");
	for (unsigned i = 0; i < lev->nworker; i++) {
		rc = sw_worker_init(&lev->worker[i], sw_steer_take_socket(lev->steer, i), lev->queue,
				    &wc);
		if (rc)
			return fail(cf, rc, "cannot set up the packet ring of worker %u: %s%s", i,
				    strerror(-rc),
				    rc == -ENOMEM ? "; try fewer ring frames" : "");
	}
	for (unsigned i = 0; i < lev->nworker; i++) {
		rc = sw_worker_start(&lev->worker[i]);
		if (rc)
			return fail(cf, rc, "cannot start a thread: %s", strerror(-rc));
	}
	return 0;
}

/* Everything that makes the guard, in the order it is undone by stop(). */
static int start(struct synward_listener *lev, const struct synward_config *cf)
{
	struct sw_policy policy = { .refuse_rate = or_default(cf->refuse_rate, 1000) };
	struct sw_masters masters;
	struct sw_host_tcp host;
	struct sw_link_info link;
	struct sw_steer_config sc;
	char err[256] = "";
	int rc;

	rc = check_numbers(cf);
	if (!rc)
		rc = parse_guards(cf, &policy);
	if (!rc)
		rc = find_link(cf, &link);
	if (!rc)
		rc = read_keys(cf, &masters);
	if (rc)
		return rc;
	if (cf->refuse_rate == SYNWARD_REFUSE_NONE)
		policy.refuse_rate = 0;
	sw_host_tcp_read(&host);
	sw_policy_fill(&policy, &host, &link);
	rc = sw_repair_probe();
	if (rc) {
		rc = fail(cf, rc == -EPERM ? -EPERM : -ENOTSUP, "cannot use TCP_REPAIR: %s; needs %s",
			  strerror(-rc),
			  rc == -EPERM ? "CAP_NET_ADMIN" : "CONFIG_CHECKPOINT_RESTORE");
		goto wipe;
	}
	lev->nworker = or_default(cf->workers, 1);
	rc = sw_admitq_new(&lev->queue, or_default(cf->queue_depth, 4096));
	if (rc) {
		rc = fail(cf, rc, "cannot make the queue: %s", strerror(-rc));
		goto wipe;
	}
	sc = (struct sw_steer_config){ .interface = cf->interface,
				       .ifindex = link.ifindex,
				       .guard = policy.guard,
				       .nguard = policy.nguard,
				       .workers = lev->nworker,
				       .clsact = getenv("SYNWARD_CLSACT") != NULL };
	rc = sw_steer_open(&lev->steer, &sc, err, sizeof(err));
	if (rc) {
		rc = fail(cf, rc, "%s", err);
		goto wipe;
	}
	rc = start_workers(lev, cf, &policy, &masters, link.ifindex);
wipe:
	explicit_bzero(&masters, sizeof(masters));
	return rc;
}

static void stop(struct synward_listener *lev)
{
	/* Steering first: from here on the kernel answers. */
	sw_steer_close(lev->steer);
	lev->steer = NULL;
	for (unsigned i = 0; lev->worker && i < lev->nworker; i++)
		sw_worker_stop(&lev->worker[i]);
	free(lev->worker);
	lev->worker = NULL;
	sw_admitq_free(lev->queue);
	lev->queue = NULL;
	sw_fallback_free(lev->fallback);
	lev->fallback = NULL;
}

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
	stop(lev);
	free(lev);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct synward_listener *lev = arg;
	struct sw_admitted a;

	(void)fd;
	(void)what;
	sw_admitq_ack(lev->queue);
	for (unsigned i = 0; i < POPS_A_CALL && lev->enabled && !lev->dying; i++) {
		if (!sw_admitq_pop(lev->queue, &a))
			return;
		deliver(lev, &a);
	}
	if (lev->dying)
		destroy(lev);
	else if (lev->enabled)
		event_active(lev->wake, EV_READ, 0);
}

/* Once a second: renew the lease, report trouble on its first appearance. */
static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct synward_listener *lev = arg;
	int trouble = 0;

	(void)fd;
	(void)what;
	sw_steer_renew(lev->steer, sw_clock_mono());
	for (unsigned i = 0; i < lev->nworker; i++) {
		const int t = atomic_exchange_explicit(&lev->worker[i].trouble, 0,
						       memory_order_relaxed);

		if (t)
			trouble = t;
	}
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

	lev->wake = event_new(lev->base, sw_admitq_fd(lev->queue), EV_READ | EV_PERSIST, on_wake,
			      lev);
	lev->tick = event_new(lev->base, -1, EV_PERSIST, on_tick, lev);
	if (!lev->wake || !lev->tick || event_add(lev->tick, &tick))
		return fail(cf, -ENOMEM, "out of memory");
	return 0;
}

static int start_fallback(struct synward_listener *lev, const struct synward_config *cf)
{
	struct sw_policy policy = { 0 };
	int rc = parse_guards(cf, &policy);
	char err[256] = "";

	if (rc)
		return rc;
	rc = sw_fallback_new(&lev->fallback, lev, policy.guard, policy.nguard, err, sizeof(err));
	return rc ? fail(cf, rc, "%s", err) : 0;
}

struct synward_listener *synward_listener_new(struct event_base *base, synward_accept_cb cb,
					      void *arg, unsigned flags,
					      const struct synward_config *cf)
{
	struct synward_listener *lev = calloc(1, sizeof(*lev));
	int rc;

	if (!lev)
		return NULL;
	lev->base = base;
	lev->cb = cb;
	lev->arg = arg;
	rc = start(lev, cf);
	if (!rc)
		rc = add_events(lev, cf);
	if ((rc == -EPERM || rc == -ENOTSUP) && (flags & SYNWARD_OPT_FALLBACK)) {
		stop(lev);
		rc = start_fallback(lev, cf);
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
	if (event_add(lev->wake, NULL))
		return -1;
	lev->enabled = true;
	/* What was queued while nobody looked. */
	event_active(lev->wake, EV_READ, 0);
	return 0;
}

int synward_listener_disable(struct synward_listener *lev)
{
	if (lev->fallback)
		return sw_fallback_enable(lev->fallback, false);
	lev->enabled = false;
	return event_del(lev->wake);
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

static uint64_t load(const _Atomic uint64_t *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}

static void add_worker(struct synward_stats *out, uint64_t why[SW_NWHY], const struct sw_worker *w)
{
	for (size_t i = 0; i < SW_NWHY; i++)
		why[i] += load(&w->n.why[i]);
	out->frames += load(&w->n.frames);
	out->synacks += load(&w->n.synacks);
	out->handed += load(&w->n.handed);
	out->passed += load(&w->n.passed);
	out->dropped += load(&w->n.dropped);
	out->ring_lost += load(&w->ring_lost);
}

void synward_listener_get_stats(const struct synward_listener *lev, struct synward_stats *out)
{
	uint64_t why[SW_NWHY] = { 0 };

	memset(out, 0, sizeof(*out));
	for (unsigned i = 0; lev->worker && i < lev->nworker; i++)
		add_worker(out, why, &lev->worker[i]);
	if (lev->steer)
		sw_steer_count(lev->steer, why);
	why[SW_WHY_RING_LOST] += out->ring_lost;
	memcpy(out->reason, why, sizeof(why));
	out->proven = why[SW_WHY_ACK_PROVEN];
	out->syns = why[SW_WHY_SYN_ANSWERED] + why[SW_WHY_MSS_SMALL] + why[SW_WHY_BAD_FLAGS];
	out->queued = lev->queue ? sw_admitq_len(lev->queue) : 0;
}

const char *synward_reason_name(unsigned i)
{
	return i < SW_NWHY ? sw_why_name((enum sw_why)i) : NULL;
}

const char *synward_reason_text(unsigned i)
{
	return i < SW_NWHY ? sw_why_text((enum sw_why)i) : NULL;
}

const char *synward_version(void)
{
	return SYNWARD_VERSION;
}
