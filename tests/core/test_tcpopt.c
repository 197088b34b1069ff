/* SPDX-License-Identifier: MIT */
#include "core/tcpopt.h"
#include "frames.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct sw_tcpopt parse(const void *bytes, size_t n)
{
	uint8_t *tight = malloc(n ? n : 1);
	struct sw_tcpopt out;

	memset(&out, 0xaa, sizeof(out));
	memcpy(tight, bytes, n);
	sw_tcpopt_parse(&out, tight, n);
	free(tight);
	return out;
}

Test(tcpopt, malformed_lists_are_cut_and_keep_their_head)
{
	static const struct {
		const char *name;
		uint8_t bytes[12];
		size_t n;
	} rows[] = {
		{ "no length", { 2, 4, 5, 180, 8 }, 5 },
		{ "length 0", { 2, 4, 5, 180, 8, 0, 0, 0 }, 8 },
		{ "length 1", { 2, 4, 5, 180, 8, 1, 0, 0 }, 8 },
		{ "one byte over", { 2, 4, 5, 180, 3, 3 }, 6 },
		{ "far over", { 2, 4, 5, 180, 99, 255 }, 6 },
		{ "unknown over", { 2, 4, 5, 180, 1, 1, 30, 5, 0, 0 }, 10 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct sw_tcpopt o = parse(rows[i].bytes, rows[i].n);

		cr_assert(o.cut, "%s: not cut", rows[i].name);
		cr_assert_eq(o.mss, 1460, "%s: mss %u", rows[i].name, o.mss);
		cr_assert(!o.ts && !o.wscale_ok && !o.sack, "%s: more was read", rows[i].name);
	}
}

Test(tcpopt, wrong_lengths_are_skipped)
{
	static const uint8_t kinds[] = { 2, 3, 4, 8 }, right[] = { 4, 3, 2, 10 };

	for (size_t k = 0; k < sizeof(kinds); k++) {
		for (uint8_t len = 2; len <= 20; len++) {
			uint8_t list[28] = { kinds[k], len };
			struct sw_tcpopt o;

			if (len == right[k])
				continue;
			memset(list + 2, 7, len - 2u);
			memcpy(list + len, k == 0 ? "\3\3\5" : "\2\4\1\1", 4);
			o = parse(list, len + (k == 0 ? 3u : 4u));
			cr_assert(!o.cut, "kind %u length %u: cut", kinds[k], len);
			cr_assert_eq(o.mss, k == 0 ? 0 : 0x101, "kind %u length %u: mss %u",
				     kinds[k], len, o.mss);
			cr_assert_eq(o.wscale_ok, k == 0, "kind %u length %u", kinds[k], len);
			cr_assert(!o.sack && !o.ts, "kind %u length %u", kinds[k], len);
		}
	}
}

Test(tcpopt, nothing_from_nothing)
{
	const struct sw_tcpopt o = parse("", 0);

	cr_assert(!o.cut && !o.ts && !o.sack && !o.wscale_ok && o.mss == 0, "empty list");
	cr_assert(!parse("\0\2\4", 3).cut, "the end of the list ends it");
	cr_assert_eq(parse("\0\2\4\5\264", 5).mss, 0, "read past the end of the list");
}

Test(tcpopt, last_one_counts)
{
	cr_assert_eq(parse("\2\4\5\264\2\4\2\30", 8).mss, 0x218, "second MSS");
	cr_assert_eq(parse("\3\3\7\3\3\2", 6).wscale, 2, "second window scale");
	cr_assert_eq(parse("\2\4\5\264\2\4\0\0", 8).mss, 0, "an MSS of 0 is none");
}

Test(tcpopt, wscale_above_fourteen_is_fourteen)
{
	for (unsigned shift = 0; shift < 256; shift++) {
		const uint8_t list[3] = { 3, 3, (uint8_t)shift };
		const struct sw_tcpopt o = parse(list, 3);

		cr_assert(o.wscale_ok, "shift %u", shift);
		cr_assert_eq(o.wscale, shift > 14 ? 14 : shift, "shift %u: %u", shift, o.wscale);
	}
}

/* All 24 orders of the four options, with and without NOPs between them. */
Test(tcpopt, any_order)
{
	static const struct {
		uint8_t bytes[10];
		size_t n;
	} opt[4] = {
		{ { 2, 4, 5, 180 }, 4 },
		{ { 3, 3, 9 }, 3 },
		{ { 4, 2 }, 2 },
		{ { 8, 10, 1, 2, 3, 4, 5, 6, 7, 8 }, 10 },
	};

	for (unsigned code = 0; code < 512; code++) {
		const unsigned nops = code >> 8;
		uint8_t list[40];
		size_t n = 0;
		unsigned seen = 0;
		struct sw_tcpopt o;

		for (unsigned i = 0; i < 4; i++) {
			const unsigned which = code >> 2 * i & 3;

			seen |= 1u << which;
			if (nops)
				list[n++] = 1;
			memcpy(list + n, opt[which].bytes, opt[which].n);
			n += opt[which].n;
			if (n > 28)
				break;
		}
		if (seen != 15)
			continue;
		o = parse(list, n);
		cr_assert(!o.cut, "order %#x", code);
		cr_assert_eq(o.mss, 1460, "order %#x: mss %u", code, o.mss);
		cr_assert(o.wscale_ok && o.wscale == 9 && o.sack && o.ts, "order %#x", code);
		cr_assert_eq(o.tsval, 0x01020304, "order %#x: %#x", code, o.tsval);
		cr_assert_eq(o.tsecr, 0x05060708, "order %#x: %#x", code, o.tsecr);
	}
}

Test(tcpopt, random_lists_stay_inside)
{
	uint64_t seed = 20;

	for (unsigned turn = 0; turn < 200000; turn++) {
		uint8_t list[40];
		const size_t n = frame_rand(&seed) % 41;

		for (size_t i = 0; i < n; i++) {
			const uint64_t r = frame_rand(&seed);

			list[i] = (uint8_t)(r & 256 ? r % 11 : r);
		}
		cr_assert(parse(list, n).wscale <= 14, "turn %u of seed 20", turn);
	}
}
