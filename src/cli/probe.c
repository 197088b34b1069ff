/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"
#include "ops/schema.h"
#include "study/probe_show.h"

#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS 1000000ull
#define HOLD_MS	  3200 /* Linux sends a SYN-ACK again after 1 s, others after 3 s */
#define GAP_MS	  100

static const char help_text[] =
	"usage: synward probe [OPTION]... HOST PORT[,PORT|,FIRST-LAST]...\n"
	"\n"
	"Send half-open SYNs to ports of one host and show what answers: open, closed or\n"
	"filtered, the round trip, the SYN-ACK's options.  No connection is completed; each\n"
	"SYN-ACK is taken back with an RST.  At most 100 packets a second, 1,024 ports.\n"
	"Probe only hosts that you run or were asked to test.\n"
	"\n"
	"  -s, --samples N      N SYNs to each open port, to tell how it makes its ISNs: random,\n"
	"                       clock-driven, or a SYN cookie, and whose.  8 show all\n"
	"      --no-timestamps  do not offer timestamps: shows the narrow form of cookies\n"
	"      --full           open whole connections by connect() and close them properly\n"
	"  -t, --timeout T      wait so long for an answer (2s)\n"
	"  -r, --retries N      SYNs sent again when nothing comes, 0 to 5 (0)\n"
	"  -4, -6               use IPv4 or IPv6 only\n"
	"  -j, --json           print JSON\n"
	"\n"
	"Exit codes: 0 measured, whatever the result; 1 failed; 77 CAP_NET_RAW is missing.\n"
	"\n"
	"example: synward probe --samples 8 192.0.2.1 22,80,443\n";

struct options {
	const char *host;
	uint16_t ports[SW_PROBE_MAX_PORTS];
	unsigned nports, samples, retries, timeout_ms;
	int family;
	bool ts, full, json;
};

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static bool add_port(struct options *o, unsigned port)
{
	for (unsigned i = 0; i < o->nports; i++) {
		if (o->ports[i] == port)
			return true;
	}
	if (o->nports == SW_PROBE_MAX_PORTS)
		return false;
	o->ports[o->nports++] = (uint16_t)port;
	return true;
}

/* One item of the list: "80" or "8000-8010".  @return SW_EXIT_OK, or what sw_usage() returns. */
static int read_item(struct options *o, char *item)
{
	char *dash = strchr(item, '-');
	unsigned first, last;

	if (dash)
		*dash = '\0';
	if (!sw_opt_number(item, 1, 65535, &first) ||
	    !sw_opt_number(dash ? dash + 1 : item, 1, 65535, &last) || last < first)
		return sw_usage("probe", "'%s%s%s' is no port; expected 1 to 65535, or FIRST-LAST",
				item, dash ? "-" : "", dash ? dash + 1 : "");
	for (unsigned port = first; port <= last; port++) {
		if (!add_port(o, port))
			return sw_usage("probe", "more than %d ports; choose fewer",
					SW_PROBE_MAX_PORTS);
	}
	return SW_EXIT_OK;
}

static int read_ports(struct options *o, char *list)
{
	char *save = NULL;
	int rc = SW_EXIT_OK;

	for (char *item = strtok_r(list, ",", &save); item && rc == SW_EXIT_OK;
	     item = strtok_r(NULL, ",", &save))
		rc = read_item(o, item);
	return rc;
}

static const struct option longs[] = {
	{ "samples", required_argument, NULL, 's' }, { "no-timestamps", no_argument, NULL, 'T' },
	{ "full", no_argument, NULL, 'F' },	     { "timeout", required_argument, NULL, 't' },
	{ "retries", required_argument, NULL, 'r' }, { "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },	     { 0 },
};

/* @return SW_EXIT_OK to go on, -1 when the help was printed, or a usage error. */
static int read_option(struct options *o, int opt, char **argv)
{
	switch (opt) {
	case 's':
		if (!sw_opt_number(optarg, 1, SW_PROBE_MAX_SAMPLES, &o->samples))
			return sw_usage("probe", "--samples '%s': expected 1 to %d", optarg,
					SW_PROBE_MAX_SAMPLES);
		return SW_EXIT_OK;
	case 't':
		if (!sw_time_parse_ms(optarg, &o->timeout_ms) || o->timeout_ms < 10 ||
		    o->timeout_ms > 60000)
			return sw_usage("probe", "--timeout '%s': expected 10ms to 60s, such as 2s",
					optarg);
		return SW_EXIT_OK;
	case 'r':
		if (!sw_opt_number(optarg, 0, 5, &o->retries))
			return sw_usage("probe", "--retries '%s': expected 0 to 5", optarg);
		return SW_EXIT_OK;
	case 'T':
		o->ts = false;
		return SW_EXIT_OK;
	case 'F':
		o->full = true;
		return SW_EXIT_OK;
	case '4':
	case '6':
		if (o->family != AF_UNSPEC && o->family != (opt == '4' ? AF_INET : AF_INET6))
			return sw_usage("probe", "-4 and -6 exclude each other");
		o->family = opt == '4' ? AF_INET : AF_INET6;
		return SW_EXIT_OK;
	case 'j':
		o->json = true;
		return SW_EXIT_OK;
	case 'h':
		fputs(help_text, stdout);
		return -1;
	default:
		return sw_usage_getopt("probe", opt, argv);
	}
}

static int read_args(struct options *o, int argc, char **argv)
{
	int opt, rc;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":s:t:r:46jh", longs, NULL)) != -1) {
		rc = read_option(o, opt, argv);
		if (rc != SW_EXIT_OK)
			return rc;
	}
	if (argc - optind < 2)
		return sw_usage("probe", "expected HOST and PORT");
	o->host = argv[optind];
	if (strchr(o->host, '/'))
		return sw_usage("probe", "'%s': one host at a time, not a network", o->host);
	for (int i = optind + 1; i < argc; i++) {
		rc = read_ports(o, argv[i]);
		if (rc != SW_EXIT_OK)
			return rc;
	}
	if (o->nports == 0)
		return sw_usage("probe", "expected a port");
	if (o->full && (o->samples > 1 || !o->ts || o->retries > 0))
		return sw_usage("probe", "--full leaves the SYN to the kernel: not with --samples, "
					 "--no-timestamps or --retries");
	return SW_EXIT_OK;
}

