/* SPDX-License-Identifier: MIT */
/* One value of a configuration against its row of the table. */
#include "ops/settings_check.h"
#include "steer/addr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_WORDS 8
#define ENTRY_MAX 1000 /* bytes of a text in a list */
#define SHOWN	  60 /* the most of a wrong value that a message repeats */

static void join_words(const struct sw_option *o, char *out, size_t size)
{
	size_t at = 0;

	out[0] = '\0';
	for (uint32_t i = 0; i < o->nwords && at < size; i++) {
		const int n = snprintf(out + at, size - at, "%s%s",
				       i == 0		   ? "" :
				       i + 1 == o->nwords ? " or " :
							     ", ",
				       o->words[i].str);

		at += (size_t)n;
	}
}

static void expects_range(const struct sw_option *o, char *out, size_t size)
{
	char from[SW_TIME_STRLEN], to[SW_TIME_STRLEN];

	if (o->kind == SW_OPTION_TIME)
		snprintf(out, size, "a time of %s to %s, such as 500ms, 3s, 10m or 1h",
			 sw_time_str_ms(o->min, from), sw_time_str_ms(o->max, to));
	else
		snprintf(out, size, "a number of %u to %u%s%s", o->min, o->max,
			 o->unit ? " " : "", o->unit ? o->unit : "");
}

const char *sw_option_expects(const struct sw_option *o, char *out, size_t size)
{
	static const char *const texts[] = {
		[SW_OPTION_FLAG] = "true or false",
		[SW_OPTION_NAME] = "1 to 31 of a to z, 0 to 9, _ and -",
		[SW_OPTION_INTERFACE] = "the name of an interface, such as eth0",
		[SW_OPTION_PATH] = "a path that begins with /",
		[SW_OPTION_TEXT] = "a text",
		[SW_OPTION_ADDRESS] = "an address such as \"127.0.0.1:9177\"",
		[SW_OPTION_ADDRESSES] = "a list such as [\"192.0.2.1:443\", \"[2001:db8::1]:443\"]",
		[SW_OPTION_TEXTS] = "a list such as [\"/usr/bin/logger\", \"flood\"]",
	};

	switch (o->kind) {
	case SW_OPTION_COUNT:
	case SW_OPTION_TIME:
		expects_range(o, out, size);
		break;
	case SW_OPTION_WORD:
		join_words(o, out, size);
		break;
	case SW_OPTION_GROUP:
		snprintf(out, size, "keys and values such as { %s: %s }", o->group->option[0].key,
			 *o->group->option[0].dflt ? o->group->option[0].dflt : "\"\"");
		break;
	case SW_OPTION_GROUPS:
		snprintf(out, size, "a list of maps, each with a name");
		break;
	default:
		snprintf(out, size, "%s", texts[o->kind]);
		break;
	}
	return out;
}

static bool is_digits(const char *text)
{
	return *text && text[strspn(text, "0123456789")] == '\0';
}

static bool wrong(const struct sw_option *o, const char *text, const char *what, char *err,
		  size_t errlen)
{
	char right[160];

	snprintf(err, errlen, "%s: \"%.*s\" is %s; expected %s", o->key, SHOWN, text, what,
		 sw_option_expects(o, right, sizeof(right)));
	return false;
}

static bool check_count(const struct sw_option *o, const char *text, char *err, size_t errlen)
{
	unsigned long long value;

	if (!is_digits(text))
		return wrong(o, text, "not a number", err, errlen);
	value = strlen(text) <= 10 ? strtoull(text, NULL, 10) : UINT64_MAX;
	if (value < o->min || value > o->max)
		return wrong(o, text, "out of range", err, errlen);
	return true;
}

static bool check_time(const struct sw_option *o, const char *text, char *err, size_t errlen)
{
	uint32_t ms;

	if (is_digits(text) && text[strspn(text, "0")])
		return wrong(o, text, "without a unit", err, errlen);
	if (!sw_time_parse_ms(text, &ms))
		return wrong(o, text, "not a time", err, errlen);
	if (ms < o->min || ms > o->max)
		return wrong(o, text, "out of range", err, errlen);
	return true;
}

