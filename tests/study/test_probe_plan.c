/* SPDX-License-Identifier: MIT */
#include "study/probe.h"

#include "core/csum.h"
#include "core/cursor.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct sw_addr here = { { 192, 0, 2, 1 } }, there = { { 198, 51, 100, 2 } };

static struct sw_probe_base base(enum sw_family family, bool ts)
{
	return (struct sw_probe_base){ .family = family,
				       .sport = { 40000, 40001, 40002 },
				       .isn = 0xfffffff0u,
				       .tsval = 77,
				       .ts = ts };
}

/* A segment as the core reads it, checksum included. */
static struct sw_seg read_back(const uint8_t *tcp, size_t len)
{
	uint8_t frame[14 + 20 + SW_PROBE_SYN_MAX] = { 0 };
	struct sw_frame f = { .data = frame, .len = 34 + len, .wire_len = 34 + len };
	struct sw_seg seg;

	sw_put_u16(frame + 12, SW_ETH_IP4);
	frame[14] = 0x45;
	sw_put_u16(frame + 16, (uint16_t)(20 + len));
	frame[22] = 64;
	frame[23] = SW_IP_TCP;
	memcpy(frame + 26, here.b, 4);
	memcpy(frame + 30, there.b, 4);
	sw_put_u16(frame + 24, sw_csum_fold(sw_csum_add(0, frame + 14, 20)));
	memcpy(frame + 34, tcp, len);
	cr_assert_eq(sw_wire_parse(&seg, &f), SW_WIRE_OK);
	cr_assert(sw_wire_tcp_csum_ok(&f, &seg), "checksum");
	return seg;
}

Test(probe_plan, a_syn_says_what_the_plan_says)
{
	for (unsigned ts = 0; ts < 2; ts++) {
		const struct sw_probe_base b = base(SW_IP4, ts);

		for (unsigned i = 0; i < SW_PROBE_MAX_SAMPLES; i++) {
			uint8_t tcp[SW_PROBE_SYN_MAX];
			struct sw_probe_syn syn;
			struct sw_seg seg;
			size_t len;

			sw_probe_plan(&b, 443, i, &syn);
			len = sw_probe_write_syn(tcp, SW_IP4, &here, &there, &syn);
			seg = read_back(tcp, len);
			cr_expect_eq(seg.flags, SW_TCP_SYN);
			cr_expect_eq(seg.sport, syn.sport);
			cr_expect_eq(seg.dport, 443);
			cr_expect_eq(seg.seq, syn.isn);
			cr_expect_eq(seg.ack, 0);
			cr_expect_eq(seg.payload_len, 0);
			cr_expect_eq(seg.opt.mss, syn.mss);
			cr_expect(seg.opt.wscale_ok && seg.opt.wscale == syn.wscale);
			cr_expect_eq(seg.opt.sack, syn.sack);
			cr_expect_eq(seg.opt.ts, ts);
			cr_expect(!ts || (seg.opt.tsval == 77 && seg.opt.tsecr == 0));
			cr_expect(!seg.opt.cut);
			len = sw_probe_write_rst(tcp, SW_IP4, &here, &there, &syn);
			seg = read_back(tcp, len);
			cr_expect_eq(seg.flags, SW_TCP_RST);
			cr_expect_eq(seg.seq, syn.isn + 1);
		}
	}
}

/* Eight samples: the first has a 4-tuple to itself, then each comparison can be made. */
Test(probe_plan, eight_show_all)
{
	const struct sw_probe_base b = base(SW_IP6, true);
	struct sw_probe_syn s[8];
	unsigned equal = 0, shift = 0, mss = 0, ws = 0;

	for (unsigned i = 0; i < 8; i++)
		sw_probe_plan(&b, 80, i, &s[i]);
	for (unsigned i = 1; i < 8; i++)
		cr_expect_neq(s[i].sport, s[0].sport, "sample %u", i);
	for (unsigned i = 2; i < 8; i++) {
		if (s[i].sport != s[1].sport)
			continue;
		equal += s[i].isn == s[1].isn && s[i].mss == s[1].mss &&
			 s[i].wscale == s[1].wscale && s[i].sack == s[1].sack;
		shift += s[i].isn == s[1].isn + SW_PROBE_ISN_STEP;
		mss += s[i].mss != s[1].mss;
		ws += s[i].wscale != s[1].wscale;
	}
	cr_expect_eq(equal, 2);
	cr_expect_eq(shift, 1);
	cr_expect_eq(mss, 1);
	cr_expect_eq(ws, 1);
	cr_expect_neq(s[7].sport, s[1].sport);
}

struct match {
	char name[32];
	uint16_t sport, dport;
	uint8_t flags;
	uint32_t ack;
	bool want;
	enum sw_probe_heard heard;
};

Test(probe_plan, what_answers_a_syn)
{
	static const struct match rows[] = {
		{ "SYN-ACK", 80, 40000, 0x12, 8, true, SW_PROBE_SYNACK },
		{ "SYN-ACK with ECE", 80, 40000, 0x52, 8, true, SW_PROBE_SYNACK },
		{ "SYN-ACK of another SYN", 80, 40000, 0x12, 9, false, 0 },
		{ "reset", 80, 40000, 0x14, 8, true, SW_PROBE_RST },
		{ "reset that acknowledges nothing", 80, 40000, 0x04, 8, false, 0 },
		{ "reset with a wrong ACK", 80, 40000, 0x14, 7, false, 0 },
		{ "plain ACK", 80, 40000, 0x10, 1, true, SW_PROBE_ODD },
		{ "SYN", 80, 40000, 0x02, 0, false, 0 },
		{ "other port here", 80, 40001, 0x12, 8, false, 0 },
		{ "other port there", 81, 40000, 0x12, 8, false, 0 },
	};
	const struct sw_probe_syn syn = { .sport = 40000, .dport = 80, .isn = 7 };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct match *r = &rows[i];
		const struct sw_seg seg = {
			.sport = r->sport, .dport = r->dport, .flags = r->flags, .ack = r->ack
		};
		enum sw_probe_heard heard = SW_PROBE_SILENCE;

		cr_expect_eq(sw_probe_matches(&syn, &seg, &heard), r->want, "%s", r->name);
		if (r->want)
			cr_expect_eq(heard, r->heard, "%s", r->name);
	}
}
