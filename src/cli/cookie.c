/* SPDX-License-Identifier: MIT */
#include "cli/cookie.h"

#include "cli/cli.h"
#include "steer/addr.h"
#include "study/when.h"

#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define SECOND_NS 1000000000ull
#define CMD	  "cookie"

static const char help_text[] =
	"usage: synward cookie mint  -f ADDR:PORT -t ADDR:PORT [-i N] [-o LIST] [OPTION]...\n"
	"       synward cookie check -f ADDR:PORT -t ADDR:PORT -s N -A N [-e N] -k FILE ...\n"
	"\n"
	"Make the SYN cookie for a SYN, or prove an ACK, by the functions that run under load,\n"
	"and show every step of it.\n"
	"\n"
	"  -f, --from ADDR:PORT  the client          -t, --to ADDR:PORT  the server\n"
	"  -i, --isn N        mint: the SYN's sequence number (default: a random one)\n"
	"  -o, --options LIST mint: what the client offers, of mss=N,wscale=N,sack,ts,ecn, or\n"
	"                     none (default: mss=1460,wscale=7,sack,ts)\n"
	"  -s, --seq N        check: the ACK's sequence number\n"
	"  -A, --ack N        check: its ACK number\n"
	"  -e, --tsecr N      check: its TSecr, when it has the timestamp option\n"
	"  -a, --at TIME      unix seconds, RFC 3339 or now (default)\n"
	"  -k, --key-file F   mint without: a throw-away key, which is printed\n"
	"  -m, --mac NAME     hmac-sha256 (default) or siphash-2-4\n"
	"  -j, --json         for programs\n"
	"  -h, --help         this text\n"
	"\n"
	"Exit codes: 0 minted or proven, 1 refused, 2 usage, 78 bad key file.\n";

/* The command line.  Texts are borrowed from argv. */
struct args {
	struct sw_cookie_report *r;
	const char *from, *to, *key_file, *options;
	bool json, has_isn, has_seq, has_ack;
};

uint32_t sw_cookie_report_isn(const struct sw_cookie_report *r)
{
	return r->mint ? r->seg.seq : r->seg.seq - 1;
}

static sw_wall clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (sw_wall){ (uint64_t)ts.tv_sec * SECOND_NS + (uint64_t)ts.tv_nsec };
}

/* Decimal or 0x and hexadecimal.  @return false when it is no number of 32 bits. */
static bool read_u32(const char *text, uint32_t *out)
{
	const bool hex = strncmp(text, "0x", 2) == 0 || strncmp(text, "0X", 2) == 0;
	const char *digits = hex ? text + 2 : text;
	const size_t n = strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789");
	unsigned long long v;

	if (n < 1 || n > (hex ? 8 : 10) || digits[n])
		return false;
	v = strtoull(digits, NULL, hex ? 16 : 10);
	if (v > UINT32_MAX)
		return false;
	*out = (uint32_t)v;
	return true;
}

static int set_u32(const char *option, const char *text, uint32_t *out)
{
	if (read_u32(text, out))
		return SW_EXIT_OK;
	return sw_usage(CMD, "%s: '%s' is no number of 0 to 4294967295 (or 0x0 to 0xffffffff)",
			option, text);
}

static int set_host(const char *option, const char *text, enum sw_family *family,
		    struct sw_addr *addr, uint16_t *port)
{
	struct sockaddr_storage ss;
	char err[256];

	if (sw_addr_parse(text, &ss, err, sizeof(err)) < 0)
		return sw_usage(CMD, "%s: %s", option, err);
	memset(addr, 0, sizeof(*addr));
	if (ss.ss_family == AF_INET) {
		const struct sockaddr_in *sin = (const struct sockaddr_in *)&ss;

		*family = SW_IP4;
		memcpy(addr->b, &sin->sin_addr, 4);
		*port = ntohs(sin->sin_port);
	} else {
		const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)&ss;

		*family = SW_IP6;
		memcpy(addr->b, &sin6->sin6_addr, 16);
		*port = ntohs(sin6->sin6_port);
	}
	return SW_EXIT_OK;
}

