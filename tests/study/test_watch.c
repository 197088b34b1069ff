/* SPDX-License-Identifier: MIT */
#include "study/watch.h"

#include "study/keys.h"

#include <criterion/criterion.h>

static const sw_wall now = { KEYS_NOW_NS };

struct setup {
	struct sw_watch *w;
	struct sw_judgement jm;
	enum sw_way way;
	sw_wall at;
};

static void start(struct setup *s, const struct sw_policy *policy)
{
	static struct sw_masters m;
	struct sw_watch_config cf = { .judge = { .masters = &m, .policy = policy }, .seed = 1 };

	m = keys_masters(1);
	s->at = now;
	cr_assert_eq(sw_watch_new(&s->w, &cf), 0, "no watch");
}

static bool see_frame(struct setup *s, const uint8_t *b, size_t len)
{
	const struct sw_packet p = { .at = s->at, .data = b, .caplen = (uint32_t)len,
				     .frame = { .data = b, .len = len, .wire_len = len } };

	return sw_watch_packet(s->w, &p, &s->jm, &s->way);
}

static bool see(struct setup *s, const struct frame_spec *spec)
{
	const struct frame f = frame_make(spec);

	return see_frame(s, f.b, f.len);
}

static struct frame_spec turned(const struct frame_spec *in, uint8_t flags, uint32_t seq,
				uint32_t ack)
{
	struct frame_spec s = *in;

	s.src = in->dst;
	s.dst = in->src;
	s.sport = in->dport;
	s.dport = in->sport;
	s.flags = flags;
	s.seq = seq;
	s.ack = ack;
	s.opt_len = 0;
	return s;
}

/* What is a handshake is shown, what follows is not. */
Test(watch, one_connection)
{
	struct frame_spec syn = keys_syn(SW_IP4, true), ack, synack, data, answer;
	struct setup s;

	start(&s, NULL);
	cr_assert(see(&s, &syn) && s.way == SW_WAY_IN, "the SYN");
	cr_assert(sw_judgement_accepted(&s.jm) && !sw_judgement_refused(&s.jm), "%s", s.jm.facts);
	synack = turned(&syn, SW_TCP_SYN | SW_TCP_ACK, s.jm.cookie.isn, syn.seq + 1);
	frame_opt_ts(&synack, s.jm.cookie.tsval, 1000);
	ack = keys_ack(&syn, &s.jm.cookie);
	cr_assert(see(&s, &synack) && s.way == SW_WAY_OUT, "the SYN-ACK");
	cr_assert(s.jm.finding == SW_FOUND_OURS && sw_judgement_accepted(&s.jm), "%s", s.jm.facts);
	cr_assert_str_eq(sw_judgement_reason(&s.jm), "-");
	cr_assert(see(&s, &ack) && s.jm.decision.verdict == SW_ADMIT, "the ACK: %s", s.jm.facts);
	cr_assert_str_eq(sw_judgement_reason(&s.jm), "ack_proven");
	data = ack;
	data.payload = 100;
	cr_assert(!see(&s, &data), "data behind the ACK");
	data.seq += 100;
	cr_assert(!see(&s, &data), "more data");
	answer = turned(&syn, SW_TCP_ACK, s.jm.cookie.isn + 1, ack.seq + 200);
	cr_assert(!see(&s, &answer), "the server's data");
	data.flags = SW_TCP_RST;
	cr_assert(!see(&s, &data), "a reset of a connection");
	data.flags = SW_TCP_ACK;
	s.at.ns += 1000000000u; /* the core forgets a handoff after half a second */
	cr_assert(see(&s, &data) && sw_judgement_refused(&s.jm), "behind the reset: %s", s.jm.facts);
	cr_assert(see(&s, &syn), "a new SYN");
	sw_watch_free(s.w);
	sw_watch_free(NULL);
}

Test(watch, another_server)
{
	struct frame_spec syn = keys_syn(SW_IP4, true), synack, ack;
	struct setup s;

	start(&s, NULL);
	synack = turned(&syn, SW_TCP_SYN | SW_TCP_ACK, 77, syn.seq + 1);
	cr_assert(see(&s, &syn), "the SYN");
	cr_assert(see(&s, &synack) && s.jm.finding == SW_FOUND_FOREIGN, "%s", s.jm.facts);
	ack = turned(&synack, SW_TCP_ACK, syn.seq + 1, 78);
	cr_assert(see(&s, &ack) && s.jm.finding == SW_FOUND_FOREIGN, "%s", s.jm.facts);
	cr_assert(!sw_judgement_refused(&s.jm) && !sw_judgement_accepted(&s.jm), "%s", s.jm.facts);
	ack.payload = 10;
	cr_assert(!see(&s, &ack), "data");
	sw_watch_free(s.w);
}

Test(watch, refused_ones_stay_in_sight)
{
	struct frame_spec ack = frame_syn(SW_IP6), rst;
	struct setup s;

	start(&s, NULL);
	ack.flags = SW_TCP_ACK;
	for (int i = 0; i < 3; i++) {
		cr_assert(see(&s, &ack) && sw_judgement_refused(&s.jm), "%d: %s", i, s.jm.facts);
		cr_assert_str_eq(sw_judgement_reason(&s.jm), "cookie_forged");
	}
	rst = turned(&ack, SW_TCP_RST, ack.ack, 0);
	cr_assert(see(&s, &rst) && s.way == SW_WAY_OUT, "the reset");
	ack.flags = SW_TCP_RST;
	cr_assert(see(&s, &ack) && s.jm.decision.why == SW_WHY_RST, "%s", s.jm.facts);
	sw_watch_free(s.w);
}

Test(watch, guards_say_which_way)
{
	struct sw_policy p = { .nguard = 1, .mss4 = 1460, .mss6 = 1440, .ts_on = true };
	struct frame_spec ack = frame_syn(SW_IP4), out;
	struct setup s;

	p.guard[0] = (struct sw_guard){ .family = SW_IP4, .addr = ack.dst, .port = 50443 };
	start(&s, &p);
	cr_assert(!see(&s, &ack), "not guarded");
	ack.dport = 50443; /* above the client's port */
	ack.flags = SW_TCP_ACK;
	cr_assert(see(&s, &ack) && s.way == SW_WAY_IN && sw_judgement_refused(&s.jm), "%s",
		  s.jm.facts);
	out = turned(&ack, SW_TCP_RST, 1, 0);
	cr_assert(see(&s, &out) && s.way == SW_WAY_OUT, "%s", s.jm.facts);
	ack.flags = SW_TCP_SYN | SW_TCP_ACK;
	cr_assert(see(&s, &ack) && s.jm.decision.why == SW_WHY_SYN_ACK, "%s", s.jm.facts);
	sw_watch_free(s.w);
}

Test(watch, malformed)
{
	const struct frame_spec spec = frame_syn(SW_IP4);
	struct frame f = frame_make(&spec);
	struct setup s;

	start(&s, NULL);
	cr_assert(see_frame(&s, f.b, f.len - 1) && s.jm.finding == SW_FOUND_MALFORMED &&
		  sw_judgement_refused(&s.jm), "%s", s.jm.facts);
	cr_assert(!see_frame(&s, (const uint8_t *)"\0\0\0\0\0\0\0\0\0\0\0\0\x08\x06 arp", 18),
		  "ARP is shown");
	f.b[f.l3 + 9] = 17;
	frame_fix_ip4(&f);
	cr_assert(!see_frame(&s, f.b, f.len), "UDP is shown");
	sw_watch_free(s.w);
}
