/* SPDX-License-Identifier: MIT */
#include "ops/command.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(command, .timeout = 20);

static char path[64];

static void make_file(void)
{
	int fd;

	snprintf(path, sizeof(path), "/tmp/synward-test-command-XXXXXX");
	fd = mkstemp(path);
	cr_assert_geq(fd, 0);
	close(fd);
}

static size_t size_of_file(void)
{
	FILE *f = fopen(path, "r");
	size_t n = 0;

	while (f && fgetc(f) != EOF)
		n++;
	if (f)
		fclose(f);
	return n;
}

/* Until the file has so many bytes; the timeout of the suite ends what never comes. */
static void run_until(struct event_base *base, size_t bytes)
{
	while (size_of_file() < bytes)
		event_base_loop(base, EVLOOP_ONCE);
}

/* One after the other, in order, each with its own words, no shell in between. */
Test(command, runs_in_order)
{
	struct event_base *base = event_base_new();
	struct sw_command *c = sw_command_new(base);
	const char *env[1];
	char line[200], text[200] = "", variable[32];
	const char *argv[] = { "/bin/sh", "-c", line, "name", "$(not run)" };
	FILE *f;

	make_file();
	snprintf(line, sizeof(line), "echo \"$N $# $1\" >> %s", path);
	for (int i = 0; i < 3; i++) {
		snprintf(variable, sizeof(variable), "N=%d", i);
		env[0] = variable;
		sw_command_run(c, argv, 5, env, 1);
	}
	run_until(base, 3 * strlen("0 1 $(not run)\n"));
	f = fopen(path, "r");
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	cr_expect_str_eq(text, "0 1 $(not run)\n1 1 $(not run)\n2 1 $(not run)\n", "%s", text);
	unlink(path);
	sw_command_free(c);
	event_base_free(base);
}

/* What cannot be run, and what fails, does not stop the next. */
Test(command, goes_on_after_failures)
{
	struct event_base *base = event_base_new();
	struct sw_command *c = sw_command_new(base);
	char line[100];
	const char *missing[] = { "/nonexistent/program" }, *fails[] = { "/bin/false" };
	const char *dies[] = { "/bin/sh", "-c", "kill -9 $$" }, *works[] = { "/bin/sh", "-c", line };

	make_file();
	snprintf(line, sizeof(line), "echo x >> %s", path);
	sw_command_run(c, missing, 1, NULL, 0);
	sw_command_run(c, fails, 1, NULL, 0);
	sw_command_run(c, dies, 3, NULL, 0);
	sw_command_run(c, works, 3, NULL, 0);
	run_until(base, 2);
	unlink(path);
	sw_command_free(c);
	event_base_free(base);
}

/* The queue is bounded, and what waits is freed. */
Test(command, queue_is_bounded)
{
	struct event_base *base = event_base_new();
	struct sw_command *c = sw_command_new(base);
	const char *argv[] = { "/bin/sleep", "100" };
	char text[16384];
	int fds[2], lost = 0;
	ssize_t n;

	cr_assert_eq(pipe(fds), 0);
	dup2(fds[1], STDERR_FILENO);
	for (int i = 0; i < SW_COMMAND_WAITING * 2; i++)
		sw_command_run(c, argv, 2, NULL, 0);
	n = read(fds[0], text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	for (const char *p = text; (p = strstr(p, "not run: too many wait")); p++)
		lost++;
	cr_expect_eq(lost, SW_COMMAND_WAITING - 1, "%d lost: one runs, so many wait", lost);
	sw_command_free(c); /* ends the one that runs */
	event_base_free(base);
}
