/* SPDX-License-Identifier: MIT */
#include "study/tale.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NAME(constant, name, text) name,
#define TEXT(constant, name, text) text,

static const char *const mark_names[] = { SW_MARK_LIST(NAME) };
static const char *const mark_texts[] = { SW_MARK_LIST(TEXT) };
static const char *const find_names[] = { SW_FIND_LIST(NAME) };
static const char *const find_texts[] = { SW_FIND_LIST(TEXT) };
static const char *const outcome_names[] = { SW_OUTCOME_LIST(NAME) };
static const char *const outcome_texts[] = { SW_OUTCOME_LIST(TEXT) };
static const char *const rst_names[] = { SW_RST_LIST(NAME) };
static const char *const rst_texts[] = { SW_RST_LIST(TEXT) };
static const char *const close_names[] = { "", "four-way", "three-way", "simultaneous" };

const char *sw_mark_name(unsigned bit)
{
	return bit < SW_NMARK ? mark_names[bit] : "?";
}

const char *sw_mark_text(unsigned bit)
{
	return bit < SW_NMARK ? mark_texts[bit] : "?";
}

const char *sw_find_name(unsigned bit)
{
	return bit < SW_NFIND ? find_names[bit] : "?";
}

const char *sw_find_text(unsigned bit)
{
	return bit < SW_NFIND ? find_texts[bit] : "?";
}

const char *sw_outcome_name(enum sw_outcome o)
{
	return o < SW_NOUTCOME ? outcome_names[o] : "?";
}

const char *sw_outcome_text(enum sw_outcome o)
{
	return o < SW_NOUTCOME ? outcome_texts[o] : "?";
}

const char *sw_rst_name(enum sw_rst why)
{
	return why < SW_NRST ? rst_names[why] : "?";
}

const char *sw_rst_text(enum sw_rst why)
{
	return why < SW_NRST ? rst_texts[why] : "?";
}

const char *sw_close_name(enum sw_close c)
{
	return c < SW_NCLOSE ? close_names[c] : "?";
}

const char *sw_end_name(enum sw_end end)
{
	return end == SW_CLIENT ? "client" : "server";
}

