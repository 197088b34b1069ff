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
	{ "check", sw_cmd_check, "read a configuration file and say what is wrong in it" },
	{ "status", sw_cmd_status, "a glance at the running synward, or all of it as JSON" },
	{ "top", sw_cmd_top, "watch it live" },
	{ "reload", sw_cmd_reload, "apply a changed configuration; prints what changed" },
	{ "drain", sw_cmd_drain, "take no new connections on a listener" },
	{ "undrain", sw_cmd_undrain, "take them again" },
	{ "secret", sw_cmd_secret, "make a key file, change its key, tell keys apart" },
	{ "cookie", sw_cmd_cookie, "make or prove a SYN cookie and show every step" },
	{ "trace", sw_cmd_trace, "show each packet of a handshake, and why it was answered or refused" },
	{ "explain", sw_cmd_explain, "explain the connections and floods of a capture file" },
	{ "probe", sw_cmd_probe, "send half-open SYNs to a host's ports and show what answers" },
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
		    "Exit codes: 0 ok, 1 failed, 2 usage, 69 kernel feature missing, 75 not\n"
		    "reachable, 77 capability missing, 78 bad configuration.\n"
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
