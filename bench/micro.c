/* SPDX-License-Identifier: MIT */
/*
 * What each step of the core costs, or with --bpf what a frame costs in the BPF programs, in
 * nanoseconds.  A row is the best of several rounds: what disturbs one can only make it slower.
 *
 *   bench_micro > before; ...; bench_micro --baseline before
 */
#include "core/decide.h"
#include "core/reply.h"
#include "micro.h"
#include "tool.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <net/ethernet.h>

#define FRAMES 1024 /* different ones, used in turn */
#define VICTIM 0xc6336401u

/* What the rows work on. */
struct bench {
	struct sw_ctx cx;
	uint8_t bytes[FRAMES][FLOOD_MAX];
	struct sw_frame frame[FRAMES];
	struct sw_seg seg[FRAMES];
	struct sw_synack synack;
	sw_wall wall;
	sw_mono mono;
};

static struct bench b;
static volatile uint64_t eaten; /* so that no work can be left out */
static const char *baseline_path;
static uint64_t round_ns = 20 * NS_PER_MS;
static size_t rounds = 9;

static void put_word(uint8_t *to, uint32_t host)
{
	const uint32_t word = htonl(host);

	memcpy(to, &word, sizeof(word));
}

size_t micro_frame(uint8_t out[FLOOD_MAX], const struct flood_packet *p)
{
	const uint16_t type = htons(ETH_P_IP);
	uint8_t *to = out + 14;

	memset(out, 0, 6); /* as the loopback's address is */
	memset(out + 6, 2, 6);
	memcpy(out + 12, &type, 2);
	for (size_t w = 0; w < p->nip; w++, to += 4)
		put_word(to, p->ip[w]);
	for (size_t w = 0; w < p->ntcp; w++, to += 4)
		put_word(to, p->tcp[w]);
	return (size_t)(to - out);
}

static void make_frames(uint32_t kind)
{
	const struct flood_cfg cf = { .seed = 1, .kind = kind, .daddr = VICTIM, .dport = 80 };

	for (size_t i = 0; i < FRAMES; i++) {
		struct flood_packet p = { 0 };

		flood_make(&p, &cf, i);
		b.frame[i] =
			(struct sw_frame){ .data = b.bytes[i], .len = micro_frame(b.bytes[i], &p) };
		b.frame[i].wire_len = b.frame[i].len;
		if (sw_wire_parse(&b.seg[i], &b.frame[i]) != SW_WIRE_OK)
			abort();
	}
}

const struct sw_policy micro_policy = { .mss4 = 1460,
					.mss6 = 1440,
					.window = 65535,
					.wscale = 7,
					.ttl = 64,
					.wscale_on = true,
					.sack_on = true,
					.ts_on = true };

static void make_context(enum sw_mac_alg alg)
{
	static const uint8_t victim[4] = { 198, 51, 100, 1 };
	struct sw_policy p = micro_policy;
	struct sw_masters m = { .n = 1 };
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	b.wall.ns = (uint64_t)ts.tv_sec * NS_PER_S;
	b.mono.ns = now_ns();
	memset(m.key[0], 0x42, SW_KEY_LEN);
	p.nguard = 1;
	p.guard[0] = (struct sw_guard){ .family = SW_IP4, .port = 80 };
	memcpy(p.guard[0].addr.b, victim, 4);
	sw_ctx_wipe(&b.cx);
	if (!sw_ctx_init(&b.cx, &p, alg, &m, 1, b.wall, b.mono)) {
		fputs("bench_micro: no context\n", stderr);
		exit(1);
	}
}

/* ---- the steps ---- */

static uint64_t step_parse(size_t i)
{
	return sw_wire_parse(&b.seg[i], &b.frame[i]) + b.seg[i].seq;
}

static uint64_t step_csum(size_t i)
{
	return sw_wire_tcp_csum_ok(&b.frame[i], &b.seg[i]);
}

static uint64_t step_mint(size_t i)
{
	static const struct sw_terms terms = {
		.mss = 1460, .wscale = 7, .wscale_ok = true, .sack = true, .ts = true
	};
	struct sw_cookie cookie;
	const enum sw_why why = sw_cookie_mint(&b.cx.keys, &b.seg[i], &terms, b.wall, &cookie);

	return why + cookie.isn;
}

static uint64_t step_check(size_t i)
{
	struct sw_cookie cookie;

	return sw_cookie_check(&b.cx.keys, &b.seg[i], b.wall, &cookie);
}

static uint64_t step_decide(size_t i)
{
	struct sw_seg seg;

	return sw_decide(&b.cx, &b.frame[i], &seg, b.wall, b.mono).why;
}

