/* SPDX-License-Identifier: MIT */
#include "relay/accesslog.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(accesslog, .timeout = 60);

struct rig {
	struct event_base *base;
	struct sw_accesslog *log;
	int fd[2];
};

static struct rig rig_new(enum sw_access_form form, size_t bytes)
{
	struct rig g;

	g.base = event_base_new();
	cr_assert_eq(pipe2(g.fd, O_CLOEXEC), 0, "pipe2: %s", strerror(errno));
	cr_assert_eq(fcntl(g.fd[0], F_SETFL, O_NONBLOCK), 0, "fcntl: %s", strerror(errno));
	cr_assert_eq(sw_accesslog_new(g.base, g.fd[1], form, bytes, &g.log), 0, "not made");
	return g;
}

static void rig_free(struct rig *g)
{
	sw_accesslog_free(g->log);
	event_base_free(g->base);
	close(g->fd[0]);
	close(g->fd[1]);
}

static void add(struct rig *g, uint64_t id)
{
	const struct sw_access a = { .id = id,
				     .listener = "web",
				     .pool = "",
				     .server = "",
				     .connect_us = SW_NEVER,
				     .cause = SW_END_IDLE };

	sw_accesslog_add(g->log, &a);
}

static struct sw_accesslog_stats stats(const struct rig *g)
{
	struct sw_accesslog_stats s;

	sw_accesslog_get_stats(g->log, &s);
	return s;
}

/* Read all there is.  @param out  Grows.  @return its new length. */
static size_t drain(struct rig *g, char *out, size_t at, size_t size)
{
	ssize_t n;

	while (at < size - 1 && (n = read(g->fd[0], out + at, size - 1 - at)) > 0)
		at += (size_t)n;
	out[at] = '\0';
	return at;
}

/* Run the timers that are due, reading meanwhile, until nothing waits any more. */
static size_t drain_all(struct rig *g, char *out, size_t size)
{
	size_t at = drain(g, out, 0, size);

	while (event_base_loop(g->base, EVLOOP_ONCE) == 0)
		at = drain(g, out, at, size);
	return at;
}

static size_t count(const char *text, const char *what)
{
	size_t n = 0;

	for (; (text = strstr(text, what)); text++)
		n++;
	return n;
}

Test(accesslog, lines_come_out_whole_and_in_order)
{
	enum { N = 1000, SIZE = 1 << 20 };
	struct rig g = rig_new(SW_ACCESS_TEXT, 0);
	char *out = malloc(SIZE), want[32];
	const char *at = out;

	for (uint64_t i = 0; i < N; i++)
		add(&g, i);
	drain_all(&g, out, SIZE);
	for (unsigned i = 0; i < N; i++) {
		snprintf(want, sizeof(want), " id=%016x\n", i);
		at = strstr(at, want);
		cr_assert_not_null(at, "line %u is missing or late", i);
	}
	cr_expect_eq(count(out, "\n"), N, "%zu lines", count(out, "\n"));
	cr_expect_eq(count(out, "synward: access client="), N, "a line is torn");
	cr_expect(stats(&g).lines == N && stats(&g).lost == 0, "%lu %lu", stats(&g).lines,
		  stats(&g).lost);
	free(out);
	rig_free(&g);
}

Test(accesslog, gathers)
{
	struct rig g = rig_new(SW_ACCESS_TEXT, 0);
	char out[4096];

	add(&g, 1);
	cr_expect_eq(drain(&g, out, 0, sizeof(out)), 0, "written at once: %s", out);
	add(&g, 2);
	drain_all(&g, out, sizeof(out));
	cr_expect_eq(count(out, "\n"), 2, "%s", out);
	rig_free(&g);
}

