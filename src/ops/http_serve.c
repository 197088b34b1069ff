/* SPDX-License-Identifier: MIT */
#include "ops/http_inside.h"
#include "ops/metrics.h"
#include "ops/stats_json.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRESH_MS 100 /* a snapshot of this age is as good as a new one */

#define TEXT_TYPE "text/plain; charset=utf-8"

/* The page's own files and nothing else. */
#define CONTENT_POLICY                                                                             \
	"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "            \
	"img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

static const char *const view_types[SW_NVIEW] = {
	[SW_VIEW_METRICS] = SW_METRICS_TYPE,
	[SW_VIEW_STATS] = "application/json",
	[SW_VIEW_READY] = TEXT_TYPE,
	[SW_VIEW_HEALTH] = TEXT_TYPE,
};

/* ---- renderings ---- */

static struct sw_blob *blob_new(char *text, size_t len)
{
	struct sw_blob *b = text ? malloc(sizeof(*b)) : NULL;

	if (!b) {
		free(text);
		return NULL;
	}
	*b = (struct sw_blob){ 1, len, text };
	return b;
}

void sw_blob_unref(struct sw_blob *b)
{
	if (!b || --b->refs)
		return;
	free(b->text);
	free(b);
}

static void on_sent(const void *data, size_t len, void *arg)
{
	(void)data, (void)len;
	sw_blob_unref(arg);
}

void sw_blob_add(struct sw_blob *b, struct evbuffer *out)
{
	if (evbuffer_add_reference(out, b->text, b->len, on_sent, b) == 0)
		b->refs++;
}

static struct sw_blob *render_metrics(const struct sw_snapshot *s)
{
	struct evbuffer *buf = evbuffer_new();
	struct sw_blob *b = NULL;
	size_t len;
	char *text;

	if (buf && !sw_metrics_write(buf, s)) {
		len = evbuffer_get_length(buf);
		text = malloc(len + 1);
		if (text)
			(void)evbuffer_remove(buf, text, len);
		b = blob_new(text, len);
	}
	if (buf)
		evbuffer_free(buf);
	return b;
}

static struct sw_blob *render(const struct sw_snapshot *s, enum sw_view view)
{
	char *text = NULL;

	switch (view) {
	case SW_VIEW_METRICS:
		return render_metrics(s);
	case SW_VIEW_STATS:
		text = sw_stats_json(s, 0);
		break;
	case SW_VIEW_READY:
		if (asprintf(&text, "%s\n", s->ready ? "ready" : s->why_not) < 0)
			text = NULL;
		break;
	case SW_VIEW_HEALTH:
	case SW_NVIEW:
		text = strdup("ok\n");
		break;
	}
	return blob_new(text, text ? strlen(text) : 0);
}

struct sw_blob *sw_http_render(struct sw_http *h, enum sw_view view)
{
	if (!h->snapshot)
		return NULL;
	if (!h->blob[view])
		h->blob[view] = render(h->snapshot, view);
	if (h->blob[view])
		h->blob[view]->refs++;
	return h->blob[view];
}

static void forget_snapshot(struct sw_http *h)
{
	for (int i = 0; i < SW_NVIEW; i++) {
		sw_blob_unref(h->blob[i]);
		h->blob[i] = NULL;
	}
	sw_snapshot_free(h->snapshot);
	h->snapshot = NULL;
}

void sw_http_forget(struct sw_http *h)
{
	forget_snapshot(h);
	for (unsigned i = 0; i < h->nwaiting; i++)
		if (!evhttp_request_get_connection(h->waiting[i].req))
			evhttp_request_free(h->waiting[i].req);
	h->nwaiting = 0;
}

/* ---- answers ---- */

static void add_headers(struct evhttp_request *req, const char *type)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(req);

	evhttp_add_header(headers, "Content-Type", type);
	evhttp_add_header(headers, "Cache-Control", "no-store");
	evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
	evhttp_add_header(headers, "Referrer-Policy", "no-referrer");
	evhttp_add_header(headers, "Content-Security-Policy", CONTENT_POLICY);
}

/* Sends @body, whose reference or copy is in it, or for HEAD its length alone. */
static void reply(struct evhttp_request *req, int code, const char *reason, const char *type,
		  struct evbuffer *body)
{
	char length[32];

	add_headers(req, type);
	snprintf(length, sizeof(length), "%zu", body ? evbuffer_get_length(body) : 0);
	evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Length", length);
	if (evhttp_request_get_command(req) == EVHTTP_REQ_HEAD)
		evhttp_send_reply(req, code, reason, NULL);
	else
		evhttp_send_reply(req, code, reason, body);
	if (body)
		evbuffer_free(body);
}

