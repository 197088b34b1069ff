/* SPDX-License-Identifier: MIT */
/* The forms of a line of the log. */
#include "ops/log.h"
#include "ops/utf8.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define STAMP_LEN 32

static const char *const names[] = {
	[SW_LOG_ALWAYS] = "info", [SW_LOG_ERROR] = "error", [SW_LOG_WARN] = "warn",
	[SW_LOG_INFO] = "info",	  [SW_LOG_DEBUG] = "debug",
};

static void stamp(char out[STAMP_LEN], sw_wall wall)
{
	const time_t seconds = (time_t)(wall.ns / 1000000000ull);
	char day[24];
	struct tm tm;

	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &tm));
	snprintf(out, STAMP_LEN, "%s.%03uZ", day, (unsigned)(wall.ns / 1000000ull % 1000));
}

/* One character inside quotes.  @return bytes written to @out, at most 8. */
static size_t quote(char out[8], enum sw_log_form form, uint32_t ch, const char *raw, size_t n)
{
	if (ch == '"' || ch == '\\') {
		out[0] = '\\';
		out[1] = (char)ch;
		return 2;
	}
	if (ch < 0x20 || ch == 0x7f)
		return (size_t)snprintf(out, 8, form == SW_LOG_FORM_JSON ? "\\u%04x" : "\\x%02x",
					ch & 0xff);
	memcpy(out, raw, n);
	return n;
}

/* Quoted, and cut before a character that does not fit in front of @reserve bytes. */
static size_t add_quoted(char *out, size_t at, size_t size, size_t reserve, enum sw_log_form form,
			 const char *text)
{
	const char *const end = text + strlen(text);

	while (text < end) {
		char piece[8];
		uint32_t ch = 0;
		size_t n = sw_utf8_next(text, (size_t)(end - text), &ch), len;

		len = n ? quote(piece, form, ch, text, n) : quote(piece, form, '?', "?", 1);
		if (at + len + reserve >= size)
			break;
		memcpy(out + at, piece, len);
		at += len;
		text += n ? n : 1;
	}
	return at;
}

static size_t add_end(char *out, size_t at, const char *end)
{
	const size_t n = strlen(end);

	memcpy(out + at, end, n + 1);
	return at + n;
}

size_t sw_log_line(char *out, size_t size, enum sw_log_form form, enum sw_log_level level,
		   sw_wall wall, const char *text)
{
	const char *const end = form == SW_LOG_FORM_JSON ? "\"}\n" : "\"\n";
	char when[STAMP_LEN];
	int head;

	if (form == SW_LOG_FORM_TEXT) {
		head = snprintf(out, size - 1, "synward: %s", text);
		head = head < 0 ? 0 : (size_t)head < size - 1 ? head : (int)size - 2;
		return add_end(out, (size_t)head, "\n");
	}
	stamp(when, wall);
	head = snprintf(out, size,
			form == SW_LOG_FORM_JSON ? "{\"ts\":\"%s\",\"level\":\"%s\",\"msg\":\"" :
						   "ts=%s level=%s msg=\"",
			when, names[level]);
	return add_end(out, add_quoted(out, (size_t)head, size, strlen(end), form, text), end);
}
