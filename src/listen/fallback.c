/* SPDX-License-Identifier: MIT */
#include "listen/fallback.h"
#include "synward/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAUSE_US 100000

struct sw_fallback {
	struct synward_listener *lev; /* borrowed */
	size_t n;
	int fd[SW_MAX_GUARDS];            /* owned */
	struct event *ev[SW_MAX_GUARDS];  /* owned */
	struct event *wakeup;             /* owned */
	int last_error;
};

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

int sw_fallback_new(struct sw_fallback **out, struct synward_listener *lev,
		    const struct sw_guard *guard, size_t n, char *err, size_t errlen)
{
	struct sw_fallback *fb = calloc(1, sizeof(*fb));
	int rc = -ENOMEM;

	if (!fb)
		goto out_of_memory;
	fb->lev = lev;
	fb->wakeup = event_new(synward_listener_get_base(lev), -1, 0, on_wakeup, fb);
	if (!fb->wakeup) {
		free(fb);
		goto out_of_memory;
	}
	for (; fb->n < n; fb->n++) {
		const size_t i = fb->n;

		rc = listen_on(&guard[i]);
		if (rc < 0) {
			snprintf(err, errlen, "cannot listen on port %u: %s", guard[i].port,
				 strerror(-rc));
			sw_fallback_free(fb);
			return rc;
		}
		fb->fd[i] = rc;
		fb->ev[i] = event_new(synward_listener_get_base(lev), rc, EV_READ | EV_PERSIST,
				      on_ready, fb);
		if (!fb->ev[i]) {
			close(rc);
			sw_fallback_free(fb);
			rc = -ENOMEM;
			goto out_of_memory;
		}
	}
	*out = fb;
	return 0;

out_of_memory:
	snprintf(err, errlen, "out of memory");
	return rc;
}

void sw_fallback_free(struct sw_fallback *fb)
{
	if (!fb)
		return;
	for (size_t i = 0; i < fb->n; i++) {
		event_free(fb->ev[i]);
		close(fb->fd[i]);
	}
	event_free(fb->wakeup);
	free(fb);
}

int sw_fallback_enable(struct sw_fallback *fb, bool on)
{
	int rc = 0;

	event_del(fb->wakeup);
	for (size_t i = 0; i < fb->n; i++)
		rc |= on ? event_add(fb->ev[i], NULL) : event_del(fb->ev[i]);
	return rc ? -1 : 0;
}
