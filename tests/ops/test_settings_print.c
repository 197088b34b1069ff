/* SPDX-License-Identifier: MIT */
/* Printed settings are read again to the same, and differences are told in words. */
#include "ops/schema.h"
#include "ops/settings.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct sw_settings_look look;

static struct sw_settings *parse(const char *text, size_t len)
{
	struct sw_mistakes m = { .path = "f" };
	struct sw_settings *s = NULL;
	char line[SW_MISTAKE_LEN + 10];
	const int rc = sw_settings_parse(text, len, &look, &s, &m);

	cr_assert_eq(rc, 0, "%s\nin\n%.*s", m.n ? sw_mistake_str(&m, 0, line, sizeof(line)) : "",
		     (int)len, text);
	sw_mistakes_free(&m);
	return s;
}

static char *print(const struct sw_settings *s)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	sw_settings_print(s, f);
	fclose(f);
	return text;
}

static void say(void *arg, bool restart, const char *line)
{
	char *all = arg;
	const size_t at = strlen(all);

	snprintf(all + at, 4000 - at, "%s%s\n", line, restart ? " (restart)" : "");
}

/* xorshift64*, so that a failure can be repeated. */
static uint32_t roll(uint64_t *seed, uint32_t sides)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return (uint32_t)((*seed * 2685821657736338717ull) >> 33) % sides;
}

/* A value that the option takes, of all kinds: the least, the most, anything between. */
static void random_value(const struct sw_option *o, uint64_t *seed, FILE *to)
{
	static const char *const texts[] = { "plain", "with space", "\\\"quote\\\\", "caf\\u00e9",
					     "# no comment", "true", "12", "null", "- a: b" };
	const uint32_t span = o->max - o->min;
	uint32_t value = o->min;
	char time[SW_TIME_STRLEN];

	if (span)
		value = roll(seed, 4) ? o->min + roll(seed, span == UINT32_MAX ? span : span + 1) :
		roll(seed, 2)	      ? o->min :
					o->max;
	switch (o->kind) {
	case SW_OPTION_COUNT:
		if (strcmp(o->key, "mss_max") == 0 && value && value < 88)
			value = 88;
		/* So that leave stays below enter, whatever it is. */
		if (strcmp(o->key, "leave") == 0)
			value = roll(seed, 100);
		if (strcmp(o->key, "enter") == 0)
			value = 100 + roll(seed, 1000);
		fprintf(to, "%u", value);
		break;
	case SW_OPTION_TIME:
		fputs(sw_time_str_ms(value, time), to);
		break;
	case SW_OPTION_FLAG:
		fputs(roll(seed, 2) ? "true" : "false", to);
		break;
	case SW_OPTION_WORD:
		fputs(o->words[roll(seed, o->nwords)].str, to);
		break;
	case SW_OPTION_PATH:
		fprintf(to, "\"/%s\"", texts[roll(seed, 9)]);
		break;
	case SW_OPTION_ADDRESS:
		fprintf(to, "\"[2001:db8::%x]:%u\"", roll(seed, 65535), 1 + roll(seed, 65535));
		break;
	case SW_OPTION_INTERFACE:
		fprintf(to, "eth%u", roll(seed, 100));
		break;
	default:
		fprintf(to, "\"%s\"", texts[roll(seed, 9)]);
		break;
	}
}

static bool is_list(const struct sw_option *o)
{
	return o->kind == SW_OPTION_GROUPS || o->kind == SW_OPTION_ADDRESSES ||
	       o->kind == SW_OPTION_TEXTS;
}

/* Some of the options of a group, those left out that tie it to others. */
static void random_group(const struct sw_group *group, uint64_t *seed, FILE *to, const char *skip)
{
	for (size_t i = 0; i < group->n; i++) {
		const struct sw_option *o = &group->option[i];

		if (is_list(o) || o->kind == SW_OPTION_NAME || strstr(skip, o->key) ||
		    !roll(seed, 3))
			continue;
		fprintf(to, "%s: ", o->key);
		if (o->kind == SW_OPTION_GROUP) {
			fputs("{ ", to);
			random_group(o->group, seed, to, skip);
			fputs("}", to);
		} else {
			random_value(o, seed, to);
		}
		fputs(", ", to);
	}
}

static char *random_text(uint64_t seed)
{
	const struct sw_group *top = &sw_settings_schema;
	const uint32_t npools = roll(&seed, 4), nlisteners = 1 + roll(&seed, 4);
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	fputs("{ ", to);
	random_group(top, &seed, to, "leave enter");
	fputs("pools: [", to);
	for (uint32_t i = 0; i < npools; i++) {
		fprintf(to, "{ name: p%u, servers: [\"10.0.0.%u:80\", \"10.0.1.%u:80\"], ", i, i, i);
		random_group(sw_option_find(top, "pools")->group, &seed, to, "");
		fputs("}, ", to);
	}
	fputs("], listeners: [", to);
	for (uint32_t i = 0; i < nlisteners; i++) {
		fprintf(to, "{ name: l%u, interface: eth0, listen: [\"192.0.2.1:%u\"], ", i, 80 + i);
		fprintf(to, npools ? "upstreams: p%u, " : "transparent: true, ",
			npools ? roll(&seed, npools) : 0);
		random_group(sw_option_find(top, "listeners")->group, &seed, to,
			     "interface transparent upstreams");
		fputs("}, ", to);
	}
	fputs("] }\n", to);
	fclose(to);
	return text;
}

