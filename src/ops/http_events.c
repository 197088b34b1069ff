/* SPDX-License-Identifier: MIT */
/* Server-sent events (HTML, 9.2): a sample each second, and what happens when it happens. */
#include "ops/http_inside.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <string.h>

#define BEHIND_MAX 16384 /* bytes that may wait for a subscriber besides four samples */
#define SEND_S	   10	 /* without progress */
#define SAMPLE_MS  900	 /* others ask for snapshots, too */

static void on_gone(struct evhttp_connection *evcon, void *arg)
{
	struct sw_subscriber *sub = arg;
	struct evhttp_request *req = sub->req;

	(void)evcon;
	if (!req)
		return;
	sub->req = NULL;
	sub->h->nsubscriber--;
	if (!evhttp_request_get_connection(req)) /* evhttp has left it to us */
		evhttp_request_free(req);
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
	struct sw_subscriber *sub = NULL;

	if (evhttp_request_get_command(req) == EVHTTP_REQ_HEAD) {
		add_headers(req);
		evhttp_send_reply(req, HTTP_OK, "OK", NULL);
		return;
	}
	for (unsigned i = 0; i < SW_HTTP_SUBSCRIBERS && !sub; i++)
		if (!d->h->subscriber[i].req)
			sub = &d->h->subscriber[i];
	if (!sub) {
		evhttp_add_header(evhttp_request_get_output_headers(req), "Retry-After", "5");
		evhttp_send_reply(req, HTTP_SERVUNAVAIL, "Service Unavailable", NULL);
		return;
	}
	*sub = (struct sw_subscriber){ d->h, req };
	d->h->nsubscriber++;
	sw_door_mark(d, req, SW_SLOT_STREAM);
	(void)bufferevent_set_timeouts(evhttp_connection_get_bufferevent(evcon), NULL, &patience);
	evhttp_connection_set_closecb(evcon, on_gone, sub);
	(void)bufferevent_enable(evhttp_connection_get_bufferevent(evcon),
				 EV_READ); /* sees the end */
	add_headers(req);
	evhttp_send_reply_start(req, HTTP_OK, "OK");
	d->h->sampled_ms = 0;
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

static void send_to_all(struct sw_http *h, const char *head, struct sw_blob *body, const char *text)
{
	for (unsigned i = 0; i < SW_HTTP_SUBSCRIBERS; i++)
		if (h->subscriber[i].req)
			send_to(&h->subscriber[i], head, body, text);
}

void sw_http_publish(struct sw_http *h, const char *text)
{
	h->snapshot_ms = 0; /* it tells of what has changed */
	send_to_all(h, "", NULL, text);
}

void sw_http_sample(struct sw_http *h)
{
	const bool due = h->nsubscriber && h->snapshot_ms >= h->sampled_ms + SAMPLE_MS;
	struct sw_blob *b = due ? sw_http_render(h, SW_VIEW_STATS) : NULL;

	if (!b)
		return;
	h->sampled_ms = h->snapshot_ms;
	send_to_all(h, "event: sample\ndata: ", b, NULL);
	sw_blob_unref(b);
}
