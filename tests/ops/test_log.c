/* SPDX-License-Identifier: MIT */
#include "ops/log.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What is written to stderr from here on is read back by read_log(). */
static int capture(void)
{
	int fds[2];

	cr_assert_eq(pipe2(fds, O_NONBLOCK), 0, "pipe: %s", strerror(errno));
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	return fds[0];
}

static char *read_log(int fd)
{
	static char text[4096];
	const ssize_t n = read(fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

Test(log, lines_and_levels)
{
	const int fd = capture();
	char *text;

	unsetenv("JOURNAL_STREAM");
	sw_log_open(SW_LOG_INFO);
	sw_error("a %d", 1);
	sw_warn("b");
	sw_info("c");
	sw_debug("d");
	sw_logf(SW_LOG_ALWAYS, "ready");
	text = read_log(fd);
	cr_expect_str_eq(text,
			 "synward: error: a 1\nsynward: warning: b\nsynward: c\n"
			 "synward: ready\n",
			 "got:\n%s", text);
}

Test(log, quiet_keeps_what_was_asked_for)
{
	const int fd = capture();
	char *text;
	int evaluated = 0;

	sw_log_open(SW_LOG_WARN);
	sw_info("%d", evaluated++);
	sw_logf(SW_LOG_ALWAYS, "ready");
	text = read_log(fd);
	cr_expect_str_eq(text, "synward: ready\n", "got:\n%s", text);
	cr_expect_eq(evaluated, 0, "the arguments of a silent line were evaluated");
}

Test(log, journal_gets_priorities)
{
	const int fd = capture();
	char stream[64], *text;
	struct stat st;

	fstat(STDERR_FILENO, &st);
	snprintf(stream, sizeof(stream), "%lu:%lu", (unsigned long)st.st_dev,
		 (unsigned long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	sw_log_open(SW_LOG_DEBUG);
	sw_error("a");
	sw_warn("b");
	sw_info("c");
	sw_debug("d");
	text = read_log(fd);
	cr_expect_str_eq(text,
			 "<3>synward: error: a\n<4>synward: warning: b\n<6>synward: c\n"
			 "<7>synward: debug: d\n",
			 "got:\n%s", text);
}

Test(log, journal_stream_of_another_file)
{
	cr_expect(sw_log_is_journal("8:1234", 8, 1234), "not recognised");
	cr_expect_not(sw_log_is_journal("8:1235", 8, 1234), "wrong inode");
	cr_expect_not(sw_log_is_journal("9:1234", 8, 1234), "wrong device");
	cr_expect_not(sw_log_is_journal("8:1234x", 8, 1234), "trailing text");
	cr_expect_not(sw_log_is_journal("", 8, 1234), "empty");
	cr_expect_not(sw_log_is_journal(NULL, 8, 1234), "not set");
}

Test(log, errno_is_kept_and_long_lines_end)
{
	const int fd = capture();
	char longer[4000], *text;

	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	sw_log_open(SW_LOG_INFO);
	errno = ENOENT;
	sw_info("%s", longer);
	cr_expect_eq(errno, ENOENT, "errno became %d", errno);
	text = read_log(fd);
	cr_expect(strlen(text) < 1024 && text[strlen(text) - 1] == '\n', "%zu bytes", strlen(text));
	close(STDERR_FILENO);
	errno = ENOENT;
	sw_info("nowhere");
	cr_expect_eq(errno, ENOENT, "errno became %d", errno);
}

Test(log, one_line_a_period)
{
	struct sw_log_limit lim = { 0 };
	uint64_t skipped = 99;

	cr_expect(sw_log_may(&lim, (sw_mono){ 5 }, 100, &skipped), "the first is held back");
	cr_expect_eq(skipped, 0, "%lu skipped", skipped);
	cr_expect_not(sw_log_may(&lim, (sw_mono){ 5 }, 100, &skipped), "too early");
	cr_expect_not(sw_log_may(&lim, (sw_mono){ 104 }, 100, &skipped), "too early");
	cr_expect(sw_log_may(&lim, (sw_mono){ 105 }, 100, &skipped), "held back for too long");
	cr_expect_eq(skipped, 2, "%lu skipped", skipped);
	cr_expect(sw_log_may(&lim, (sw_mono){ 300 }, 100, &skipped), "held back for too long");
	cr_expect_eq(skipped, 0, "%lu skipped", skipped);
}

Test(log, forms_of_a_line)
{
	static const struct {
		enum sw_log_form form;
		const char *text, *want;
	} rows[] = {
		{ SW_LOG_FORM_TEXT, "a \"b\"", "synward: a \"b\"\n" },
		{ SW_LOG_FORM_LOGFMT, "a \"b\" \\ \n",
		  "ts=2026-01-02T03:04:05.678Z level=warn msg=\"a \\\"b\\\" \\\\ \\x0a\"\n" },
		{ SW_LOG_FORM_JSON, "a \"b\" \\ \n caf\xc3\xa9 \xff",
		  "{\"ts\":\"2026-01-02T03:04:05.678Z\",\"level\":\"warn\",\"msg\":\"a \\\"b\\\" "
		  "\\\\ \\u000a caf\xc3\xa9 ?\"}\n" },
	};
	const sw_wall wall = { 1767323045678000000ull };
	char out[300];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const size_t n = sw_log_line(out, sizeof(out), rows[i].form, SW_LOG_WARN, wall,
					     rows[i].text);

		cr_expect_str_eq(out, rows[i].want, "got %s", out);
		cr_expect_eq(n, strlen(out));
	}
}

/* Cut to any size, a line ends with its quotes and a newline, inside its buffer. */
Test(log, long_lines_are_cut_whole)
{
	const sw_wall wall = { 1767323045678000000ull };
	char text[200];

	for (size_t i = 0; i < sizeof(text) - 1; i++)
		text[i] = i % 3 ? '"' : '\xc3'; /* every kind of character that grows */
	text[sizeof(text) - 1] = '\0';
	for (size_t size = 80; size < 400; size++) {
		char *out = malloc(size);

		for (int form = 0; form < 3; form++) {
			const size_t n = sw_log_line(out, size, (enum sw_log_form)form, SW_LOG_INFO,
						     wall, text);

			cr_assert_lt(n, size);
			cr_assert_eq(out[n], '\0');
			cr_assert_eq(out[n - 1], '\n');
			cr_assert(form != SW_LOG_FORM_JSON || strcmp(out + n - 3, "\"}\n") == 0);
		}
		free(out);
	}
}

Test(log, suppressed_lines_are_counted)
{
	struct sw_log_limit limit = { 0 };
	uint64_t skipped;

	cr_expect(sw_log_may(&limit, (sw_mono){ 1 }, 1000, &skipped));
	cr_expect_not(sw_log_may(&limit, (sw_mono){ 2 }, 1000, &skipped));
	cr_expect_not(sw_log_may(&limit, (sw_mono){ 3 }, 1000, &skipped));
	cr_expect_eq(sw_log_suppressed(), 2u);
}

/* Fill the pipe that stderr is.  A write to it blocks from here on. */
static void fill(void)
{
	static const char full[4096];

	cr_assert_eq(fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK), 0);
	while (write(STDERR_FILENO, full, sizeof(full)) > 0)
		;
	cr_assert_eq(fcntl(STDERR_FILENO, F_SETFL, 0), 0);
}

static void empty(int fd)
{
	char some[4096];

	while (read(fd, some, sizeof(some)) > 0)
		;
}

/* The test would not come back if a write blocked, or if each line that was asked for waited. */
Test(log, a_reader_that_stands_still_costs_lines_not_time, .timeout = 20)
{
	enum { N = 2000 };
	const int fd = capture();
	char *text;

	unsetenv("JOURNAL_STREAM");
	sw_log_open(SW_LOG_INFO);
	fill();
	errno = ENOENT;
	sw_error("lost");
	sw_info("lost");
	cr_expect_eq(errno, ENOENT, "errno became %d", errno);
	cr_expect_eq(sw_log_suppressed(), 2u, "%lu", sw_log_suppressed());
	for (int i = 0; i < N; i++)
		sw_logf(SW_LOG_ALWAYS, "counter");
	cr_expect_eq(sw_log_suppressed(), 2u + N, "%lu", sw_log_suppressed());
	empty(fd);
	sw_info("goes on");
	text = read_log(fd);
	cr_expect_str_eq(text, "synward: goes on\n", "got:\n%s", text);
	cr_expect_eq(sw_log_suppressed(), 2u + N);
}

/* Reads once a thread sleeps, or when it is done. */
struct late_reader {
	int fd, tid;
	atomic_bool done;
};

static void *do_read_late(void *arg)
{
	struct late_reader *r = arg;
	char path[64], state = 'R';

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", r->tid);
	while (state != 'S' && !r->done) {
		FILE *f = fopen(path, "re");

		cr_assert_eq(fscanf(f, "%*d (%*[^)]) %c", &state), 1);
		fclose(f);
	}
	empty(r->fd);
	return NULL;
}

Test(log, what_was_asked_for_waits_for_its_reader, .timeout = 20)
{
	struct late_reader r = { .fd = capture(), .tid = (int)syscall(SYS_gettid) };
	uint64_t before, tries = 0;
	pthread_t thread;

	unsetenv("JOURNAL_STREAM");
	sw_log_open(SW_LOG_INFO);
	do { /* the reader may come too late on a busy machine */
		sw_info("there is room");
		fill();
		before = sw_log_suppressed();
		r.done = false;
		cr_assert_eq(pthread_create(&thread, NULL, do_read_late, &r), 0);
		sw_logf(SW_LOG_ALWAYS, "ready");
		r.done = true;
		pthread_join(thread, NULL);
		empty(r.fd);
	} while (sw_log_suppressed() != before && ++tries < 50);
	cr_expect_lt(tries, 50, "it does not wait");
}
