/* SPDX-License-Identifier: MIT */
/* Server-sent events (HTML, 9.2): a sample each second, and what happens when it happens. */
#include "ops/http_inside.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <string.h>

#define BEHIND_MAX 16384 /* bytes that may wait for a subscriber besides four samples */
#define SEND_S	   10	 /* without progress */
#define SAMPLE_MS  900	 /* others ask for snapshots, too */

static void on_request_gone(struct evhttp_connection *evcon, void *arg)
{
	struct evhttp_request *req = arg;

	(void)evcon;
	if (!evhttp_request_get_connection(req)) /* evhttp has left it to us */
		evhttp_request_free(req);
}

static void leave(struct sw_subscriber *sub)
{
	sub->req = NULL;
	sub->door->nsubscriber--;
}

static void on_gone(struct evhttp_connection *evcon, void *arg)
{
	struct sw_subscriber *sub = arg;
	struct evhttp_request *req = sub->req;

	if (!req)
		return;
	leave(sub);
	on_request_gone(evcon, req);
}

/* Whose connection ends later, when evhttp sees it; the place is free at once. */
static void send_away(struct sw_subscriber *sub)
{
	struct evhttp_connection *evcon = evhttp_request_get_connection(sub->req);

	evhttp_connection_set_closecb(evcon, on_request_gone, sub->req);
	sw_http_cut(evcon);
	leave(sub);
}

/* @return a place at this door, or NULL.  Strangers take places from each other only: on TCP the
 * oldest makes room, and the Unix socket has places of its own. */
static struct sw_subscriber *find_place(struct sw_door *d)
{
	struct sw_subscriber *oldest = d->subscriber;

	for (struct sw_subscriber *s = oldest; s < d->subscriber + SW_HTTP_SUBSCRIBERS; s++) {
		if (!s->req)
			return s;
		if (s->number < oldest->number)
			oldest = s;
	}
	if (d->control)
		return NULL;
	send_away(oldest);
	return oldest;
}

static void add_headers(struct evhttp_request *req)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(req);

	evhttp_add_header(headers, "Content-Type", "text/event-stream");
	evhttp_add_header(headers, "Cache-Control", "no-store");
	evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
	evhttp_add_header(headers, "X-Accel-Buffering", "no");
}

void sw_http_subscribe(struct sw_door *d, struct evhttp_request *req)
{
	static const struct timeval patience = { SEND_S, 0 };
	struct evhttp_connection *evcon = evhttp_request_get_connection(req);
	struct sw_subscriber *sub;

	if (evhttp_request_get_command(req) == EVHTTP_REQ_HEAD) {
		add_headers(req);
		evhttp_send_reply(req, HTTP_OK, "OK", NULL);
		return;
	}
	sub = find_place(d);
	if (!sub) {
		evhttp_add_header(evhttp_request_get_output_headers(req), "Retry-After", "5");
		evhttp_send_reply(req, HTTP_SERVUNAVAIL, "Service Unavailable", NULL);
		return;
	}
	*sub = (struct sw_subscriber){ d, req, d->subscribed++, true };
	d->nsubscriber++;
	sw_door_mark(d, req, SW_SLOT_STREAM);
	(void)bufferevent_set_timeouts(evhttp_connection_get_bufferevent(evcon), NULL, &patience);
	evhttp_connection_set_closecb(evcon, on_gone, sub);
	(void)bufferevent_enable(evhttp_connection_get_bufferevent(evcon),
				 EV_READ); /* sees the end */
	add_headers(req);
	evhttp_send_reply_start(req, HTTP_OK, "OK");
	sw_http_ask(d->h);
}

/* A subscriber that does not read is cut off: its events would pile up. */
static void send_to(struct sw_subscriber *sub, const char *head, struct sw_blob *body,
		    const char *text)
{
	struct evhttp_connection *evcon = evhttp_request_get_connection(sub->req);
	struct evbuffer *out = bufferevent_get_output(evhttp_connection_get_bufferevent(evcon));
	struct evbuffer *buf;
	const size_t most = BEHIND_MAX + (body ? 4 * body->len : 0);

	if (evbuffer_get_length(out) > most) {
		sw_http_cut(evcon);
		return;
	}
	buf = evbuffer_new();
	if (!buf)
		return;
	(void)evbuffer_add(buf, head, strlen(head));
	if (body)
		sw_blob_add(body, buf);
	else
		(void)evbuffer_add(buf, text, strlen(text));
	(void)evbuffer_add(buf, "\n\n", 2);
	evhttp_send_reply_chunk(sub->req, buf);
	evbuffer_free(buf);
}

/* @return the next one that is there, after @i, which moves; NULL after the last. */
static struct sw_subscriber *next_of(struct sw_http *h, unsigned *i)
{
	struct sw_door *const doors[] = { &h->unix_door, &h->tcp_door };

	while (*i < 2 * SW_HTTP_SUBSCRIBERS) {
		struct sw_subscriber *sub = &doors[*i % 2]->subscriber[*i / 2];

		++*i;
		if (sub->req)
			return sub;
	}
	return NULL;
}

bool sw_http_is_heard(const struct sw_http *h)
{
	return h->unix_door.nsubscriber || h->tcp_door.nsubscriber;
}

void sw_http_publish(struct sw_http *h, const char *text)
{
	struct sw_subscriber *sub;
	unsigned i = 0;

	h->snapshot_ms = 0; /* it tells of what has changed */
	while ((sub = next_of(h, &i)))
		send_to(sub, "", NULL, text);
}

static bool has_new(struct sw_http *h)
{
	struct sw_subscriber *sub;
	unsigned i = 0;

	while ((sub = next_of(h, &i)))
		if (sub->waits)
			return true;
	return false;
}

void sw_http_sample(struct sw_http *h)
{
	const bool due = sw_http_is_heard(h) && h->snapshot_ms >= h->sampled_ms + SAMPLE_MS;
	struct sw_blob *b = due || has_new(h) ? sw_http_render(h, SW_VIEW_STATS) : NULL;
	struct sw_subscriber *sub;
	unsigned i = 0;

	if (!b)
		return;
	if (due)
		h->sampled_ms = h->snapshot_ms;
	/* Who comes gets one at once.  The others do not: who comes again and again would fill
	 * their buffers, and they would be cut off for it. */
	while ((sub = next_of(h, &i))) {
		if (due || sub->waits)
			send_to(sub, "event: sample\ndata: ", b, NULL);
		sub->waits = false;
	}
	sw_blob_unref(b);
}
