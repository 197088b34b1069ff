/* SPDX-License-Identifier: MIT */
/* The XDP program against the core, by BPF_PROG_TEST_RUN: same verdicts, same bytes. */
#include "steer/answer.h"
#include "core/frames.h"
#include "core/reply.h"

#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <linux/bpf.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>

#define EPOCH 55123104u
#define RUNS 100000 /* for each of two families and two MACs */

static struct sw_ctx ctx;
static struct sw_answer *answer;
static sw_wall wall;
static uint64_t seed;

static sw_mono mono_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (sw_mono){ (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec };
}

static struct sw_policy policy(bool ecn)
{
	struct sw_policy p = { .nguard = 3, .mss4 = 1460, .mss6 = 1440, .window = 64240,
			       .wscale = 10, .ttl = 64, .wscale_on = true, .sack_on = true,
			       .ts_on = true, .ecn_on = ecn };

	p.guard[0] = (struct sw_guard){ .family = SW_IP4, .addr = frame_addr("198.51.100.2"),
					.port = 443 };
	p.guard[1] = (struct sw_guard){ .family = SW_IP6, .addr = frame_addr("2001:db8:ffff::2"),
					.port = 443 };
	p.guard[2] = (struct sw_guard){ .family = SW_IP4, .any = true, .port = 8443 };
	return p;
}

/* Both sides in the middle of an epoch, with the same keys. */
static void start(enum sw_mac_alg alg, const struct sw_policy *p, size_t masters)
{
	struct sw_masters keys = { .n = masters };
	struct sw_answer_config cf = { .policy = p, .masters = &keys, .alg = alg };
	const sw_mono mono = mono_now();
	char err[256] = "";

	cr_assert_eq(unshare(CLONE_NEWNET), 0, "needs root");
	for (size_t m = 0; m < masters; m++)
		memset(keys.key[m], (int)(0x40 + m), SW_KEY_LEN);
	wall = (sw_wall){ (EPOCH * 32ull + 8) * 1000000000ull };
	cr_assert(sw_ctx_init(&ctx, p, alg, &keys, 1, wall, mono), "core");
	cr_assert_eq(sw_answer_open(&answer, &cf, wall, mono, err, sizeof(err)), 0, "%s", err);
	for (size_t i = 0; i < p->nguard; i++)
		cr_assert_eq(sw_answer_guard(answer, &p->guard[i], true), 0, "guard %zu", i);
}

/* @return the XDP verdict; the frame and its length are what the program left. */
static uint32_t run(uint8_t *frame, size_t *len)
{
	static uint8_t out[FRAME_MAX + 256];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (uint32_t)*len,
		    .data_out = out, .data_size_out = sizeof(out), .repeat = 1);
	const int rc = bpf_prog_test_run_opts(sw_answer_prog_fd(answer), &opts);

	cr_assert_eq(rc, 0, "BPF_PROG_TEST_RUN: %d", rc);
	*len = opts.data_size_out;
	memcpy(frame, out, *len);
	return opts.retval;
}

static unsigned pick(unsigned n)
{
	return (unsigned)(frame_rand(&seed) % n);
}

static void put_options(struct frame_spec *s)
{
	static const uint16_t mss[] = { 0, 100, 216, 535, 536, 1219, 1220, 1240, 1360, 1380, 1420,
					1432, 1440, 1452, 1460, 8940, 8960, 9000, 65535 };

	if (pick(20) == 0) { /* anything at all */
		s->opt_len = (uint8_t)(4 * pick(11));
		for (size_t i = 0; i < s->opt_len; i++)
			s->opt[i] = (uint8_t)(pick(3) ? pick(12) : frame_rand(&seed));
		return;
	}
	for (unsigned left = 0xf, i; left; left &= ~(1u << i)) {
		i = pick(4);
		if (!(left & 1u << i) || pick(4) == 0)
			continue;
		if (i == 0)
			frame_opt_mss(s, mss[pick(sizeof(mss) / sizeof(mss[0]))]);
		else if (i == 1)
			frame_opt_sack(s);
		else if (i == 2)
			frame_opt_ts(s, (uint32_t)frame_rand(&seed), 0);
		else
			frame_opt_wscale(s, (uint8_t)pick(17));
	}
}

