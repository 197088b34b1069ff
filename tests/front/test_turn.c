/* SPDX-License-Identifier: MIT */
#include "front/turn.h"
#include "core/frames.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>

#define ROOM 512

static struct sw_ctx ctx, twin; /* large; a test runs alone in its process */

static const sw_wall wall = { FRAME_WALL_S * 1000000000ull };
static const sw_mono mono = { 1000000000ull };

/* Frames from memory, and what became of them: one letter a call. */
static struct {
	struct frame in[ROOM];
	bool cut[ROOM];
	size_t nin, at;
	uint8_t slot[SW_BURST][SW_REPLY_MAX];
	size_t len[SW_BURST], nsent;
	enum sw_why admit_says;
	int give_back_says;
	unsigned flush_says;
	char calls[4 * ROOM];
	size_t ncalls;
	const uint8_t *given_back; /* of the last call */
	struct sw_seg admitted;
	struct sw_decision decision;
} m;

static struct sw_counters n;

static void note(char what)
{
	cr_assert(m.ncalls < sizeof(m.calls) - 1, "too many calls");
	m.calls[m.ncalls++] = what;
}

static bool next(void *arg, struct sw_rx *rx)
{
	cr_assert_eq(arg, &m, "next: arg is %p", arg);
	if (m.at == m.nin)
		return false;
	memset(rx, 0, sizeof(*rx));
	rx->frame = frame_view(&m.in[m.at]);
	rx->cut = m.cut[m.at];
	m.at++;
	return true;
}

static uint8_t *slot(void *arg)
{
	cr_assert_eq(arg, &m, "slot: arg is %p", arg);
	cr_assert(m.nsent < SW_BURST, "more slots than frames in a burst");
	return m.slot[m.nsent];
}

static void send_frame(void *arg, size_t len)
{
	cr_assert_eq(arg, &m, "send: arg is %p", arg);
	m.len[m.nsent++] = len;
	note('s');
}

static unsigned flush(void *arg)
{
	cr_assert_eq(arg, &m, "flush: arg is %p", arg);
	m.nsent = 0;
	note('f');
	return m.flush_says;
}

static int give_back(void *arg, const struct sw_rx *rx)
{
	cr_assert_eq(arg, &m, "give_back: arg is %p", arg);
	cr_assert(!rx->cut, "a cut frame is given back");
	m.given_back = rx->frame.data;
	note('g');
	return m.give_back_says;
}

static enum sw_why admit(void *arg, const struct sw_seg *seg, const struct sw_decision *d)
{
	cr_assert_eq(arg, &m, "admit: arg is %p", arg);
	m.admitted = *seg;
	m.decision = *d;
	note('a');
	return m.admit_says;
}

static const struct sw_io io = { &m, next, slot, send_frame, flush, give_back, admit };

static void start_ctx(struct sw_ctx *cx, uint32_t refuse_rate)
{
	struct sw_masters masters = { .n = 1 };
	struct sw_policy p = {
		.nguard = 2,
		.mss4 = 1460,
		.mss6 = 1440,
		.window = 65535,
		.wscale = 9,
		.ttl = 64,
		.wscale_on = true,
		.sack_on = true,
		.ts_on = true,
		.refuse_rate = refuse_rate,
		.diagnose_rate = 1000,
	};

	sw_ctx_wipe(cx); /* of an earlier start */
	p.guard[0] = (struct sw_guard){ .family = SW_IP4, .any = true, .port = 443 };
	p.guard[1] = (struct sw_guard){ .family = SW_IP6, .any = true, .port = 443 };
	memset(masters.key[0], 0x42, SW_KEY_LEN);
	cr_assert(sw_ctx_init(cx, &p, SW_MAC_SIPHASH24, &masters, 1, wall, mono), "no context");
}

static void start(void)
{
	start_ctx(&ctx, 1000000);
	start_ctx(&twin, 1000000);
	memset(&m, 0, sizeof(m));
	memset(&n, 0, sizeof(n));
	m.admit_says = SW_WHY_ACK_PROVEN;
}

static void put(const struct frame *f)
{
	cr_assert(m.nin < ROOM, "too many frames");
	m.in[m.nin++] = *f;
}

static void put_spec(const struct frame_spec *s)
{
	const struct frame f = frame_make(s);

	put(&f);
}

/* The answer that ctx gives to @syn, by a context that is its equal. */
static struct sw_decision answer_to(const struct frame_spec *syn, struct sw_seg *seg)
{
	const struct frame f = frame_make(syn);
	const struct sw_frame view = frame_view(&f);
	const struct sw_decision d = sw_decide(&twin, &view, seg, wall, mono);