static int set_hosts(const struct args *a)
{
	struct sw_seg *seg = &a->r->seg;
	enum sw_family other;
	int rc;

	if (!a->from || !a->to)
		return sw_usage(CMD, "%s is missing: the %s's address and port",
				a->from ? "--to" : "--from", a->from ? "server" : "client");
	rc = set_host("--from", a->from, &seg->family, &seg->src, &seg->sport);
	if (rc == SW_EXIT_OK)
		rc = set_host("--to", a->to, &other, &seg->dst, &seg->dport);
	if (rc == SW_EXIT_OK && other != seg->family)
		rc = sw_usage(CMD, "--from %s and --to %s: one is IPv4, the other IPv6", a->from,
			      a->to);
	return rc;
}

/* One of "mss=N", "wscale=N", "sack", "ts", "ecn". */
static int set_option(const char *word, size_t len, struct sw_terms *t)
{
	char text[32];
	uint32_t n;

	if (len >= sizeof(text))
		return sw_usage(CMD, "--options: '%.*s' is none of mss=N, wscale=N, sack, ts, ecn",
				(int)len, word);
	memcpy(text, word, len);
	text[len] = '\0';
	if (strcmp(text, "sack") == 0) {
		t->sack = true;
	} else if (strcmp(text, "ts") == 0) {
		t->ts = true;
	} else if (strcmp(text, "ecn") == 0) {
		t->ecn = true;
	} else if (strncmp(text, "mss=", 4) == 0) {
		if (!read_u32(text + 4, &n) || n > UINT16_MAX)
			return sw_usage(CMD, "--options: '%s': the MSS is 0 to 65535", text);
		t->mss = (uint16_t)n;
	} else if (strncmp(text, "wscale=", 7) == 0) {
		if (!read_u32(text + 7, &n) || n > 14)
			return sw_usage(CMD, "--options: '%s': the window scale is 0 to 14 "
					     "(RFC 7323 2.3)", text);
		t->wscale = (uint8_t)n;
		t->wscale_ok = true;
	} else {
		return sw_usage(CMD, "--options: '%s' is none of mss=N, wscale=N, sack, ts, ecn",
				text);
	}
	return SW_EXIT_OK;
}

static int set_options(const char *list, struct sw_terms *t)
{
	int rc = SW_EXIT_OK;

	*t = (struct sw_terms){ 0 };
	if (strcmp(list, "none") == 0)
		return SW_EXIT_OK;
	while (rc == SW_EXIT_OK) {
		const size_t n = strcspn(list, ",");

		rc = set_option(list, n, t);
		if (!list[n])
			break;
		list += n + 1;
	}
	return rc;
}

static int set_arg(struct args *a, int opt, sw_wall now)
{
	struct sw_seg *seg = &a->r->seg;

	switch (opt) {
	case 'f':
		a->from = optarg;
		return SW_EXIT_OK;
	case 't':
		a->to = optarg;
		return SW_EXIT_OK;
	case 'i':
		a->has_isn = true;
		return set_u32("--isn", optarg, &seg->seq);
	case 's':
		a->has_seq = true;
		return set_u32("--seq", optarg, &seg->seq);
	case 'A':
		a->has_ack = true;
		return set_u32("--ack", optarg, &seg->ack);
	case 'e':
		seg->opt.ts = true;
		return set_u32("--tsecr", optarg, &seg->opt.tsecr);
	case 'o':
		a->options = optarg;
		return set_options(optarg, &a->r->offer);
	case 'k':
		a->key_file = optarg;
		return SW_EXIT_OK;
	case 'j':
		a->json = true;
		return SW_EXIT_OK;
	case 'a':
		if (sw_time_parse(optarg, now, &a->r->at))
			return SW_EXIT_OK;
		return sw_usage(CMD, "--at: '%s' is no time: expected unix seconds (1700000000), RFC "
				     "3339 (2023-11-14T22:13:20Z) or now", optarg);
	default:
		if (sw_mac_by_name(optarg, &a->r->alg))
			return SW_EXIT_OK;
		return sw_usage(CMD, "--mac: '%s' is neither hmac-sha256 nor siphash-2-4", optarg);
	}
}

