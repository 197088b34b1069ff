/* SPDX-License-Identifier: MIT */
#include "core/wire.h"
#include "frames.h"

#include <criterion/criterion.h>
#include <stdlib.h>

/* Parse from an exact heap block, so that ASan sees one byte too far. */
static enum sw_why parse_tight(struct sw_seg *seg, const uint8_t *bytes, size_t len,
			       const struct sw_frame *how)
{
	uint8_t *tight = malloc(len ? len : 1);
	struct sw_frame f = how ? *how : (struct sw_frame){ .wire_len = len };
	enum sw_why why;

	memcpy(tight, bytes, len);
	f.data = tight;
	f.len = len;
	memset(seg, 0xaa, sizeof(*seg));
	why = sw_wire_parse(seg, &f);
	if (why == SW_WIRE_OK)
		(void)!sw_wire_tcp_csum_ok(&f, seg);
	free(tight);
	return why;
}

static enum sw_why parse(struct sw_seg *seg, const struct frame *f)
{
	return parse_tight(seg, f->b, f->len, NULL);
}

/* Good frames of every shape.  @return false behind the last one. */
static bool good_frame(unsigned n, struct frame *out)
{
	static const uint8_t chains[][6] = {
		{ SW_IP_HOPOPT },
		{ SW_IP_DSTOPT },
		{ SW_IP_ROUTING },
		{ SW_IP_FRAG },
		{ SW_IP_HOPOPT, SW_IP_DSTOPT, SW_IP_ROUTING, SW_IP_FRAG, SW_IP_DSTOPT },
		{ SW_IP_HOPOPT, SW_IP_DSTOPT, SW_IP_DSTOPT, SW_IP_DSTOPT, SW_IP_DSTOPT,
		  SW_IP_DSTOPT },
	};
	static const uint8_t chain_len[] = { 1, 1, 1, 1, 5, 6 };
	const unsigned shape = n % 10, tags = n / 10 % 3, more = n / 30;
	struct frame_spec s = frame_syn_usual(shape < 3 ? SW_IP4 : SW_IP6);

	if (more > 4)
		return false;
	if (shape < 3) {
		s.ip4_opt_len = (uint8_t)(shape * 20);
	} else if (shape > 3) {
		s.n_ext = chain_len[shape - 4];
		memcpy(s.ext, chains[shape - 4], s.n_ext);
	}
	if (tags > 0)
		s.vlan[tags - 1] = (struct sw_vlan){ 0x8100, 0x2001 };
	if (tags > 1)
		s.vlan[0] = (struct sw_vlan){ 0x88a8, 7 };
	if (more == 1)
		s.opt_len = 0;
	if (more == 2)
		s.payload = 11;
	if (more == 3) {
		s.flags = SW_TCP_ACK;
		s.pad = 9;
	}
	if (more == 4) {
		s = frame_ack_of(&s, 99, true, 5);
		s.payload = 100;
	}
	*out = frame_make(&s);
	return true;
}

Test(wire, every_prefix_is_refused)
{
	struct frame f;

	for (unsigned n = 0; good_frame(n, &f); n++) {
		const size_t packet = f.l4 + f.l4_len;
		struct sw_seg seg;

		cr_assert_eq(parse(&seg, &f), SW_WIRE_OK, "frame %u is not good", n);
		for (size_t len = 0; len < packet; len++)
			cr_assert_neq(parse_tight(&seg, f.b, len, NULL), SW_WIRE_OK,
				      "frame %u cut at %zu of %zu", n, len, packet);
	}
}

/* A ring cuts frames and says so: fine once all headers are there. */
Test(wire, every_prefix_of_a_cut_frame_is_refused_until_the_headers_end)
{
	struct frame f;

	for (unsigned n = 0; good_frame(n, &f); n++) {
		const size_t head = f.l4 + (f.b[f.l4 + 12] >> 4) * 4u;
		const struct sw_frame how = { .wire_len = f.len };

		for (size_t len = 0; len <= f.len; len++) {
			struct sw_seg seg;
			const enum sw_why why = parse_tight(&seg, f.b, len, &how);

			cr_assert_eq(why, len < head ? SW_WHY_SHORT : SW_WIRE_OK,
				     "frame %u cut at %zu: %s", n, len, sw_why_name(why));
		}
	}
}

