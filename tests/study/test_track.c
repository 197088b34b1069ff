/* SPDX-License-Identifier: MIT */
#include "study/track.h"

#include "study/talk.h"

#include <criterion/criterion.h>

#define HAS(got, bits) cr_assert_eq((got) & (bits), (uint32_t)(bits), "%#x lacks %#x", (got), (bits))
#define LACKS(got, bits) cr_assert_eq((got) & (bits), 0, "%#x has some of %#x", (got), (bits))
#define OUTCOME(k, want) \
	cr_assert_eq(sw_track_outcome(&(k).t), want, "outcome %d", sw_track_outcome(&(k).t))
#define CLOSE(k, want) \
	cr_assert_eq(sw_track_close(&(k).t), want, "close %d", sw_track_close(&(k).t))
#define WAIT(k, want) \
	cr_assert_eq(sw_track_time_wait(&(k).t), want, "TIME_WAIT %u", sw_track_time_wait(&(k).t))
#define RESET(k, want) cr_assert_eq((k).t.rst, want, "reset %d", (k).t.rst)

Test(track, handshake_opens)
{
	struct talk k = talk_new();
	struct sw_track_out o = client(&k, 0, S, 0, 0, 0);

	cr_assert(o.handshake && o.seq == 0 && o.ack == 0 && o.marks == 0);
	OUTCOME(k, SW_OUTCOME_UNANSWERED);
	o = server(&k, 5, S | A, 0, 1, 0);
	cr_assert(o.handshake && o.seq == 0 && o.ack == 1 && o.marks == 0);
	OUTCOME(k, SW_OUTCOME_HALF_OPEN);
	o = client(&k, 5, A, 1, 1, 0);
	cr_assert(o.handshake && o.seq == 1 && o.ack == 1, "seq %u ack %u", o.seq, o.ack);
	cr_assert_eq(o.marks, SW_MARK_OPENS, "%#x", o.marks);
	OUTCOME(k, SW_OUTCOME_OPEN);
	o = client(&k, 5, P | A, 1, 1, 100);
	cr_assert(!o.handshake && o.marks == 0);
	cr_assert_eq(k.t.completeness, 15);
	cr_assert_eq(k.t.findings, 0, "%#x", k.t.findings);
	cr_assert_eq(k.t.side[0].bytes, 100);
}

Test(track, syn_and_synack_again)
{
	struct talk k = talk_new();

	(void)client(&k, 0, S, 0, 0, 0);
	HAS(client(&k, 1000, S, 0, 0, 0).marks, SW_MARK_SYN_AGAIN);
	(void)server(&k, 5, S | A, 0, 1, 0);
	HAS(server(&k, 1000, S | A, 0, 1, 0).marks, SW_MARK_SYNACK_AGAIN);
	HAS(k.t.findings, SW_FIND_SYN_AGAIN | SW_FIND_SYNACK_AGAIN);
	LACKS(k.t.findings, SW_FIND_ACK_LOST);
	cr_assert(k.t.side[0].retransmissions == 1 && k.t.side[1].retransmissions == 1);
	OUTCOME(k, SW_OUTCOME_HALF_OPEN);
}

Test(track, final_ack_lost)
{
	struct talk k = talk_open();

	HAS(server(&k, 1000, S | A, 0, 1, 0).marks, SW_MARK_SYNACK_AGAIN);
	HAS(k.t.findings, SW_FIND_ACK_LOST);
}

Test(track, synack_that_crossed_the_ack_is_no_loss)
{
	struct talk k = talk_open();

	(void)server(&k, 5, S | A, 0, 1, 0);
	LACKS(k.t.findings, SW_FIND_ACK_LOST);
}

Test(track, data_proves_the_handshake)
{
	struct talk k = talk_new();

	(void)client(&k, 0, S, 0, 0, 0);
	(void)server(&k, 5, S | A, 0, 1, 0);
	HAS(client(&k, 5, P | A, 1, 1, 10).marks, SW_MARK_OPENS | SW_MARK_OPENS_BY_DATA);
	HAS(k.t.findings, SW_FIND_ACK_UNSEEN);
	OUTCOME(k, SW_OUTCOME_OPEN);
}