/* What belongs to mint and what to check. */
static int check_args(const struct args *a)
{
	if (a->r->mint && (a->has_seq || a->has_ack || a->r->seg.opt.ts))
		return sw_usage(CMD, "--seq, --ack and --tsecr are of an ACK: use them with 'check'");
	if (a->r->mint)
		return SW_EXIT_OK;
	if (a->has_isn || a->options)
		return sw_usage(CMD, "--isn and --options are of a SYN: use them with 'mint'");
	if (!a->has_seq || !a->has_ack)
		return sw_usage(CMD, "%s is missing: the ACK's %s number",
				a->has_seq ? "--ack" : "--seq",
				a->has_seq ? "acknowledgement" : "sequence");
	if (!a->key_file)
		return sw_usage(CMD, "check needs the key that minted the cookie: --key-file FILE");
	return SW_EXIT_OK;
}

static int get_random(void *out, size_t n)
{
	if (getrandom(out, n, 0) == (ssize_t)n)
		return SW_EXIT_OK;
	fprintf(stderr, "synward cookie: getrandom: %s\n", strerror(errno));
	return SW_EXIT_FAILED;
}

static int get_key(const struct args *a)
{
	struct sw_keyfile *k = &a->r->keys;
	char err[512];

	if (!a->key_file) {
		k->masters.n = 1;
		k->slot[0] = SW_KEY_ACTIVE;
		a->r->throw_away = true;
		return get_random(k->masters.key[0], SW_KEY_LEN);
	}
	if (sw_keyfile_load(a->key_file, k, err, sizeof(err)) == 0)
		return SW_EXIT_OK;
	fprintf(stderr, "synward cookie: %s\n", err);
	return SW_EXIT_CONFIG;
}

static void mint(struct sw_cookie_report *r, struct sw_keyring *keys)
{
	r->why = SW_WHY_MSS_SMALL;
	if (sw_cookie_round(r->seg.family, &r->offer, &r->terms))
		r->why = sw_cookie_mint(keys, &r->seg, &r->terms, r->at, &r->cookie);
	r->has_cookie = r->why == SW_WHY_SYN_ANSWERED;
	snprintf(r->sentence, sizeof(r->sentence), "%s", sw_why_text(r->why));
}

/*
 * What the refused ACK should have returned, had it these addresses, ports, numbers and options: the
 * cookie for them, of the epoch that its parity bit asks for.
 */
static void expect(struct sw_cookie_report *r, struct sw_keyring *keys)
{
	const uint64_t length = SW_EPOCH_SECONDS * SECOND_NS;
	struct sw_seg syn = r->seg;

	syn.seq = sw_cookie_report_isn(r);
	for (uint64_t age = 0; age <= length && r->at.ns >= age && !r->has_wanted; age += length) {
		const sw_wall then = { r->at.ns - age };

		r->has_wanted = sw_cookie_mint(keys, &syn, &r->terms, then, &r->wanted) ==
					SW_WHY_SYN_ANSWERED &&
				r->wanted.data == r->cookie.data;
	}
}

/* In words what is wrong with a refused one, as far as it can be found. */
static void look_around(struct sw_cookie_report *r)
{
	struct sw_text t = { .at = r->sentence, .len = sizeof(r->sentence) };
	struct sw_neighbour near;
	char text[SW_SENTENCE_MAX];

	sw_text_add(&t, "%s", sw_why_text(r->why));
	if (r->why == SW_WHY_NO_KEY ||
	    !sw_neighbour_find(&r->keys.masters, r->alg, &r->seg, r->at, SW_EFFORT_FULL, &near))
		return;
	sw_neighbour_text(&near, &r->seg, r->at, (sw_wall){ 0 }, text, sizeof(text));
	sw_text_add(&t, ": %s", text);
}

