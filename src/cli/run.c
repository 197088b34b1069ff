/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"
#include "cli/serve.h"
#include "core/mac.h"
#include "ops/log.h"
#include "steer/addr.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ADDRS 64

static const char help_text[] =
	"usage: synward run -i IF -l ADDR:PORT... {-u ADDR:PORT... | --transparent} [OPTION]...\n"
	"  -i, --interface IF       where the SYNs come in\n"
	"  -l, --listen ADDR:PORT   guard this address; again for more, up to 64\n"
	"  -u, --upstream ADDR:PORT relay to this server; again for more, in turn\n"
	"      --transparent        give connections to the service that listens there\n"
	"      --offload none|xdp   who answers SYNs: packet threads or BPF (none)\n"
	"  -k, --key-file FILE      see 'synward secret'; without it a key for this run\n"
	"      --mac NAME           hmac-sha256 (default) or siphash-2-4\n"
	"      --workers N          packet threads (1)\n"
	"      --queue-depth N      proven connections waiting to be relayed (4096)\n"
	"      --ring-frames N      frames in each receive ring (8192)\n"
	"      --refuse-rate N      unproven ACKs a second that are reset (1000; 0 none)\n"
	"      --qdisc-bypass       faster, but tcpdump here does not see the SYN-ACKs\n"
	"      --proxy-protocol V   v1 or v2: tell upstreams who the client is\n"
	"      --connect-timeout T  for each upstream (3s)\n"
	"      --idle-timeout T     without a byte either way (1h; 0 none)\n"
	"      --drain-timeout T    for live connections after SIGTERM (30s)\n"
	"      --max-connections N  at the same time (0: no limit)\n"
	"  -v, --verbose            say more       -q, --quiet  warnings and errors only\n"
	"T: 500ms, 3s, 10m, 1h.  SIGTERM drains, again: ends.  SIGUSR1 prints counters.\n"
	"example: synward run -i eth0 -l 192.0.2.1:80 -u 127.0.0.1:8080\n";

enum {
	OPT_MAC = 256,
	OPT_WORKERS,
	OPT_QUEUE_DEPTH,
	OPT_RING_FRAMES,
	OPT_REFUSE_RATE,
	OPT_QDISC_BYPASS,
	OPT_PROXY,
	OPT_CONNECT_TIMEOUT,
	OPT_IDLE_TIMEOUT,
	OPT_DRAIN_TIMEOUT,
	OPT_MAX_CONNECTIONS,
	OPT_OFFLOAD,
	OPT_TRANSPARENT,
};

