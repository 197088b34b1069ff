/* SPDX-License-Identifier: MIT */
#include "ops/doctor.h"

#include "cli/cli.h"
#include "steer/addr.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_ADDRS 64

static const char help_text[] =
	"usage: synward doctor [-i IF] [-l ADDR:PORT]...\n"
	"\n"
	"Check what makes synward fail on this host, one line each:\n"
	"  ok    as it should be\n"
	"  warn  it runs, but read on\n"
	"  FAIL  it cannot work; what to do follows\n"
	"\n"
	"  -i, --interface IF      also check this interface\n"
	"  -l, --listen ADDR:PORT  also check this address; again for more\n"
	"\n"
	"Exits 0 without FAIL; else 77 when a capability is missing, 69 when a kernel\n"
	"feature is, 1 otherwise.\n"
	"\n"
	"example: sudo synward doctor -i eth0 -l 192.0.2.1:80\n";

static const struct option longs[] = {
	{ "interface", required_argument, NULL, 'i' },
	{ "listen", required_argument, NULL, 'l' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static void say(void *arg, enum sw_finding found, const char *what, const char *fix)
{
	const bool *color = arg;
	const char *word = found == SW_FOUND_OK ? "ok" : found == SW_FOUND_WARN ? "warn" : "FAIL";
	const char *on = found == SW_FOUND_OK	  ? "\033[32m"
			 : found == SW_FOUND_WARN ? "\033[33m"
						  : "\033[31m";

	printf("%s%-4s%s  %s%s%s\n", *color ? on : "", word, *color ? "\033[0m" : "", what,
	       fix ? ": do " : "", fix ? fix : "");
}

static int exit_code_of(enum sw_finding worst)
{
	switch (worst) {
	case SW_FOUND_OK:
	case SW_FOUND_WARN:
		return SW_EXIT_OK;
	case SW_FOUND_FAIL:
		return SW_EXIT_FAILED;
	case SW_FOUND_KERNEL:
		return SW_EXIT_KERNEL;
	case SW_FOUND_CAPABILITY:
		return SW_EXIT_CAPABILITY;
	}
	return SW_EXIT_FAILED;
}

int sw_cmd_doctor(int argc, char **argv)
{
	const char *no_color = getenv("NO_COLOR");
	bool color = isatty(STDOUT_FILENO) && !(no_color && *no_color);
	struct sockaddr_storage listen[MAX_ADDRS];
	struct sw_doctor_config cf = { .listen = listen, .say = say, .arg = &color };
	char why[200];
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":i:l:h", longs, NULL)) != -1) {
		switch (opt) {
		case 'i':
			cf.interface = optarg;
			break;
		case 'l':
			if (cf.nlisten == MAX_ADDRS)
				return sw_usage("doctor", "--listen: more than %d", MAX_ADDRS);
			if (sw_addr_parse(optarg, &listen[cf.nlisten], why, sizeof(why)) < 0)
				return sw_usage("doctor", "--listen %s", why);
			cf.nlisten++;
			break;
		case 'h':
			fputs(help_text, stdout);
			return SW_EXIT_OK;
		default:
			return sw_usage_getopt("doctor", opt, argv);
		}
	}
	if (optind < argc)
		return sw_usage("doctor", "unexpected '%s'", argv[optind]);
	return exit_code_of(sw_doctor(&cf));
}
