/* SPDX-License-Identifier: MIT */
/*
 * Limits for connections that evhttp does not know of: how many there are, and how long each may
 * take.  Nobody is turned away: when all slots are taken, the listening socket rests until the
 * client that came first is cut off.  Each has a quarter of a second, and a second when it waits for
 * an answer; after that it does not help to ask for more.  So a client that asks at once gets its
 * answer, whatever all others do.
 */
#include "ops/http_inside.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define TIMEOUT_S 5	/* between two bytes, evhttp's */
#define IDLE_MS	  5000	/* until a request is complete */
#define GRACE_MS  250	/* that a client has in any case */
#define ANSWER_MS 1000	/* and one that waits for an answer or takes it */
#define BUSY_MS	  10000 /* for taking an answer */
#define INPUT_MAX (2 * SW_HTTP_HEADERS)
#define SEND_MAX  32768 /* bytes that the kernel keeps for a client that does not read */

static const struct timeval soon = { 0, 50000 }, later = { 1, 0 };

static uint64_t inode_of(int fd)
{
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 ? (uint64_t)st.st_ino : 0;
}

/* Descriptors are used again, inodes of live sockets are not. */
static void forget_closed(struct sw_door *d)
{
	for (unsigned i = 0; i < d->nslot; i++) {
		struct sw_slot *s = &d->slot[i];

		if (s->state > SW_SLOT_NEW && inode_of(s->fd) != s->inode)
			s->state = SW_SLOT_FREE;
	}
}

static struct sw_slot *find_free(struct sw_door *d)
{
	for (unsigned i = 0; i < d->nslot; i++)
		if (d->slot[i].state == SW_SLOT_FREE)
			return &d->slot[i];
	return NULL;
}

static bool is_over(const struct sw_slot *s, uint64_t now)
{
	if (s->state == SW_SLOT_IDLE)
		return now - s->since_ms >= IDLE_MS;
	return s->state == SW_SLOT_BUSY && now - s->since_ms >= BUSY_MS;
}

static void cut(struct sw_slot *s)
{
	(void)shutdown(s->fd, SHUT_RDWR);
	s->state = SW_SLOT_FREE;
}

/* @return the slot in this state that has been taken longest, for so long at least, or NULL. */
static struct sw_slot *find_oldest(struct sw_door *d, int state, uint64_t now, uint64_t least_ms)
{
	struct sw_slot *oldest = NULL;

	for (unsigned i = 0; i < d->nslot; i++) {
		struct sw_slot *s = &d->slot[i];

		if ((int)s->state == state && now - s->accepted_ms >= least_ms &&
		    (!oldest || s->accepted_ms < oldest->accepted_ms))
			oldest = s;
	}
	return oldest;
}

struct sw_slot *sw_door_next_to_go(struct sw_door *d, uint64_t now_ms)
{
	struct sw_slot *s = find_oldest(d, SW_SLOT_IDLE, now_ms, GRACE_MS);

	/* Not by the time in the state: who asks again and again is never in one for long. */
	return s ? s : find_oldest(d, SW_SLOT_BUSY, now_ms, ANSWER_MS);
}

/* @return whether there is room for another one. */
static bool make_room(struct sw_door *d, uint64_t now)
{
	struct sw_slot *s = sw_door_next_to_go(d, now);

	if (s)
		cut(s);
	return find_free(d) != NULL;
}

static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
	struct sw_door *d = arg;
	const uint64_t now = sw_http_now_ms();
	bool room, used = false;

	(void)fd, (void)what;
	forget_closed(d);
	for (unsigned i = 0; i < d->nslot; i++) {
		if (is_over(&d->slot[i], now))
			cut(&d->slot[i]);
		used |= d->slot[i].state != SW_SLOT_FREE;
	}
	room = find_free(d) || make_room(d, now);
	if (d->listener && room)
		(void)evconnlistener_enable(d->listener);
	if (used)
		(void)event_add(d->sweep, room ? &later : &soon);
}