/* Nobody reads.  The test would not come back if a write blocked. */
Test(accesslog, a_stuck_reader_costs_lines_not_time)
{
	enum { N = 5000, SIZE = 4 << 20 };
	struct rig g = rig_new(SW_ACCESS_TEXT, 16384);
	char *out = malloc(SIZE), *said;
	struct sw_accesslog_stats s;
	size_t lines;

	for (uint64_t i = 0; i < N; i++)
		add(&g, i);
	s = stats(&g);
	cr_expect_eq(s.lines + s.lost, N, "%lu and %lu", s.lines, s.lost);
	cr_expect_gt(s.lost, 0, "a pipe took it all");
	drain_all(&g, out, SIZE);
	lines = count(out, "synward: access client=");
	cr_expect_eq(lines, s.lines, "%zu lines came out of %lu", lines, s.lines);
	said = strstr(out, "synward: access lines_lost=");
	cr_assert_not_null(said, "the loss is not said");
	cr_expect_eq(strtoul(said + strlen("synward: access lines_lost="), NULL, 10), s.lost,
		     "%.40s, not %lu", said, s.lost);
	cr_expect_eq(count(out, "lines_lost"), 1, "said more than once");
	add(&g, 0xabcdef);
	cr_expect_gt(drain_all(&g, out, SIZE), 0, "dead after a loss");
	cr_expect_not_null(strstr(out, "id=0000000000abcdef\n"), "%s", out);
	free(out);
	rig_free(&g);
}

/* A reader that comes by now and then: each gap between ids is as wide as the log says, and where
 * it says so. */
Test(accesslog, each_loss_is_said_in_its_place)
{
	enum { N = 2400, SIZE = 1 << 20 };
	struct rig g = rig_new(SW_ACCESS_TEXT, 16384);
	char *out = calloc(1, SIZE);
	uint64_t next = 0, losses = 0;
	size_t len = 0;

	for (uint64_t i = 0; i < N; i++) {
		add(&g, i);
		if (i % 400 == 399) /* a little: room for some lines, not for all */
			len = drain(&g, out, len, len + 4097);
		if (i % 400 == 399 || i % 400 == 199)
			event_base_loop(g.base, EVLOOP_ONCE); /* the next flush */
		if (i % 1200 == 1199)
			len = drain(&g, out, len, SIZE);
	}
	while (event_base_loop(g.base, EVLOOP_ONCE) == 0)
		len = drain(&g, out, len, SIZE);
	for (char *line = strtok(out, "\n"); line; line = strtok(NULL, "\n")) {
		const char *const id = strstr(line, " id="), *const lost = strstr(line, "lost=");

		cr_assert(id || lost, "a torn line: %s", line);
		if (id)
			cr_assert_eq(strtoull(id + 4, NULL, 16), next++, "%s, not %lu", line, next);
		else
			next += strtoull(lost + 5, NULL, 10);
		losses += lost != NULL;
	}
	cr_expect_eq(next, N, "%lu of %d are told of", next, N);
	cr_expect_gt(losses, 1, "%lu gaps only", losses);
	free(out);
	rig_free(&g);
}

/* In packet mode a pipe shows each write by itself. */
Test(accesslog, writes_are_whole_lines_of_at_most_a_pipes_unit)
{
	struct rig g = rig_new(SW_ACCESS_TEXT, 0);
	char out[65536];
	int packets = 0;
	ssize_t n;

	cr_assert_eq(fcntl(g.fd[1], F_SETFL, O_DIRECT), 0, "packet mode: %s", strerror(errno));
	for (uint64_t i = 0; i < 100; i++)
		add(&g, i);
	while (event_base_loop(g.base, EVLOOP_ONCE) == 0)
		;
	while ((n = read(g.fd[0], out, sizeof(out))) > 0) {
		cr_expect(n <= 4096 && out[n - 1] == '\n', "a write of %zd bytes ends in '%c'", n,
			  out[n - 1]);
		packets++;
	}
	cr_expect_gt(packets, 3, "%d writes", packets);
	rig_free(&g);
}