static bool check_flag(const struct sw_option *o, const char *text, char *err, size_t errlen)
{
	static const char *const yes[] = { "yes", "on", "1", "y", "True", "TRUE", "enable" };
	static const char *const no[] = { "no", "off", "0", "n", "False", "FALSE", "disable" };
	const char *meant = NULL;

	if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
		return true;
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		if (strcasecmp(text, yes[i]) == 0)
			meant = "true";
		if (strcasecmp(text, no[i]) == 0)
			meant = "false";
	}
	if (!meant)
		return wrong(o, text, "neither", err, errlen);
	snprintf(err, errlen, "%s: \"%.*s\" is neither true nor false; did you mean %s?", o->key,
		 SHOWN, text, meant);
	return false;
}

static bool check_word(const struct sw_option *o, const char *text, char *err, size_t errlen)
{
	const char *words[MAX_WORDS], *near;

	for (uint32_t i = 0; i < o->nwords && i < MAX_WORDS; i++) {
		words[i] = o->words[i].str;
		if (strcmp(text, words[i]) == 0)
			return true;
	}
	near = sw_nearest(text, words, o->nwords);
	if (!near)
		return wrong(o, text, "unknown", err, errlen);
	snprintf(err, errlen, "%s: \"%.*s\" is unknown; did you mean \"%s\"?", o->key, SHOWN, text,
		 near);
	return false;
}

static bool check_name(const struct sw_option *o, const char *text, char *err, size_t errlen)
{
	const size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-");

	if (text[n])
		return wrong(o, text, "not a name", err, errlen);
	if (n > o->max)
		return wrong(o, text, "too long", err, errlen);
	return true;
}

static bool has_control(const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++)
		if (*p < 0x20 || *p == 0x7f)
			return true;
	return false;
}

static bool check_text(const struct sw_option *o, const char *text, char *err, size_t errlen)
{
	if (has_control(text)) {
		char right[160];

		snprintf(err, errlen, "%s: a control character in the text; expected %s", o->key,
			 sw_option_expects(o, right, sizeof(right)));
		return false;
	}
	/* Of a list, max is the number of entries. */
	if (strlen(text) > (o->kind == SW_OPTION_TEXTS ? ENTRY_MAX : o->max))
		return wrong(o, text, "too long", err, errlen);
	if (o->kind == SW_OPTION_PATH && text[0] != '/')
		return wrong(o, text, "not a path from the root", err, errlen);
	if (o->kind == SW_OPTION_INTERFACE &&
	    (strpbrk(text, "/: ") || strcmp(text, ".") == 0 || strcmp(text, "..") == 0))
		return wrong(o, text, "not an interface", err, errlen);
	return true;
}

static bool check_address(const struct sw_option *o, const char *text, char *err, size_t errlen)
{
	struct sockaddr_storage addr;
	char why[200];

	if (sw_addr_parse(text, &addr, why, sizeof(why)) == 0)
		return true;
	snprintf(err, errlen, "%s: %s", o->key, why);
	return false;
}

bool sw_option_check(const struct sw_option *o, const char *text, char *err, size_t errlen)
{
	/* "" takes a text away that need not be there. */
	if (!*text && o->dflt && !*o->dflt)
		return true;
	if (!*text && o->kind != SW_OPTION_TEXTS && !(o->kind == SW_OPTION_PATH && o->dflt))
		return wrong(o, text, "empty", err, errlen);
	switch (o->kind) {
	case SW_OPTION_COUNT:
		return check_count(o, text, err, errlen);
	case SW_OPTION_TIME:
		return check_time(o, text, err, errlen);
	case SW_OPTION_FLAG:
		return check_flag(o, text, err, errlen);
	case SW_OPTION_WORD:
		return check_word(o, text, err, errlen);
	case SW_OPTION_NAME:
		return check_name(o, text, err, errlen);
	case SW_OPTION_ADDRESS:
	case SW_OPTION_ADDRESSES:
		return check_address(o, text, err, errlen);
	default:
		return !*text || check_text(o, text, err, errlen);
	}
}
