/* SPDX-License-Identifier: MIT */
#include "relay/access.h"

#include <arpa/inet.h>
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define FULL_NAME 256 /* names beyond this are cut; ours are shorter */

/* A line while it grows. */
struct line {
	char *at;
	size_t left; /* with room for the 0 */
	enum sw_access_form form;
};

static void add(struct line *l, const char *bytes, size_t n)
{
	if (n >= l->left)
		n = l->left - 1;
	memcpy(l->at, bytes, n);
	l->at += n;
	l->left -= n;
	*l->at = '\0';
}

static void add_text(struct line *l, const char *text)
{
	add(l, text, strlen(text));
}

static void key(struct line *l, const char *name)
{
	if (l->form == SW_ACCESS_JSON) {
		add_text(l, ",\"");
		add_text(l, name);
		add_text(l, "\":");
	} else {
		add_text(l, " ");
		add_text(l, name);
		add_text(l, "=");
	}
}

/* Is it a bare word, in text and logfmt? */
static bool is_bare(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s <= ' ' || *s == '"' || *s == '=' || *s == '\\' || *s == 0x7f)
			return false;
	return true;
}

static void quoted(struct line *l, const char *s)
{
	add_text(l, "\"");
	for (; *s; s++) {
		char esc[8];

		if (*s == '"' || *s == '\\')
			snprintf(esc, sizeof(esc), "\\%c", *s);
		else if ((unsigned char)*s < ' ' || *s == 0x7f)
			snprintf(esc, sizeof(esc), "\\u%04x", (unsigned)(unsigned char)*s);
		else
			snprintf(esc, sizeof(esc), "%c", *s);
		add_text(l, esc);
	}
	add_text(l, "\"");
}

/* @param s  "" for unknown. */
static void word(struct line *l, const char *name, const char *s)
{
	key(l, name);
	if (l->form == SW_ACCESS_JSON && !s[0])
		add_text(l, "null");
	else if (l->form == SW_ACCESS_JSON || !is_bare(s))
		quoted(l, s);
	else
		add_text(l, s[0] ? s : "-");
}

static void number(struct line *l, const char *name, uint64_t n)
{
	char text[24];

	key(l, name);
	snprintf(text, sizeof(text), "%" PRIu64, n);
	add_text(l, text);
}

static void milliseconds(struct line *l, const char *name, uint64_t us)
{
	char text[32];

	key(l, name);
	if (us == SW_NEVER)
		snprintf(text, sizeof(text), "%s", l->form == SW_ACCESS_JSON ? "null" : "-");
	else
		snprintf(text, sizeof(text), "%" PRIu64 ".%03u", us / 1000, (unsigned)(us % 1000));
	add_text(l, text);
}

static void address(struct line *l, const char *name, const union sw_sockaddr *a)
{
	char text[INET6_ADDRSTRLEN + 10];

	sw_sockaddr_text(text, sizeof(text), a);
	word(l, name, a->sa.sa_family == AF_INET || a->sa.sa_family == AF_INET6 ? text : "");
}

size_t sw_sockaddr_text(char *out, size_t size, const union sw_sockaddr *a)
{
	char host[INET6_ADDRSTRLEN] = "";
	int n;

	if (a->sa.sa_family == AF_INET) {
		inet_ntop(AF_INET, &a->in4.sin_addr, host, sizeof(host));
		n = snprintf(out, size, "%s:%u", host, ntohs(a->in4.sin_port));
	} else if (a->sa.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &a->in6.sin6_addr, host, sizeof(host));
		n = snprintf(out, size, "[%s]:%u", host, ntohs(a->in6.sin6_port));
	} else {
		n = snprintf(out, size, "-");
	}
	return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}

/* RFC 3339 in UTC. */
static void time_text(char out[40], sw_wall at)
{
	const time_t s = (time_t)(at.ns / 1000000000u);
	struct tm tm;
	size_t n;

	if (!gmtime_r(&s, &tm))
		memset(&tm, 0, sizeof(tm));
	n = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, 40 - n, ".%03uZ", (unsigned)(at.ns / 1000000 % 1000));
}

static void begin(struct line *l, const struct sw_access *a)
{
	const uint64_t total_us = a->total_us == SW_NEVER ? 0 : a->total_us;
	char ended[40];

	time_text(ended, (sw_wall){ a->started.ns + total_us * 1000 });
	switch (l->form) {
	case SW_ACCESS_TEXT:
		add_text(l, "synward: access");
		return;
	case SW_ACCESS_LOGFMT:
		add_text(l, "ts=");
		add_text(l, ended);
		add_text(l, " level=info msg=access");
		return;
	case SW_ACCESS_JSON:
		add_text(l, "{\"ts\":\"");
		add_text(l, ended);
		add_text(l, "\",\"level\":\"info\",\"msg\":\"access\"");
		return;
	}
}

size_t sw_access_format(char out[SW_ACCESS_MAX], enum sw_access_form form,
			const struct sw_access *a)
{
	struct line l = { .at = out, .left = SW_ACCESS_MAX - 3, .form = form };
	char text[FULL_NAME];

	begin(&l, a);
	address(&l, "client", &a->client);
	word(&l, "listener", a->listener);
	address(&l, "local", &a->local);
	snprintf(text, sizeof(text), "%s%s%s", a->server[0] ? a->pool : "",
		 a->server[0] && a->pool[0] ? "/" : "", a->server);
	word(&l, "server", text);
	time_text(text, a->started);
	word(&l, "start", text);
	milliseconds(&l, "connect_ms", a->connect_us);
	milliseconds(&l, "total_ms", a->total_us);
	number(&l, "to_server", a->to_server);
	number(&l, "to_client", a->to_client);
	word(&l, "cause", sw_relay_cause_name(a->cause));
	number(&l, "attempts", a->attempts);
	snprintf(text, sizeof(text), "%016" PRIx64, a->id);
	word(&l, "id", text);
	l.left += 2; /* kept back, so that the end has its place */
	add_text(&l, form == SW_ACCESS_JSON ? "}\n" : "\n");
	return (size_t)(l.at - out);
}