/* Append to a list; what does not fit is left off. */
static void add(char *out, size_t size, const char *separator, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void add(char *out, size_t size, const char *separator, const char *fmt, ...)
{
	size_t n = strlen(out);
	va_list ap;

	if (n && n + 1 < size)
		n += (size_t)snprintf(out + n, size - n, "%s", separator);
	if (n + 1 >= size)
		return;
	va_start(ap, fmt);
	vsnprintf(out + n, size - n, fmt, ap);
	va_end(ap);
}

const char *sw_addr_text(enum sw_family family, const struct sw_addr *addr,
			 char out[SW_ENDPOINT_TEXT])
{
	if (!inet_ntop(family == SW_IP4 ? AF_INET : AF_INET6, addr->b, out, SW_ENDPOINT_TEXT))
		snprintf(out, SW_ENDPOINT_TEXT, "?");
	return out;
}

const char *sw_endpoint_text(enum sw_family family, const struct sw_addr *addr, uint16_t port,
			     char out[SW_ENDPOINT_TEXT])
{
	char a[SW_ENDPOINT_TEXT];

	sw_addr_text(family, addr, a);
	snprintf(out, SW_ENDPOINT_TEXT, family == SW_IP4 ? "%.46s:%u" : "[%.46s]:%u", a, port);
	return out;
}

const char *sw_tale_flags(uint8_t flags, char out[SW_TALE_FLAGS])
{
	static const char *const names[] = { "FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE",
					     "CWR" };
	/* The order in which they matter. */
	static const uint8_t order[] = { 2, 1, 0, 3, 4, 5, 6, 7 };

	out[0] = '\0';
	if ((flags & (SW_TCP_SYN | SW_TCP_ACK)) == (SW_TCP_SYN | SW_TCP_ACK)) {
		add(out, SW_TALE_FLAGS, "", "SYN-ACK");
		flags &= (uint8_t)~(SW_TCP_SYN | SW_TCP_ACK);
	}
	for (size_t i = 0; i < sizeof(order); i++) {
		if (flags >> order[i] & 1)
			add(out, SW_TALE_FLAGS, ", ", "%s", names[order[i]]);
	}
	if (!*out)
		add(out, SW_TALE_FLAGS, "", "no flags");
	return out;
}

const char *sw_options_text(const struct sw_tcpopt *opt, char out[SW_OPTIONS_TEXT])
{
	out[0] = '\0';
	if (opt->mss)
		add(out, SW_OPTIONS_TEXT, ", ", "mss %u", opt->mss);
	if (opt->sack)
		add(out, SW_OPTIONS_TEXT, ", ", "sack");
	if (opt->ts)
		add(out, SW_OPTIONS_TEXT, ", ", "ts %u/%u", opt->tsval, opt->tsecr);
	if (opt->wscale_ok)
		add(out, SW_OPTIONS_TEXT, ", ", "wscale %u", opt->wscale);
	if (opt->cut)
		add(out, SW_OPTIONS_TEXT, ", ", "malformed");
	if (!*out)
		add(out, SW_OPTIONS_TEXT, "", "no options");
	return out;
}

static const char *marks_list(uint32_t marks, const char *const *words, const char *separator,
			      char out[SW_MARKS_TEXT])
{
	out[0] = '\0';
	for (unsigned bit = 0; bit < SW_NMARK; bit++) {
		if (marks >> bit & 1)
			add(out, SW_MARKS_TEXT, separator, "%s", words[bit]);
	}
	return out;
}

const char *sw_marks_text(uint32_t marks, char out[SW_MARKS_TEXT])
{
	/* One of them says it all. */
	if (marks & SW_MARK_OPENS_BY_DATA)
		marks &= ~(uint32_t)SW_MARK_OPENS;
	return marks_list(marks, mark_texts, ", ", out);
}

const char *sw_marks_names(uint32_t marks, char out[SW_MARKS_TEXT])
{
	return marks_list(marks, mark_names, ",", out);
}

const char *sw_lost_text(unsigned lost, char out[SW_OPTIONS_TEXT])
{
	static const char *const names[] = { "mss", "wscale", "sack", "ts" };

	out[0] = '\0';
	for (unsigned bit = 0; bit < 4; bit++) {
		if (lost >> bit & 1)
			add(out, SW_OPTIONS_TEXT, ", ", "%s", names[bit]);
	}
	return out;
}

const char *sw_count_text(uint64_t n, char out[SW_COUNT_TEXT])
{
	char digits[24];
	const int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n);
	char *p = out;

	for (int i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			*p++ = ',';
		*p++ = digits[i];
	}
	*p = '\0';
	return out;
}

const char *sw_bytes_text(uint64_t n, char out[SW_COUNT_TEXT])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double v = (double)n;
	size_t u = 0;

	while (v >= 1024 && u + 1 < sizeof(units) / sizeof(units[0])) {
		v /= 1024;
		u++;
	}
	snprintf(out, SW_COUNT_TEXT, u ? "%.1f %s" : "%.0f %s", v, units[u]);
	return out;
}

const char *sw_span_text(int64_t ns, char out[SW_COUNT_TEXT])
{
	const double v = (double)ns;

	if (v < 1e6 && v > -1e6)
		snprintf(out, SW_COUNT_TEXT, "%.0f us", v / 1e3);
	else if (v < 1e9 && v > -1e9)
		snprintf(out, SW_COUNT_TEXT, "%.2f ms", v / 1e6);
	else
		snprintf(out, SW_COUNT_TEXT, "%.2f s", v / 1e9);
	return out;
}

static bool find_bit(const char *name, const char *const *names, unsigned n, uint32_t *bits)
{
	for (unsigned i = 0; i < n; i++) {
		if (*names[i] && strcmp(name, names[i]) == 0) {
			*bits |= 1u << i;
			return true;
		}
	}
	return false;
}

bool sw_tale_find(const char *name, uint32_t *outcomes, uint32_t *findings, uint32_t *closes)
{
	/* "reset" is an outcome and a finding: both are meant. */
	const bool o = find_bit(name, outcome_names, SW_NOUTCOME, outcomes);
	const bool f = find_bit(name, find_names, SW_NFIND, findings);
	const bool c = find_bit(name, close_names, SW_NCLOSE, closes);

	return o || f || c;
}
