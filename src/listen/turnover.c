/* SPDX-License-Identifier: MIT */
#include "listen/turnover.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sw_seat *seats; /* protected by lock; the first to come first */

void sw_seats_lock(void)
{
	pthread_mutex_lock(&lock);
}

void sw_seats_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

/* Is there a packet for both? */
static bool overlap(const struct sw_guard *a, const struct sw_guard *b)
{
	return a->family == b->family && a->port == b->port &&
	       (a->any || b->any || !memcmp(&a->addr, &b->addr, sizeof(a->addr)));
}

static bool guards(const struct sw_seat *s, const struct sw_guard *g)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->on[i] && overlap(&s->guard[i], g))
			return true;
	return false;
}

static bool same_link(const struct sw_seat *a, const struct sw_seat *b)
{
	return a->ifindex == b->ifindex && a->netns == b->netns;
}

/* Who of the others guards something of @g's on the same interface?  NULL for nobody. */
static struct sw_seat *holder(const struct sw_seat *s, const struct sw_guard *g)
{
	for (struct sw_seat *o = seats; o; o = o->next)
		if (o != s && same_link(o, s) && guards(o, g))
			return o;
	return NULL;
}

/* Does one who goes on guarding have something of @g's? */
static bool is_kept(const struct sw_seat *w, const struct sw_guard *g)
{
	for (const struct sw_seat *o = seats; o; o = o->next)
		if (o != w && !o->closed && same_link(o, w) && guards(o, g))
			return true;
	return false;
}

/* @w takes over from @s, which closes, what it waits for and nobody goes on with. */
static int take(struct sw_seat *w, struct sw_seat *s)
{
	bool told = false;
	int rc = 0;

	for (size_t i = 0; i < w->n && !rc; i++) {
		if (w->on[i] || !guards(s, &w->guard[i]) || is_kept(w, &w->guard[i]))
			continue;
		if (!told)
			rc = w->succeed(w->arg, s->arg);
		told = true;
		if (!rc)
			rc = w->turn(w->arg, &w->guard[i], true);
		w->on[i] = rc == 0;
	}
	return rc;
}

/* Stop guarding what a successor has begun to. */
static int let_go(struct sw_seat *s)
{
	int rc = 0, err;

	for (size_t i = 0; i < s->n; i++) {
		if (!s->on[i] || !is_kept(s, &s->guard[i]))
			continue;
		err = s->turn(s->arg, &s->guard[i], false);
		rc = rc ? rc : err;
		s->on[i] = false;
	}
	return rc;
}

/* Both guard for a moment: what the predecessor, who comes first, gets is answered alike. */
static int pass(struct sw_seat *s)
{
	int rc = 0, err;

	s->closed = true;
	for (struct sw_seat *w = seats; w; w = w->next) {
		if (w == s || w->closed || !same_link(w, s))
			continue;
		err = take(w, s);
		rc = rc ? rc : err;
	}
	/* A wildcard may have taken from others that closed before. */
	for (struct sw_seat *o = seats; o; o = o->next) {
		err = o->closed && same_link(o, s) ? let_go(o) : 0;
		rc = rc ? rc : err;
	}
	return rc;
}

/* Guard what nobody else has. */
static int take_free(struct sw_seat *s)
{
	int rc = 0;

	for (size_t i = 0; i < s->n && !rc; i++) {
		if (s->on[i] || holder(s, &s->guard[i]))
			continue;
		rc = s->turn(s->arg, &s->guard[i], true);
		s->on[i] = rc == 0;
	}
	return rc;
}

static void stop_all(struct sw_seat *s)
{
	for (size_t i = 0; i < s->n; i++) {
		if (s->on[i])
			(void)s->turn(s->arg, &s->guard[i], false);
		s->on[i] = false;
	}
}

int sw_seat_join(struct sw_seat *s)
{
	struct sw_seat **last = &seats;
	int rc;

	memset(s->on, 0, sizeof(s->on));
	s->closed = false;
	s->next = NULL;
	sw_seats_lock();
	rc = take_free(s);
	if (rc) {
		stop_all(s);
	} else {
		while (*last)
			last = &(*last)->next;
		*last = s;
	}
	sw_seats_unlock();
	return rc;
}

int sw_seat_close(struct sw_seat *s)
{
	int rc;

	sw_seats_lock();
	rc = pass(s);
	sw_seats_unlock();
	return rc;
}

int sw_seat_open(struct sw_seat *s)
{
	int rc = 0;

	sw_seats_lock();
	for (size_t i = 0; i < s->n && !rc; i++)
		if (!s->on[i] && holder(s, &s->guard[i]))
			rc = -EBUSY;
	if (!rc)
		rc = take_free(s);
	if (!rc)
		s->closed = false;
	sw_seats_unlock();
	return rc;
}

void sw_seat_leave(struct sw_seat *s)
{
	struct sw_seat **at;

	sw_seats_lock();
	for (at = &seats; *at && *at != s; at = &(*at)->next)
		;
	if (*at) {
		(void)pass(s);
		stop_all(s);
		*at = s->next;
	}
	sw_seats_unlock();
}

bool sw_seat_idle(const struct sw_seat *s)
{
	bool idle = true;

	sw_seats_lock();
	for (size_t i = 0; i < s->n; i++)
		idle = idle && !s->on[i];
	sw_seats_unlock();
	return idle;
}

bool sw_seat_predecessor(const struct sw_seat *s, void (*visit)(void *from, void *arg), void *arg)
{
	struct sw_seat *o = NULL;

	sw_seats_lock();
	for (size_t i = 0; i < s->n && !o; i++)
		o = holder(s, &s->guard[i]);
	if (o)
		visit(o->arg, arg);
	sw_seats_unlock();
	return o != NULL;
}
