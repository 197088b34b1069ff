/* SPDX-License-Identifier: MIT */
/*
 * Lines to stderr: "synward: warning: ...".  One write(2) a line, so lines of two threads do not
 * mix.  Under systemd each line starts with "<N>", the journal's priority.  errno is kept.
 *
 * After sw_log_open() no line waits for a reader of stderr that is behind: it is dropped and
 * counted.  Only lines of SW_LOG_ALWAYS wait, all together for 100 ms at most until the reader has
 * caught up.
 */
#ifndef SW_OPS_LOG_H
#define SW_OPS_LOG_H

#include "core/types.h"

/* SW_LOG_ALWAYS is for what was asked for: it has no level to turn off. */
enum sw_log_level { SW_LOG_ALWAYS, SW_LOG_ERROR, SW_LOG_WARN, SW_LOG_INFO, SW_LOG_DEBUG };

/**
 * How a line is written:
 *
 *	text    synward: warning: the text
 *	logfmt  ts=2026-01-02T03:04:05.678Z level=warn msg="the text"
 *	json    {"ts":"2026-01-02T03:04:05.678Z","level":"warn","msg":"the text"}
 */
enum sw_log_form { SW_LOG_FORM_TEXT, SW_LOG_FORM_LOGFMT, SW_LOG_FORM_JSON };

/** Set the highest level that is written; without this call SW_LOG_INFO.  Looks up where stderr
 *  goes.  Other threads may be writing. */
void sw_log_open(enum sw_log_level highest);

/** Set the form of lines; without this call SW_LOG_FORM_TEXT.  Other threads may be writing. */
void sw_log_format(enum sw_log_form form);

bool sw_log_on(enum sw_log_level level);

/** @param fmt  Without a newline at its end. */
void sw_logf(enum sw_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The arguments are not evaluated while the level is off. */
#define SW_LOG_AT(level, ...)                                                                      \
	do {                                                                                       \
		if (sw_log_on(level))                                                              \
			sw_logf(level, __VA_ARGS__);                                               \
	} while (0)
#define sw_error(...) SW_LOG_AT(SW_LOG_ERROR, __VA_ARGS__)
#define sw_warn(...)  SW_LOG_AT(SW_LOG_WARN, __VA_ARGS__)
#define sw_info(...)  SW_LOG_AT(SW_LOG_INFO, __VA_ARGS__)
#define sw_debug(...) SW_LOG_AT(SW_LOG_DEBUG, __VA_ARGS__)

/** One line per period.  Zero it before first use. */
struct sw_log_limit {
	uint64_t next_ns;
	uint64_t skipped;
};

/**
 * @param skipped  Out: the lines that were not written since the last one.  Written when true.
 * @return true when a line may be written now.
 */
SW_MUST bool sw_log_may(struct sw_log_limit *lim, sw_mono now, uint64_t period_ns,
			uint64_t *skipped);

/** @return the lines since the start that sw_log_may() held back, of all limits, and those for
 *  which stderr had no room. */
uint64_t sw_log_suppressed(void);

/**
 * Write a line in a form, with a newline at its end.
 *
 * @param wall  The time that is written; text has none.
 * @return bytes without the final zero; a line that is too long is cut.
 */
SW_MUST size_t sw_log_line(char *out, size_t size, enum sw_log_form form, enum sw_log_level level,
			   sw_wall wall, const char *text);

/** @return true when @journal, "DEV:INODE" as in $JOURNAL_STREAM, names this file. */
SW_MUST bool sw_log_is_journal(const char *journal, uint64_t dev, uint64_t ino);

#endif
