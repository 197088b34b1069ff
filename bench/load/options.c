/* SPDX-License-Identifier: MIT */
#include "../tool.h"
#include "load.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage_text[] =
	"usage: bench_load --connect ADDR:PORT [--count N] [--concurrency C] [--interval US]\n"
	"                  [--request TEXT | --request-bytes N | --http PATH] [--expect-bytes N]\n"
	"                  [--timeout MS] [--on-ack] [--json]\n"
	"       bench_load --serve ADDR:PORT [--request-bytes N] [--reply-bytes N]\n"
	"                  [--banner TEXT] [--backlog N]\n"
	"                  [--synward INTERFACE [--serve ADDR:PORT ...] [--workers N]\n"
	"                   [--qdisc-bypass]]\n"
	"\n"
	"Without --interval the next connection starts when a slot is free; with it, every US\n"
	"microseconds while slots are free.  The request is sent as soon as connect() succeeds;\n"
	"--on-ack puts it on the ACK of the handshake.  Without --expect-bytes the reply ends\n"
	"with the stream.  The server answers every N request bytes (1) with N reply bytes (64).\n"
	"With --synward it has no socket that listens, but libsynward on that interface, for one\n"
	"address or several; SIGUSR1 prints the library's counters.\n";

static _Noreturn void usage(const char *what)
{
	fprintf(stderr, "bench_load: %s\n%s", what, usage_text);
	exit(2);
}

static uint64_t number(const char *text)
{
	char *end;
	unsigned long long v;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-')
		usage("a number was expected");
	return v;
}

static void parse_addr(struct options *o, const char *text)
{
	const struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
					.ai_socktype = SOCK_STREAM };
	const char *colon = strrchr(text, ':');
	struct addrinfo *ai;
	char host[64];
	size_t len;

	if (!colon)
		usage("ADDR:PORT was expected");
	if (text[0] == '[' && colon > text && colon[-1] == ']') {
		len = (size_t)(colon - text) - 2;
		text++;
	} else {
		len = (size_t)(colon - text);
	}
	if (len >= sizeof(host))
		usage("the address is too long");
	memcpy(host, text, len);
	host[len] = '\0';
	if (getaddrinfo(host, colon + 1, &hints, &ai))
		usage("ADDR:PORT was expected, with a numeric address");
	memcpy(&o->addr, ai->ai_addr, ai->ai_addrlen);
	o->addrlen = ai->ai_addrlen;
	freeaddrinfo(ai);
}

static void set_request(struct options *o, const char *before, const char *text, const char *after)
{
	free(o->request);
	if (asprintf(&o->request, "%s%s%s", before, text, after) < 0)
		die("memory");
	o->request_len = strlen(o->request);
}

static void set_request_bytes(struct options *o)
{
	free(o->request);
	o->request = must_calloc(o->request_len + 1, 1);
	memset(o->request, 'r', o->request_len);
}

static const struct {
	const char *name;
	size_t field;
} numbers[] = {
	{ "--count", offsetof(struct options, count) },
	{ "--concurrency", offsetof(struct options, concurrency) },
	{ "--timeout", offsetof(struct options, timeout_ms) },
	{ "--interval", offsetof(struct options, interval_us) },
	{ "--request-bytes", offsetof(struct options, request_len) },
	{ "--expect-bytes", offsetof(struct options, expect) },
	{ "--reply-bytes", offsetof(struct options, reply) },
	{ "--backlog", offsetof(struct options, backlog) },
	{ "--workers", offsetof(struct options, workers) },
};

static void add_listen(struct options *o, const char *text)
{
	if (o->nlisten == LOAD_MAX_LISTEN)
		usage("that is too many addresses to serve");
	parse_addr(o, text);
	o->listen[o->nlisten++] = text;
}

static void set_value(struct options *o, const char *name, const char *value)
{
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (strcmp(name, numbers[i].name) == 0) {
			*(uint64_t *)(void *)((char *)o + numbers[i].field) = number(value);
			if (numbers[i].field == offsetof(struct options, request_len))
				set_request_bytes(o);
			return;
		}
	}
	o->connect = o->connect || strcmp(name, "--connect") == 0;
	o->http = o->http || strcmp(name, "--http") == 0;
	if (strcmp(name, "--connect") == 0)
		parse_addr(o, value);
	else if (strcmp(name, "--serve") == 0)
		add_listen(o, value);
	else if (strcmp(name, "--synward") == 0)
		o->interface = value;
	else if (strcmp(name, "--http") == 0)
		set_request(o, "GET ", value, " HTTP/1.0\r\n\r\n");
	else if (strcmp(name, "--request") == 0)
		set_request(o, "", value, "");
	else if (strcmp(name, "--banner") == 0)
		o->banner = value;
	else
		usage("an option of the list below was expected");
}

static void check(struct options *o)
{
	if (o->connect == (o->nlisten > 0) || o->count == 0 || o->concurrency == 0)
		usage("either --connect or --serve is needed");
	if (o->interface && o->connect)
		usage("--synward goes with --serve");
	if (!o->interface && (o->nlisten > 1 || o->qdisc_bypass || o->workers != 1))
		usage("several addresses, --workers and --qdisc-bypass go with --synward");
	if (o->workers == 0 || o->workers > LOAD_MAX_WORKERS)
		usage("--workers is from 1 to 64");
	if (o->backlog > INT_MAX)
		usage("--backlog is too large");
}

void options_parse(struct options *o, char **argv)
{
	while (*++argv) {
		if (strcmp(*argv, "--json") == 0) {
			o->json = true;
		} else if (strcmp(*argv, "--on-ack") == 0) {
			o->on_ack = true;
		} else if (strcmp(*argv, "--qdisc-bypass") == 0) {
			o->qdisc_bypass = true;
		} else {
			if (!argv[1])
				usage("a value was expected after the last option");
			set_value(o, argv[0], argv[1]);
			argv++;
		}
	}
	check(o);
	if (o->concurrency > o->count)
		o->concurrency = o->count;
	if (o->nlisten && !o->request_len)
		set_request(o, "", "r", "");
}