static void expect(const struct frame *f, enum sw_why want, const char *what)
{
	struct sw_seg seg;
	const enum sw_why got = parse(&seg, f);

	cr_assert_eq(got, want, "%s: %s, not %s", what, sw_why_name(got), sw_why_name(want));
}

Test(wire, not_ip)
{
	struct frame_spec s = frame_syn(SW_IP4);
	struct frame f = frame_make(&s);

	frame_put16(f.b + 12, 0x0806);
	expect(&f, SW_WHY_NOT_IP, "ARP");
	frame_put16(f.b + 12, 46);
	expect(&f, SW_WHY_NOT_IP, "802.3 length");
	for (size_t i = 0; i < 3; i++)
		s.vlan[i] = (struct sw_vlan){ 0x8100, 1 };
	f = frame_make(&s);
	expect(&f, SW_WHY_NOT_IP, "three tags");
}

Test(wire, ip4_headers)
{
	const struct frame_spec s = frame_syn_usual(SW_IP4);
	const struct frame good = frame_make(&s);
	struct frame f = good;

	f.b[f.l3] = 0x65;
	expect(&f, SW_WHY_BAD_IP_VERSION, "version 6 in 0x0800");
	for (uint8_t ihl = 0; ihl < 5; ihl++) {
		f = good;
		f.b[f.l3] = (uint8_t)(0x40 | ihl);
		expect(&f, SW_WHY_BAD_IHL, "ihl below five");
	}
	for (unsigned bit = 0; bit < 160; bit++) {
		struct sw_seg seg;

		f = good;
		f.b[f.l3 + bit / 8] ^= (uint8_t)(1 << bit % 8);
		cr_assert_neq(parse(&seg, &f), SW_WIRE_OK, "bit %u of the IPv4 header", bit);
	}
	f = good;
	f.b[f.l3 + 10] ^= 1;
	expect(&f, SW_WHY_BAD_IP_CHECKSUM, "checksum");
	f = good;
	f.b[f.l3 + 9] = 17;
	frame_fix_ip4(&f);
	expect(&f, SW_WHY_NOT_TCP, "UDP");
}

Test(wire, ip4_total_length)
{
	const struct frame_spec s = frame_syn_usual(SW_IP4);
	const struct frame good = frame_make(&s);
	const size_t right = good.len - good.l3;

	for (uint32_t total = 0; total < 65536; total++) {
		struct frame f = good;
		struct sw_seg seg;
		enum sw_why want = SW_WIRE_OK, got;

		frame_put16(f.b + f.l3 + 2, (uint16_t)total);
		frame_fix_ip4(&f);
		if (total < 40 || total > right)
			want = SW_WHY_BAD_IP_LENGTH;
		else if (total < right)
			want = SW_WHY_SHORT; /* cuts into the options */
		got = sw_wire_parse(&seg, &(struct sw_frame){ f.b, f.len, f.len, { 0, 0 }, 0, 0 });
		cr_assert_eq(got, want, "total length %u: %s", total, sw_why_name(got));
	}
}

Test(wire, ip4_fragments)
{
	const struct frame_spec s = frame_syn(SW_IP4);

	for (uint32_t word = 0; word < 65536; word++) {
		struct frame f = frame_make(&s);
		struct sw_seg seg;
		enum sw_why got;

		frame_put16(f.b + f.l3 + 6, (uint16_t)word);
		frame_fix_ip4(&f);
		got = sw_wire_parse(&seg, &(struct sw_frame){ f.b, f.len, f.len, { 0, 0 }, 0, 0 });
		cr_assert_eq(got, word & 0x3fff ? SW_WHY_FRAGMENT : SW_WIRE_OK, "%#x: %s", word,
			     sw_why_name(got));
	}
}