static void reply_text(struct evhttp_request *req, int code, const char *reason, const char *text)
{
	struct evbuffer *body = evbuffer_new();

	if (body && (evbuffer_add(body, text, strlen(text)) < 0 || evbuffer_add(body, "\n", 1) < 0))
		evbuffer_drain(body, evbuffer_get_length(body));
	reply(req, code, reason, TEXT_TYPE, body);
}

static void reply_view(struct sw_http *h, struct evhttp_request *req, enum sw_view view)
{
	const bool ready = view != SW_VIEW_READY || (h->snapshot && h->snapshot->ready);
	struct sw_blob *b = sw_http_render(h, view);
	struct evbuffer *body = b ? evbuffer_new() : NULL;

	if (!body) {
		reply_text(req, HTTP_SERVUNAVAIL, "Service Unavailable",
			   h->snapshot ? "out of memory" : "the event loop does not answer");
		sw_blob_unref(b);
		return;
	}
	sw_blob_add(b, body);
	sw_blob_unref(b);
	reply(req, ready ? HTTP_OK : HTTP_SERVUNAVAIL, ready ? "OK" : "Service Unavailable",
	      view_types[view], body);
}

static void on_complete(struct evhttp_request *req, void *door)
{
	sw_door_mark(door, req, SW_SLOT_IDLE);
}

/* ---- what needs a snapshot ---- */

void sw_http_ask(struct sw_http *h)
{
	static const struct timeval late = { 2, 0 };
	struct sw_job *job = h->asked ? NULL : calloc(1, sizeof(*job));

	if (!event_pending(h->late, EV_TIMEOUT, NULL))
		(void)event_add(h->late, &late);
	if (!job)
		return;
	job->kind = SW_JOB_SNAPSHOT;
	h->asked = true;
	sw_mail_send(&h->to_owner, job);
}

void sw_http_snapshot(struct sw_http *h, struct sw_snapshot *s)
{
	const unsigned n = h->nwaiting;

	forget_snapshot(h);
	h->snapshot = s;
	h->snapshot_ms = sw_http_now_ms();
	(void)event_del(h->late);
	if (s)
		sw_snapshot_add_process(s);
	h->nwaiting = 0;
	for (unsigned i = 0; i < n; i++)
		reply_view(h, h->waiting[i].req, h->waiting[i].view);
	if (s)
		sw_http_sample(h);
}

static void view(struct sw_door *d, struct evhttp_request *req, enum sw_view view)
{
	struct sw_http *h = d->h;

	if (h->snapshot && !h->asked && sw_http_now_ms() - h->snapshot_ms < FRESH_MS) {
		reply_view(h, req, view);
	} else if (h->nwaiting == SW_HTTP_WAITING) {
		reply_text(req, HTTP_SERVUNAVAIL, "Service Unavailable", "too many wait");
	} else {
		h->waiting[h->nwaiting++] = (struct sw_waiting){ req, view };
		sw_http_ask(h);
	}
}

/* ---- control ---- */

static void answer_to(int rc, int *code, const char **reason)
{
	switch (rc) {
	case 0:
	case -EALREADY:
		*code = HTTP_OK;
		*reason = "OK";
		break;
	case -EINVAL:
		*code = HTTP_BADREQUEST;
		*reason = "Bad Request";
		break;
	case -ENOENT:
		*code = HTTP_NOTFOUND;
		*reason = "Not Found";
		break;
	case -ENOTSUP:
		*code = HTTP_NOTIMPLEMENTED;
		*reason = "Not Implemented";
		break;
	default:
		*code = HTTP_INTERNAL;
		*reason = "Internal Server Error";
		break;
	}
}

void sw_http_done(struct sw_http *h, struct sw_job *job)
{
	const char *text = job->text[0] ? job->text : job->rc ? strerror(-job->rc) : "done";
	size_t len = strlen(text);
	const char *reason;
	int code;

	h->snapshot_ms = 0; /* who asks next sees what was done */
	answer_to(job->rc, &code, &reason);
	if (job->text[0] && len && job->text[len - 1] == '\n')
		job->text[len - 1] = '\0';
	reply_text(job->req, code, reason, text);
	job->req = NULL;
}