	cr_assert_eq(d.verdict, SW_REPLY, "no answer: %s", sw_why_name(d.why));
	return d;
}

static struct frame_spec ack_to(const struct frame_spec *syn)
{
	struct sw_seg seg;
	const struct sw_decision d = answer_to(syn, &seg);

	return frame_ack_of(syn, d.synack.isn, d.synack.ts, d.synack.tsval);
}

static struct frame_spec usual_ack(void)
{
	const struct frame_spec syn = frame_syn_usual(SW_IP4);

	return ack_to(&syn);
}

static unsigned turn(void)
{
	return sw_turn(&ctx, &n, &io, wall, mono);
}

static void expect_calls(const char *want, const char *what)
{
	m.calls[m.ncalls] = 0;
	cr_assert_str_eq(m.calls, want, "%s: calls were '%s', not '%s'", what, m.calls, want);
	m.ncalls = 0;
}

static void expect_counters(uint64_t frames, uint64_t synacks, uint64_t handed, uint64_t passed,
			    uint64_t dropped, const char *what)
{
	cr_assert(n.frames == frames && n.synacks == synacks && n.made == handed &&
			  n.passed == passed && n.dropped == dropped,
		  "%s: frames %lu synacks %lu handed %lu passed %lu dropped %lu", what, n.frames,
		  n.synacks, n.made, n.passed, n.dropped);
}

static void expect_why(enum sw_why why, uint64_t want)
{
	cr_assert_eq(n.why[why], want, "%s is %lu, not %lu", sw_why_name(why), n.why[why], want);
}

Test(turn, nothing_to_do_calls_nothing)
{
	start();
	cr_assert_eq(turn(), 0, "frames out of nowhere");
	expect_calls("", "no frames");
	expect_counters(0, 0, 0, 0, 0, "no frames");
}

Test(turn, a_syn_gets_the_synack_and_nothing_else_happens)
{
	for (unsigned v = 4; v <= 6; v += 2) {
		const struct frame_spec syn = frame_syn_usual((enum sw_family)v);
		uint8_t want[SW_REPLY_MAX];
		struct sw_seg seg;
		struct sw_decision d;
		size_t len;

		start();
		d = answer_to(&syn, &seg);
		len = sw_reply_synack(want, &seg, &d.synack);
		put_spec(&syn);
		cr_assert_eq(turn(), 1, "IPv%u: not one frame", v);
		expect_calls("sf", "a SYN");
		cr_assert(m.len[0] == len && memcmp(m.slot[0], want, len) == 0,
			  "IPv%u: another frame of %zu bytes, not %zu", v, m.len[0], len);
		expect_counters(1, 1, 0, 0, 0, "a SYN");
		expect_why(SW_WHY_SYN_ANSWERED, 1);
	}
}

Test(turn, the_socket_is_made_before_the_frame_goes_on)
{
	const struct frame_spec syn = frame_syn_usual(SW_IP6);
	struct frame_spec ack;

	start();
	ack = ack_to(&syn);
	put_spec(&ack);
	cr_assert_eq(turn(), 1, "not one frame");
	expect_calls("ag", "an ACK");
	cr_assert_eq(m.given_back, m.in[0].b, "another frame was given back");
	cr_assert(m.admitted.seq == ack.seq && m.admitted.sport == ack.sport &&
			  m.decision.verdict == SW_ADMIT && m.decision.terms.wscale == 7 &&
			  m.decision.cookie.isn == ack.ack - 1,
		  "admitted something else: seq %#x", m.admitted.seq);
	expect_counters(1, 0, 1, 1, 0, "an ACK");
	expect_why(SW_WHY_ACK_PROVEN, 1);
}

Test(turn, what_follows_the_ack_in_the_same_burst_passes)
{
	struct frame_spec ack, data;

	start();
	ack = usual_ack();
	data = ack;
	data.payload = 100;
	put_spec(&ack);
	put_spec(&data);
	data.seq += 100;
	data.opt_len = 0; /* no timestamp: nothing to prove it with */
	put_spec(&data);
	cr_assert_eq(turn(), 3, "not three frames");
	expect_calls("aggg", "ACK and data");
	expect_counters(3, 0, 1, 3, 0, "ACK and data");
	expect_why(SW_WHY_DUPLICATE, 1);
	expect_why(SW_WHY_AFTER_HANDOFF, 1);
}

