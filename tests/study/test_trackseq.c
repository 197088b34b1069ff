/* SPDX-License-Identifier: MIT */
#include "study/trackseq.h"

#include "study/talk.h"

#include <criterion/criterion.h>

#define HAS(got, bits) cr_assert_eq((got) & (bits), (uint32_t)(bits), "%#x lacks %#x", (got), (bits))
#define IS(got, want) cr_assert_eq((got), (uint32_t)(want), "marks %#x, want %#x", (got), (want))

Test(trackseq, data_again)
{
	struct talk k = talk_open();

	IS(client(&k, 1, P | A, 1, 1, 100).marks, 0);
	IS(client(&k, 200, P | A, 1, 1, 100).marks, SW_MARK_AGAIN);
	(void)server(&k, 10, A, 1, 101, 0);
	IS(client(&k, 200, P | A, 1, 1, 100).marks, SW_MARK_AGAIN | SW_MARK_NEEDLESS);
	cr_assert_eq(k.t.side[0].retransmissions, 2);
	cr_assert_eq(k.t.side[0].bytes, 100, "each byte counts once");
	HAS(k.t.findings, SW_FIND_RETRANSMISSION | SW_FIND_NEEDLESS);
}

Test(trackseq, repacketised)
{
	struct talk k = talk_open();

	(void)client(&k, 1, P | A, 1, 1, 100);
	IS(client(&k, 200, P | A, 51, 1, 100).marks, SW_MARK_AGAIN);
	cr_assert_eq(k.t.side[0].bytes, 150);
	IS(client(&k, 1, P | A, 151, 1, 100).marks, 0);
}

Test(trackseq, fin_again)
{
	struct talk k = talk_open();

	(void)client(&k, 1, F | A, 1, 1, 0);
	IS(client(&k, 200, F | A, 1, 1, 0).marks, SW_MARK_AGAIN);
}

/* What fills a hole was overtaken, or sent again: timestamp, identification, time. */
Test(trackseq, hole_by_timestamp)
{
	for (int late = 0; late < 2; late++) {
		struct talk k = talk_open();

		k.tsval = 500;
		(void)client(&k, 1, A, 1, 1, 100);
		k.tsval = 510;
		IS(client(&k, 1, A, 201, 1, 100).marks, SW_MARK_GAP);
		k.tsval = late ? 505 : 520;
		IS(client(&k, 50, A, 101, 1, 100).marks, late ? SW_MARK_LATE : SW_MARK_REPAIR);
		cr_assert_eq(k.t.side[0].bytes, 300);
		IS(client(&k, 1, A, 301, 1, 100).marks, 0);
	}
}

Test(trackseq, hole_by_identification)
{
	for (int late = 0; late < 2; late++) {
		struct talk k = talk_open();

		k.id = 0xfffe;
		(void)client(&k, 1, A, 1, 1, 100);
		k.id = 0x0001; /* 0xffff and 0 are on their way */
		IS(client(&k, 1, A, 201, 1, 100).marks, SW_MARK_GAP);
		k.id = late ? 0xffff : 0x0002;
		IS(client(&k, 0, A, 101, 1, 100).marks, late ? SW_MARK_LATE : SW_MARK_REPAIR);
	}
}

Test(trackseq, hole_by_time)
{
	struct talk k = talk_open(); /* round trip 10 ms */

	IS(client(&k, 1, A, 101, 1, 100).marks, SW_MARK_GAP);
	IS(client(&k, 5, A, 1, 1, 100).marks, SW_MARK_LATE);
	IS(client(&k, 1, A, 301, 1, 100).marks, SW_MARK_GAP);
	IS(client(&k, 50, A, 201, 1, 100).marks, SW_MARK_REPAIR);
	cr_assert(k.t.side[0].reordered == 1 && k.t.side[0].retransmissions == 1);
}

Test(trackseq, held_up_within_one_tick)
{
	struct talk k = talk_open();

	k.tsval = 500;
	(void)client(&k, 1, A, 101, 1, 100);
	IS(client(&k, 50, A, 1, 1, 100).marks, SW_MARK_LATE);
}

