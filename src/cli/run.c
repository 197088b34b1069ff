/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"
#include "cli/report.h"
#include "cli/runopts.h"
#include "cli/server.h"
#include "ops/log.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char help_text[] =
	"usage: synward run -c FILE [-v | -q]\n"
	"       synward run -i IF -l ADDR:PORT... {-u ADDR:PORT... | --transparent} [OPTION]...\n"
	"  -c, --config FILE        everything from this file, see 'synward check'\n"
	"  -i, --interface IF       where the SYNs come in\n"
	"  -l, --listen ADDR:PORT   guard this address; again for more, up to 64\n"
	"  -u, --upstream ADDR:PORT relay to this server; again for more, in turn\n"
	"      --transparent        give connections to the service that listens there\n"
	"      --offload none|xdp   who answers SYNs: packet threads or BPF (none)\n"
	"  -k, --key-file FILE      see 'synward secret'; without it a key for this run\n"
	"      --mac NAME           hmac-sha256 (default) or siphash-2-4\n"
	"      --workers N, --ring-frames N    packet threads (1); frames in each ring (8192)\n"
	"      --queue-depth N      proven connections waiting to be relayed (4096)\n"
	"      --refuse-rate N      unproven ACKs a second that are reset (1000; 0 none)\n"
	"      --qdisc-bypass       faster, but tcpdump here does not see the SYN-ACKs\n"
	"      --proxy-protocol V   v1 or v2: tell upstreams who the client is\n"
	"      --connect-timeout T, --idle-timeout T, --drain-timeout T    (3s, 1h, 30s)\n"
	"      --max-connections N  at the same time (0: as descriptors allow)\n"
	"      --control PATH       Unix socket for status, top, drain and reload\n"
	"  -v, --verbose            say more       -q, --quiet  warnings and errors only\n"
	"T: 500ms, 3s, 10m, 1h.  SIGTERM drains, again: ends.  SIGHUP reloads the file.\n"
	"example: synward run -i eth0 -l 192.0.2.1:80 -u 127.0.0.1:8080\n";

/* Options that are not those of a configuration file; sw_runopts has the others. */
static const struct option longs[] = {
	SW_RUNOPTS_LONG,
	{ "config", required_argument, NULL, 'c' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

/* The command line while it is being read. */
struct run {
	struct sw_runopts options;
	const char *config;
	int level; /* enum sw_log_level, or -1 */
	bool help;
};

static int set_option(struct run *run, int opt, const char *text)
{
	switch (opt) {
	case 'c':
		run->config = text;
		return SW_EXIT_OK;
	case 'v':
		run->level = SW_LOG_DEBUG;
		return SW_EXIT_OK;
	case 'q':
		run->level = SW_LOG_WARN;
		return SW_EXIT_OK;
	case 'h':
		run->help = true;
		return SW_EXIT_OK;
	default:
		return sw_runopts_set(&run->options, opt, text);
	}
}

static int read_options(struct run *run, int argc, char **argv)
{
	int opt, rc;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":i:l:u:k:c:vqh", longs, NULL)) != -1) {
		if (opt == '?' || opt == ':')
			return sw_usage_getopt("run", opt, argv);
		rc = set_option(run, opt, optarg);
		if (rc != SW_EXIT_OK || run->help)
			return rc;
	}
	if (optind < argc)
		return sw_usage("run", "unexpected '%s'", argv[optind]);
	if (!run->config)
		return sw_runopts_check(&run->options);
	if (run->options.first)
		return sw_usage("run", "-c FILE and --%s exclude each other; set %s in the file",
				run->options.first, run->options.first);
	return SW_EXIT_OK;
}

static int load(const struct run *run, struct sw_settings **out)
{
	const struct sw_settings_look look = { .key_file = true };
	struct sw_mistakes mistakes = { .path = run->config };
	int rc;

	if (!run->config)
		return sw_runopts_settings(&run->options, out);
	rc = sw_settings_load(&look, out, &mistakes);
	if (rc < 0)
		sw_report_mistakes(&mistakes);
	sw_mistakes_free(&mistakes);
	return rc == 0 ? SW_EXIT_OK : rc == -ENOMEM ? SW_EXIT_FAILED : SW_EXIT_CONFIG;
}

int sw_cmd_run(int argc, char **argv)
{
	struct run run = { .level = -1 };
	struct sw_settings *settings = NULL;
	int rc = read_options(&run, argc, argv);

	if (run.help) {
		fputs(help_text, stdout);
		return SW_EXIT_OK;
	}
	if (rc == SW_EXIT_OK)
		rc = load(&run, &settings);
	if (rc != SW_EXIT_OK)
		return rc;
	return sw_server_run(settings, run.config, run.level);
}
