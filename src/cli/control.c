/* SPDX-License-Identifier: MIT */
/* drain, undrain, reload: one POST each. */
#include "cli/cli.h"
#include "ops/client.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define CONTROL_TIMEOUT_MS 60000 /* a reload that opens listeners takes its time */

struct control {
	const char *cmd, *help;
	const char *path; /* with the listener's name behind it when named */
	bool named;
};

static const struct control drain = {
	"drain",
	"usage: synward drain LISTENER [-s SOCKET]\n"
	"Take no new connections on this listener; those that are there live on.  SYNs are\n"
	"dropped silently, so that clients try elsewhere or later.  /readyz says 503.\n\n"
	"  -s, --socket SOCKET  control socket (" SW_CONTROL_SOCKET ")\n"
	"  -h, --help           this text\n\n"
	"Exit codes: 0 done, 1 failed, 75 not reachable.  'synward undrain' undoes it.\n",
	"/drain/",
	true,
};

static const struct control undrain = {
	"undrain",
	"usage: synward undrain LISTENER [-s SOCKET]\n"
	"Take connections again on a listener that was drained.\n\n"
	"  -s, --socket SOCKET  control socket (" SW_CONTROL_SOCKET ")\n"
	"  -h, --help           this text\n\n"
	"Exit codes: 0 done, 1 failed, 75 not reachable.\n",
	"/undrain/",
	true,
};

static const struct control reload = {
	"reload",
	"usage: synward reload [-s SOCKET]\n"
	"Read the configuration again and apply it, all or nothing, without dropping a\n"
	"connection.  Prints what changed, or what is wrong; then nothing has changed.\n\n"
	"  -s, --socket SOCKET  control socket (" SW_CONTROL_SOCKET ")\n"
	"  -h, --help           this text\n\n"
	"Exit codes: 0 applied, 1 failed, 75 not reachable, 78 bad configuration.\n",
	"/reload",
	false,
};

static int exit_code_of(int status)
{
	switch (status) {
	case 200:
		return SW_EXIT_OK;
	case 400:
		return SW_EXIT_CONFIG;
	case 503:
		return SW_EXIT_UNREACHABLE;
	default:
		return SW_EXIT_FAILED;
	}
}

static int send_it(const struct control *c, const char *socket, const char *path)
{
	struct sw_reply reply;
	char err[256];
	int rc;

	if (sw_client_request(socket, "POST", path, CONTROL_TIMEOUT_MS, &reply, err, sizeof(err))) {
		fprintf(stderr, "synward %s: %s\n", c->cmd, err);
		return SW_EXIT_UNREACHABLE;
	}
	rc = exit_code_of(reply.status);
	if (rc == SW_EXIT_OK)
		fputs(reply.body, stdout);
	else
		fprintf(stderr, "synward %s: %s", c->cmd, reply.body);
	sw_reply_free(&reply);
	return rc == SW_EXIT_OK && fflush(stdout) ? SW_EXIT_FAILED : rc;
}

static bool is_name(const char *text)
{
	const size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-");

	return n >= 1 && n <= 31 && !text[n];
}

static int control(const struct control *c, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "socket", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	const char *socket = SW_CONTROL_SOCKET, *name = "";
	char path[64];
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":s:h", longs, NULL)) != -1) {
		if (opt == 'h') {
			fputs(c->help, stdout);
			return SW_EXIT_OK;
		}
		if (opt == '?' || opt == ':')
			return sw_usage_getopt(c->cmd, opt, argv);
		socket = optarg;
	}
	if (c->named) {
		if (optind == argc)
			return sw_usage(c->cmd, "which LISTENER?  'synward status' names them");
		name = argv[optind++];
		if (!is_name(name))
			return sw_usage(c->cmd,
					"'%s' is no listener's name: 1 to 31 of a-z, 0-9, "
					"_ and - are",
					name);
	}
	if (optind < argc)
		return sw_usage(c->cmd, "unexpected '%s'", argv[optind]);
	snprintf(path, sizeof(path), "%s%s", c->path, name);
	return send_it(c, socket, path);
}

int sw_cmd_drain(int argc, char **argv)
{
	return control(&drain, argc, argv);
}

int sw_cmd_undrain(int argc, char **argv)
{
	return control(&undrain, argc, argv);
}

int sw_cmd_reload(int argc, char **argv)
{
	return control(&reload, argc, argv);
}