Test(accesslog, the_loss_is_said_in_each_form)
{
	static const char *const want[] = { "synward: access lines_lost=",
					    "level=warning msg=\"access log lines lost\" lost=",
					    "\"msg\":\"access log lines lost\",\"lost\":" };
	static char out[1 << 20];

	for (enum sw_access_form f = SW_ACCESS_TEXT; f <= SW_ACCESS_JSON; f++) {
		struct rig g = rig_new(f, 16384);

		for (uint64_t i = 0; i < 2000; i++)
			add(&g, i);
		drain_all(&g, out, sizeof(out));
		cr_expect_not_null(strstr(out, want[f]), "form %d: %.100s", (int)f, out);
		rig_free(&g);
	}
}

Test(accesslog, a_reader_that_is_gone)
{
	struct rig g = rig_new(SW_ACCESS_TEXT, 0);

	signal(SIGPIPE, SIG_IGN);
	close(g.fd[0]);
	for (uint64_t i = 0; i < 10; i++)
		add(&g, i);
	while (event_base_loop(g.base, EVLOOP_ONCE) == 0)
		;
	cr_expect(stats(&g).lost == 10 && stats(&g).lines == 0, "%lu lost, %lu lines",
		  stats(&g).lost, stats(&g).lines);
	g.fd[0] = open("/dev/null", O_RDONLY);
	rig_free(&g);
}

Test(accesslog, what_is_left_goes_out_at_the_end)
{
	struct rig g = rig_new(SW_ACCESS_JSON, 0);
	char out[4096];

	add(&g, 7);
	sw_accesslog_free(g.log);
	drain(&g, out, 0, sizeof(out));
	cr_expect_eq(count(out, "}\n"), 1, "%s", out);
	sw_accesslog_free(NULL);
	g.log = NULL;
	rig_free(&g);
}

Test(accesslog, another_form_from_here_on)
{
	struct rig g = rig_new(SW_ACCESS_TEXT, 0);
	char out[4096];

	add(&g, 1);
	sw_accesslog_set_form(g.log, SW_ACCESS_JSON);
	add(&g, 2);
	drain_all(&g, out, sizeof(out));
	cr_expect_eq(strncmp(out, "synward: access ", 16), 0, "%s", out);
	cr_expect_not_null(strstr(out, "\n{\"ts\""), "%s", out);
	rig_free(&g);
}

/* Nobody reads.  The test would not come back if turning it off waited. */
Test(accesslog, turned_off_it_waits_for_the_reader_by_and_by)
{
	enum { N = 5000, SIZE = 4 << 20 };
	struct rig g = rig_new(SW_ACCESS_TEXT, 65536);
	char *out = malloc(SIZE);
	struct sw_accesslog_stats s;

	sw_accesslog_off(NULL);
	for (uint64_t i = 0; i < N; i++)
		add(&g, i);
	s = stats(&g);
	cr_assert_gt(s.lost, 0, "a pipe took it all");
	sw_accesslog_off(g.log);
	add(&g, 0xabcdef);
	cr_expect(stats(&g).lines == s.lines && stats(&g).lost == s.lost, "it takes lines");
	drain_all(&g, out, SIZE);
	cr_expect_eq(count(out, "synward: access client="), s.lines, "%zu lines of %lu",
		     count(out, "synward: access client="), s.lines);
	cr_expect_eq(count(out, "lines_lost"), 1, "the loss is not said");
	cr_expect_null(strstr(out, "abcdef"), "the line from after is there");
	sw_accesslog_set_form(g.log, SW_ACCESS_TEXT);
	add(&g, 0xfedcba);
	drain_all(&g, out, SIZE);
	cr_expect_not_null(strstr(out, "id=0000000000fedcba\n"), "not on again: %s", out);
	free(out);
	rig_free(&g);
}

Test(accesslog, refuses_a_buffer_for_less_than_two_lines)
{
	struct event_base *base = event_base_new();
	struct sw_accesslog *log = NULL;

	cr_expect_eq(sw_accesslog_new(base, 2, SW_ACCESS_TEXT, 2 * SW_ACCESS_MAX - 1, &log),
		     -EINVAL, "accepted");
	cr_expect_null(log, "written");
	event_base_free(base);
}