static bool is_group(const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET) {
		const uint32_t a = ntohl(((const struct sockaddr_in *)sa)->sin_addr.s_addr);

		return a == 0 || IN_MULTICAST(a) || a == INADDR_BROADCAST;
	}
	return IN6_IS_ADDR_MULTICAST(&((const struct sockaddr_in6 *)sa)->sin6_addr) ||
	       IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)sa)->sin6_addr);
}

static int resolve(const struct options *o, struct sockaddr_storage *out)
{
	const struct addrinfo hints = { .ai_family = o->family, .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	char name[256];
	size_t n = strlen(o->host);
	const bool bracket = n > 2 && o->host[0] == '[' && o->host[n - 1] == ']';
	int rc;

	(void)snprintf(name, sizeof(name), "%.*s", (int)(bracket ? n - 2 : n), o->host + bracket);
	rc = getaddrinfo(name, NULL, &hints, &list);
	if (rc != 0) {
		fprintf(stderr, "synward probe: '%s': %s\n", o->host,
			rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
		return SW_EXIT_FAILED;
	}
	memset(out, 0, sizeof(*out));
	memcpy(out, list->ai_addr, list->ai_addrlen);
	freeaddrinfo(list);
	if (is_group((const struct sockaddr *)out)) {
		fprintf(stderr, "synward probe: '%s' is not the address of one host\n", o->host);
		return SW_EXIT_FAILED;
	}
	return SW_EXIT_OK;
}

static int print(const struct options *o, const struct sw_probe_net *net,
		 const struct sw_probe_port *ports)
{
	const struct sw_probe_report report = {
		.host = o->host,
		.family = net->family,
		.src = net->src,
		.dst = net->dst,
		.ports = ports,
		.nports = o->nports,
		.samples = o->samples > 1,
		.full = o->full,
	};

	if (o->json && !sw_probe_json(stdout, &report)) {
		fprintf(stderr, "synward probe: no memory\n");
		return SW_EXIT_FAILED;
	}
	if (!o->json)
		sw_probe_text(stdout, &report);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "synward probe: cannot write: %s\n", strerror(errno));
		return SW_EXIT_FAILED;
	}
	return SW_EXIT_OK;
}

static int measure(const struct options *o, struct sw_probe_net *net, struct sw_probe_port *ports)
{
	const struct sw_probe_config cf = {
		.samples = o->samples,
		.retries = o->retries,
		.ts = o->ts,
		.timeout_ns = o->timeout_ms * NS_PER_MS,
		.hold_ns = HOLD_MS * NS_PER_MS,
		.gap_ns = GAP_MS * NS_PER_MS,
	};
	const struct sigaction act = { .sa_handler = on_signal };
	char err[SW_PROBE_ERR];
	sigset_t ending;
	int rc;

	sigemptyset(&ending);
	sigaddset(&ending, SIGINT);
	sigaddset(&ending, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &ending, NULL);
	(void)sigaction(SIGINT, &act, NULL);
	(void)sigaction(SIGTERM, &act, NULL);
	rc = (o->full ? sw_probe_connect : sw_probe_run)(net, &cf, ports, o->nports, &stop, err);
	if (rc < 0) {
		fprintf(stderr, "synward probe: %s\n", err);
		return SW_EXIT_FAILED;
	}
	rc = print(o, net, ports);
	if (!stop)
		return rc;
	fprintf(stderr, "synward probe: interrupted\n");
	return SW_EXIT_FAILED;
}

int sw_cmd_probe(int argc, char **argv)
{
	struct options o = { .samples = 1, .timeout_ms = 2000, .ts = true, .family = AF_UNSPEC };
	struct sockaddr_storage host;
	struct sw_probe_port *ports;
	struct sw_probe_sample *samples;
	struct sw_probe_net net;
	char err[SW_PROBE_ERR];
	int rc = read_args(&o, argc, argv);

	if (rc != SW_EXIT_OK)
		return rc < 0 ? SW_EXIT_OK : rc;
	rc = resolve(&o, &host);
	if (rc != SW_EXIT_OK)
		return rc;
	rc = sw_probe_net_open(&net, &host, err);
	if (rc < 0) {
		fprintf(stderr, "synward probe: %s\n", err);
		return rc == -EPERM ? SW_EXIT_CAPABILITY : SW_EXIT_FAILED;
	}
	ports = calloc(o.nports, sizeof(*ports));
	samples = calloc((size_t)o.nports * o.samples, sizeof(*samples));
	if (ports && samples) {
		for (unsigned i = 0; i < o.nports; i++) {
			ports[i].port = o.ports[i];
			ports[i].s = samples + (size_t)i * o.samples;
		}
		rc = measure(&o, &net, ports);
	} else {
		fprintf(stderr, "synward probe: no memory\n");
		rc = SW_EXIT_FAILED;
	}
	free(samples);
	free(ports);
	sw_probe_net_close(&net);
	return rc;
}