Test(wire, ip6_headers)
{
	struct frame_spec s = frame_syn_usual(SW_IP6);
	const struct frame good = frame_make(&s);
	struct frame f = good;

	f.b[f.l3] = 0x45;
	expect(&f, SW_WHY_BAD_IP_VERSION, "version 4 in 0x86dd");
	for (unsigned next = 0; next < 256; next++) {
		f = good;
		f.b[f.l3 + 6] = (uint8_t)next;
		if (next != 0 && next != 43 && next != 44 && next != 60 && next != 6)
			expect(&f, SW_WHY_NOT_TCP, "other protocol");
	}
	for (uint32_t payload = 0; payload < 65536; payload++) {
		struct sw_seg seg;
		enum sw_why want = SW_WIRE_OK, got;

		f = good;
		frame_put16(f.b + f.l3 + 4, (uint16_t)payload);
		if (payload < 20 || payload > f.l4_len)
			want = SW_WHY_BAD_IP_LENGTH;
		else if (payload < f.l4_len)
			want = SW_WHY_SHORT;
		got = sw_wire_parse(&seg, &(struct sw_frame){ f.b, f.len, f.len, { 0, 0 }, 0, 0 });
		cr_assert_eq(got, want, "payload length %u: %s", payload, sw_why_name(got));
	}
}

Test(wire, ip6_fragments)
{
	struct frame_spec s = frame_syn(SW_IP6);

	s.n_ext = 1;
	s.ext[0] = SW_IP_FRAG;
	for (uint32_t word = 0; word < 65536; word++) {
		struct frame f = frame_make(&s);
		struct sw_seg seg;
		enum sw_why got;

		frame_put16(f.b + f.l3 + 42, (uint16_t)word);
		got = sw_wire_parse(&seg, &(struct sw_frame){ f.b, f.len, f.len, { 0, 0 }, 0, 0 });
		cr_assert_eq(got, word & 0xfff9 ? SW_WHY_FRAGMENT : SW_WIRE_OK, "%#x: %s", word,
			     sw_why_name(got));
	}
}

Test(wire, ip6_extension_headers)
{
	struct frame_spec s = frame_syn(SW_IP6);
	struct frame f;

	for (s.n_ext = 0; s.n_ext <= 8; s.n_ext++) {
		memset(s.ext, SW_IP_DSTOPT, sizeof(s.ext));
		f = frame_make(&s);
		expect(&f, s.n_ext <= SW_MAX_IP6_EXT ? SW_WIRE_OK : SW_WHY_EXT_HEADERS, "count");
	}
	s.n_ext = 2;
	s.ext[1] = SW_IP_HOPOPT;
	f = frame_make(&s);
	expect(&f, SW_WHY_EXT_HEADERS, "hop-by-hop options in second place");
	s.n_ext = 1;
	s.ext[0] = SW_IP_ROUTING;
	f = frame_make(&s);
	f.b[f.l3 + 43] = 1;
	expect(&f, SW_WHY_EXT_HEADERS, "segments left");
	s.ext[0] = SW_IP_DSTOPT;
	for (unsigned words = 1; words < 256; words++) {
		struct sw_seg seg;

		f = frame_make(&s);
		f.b[f.l3 + 41] = (uint8_t)words;
		cr_assert_neq(parse(&seg, &f), SW_WIRE_OK, "header of %u words", words);
	}
	/* 24 bytes of options: the header's length is in units of 8 behind the first. */
	s.n_ext = 3;
	memset(s.ext, SW_IP_DSTOPT, 3);
	f = frame_make(&s);
	f.b[f.l3 + 40] = SW_IP_TCP;
	f.b[f.l3 + 41] = 2;
	expect(&f, SW_WIRE_OK, "long header");
}

