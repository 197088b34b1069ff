/* SPDX-License-Identifier: MIT */
#include "ops/log.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1024
#define PATIENCE_MS    100 /* for a reader that is behind, until it has caught up */

_Static_assert(LINE_MAX_BYTES <= PIPE_BUF, "a pipe takes a line whole or not at all");

static const struct {
	int priority; /* syslog's, for the journal */
	const char *word, *color;
} levels[] = {
	[SW_LOG_ALWAYS] = { 6, "", "" },
	[SW_LOG_ERROR] = { 3, "error: ", "\033[31m" },
	[SW_LOG_WARN] = { 4, "warning: ", "\033[33m" },
	[SW_LOG_INFO] = { 6, "", "" },
	[SW_LOG_DEBUG] = { 7, "debug: ", "" },
};

/* Written by the thread that reads the settings, read by all; each stands for itself. */
static _Atomic int max_level = SW_LOG_INFO, line_form = SW_LOG_FORM_TEXT;
static _Atomic bool to_journal, colored, opened;
static _Atomic int patience_ms = PATIENCE_MS;
static _Atomic uint64_t suppressed;

bool sw_log_is_journal(const char *journal, uint64_t dev, uint64_t ino)
{
	uint64_t want_dev, want_ino;
	char end;

	return journal &&
	       sscanf(journal, "%" SCNu64 ":%" SCNu64 "%c", &want_dev, &want_ino, &end) == 2 &&
	       want_dev == dev && want_ino == ino;
}

void sw_log_open(enum sw_log_level highest)
{
	const char *no_color = getenv("NO_COLOR");
	struct stat st;

	max_level = highest;
	to_journal = fstat(STDERR_FILENO, &st) == 0 &&
		     sw_log_is_journal(getenv("JOURNAL_STREAM"), st.st_dev, st.st_ino);
	colored = !to_journal && !(no_color && *no_color) && isatty(STDERR_FILENO);
	opened = true;
}

void sw_log_format(enum sw_log_form form)
{
	line_form = form;
}

bool sw_log_on(enum sw_log_level level)
{
	return (int)level <= max_level;
}

static sw_wall now_wall(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (sw_wall){ (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec };
}

/* A pipe that poll(2) calls writable has a free page: lines of a few threads at once fit. */
static bool has_room(int wait_ms)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };

	return poll(&p, 1, wait_ms) == 1;
}

/* What was asked for waits, but all such lines together no longer than PATIENCE_MS: a reader that
 * stands still must not hold up an event loop line by line. */
static bool has_room_soon(void)
{
	const int most = patience_ms;
	struct timespec from, to;
	int64_t ms;
	bool room;

	clock_gettime(CLOCK_MONOTONIC, &from);
	room = has_room(most);
	clock_gettime(CLOCK_MONOTONIC, &to);
	ms = (to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000;
	patience_ms = ms >= most ? 0 : most - (int)ms;
	return room;
}

static void write_line(enum sw_log_level level, const char *line, size_t n)
{
	if (opened && !has_room(0)) {
		if (level != SW_LOG_ALWAYS || !has_room_soon()) {
			suppressed++;
			return;
		}
	} else {
		patience_ms = PATIENCE_MS;
	}
	if (write(STDERR_FILENO, line, n) < 0 && errno == EAGAIN)
		suppressed++; /* any other error: nowhere left to say so */
}

void sw_logf(enum sw_log_level level, const char *fmt, ...)
{
	const int saved = errno;
	const enum sw_log_form form = (enum sw_log_form)line_form;
	const bool plain = form == SW_LOG_FORM_TEXT;
	const bool paint = plain && colored && levels[level].color[0];
	char line[LINE_MAX_BYTES], text[LINE_MAX_BYTES - 64];
	size_t at = 0, n;
	va_list ap;

	if (to_journal)
		at = (size_t)snprintf(line, sizeof(line), "<%d>", levels[level].priority);
	n = plain ? (size_t)snprintf(text, sizeof(text), "%s%s%s",
				     paint ? levels[level].color : "", levels[level].word,
				     paint ? "\033[0m" : "") :
		    0;
	va_start(ap, fmt);
	errno = saved; /* for %m */
	vsnprintf(text + n, sizeof(text) - n, fmt, ap);
	va_end(ap);
	n = at + sw_log_line(line + at, sizeof(line) - at, form, level, now_wall(), text);
	write_line(level, line, n);
	errno = saved;
}

bool sw_log_may(struct sw_log_limit *lim, sw_mono now, uint64_t period_ns, uint64_t *skipped)
{
	if (lim->next_ns && now.ns < lim->next_ns) {
		lim->skipped++;
		suppressed++;
		return false;
	}
	*skipped = lim->skipped;
	lim->skipped = 0;
	lim->next_ns = now.ns + period_ns;
	return true;
}

uint64_t sw_log_suppressed(void)
{
	return suppressed;
}
