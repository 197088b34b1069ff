/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"
#include "cli/remote.h"
#include "ops/client.h"
#include "ops/human.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REASONS 5 /* that are named */

static const char help_text[] =
	"usage: synward status [-j] [-s SOCKET]\n"
	"A glance at the running synward: each listener with how it works, what came in the\n"
	"last second and since the start, and what was refused why.\n\n"
	"  -j, --json           everything, as JSON\n"
	"  -s, --socket SOCKET  control socket (" SW_CONTROL_SOCKET ")\n"
	"  -h, --help           this text\n\n"
	"Exit codes: 0 ready, 1 not ready or draining, 75 not reachable.\n"
	"example: synward status -j | jq '.listeners[].stats.syns'\n";

static const char *number(const json_t *object, const char *path, char out[16])
{
	return sw_short_number(sw_json_count(object, path), out);
}

static const char *seconds(double s, char out[16])
{
	return sw_short_time(s > 0 ? (uint64_t)(s * 1e9) : 0, out);
}

static void print_keys(const json_t *keys)
{
	const json_t *key;
	size_t i;

	json_array_foreach(keys, i, key)
		printf("%s%s %s", i ? ", " : "", sw_json_text(key, "fingerprint"),
		       sw_json_text(key, "slot"));
}

static void print_head(const json_t *stats)
{
	const double error = sw_json_number(stats, "clock.max_error_seconds");
	char up[16], left[16];

	printf("synward %s, up %s, %s%s\n", sw_json_text(stats, "process.version"),
	       seconds(sw_json_number(stats, "process.uptime_seconds"), up),
	       sw_json_true(stats, "ready") ? "ready" : "NOT READY: ",
	       sw_json_text(stats, "why_not_ready"));
	printf("key   ");
	print_keys(sw_json_at(stats, "keys"));
	printf("; epoch %llu ends in %s\n", (unsigned long long)sw_json_count(stats, "clock.epoch"),
	       seconds(sw_json_number(stats, "clock.epoch_end") - sw_json_number(stats, "now"),
		       left));
	if (json_is_false(sw_json_at(stats, "clock.synchronized")))
		printf("clock not synchronized (error up to %.3f s): nodes that share the key may "
		       "refuse each other's cookies\n",
		       error);
	if (!sw_json_true(stats, "config.last_reload_ok"))
		printf("the last reload failed; what runs is the configuration before it\n");
}

static void print_addresses(const json_t *listener)
{
	const json_t *addr;
	size_t i;

	printf("\n%-5s ", sw_json_text(listener, "name"));
	json_array_foreach(sw_json_at(listener, "addresses"), i, addr)
		printf("%s%s", i ? ", " : "", json_string_value(addr));
	printf(" on %s\n", sw_json_text(listener, "interface"));
}

/* Counts by name, those that are not zero; "-" where nobody tells one proof from another. */
static void print_counts(json_t *counts)
{
	const char *name;
	json_t *value;
	char text[16];
	bool some = false, known = false;

	json_object_foreach(counts, name, value)
		known = known || (json_integer_value(value) && strcmp(name, "unknown") != 0);
	json_object_foreach(counts, name, value)
	{
		if (!known || !json_integer_value(value))
			continue;
		printf("%s%s %s", some ? ", " : "", name,
		       sw_short_number((uint64_t)json_integer_value(value), text));
		some = true;
	}
	if (!some)
		printf("-");
}

/* What the connections that were proven came with. */
static void print_proven(const json_t *l)
{
	if (!sw_json_count(l, "stats.proven"))
		return;
	printf("      epochs    ");
	print_counts(sw_json_at(l, "proven_epoch"));
	printf("; keys ");
	print_counts(sw_json_at(l, "proven_key"));
	printf("\n");
}

static void print_refused(const json_t *listener)
{
	struct sw_refusal top[REASONS];
	const size_t n = sw_remote_refusals(listener, NULL, top, REASONS);
	char count[16];

	if (!n)
		return;
	printf("      refused   ");
	for (size_t i = 0; i < n; i++)
		printf("%s%s %s", i ? ", " : "", top[i].reason, sw_short_number(top[i].n, count));
	printf("\n");
}