/* A frame of any shape that is well formed, or nearly. */
static struct frame_spec any_frame(enum sw_family family)
{
	static const uint8_t flags[] = { SW_TCP_SYN, SW_TCP_SYN, SW_TCP_SYN, SW_TCP_SYN,
					 SW_TCP_SYN | SW_TCP_ECE | SW_TCP_CWR,
					 SW_TCP_SYN | SW_TCP_PSH | SW_TCP_URG,
					 SW_TCP_SYN | SW_TCP_FIN, SW_TCP_SYN | SW_TCP_RST,
					 SW_TCP_SYN | SW_TCP_ACK, SW_TCP_RST, SW_TCP_RST | SW_TCP_ACK,
					 SW_TCP_FIN, 0, SW_TCP_ACK, SW_TCP_ACK | SW_TCP_PSH };
	struct frame_spec s = frame_syn(family);

	if (pick(8)) /* else it comes from the usual host */
		for (size_t i = 0; i < sw_addr_len(family); i++)
			s.src.b[i] = (uint8_t)frame_rand(&seed);
	for (size_t i = 0; i < pick(3); i++)
		s.vlan[i] = (struct sw_vlan){ pick(2) ? SW_ETH_VLAN : SW_ETH_QINQ,
					      (uint16_t)frame_rand(&seed) };
	if (family == SW_IP4) {
		s.ip4_opt_len = pick(4) ? 0 : (uint8_t)(4 * pick(11));
	} else if (pick(3) == 0) {
		static const uint8_t ext[] = { SW_IP_DSTOPT, SW_IP_ROUTING, SW_IP_FRAG,
					       SW_IP_HOPOPT };

		s.n_ext = (uint8_t)pick(8);
		for (size_t i = 0; i < s.n_ext; i++)
			s.ext[i] = ext[pick(i ? 3 : 4)];
	}
	s.sport = (uint16_t)(pick(50) ? frame_rand(&seed) : 0);
	s.seq = (uint32_t)frame_rand(&seed);
	s.ack = (uint32_t)frame_rand(&seed);
	s.flags = flags[pick(sizeof(flags))];
	put_options(&s);
	s.payload = (uint16_t)(pick(4) ? 0 : pick(300));
	s.pad = (uint8_t)(pick(4) ? 0 : pick(20));
	return s;
}

/* What the program is to do where the core decides this. */
static uint32_t expected(const struct sw_decision *d)
{
	switch (d->verdict) {
	case SW_REPLY:
		return XDP_TX;
	case SW_ADMIT:
	case SW_PASS:
		return XDP_PASS;
	case SW_DROP:
	case SW_NVERDICT:
		break;
	}
	/* Malformed below the ports: left to the kernel, which drops it. */
	return d->why >= SW_WHY_SHORT && d->why <= SW_WHY_EXT_HEADERS ? XDP_PASS : XDP_DROP;
}

static void compare(const struct frame *f, unsigned n, uint64_t begin)
{
	const struct sw_frame view = { .data = f->b, .len = f->len, .wire_len = f->len };
	uint8_t want[SW_REPLY_MAX], got[FRAME_MAX + 256];
	struct sw_decision d;
	size_t len = f->len, want_len;
	struct sw_seg seg;
	uint32_t act;

	d = sw_decide(&ctx, &view, &seg, wall, (sw_mono){ 1 });
	memcpy(got, f->b, f->len);
	act = run(got, &len);
	cr_assert_eq(act, expected(&d), "frame %u of seed %#llx: XDP %u, core verdict %d, %s", n,
		     (unsigned long long)begin, act, d.verdict, sw_why_name(d.why));
	if (d.verdict != SW_REPLY)
		return;
	want_len = sw_reply_synack(want, &seg, &d.synack);
	cr_assert_eq(len, want_len, "frame %u of seed %#llx: %zu bytes, core %zu", n,
		     (unsigned long long)begin, len, want_len);
	for (size_t i = 0; i < len; i++)
		cr_assert_eq(got[i], want[i], "frame %u of seed %#llx: byte %zu is %#x, core %#x",
			     n, (unsigned long long)begin, i, got[i], want[i]);
}

