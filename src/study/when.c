/* SPDX-License-Identifier: MIT */
#include "study/when.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND_NS   1000000000ull
#define SECONDS_MAX 16725225600ll /* the year 2500: nanoseconds fit 64 bits until 2554 */

const char *sw_time_text(sw_wall t, char out[SW_TIME_TEXT])
{
	const time_t s = (time_t)(t.ns / SECOND_NS);
	const unsigned long ns = (unsigned long)(t.ns % SECOND_NS);
	char fraction[12] = "";
	struct tm tm;
	size_t n;

	if (ns) {
		n = (size_t)snprintf(fraction, sizeof(fraction), ".%09lu", ns);
		while (fraction[n - 1] == '0')
			fraction[--n] = '\0';
	}
	gmtime_r(&s, &tm);
	n = strftime(out, SW_TIME_TEXT, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, SW_TIME_TEXT - n, "%sZ", fraction);
	return out;
}

/* Up to nine digits behind a point, if there is one.  @return what follows, NULL when wrong. */
static const char *read_fraction(const char *p, uint64_t *ns)
{
	uint64_t unit = SECOND_NS / 10;
	size_t n;

	*ns = 0;
	if (*p != '.')
		return p;
	n = strspn(++p, "0123456789");
	if (n < 1 || n > 9)
		return NULL;
	for (; n > 0; n--, unit /= 10)
		*ns += (uint64_t)(*p++ - '0') * unit;
	return p;
}

static bool make(int64_t seconds, uint64_t ns, sw_wall *out)
{
	if (seconds < 0 || seconds >= SECONDS_MAX)
		return false;
	out->ns = (uint64_t)seconds * SECOND_NS + ns;
	return true;
}

/* @n digits at @p as a number.  @return false when they are not all digits. */
static bool digits(const char *p, size_t n, int *out)
{
	int v = 0;

	for (size_t i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return false;
		v = v * 10 + (p[i] - '0');
	}
	*out = v;
	return true;
}

/* "Z" or "+01:30".  @param out  Seconds east of Greenwich. */
static bool read_zone(const char *p, int *out)
{
	int h, m;

	if ((*p == 'Z' || *p == 'z') && !p[1]) {
		*out = 0;
		return true;
	}
	if ((*p != '+' && *p != '-') || strlen(p) != 6 || p[3] != ':' || !digits(p + 1, 2, &h) ||
	    !digits(p + 4, 2, &m) || h > 23 || m > 59)
		return false;
	*out = (*p == '-' ? -1 : 1) * (h * 3600 + m * 60);
	return true;
}

static bool is_date(const char *t)
{
	return strlen(t) >= 20 && t[4] == '-' && t[7] == '-' && t[13] == ':' && t[16] == ':' &&
	       (t[10] == 'T' || t[10] == 't' || t[10] == ' ');
}

/* RFC 3339 section 5.6. */
static bool read_date(const char *t, sw_wall *out)
{
	struct tm tm = { 0 }, back;
	uint64_t ns;
	time_t s;
	int zone;

	if (!is_date(t) || !digits(t, 4, &tm.tm_year) || !digits(t + 5, 2, &tm.tm_mon) ||
	    !digits(t + 8, 2, &tm.tm_mday) || !digits(t + 11, 2, &tm.tm_hour) ||
	    !digits(t + 14, 2, &tm.tm_min) || !digits(t + 17, 2, &tm.tm_sec))
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	back = tm;
	s = timegm(&back); /* the 31st of April becomes another day */
	if (back.tm_mday != tm.tm_mday || back.tm_mon != tm.tm_mon || back.tm_hour != tm.tm_hour ||
	    back.tm_min != tm.tm_min || back.tm_sec != tm.tm_sec)
		return false;
	t = read_fraction(t + 19, &ns);
	return t && read_zone(t, &zone) && make((int64_t)s - zone, ns, out);
}

bool sw_time_parse(const char *text, sw_wall now, sw_wall *out)
{
	const size_t n = strspn(text, "0123456789");
	const char *rest = text + n;
	uint64_t ns;

	if (strcmp(text, "now") == 0) {
		*out = now;
		return true;
	}
	if (n >= 1 && n <= 11 && (*rest == '.' || !*rest)) {
		rest = read_fraction(rest, &ns);
		return rest && !*rest && make(strtoll(text, NULL, 10), ns, out);
	}
	return read_date(text, out);
}