Test(turn, a_failed_admission_leaves_the_cookie_good)
{
	static const enum sw_why whys[] = { SW_WHY_QUEUE_FULL, SW_WHY_NO_DESCRIPTOR,
					    SW_WHY_HANDOFF_FAILED };

	for (size_t i = 0; i < sizeof(whys) / sizeof(whys[0]); i++) {
		const char *name = sw_why_name(whys[i]);
		struct frame_spec ack;

		start();
		ack = usual_ack();
		m.admit_says = whys[i];
		put_spec(&ack);
		put_spec(&ack);
		cr_assert_eq(turn(), 2, "%s: not two frames", name);
		expect_calls("aa", name);
		expect_counters(2, 0, 0, 0, 2, name);
		expect_why(whys[i], 2);
		m.admit_says = SW_WHY_ACK_PROVEN;
		put_spec(&ack);
		cr_assert_eq(turn(), 1, "%s: not one frame", name);
		expect_calls("ag", name);
		expect_counters(3, 0, 1, 1, 2, name);
		expect_why(whys[i], 2);
	}
}

/* Another worker or an earlier life made the socket: the kernel has it. */
Test(turn, a_connection_that_exists_gets_its_segment_but_no_second_socket)
{
	struct frame_spec ack;

	start();
	ack = usual_ack();
	m.admit_says = SW_WHY_DUPLICATE;
	put_spec(&ack);
	cr_assert_eq(turn(), 1, "not one frame");
	expect_calls("ag", "exists already");
	expect_counters(1, 0, 0, 1, 0, "exists already");
	expect_why(SW_WHY_DUPLICATE, 1);
	put_spec(&ack);
	cr_assert_eq(turn(), 1, "not one frame");
	expect_calls("g", "the second time");
	expect_why(SW_WHY_DUPLICATE, 2);
}

Test(turn, a_cut_frame_is_not_given_back)
{
	struct frame_spec s, other = frame_syn(SW_IP4);

	start();
	s = usual_ack();
	put_spec(&s);
	other.dport = 80;
	put_spec(&other);
	m.cut[0] = m.cut[1] = true;
	cr_assert_eq(turn(), 2, "not two frames");
	expect_calls("a", "cut");
	/* The connection stands; the client sends its data again. */
	expect_counters(2, 0, 1, 0, 2, "cut");
	expect_why(SW_WHY_CUT, 2);
}

Test(turn, what_the_kernel_does_not_take_back_is_counted)
{
	struct frame_spec s, other = frame_syn(SW_IP4);

	start();
	s = usual_ack();
	put_spec(&s);
	other.dport = 80;
	put_spec(&other);
	m.give_back_says = -ENOBUFS;
	cr_assert_eq(turn(), 2, "not two frames");
	expect_calls("agg", "not taken");
	expect_counters(2, 0, 1, 0, 2, "not taken");
	expect_why(SW_WHY_SEND_FAILED, 2);
}

Test(turn, a_turn_ends_after_a_burst)
{
	struct frame_spec syn = frame_syn_usual(SW_IP4);
	char want[SW_BURST + 2];

	start();
	for (unsigned i = 0; i < SW_BURST + 1; i++, syn.sport++)
		put_spec(&syn);
	memset(want, 's', SW_BURST);
	memcpy(want + SW_BURST, "f", 2);
	cr_assert_eq(turn(), SW_BURST, "not a burst");
	expect_calls(want, "a burst");
	cr_assert_eq(m.at, SW_BURST, "%zu frames were taken", m.at);
	cr_assert_eq(turn(), 1, "not the one that was left");
	expect_calls("sf", "the rest");
	cr_assert_eq(turn(), 0, "one more");
	expect_counters(SW_BURST + 1, SW_BURST + 1, 0, 0, 0, "in all");
}

Test(turn, synacks_that_were_not_sent_are_no_synacks)
{
	struct frame_spec syn = frame_syn_usual(SW_IP6);

	start();
	for (unsigned i = 0; i < 5; i++, syn.sport++)
		put_spec(&syn);
	m.flush_says = 3;
	cr_assert_eq(turn(), 5, "not five frames");
	expect_counters(5, 2, 0, 0, 0, "three lost");
	expect_why(SW_WHY_SYN_ANSWERED, 5);
	expect_why(SW_WHY_SEND_FAILED, 3);
}