static void control(struct sw_door *d, struct evhttp_request *req, enum sw_job_kind kind,
		    const char *name)
{
	struct bufferevent *bev =
		evhttp_connection_get_bufferevent(evhttp_request_get_connection(req));
	struct sw_job *job;

	if (strlen(name) >= sizeof(job->name)) {
		reply_text(req, HTTP_NOTFOUND, "Not Found", "no listener has so long a name");
		return;
	}
	job = calloc(1, sizeof(*job));
	if (job)
		job->text = calloc(1, SW_CONTROL_TEXT);
	if (!job || !job->text) {
		free(job);
		reply_text(req, HTTP_SERVUNAVAIL, "Service Unavailable", "out of memory");
		return;
	}
	/* A reload takes the time it takes. */
	sw_door_mark(d, req, SW_SLOT_STREAM);
	(void)bufferevent_set_timeouts(bev, NULL, NULL);
	job->kind = kind;
	job->req = req;
	memcpy(job->name, name, strlen(name));
	sw_mail_send(&d->h->to_owner, job);
}

/* ---- the way from a path to what it means ---- */

static const struct sw_page *find_page(const char *path)
{
	for (size_t i = 0; i < sw_ndashboard_pages; i++)
		if (strcmp(path, sw_dashboard_pages[i].path) == 0)
			return &sw_dashboard_pages[i];
	return NULL;
}

static void page(struct evhttp_request *req, const struct sw_page *p)
{
	struct evbuffer *body = evbuffer_new();

	if (body && evbuffer_add_reference(body, p->text, p->len, NULL, NULL) < 0)
		evbuffer_drain(body, evbuffer_get_length(body));
	reply(req, HTTP_OK, "OK", p->type, body);
}

static bool read_only(struct sw_door *d, struct evhttp_request *req, const char *path)
{
	static const struct {
		const char *path;
		enum sw_view view;
	} views[] = { { "/metrics", SW_VIEW_METRICS },
		      { "/stats", SW_VIEW_STATS },
		      { "/readyz", SW_VIEW_READY },
		      { "/healthz", SW_VIEW_HEALTH } };
	const struct sw_page *p = find_page(path);

	for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++) {
		if (strcmp(path, views[i].path) == 0) {
			view(d, req, views[i].view);
			return true;
		}
	}
	if (p)
		page(req, p);
	else if (strcmp(path, "/events") == 0)
		sw_http_subscribe(d, req);
	else
		return false;
	return true;
}

/* @return whether @path is a control operation.  @param name  The listener in it, or "". */
static bool find_control(const char *path, enum sw_job_kind *kind, const char **name)
{
	static const struct {
		const char *path;
		enum sw_job_kind kind;
		bool named;
	} ops[] = { { "/reload", SW_JOB_RELOAD, false },
		    { "/rekey", SW_JOB_REKEY, false },
		    { "/drain/", SW_JOB_DRAIN, true },
		    { "/undrain/", SW_JOB_UNDRAIN, true } };

	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		const size_t n = strlen(ops[i].path);

		if (ops[i].named ? strncmp(path, ops[i].path, n) == 0 && path[n]
				 : strcmp(path, ops[i].path) == 0) {
			*kind = ops[i].kind;
			*name = path + n;
			return true;
		}
	}
	return false;
}

static void refuse_method(struct evhttp_request *req, const char *allow, const char *text)
{
	evhttp_add_header(evhttp_request_get_output_headers(req), "Allow", allow);
	reply_text(req, HTTP_BADMETHOD, "Method Not Allowed", text);
}

void sw_http_request(struct evhttp_request *req, void *arg)
{
	struct sw_door *d = arg;
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
	const char *path = uri ? evhttp_uri_get_path(uri) : NULL, *name;
	const enum evhttp_cmd_type method = evhttp_request_get_command(req);
	enum sw_job_kind kind;

	sw_door_mark(d, req, SW_SLOT_BUSY);
	evhttp_request_set_on_complete_cb(req, on_complete, d);
	/* A client that has closed its half still wants the answer.  evhttp reads on behind it. */
	(void)bufferevent_disable(
		evhttp_connection_get_bufferevent(evhttp_request_get_connection(req)), EV_READ);
	if (!path || !*path)
		path = "/";
	if (find_control(path, &kind, &name)) {
		if (!d->control)
			refuse_method(req, "", "control is on the Unix socket only");
		else if (method != EVHTTP_REQ_POST)
			refuse_method(req, "POST", "this changes things: use POST");
		else
			control(d, req, kind, name);
	} else if (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD) {
		refuse_method(req, "GET, HEAD", "read-only: use GET or HEAD");
	} else if (!read_only(d, req, path)) {
		reply_text(req, HTTP_NOTFOUND, "Not Found",
			   "not found; there are /, /metrics, /stats, /events, /healthz, /readyz");
	}
}