static uint64_t step_reply(size_t i)
{
	uint8_t out[SW_REPLY_MAX];

	return sw_reply_synack(out, &b.seg[i], &b.synack) + out[40];
}

static const struct row {
	const char *name;
	uint32_t kind;
	enum sw_mac_alg alg;
	uint64_t (*step)(size_t i);
} rows[] = {
	{ "parse-syn", FLOOD_SYN_LINUX, SW_MAC_SIPHASH24, step_parse },
	{ "parse-ack", FLOOD_ACK_TS, SW_MAC_SIPHASH24, step_parse },
	{ "checksum-syn", FLOOD_SYN_LINUX, SW_MAC_SIPHASH24, step_csum },
	{ "mint-hmac-sha256", FLOOD_SYN_LINUX, SW_MAC_HMAC_SHA256, step_mint },
	{ "mint-siphash-2-4", FLOOD_SYN_LINUX, SW_MAC_SIPHASH24, step_mint },
	{ "check-hmac-sha256", FLOOD_ACK_TS, SW_MAC_HMAC_SHA256, step_check },
	{ "check-siphash-2-4", FLOOD_ACK_TS, SW_MAC_SIPHASH24, step_check },
	{ "decide-syn-hmac-sha256", FLOOD_SYN_LINUX, SW_MAC_HMAC_SHA256, step_decide },
	{ "decide-syn-siphash-2-4", FLOOD_SYN_LINUX, SW_MAC_SIPHASH24, step_decide },
	{ "decide-ack-hmac-sha256", FLOOD_ACK_TS, SW_MAC_HMAC_SHA256, step_decide },
	{ "decide-ack-siphash-2-4", FLOOD_ACK_TS, SW_MAC_SIPHASH24, step_decide },
	{ "reply", FLOOD_SYN_LINUX, SW_MAC_SIPHASH24, step_reply },
};
#define NROWS (sizeof(rows) / sizeof(rows[0]))

/* ---- measuring ---- */

static uint64_t core_round(const void *row, uint64_t n)
{
	const struct row *r = row;
	const uint64_t begin = now_ns();

	for (uint64_t i = 0; i < n; i++)
		eaten += r->step(i % FRAMES);
	return now_ns() - begin;
}

double micro_measure(micro_round *go, const void *row)
{
	const uint64_t guess = go(row, FRAMES) / FRAMES;
	const uint64_t n = 1 + round_ns / (guess ? guess : 1);
	double best = 0;

	for (size_t i = 0; i < rounds; i++) {
		const double ns = (double)go(row, n) / (double)n;

		if (i == 0 || ns < best)
			best = ns;
	}
	return best;
}

static void core(const struct row *r)
{
	make_context(r->alg);
	make_frames(r->kind);
	b.synack = (struct sw_synack){ .isn = 1,
				       .tsval = 2,
				       .tsecr = 3,
				       .mss = 1460,
				       .window = 65535,
				       .wscale = 7,
				       .ttl = 64,
				       .wscale_ok = true,
				       .sack = true,
				       .ts = true };
	micro_print(r->name, micro_measure(core_round, r));
}

/* @return what a line "name ns" of an earlier run says; 0 when there is none. */
static double baseline(const char *path, const char *name)
{
	char line[256], word[64];
	double ns, found = 0;
	FILE *f = fopen(path, "re");

	if (!f)
		die(path);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%63s %lf", word, &ns) == 2 && strcmp(word, name) == 0)
			found = ns;
	fclose(f);
	return found;
}

void micro_print(const char *name, double ns)
{
	const double old = baseline_path ? baseline(baseline_path, name) : 0;

	printf("%-24s %9.1f ns", name, ns);
	if (old > 0)
		printf("   %.2fx", ns / old);
	puts("");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	bool bpf = false;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--baseline") == 0 && i + 1 < argc) {
			baseline_path = argv[++i];
		} else if (strcmp(argv[i], "--quick") == 0) {
			round_ns = NS_PER_MS;
			rounds = 3;
		} else if (strcmp(argv[i], "--bpf") == 0) {
			bpf = true;
		} else {
			fputs("usage: bench_micro [--bpf] [--quick] [--baseline FILE]\n"
			      "FILE is what an earlier run printed; each row then ends with the "
			      "ratio to it.\n",
			      stderr);
			return 2;
		}
	}
	if (bpf) {
		micro_bpf();
		return 0;
	}
	for (size_t i = 0; i < NROWS; i++)
		core(&rows[i]);
	sw_ctx_wipe(&b.cx);
	return 0;
}
