/* SPDX-License-Identifier: MIT */
#include "ops/http_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LATE_S 2 /* how long the owner's loop may take for a snapshot */

uint64_t sw_http_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- mail ---- */

static int mail_init(struct sw_mail *m)
{
	m->last = &m->first;
	m->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (m->fd < 0)
		return -errno;
	(void)pthread_mutex_init(&m->lock, NULL);
	return 0;
}

void sw_mail_send(struct sw_mail *m, struct sw_job *job)
{
	const uint64_t one = 1;

	job->next = NULL;
	pthread_mutex_lock(&m->lock);
	*m->last = job;
	m->last = &job->next;
	pthread_mutex_unlock(&m->lock);
	(void)!write(m->fd, &one, sizeof(one)); /* a full counter is a wake-up that is due */
}

static struct sw_job *mail_take(struct sw_mail *m)
{
	struct sw_job *job;
	uint64_t count;

	(void)!read(m->fd, &count, sizeof(count));
	pthread_mutex_lock(&m->lock);
	job = m->first;
	m->first = NULL;
	m->last = &m->first;
	pthread_mutex_unlock(&m->lock);
	return job;
}

void sw_job_free(struct sw_job *job)
{
	if (!job)
		return;
	if (job->kind == SW_JOB_MOVE && job->fd >= 0)
		close(job->fd);
	/* A client that went away while it waited has left its request behind. */
	if (job->req && !evhttp_request_get_connection(job->req))
		evhttp_request_free(job->req);
	sw_snapshot_free(job->snapshot);
	free(job->text);
	free(job);
}

static void mail_free(struct sw_mail *m)
{
	if (m->fd < 0)
		return;
	for (struct sw_job *job = mail_take(m), *next; job; job = next) {
		next = job->next;
		sw_job_free(job);
	}
	close(m->fd);
	pthread_mutex_destroy(&m->lock);
}

/* ---- the owner's side ---- */

static int run_op(const struct sw_control_ops *ops, struct sw_job *job)
{
	int (*plain)(void *, char *, size_t) =
		job->kind == SW_JOB_RELOAD ? ops->reload : ops->rekey;
	int (*named)(void *, const char *, char *, size_t) =
		job->kind == SW_JOB_DRAIN ? ops->drain : ops->undrain;

	if (job->kind == SW_JOB_DRAIN || job->kind == SW_JOB_UNDRAIN)
		return named ? named(ops->arg, job->name, job->text, SW_CONTROL_TEXT) : -ENOTSUP;
	return plain ? plain(ops->arg, job->text, SW_CONTROL_TEXT) : -ENOTSUP;
}

static void on_owner_mail(evutil_socket_t fd, short what, void *arg)
{
	struct sw_http *h = arg;

	(void)fd, (void)what;
	for (struct sw_job *job = mail_take(&h->to_owner), *next; job; job = next) {
		next = job->next;
		if (job->kind == SW_JOB_SNAPSHOT)
			job->snapshot = h->ops.snapshot(h->ops.arg);
		else
			job->rc = run_op(&h->ops, job);
		sw_mail_send(&h->to_http, job);
	}
}

/* @return "event: KIND" and a line of JSON, the caller's to free; NULL without memory, or when the
 * text is not UTF-8. */
static char *event_text(const char *kind, const char *name, const char *text)
{
	struct timespec now;
	char *json, *out = NULL;
	json_t *object;

	clock_gettime(CLOCK_REALTIME, &now);
	object = json_pack("{s:f, s:s, s:s}", "time",
			   (double)now.tv_sec + (double)(now.tv_nsec / 1000000) / 1e3, "name", name,
			   "text", text);
	json = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(15));
	if (json && asprintf(&out, "event: %s\ndata: %s", kind, json) < 0)
		out = NULL;
	free(json);
	json_decref(object);
	return out;
}

void sw_http_event(struct sw_http *h, const char *kind, const char *name, const char *text)
{
	struct sw_job *job = h ? calloc(1, sizeof(*job)) : NULL;

	if (!job)
		return;
	job->kind = SW_JOB_EVENT;
	job->text = event_text(kind, name, text);
	if (job->text)
		sw_mail_send(&h->to_http, job);
	else
		sw_job_free(job);
}

int sw_http_move(struct sw_http *h, const char *address, char *err, size_t errlen)
{
	struct sw_job *job;
	int fd = -1, rc;

	if (strcmp(h->address, address ? address : "") == 0)
		return 0;
	job = calloc(1, sizeof(*job));
	rc = job ? 0 : -ENOMEM;
	if (!rc && address)
		rc = sw_http_bind_tcp(address, h->tcp_fd, &fd, err, errlen);
	if (rc) {
		free(job);
		return rc;
	}
	if (h->tcp_fd >= 0)
		close(h->tcp_fd);
	h->tcp_fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	snprintf(h->address, sizeof(h->address), "%s", address ? address : "");
	job->kind = SW_JOB_MOVE;
	job->fd = fd;
	sw_mail_send(&h->to_http, job);
	return 0;
}

/* ---- the HTTP thread's side ---- */

/* What answers strangers needs no privilege and should not compete with the packet threads. */
static void humble(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	(void)syscall(SYS_capset, &head, none);
	errno = 0;
	if (getpriority(PRIO_PROCESS, 0) < 0 && errno == 0)
		(void)setpriority(PRIO_PROCESS, 0, 0);
	(void)prctl(PR_SET_NAME, "synward-http");
}

static void *run(void *arg)
{
	struct sw_http *h = arg;

	humble();
	event_base_dispatch(h->base);
	return NULL;
}

