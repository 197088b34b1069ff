/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <synward/listener.h>

static const struct command {
	const char *name;
	sw_cmd_fn run;
	const char *help;
} commands[] = {
	{ "run", sw_cmd_run, "guard addresses and relay what was proven to upstreams" },
	{ "secret", sw_cmd_secret, "make a key file, or tell keys apart by fingerprint" },
	{ "doctor", sw_cmd_doctor, "check what this host lacks to run it" },
};

static int help(FILE *to)
{
	fprintf(to, "usage: synward COMMAND [OPTION]...\n\n"
		    "An accept server that a SYN flood cannot fill.\n\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].help);
	fprintf(to, "\n  -h, --help      this text; 'synward COMMAND --help' says more\n"
		    "  -V, --version   print the version\n\n"
		    "Exit codes: 0 ok, 1 failed, 2 usage, 69 kernel feature missing,\n"
		    "77 capability missing, 78 bad configuration.\n\n"
		    "example: synward run -i eth0 -l 192.0.2.1:80 -u 127.0.0.1:8080\n");
	return to == stdout ? SW_EXIT_OK : SW_EXIT_USAGE;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;

	if (!name)
		return help(stderr);
	if (strcmp(name, "-h") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "help") == 0)
		return help(stdout);
	if (strcmp(name, "-V") == 0 || strcmp(name, "--version") == 0) {
		printf("synward %s\n", synward_version());
		return SW_EXIT_OK;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(name, commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	}
	fprintf(stderr, "synward: unknown command '%s'\nTry 'synward --help'.\n", name);
	return SW_EXIT_USAGE;
}
