/* SPDX-License-Identifier: MIT */
#include "cli/runopts.h"

#include "cli/cli.h"
#include "cli/report.h"
#include "ops/settings_check.h"
#include "steer/addr.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

/* An option of the command line and what it is called in a file: which map, which key. */
static const struct row {
	int opt;
	const char *name, *map, *key;
} rows[] = {
	{ 'i', "interface", "", "interface" },
	{ 'k', "key-file", "", "key_file" },
	{ SW_OPT_DRAIN_TIMEOUT, "drain-timeout", "", "drain_timeout" },
	{ SW_OPT_TRANSPARENT, "transparent", "listeners", "transparent" },
	{ SW_OPT_OFFLOAD, "offload", "listeners", "offload" },
	{ SW_OPT_MAC, "mac", "listeners", "mac" },
	{ SW_OPT_WORKERS, "workers", "listeners", "workers" },
	{ SW_OPT_QUEUE_DEPTH, "queue-depth", "listeners", "queue_depth" },
	{ SW_OPT_RING_FRAMES, "ring-frames", "listeners", "ring_frames" },
	{ SW_OPT_REFUSE_RATE, "refuse-rate", "listeners", "refuse_rate" },
	{ SW_OPT_QDISC_BYPASS, "qdisc-bypass", "listeners", "qdisc_bypass" },
	{ SW_OPT_PROXY, "proxy-protocol", "pools", "proxy_protocol" },
	{ SW_OPT_CONNECT_TIMEOUT, "connect-timeout", "pools", "connect_timeout" },
	{ SW_OPT_IDLE_TIMEOUT, "idle-timeout", "pools", "idle_timeout" },
	{ SW_OPT_MAX_CONNECTIONS, "max-connections", "limits", "connections" },
	{ SW_OPT_CONTROL, "control", "control", "socket" },
};
_Static_assert(LEN(rows) <= SW_RUNOPTS_MAX, "each has a place in sw_runopts");

static size_t row_of(int opt)
{
	size_t i = 0;

	while (i + 1 < LEN(rows) && rows[i].opt != opt)
		i++;
	return i;
}

static const struct sw_option *option_of(const struct row *row)
{
	const struct sw_group *group = &sw_settings_schema;

	if (*row->map)
		group = sw_option_find(group, row->map)->group;
	return sw_option_find(group, row->key);
}

static int add_address(const char *name, const char *text, const char **list, size_t *n)
{
	struct sockaddr_storage addr;
	char why[200];

	if (sw_addr_parse(text, &addr, why, sizeof(why)) < 0)
		return sw_usage("run", "--%s %s", name, why);
	if (*n == SW_MAX_ADDRESSES)
		return sw_usage("run", "--%s: more than %d addresses", name, SW_MAX_ADDRESSES);
	list[(*n)++] = text;
	return SW_EXIT_OK;
}

static bool is_path(const struct row *row)
{
	return option_of(row)->kind == SW_OPTION_PATH;
}

static int set_value(struct sw_runopts *r, size_t i, const char *text)
{
	const struct sw_option *o = option_of(&rows[i]);
	char err[SW_MISTAKE_LEN], right[200];

	/* A path may be relative here: it is completed when it is used. */
	if (!*text || (!is_path(&rows[i]) && !sw_option_check(o, text, err, sizeof(err))))
		return sw_usage("run", "--%s '%s': expected %s", rows[i].name, text,
				sw_option_expects(o, right, sizeof(right)));
	r->value[i] = text;
	return SW_EXIT_OK;
}

int sw_runopts_set(struct sw_runopts *r, int opt, const char *text)
{
	const size_t i = row_of(opt);
	const char *name = opt == 'l' ? "listen" : opt == 'u' ? "upstream" : rows[i].name;

	if (!r->first)
		r->first = name;
	if (opt == 'l')
		return add_address(name, text, r->listen, &r->nlisten);
	if (opt == 'u')
		return add_address(name, text, r->upstream, &r->nupstream);
	return set_value(r, i, text ? text : "true");
}

