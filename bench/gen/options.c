/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AUTO_PACKET 300000 /* frames a second up to which a packet socket is the better engine */

static const char *const kind_name[FLOOD_NKIND] = { "syn-plain", "syn-data", "syn-linux", "ack",
						    "ack-ts",	 "rst",	     "fin",	  "mix" };

static const char usage_text[] =
	"usage: bench_gen --interface VETH [--kind K] [--family 4|6] [--seconds N] [--count N]\n"
	"                 [--rate N] [--engine packet|xdp] [--seed N] [--first N] [--prefix]\n"
	"                 [--to ADDR] [--port N] [--to-mac MAC] [--from-mac MAC] [--json]\n"
	"\n"
	"Kinds: syn-plain (as hping3 -S), syn-data (as hping3 -S -d 120 -w 64), syn-linux (as a\n"
	"Linux client), ack, ack-ts, rst, fin, mix.  Sources are random in 198.18.0.0/15, with\n"
	"--prefix in 198.18.7.0/24; of family 6 in 2001:db8:c612::/48, with --prefix in\n"
	"2001:db8:c612:7::/64.  The same --seed (1) gives the same frames, from number --first\n"
	"(0) on.  --rate is frames a second; without it as many as the engine can.  Up to 300,000\n"
	"a second the engine is a packet socket, else XDP live frames.  Ends after --seconds (5,\n"
	"at most 600) or --count frames.  Refuses every interface that is not a veth.\n"
	"Each second it says on stderr what was sent: what the far end of the veth had room for.\n";

static _Noreturn void usage(const char *what)
{
	fprintf(stderr, "bench_gen: %s\n%s", what, usage_text);
	exit(2);
}

const char *gen_kind_name(uint32_t kind)
{
	return kind_name[kind];
}

static uint64_t number(const char *text, uint64_t max)
{
	char *end;
	unsigned long long v;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-' || v > max)
		usage("a number was expected, or a smaller one");
	return v;
}

static void parse_mac(uint8_t out[6], const char *text)
{
	if (sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", &out[0], &out[1], &out[2], &out[3],
		   &out[4], &out[5]) != 6)
		usage("a MAC address was expected");
}

static uint32_t parse_kind(const char *text)
{
	for (uint32_t i = 0; i < FLOOD_NKIND; i++)
		if (strcmp(text, kind_name[i]) == 0)
			return i;
	usage("the kind is none of the list below");
}

/* An address of the family. */
static void parse_to(struct flood_cfg *cf, const char *text)
{
	uint32_t word[4];

	if (inet_pton(cf->v6 ? AF_INET6 : AF_INET, text, word) != 1)
		usage("--to: an address of the --family (4) was expected");
	if (!cf->v6)
		cf->daddr = ntohl(word[0]);
	for (int i = 0; cf->v6 && i < 4; i++)
		cf->daddr6[i] = ntohl(word[i]);
}

static bool is_second(const char *value, const char *first, const char *second)
{
	if (strcmp(value, first) != 0 && strcmp(value, second) != 0)
		usage("--engine is packet or xdp, --family 4 or 6");
	return strcmp(value, second) == 0;
}

/* @return false for an option that is not about the frames. */
static bool set_frame(struct flood_cfg *cf, int opt, const char *value)
{
	switch (opt) {
	case 'k':
		cf->kind = parse_kind(value);
		return true;
	case 'f':
		cf->v6 = is_second(value, "4", "6");
		return true;
	case 'S':
		cf->seed = number(value, UINT64_MAX);
		return true;
	case 'n':
		cf->first = number(value, UINT64_MAX);
		return true;
	case 'P':
		cf->prefix = 1;
		return true;
	case 'p':
		cf->dport = (uint16_t)number(value, 65535);
		return true;
	case 'm':
		parse_mac(cf->mac, value);
		return true;
	case 'M':
		parse_mac(cf->mac + 6, value);
		return true;
	default:
		return false;
	}
}

/* What is set when all options are known. */
struct later {
	const char *engine, *to;
};

static void set_option(struct gen_options *o, struct later *later, int opt, const char *value)
{
	switch (opt) {
	case 'i':
		o->interface = value;
		break;
	case 's':
		o->seconds = number(value, GEN_MAX_SECONDS);
		break;
	case 'c':
		o->cf.count = number(value, UINT64_MAX);
		break;
	case 'r':
		o->cf.rate = number(value, 20000000);
		break;
	case 'j':
		o->json = true;
		break;
	case 'e':
		later->engine = value;
		break;
	case 't':
		later->to = value;
		break;
	default:
		if (!set_frame(&o->cf, opt, value))
			usage("an option of the list below was expected");
	}
}

void gen_options_parse(struct gen_options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "interface", required_argument, NULL, 'i' },
		{ "kind", required_argument, NULL, 'k' },
		{ "family", required_argument, NULL, 'f' },
		{ "seconds", required_argument, NULL, 's' },
		{ "count", required_argument, NULL, 'c' },
		{ "rate", required_argument, NULL, 'r' },
		{ "engine", required_argument, NULL, 'e' },
		{ "seed", required_argument, NULL, 'S' },
		{ "first", required_argument, NULL, 'n' },
		{ "prefix", no_argument, NULL, 'P' },
		{ "json", no_argument, NULL, 'j' },
		{ "to", required_argument, NULL, 't' },
		{ "port", required_argument, NULL, 'p' },
		{ "to-mac", required_argument, NULL, 'm' },
		{ "from-mac", required_argument, NULL, 'M' },
		{ 0 },
	};
	struct later later = { 0 };
	int opt;

	while ((opt = getopt_long(argc, argv, "i:", longs, NULL)) != -1)
		set_option(o, &later, opt, optarg);
	if (!o->interface || optind != argc)
		usage("--interface is needed");
	o->cf.len = flood_len(o->cf.kind, o->cf.v6);
	o->xdp = later.engine ? is_second(later.engine, "packet", "xdp")
			      : !o->cf.rate || o->cf.rate > AUTO_PACKET;
	if (later.to)
		parse_to(&o->cf, later.to);
}