Test(trackseq, overtaken_by_its_own_retransmission)
{
	struct talk k = talk_open();

	k.tsval = 500;
	(void)client(&k, 1, A, 1, 1, 100);
	k.tsval = 502;
	(void)client(&k, 1, A, 201, 1, 100);
	k.tsval = 560;
	IS(client(&k, 50, A, 101, 1, 100).marks, SW_MARK_REPAIR);
	k.tsval = 501;
	IS(client(&k, 5, A, 101, 1, 100).marks, SW_MARK_LATE);
}

/* A bare ACK that is ahead proves that something before it is missing. */
Test(trackseq, hole_before_a_bare_ack)
{
	struct talk k = talk_open();

	IS(client(&k, 1, A, 101, 1, 0).marks, SW_MARK_GAP);
	IS(client(&k, 50, A, 1, 1, 100).marks, SW_MARK_REPAIR);
	cr_assert_eq(k.t.side[0].bytes, 100);
}

Test(trackseq, more_holes_than_are_kept)
{
	struct talk k = talk_open();

	for (uint32_t i = 0; i < SW_TRACK_HOLES + 2; i++)
		IS(client(&k, 1, A, 101 + 200 * i, 1, 100).marks, SW_MARK_GAP);
	cr_assert_eq(k.t.side[0].nhole, SW_TRACK_HOLES);
	/* The oldest two are forgotten: what fills them looks like a retransmission. */
	IS(client(&k, 500, A, 1, 1, 100).marks, SW_MARK_AGAIN);
	IS(client(&k, 500, A, 401, 1, 100).marks, SW_MARK_REPAIR);
	cr_assert_eq(k.t.side[0].nhole, SW_TRACK_HOLES - 1);
}

Test(trackseq, hole_filled_in_its_middle)
{
	struct talk k = talk_open();

	(void)client(&k, 1, A, 301, 1, 100);
	IS(client(&k, 500, A, 101, 1, 100).marks, SW_MARK_REPAIR);
	cr_assert_eq(k.t.side[0].nhole, 2);
	IS(client(&k, 500, A, 1, 1, 100).marks, SW_MARK_REPAIR);
	IS(client(&k, 500, A, 201, 1, 100).marks, SW_MARK_REPAIR);
	IS(client(&k, 500, A, 201, 1, 100).marks, SW_MARK_AGAIN);
	cr_assert_eq(k.t.side[0].nhole, 0);
}

Test(trackseq, copies)
{
	struct talk k = talk_open();

	k.id = 77;
	IS(client(&k, 1, P | A, 1, 1, 100).marks, 0);
	IS(client(&k, 500, P | A, 1, 1, 100).marks, SW_MARK_COPY);
	k.id = 78;
	IS(client(&k, 500, P | A, 1, 1, 100).marks, SW_MARK_AGAIN);
	cr_assert_eq(k.t.side[0].copies, 1);
}

Test(trackseq, copies_without_an_identification)
{
	struct talk k = talk_open();

	k.tsval = 9;
	IS(client(&k, 1, P | A, 1, 1, 100).marks, 0);
	IS(client(&k, 1, P | A, 1, 1, 100).marks, SW_MARK_COPY);
	k.tsval = 200;
	IS(client(&k, 1, P | A, 1, 1, 100).marks, SW_MARK_AGAIN);
	/* Two equal ACKs are two ACKs. */
	(void)server(&k, 1, A, 1, 101, 0);
	IS(server(&k, 1, A, 1, 101, 0).marks, 0);
}

Test(trackseq, keepalive)
{
	struct talk k = talk_open();

	(void)client(&k, 1, P | A, 1, 1, 100);
	(void)server(&k, 9, A, 1, 101, 0);
	IS(client(&k, 30000, A, 100, 1, 0).marks, SW_MARK_KEEPALIVE);
	IS(server(&k, 9, A, 1, 101, 0).marks, SW_MARK_KEEPALIVE_ACK);
	IS(client(&k, 1000, A, 100, 1, 1).marks, SW_MARK_KEEPALIVE);
	cr_assert_eq(k.t.side[0].retransmissions, 0);
	HAS(k.t.findings, SW_FIND_KEEPALIVE);
}

