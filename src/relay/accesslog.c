/* SPDX-License-Identifier: MIT */
#include "relay/accesslog.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_BYTES (1u << 20)
#define GATHER_MS     20   /* lines wait this long for company */
#define SLOW_MS	      100  /* and this long when the reader is behind */
#define CHUNKS	      64   /* writes in one go, so that the loop goes on */
#define FAREWELL_MS   1000 /* for what is left at the end */
#define LOST_LINE     128

struct sw_accesslog {
	int fd; /* borrowed */
	enum sw_access_form form;
	struct event flush_ev;
	bool waits;  /* flush_ev is pending */
	bool off;    /* takes no lines */
	char *bytes; /* owned: lines, in [at .. end); moved to the front when the room behind is
			short */
	size_t size, at, end;
	uint64_t missing; /* lines lost since the last one that was kept */
	struct sw_accesslog_stats stats;
};

/* Whole lines, not more than a pipe takes at once. */
static size_t chunk_of(const struct sw_accesslog *log)
{
	size_t n = log->end - log->at;

	if (n <= PIPE_BUF)
		return n;
	n = PIPE_BUF;
	while (log->bytes[log->at + n - 1] != '\n')
		n--; /* a line is shorter than PIPE_BUF */
	return n;
}

/* @return false when the reader has to move first. */
static bool takes(const struct sw_accesslog *log, int wait_ms)
{
	struct pollfd p = { .fd = log->fd, .events = POLLOUT };

	return poll(&p, 1, wait_ms) == 1 && p.revents & (POLLOUT | POLLERR | POLLHUP);
}

/* @return false when nothing was taken. */
static bool write_chunk(struct sw_accesslog *log)
{
	const size_t n = chunk_of(log);
	ssize_t done;

	do {
		done = write(log->fd, log->bytes + log->at, n);
	} while (done < 0 && errno == EINTR);
	if (done < 0 && errno == EAGAIN)
		return false;
	/* A reader that is gone, or a full disk: what cannot be written is lost. */
	if (done < 0) {
		for (size_t i = 0; i < n; i++) {
			const bool is_end = log->bytes[log->at + i] == '\n';

			log->stats.lost += is_end;
			log->stats.lines -= is_end;
		}
		done = (ssize_t)n;
	}
	log->at += (size_t)done;
	if (log->at == log->end)
		log->at = log->end = 0;
	return true;
}

static void wait_for(struct sw_accesslog *log, unsigned ms)
{
	const struct timeval tv = { 0, (suseconds_t)ms * 1000 };

	if (!log->waits)
		log->waits = event_add(&log->flush_ev, &tv) == 0;
}

static size_t room(const struct sw_accesslog *log)
{
	return log->size - (log->end - log->at);
}

/* Make the free bytes one piece behind the lines. */
static void make_room(struct sw_accesslog *log, size_t want)
{
	if (log->size - log->end >= want)
		return;
	memmove(log->bytes, log->bytes + log->at, log->end - log->at);
	log->end -= log->at;
	log->at = 0;
}

static void put(struct sw_accesslog *log, const char *line, size_t n)
{
	make_room(log, n);
	memcpy(log->bytes + log->end, line, n);
	log->end += n;
}

/* Say what is missing, where it is missing. */
static void say_lost(struct sw_accesslog *log)
{
	char line[LOST_LINE];
	int n = 0;

	switch (log->form) {
	case SW_ACCESS_TEXT:
		n = snprintf(line, sizeof(line), "synward: access lines_lost=%" PRIu64 "\n",
			     log->missing);
		break;
	case SW_ACCESS_LOGFMT:
		n = snprintf(line, sizeof(line),
			     "level=warning msg=\"access log lines lost\" lost=%" PRIu64 "\n",
			     log->missing);
		break;
	case SW_ACCESS_JSON:
		n = snprintf(line, sizeof(line),
			     "{\"level\":\"warning\",\"msg\":\"access log lines lost\","
			     "\"lost\":%" PRIu64 "}\n",
			     log->missing);
		break;
	}
	put(log, line, (size_t)n);
	log->missing = 0;
}

static void flush(struct sw_accesslog *log)
{
	for (int i = 0; i < CHUNKS && log->end > log->at; i++)
		if (!takes(log, 0) || !write_chunk(log))
			break;
	/* Half of it free: enough to tell, and not to lose the next line at once. */
	if (log->missing && room(log) >= log->size / 2)
		say_lost(log);
	if (log->end > log->at)
		wait_for(log, SLOW_MS);
}

static void on_flush(evutil_socket_t fd, short what, void *arg)
{
	struct sw_accesslog *log = arg;

	(void)fd, (void)what;
	log->waits = false;
	flush(log);
}

int sw_accesslog_new(struct event_base *base, int fd, enum sw_access_form form, size_t bytes,
		     struct sw_accesslog **out)
{
	struct sw_accesslog *log;

	if (!bytes)
		bytes = DEFAULT_BYTES;
	if (bytes < 2 * SW_ACCESS_MAX)
		return -EINVAL;
	log = calloc(1, sizeof(*log));
	if (!log)
		return -ENOMEM;
	log->bytes = malloc(bytes);
	if (!log->bytes) {
		free(log);
		return -ENOMEM;
	}
	log->fd = fd;
	log->form = form;
	log->size = bytes;
	evtimer_assign(&log->flush_ev, base, on_flush, log);
	*out = log;
	return 0;
}

void sw_accesslog_free(struct sw_accesslog *log)
{
	if (!log)
		return;
	event_del(&log->flush_ev);
	if (log->missing && room(log) >= LOST_LINE)
		say_lost(log);
	while (log->end > log->at && takes(log, FAREWELL_MS) && write_chunk(log))
		;
	free(log->bytes);
	free(log);
}

void sw_accesslog_add(void *arg, const struct sw_access *a)
{
	struct sw_accesslog *log = arg;
	char line[SW_ACCESS_MAX];
	size_t n;

	if (log->off)
		return;
	/* Whoever lost a line waits until the loss was said, so that lines stay in their order. */
	if (log->missing || room(log) < SW_ACCESS_MAX + LOST_LINE) {
		log->missing++;
		log->stats.lost++;
		wait_for(log, GATHER_MS);
		return;
	}
	n = sw_access_format(line, log->form, a);
	put(log, line, n);
	log->stats.lines++;
	if (log->end - log->at >= log->size / 2)
		flush(log); /* the timer comes too late for a burst */
	else
		wait_for(log, GATHER_MS);
}

void sw_accesslog_set_form(struct sw_accesslog *log, enum sw_access_form form)
{
	log->form = form;
	log->off = false;
}

void sw_accesslog_off(struct sw_accesslog *log)
{
	if (log)
		log->off = true;
}

void sw_accesslog_get_stats(const struct sw_accesslog *log, struct sw_accesslog_stats *out)
{
	*out = log->stats;
}