static const struct option longs[] = {
	{ "interface", required_argument, NULL, 'i' },
	{ "listen", required_argument, NULL, 'l' },
	{ "upstream", required_argument, NULL, 'u' },
	{ "key-file", required_argument, NULL, 'k' },
	{ "mac", required_argument, NULL, OPT_MAC },
	{ "workers", required_argument, NULL, OPT_WORKERS },
	{ "queue-depth", required_argument, NULL, OPT_QUEUE_DEPTH },
	{ "ring-frames", required_argument, NULL, OPT_RING_FRAMES },
	{ "refuse-rate", required_argument, NULL, OPT_REFUSE_RATE },
	{ "qdisc-bypass", no_argument, NULL, OPT_QDISC_BYPASS },
	{ "proxy-protocol", required_argument, NULL, OPT_PROXY },
	{ "connect-timeout", required_argument, NULL, OPT_CONNECT_TIMEOUT },
	{ "idle-timeout", required_argument, NULL, OPT_IDLE_TIMEOUT },
	{ "drain-timeout", required_argument, NULL, OPT_DRAIN_TIMEOUT },
	{ "max-connections", required_argument, NULL, OPT_MAX_CONNECTIONS },
	{ "offload", required_argument, NULL, OPT_OFFLOAD },
	{ "transparent", no_argument, NULL, OPT_TRANSPARENT },
	{ "config", required_argument, NULL, 'c' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

/* The command line while it is being read. */
struct run {
	struct sw_serve cf;
	const char *listen[MAX_ADDRS];
	struct sockaddr_storage upstream[MAX_ADDRS];
	enum sw_log_level level;
	bool help;
};

static int bad_value(const char *name, const char *value, const char *right)
{
	return sw_usage("run", "--%s '%s': expected %s", name, value, right);
}

static int add_listen(struct run *run, const char *text)
{
	struct sockaddr_storage addr;
	char why[200];

	if (sw_addr_parse(text, &addr, why, sizeof(why)) < 0)
		return sw_usage("run", "--listen %s", why);
	if (run->cf.guard.nlisten == MAX_ADDRS)
		return sw_usage("run", "--listen: more than %d addresses", MAX_ADDRS);
	run->listen[run->cf.guard.nlisten++] = text;
	return SW_EXIT_OK;
}

static int add_upstream(struct run *run, const char *text)
{
	char why[200];

	if (run->cf.relay.nupstream == MAX_ADDRS)
		return sw_usage("run", "--upstream: more than %d addresses", MAX_ADDRS);
	if (sw_addr_parse(text, &run->upstream[run->cf.relay.nupstream], why, sizeof(why)) < 0)
		return sw_usage("run", "--upstream %s", why);
	run->cf.relay.nupstream++;
	return SW_EXIT_OK;
}

static int set_number(const char *name, const char *text, unsigned min, unsigned max, unsigned *out)
{
	char range[64];

	if (sw_opt_number(text, min, max, out))
		return SW_EXIT_OK;
	snprintf(range, sizeof(range), "a number of %u to %u", min, max);
	return bad_value(name, text, range);
}

/* @param min  In milliseconds; 0 lets a plain 0 through. */
static int set_duration(const char *name, const char *text, unsigned min, unsigned *out)
{
	unsigned ms;

	if (!sw_opt_duration(text, &ms) || ms < min)
		return bad_value(name, text, "a time such as 500ms, 3s, 10m or 1h");
	*out = ms;
	return SW_EXIT_OK;
}

static int set_mac(struct synward_config *guard, const char *text)
{
	enum sw_mac_alg alg;

	if (!sw_mac_by_name(text, &alg))
		return bad_value("mac", text, "hmac-sha256 or siphash-2-4");
	guard->mac = alg == SW_MAC_HMAC_SHA256 ? SYNWARD_MAC_HMAC_SHA256 : SYNWARD_MAC_SIPHASH_2_4;
	return SW_EXIT_OK;
}

static int set_offload(struct synward_config *guard, const char *text)
{
	if (strcmp(text, "none") != 0 && strcmp(text, "xdp") != 0)
		return bad_value("offload", text, "none or xdp");
	guard->offload = text[0] == 'x' ? SYNWARD_OFFLOAD_XDP : SYNWARD_OFFLOAD_NONE;
	return SW_EXIT_OK;
}

static int set_proxy(struct sw_relay_config *relay, const char *text)
{
	if (strcmp(text, "v1") != 0 && strcmp(text, "v2") != 0)
		return bad_value("proxy-protocol", text, "v1 or v2");
	relay->proxy = text[1] == '1' ? SW_PROXY_V1 : SW_PROXY_V2;
	return SW_EXIT_OK;
}

static int set_refuse_rate(struct synward_config *guard, const char *text)
{
	const int rc = set_number("refuse-rate", text, 0, INT_MAX, &guard->refuse_rate);

	if (rc == SW_EXIT_OK && guard->refuse_rate == 0)
		guard->refuse_rate = SYNWARD_REFUSE_NONE;
	return rc;
}

static int set_max_connections(struct sw_relay_config *relay, const char *text)
{
	unsigned n;
	const int rc = set_number("max-connections", text, 0, INT_MAX, &n);

	if (rc == SW_EXIT_OK)
		relay->max_connections = n;
	return rc;
}

static int set_guard_option(struct synward_config *guard, int opt, const char *text)
{
	switch (opt) {
	case OPT_MAC:
		return set_mac(guard, text);
	case OPT_WORKERS:
		return set_number("workers", text, 1, 64, &guard->workers);
	case OPT_QUEUE_DEPTH:
		return set_number("queue-depth", text, 1, 1u << 20, &guard->queue_depth);
	case OPT_RING_FRAMES:
		return set_number("ring-frames", text, 1, 1u << 20, &guard->ring_frames);
	case OPT_REFUSE_RATE:
		return set_refuse_rate(guard, text);
	default:
		guard->qdisc_bypass = 1;
		return SW_EXIT_OK;
	}
}

static int set_option(struct run *run, int opt, const char *text)
{
	struct sw_serve *cf = &run->cf;

	switch (opt) {
	case 'i':
		cf->guard.interface = text;
		return SW_EXIT_OK;
	case 'l':
		return add_listen(run, text);
	case 'u':
		return add_upstream(run, text);
	case 'k':
		cf->guard.key_file = text;
		return SW_EXIT_OK;
	case OPT_PROXY:
		return set_proxy(&cf->relay, text);
	case OPT_CONNECT_TIMEOUT:
		return set_duration("connect-timeout", text, 1, &cf->relay.connect_timeout_ms);
	case OPT_IDLE_TIMEOUT:
		return set_duration("idle-timeout", text, 0, &cf->relay.idle_timeout_ms);
	case OPT_DRAIN_TIMEOUT:
		return set_duration("drain-timeout", text, 0, &cf->drain_timeout_ms);
	case OPT_MAX_CONNECTIONS:
		return set_max_connections(&cf->relay, text);
	case OPT_OFFLOAD:
		return set_offload(&cf->guard, text);
	case OPT_TRANSPARENT:
		cf->guard.transparent = 1;
		return SW_EXIT_OK;
	case 'c':
		return sw_usage("run", "-c FILE is not in this build; use the options");
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
		return set_guard_option(&cf->guard, opt, text);
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
	if (!run->cf.guard.interface)
		return sw_usage("run", "--interface IF is missing");
	if (!run->cf.guard.nlisten)
		return sw_usage("run", "--listen ADDR:PORT is missing");
	if (!run->cf.relay.nupstream && !run->cf.guard.transparent)
		return sw_usage("run", "--upstream ADDR:PORT or --transparent is missing");
	if (run->cf.relay.nupstream && run->cf.guard.transparent)
		return sw_usage("run", "--upstream and --transparent exclude each other");
	return SW_EXIT_OK;
}

int sw_cmd_run(int argc, char **argv)
{
	struct run run = {
		.cf = { .relay = { .connect_timeout_ms = 3000, .idle_timeout_ms = 3600000 },
			.drain_timeout_ms = 30000 },
		.level = SW_LOG_INFO,
	};
	int rc;

	run.cf.guard.listen = run.listen;
	run.cf.relay.upstream = run.upstream;
	rc = read_options(&run, argc, argv);
	if (run.help) {
		fputs(help_text, stdout);
		return SW_EXIT_OK;
	}
	if (rc != SW_EXIT_OK)
		return rc;
	sw_log_open(run.level);
	return sw_serve(&run.cf);
}