Test(track, ack_below_the_isn_opens_nothing)
{
	struct talk k = talk_new();

	(void)client(&k, 0, S, 0, 0, 0);
	(void)server(&k, 5, S | A, 0, 1, 0);
	HAS(client(&k, 5, A, 1, (uint32_t)-4, 0).marks, SW_MARK_BAD_ACK);
	OUTCOME(k, SW_OUTCOME_HALF_OPEN);
}

Test(track, option_loss)
{
	struct talk k = talk_new();

	k.syn.ts = true;
	k.synack = (struct sw_tcpopt){ .mss = 1400 };
	(void)client(&k, 0, S, 0, 0, 0);
	(void)server(&k, 5, S | A, 0, 1, 0);
	cr_assert_eq(k.t.lost_options, SW_LOST_WSCALE | SW_LOST_SACK | SW_LOST_TS);
	HAS(k.t.findings, SW_FIND_OPTION_LOSS);
}

Test(track, another_isn_means_no_memory)
{
	struct talk k = talk_new();
	struct sw_track_out o;

	(void)client(&k, 0, S, 0, 0, 0);
	(void)server(&k, 5, S | A, 0, 1, 0);
	(void)client(&k, 1000, S, 0, 0, 0);
	o = server(&k, 5, S | A, 777, 1, 0);
	HAS(o.marks, SW_MARK_SYNACK_CHANGED);
	cr_assert_eq(o.seq, 0);
	o = client(&k, 5, A, 1, 778, 0);
	cr_assert_eq(o.ack, 1, "ack %u", o.ack);
	HAS(o.marks, SW_MARK_OPENS);
	OUTCOME(k, SW_OUTCOME_OPEN);
}

Test(track, port_closed)
{
	struct talk k = talk_new();

	(void)client(&k, 0, S, 0, 0, 0);
	(void)server(&k, 1, R | A, (uint32_t)-TALK_SERVER_ISN, 1, 0);
	OUTCOME(k, SW_OUTCOME_REFUSED);
	RESET(k, SW_RST_REFUSED);
	cr_assert_eq(k.t.completeness, SW_COMPLETE_SYN | SW_COMPLETE_RST | SW_COMPLETE_ACK);
}

Test(track, half_open_scan)
{
	struct talk k = talk_new();

	(void)client(&k, 0, S, 0, 0, 0);
	(void)server(&k, 1, S | A, 0, 1, 0);
	(void)client(&k, 1, R, 1, 0, 0);
	OUTCOME(k, SW_OUTCOME_HALF_OPEN_RESET);
	RESET(k, SW_RST_UNASKED);
	cr_assert_eq(k.t.rst_by, SW_CLIENT);
}

Test(track, server_refuses_the_ack)
{
	struct talk k = talk_open();

	(void)server(&k, 1, R, 1, 0, 0);
	RESET(k, SW_RST_ACK_REFUSED);
	OUTCOME(k, SW_OUTCOME_RESET);
}

Test(track, reset_by_a_host_that_forgot)
{
	struct talk k = talk_open();

	(void)client(&k, 1, P | A, 1, 1, 10);
	(void)server(&k, 9, P | A, 1, 11, 10);
	(void)client(&k, 60000, P | A, 11, 11, 10);
	(void)server(&k, 9, R, 11, 0, 0);
	RESET(k, SW_RST_NO_CONNECTION);
}

Test(track, reset_for_unread_data_and_for_linger)
{
	struct talk k = talk_open();

	(void)client(&k, 1, P | A, 1, 1, 10);
	(void)server(&k, 1, R | A, 1, 11, 0);
	RESET(k, SW_RST_UNREAD);

	k = talk_open();
	(void)client(&k, 1, P | A, 1, 1, 10);
	(void)server(&k, 1, P | A, 1, 11, 10);
	(void)server(&k, 1, R | A, 11, 11, 0);
	RESET(k, SW_RST_ABORT);
	cr_assert_eq(k.t.rst_by, SW_SERVER);
}

Test(track, reset_after_close)
{
	struct talk k = talk_open();

	(void)server(&k, 1, F | A, 1, 1, 0);
	(void)client(&k, 1, P | A, 1, 2, 10);
	(void)server(&k, 1, R, 2, 0, 0);
	RESET(k, SW_RST_AFTER_CLOSE);
	HAS(server(&k, 1, R, 2, 0, 0).marks, SW_MARK_LATE_RST);
	WAIT(k, 0);
}