static void limit_sending(int fd)
{
	const int bytes = SEND_MAX;

	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

/* After evhttp gave the connection its descriptor. */
static void on_learn(evutil_socket_t fd, short what, void *arg)
{
	struct sw_door *d = arg;

	(void)fd, (void)what;
	for (unsigned i = 0; i < d->nslot; i++) {
		struct sw_slot *s = &d->slot[i];

		if (s->state != SW_SLOT_NEW)
			continue;
		s->fd = (int)bufferevent_getfd(s->bev);
		s->inode = inode_of(s->fd);
		s->state = s->inode ? SW_SLOT_IDLE : SW_SLOT_FREE;
		s->since_ms = s->accepted_ms = sw_http_now_ms();
		limit_sending(s->fd);
		bufferevent_decref(s->bev);
		s->bev = NULL;
	}
}

/* evhttp asks for a bufferevent when it has accepted a connection. */
static struct bufferevent *on_accept(struct event_base *base, void *arg)
{
	struct sw_door *d = arg;
	struct bufferevent *bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	struct sw_slot *s = find_free(d);

	if (bev)
		bufferevent_setwatermark(bev, EV_READ, 0, INPUT_MAX);
	if (bev && s) {
		bufferevent_incref(bev);
		s->bev = bev;
		s->state = SW_SLOT_NEW;
		event_active(d->learn, 0, 0);
	}
	if (!find_free(d)) {
		(void)evconnlistener_disable(d->listener);
		(void)event_add(d->sweep, &soon);
	} else if (!event_pending(d->sweep, EV_TIMEOUT, NULL)) {
		(void)event_add(d->sweep, &later);
	}
	return bev;
}

/* Out of descriptors: the listening socket stays readable, and asking again at once would take a
 * whole processor. */
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
	(void)listener, (void)arg;
	(void)poll(NULL, 0, 20);
}

void sw_door_mark(struct sw_door *d, struct evhttp_request *req, int state)
{
	struct evhttp_connection *evcon = evhttp_request_get_connection(req);
	const int fd = (int)bufferevent_getfd(evhttp_connection_get_bufferevent(evcon));

	for (unsigned i = 0; i < d->nslot; i++) {
		if (d->slot[i].state <= SW_SLOT_NEW || d->slot[i].fd != fd)
			continue;
		d->slot[i].state = (__typeof__(d->slot[i].state))state;
		d->slot[i].since_ms = sw_http_now_ms();
	}
}

void sw_http_cut(struct evhttp_connection *evcon)
{
	(void)shutdown((int)bufferevent_getfd(evhttp_connection_get_bufferevent(evcon)), SHUT_RDWR);
}

int sw_door_init(struct sw_door *d, struct sw_http *h, unsigned nslot, bool control)
{
	d->h = h;
	d->nslot = nslot;
	d->control = control;
	d->http = evhttp_new(h->base);
	d->learn = event_new(h->base, -1, 0, on_learn, d);
	d->sweep = evtimer_new(h->base, on_sweep, d);
	if (!d->http || !d->learn || !d->sweep)
		return -ENOMEM;
	evhttp_set_max_headers_size(d->http, SW_HTTP_HEADERS);
	evhttp_set_max_body_size(d->http, control ? SW_HTTP_BODY : 0);
	evhttp_set_timeout(d->http, TIMEOUT_S);
	/* All that evhttp knows: the answer to others is ours. */
	evhttp_set_allowed_methods(d->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST |
						    EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
						    EVHTTP_REQ_OPTIONS | EVHTTP_REQ_PATCH);
	evhttp_set_bevcb(d->http, on_accept, d);
	evhttp_set_gencb(d->http, sw_http_request, d);
	return 0;
}

int sw_door_open(struct sw_door *d, int fd)
{
	if (d->bound)
		evhttp_del_accept_socket(d->http, d->bound);
	d->bound = NULL;
	d->listener = NULL;
	if (fd < 0)
		return 0;
	d->listener = evconnlistener_new(d->h->base, NULL, NULL,
					 LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (!d->listener) {
		close(fd);
		return -ENOMEM;
	}
	evconnlistener_set_error_cb(d->listener, on_accept_error);
	d->bound = evhttp_bind_listener(d->http, d->listener);
	if (!d->bound) {
		evconnlistener_free(d->listener);
		d->listener = NULL;
		return -ENOMEM;
	}
	return 0;
}

void sw_door_free(struct sw_door *d)
{
	for (unsigned i = 0; i < d->nslot; i++)
		if (d->slot[i].state == SW_SLOT_NEW)
			bufferevent_decref(d->slot[i].bev);
	if (d->http)
		evhttp_free(d->http); /* its listener and connections too */
	if (d->learn)
		event_free(d->learn);
	if (d->sweep)
		event_free(d->sweep);
}
