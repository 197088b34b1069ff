/* SPDX-License-Identifier: MIT */
#include "core/reply.h"
#include "frames.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct sw_synack synack_of(unsigned bits)
{
	return (struct sw_synack){
		.isn = 0x11223344,
		.tsval = 0xa1a2a3a4,
		.tsecr = 0xb1b2b3b4,
		.mss = 0x05b4,
		.window = 0xfaf0,
		.wscale = 7,
		.ttl = 61,
		.ts = bits & 1,
		.sack = bits & 2,
		.wscale_ok = bits & 4,
		.ecn = bits & 8,
	};
}

/* What tcp_options_write() of Linux puts for the same offers: ts 1, sack 2, window scale 4. */
static const char *const layouts[8] = {
	"020405b4",
	"020405b4"
	"0101080aa1a2a3a4b1b2b3b4",
	"020405b4"
	"01010402",
	"020405b4"
	"0402080aa1a2a3a4b1b2b3b4",
	"020405b4"
	"01030307",
	"020405b4"
	"0101080aa1a2a3a4b1b2b3b4"
	"01030307",
	"020405b4"
	"01010402"
	"01030307",
	"020405b4"
	"0402080aa1a2a3a4b1b2b3b4"
	"01030307",
};

/* From an exact heap block: SW_REPLY_MAX must be enough. */
static size_t reply(uint8_t *out, const struct sw_seg *syn, const struct sw_synack *sa)
{
	uint8_t *tight = malloc(SW_REPLY_MAX);
	const size_t n = sw_reply_synack(tight, syn, sa);

	cr_assert(n <= SW_REPLY_MAX, "%zu bytes", n);
	memcpy(out, tight, n);
	free(tight);
	return n;
}

Test(reply, option_layouts_byte_for_byte)
{
	for (unsigned v = 4; v <= 6; v += 2) {
		const struct frame_spec s = frame_syn((enum sw_family)v);
		const struct sw_seg syn = frame_seg(&s);
		const size_t tcp = v == 4 ? 34 : 54;

		for (unsigned bits = 0; bits < 16; bits++) {
			const struct sw_synack sa = synack_of(bits);
			uint8_t out[SW_REPLY_MAX];
			const size_t n = reply(out, &syn, &sa);
			char hex[2 * SW_REPLY_MAX + 1] = "";

			for (size_t i = tcp + 20; i < n; i++)
				snprintf(hex + 2 * (i - tcp - 20), 3, "%02x", out[i]);
			cr_assert_eq(strcmp(hex, layouts[bits & 7]), 0, "IPv%u offers %u: %s", v,
				     bits, hex);
			cr_assert_eq(out[tcp + 12], (n - tcp) / 4 << 4, "data offset %#x",
				     out[tcp + 12]);
			cr_assert_eq(out[tcp + 13], bits & 8 ? 0x52 : 0x12, "flags %#x",
				     out[tcp + 13]);
		}
	}
}

Test(reply, parses_back_to_what_was_said)
{
	for (unsigned code = 0; code < 2 * 16 * 3; code++) {
		const enum sw_family family = code & 1 ? SW_IP6 : SW_IP4;
		const struct sw_synack sa = synack_of(code >> 1 & 15);
		const unsigned tags = code / 32;
		struct frame_spec s = frame_syn_usual(family);
		uint8_t out[SW_REPLY_MAX];
		struct sw_frame f = { .data = out };
		struct sw_seg syn, got;

		for (size_t i = 0; i < tags; i++)
			s.vlan[i] = (struct sw_vlan){ i ? 0x8100 : 0x88a8, (uint16_t)(0x3007 + i) };
		syn = frame_seg(&s);
		f.len = f.wire_len = reply(out, &syn, &sa);
		cr_assert_eq(sw_wire_parse(&got, &f), SW_WIRE_OK, "case %u", code);
		cr_assert(sw_wire_tcp_csum_ok(&f, &got), "case %u: checksum", code);
		cr_assert_eq(f.len, got.l4_off + got.l4_len, "case %u: length", code);
		cr_assert_eq(memcmp(&got.src, &s.dst, 16), 0, "case %u: src", code);
		cr_assert_eq(memcmp(&got.dst, &s.src, 16), 0, "case %u: dst", code);
		cr_assert_eq(memcmp(got.eth_src, s.eth_dst, 6), 0, "case %u: MAC", code);
		cr_assert_eq(memcmp(got.eth_dst, s.eth_src, 6), 0, "case %u: MAC", code);
		cr_assert(got.sport == s.dport && got.dport == s.sport, "case %u: ports", code);
		cr_assert(got.seq == sa.isn && got.ack == s.seq + 1, "case %u: numbers", code);
		cr_assert(got.ttl == 61 && got.tos == 0, "case %u: ttl, tos", code);
		cr_assert_eq(got.window, sa.window, "case %u: window", code);
		cr_assert_eq(got.nvlan, tags, "case %u: %u tags", code, got.nvlan);
		cr_assert_eq(memcmp(got.vlan, syn.vlan, sizeof(got.vlan)), 0, "case %u: tags",
			     code);
		cr_assert_eq(got.opt.mss, sa.mss, "case %u: MSS", code);
		cr_assert(got.opt.ts == sa.ts && got.opt.sack == sa.sack &&
				  got.opt.wscale_ok == sa.wscale_ok,
			  "case %u: options", code);
	}
}

/* RFC 6864 4.1: DF and ID 0.  RFC 6437: a flow label of zero is "not set". */
Test(reply, ip_headers)
{
	const struct sw_synack sa = synack_of(7);
	uint8_t out[SW_REPLY_MAX];

	for (unsigned v = 4; v <= 6; v += 2) {
		const struct frame_spec s = frame_syn((enum sw_family)v);
		const struct sw_seg syn = frame_seg(&s);
		const size_t n = reply(out, &syn, &sa);

		cr_assert_eq(n, 14u + (v == 4 ? 20 : 40) + 40, "%zu bytes", n);
		cr_assert_eq(
			memcmp(out + 14,
			       v == 4 ? "\x45\0\0\x3c\0\0\x40\0\x3d\6" : "\x60\0\0\0\0\x28\6\x3d",
			       v == 4 ? 10 : 8),
			0, "IPv%u header", v);
	}
}

/* The longest frame there is fills SW_REPLY_MAX to the byte. */
Test(reply, longest)
{
	struct frame_spec s = frame_syn(SW_IP6);
	const struct sw_synack sa = synack_of(15);
	uint8_t out[SW_REPLY_MAX];
	struct sw_seg syn;

	s.vlan[0] = s.vlan[1] = (struct sw_vlan){ 0x8100, 1 };
	syn = frame_seg(&s);
	cr_assert_eq(reply(out, &syn, &sa), SW_REPLY_MAX, "not the longest");
}
