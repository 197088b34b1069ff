/* SPDX-License-Identifier: MIT */
/* The study commands alone: synward without what guards, for cores that are broken on purpose. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <synward/listener.h>

static const struct command {
	const char *name;
	sw_cmd_fn run;
} commands[] = {
	{ "cookie", sw_cmd_cookie },
	{ "trace", sw_cmd_trace },
	{ "explain", sw_cmd_explain },
};

const char *synward_version(void)
{
	return "mutant";
}

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	}
	fprintf(stderr, "expected one of the study commands\n");
	return SW_EXIT_USAGE;
}
