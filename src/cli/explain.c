/* SPDX-License-Identifier: MIT */
#include "study/explain.h"

#include "cli/cli.h"
#include "listen/keyfile.h"
#include "study/tale.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define FILTER_MAX 4096

static const char help_text[] =
	"usage: synward explain [OPTION]... FILE [FILTER]\n"
	"\n"
	"Draws each connection of a pcap or pcapng file as a ladder, says what went wrong in\n"
	"it and why, and ends with a summary.  FILE - is standard input; FILTER is tcpdump's.\n"
	"\n"
	"  -k, --key-file FILE  prove cookies with these keys; without, read their layout only\n"
	"  -m, --mac NAME       hmac-sha256 (default) or siphash-2-4\n"
	"  -j, --json           one JSON object with every connection, instead of text\n"
	"  -w, --write FILE     the same packets as pcapng, with two comments each\n"
	"      --html FILE      a page with pictures that needs nothing else\n"
	"  -s, --show NAME,...  show only such connections: an outcome, a finding or a way of\n"
	"                       closing, as in --show reset,retransmission,three-way\n"
	"      --ladders N      draw at most so many (100)\n"
	"      --all            draw the attempts of a flood, too\n"
	"      --flows N        follow at most so many connections at once (20000)\n"
	"  -q, --quiet          no progress line\n"
	"  -h, --help           this text\n"
	"\n"
	"Exit codes: 0 explained, 1 the file is damaged or an output failed, 2 usage.\n"
	"\n"
	"example: synward explain --html flood.html flood.pcapng 'tcp port 443'\n";

enum { OPT_HTML = 256, OPT_LADDERS, OPT_ALL, OPT_FLOWS };

struct args {
	struct sw_explain_config cf;
	const char *path, *key, *write, *html;
	char filter[FILTER_MAX];
	bool json, quiet;
};

static struct sw_capture *reading; /* for the signal handler */

static void on_signal(int sig)
{
	(void)sig;
	sw_capture_break(reading);
}

static int read_show(struct args *a, char *list)
{
	char *rest = NULL;

	for (char *name = strtok_r(list, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
		if (!sw_tale_find(name, &a->cf.outcomes, &a->cf.findings, &a->cf.closes))
			return sw_usage("explain", "--show: no outcome, finding or close is called "
				"'%s'; 'synward explain -j' lists them, as in reset, half_open, "
				"retransmission, option_loss, simultaneous", name);
	}
	return SW_EXIT_OK;
}

static int read_mac(struct args *a, const char *name)
{
	if (!sw_mac_by_name(name, &a->cf.alg))
		return sw_usage("explain", "--mac: '%s' is none; expected hmac-sha256 or "
				"siphash-2-4", name);
	return SW_EXIT_OK;
}

static int read_count(const char *option, const char *text, unsigned min, unsigned max,
		      unsigned *out)
{
	if (!sw_opt_number(text, min, max, out))
		return sw_usage("explain", "%s: '%s' is wrong; expected %u to %u", option, text, min,
				max);
	return SW_EXIT_OK;
}

static int read_option(struct args *a, int opt)
{
	unsigned n = 0;
	int rc = SW_EXIT_OK;

	switch (opt) {
	case 'k':
		a->key = optarg;
		break;
	case 'm':
		return read_mac(a, optarg);
	case 'j':
		a->json = true;
		break;
	case 'w':
		a->write = optarg;
		break;
	case 's':
		return read_show(a, optarg);
	case 'q':
		a->quiet = true;
		break;
	case OPT_HTML:
		a->html = optarg;
		break;
	case OPT_ALL:
		a->cf.all = true;
		break;
	case OPT_LADDERS:
		rc = read_count("--ladders", optarg, 0, INT32_MAX, &n);
		a->cf.ladders = n;
		break;
	default:
		rc = read_count("--flows", optarg, SW_FLOWS_MIN, SW_FLOWS_MAX, &n);
		a->cf.flows = n;
		break;
	}
	return rc;
}

/* The words of the filter, as tcpdump takes them. */
static int read_filter(struct args *a, int argc, char **argv)
{
	size_t n = 0;

	for (int i = optind; i < argc; i++) {
		const int len = snprintf(a->filter + n, sizeof(a->filter) - n, "%s%s",
					 n ? " " : "", argv[i]);

		if (len < 0 || (size_t)len >= sizeof(a->filter) - n)
			return sw_usage("explain", "the filter is longer than %d bytes",
					FILTER_MAX - 1);
		n += (size_t)len;
	}
	return SW_EXIT_OK;
}

/* @return SW_EXIT_OK to go on, or an exit code; *done is set for --help. */
static int read_args(struct args *a, int argc, char **argv, bool *done)
{
	static const struct option longs[] = {
		{ "key-file", required_argument, NULL, 'k' },
		{ "mac", required_argument, NULL, 'm' },
		{ "json", no_argument, NULL, 'j' },
		{ "write", required_argument, NULL, 'w' },
		{ "html", required_argument, NULL, OPT_HTML },
		{ "show", required_argument, NULL, 's' },
		{ "ladders", required_argument, NULL, OPT_LADDERS },
		{ "all", no_argument, NULL, OPT_ALL },
		{ "flows", required_argument, NULL, OPT_FLOWS },
		{ "quiet", no_argument, NULL, 'q' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int opt, rc;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":k:m:jw:s:qh", longs, NULL)) != -1) {
		if (opt == '?' || opt == ':')
			return sw_usage_getopt("explain", opt, argv);
		if (opt == 'h') {
			fputs(help_text, stdout);
			*done = true;
			return SW_EXIT_OK;
		}
		rc = read_option(a, opt);
		if (rc != SW_EXIT_OK)
			return rc;
	}
	if (optind >= argc)
		return sw_usage("explain", "expected a capture file");
	a->path = a->cf.name = argv[optind++];
	return read_filter(a, argc, argv);
}