Test(track, reset_outside_of_the_window_ends_nothing)
{
	struct talk k = talk_open();
	struct sw_track_out o = server(&k, 1, R | A, 900000, 1, 0);

	HAS(o.marks, SW_MARK_IGNORED_RST);
	RESET(k, SW_RST_NONE);
	OUTCOME(k, SW_OUTCOME_OPEN);
	(void)server(&k, 1, R | A, 1, 1, 0);
	OUTCOME(k, SW_OUTCOME_RESET);
}

Test(track, reset_with_another_ttl)
{
	struct talk k = talk_open();

	k.ttl = 255;
	(void)server(&k, 1, R | A, 1, 1, 0);
	HAS(k.t.findings, SW_FIND_RESET_TTL);
	k = talk_open();
	k.ttl = 63;
	(void)server(&k, 1, R | A, 1, 1, 0);
	LACKS(k.t.findings, SW_FIND_RESET_TTL);
}

Test(track, four_way_close)
{
	struct talk k = talk_open();

	(void)client(&k, 1, F | A, 1, 1, 0);
	OUTCOME(k, SW_OUTCOME_HALF_CLOSED);
	HAS(server(&k, 9, A, 1, 2, 0).marks, SW_MARK_FIN_ACKED);
	(void)server(&k, 9, F | A, 1, 2, 0);
	HAS(client(&k, 1, A, 2, 2, 0).marks, SW_MARK_FIN_ACKED);
	CLOSE(k, SW_CLOSE_FOUR_WAY);
	WAIT(k, 1);
	OUTCOME(k, SW_OUTCOME_CLOSED);
	cr_assert_eq(k.t.completeness, 1 + 2 + 4 + 16);
}

Test(track, three_way_close)
{
	struct talk k = talk_open();

	(void)server(&k, 1, F | A, 1, 1, 0);
	(void)client(&k, 9, F | A, 1, 2, 0);
	(void)server(&k, 1, A, 2, 2, 0);
	CLOSE(k, SW_CLOSE_THREE_WAY);
	cr_assert_eq(k.t.first_fin, SW_SERVER);
	WAIT(k, 2);
}

Test(track, simultaneous_close)
{
	struct talk k = talk_open();

	(void)client(&k, 1, F | A, 1, 1, 0);
	(void)server(&k, 1, F | A, 1, 1, 0);
	(void)client(&k, 1, A, 2, 2, 0);
	(void)server(&k, 1, A, 2, 2, 0);
	CLOSE(k, SW_CLOSE_SIMULTANEOUS);
	WAIT(k, 3);
}

Test(track, half_close)
{
	struct talk k = talk_open();

	(void)client(&k, 1, F | A, 1, 1, 0);
	(void)server(&k, 9, A, 1, 2, 0);
	LACKS(k.t.findings, SW_FIND_HALF_CLOSE);
	HAS(server(&k, 9, P | A, 1, 2, 50).marks, SW_MARK_AFTER_PEER_FIN);
	HAS(k.t.findings, SW_FIND_HALF_CLOSE);
	(void)server(&k, 9, F | A, 51, 2, 0);
	(void)client(&k, 1, A, 2, 52, 0);
	CLOSE(k, SW_CLOSE_FOUR_WAY);
}

Test(track, simultaneous_open)
{
	struct talk k = talk_new();

	(void)client(&k, 0, S, 0, 0, 0);
	(void)server(&k, 1, S, 0, 0, 0);
	HAS(k.t.findings, SW_FIND_SIMULTANEOUS_OPEN);
	(void)client(&k, 1, S | A, 0, 1, 0);
	(void)server(&k, 1, S | A, 0, 1, 0);
	LACKS(client(&k, 1, P | A, 1, 1, 10).marks, SW_MARK_AGAIN | SW_MARK_GAP);
	OUTCOME(k, SW_OUTCOME_OPEN);
	LACKS(k.t.findings, SW_FIND_SYN_AGAIN | SW_FIND_SYNACK_AGAIN | SW_FIND_RETRANSMISSION);
}