int sw_runopts_check(const struct sw_runopts *r)
{
	const bool transparent = r->value[row_of(SW_OPT_TRANSPARENT)] != NULL;

	if (!r->value[row_of('i')])
		return sw_usage("run", "--interface IF is missing");
	if (!r->nlisten)
		return sw_usage("run", "--listen ADDR:PORT is missing");
	if (!r->nupstream && !transparent)
		return sw_usage("run", "--upstream ADDR:PORT or --transparent is missing");
	if (r->nupstream && transparent)
		return sw_usage("run", "--upstream and --transparent exclude each other");
	return SW_EXIT_OK;
}

static void write_path(const char *path, FILE *to)
{
	char cwd[PATH_MAX], whole[2 * PATH_MAX];

	if (path[0] == '/' || !getcwd(cwd, sizeof(cwd)))
		snprintf(whole, sizeof(whole), "%s", path);
	else
		snprintf(whole, sizeof(whole), "%s/%s", cwd, path);
	sw_settings_quote(whole, to);
}

/* The options that belong to one map, "KEY: VALUE, " each. */
static void write_map(const struct sw_runopts *r, const char *map, const char *end, FILE *to)
{
	for (size_t i = 0; i < LEN(rows); i++) {
		if (!r->value[i] || strcmp(rows[i].map, map) != 0)
			continue;
		fprintf(to, "%s: ", rows[i].key);
		if (is_path(&rows[i]))
			write_path(r->value[i], to);
		else
			sw_settings_quote(r->value[i], to);
		fputs(end, to);
	}
}

static void write_list(const char *key, const char *const *list, size_t n, FILE *to)
{
	fprintf(to, "%s: [", key);
	for (size_t i = 0; i < n; i++) {
		fputs(i ? ", " : "", to);
		sw_settings_quote(list[i], to);
	}
	fputs("], ", to);
}

static void write_all(const struct sw_runopts *r, FILE *to)
{
	write_map(r, "", "\n", to);
	fputs("limits: {", to);
	write_map(r, "limits", "", to);
	/* Several may run on a host: none takes the one default socket unasked. */
	fputs("}\ncontrol: {", to);
	write_map(r, "control", "", to);
	fputs(r->value[row_of(SW_OPT_CONTROL)] ? "" : "socket: \"\"", to);
	fputs("}\nlisteners: [{name: default, ", to);
	write_list("listen", r->listen, r->nlisten, to);
	if (r->nupstream)
		fputs("upstreams: default, ", to);
	write_map(r, "listeners", ", ", to);
	fputs("}]\n", to);
	if (!r->nupstream)
		return;
	/* Without a way to say otherwise, every server is tried before a client is refused. */
	fprintf(to, "pools: [{name: default, retries: %d, ", SW_MAX_ADDRESSES);
	write_list("servers", r->upstream, r->nupstream, to);
	write_map(r, "pools", ", ", to);
	fputs("}]\n", to);
}

int sw_runopts_settings(const struct sw_runopts *r, struct sw_settings **out)
{
	const struct sw_settings_look look = { 0 };
	struct sw_mistakes mistakes = { .path = "run" };
	char *text = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&text, &len);
	int rc = -ENOMEM;

	if (to) {
		write_all(r, to);
		rc = fclose(to) == 0 ? 0 : -ENOMEM;
	}
	if (rc == 0)
		rc = sw_settings_parse(text, len, &look, out, &mistakes);
	/* The options were checked: what is left concerns several together.  Lines and columns are
	 * those of a text nobody has seen. */
	for (size_t i = 0; i < mistakes.n; i++)
		mistakes.at[i].line = 0;
	sw_report_mistakes(&mistakes);
	sw_mistakes_free(&mistakes);
	free(text);
	return rc == 0 ? SW_EXIT_OK : rc == -ENOMEM ? SW_EXIT_FAILED : SW_EXIT_USAGE;
}