Test(wire, tcp_data_offset)
{
	for (unsigned v = 4; v <= 6; v += 2) {
		const struct frame_spec s = frame_syn_usual((enum sw_family)v);
		const uint8_t right = (uint8_t)(5 + s.opt_len / 4);

		for (uint8_t doff = 0; doff < 16; doff++) {
			struct frame f = frame_make(&s);

			f.b[f.l4 + 12] = (uint8_t)(doff << 4);
			expect(&f,
			       doff < 5	      ? SW_WHY_BAD_DOFF
			       : doff > right ? SW_WHY_SHORT
					      : SW_WIRE_OK,
			       "data offset");
		}
	}
}

/* Ethernet padding must not be taken for TCP options. */
Test(wire, the_header_ends_with_the_packet_not_with_the_padding)
{
	struct frame_spec s = frame_syn(SW_IP4);
	struct frame f;

	s.pad = 12;
	f = frame_make(&s);
	f.b[f.l4 + 12] = 6 << 4;
	expect(&f, SW_WHY_SHORT, "options in the padding");
}

Test(wire, lengths_of_zero_are_for_big_frames_only)
{
	for (unsigned v = 4; v <= 6; v += 2) {
		struct frame_spec s = frame_syn((enum sw_family)v);
		struct frame f;
		struct sw_frame view;
		struct sw_seg seg;

		s.payload = 200;
		f = frame_make(&s);
		frame_put16(f.b + f.l3 + (v == 4 ? 2 : 4), 0);
		frame_fix_ip4(&f);
		view = frame_view(&f);
		cr_assert_eq(sw_wire_parse(&seg, &view), SW_WHY_BAD_IP_LENGTH, "IPv%u small", v);
		view.wire_len = 65535;
		cr_assert_eq(sw_wire_parse(&seg, &view), SW_WHY_BAD_IP_LENGTH, "IPv%u 65535", v);
		view.wire_len = 100000;
		cr_assert_eq(sw_wire_parse(&seg, &view), SW_WIRE_OK, "IPv%u big", v);
		cr_assert_eq(seg.l4_len, 100000 - f.l4, "IPv%u: %u bytes", v, seg.l4_len);
		cr_assert_eq(seg.payload_len, 100000 - f.l4 - 20, "IPv%u", v);
		cr_assert(sw_wire_tcp_csum_ok(&view, &seg), "IPv%u: cut, nobody can tell", v);
	}
}

Test(wire, every_field)
{
	for (unsigned v = 4; v <= 6; v += 2) {
		struct frame_spec s = frame_syn_usual((enum sw_family)v);
		struct frame f;
		struct sw_seg seg;

		s.flags = SW_TCP_ACK | SW_TCP_PSH | SW_TCP_ECE;
		s.ack = 0xcafef00d;
		s.window = 1234;
		s.payload = 33;
		s.vlan[0] = (struct sw_vlan){ 0x88a8, 0x1001 };
		s.vlan[1] = (struct sw_vlan){ 0x8100, 0xe00f };
		f = frame_make(&s);
		f.b[f.l3 + (v == 4 ? 8 : 7)] = 57;
		if (v == 4) {
			f.b[f.l3 + 1] = 0xb9;
		} else {
			f.b[f.l3] = 0x6b;
			f.b[f.l3 + 1] = 0x9f; /* the low half belongs to the flow label */
		}
		frame_fix(&f);
		cr_assert_eq(parse(&seg, &f), SW_WIRE_OK, "IPv%u", v);
		cr_assert_eq(seg.family, v, "family %d", (int)seg.family);
		cr_assert_eq(memcmp(&seg.src, &s.src, 16), 0, "IPv%u src", v);
		cr_assert_eq(memcmp(&seg.dst, &s.dst, 16), 0, "IPv%u dst", v);
		cr_assert_eq(memcmp(seg.eth_src, s.eth_src, 6), 0, "IPv%u eth src", v);
		cr_assert_eq(memcmp(seg.eth_dst, s.eth_dst, 6), 0, "IPv%u eth dst", v);
		cr_assert(seg.sport == s.sport && seg.dport == s.dport, "IPv%u ports", v);
		cr_assert(seg.seq == s.seq && seg.ack == s.ack, "IPv%u numbers", v);
		cr_assert(seg.window == 1234 && seg.flags == s.flags, "IPv%u window, flags", v);
		cr_assert(seg.ttl == 57 && seg.tos == 0xb9, "IPv%u ttl, tos %#x", v, seg.tos);
		cr_assert_eq(seg.nvlan, 2, "IPv%u tags %u", v, seg.nvlan);
		cr_assert(seg.vlan[0].tpid == 0x88a8 && seg.vlan[0].tci == 0x1001, "IPv%u", v);
		cr_assert(seg.vlan[1].tpid == 0x8100 && seg.vlan[1].tci == 0xe00f, "IPv%u", v);
		cr_assert(seg.l3_off == f.l3 && seg.l4_off == f.l4, "IPv%u offsets", v);
		cr_assert(seg.l4_len == f.l4_len && seg.payload_len == 33, "IPv%u lengths", v);
		cr_assert(seg.opt.ts && seg.opt.sack && seg.opt.wscale_ok, "IPv%u options", v);
	}
}

