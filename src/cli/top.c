/* SPDX-License-Identifier: MIT */
#include "cli/top.h"
#include "cli/cli.h"
#include "ops/client.h"
#include "ops/human.h"
#include "ops/schema.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char help_text[] =
	"usage: synward top [-d TIME] [-n COUNT] [-s SOCKET]\n"
	"Watch the running synward: per listener what comes in, is answered, proven and\n"
	"refused in a second, connections, and how long servers take to connect.  Lines\n"
	"instead of a screen where the output is not a terminal.\n\n"
	"  -d, --delay TIME     between two looks (1s; 200ms to 1h)\n"
	"  -n, --count COUNT    end after so many\n"
	"  -s, --socket SOCKET  control socket (" SW_CONTROL_SOCKET ")\n"
	"  -h, --help           this text\n\n"
	"Keys: q ends, space looks at once.\n"
	"Exit codes: 0 ended, 75 not reachable.\n";

static json_t *by_name(const json_t *stats, const char *name)
{
	json_t *listener;
	size_t i;

	json_array_foreach(sw_json_at(stats, "listeners"), i,
			   listener) if (strcmp(sw_json_text(listener, "name"), name) ==
					 0) return listener;
	return NULL;
}

json_t *sw_top_before(const struct sw_top *t, const json_t *listener)
{
	return t->before ? by_name(t->before, sw_json_text(listener, "name")) : NULL;
}

/* Add the buckets of a server, or take them away. */
static void add_buckets(const json_t *server, json_int_t sign, json_int_t n[], json_int_t upper[],
			size_t *used, size_t max)
{
	const json_t *pair;
	size_t i, k;

	json_array_foreach(sw_json_at(server, "connect.buckets_us"), i, pair)
	{
		const json_int_t us = json_integer_value(json_array_get(pair, 0));

		for (k = 0; k < *used && upper[k] != us; k++)
			;
		if (k == max)
			continue;
		if (k == *used) {
			upper[k] = us;
			n[k] = 0;
			++*used;
		}
		n[k] += sign * json_integer_value(json_array_get(pair, 1));
	}
}

static void add_pool(const json_t *stats, const char *pool, json_int_t sign, json_int_t n[],
		     json_int_t upper[], size_t *used, size_t max)
{
	const json_t *server;
	size_t i;

	json_array_foreach(sw_json_at(stats, "servers"), i,
			   server) if (strcmp(sw_json_text(server, "pool"), pool) == 0)
		add_buckets(server, sign, n, upper, used, max);
}

double sw_top_latency(const struct sw_top *t, const char *pool, double share)
{
	enum { MAX = 600 };
	json_int_t n[MAX], upper[MAX], total = 0, below = 0, last = 0;
	size_t used = 0;

	add_pool(t->now, pool, 1, n, upper, &used, MAX);
	if (t->before)
		add_pool(t->before, pool, -1, n, upper, &used, MAX);
	for (size_t i = 0; i < used; i++)
		total += n[i] > 0 ? n[i] : 0;
	while ((double)below < share * (double)total) { /* the next larger bucket */
		json_int_t next = -1, here = 0;

		for (size_t i = 0; i < used; i++) {
			if (n[i] > 0 && upper[i] > last && (next < 0 || upper[i] < next)) {
				next = upper[i];
				here = n[i];
			}
		}
		if (next < 0)
			break;
		last = next;
		below += here;
	}
	return (double)last / 1e6;
}

static void print_time(const json_t *stats)
{
	const time_t at = (time_t)sw_json_number(stats, "now");
	struct tm tm;
	char text[16] = "";

	if (localtime_r(&at, &tm))
		(void)strftime(text, sizeof(text), "%H:%M:%S", &tm);
	printf("%s ", text);
}