Test(trackseq, what_only_looks_like_a_keepalive)
{
	struct talk k = talk_open();

	(void)client(&k, 1, P | A, 1, 1, 1);
	IS(client(&k, 1, A, 1, 1, 0).marks, 0);		     /* an ACK that was overtaken */
	IS(client(&k, 2000, P | A, 1, 1, 1).marks, SW_MARK_AGAIN); /* a byte sent again */
	(void)client(&k, 1, F | A, 2, 1, 0);
	IS(client(&k, 2000, A, 2, 1, 0).marks, 0);
	cr_assert_eq(k.t.findings & SW_FIND_KEEPALIVE, 0);
}

Test(trackseq, duplicate_acks_need_something_outstanding)
{
	struct talk k = talk_open();

	IS(server(&k, 1, A, 1, 1, 0).marks, 0);
	IS(server(&k, 1, A, 1, 1, 0).marks, 0);
	(void)client(&k, 1, P | A, 1, 1, 100);
	IS(server(&k, 1, A, 1, 1, 0).marks, SW_MARK_DUP_ACK);
	k.window++;
	IS(server(&k, 1, A, 1, 1, 0).marks, 0);
}

Test(trackseq, acknowledges_what_was_not_captured)
{
	struct talk k = talk_open();

	IS(server(&k, 1, A, 1, 501, 0).marks, SW_MARK_ACK_UNSEEN);
	HAS(k.t.findings, SW_FIND_GAP);
	IS(server(&k, 1, A, 1, 501, 0).marks, 0);
	IS(client(&k, 50, A, 1, 1, 500).marks, SW_MARK_REPAIR);
	IS(client(&k, 1, A, 501, 1, 100).marks, 0);
}

Test(trackseq, forged_numbers_change_nothing)
{
	struct talk k = talk_open();

	(void)client(&k, 1, P | A, 1, 1, 100);
	IS(client(&k, 1, P | A, 0x50000000, 1, 100).marks, SW_MARK_OUTSIDE);
	IS(client(&k, 1, A, 101, 0x60000000, 0).marks, SW_MARK_OUTSIDE);
	IS(client(&k, 1, P | A, 101, 1, 100).marks, 0);
	cr_assert_eq(k.t.side[0].bytes, 200);
}

Test(trackseq, random_segments_keep_the_books)
{
	uint64_t state = 1;
	static const uint8_t flags[] = { S, S | A, A, A, P | A, F | A, R, R | A, 0, S | F };

	for (int round = 0; round < 200; round++) {
		struct talk k = talk_new();

		for (int i = 0; i < 300; i++) {
			const uint64_t r = state = state * 6364136223846793005u + 1442695040888963407u;
			const struct sw_side *s = k.t.side;

			k.tsval = r >> 60 & 1 ? (uint32_t)(r >> 20 & 63) + 1 : 0;
			k.id = (uint16_t)(r >> 59 & 1 ? r >> 13 & 31 : 0);
			(void)talk_say(&k, r >> 63 ? SW_SERVER : SW_CLIENT, r >> 8 & 15,
				       flags[(r >> 33) % sizeof(flags)], r >> 40 & 0xfff,
				       r >> 48 & 0xfff, r >> 52 & 0x1ff);
			for (int e = 0; e < 2; e++) {
				cr_assert(s[e].nhole <= SW_TRACK_HOLES);
				for (int h = 0; h < s[e].nhole; h++)
					cr_assert(sw_seq_before(s[e].hole[h].from, s[e].hole[h].to),
						  "round %d: an empty hole", round);
			}
			cr_assert(sw_track_outcome(&k.t) < SW_NOUTCOME);
		}
	}
}
