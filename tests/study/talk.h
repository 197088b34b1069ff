/* SPDX-License-Identifier: MIT */
/* A conversation for the tests of the tracker: one line per segment. */
#ifndef SW_TESTS_TALK_H
#define SW_TESTS_TALK_H

#include "study/track.h"

#include <string.h>

#define TALK_CLIENT_ISN 0xfffffff0u /* wraps within a few bytes */
#define TALK_SERVER_ISN 5000u

enum { F = SW_TCP_FIN, S = SW_TCP_SYN, R = SW_TCP_RST, P = SW_TCP_PSH, A = SW_TCP_ACK };

struct talk {
	struct sw_track t;
	uint64_t ms, number;
	uint16_t window;   /* of the next segments */
	uint16_t id;	   /* of the next segment; 0 for IPv6 */
	uint32_t tsval;	   /* of the next segment; 0 without timestamps */
	uint8_t ttl;
	struct sw_tcpopt syn, synack;
};

static inline struct talk talk_new(void)
{
	const struct sw_tcpopt usual = { .mss = 1460, .wscale = 7, .wscale_ok = true, .sack = true };
	struct talk k;

	memset(&k, 0, sizeof(k));
	k.ms = 1000;
	k.window = 500;
	k.ttl = 64;
	k.syn = k.synack = usual;
	return k;
}

/* Numbers are relative to the ISNs, as in a ladder.  @ms passes before the segment. */
static inline struct sw_track_out talk_say(struct talk *k, enum sw_end from, unsigned ms,
					   unsigned flags, uint32_t seq, uint32_t ack, uint32_t len)
{
	const uint32_t mine = from == SW_CLIENT ? TALK_CLIENT_ISN : TALK_SERVER_ISN;
	const uint32_t other = from == SW_CLIENT ? TALK_SERVER_ISN : TALK_CLIENT_ISN;
	struct sw_seg seg = { .family = k->id ? SW_IP4 : SW_IP6, .seq = mine + seq,
			      .ack = flags & A ? other + ack : 0, .flags = (uint8_t)flags,
			      .window = k->window, .ttl = k->ttl, .payload_len = len,
			      .l4_len = 20 + len };
	struct sw_track_in in = { .seg = &seg, .from = from, .ip_id = k->id };
	struct sw_track_out out;

	k->ms += ms;
	in.at.ns = k->ms * 1000000;
	in.number = ++k->number;
	if (flags & S)
		seg.opt = flags & A ? k->synack : k->syn;
	if (k->tsval) {
		seg.opt.ts = true;
		seg.opt.tsval = k->tsval;
	}
	sw_track_segment(&k->t, &in, &out);
	return out;
}

static inline struct sw_track_out client(struct talk *k, unsigned ms, unsigned flags, uint32_t seq,
					 uint32_t ack, uint32_t len)
{
	return talk_say(k, SW_CLIENT, ms, flags, seq, ack, len);
}

static inline struct sw_track_out server(struct talk *k, unsigned ms, unsigned flags, uint32_t seq,
					 uint32_t ack, uint32_t len)
{
	return talk_say(k, SW_SERVER, ms, flags, seq, ack, len);
}

/* Three-way handshake with a round trip of 10 ms. */
static inline struct talk talk_open(void)
{
	struct talk k = talk_new();

	(void)client(&k, 0, S, 0, 0, 0);
	(void)server(&k, 9, S | A, 0, 1, 0);
	(void)client(&k, 1, A, 1, 1, 0);
	return k;
}

#endif
