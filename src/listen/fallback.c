/* SPDX-License-Identifier: MIT */
#include "listen/fallback.h"
#include "synward/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAUSE_US 100000

struct sw_fallback {
	struct synward_listener *lev; /* borrowed */
	struct event_base *base;      /* borrowed */
	size_t n;
	struct sw_guard guard[SW_MAX_GUARDS];
	int fd[SW_MAX_GUARDS];           /* owned */
	struct event *ev[SW_MAX_GUARDS]; /* owned */
	bool off[SW_MAX_GUARDS];         /* another accepts from this socket, which is shared */
	struct event *wakeup;            /* owned */
	bool enabled, draining;
	int last_error;
	struct sw_fallback *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sw_fallback *all; /* protected by lock; members by their event_base's thread */

/* Out of descriptors or memory: the connection stays in the backlog, and its readiness would spin
 * the loop.  Look again in a while. */
static void rest(struct sw_fallback *fb, int error)
{
	const struct timeval pause = { .tv_usec = PAUSE_US };

	for (size_t i = 0; i < fb->n; i++)
		event_del(fb->ev[i]);
	if (event_add(fb->wakeup, &pause))
		sw_fallback_enable(fb, true);
	if (error == fb->last_error)
		return;
	fb->last_error = error;
	sw_listener_trouble(fb->lev, error); /* may free us */
}

static void on_wakeup(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	sw_fallback_enable(arg, true);
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct sw_fallback *fb = arg;
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	int c;

	(void)what;
	/* One a call: the callback may free us. */
	c = accept4((int)fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (c >= 0) {
		fb->last_error = 0;
		sw_listener_accepted(fb->lev, c, (struct sockaddr *)&peer, (int)len);
	} else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
		rest(fb, errno);
}

static int listen_on(const struct sw_guard *g)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(g->port) };
	struct sockaddr_in in4 = { .sin_family = AF_INET, .sin_port = htons(g->port) };
	const bool v4 = g->family == SW_IP4;
	const int on = 1;
	const int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return -errno;
	memcpy(&in4.sin_addr, g->addr.b, 4);
	memcpy(&in6.sin6_addr, g->addr.b, 16);
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    (!v4 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on))) ||
	    (v4 ? bind(fd, (struct sockaddr *)&in4, sizeof(in4)) :
		  bind(fd, (struct sockaddr *)&in6, sizeof(in6))) ||
	    listen(fd, SOMAXCONN)) {
		rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}

static bool same(const struct sw_guard *a, const struct sw_guard *b)
{
	return a->family == b->family && a->port == b->port && a->any == b->any &&
	       !memcmp(&a->addr, &b->addr, sizeof(a->addr));
}

/* Who else on this event_base listens on @g?  @i  Out: its number there. */
static struct sw_fallback *other(const struct sw_fallback *fb, const struct sw_guard *g, size_t *i)
{
	for (struct sw_fallback *o = all; o; o = o->next)
		for (*i = 0; o != fb && o->base == fb->base && *i < o->n; ++*i)
			if (same(&o->guard[*i], g))
				return o;
	return NULL;
}

/* SYNs never reach a drained socket; what completes a handshake does. */
static int filter_syns(int fd, bool on)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SW_TCP_SYN | SW_TCP_ACK),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SW_TCP_SYN, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
	};
	const struct sock_fprog prog = { sizeof(code) / sizeof(code[0]), code };
	int unused = 0;

	if (on)
		return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) ? -errno : 0;
	if (setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused)) && errno != ENOENT)
		return -errno;
	return 0;
}

/* Give socket @i to whoever waits for it.  @return whether somebody did. */
static bool pass(struct sw_fallback *fb, size_t i)
{
	size_t k;
	struct sw_fallback *o = other(fb, &fb->guard[i], &k);

	if (fb->off[i] || !o || !o->off[k] || o->draining)
		return false;
	event_del(fb->ev[i]);
	fb->off[i] = true;
	o->off[k] = false;
	(void)filter_syns(o->fd[k], false);
	if (o->enabled)
		event_add(o->ev[k], NULL);
	return true;
}