Test(track, zero_window)
{
	struct talk k = talk_open();
	const uint16_t window = k.window;

	(void)client(&k, 1, P | A, 1, 1, 100);
	k.window = 0;
	HAS(server(&k, 1, A, 1, 101, 0).marks, SW_MARK_ZERO_WINDOW);
	k.window = window;
	HAS(client(&k, 200, A, 100, 1, 0).marks, SW_MARK_WINDOW_PROBE);
	LACKS(client(&k, 2000, A, 100, 1, 0).marks, SW_MARK_KEEPALIVE);
	HAS(client(&k, 4000, A, 101, 1, 1).marks, SW_MARK_WINDOW_PROBE);
	HAS(k.t.findings, SW_FIND_ZERO_WINDOW);
	LACKS(k.t.findings, SW_FIND_KEEPALIVE | SW_FIND_RETRANSMISSION);
}

Test(track, what_began_before_the_capture)
{
	struct talk k = talk_new();
	struct sw_track_out o = client(&k, 0, P | A, 1001, 501, 10);

	cr_assert(o.handshake, "nobody knows whether there is a socket");
	OUTCOME(k, SW_OUTCOME_STRAY);
	cr_assert_eq(o.seq, 1);
	o = server(&k, 5, P | A, 501, 1011, 10);
	cr_assert(!o.handshake && o.seq == 1 && o.ack == 11, "seq %u ack %u", o.seq, o.ack);
	OUTCOME(k, SW_OUTCOME_OPEN);
	HAS(k.t.findings, SW_FIND_MIDSTREAM);
}

Test(track, stray_ack_and_its_reset)
{
	struct talk k = talk_new();

	(void)client(&k, 0, A, 1, 1, 0);
	(void)server(&k, 1, R, 1, 0, 0);
	OUTCOME(k, SW_OUTCOME_STRAY);
	RESET(k, SW_RST_NO_CONNECTION);
}

Test(track, backscatter)
{
	struct talk k = talk_new();

	(void)server(&k, 0, S | A, 0, 1, 0);
	(void)client(&k, 1, R, 1, 0, 0);
	OUTCOME(k, SW_OUTCOME_BACKSCATTER);
}

Test(track, looks_of_a_syn)
{
	struct sw_seg seg = { .flags = S, .window = 512, .ack = 77, .ttl = 64 };
	const struct sw_track_in in = { .seg = &seg };
	struct sw_track t = { 0 };
	struct sw_track_out o;

	sw_track_segment(&t, &in, &o);
	cr_assert_eq(t.findings, SW_FIND_HPING);
	memset(&t, 0, sizeof(t));
	seg.ack = 0;
	sw_track_segment(&t, &in, &o);
	cr_assert_eq(t.findings, 0);
	memset(&t, 0, sizeof(t));
	seg.window = 1024;
	seg.opt.mss = 1460;
	sw_track_segment(&t, &in, &o);
	cr_assert_eq(t.findings, SW_FIND_SCANNER);
	memset(&t, 0, sizeof(t));
	seg.opt.sack = true;
	sw_track_segment(&t, &in, &o);
	cr_assert_eq(t.findings, 0);
}

Test(track, wrong_checksum_changes_nothing)
{
	struct talk k = talk_open();
	struct sw_seg seg = { .flags = F | A, .seq = TALK_CLIENT_ISN + 1,
			      .ack = TALK_SERVER_ISN + 1, .l4_len = 20 };
	const struct sw_track_in in = { .seg = &seg, .at = { k.ms * 1000000 },
					.bad_checksum = true };
	struct sw_track_out o;

	sw_track_segment(&k.t, &in, &o);
	cr_assert_eq(o.marks, SW_MARK_BAD_CHECKSUM);
	HAS(k.t.findings, SW_FIND_BAD_CHECKSUM);
	OUTCOME(k, SW_OUTCOME_OPEN);
}

Test(track, ports_used_again)
{
	struct talk k = talk_open();
	struct sw_seg seg = { .flags = S, .seq = TALK_CLIENT_ISN };

	cr_assert(!sw_track_is_new(&k.t, &seg, SW_CLIENT), "the same SYN again");
	seg.seq++;
	cr_assert(sw_track_is_new(&k.t, &seg, SW_CLIENT), "another ISN");
	cr_assert(sw_track_is_new(&k.t, &seg, SW_SERVER), "the server connects back");
	seg.flags = S | A;
	cr_assert(!sw_track_is_new(&k.t, &seg, SW_SERVER), "a SYN-ACK begins nothing");
	k = talk_new();
	(void)client(&k, 0, S, 0, 0, 0);
	seg.flags = S;
	cr_assert(!sw_track_is_new(&k.t, &seg, SW_SERVER), "simultaneous open");
}