static void put_random(uint64_t *state)
{
	const uint64_t r = frame_rand(state);
	struct frame_spec s = frame_syn_usual(r & 1 ? SW_IP4 : SW_IP6);
	struct frame f;

	s.sport = (uint16_t)(1024 + (r >> 1) % 64);
	if (r >> 8 & 1)
		s = ack_to(&s);
	switch (r >> 16 & 7) {
	case 0:
		s.dport = 80;
		break;
	case 1:
		s.flags = (uint8_t)(r >> 24);
		break;
	case 2:
		s.ack ^= (uint32_t)(r >> 32);
		break;
	}
	f = frame_make(&s);
	if ((r >> 19 & 7) == 0)
		f.b[frame_rand(state) % f.len] ^= (uint8_t)(1u << (r >> 60 & 7));
	m.cut[m.nin] = (r >> 22 & 15) == 0;
	put(&f);
}

/* A SYN is answered or refused, and counted for its family. */
Test(turn, syns_are_counted)
{
	struct frame_spec s = frame_syn_usual(SW_IP6);

	start();
	put_spec(&s);
	s = frame_syn_usual(SW_IP4);
	put_spec(&s);
	s.flags = SW_TCP_SYN | SW_TCP_FIN;
	put_spec(&s);
	s.flags = SW_TCP_RST; /* refused as well, but no SYN */
	put_spec(&s);
	ctx.draining = true;
	cr_assert_eq(turn(), 4, "frames");
	expect_why(SW_WHY_DRAINING, 2);
	cr_assert(n.syn_refused[SW_WHY_DRAINING] == 2 && n.syn_refused[SW_WHY_BAD_FLAGS] == 1 &&
			  n.syn_refused[SW_WHY_RST] == 0 && n.syns_ip6 == 1,
		  "draining %lu, flags %lu, RST %lu, IPv6 %lu", n.syn_refused[SW_WHY_DRAINING],
		  n.syn_refused[SW_WHY_BAD_FLAGS], n.syn_refused[SW_WHY_RST], n.syns_ip6);
	ctx.draining = false;
	m.at = m.nin = 0;
	s = frame_syn_usual(SW_IP6);
	put_spec(&s);
	cr_assert_eq(turn(), 1, "frames");
	cr_assert(n.why[SW_WHY_SYN_ANSWERED] == 1 && n.syns_ip6 == 2, "answered");
}

/* However the turns go, every frame has one fate. */
Test(turn, every_frame_is_accounted_for)
{
	static const enum sw_why says[] = { SW_WHY_ACK_PROVEN, SW_WHY_ACK_PROVEN, SW_WHY_DUPLICATE,
					    SW_WHY_QUEUE_FULL, SW_WHY_HANDOFF_FAILED };
	uint64_t state = 20261122, sent = 0, given = 0, total = 0;
	uint64_t admitted = 0, refused_by_kernel = 0;

	start();
	start_ctx(&ctx, 100);
	for (unsigned round = 0; round < 200; round++) {
		const unsigned k = (unsigned)(frame_rand(&state) % (SW_BURST + 8));
		unsigned replies = 0;

		m.nin = m.at = m.ncalls = 0;
		for (unsigned i = 0; i < k; i++)
			put_random(&state);
		m.admit_says = says[round % 5];
		m.give_back_says = round % 7 == 3 ? -ENOBUFS : 0;
		total += turn();
		for (size_t i = 0; i < m.ncalls; i++) {
			replies += m.calls[i] == 's';
			given += m.calls[i] == 'g' && !m.give_back_says;
			refused_by_kernel += m.calls[i] == 'g' && m.give_back_says;
			admitted += m.calls[i] == 'a' && m.admit_says == SW_WHY_ACK_PROVEN;
		}
		sent += replies;
	}
	cr_assert(sent > 100 && given > 100 && admitted > 10 && n.dropped > 100 &&
			  refused_by_kernel > 10 && n.why[SW_WHY_CUT] > 10,
		  "a poor mix: %lu sent, %lu given back, %lu admitted, %lu dropped", sent, given,
		  admitted, n.dropped);
	cr_assert_eq(n.frames, total, "%lu frames, %lu by the return value", n.frames, total);
	cr_assert_eq(n.synacks, sent, "%lu SYN-ACKs of %lu", n.synacks, sent);
	cr_assert_eq(n.passed, given, "%lu passed, %lu given back", n.passed, given);
	cr_assert_eq(n.made, admitted, "%lu handed, %lu admitted", n.made, admitted);
	cr_assert_eq(n.why[SW_WHY_SEND_FAILED], refused_by_kernel, "%lu not taken",
		     n.why[SW_WHY_SEND_FAILED]);
	cr_assert_eq(n.frames, sent + n.passed + n.dropped,
		     "%lu frames, but %lu answered, %lu passed and %lu dropped", n.frames, sent,
		     n.passed, n.dropped);
}