Test(settings_print, is_read_again_to_the_same)
{
	for (uint64_t seed = 1; seed <= 2000; seed++) {
		char *text = random_text(seed * 0x9e3779b97f4a7c15ull), differs[4096] = "";
		struct sw_settings *first = parse(text, strlen(text)), *second;
		char *once = print(first), *twice;

		second = parse(once, strlen(once));
		twice = print(second);
		cr_assert_str_eq(once, twice, "seed %lu:\n%s\n%s", (unsigned long)seed, once, twice);
		cr_assert_eq(sw_settings_diff(first, second, say, differs), 0u, "seed %lu: %s",
			     (unsigned long)seed, differs);
		sw_settings_free(first);
		sw_settings_free(second);
		free(once);
		free(twice);
		free(text);
	}
}

/* Every default of the table is what its row takes, and what a file without the key gets. */
static void check_defaults(const struct sw_group *group)
{
	for (size_t i = 0; i < group->n; i++) {
		const struct sw_option *o = &group->option[i];

		cr_expect(o->help && *o->help && o->help[strlen(o->help) - 1] != '.', "%s: help",
			  o->key);
		cr_expect_leq(strlen(o->help), 90u, "%s: the help is long", o->key);
		if (o->group)
			check_defaults(o->group);
	}
}

Test(settings_print, table_is_sound)
{
	check_defaults(&sw_settings_schema);
}

#define HEAD "interface: eth0\n"
#define POOL "pools: [{ name: app, servers: [\"10.0.0.1:80\"] }]\n"
#define WEB  "listeners: [{ name: web, listen: [\"192.0.2.1:80\"], upstreams: app }]\n"

Test(settings_print, differences_in_words)
{
	static const struct {
		const char *from, *to, *want;
	} rows[] = {
		{ HEAD POOL WEB, HEAD POOL WEB, "" },
		{ HEAD POOL WEB, HEAD POOL WEB "drain_timeout: 30s\n", "" },
		{ HEAD POOL WEB, HEAD POOL WEB "drain_timeout: 60s\n", "drain_timeout 30s -> 1m\n" },
		{ HEAD POOL WEB, HEAD POOL WEB "user: nobody\n", "user \"\" -> \"nobody\" (restart)\n" },
		{ HEAD POOL WEB, HEAD POOL WEB "control: { socket: /a }\n",
		  "control.socket \"/run/synward/control.sock\" -> \"/a\" (restart)\n" },
		{ HEAD POOL WEB, HEAD POOL WEB "log: { level: warn, access: true }\n",
		  "log.level info -> warn\nlog.access false -> true\n" },
		{ HEAD POOL WEB,
		  HEAD POOL "listeners: [{ name: web, listen: [\"192.0.2.1:80\"], upstreams: app, "
			    "queue_depth: 8192, mac: siphash-2-4 }]\n",
		  "listener web: mac hmac-sha256 -> siphash-2-4\n"
		  "listener web: queue_depth 4096 -> 8192\n" },
		{ HEAD POOL WEB,
		  HEAD POOL "listeners: [{ name: api, listen: [\"192.0.2.1:80\"], upstreams: app }]\n",
		  "listener web: removed\nlistener api: added\n" },
		{ HEAD POOL WEB, "interface: eth1\n" POOL WEB,
		  "interface \"eth0\" -> \"eth1\"\nlistener web: interface \"eth0\" -> \"eth1\"\n" },
		{ HEAD POOL WEB,
		  HEAD WEB "pools: [{ name: app, servers: [\"10.0.0.1:80\", \"10.0.0.2:80\"], "
			   "health: { interval: 5s } }]\n",
		  "pool app: servers [\"10.0.0.1:80\"] -> [\"10.0.0.1:80\", \"10.0.0.2:80\"]\n"
		  "pool app: health.interval 0 -> 5s\n" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sw_settings *from = parse(rows[i].from, strlen(rows[i].from));
		struct sw_settings *to = parse(rows[i].to, strlen(rows[i].to));
		char all[4096] = "";

		sw_settings_diff(from, to, say, all);
		cr_expect_str_eq(all, rows[i].want, "row %zu:\n got %s\nwant %s", i, all,
				 rows[i].want);
		sw_settings_free(from);
		sw_settings_free(to);
	}
}

Test(settings_print, times)
{
	static const struct {
		const char *text;
		uint32_t ms;
		const char *back;
	} good[] = {
		{ "0", 0, "0" },	  { "0s", 0, "0" },	    { "1ms", 1, "1ms" },
		{ "1500ms", 1500, "1500ms" }, { "60s", 60000, "1m" }, { "90s", 90000, "90s" },
		{ "24h", 86400000, "24h" },   { "2000ms", 2000, "2s" },
	};
	static const char *const bad[] = { "", "1", "s", "1 s", "-1s", "1.5s", "1S", "1sec",
					   "99999999999s", "9999999999h", "1s ", "0x1s" };
	char text[SW_TIME_STRLEN];
	uint32_t ms;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		cr_assert(sw_time_parse_ms(good[i].text, &ms), "%s", good[i].text);
		cr_expect_eq(ms, good[i].ms, "%s: %u", good[i].text, ms);
		cr_expect_str_eq(sw_time_str_ms(ms, text), good[i].back, "%s: %s", good[i].text, text);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_not(sw_time_parse_ms(bad[i], &ms), "%s", bad[i]);
}