static void compare_many(enum sw_mac_alg alg)
{
	const struct sw_policy p = policy(true);
	uint64_t before[SW_NWHY] = { 0 };

	start(alg, &p, 1);
	for (int v6 = 0; v6 < 2; v6++) {
		const uint64_t begin = 0x5eed0000u + (uint64_t)v6;

		seed = begin;
		for (unsigned n = 0; n < RUNS; n++) {
			const struct frame_spec s = any_frame(v6 ? SW_IP6 : SW_IP4);
			const struct frame f = frame_make(&s);

			compare(&f, n, begin);
		}
	}
	sw_answer_count(answer, before);
	cr_assert(before[SW_WHY_SYN_ANSWERED] > RUNS / 5, "%llu answered",
		  (unsigned long long)before[SW_WHY_SYN_ANSWERED]);
	sw_answer_close(answer);
}

Test(answer, hmac_sha256_equals_the_core, .timeout = 120)
{
	compare_many(SW_MAC_HMAC_SHA256);
}

Test(answer, siphash_equals_the_core, .timeout = 120)
{
	compare_many(SW_MAC_SIPHASH24);
}

/* Make the ACK that answers the SYN-ACK of the XDP program, or of the core. */
static struct frame_spec ack_for(const struct frame_spec *syn, bool by_core)
{
	struct frame f = frame_make(syn);
	const struct sw_frame view = { .data = f.b, .len = f.len, .wire_len = f.len };
	struct sw_seg seg;

	if (by_core) {
		const struct sw_decision d = sw_decide(&ctx, &view, &seg, wall, (sw_mono){ 1 });

		cr_assert_eq(d.verdict, SW_REPLY, "%s", sw_why_name(d.why));
		return frame_ack_of(syn, d.synack.isn, d.terms.ts, d.synack.tsval);
	} else {
		uint8_t reply[FRAME_MAX + 256];
		struct sw_frame r = { .data = reply };

		r.len = f.len;
		memcpy(reply, f.b, f.len);
		cr_assert_eq(run(reply, &r.len), XDP_TX, "answered");
		r.wire_len = r.len;
		cr_assert_eq(sw_wire_parse(&seg, &r), SW_WIRE_OK, "a good frame");
		return frame_ack_of(syn, seg.seq, seg.opt.ts, seg.opt.tsval);
	}
}

static uint32_t judge(const struct frame_spec *ack)
{
	const struct frame f = frame_make(ack);
	uint8_t b[FRAME_MAX + 256];
	size_t len = f.len;

	memcpy(b, f.b, f.len);
	return run(b, &len);
}

static bool core_admits(const struct frame_spec *ack)
{
	const struct frame f = frame_make(ack);
	const struct sw_frame view = { .data = f.b, .len = f.len, .wire_len = f.len };
	struct sw_seg seg;

	return sw_decide(&ctx, &view, &seg, wall, (sw_mono){ 1 }).verdict == SW_ADMIT;
}

