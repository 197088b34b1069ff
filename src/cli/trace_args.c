/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"
#include "cli/trace.h"
#include "steer/addr.h"

#include <getopt.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define CMD "trace"

static int add_guard(struct sw_trace_args *a, const char *text)
{
	struct sw_guard *g = &a->policy.guard[a->policy.nguard];
	struct sockaddr_storage ss;
	char err[256];

	if (a->policy.nguard == SW_MAX_GUARDS)
		return sw_usage(CMD, "--listen: at most %d addresses", SW_MAX_GUARDS);
	if (sw_addr_parse(text, &ss, err, sizeof(err)) < 0)
		return sw_usage(CMD, "--listen: %s", err);
	memset(g, 0, sizeof(*g));
	if (ss.ss_family == AF_INET) {
		const struct sockaddr_in *sin = (const struct sockaddr_in *)&ss;

		g->family = SW_IP4;
		memcpy(g->addr.b, &sin->sin_addr, 4);
		g->any = sin->sin_addr.s_addr == INADDR_ANY;
		g->port = ntohs(sin->sin_port);
	} else {
		const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)&ss;

		g->family = SW_IP6;
		memcpy(g->addr.b, &sin6->sin6_addr, 16);
		g->any = IN6_IS_ADDR_UNSPECIFIED(&sin6->sin6_addr);
		g->port = ntohs(sin6->sin6_port);
	}
	a->policy.nguard++;
	return SW_EXIT_OK;
}

static int add_reason(struct sw_trace_args *a, const char *name, size_t len)
{
	for (unsigned why = 0; why < SW_NWHY; why++) {
		const char *known = sw_why_name((enum sw_why)why);

		if (strlen(known) == len && memcmp(known, name, len) == 0) {
			a->reason[why] = a->some_reasons = true;
			return SW_EXIT_OK;
		}
	}
	fprintf(stderr, "synward trace: --reason: '%.*s' is none of:", (int)len, name);
	for (unsigned why = 0; why < SW_NWHY; why++)
		fprintf(stderr, " %s", sw_why_name((enum sw_why)why));
	fprintf(stderr, "\nTry 'synward trace --help'.\n");
	return SW_EXIT_USAGE;
}

static int add_reasons(struct sw_trace_args *a, const char *list)
{
	int rc = SW_EXIT_OK;

	for (; rc == SW_EXIT_OK; list++) {
		const size_t n = strcspn(list, ",");

		rc = add_reason(a, list, n);
		list += n;
		if (!*list)
			break;
	}
	return rc;
}

enum { OPT_REASON = 256, OPT_DROP, OPT_ACCEPT };

static int set_arg(struct sw_trace_args *a, int opt)
{
	switch (opt) {
	case 'i':
		a->iface = optarg;
		break;
	case 'r':
		a->read = optarg;
		break;
	case 'w':
		a->write = optarg;
		break;
	case 'k':
		a->key_file = optarg;
		break;
	case 'l':
		return add_guard(a, optarg);
	case 'h':
		a->help = true;
		break;
	case 'm':
		if (!sw_mac_by_name(optarg, &a->alg))
			return sw_usage(CMD, "--mac: '%s' is neither hmac-sha256 nor siphash-2-4",
					optarg);
		break;
	case 'c':
		if (!sw_opt_number(optarg, 1, UINT32_MAX, &a->count))
			return sw_usage(CMD, "--count: '%s' is no number above 0", optarg);
		break;
	case OPT_REASON:
		return add_reasons(a, optarg);
	case OPT_DROP:
		a->drop = true;
		break;
	case OPT_ACCEPT:
		a->accept = true;
		break;
	default: /* 'n' */
		break;
	}
	return SW_EXIT_OK;
}

static int join_filter(struct sw_trace_args *a, int argc, char **argv)
{
	size_t used = 0;

	for (int i = optind; i < argc; i++) {
		const int n = snprintf(a->filter + used, sizeof(a->filter) - used, "%s%s",
				       used ? " " : "", argv[i]);

		if (n < 0 || (size_t)n >= sizeof(a->filter) - used)
			return sw_usage(CMD, "the filter is longer than %d bytes", SW_TRACE_FILTER - 1);
		used += (size_t)n;
	}
	if (a->iface && a->read)
		return sw_usage(CMD, "--interface and --read: one of them");
	if (a->drop && a->accept)
		return sw_usage(CMD, "--drop and --accept: one of them");
	return SW_EXIT_OK;
}

int sw_trace_args_read(struct sw_trace_args *a, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "interface", required_argument, NULL, 'i' },
		{ "read", required_argument, NULL, 'r' },
		{ "listen", required_argument, NULL, 'l' },
		{ "key-file", required_argument, NULL, 'k' },
		{ "mac", required_argument, NULL, 'm' },
		{ "count", required_argument, NULL, 'c' },
		{ "reason", required_argument, NULL, OPT_REASON },
		{ "drop", no_argument, NULL, OPT_DROP },
		{ "accept", no_argument, NULL, OPT_ACCEPT },
		{ "write", required_argument, NULL, 'w' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	int opt, rc = SW_EXIT_OK;

	opterr = 0;
	while (rc == SW_EXIT_OK && !a->help &&
	       (opt = getopt_long(argc, argv, "+:i:r:l:k:m:c:w:nh", longs, NULL)) != -1)
		rc = opt == '?' || opt == ':' ? sw_usage_getopt(CMD, opt, argv) : set_arg(a, opt);
	return rc == SW_EXIT_OK && !a->help ? join_filter(a, argc, argv) : rc;
}