static void print_listener(const json_t *l, const json_t *keys)
{
	const json_t *own = sw_json_at(l, "keys");
	char mode[128], a[16], b[16], c[16], d[16], e[16];

	print_addresses(l);
	sw_remote_mode(l, mode, sizeof(mode));
	printf("      %s\n", mode);
	if (!json_equal(own, keys)) {
		printf("      key       ");
		print_keys(own);
		printf("\n");
	}
	if (sw_json_true(l, "flood.active"))
		printf("      UNDER SYN FLOOD for %s\n",
		       seconds(sw_json_number(l, "flood.lasted_seconds"), a));
	else if (sw_json_count(l, "flood.count"))
		printf("      floods    %s so far\n", number(l, "flood.count", a));
	printf("      a second  %s SYNs, %s answered, %s proven, %s refused\n",
	       number(l, "flood.syn_rate", a), number(l, "flood.synack_rate", b),
	       number(l, "flood.proven_rate", c), number(l, "flood.refused_rate", d));
	printf("      in all    %s SYNs, %s answered, %s proven, %s handed over, %s dropped\n",
	       number(l, "stats.syns", a), number(l, "stats.synacks", b),
	       number(l, "stats.proven", c), number(l, "stats.handed", d),
	       number(l, "stats.dropped", e));
	if (strcmp(sw_json_text(l, "mode"), "relay") == 0)
		printf("      relayed   %s live, %s in all, %s waiting of %s\n",
		       number(l, "connections.active", a), number(l, "connections.total", b),
		       number(l, "queued", c), number(l, "queue_depth", d));
	print_proven(l);
	print_refused(l);
}

static void print_servers(const json_t *servers)
{
	const json_t *server;
	char live[16], p50[16], p99[16];
	size_t i;

	json_array_foreach(servers, i, server)
	{
		if (!i)
			printf("\n");
		printf("%-5s %-22s %-4s %s live, connect p50 %s, p99 %s\n",
		       sw_json_text(server, "pool"), sw_json_text(server, "name"),
		       sw_json_true(server, "up") ? "up" : "DOWN", number(server, "active", live),
		       sw_short_latency(sw_json_number(server, "connect.p50_seconds"), p50),
		       sw_short_latency(sw_json_number(server, "connect.p99_seconds"), p99));
	}
}

static void print_status(const json_t *stats)
{
	const json_t *listener;
	size_t i;

	print_head(stats);
	json_array_foreach(sw_json_at(stats, "listeners"), i, listener)
		print_listener(listener, sw_json_at(stats, "keys"));
	print_servers(sw_json_at(stats, "servers"));
}

static const struct option longs[] = {
	{ "json", no_argument, NULL, 'j' },
	{ "socket", required_argument, NULL, 's' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

int sw_cmd_status(int argc, char **argv)
{
	const char *socket = SW_CONTROL_SOCKET;
	bool as_json = false;
	char *raw = NULL;
	json_t *stats;
	int opt, rc;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":js:h", longs, NULL)) != -1) {
		if (opt == 'h') {
			fputs(help_text, stdout);
			return SW_EXIT_OK;
		}
		if (opt == '?' || opt == ':')
			return sw_usage_getopt("status", opt, argv);
		if (opt == 'j')
			as_json = true;
		if (opt == 's')
			socket = optarg;
	}
	if (optind < argc)
		return sw_usage("status", "unexpected '%s'", argv[optind]);
	rc = sw_remote_stats("status", socket, &stats, &raw);
	if (rc != SW_EXIT_OK)
		return rc;
	if (as_json)
		printf("%s\n", raw);
	else
		print_status(stats);
	rc = sw_json_true(stats, "ready") ? SW_EXIT_OK : SW_EXIT_FAILED;
	json_decref(stats);
	free(raw);
	return fflush(stdout) ? SW_EXIT_FAILED : rc;
}