/* @return a descriptor or -errno. */
static int open_socket(struct sw_fallback *fb, size_t i, bool replace)
{
	size_t k;
	struct sw_fallback *o = replace ? other(fb, &fb->guard[i], &k) : NULL;
	int fd;

	if (!o)
		return listen_on(&fb->guard[i]);
	fd = fcntl(o->fd[k], F_DUPFD_CLOEXEC, 0);
	fb->off[i] = fd >= 0;
	return fd < 0 ? -errno : fd;
}

/* One more socket with its event; fb->n counts it.  @return 0 or -errno. */
static int add_socket(struct sw_fallback *fb, bool replace)
{
	const size_t i = fb->n;
	const int fd = open_socket(fb, i, replace);

	if (fd < 0)
		return fd;
	fb->ev[i] = event_new(fb->base, fd, EV_READ | EV_PERSIST, on_ready, fb);
	if (!fb->ev[i]) {
		close(fd);
		return -ENOMEM;
	}
	fb->fd[i] = fd;
	fb->n++;
	return 0;
}

int sw_fallback_new(struct sw_fallback **out, struct synward_listener *lev,
		    const struct sw_guard *guard, size_t n, bool replace, char *err, size_t errlen)
{
	struct sw_fallback *fb = calloc(1, sizeof(*fb));
	int rc = -ENOMEM;

	if (!fb)
		goto out_of_memory;
	fb->lev = lev;
	fb->base = synward_listener_get_base(lev);
	memcpy(fb->guard, guard, n * sizeof(*guard));
	fb->wakeup = event_new(fb->base, -1, 0, on_wakeup, fb);
	if (!fb->wakeup) {
		free(fb);
		goto out_of_memory;
	}
	pthread_mutex_lock(&lock);
	do
		rc = add_socket(fb, replace);
	while (!rc && fb->n < n);
	fb->next = all;
	all = fb;
	pthread_mutex_unlock(&lock);
	if (rc) {
		snprintf(err, errlen, "cannot listen on port %u: %s", guard[fb->n].port,
			 strerror(-rc));
		sw_fallback_free(fb);
		return rc;
	}
	*out = fb;
	return 0;

out_of_memory:
	snprintf(err, errlen, "out of memory");
	return rc;
}

void sw_fallback_free(struct sw_fallback *fb)
{
	struct sw_fallback **at = &all;

	if (!fb)
		return;
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < fb->n; i++) {
		(void)pass(fb, i);
		event_free(fb->ev[i]);
		close(fb->fd[i]);
	}
	while (*at && *at != fb)
		at = &(*at)->next;
	if (*at)
		*at = fb->next;
	pthread_mutex_unlock(&lock);
	event_free(fb->wakeup);
	free(fb);
}

int sw_fallback_drain(struct sw_fallback *fb, bool on)
{
	size_t unused;
	int rc = 0;

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < fb->n && !on && !rc; i++)
		if (fb->off[i] && other(fb, &fb->guard[i], &unused))
			rc = -EBUSY;
	for (size_t i = 0; i < fb->n && !rc; i++) {
		if (on && pass(fb, i))
			continue;
		if (!fb->off[i])
			rc = filter_syns(fb->fd[i], on);
	}
	if (!rc)
		fb->draining = on;
	for (size_t i = 0; i < fb->n && rc && on; i++)
		(void)filter_syns(fb->fd[i], false);
	pthread_mutex_unlock(&lock);
	return rc;
}

int sw_fallback_enable(struct sw_fallback *fb, bool on)
{
	int rc = 0;

	event_del(fb->wakeup);
	fb->enabled = on;
	for (size_t i = 0; i < fb->n; i++)
		rc |= on && !fb->off[i] ? event_add(fb->ev[i], NULL) : event_del(fb->ev[i]);
	return rc ? -1 : 0;
}