static void on_http_mail(evutil_socket_t fd, short what, void *arg)
{
	struct sw_http *h = arg;

	(void)fd, (void)what;
	for (struct sw_job *job = mail_take(&h->to_http), *next; job; job = next) {
		next = job->next;
		switch (job->kind) {
		case SW_JOB_SNAPSHOT:
			h->asked = false;
			sw_http_snapshot(h, job->snapshot);
			job->snapshot = NULL;
			break;
		case SW_JOB_RELOAD:
		case SW_JOB_REKEY:
		case SW_JOB_DRAIN:
		case SW_JOB_UNDRAIN:
			sw_http_done(h, job);
			break;
		case SW_JOB_EVENT:
			sw_http_publish(h, job->text);
			break;
		case SW_JOB_MOVE:
			(void)!sw_door_open(&h->tcp_door, job->fd);
			job->fd = -1;
			break;
		case SW_JOB_STOP:
			event_base_loopbreak(h->base);
			break;
		}
		sw_job_free(job);
	}
}

/* The owner's loop hangs: say so rather than let everybody wait. */
static void on_late(evutil_socket_t fd, short what, void *arg)
{
	struct sw_http *h = arg;

	(void)fd, (void)what;
	if (h->nwaiting)
		sw_http_snapshot(h, NULL);
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
	struct sw_http *h = arg;

	(void)fd, (void)what;
	if (sw_http_is_heard(h))
		sw_http_ask(h);
}

/* ---- making and ending ---- */

static int start_thread(struct sw_http *h)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all); /* signals are the owner's */
	pthread_sigmask(SIG_BLOCK, &all, &old);
	rc = pthread_create(&h->thread, NULL, run, h);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	h->running = rc == 0;
	return -rc;
}

static int init_loops(struct sw_http *h, struct event_base *owner)
{
	const struct timeval second = { 1, 0 };
	int rc = mail_init(&h->to_owner);

	if (!rc)
		rc = mail_init(&h->to_http);
	if (rc)
		return rc;
	h->base = event_base_new();
	if (!h->base)
		return -ENOMEM;
	h->owner_wake = event_new(owner, h->to_owner.fd, EV_READ | EV_PERSIST, on_owner_mail, h);
	h->wake = event_new(h->base, h->to_http.fd, EV_READ | EV_PERSIST, on_http_mail, h);
	h->second = event_new(h->base, -1, EV_PERSIST, on_second, h);
	h->late = evtimer_new(h->base, on_late, h);
	if (!h->owner_wake || !h->wake || !h->second || !h->late)
		return -ENOMEM;
	return event_add(h->owner_wake, NULL) < 0 || event_add(h->wake, NULL) < 0 ||
			       event_add(h->second, &second) < 0
		       ? -ENOMEM
		       : 0;
}

static int init_doors(struct sw_http *h, const struct sw_http_config *cf, char *err, size_t errlen)
{
	unsigned nslot = cf->max_clients ? cf->max_clients : SW_HTTP_CLIENTS;
	int fd = -1, rc;

	if (nslot > SW_HTTP_MAX_CLIENTS)
		nslot = SW_HTTP_MAX_CLIENTS;
	rc = sw_door_init(&h->unix_door, h, nslot, true);
	if (!rc)
		rc = sw_door_init(&h->tcp_door, h, nslot, false);
	if (!rc && cf->address)
		rc = sw_http_bind_tcp(cf->address, -1, &fd, err, errlen);
	if (!rc && cf->address) {
		snprintf(h->address, sizeof(h->address), "%s", cf->address);
		h->tcp_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		rc = sw_door_open(&h->tcp_door, fd);
	}
	if (!rc && cf->socket) { /* last: it is seen by others */
		snprintf(h->socket, sizeof(h->socket), "%s", cf->socket);
		rc = sw_http_bind_unix(h, &fd, err, errlen);
		if (!rc)
			rc = sw_door_open(&h->unix_door, fd);
	}
	return rc;
}

int sw_http_new(struct event_base *base, const struct sw_http_config *cf, struct sw_http **out,
		char *err, size_t errlen)
{
	struct sw_http *h = calloc(1, sizeof(*h));
	int rc = h ? 0 : -ENOMEM;

	if (errlen)
		err[0] = '\0';
	if (h) {
		h->ops = cf->ops;
		h->tcp_fd = h->to_owner.fd = h->to_http.fd = -1;
		rc = init_loops(h, base);
	}
	if (!rc)
		rc = init_doors(h, cf, err, errlen);
	if (!rc)
		rc = start_thread(h);
	if (rc) {
		if (errlen && !err[0])
			snprintf(err, errlen, "http: %s", strerror(-rc));
		sw_http_free(h);
		return rc;
	}
	*out = h;
	return 0;
}

static void stop_thread(struct sw_http *h)
{
	static const struct sw_job stop = { .kind = SW_JOB_STOP };
	struct sw_job *job = malloc(sizeof(*job));

	if (!h->running)
		return;
	while (!job) { /* the thread must not outlive us */
		(void)usleep(1000);
		job = malloc(sizeof(*job));
	}
	*job = stop;
	sw_mail_send(&h->to_http, job);
	pthread_join(h->thread, NULL);
	h->running = false;
}

void sw_http_free(struct sw_http *h)
{
	struct event *events[] = { h ? h->owner_wake : NULL, h ? h->wake : NULL,
				   h ? h->second : NULL, h ? h->late : NULL };

	if (!h)
		return;
	stop_thread(h);
	sw_http_unbind_unix(h);
	mail_free(&h->to_owner);
	mail_free(&h->to_http);
	sw_http_forget(h);
	sw_door_free(&h->unix_door);
	sw_door_free(&h->tcp_door);
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (events[i])
			event_free(events[i]);
	if (h->base)
		event_base_free(h->base);
	if (h->tcp_fd >= 0)
		close(h->tcp_fd);
	free(h);
}