void sw_top_print(const struct sw_top *t)
{
	const json_t *l;
	size_t i;

	json_array_foreach(sw_json_at(t->now, "listeners"), i, l)
	{
		char a[16], b[16], c[16], d[16], e[16], p99[16];
		struct sw_refusal top;
		const size_t n = sw_remote_refusals(l, sw_top_before(t, l), &top, 1);

		print_time(t->now);
		printf("%s syn=%s/s answered=%s/s proven=%s/s refused=%s/s live=%s "
		       "p99=%s%s%s%s%s\n",
		       sw_json_text(l, "name"),
		       sw_short_number(sw_json_count(l, "flood.syn_rate"), a),
		       sw_short_number(sw_json_count(l, "flood.synack_rate"), b),
		       sw_short_number(sw_json_count(l, "flood.proven_rate"), c),
		       sw_short_number(sw_json_count(l, "flood.refused_rate"), d),
		       sw_short_number(sw_json_count(l, "connections.active"), e),
		       sw_short_latency(sw_top_latency(t, sw_json_text(l, "pool"), 0.99), p99),
		       n && t->before ? " most=" : "", n && t->before ? top.reason : "",
		       sw_json_true(l, "flood.active") ? " FLOOD" : "",
		       sw_json_true(l, "draining") ? " draining" : "");
	}
	fflush(stdout);
}

int sw_top_ask(struct sw_top *t, char *err, size_t errlen)
{
	struct sw_reply reply;
	json_error_t error;
	json_t *now;

	if (sw_client_request(t->socket, "GET", "/stats", SW_REMOTE_TIMEOUT_MS, &reply, err,
			      errlen))
		return SW_EXIT_UNREACHABLE;
	now = reply.status == 200 ? json_loadb(reply.body, reply.len, 0, &error) : NULL;
	if (!now)
		snprintf(err, errlen, "%s: %s", t->socket,
			 reply.status == 200 ? error.text : reply.body);
	sw_reply_free(&reply);
	if (!now)
		return SW_EXIT_UNREACHABLE;
	json_decref(t->before);
	t->before = t->now;
	t->now = now;
	return SW_EXIT_OK;
}

static int print_lines(struct sw_top *t)
{
	char err[256];

	for (unsigned i = 0; !t->rounds || i < t->rounds; i++) {
		if (i)
			(void)poll(NULL, 0, (int)t->every_ms);
		if (sw_top_ask(t, err, sizeof(err)) != SW_EXIT_OK) {
			fprintf(stderr, "synward top: %s\n", err);
			return SW_EXIT_UNREACHABLE;
		}
		sw_top_print(t);
		if (ferror(stdout))
			return SW_EXIT_FAILED; /* the pipe's reader is gone */
	}
	return SW_EXIT_OK;
}

static const struct option longs[] = {
	{ "delay", required_argument, NULL, 'd' },
	{ "count", required_argument, NULL, 'n' },
	{ "socket", required_argument, NULL, 's' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static int set_option(struct sw_top *t, int opt, const char *text)
{
	if (opt == 's')
		t->socket = text;
	if (opt == 'd' &&
	    (!sw_time_parse_ms(text, &t->every_ms) || t->every_ms < 200 || t->every_ms > 3600000))
		return sw_usage("top", "--delay '%s': expected a time from 200ms to 1h", text);
	if (opt == 'n' && !sw_opt_number(text, 1, 1000000000, &t->rounds))
		return sw_usage("top", "--count '%s': expected a number from 1", text);
	return SW_EXIT_OK;
}

int sw_cmd_top(int argc, char **argv)
{
	struct sw_top t = { .socket = SW_CONTROL_SOCKET, .every_ms = 1000 };
	int opt, rc;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":d:n:s:h", longs, NULL)) != -1) {
		if (opt == 'h') {
			fputs(help_text, stdout);
			return SW_EXIT_OK;
		}
		if (opt == '?' || opt == ':')
			return sw_usage_getopt("top", opt, argv);
		rc = set_option(&t, opt, optarg);
		if (rc != SW_EXIT_OK)
			return rc;
	}
	if (optind < argc)
		return sw_usage("top", "unexpected '%s'", argv[optind]);
	rc = isatty(STDOUT_FILENO) && isatty(STDIN_FILENO) ? sw_top_screen(&t) : print_lines(&t);
	json_decref(t.now);
	json_decref(t.before);
	return rc;
}