static void check(struct sw_cookie_report *r, struct sw_keyring *keys)
{
	r->cookie = sw_cookie_presented(&r->seg);
	r->why = sw_cookie_check(keys, &r->seg, r->at, &r->cookie);
	r->has_cookie = r->why == SW_WHY_ACK_PROVEN;
	if (r->why == SW_WHY_COOKIE_FORGED)
		r->why = sw_cookie_diagnose(keys, &r->seg, r->at, &r->cookie);
	r->has_cookie = r->has_cookie || r->why == SW_WHY_COOKIE_EXPIRED ||
			r->why == SW_WHY_COOKIE_FUTURE;
	sw_cookie_terms(r->seg.family, r->cookie.form, r->cookie.data, &r->terms);
	if (r->why == SW_WHY_ACK_PROVEN)
		snprintf(r->sentence, sizeof(r->sentence), "%s", sw_why_text(r->why));
	else
		look_around(r);
	if (!r->has_cookie)
		expect(r, keys);
}

static int show(const struct args *a)
{
	const struct sw_cookie_report *r = a->r;

	if (!a->json)
		sw_cookie_print(r);
	else if (!sw_cookie_print_json(r))
		errno = ENOMEM;
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "synward cookie: cannot write: %s\n", strerror(errno));
		return SW_EXIT_FAILED;
	}
	return r->why == SW_WHY_SYN_ANSWERED || r->why == SW_WHY_ACK_PROVEN ? SW_EXIT_OK :
									     SW_EXIT_FAILED;
}

static int run(struct args *a)
{
	struct sw_keyring keys;
	int rc = set_hosts(a);

	if (rc == SW_EXIT_OK)
		rc = check_args(a);
	if (rc == SW_EXIT_OK && a->r->mint && !a->has_isn)
		rc = get_random(&a->r->seg.seq, sizeof(a->r->seg.seq));
	if (rc == SW_EXIT_OK)
		rc = get_key(a);
	if (rc != SW_EXIT_OK)
		return rc;
	if (!sw_keyring_init(&keys, a->r->alg, &a->r->keys.masters, a->r->at)) {
		fprintf(stderr, "synward cookie: libcrypto has no HKDF or no %s\n",
			sw_mac_name(a->r->alg));
		return SW_EXIT_FAILED;
	}
	if (a->r->mint)
		mint(a->r, &keys);
	else
		check(a->r, &keys);
	sw_keyring_wipe(&keys);
	return show(a);
}

int sw_cmd_cookie(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "from", required_argument, NULL, 'f' },
		{ "to", required_argument, NULL, 't' },
		{ "isn", required_argument, NULL, 'i' },
		{ "options", required_argument, NULL, 'o' },
		{ "seq", required_argument, NULL, 's' },
		{ "ack", required_argument, NULL, 'A' },
		{ "tsecr", required_argument, NULL, 'e' },
		{ "at", required_argument, NULL, 'a' },
		{ "key-file", required_argument, NULL, 'k' },
		{ "mac", required_argument, NULL, 'm' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	const sw_wall now = clock_now();
	struct sw_cookie_report report = { .at = now };
	struct args a = { .r = &report };
	int opt, rc = set_options("mss=1460,wscale=7,sack,ts", &report.offer);

	opterr = 0;
	while (rc == SW_EXIT_OK &&
	       (opt = getopt_long(argc, argv, ":f:t:i:o:s:A:e:a:k:m:jh", longs, NULL)) != -1) {
		if (opt == 'h') {
			fputs(help_text, stdout);
			return SW_EXIT_OK;
		}
		rc = opt == '?' || opt == ':' ? sw_usage_getopt(CMD, opt, argv) :
						set_arg(&a, opt, now);
	}
	if (rc != SW_EXIT_OK)
		return rc;
	report.mint = optind < argc && strcmp(argv[optind], "mint") == 0;
	if (argc - optind != 1 || (!report.mint && strcmp(argv[optind], "check") != 0))
		return sw_usage(CMD, "expected 'mint' or 'check'%s%s",
				argc - optind > 1 ? ", not also " : "",
				argc - optind > 1 ? argv[optind + 1] : "");
	rc = run(&a);
	explicit_bzero(&report, sizeof(report));
	return rc;
}
