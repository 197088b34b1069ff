/* SPDX-License-Identifier: MIT */
#include "ops/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1024

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

/* Written by sw_log_open() before there are threads, read by all of them. */
static enum sw_log_level max_level = SW_LOG_INFO;
static bool to_journal, colored;

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
}

bool sw_log_on(enum sw_log_level level)
{
	return level <= max_level;
}

void sw_logf(enum sw_log_level level, const char *fmt, ...)
{
	const int saved = errno;
	const bool paint = colored && levels[level].color[0];
	char line[LINE_MAX_BYTES], text[LINE_MAX_BYTES - 64], priority[8] = "";
	va_list ap;
	int n;

	va_start(ap, fmt);
	errno = saved; /* for %m */
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (to_journal)
		snprintf(priority, sizeof(priority), "<%d>", levels[level].priority);
	n = snprintf(line, sizeof(line), "%ssynward: %s%s%s%s\n", priority,
		     paint ? levels[level].color : "", levels[level].word, paint ? "\033[0m" : "",
		     text);
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		errno = 0; /* nowhere left to say so */
	errno = saved;
}

bool sw_log_may(struct sw_log_limit *lim, sw_mono now, uint64_t period_ns, uint64_t *skipped)
{
	if (lim->next_ns && now.ns < lim->next_ns) {
		lim->skipped++;
		return false;
	}
	*skipped = lim->skipped;
	lim->skipped = 0;
	lim->next_ns = now.ns + period_ns;
	return true;
}