static int open_output(const struct args *a, const char *path, FILE **out)
{
	if (!path)
		return SW_EXIT_OK;
	if (strcmp(path, "-") == 0) {
		*out = stdout;
		return SW_EXIT_OK;
	}
	if (sw_is_input(a->path, path))
		return sw_usage("explain", "%s is the file that is read; write another one", path);
	*out = fopen(path, "wbe");
	if (*out)
		return SW_EXIT_OK;
	fprintf(stderr, "synward explain: %s: %s\n", path, strerror(errno));
	return SW_EXIT_FAILED;
}

static int open_outputs(struct args *a)
{
	const bool w = a->write && strcmp(a->write, "-") == 0;
	const bool h = a->html && strcmp(a->html, "-") == 0;
	int rc;

	if (w + h + a->json > 1)
		return sw_usage("explain", "only one of -j, -w - and --html - can have standard "
				"output");
	rc = open_output(a, a->write, &a->cf.pcapng);
	if (rc == SW_EXIT_OK)
		rc = open_output(a, a->html, &a->cf.html);
	if (a->json)
		a->cf.json = stdout;
	else if (!w && !h)
		a->cf.text = stdout;
	a->cf.color = a->cf.text && isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
	return rc;
}

static int close_one(FILE *fp, const char *path)
{
	if (!fp)
		return SW_EXIT_OK;
	if (ferror(fp) || (fp == stdout ? fflush(fp) : fclose(fp)) != 0) {
		fprintf(stderr, "synward explain: cannot write %s: %s\n", path, strerror(errno));
		return SW_EXIT_FAILED;
	}
	return SW_EXIT_OK;
}

static int close_outputs(struct args *a)
{
	int rc = close_one(a->cf.pcapng, a->write);

	rc |= close_one(a->cf.html, a->html);
	rc |= close_one(a->cf.text ? a->cf.text : a->cf.json, "standard output");
	return rc;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct progress {
	double start, last;
};

/* A line on a terminal, five times a second: percent, packets, time left. */
static void show_progress(const struct sw_capture *c, uint64_t packets, void *arg)
{
	struct progress *p = arg;
	const uint64_t at = sw_capture_offset(c), size = sw_capture_size(c);
	const double now = seconds();
	char n[SW_COUNT_TEXT];

	if (now - p->last < 0.2)
		return;
	p->last = now;
	if (!at || !size)
		fprintf(stderr, "\r\033[K%s packets", sw_count_text(packets, n));
	else
		fprintf(stderr, "\r\033[K%3.0f %%  %s packets  %.0f s left",
			100.0 * (double)at / (double)size, sw_count_text(packets, n),
			(now - p->start) * ((double)size / (double)at - 1));
}

static int run(struct args *a, struct sw_capture *c)
{
	struct progress progress = { .start = seconds() };
	const bool tty = !a->quiet && isatty(STDERR_FILENO) &&
			 !(a->cf.text && isatty(STDOUT_FILENO) && sw_capture_size(c) < 1 << 20);
	struct sw_explain_result result;
	int rc;

	if (tty) {
		a->cf.progress = show_progress;
		a->cf.arg = &progress;
	}
	rc = sw_explain(c, &a->cf, &result);
	if (tty && progress.last > 0)
		fprintf(stderr, "\r\033[K");
	if (rc == -EINTR)
		fprintf(stderr, "synward explain: interrupted after %llu packets; this is what they "
			"show\n", (unsigned long long)result.packets);
	else if (rc < 0)
		fprintf(stderr, "synward explain: %s\n", *result.err ? result.err : strerror(-rc));
	else if (result.damaged)
		fprintf(stderr, "synward explain: %s; the %llu packets before it are explained\n",
			result.err, (unsigned long long)result.packets);
	return rc == 0 && !result.damaged ? SW_EXIT_OK : SW_EXIT_FAILED;
}

static int explain(struct args *a)
{
	struct sigaction sa = { .sa_handler = on_signal };
	char err[SW_CAPTURE_ERR];
	struct sw_capture *c;
	int rc = sw_capture_file(&c, a->path, a->filter, err);

	if (rc < 0) {
		fprintf(stderr, "synward explain: %s\n", err);
		return strncmp(err, "filter", 6) == 0 ? SW_EXIT_USAGE : SW_EXIT_FAILED;
	}
	reading = c;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	rc = open_outputs(a);
	if (rc == SW_EXIT_OK)
		rc = run(a, c);
	rc = rc == SW_EXIT_USAGE ? rc : rc | close_outputs(a);
	sa.sa_handler = SIG_DFL;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sw_capture_close(c);
	return rc;
}

int sw_cmd_explain(int argc, char **argv)
{
	struct args a = { .cf = { .flows = SW_FLOWS_DEFAULT, .ladders = SW_EXPLAIN_LADDERS } };
	struct sw_masters masters;
	bool done = false;
	char err[256];
	int rc = read_args(&a, argc, argv, &done);

	if (rc != SW_EXIT_OK || done)
		return rc;
	if (a.key && sw_keyfile_read(a.key, &masters, err, sizeof(err)) < 0) {
		fprintf(stderr, "synward explain: %s\n", err);
		return SW_EXIT_CONFIG;
	}
	if (a.key)
		a.cf.masters = &masters;
	if (getrandom(&a.cf.seed, sizeof(a.cf.seed), 0) != (ssize_t)sizeof(a.cf.seed)) {
		fprintf(stderr, "synward explain: getrandom: %s\n", strerror(errno));
		return SW_EXIT_FAILED;
	}
	rc = explain(&a);
	if (a.key)
		explicit_bzero(&masters, sizeof(masters));
	return rc;
}