/* Either side proves what the other minted; a changed bit is proof of nothing. */
static void prove_both_ways(enum sw_mac_alg alg, size_t masters)
{
	const struct sw_policy p = policy(false);

	start(alg, &p, masters);
	seed = 11;
	for (unsigned n = 0; n < 2000; n++) {
		struct frame_spec syn = n % 2 ? frame_syn(SW_IP4) : frame_syn(SW_IP6);
		struct frame_spec ack;

		syn.sport = (uint16_t)(1024 + n);
		syn.seq = (uint32_t)frame_rand(&seed);
		frame_opt_mss(&syn, (uint16_t)(1220 + pick(300)));
		if (n & 2)
			frame_opt_ts(&syn, n, 0);
		if (n & 4)
			frame_opt_sack(&syn);
		if (n & 8)
			frame_opt_wscale(&syn, (uint8_t)pick(15));
		ack = ack_for(&syn, n & 16);
		cr_assert(core_admits(&ack), "core, %u", n);
		/* The forged one first: the good one makes its flow known. */
		ack.ack ^= 1u << pick(32);
		cr_assert_eq(judge(&ack), XDP_DROP, "forged ISN, %u", n);
		ack = ack_for(&syn, n & 16);
		ack.seq ^= 1u << pick(32);
		cr_assert_eq(judge(&ack), XDP_DROP, "forged client ISN, %u", n);
		ack = ack_for(&syn, n & 16);
		cr_assert_eq(judge(&ack), XDP_PASS, "genuine, %u", n);
		ack.seq += 1000;
		cr_assert_eq(judge(&ack), XDP_PASS, "behind the genuine one, %u", n);
	}
	sw_answer_close(answer);
}

Test(answer, proofs_with_hmac_sha256, .timeout = 60)
{
	prove_both_ways(SW_MAC_HMAC_SHA256, 1);
}

Test(answer, proofs_with_siphash, .timeout = 60)
{
	prove_both_ways(SW_MAC_SIPHASH24, 3);
}

/* The clock of the program follows sw_answer_tick(). */
Test(answer, epochs, .timeout = 60)
{
	static const struct {
		int64_t later_s; /* the SYN-ACK was sent at 8 s in the epoch */
		uint32_t want;
	} at[] = { { 0, XDP_PASS },   { 24, XDP_PASS },  { 55, XDP_PASS },  { 57, XDP_DROP },
		   { 120, XDP_DROP }, { -9, XDP_PASS },  { -11, XDP_DROP }, { -40, XDP_DROP } };
	const struct sw_policy p = policy(false);

	start(SW_MAC_SIPHASH24, &p, 1);
	for (unsigned i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		struct frame_spec syn = frame_syn_usual(SW_IP4), ack;
		sw_wall then = wall;

		syn.sport = (uint16_t)(2000 + i);
		cr_assert_eq(sw_answer_tick(answer, wall, mono_now()), 0, "tick");
		ack = ack_for(&syn, false);
		then.ns += (uint64_t)(at[i].later_s * 1000000000);
		cr_assert_eq(sw_answer_tick(answer, then, mono_now()), 0, "tick");
		cr_assert_eq(judge(&ack), at[i].want, "%lld s later", (long long)at[i].later_s);
	}
	sw_answer_close(answer);
}

/* A minute without user space: the keys of the next two epochs are there already. */
Test(answer, user_space_may_stall, .timeout = 60)
{
	const struct sw_policy p = policy(false);
	struct frame_spec syn = frame_syn_usual(SW_IP4), ack;
	const sw_mono mono = mono_now();

	start(SW_MAC_HMAC_SHA256, &p, 1);
	/* The keys are those of `wall`; only the clock goes on, by 60 s. */
	cr_assert_eq(sw_answer_tick(answer, wall, (sw_mono){ mono.ns - 55000000000u }), 0, "tick");
	ack = ack_for(&syn, false);
	cr_assert_eq(judge(&ack), XDP_PASS, "still proven");
	sw_answer_close(answer);
}

Test(answer, the_age_of_its_clock, .timeout = 60)
{
	const struct sw_policy p = policy(false);
	const sw_mono mono = mono_now();

	start(SW_MAC_SIPHASH24, &p, 1);
	cr_assert_eq(sw_answer_tick(answer, wall, mono), 0, "tick");
	cr_assert_eq(sw_answer_age_ms(answer, mono), 0, "now");
	cr_assert_eq(sw_answer_age_ms(answer, (sw_mono){ mono.ns + 2500000000u }), 2500, "later");
	cr_assert_eq(sw_answer_age_ms(answer, (sw_mono){ mono.ns - 1 }), 0, "before");
	sw_answer_close(answer);
}