Test(wire, a_tag_beside_the_data_is_the_outermost)
{
	struct frame_spec s = frame_syn(SW_IP4);
	struct sw_frame view;
	struct sw_seg seg;
	struct frame f;

	s.vlan[0] = (struct sw_vlan){ 0x8100, 5 };
	f = frame_make(&s);
	view = frame_view(&f);
	view.vlan = (struct sw_vlan){ 0x88a8, 6 };
	cr_assert_eq(sw_wire_parse(&seg, &view), SW_WIRE_OK, "one outside, one inside");
	cr_assert_eq(seg.nvlan, 2, "%u tags", seg.nvlan);
	cr_assert(seg.vlan[0].tpid == 0x88a8 && seg.vlan[0].tci == 6, "outer");
	cr_assert(seg.vlan[1].tpid == 0x8100 && seg.vlan[1].tci == 5, "inner");
	s.vlan[1] = (struct sw_vlan){ 0x8100, 4 };
	f = frame_make(&s);
	view.len = view.wire_len = f.len;
	cr_assert_eq(sw_wire_parse(&seg, &view), SW_WHY_NOT_IP, "three tags");
	view.vlan.tpid = 0;
	cr_assert_eq(sw_wire_parse(&seg, &view), SW_WIRE_OK, "two tags");
}

Test(wire, tcp_checksum)
{
	struct frame f;

	for (unsigned n = 0; good_frame(n, &f); n++) {
		struct sw_frame view = frame_view(&f);
		struct sw_seg seg;

		cr_assert_eq(sw_wire_parse(&seg, &view), SW_WIRE_OK, "frame %u", n);
		cr_assert(sw_wire_tcp_csum_ok(&view, &seg), "frame %u: right", n);
		for (size_t i = f.l4; i < f.l4 + f.l4_len; i++) {
			f.b[i] ^= 0x10;
			cr_assert(!sw_wire_tcp_csum_ok(&view, &seg), "frame %u byte %zu", n, i);
			f.b[i] ^= 0x10;
		}
		f.b[f.l4 + 16] ^= 1;
		view.csum_partial = true;
		cr_assert(sw_wire_tcp_csum_ok(&view, &seg), "frame %u: partial", n);
		view.csum_partial = false;
		view.csum_checked = true;
		cr_assert(sw_wire_tcp_csum_ok(&view, &seg), "frame %u: checked", n);
		view.csum_checked = false;
		view.len = f.l4 + f.l4_len - 1;
		cr_assert(sw_wire_tcp_csum_ok(&view, &seg), "frame %u: cut", n);
		view.len++;
		cr_assert(!sw_wire_tcp_csum_ok(&view, &seg), "frame %u: wrong", n);
	}
}
