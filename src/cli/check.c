/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"
#include "cli/report.h"
#include "ops/schema.h"
#include "ops/settings.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char help_text[] =
	"usage: synward check -c FILE [-p] [-k FILE]\n"
	"       synward check --list\n"
	"\n"
	"Read a configuration file and say \"ok\", or every mistake in it, one line each:\n"
	"  FILE:LINE:COLUMN: what is wrong; what would be right\n"
	"\n"
	"  -c, --config FILE    the configuration\n"
	"  -p, --print          print it as it is understood, with all defaults\n"
	"  -k, --key-file FILE  look at this key file in place of the one it names\n"
	"      --list           print every option: name, default, whether a reload applies a\n"
	"                       change, what it takes, what it does; tabs between\n"
	"\n"
	"The key file is read, too; nothing is opened, started or changed.\n"
	"Exits 0 when it is right, 78 when it is not.\n"
	"\n"
	"example: synward check -c /etc/synward/synward.yaml\n";

static const struct option longs[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "print", no_argument, NULL, 'p' },
	{ "key-file", required_argument, NULL, 'k' },
	{ "list", no_argument, NULL, 'l' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

/* The command line. */
struct check {
	const char *path;
	struct sw_settings_look look;
	bool print, list, help;
};

static int read_options(struct check *check, int argc, char **argv)
{
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":c:pk:h", longs, NULL)) != -1) {
		switch (opt) {
		case 'c':
			check->path = optarg;
			break;
		case 'p':
			check->print = true;
			break;
		case 'k':
			check->look.key_file_path = optarg;
			break;
		case 'l':
			check->list = true;
			break;
		case 'h':
			check->help = true;
			return SW_EXIT_OK;
		default:
			return sw_usage_getopt("check", opt, argv);
		}
	}
	if (optind < argc)
		return sw_usage("check", "unexpected '%s'", argv[optind]);
	if (check->path && check->list)
		return sw_usage("check", "-c FILE and --list exclude each other");
	if (!check->path && !check->list)
		return sw_usage("check", "-c FILE is missing");
	return SW_EXIT_OK;
}

static int flushed(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return SW_EXIT_OK;
	fprintf(stderr, "synward check: cannot write: %s\n", strerror(errno));
	return SW_EXIT_FAILED;
}

static int say(const struct check *check, const struct sw_settings *s)
{
	if (check->print)
		sw_settings_print(s, stdout);
	else
		printf("synward: %s: ok (%u listener%s, %u pool%s)\n", check->path, s->nlisteners,
		       s->nlisteners == 1 ? "" : "s", s->npools, s->npools == 1 ? "" : "s");
	return flushed();
}

int sw_cmd_check(int argc, char **argv)
{
	struct check check = { .look = { .key_file = true } };
	struct sw_mistakes mistakes = { 0 };
	struct sw_settings *s = NULL;
	int rc = read_options(&check, argc, argv);

	if (check.help) {
		fputs(help_text, stdout);
		return SW_EXIT_OK;
	}
	if (rc != SW_EXIT_OK)
		return rc;
	if (check.list) {
		sw_schema_list(stdout);
		return flushed();
	}
	mistakes.path = check.path;
	rc = sw_settings_load(&check.look, &s, &mistakes);
	if (rc == 0) {
		rc = say(&check, s);
		sw_settings_free(s);
	} else {
		sw_report_mistakes(&mistakes);
		rc = rc == -ENOMEM ? SW_EXIT_FAILED : SW_EXIT_CONFIG;
	}
	sw_mistakes_free(&mistakes);
	return rc;
}
