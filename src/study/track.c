/* SPDX-License-Identifier: MIT */
#include "study/track.h"

#include "study/trackseq.h"

#define HPING_WINDOW   512
#define SCANNER_WINDOW 1024
#define TTL_SLACK      3 /* routes change by a hop or two */

static void bump(uint8_t *n)
{
	if (*n < UINT8_MAX)
		++*n;
}

static uint8_t lost_options(const struct sw_tcpopt *offered, const struct sw_tcpopt *returned)
{
	return (uint8_t)((offered->mss && !returned->mss ? SW_LOST_MSS : 0) |
			 (offered->wscale_ok && !returned->wscale_ok ? SW_LOST_WSCALE : 0) |
			 (offered->sack && !returned->sack ? SW_LOST_SACK : 0) |
			 (offered->ts && !returned->ts ? SW_LOST_TS : 0));
}

static uint32_t look_of(const struct sw_seg *syn)
{
	const bool bare = !syn->opt.wscale_ok && !syn->opt.sack && !syn->opt.ts;

	if (bare && !syn->opt.mss && syn->window == HPING_WINDOW && syn->ack)
		return SW_FIND_HPING;
	return bare && syn->window == SCANNER_WINDOW ? SW_FIND_SCANNER : 0;
}

static void first_syn(struct sw_track *t, const struct sw_track_in *in)
{
	struct sw_side *s = &t->side[in->from];

	s->syn = true;
	s->isn = in->seg->seq;
	s->opt = in->seg->opt;
	s->syn_window = in->seg->window;
}

static uint32_t on_syn(struct sw_track *t, const struct sw_track_in *in)
{
	struct sw_side *s = &t->side[in->from];
	uint32_t marks = 0;

	bump(&s->syn_count);
	if (s->syn_count > 1) {
		marks = SW_MARK_SYN_AGAIN;
		t->findings |= SW_FIND_SYN_AGAIN;
		s->retransmissions++;
	} else {
		first_syn(t, in);
		t->syn_at = in->at;
		t->findings |= look_of(in->seg);
	}
	if (t->side[!in->from].syn_count)
		t->findings |= SW_FIND_SIMULTANEOUS_OPEN;
	if (in->seg->payload_len) {
		marks |= SW_MARK_SYN_DATA;
		t->findings |= SW_FIND_SYN_DATA;
	}
	return marks;
}

/* A SYN-ACK sent while the client's ACK was on its way says nothing: allow for a round trip. */
static bool is_after_ack(const struct sw_track *t, sw_wall at)
{
	const int64_t rtt = t->syn_at.ns ? sw_between(t->syn_at, t->synack_at) : 0;

	return t->opened && sw_between(t->open_at, at) > rtt;
}

/* What the client answers next belongs to the newest SYN-ACK. */
static void begin_again(struct sw_side *s, const struct sw_track_in *in)
{
	s->isn = s->base = in->seg->seq;
	s->opt = in->seg->opt;
	s->syn_window = in->seg->window;
	s->next = in->seg->seq + 1;
	s->nhole = 0;
}

static uint32_t synack_again(struct sw_track *t, const struct sw_track_in *in)
{
	struct sw_side *s = &t->side[in->from];

	if (in->seg->seq != s->isn) {
		t->findings |= SW_FIND_SYNACK_CHANGED;
		if (!t->opened)
			begin_again(s, in);
		return SW_MARK_SYNACK_CHANGED;
	}
	s->retransmissions++;
	t->findings |= SW_FIND_SYNACK_AGAIN;
	if (is_after_ack(t, in->at))
		t->findings |= SW_FIND_ACK_LOST;
	return SW_MARK_SYNACK_AGAIN;
}

static uint32_t on_synack(struct sw_track *t, const struct sw_track_in *in)
{
	struct sw_side *s = &t->side[in->from];
	const struct sw_side *peer = &t->side[!in->from];

	bump(&s->synack_count);
	if (s->synack_count > 1)
		return synack_again(t, in);
	t->synack_at = in->at;
	if (!s->syn)
		first_syn(t, in);
	if (!peer->syn)
		return 0;
	t->lost_options |= lost_options(&peer->opt, &in->seg->opt);
	if (t->lost_options)
		t->findings |= SW_FIND_OPTION_LOSS;
	return sw_seq_before(peer->isn, in->seg->ack) ? 0 : SW_MARK_BAD_ACK;
}

/* The server speaks or the client proves: from here on a socket owns the connection. */
static uint32_t open_by(struct sw_track *t, const struct sw_track_in *in)
{
	const struct sw_seg *seg = in->seg;
	const struct sw_side *server = &t->side[SW_SERVER];
	const bool proves = in->from == SW_CLIENT && seg->ack == server->isn + 1;

	if (t->opened || t->midstream || !server->synack_count || !(seg->flags & SW_TCP_ACK))
		return 0;
	if (in->from == SW_CLIENT && !sw_seq_before(server->isn, seg->ack))
		return SW_MARK_BAD_ACK;
	t->opened = true;
	t->open_at = in->at;
	if (proves && !seg->payload_len && !(seg->flags & SW_TCP_FIN))
		return SW_MARK_OPENS;
	t->findings |= SW_FIND_ACK_UNSEEN;
	return SW_MARK_OPENS | (in->from == SW_CLIENT ? SW_MARK_OPENS_BY_DATA : 0);
}

static uint32_t on_fin(struct sw_track *t, const struct sw_track_in *in)
{
	struct sw_side *s = &t->side[in->from];
	const struct sw_side *peer = &t->side[!in->from];
	const uint32_t fin_seq = in->seg->seq + in->seg->payload_len;

	if (s->fin)
		return 0;
	s->fin = true;
	s->fin_seq = fin_seq;
	s->fin_ack = in->seg->ack;
	if (!peer->fin)
		t->first_fin = in->from;
	else if (!peer->fin_acked && sw_seq_before(peer->fin_seq, in->seg->ack))
		t->three_way = true;
	return 0;
}

/* Called before s->next and s->acked move. */
static uint32_t on_fin_ack(struct sw_track *t, const struct sw_track_in *in)
{
	const struct sw_side *s = &t->side[in->from];
	struct sw_side *peer = &t->side[!in->from];
	const uint32_t end = in->seg->seq + in->seg->payload_len;
	uint32_t marks = 0;

	if (!peer->fin || !(in->seg->flags & SW_TCP_ACK) ||
	    !sw_seq_before(peer->fin_seq, in->seg->ack))
		return 0;
	if (in->seg->payload_len && sw_seq_before(s->next, end)) {
		t->findings |= SW_FIND_HALF_CLOSE;
		marks = SW_MARK_AFTER_PEER_FIN;
	}
	if (peer->fin_acked)
		return marks;
	peer->fin_acked = true;
	if (t->side[0].fin_acked && t->side[1].fin_acked)
		t->end_at = in->at;
	return marks | SW_MARK_FIN_ACKED;
}

/* RFC 5961 3.2: a receiver believes a reset only inside of its window. */
static bool is_outside(const struct sw_side *sender, const struct sw_side *receiver, uint32_t seq)
{
	uint32_t room = receiver->window;

	if (!receiver->has_ack || !sender->seen)
		return false;
	if (receiver->syn && receiver->opt.wscale_ok && sender->syn && sender->opt.wscale_ok)
		room <<= receiver->opt.wscale;
	/* What the receiver has not acknowledged here it may have received by now. */
	if (sw_seq_before(sender->next, receiver->acked + room))
		return sw_seq_before(seq, receiver->acked) ||
		       sw_seq_before(receiver->acked + room, seq);
	return sw_seq_before(seq, receiver->acked) || sw_seq_before(sender->next, seq);
}

static enum sw_rst handshake_rst(const struct sw_track *t, const struct sw_track_in *in)
{
	const struct sw_side *server = &t->side[SW_SERVER];

	if (in->from == SW_CLIENT)
		return server->synack_count && in->seg->seq == server->acked ? SW_RST_UNASKED
									      : SW_RST_GAVE_UP;
	return server->synack_count ? SW_RST_ACK_REFUSED : SW_RST_REFUSED;
}

static enum sw_rst why_rst(const struct sw_track *t, const struct sw_track_in *in)
{
	const struct sw_side *s = &t->side[in->from], *peer = &t->side[!in->from];
	const bool bare = !(in->seg->flags & SW_TCP_ACK);

	if (!t->opened && !t->midstream)
		return handshake_rst(t, in);
	/* RFC 9293 3.10.7.1: without a connection the reset takes its number from the ACK. */
	if (bare && peer->has_ack && in->seg->seq == peer->acked && s->fin)
		return SW_RST_AFTER_CLOSE;
	if (bare && peer->has_ack && in->seg->seq == peer->acked)
		return in->from == SW_SERVER && t->opened && s->packets == s->synack_count
			       ? SW_RST_ACK_REFUSED
			       : SW_RST_NO_CONNECTION;
	if (is_outside(s, peer, in->seg->seq))
		return SW_RST_OUT_OF_WINDOW;
	if (s->fin)
		return SW_RST_AFTER_CLOSE;
	return peer->data_at.ns && peer->data_at.ns >= s->data_at.ns ? SW_RST_UNREAD : SW_RST_ABORT;
}

static bool is_over(const struct sw_track *t)
{
	return t->rst != SW_RST_NONE || (t->side[0].fin_acked && t->side[1].fin_acked);
}

static uint32_t on_rst(struct sw_track *t, const struct sw_track_in *in)
{
	struct sw_side *s = &t->side[in->from];
	const enum sw_rst why = why_rst(t, in);
	const int hops = (int)in->seg->ttl - (int)s->ttl;

	s->resets++;
	if (s->seen && s->ttl && (hops > TTL_SLACK || hops < -TTL_SLACK))
		t->findings |= SW_FIND_RESET_TTL;
	if (is_over(t))
		return SW_MARK_LATE_RST;
	t->findings |= SW_FIND_RESET;
	if (why == SW_RST_OUT_OF_WINDOW)
		return SW_MARK_IGNORED_RST; /* it ends nothing; a later one may */
	t->rst = why;
	t->rst_by = in->from;
	t->rst_number = in->number;
	t->end_at = in->at;
	return 0;
}

static void begin(struct sw_track *t, const struct sw_track_in *in)
{
	if (t->started)
		return;
	t->started = true;
	t->start = in->at;
	t->midstream = !(in->seg->flags & SW_TCP_SYN);
	if (t->midstream)
		t->findings |= SW_FIND_MIDSTREAM;
}

static uint8_t completeness_of(const struct sw_seg *seg)
{
	uint8_t bits = 0;

	switch (seg->flags & (SW_TCP_SYN | SW_TCP_ACK)) {
	case SW_TCP_SYN:
		bits = SW_COMPLETE_SYN;
		break;
	case SW_TCP_SYN | SW_TCP_ACK:
		bits = SW_COMPLETE_SYNACK;
		break;
	case SW_TCP_ACK:
		bits = seg->payload_len ? SW_COMPLETE_DATA : SW_COMPLETE_ACK;
		break;
	default:
		break;
	}
	if ((seg->flags & (SW_TCP_FIN | SW_TCP_ACK)) == (SW_TCP_FIN | SW_TCP_ACK))
		bits |= SW_COMPLETE_FIN;
	return bits | (seg->flags & SW_TCP_RST ? SW_COMPLETE_RST : 0);
}

static uint32_t follow(struct sw_track *t, const struct sw_track_in *in)
{
	const uint8_t flags = in->seg->flags;
	uint32_t marks = 0;

	if (flags & SW_TCP_RST)
		return on_rst(t, in);
	if (flags & SW_TCP_SYN)
		marks |= flags & SW_TCP_ACK ? on_synack(t, in) : on_syn(t, in);
	else
		marks |= open_by(t, in);
	if (marks & SW_MARK_SYNACK_CHANGED)
		return marks; /* of another handshake: its numbers mean nothing in this one */
	if (flags & SW_TCP_FIN)
		marks |= on_fin(t, in);
	marks |= on_fin_ack(t, in);
	marks |= sw_seq_follow(t, in, marks);
	return marks;
}

static void settle(struct sw_side *s, const struct sw_track_in *in)
{
	s->last_at = in->at;
	if (in->seg->flags & SW_TCP_RST)
		return;
	s->window = in->seg->window;
	s->ttl = in->seg->ttl;
	s->seen = true;
}

void sw_track_segment(struct sw_track *t, const struct sw_track_in *in, struct sw_track_out *out)
{
	struct sw_side *s = &t->side[in->from];
	const struct sw_side *peer = &t->side[!in->from];
	const bool opened = t->opened, first = !t->started;

	begin(t, in);
	t->completeness |= completeness_of(in->seg);
	if (!s->seen) /* a SYN has number 0, whatever else comes first has 1 */
		s->base = in->seg->flags & SW_TCP_SYN ? in->seg->seq : in->seg->seq - 1;
	if (in->bad_checksum) {
		/* Its receiver drops it, so it changes nothing. */
		t->findings |= SW_FIND_BAD_CHECKSUM;
		out->marks = SW_MARK_BAD_CHECKSUM;
	} else if (sw_seq_is_copy(t, in)) {
		t->findings |= SW_FIND_COPY;
		s->copies++;
		out->marks = SW_MARK_COPY;
	} else if (sw_seq_is_outside(t, in)) {
		out->marks = SW_MARK_OUTSIDE;
	} else {
		out->marks = follow(t, in);
		settle(s, in);
	}
	s->packets++;
	out->seq = out->marks & SW_MARK_SYNACK_CHANGED ? 0 : in->seg->seq - s->base;
	out->ack = in->seg->flags & SW_TCP_ACK ? in->seg->ack - peer->base : 0;
	out->handshake = (in->seg->flags & SW_TCP_SYN) || (!opened && !t->midstream) ||
			 (t->midstream && first);
}

bool sw_track_is_new(const struct sw_track *t, const struct sw_seg *seg, enum sw_end from)
{
	const struct sw_side *s = &t->side[from];

	if ((seg->flags & (SW_TCP_SYN | SW_TCP_ACK | SW_TCP_RST)) != SW_TCP_SYN)
		return false;
	if (t->midstream)
		return true;
	if (s->syn_count)
		return seg->seq != s->isn;
	/* The server's first SYN: simultaneous open, unless a SYN-ACK has passed. */
	return s->synack_count || t->opened || t->rst != SW_RST_NONE;
}

enum sw_close sw_track_close(const struct sw_track *t)
{
	const struct sw_side *a = &t->side[t->first_fin], *b = &t->side[!t->first_fin];

	if (!a->fin || !b->fin)
		return SW_CLOSE_NONE;
	if (!sw_seq_before(a->fin_seq, b->fin_ack) && !sw_seq_before(b->fin_seq, a->fin_ack))
		return SW_CLOSE_SIMULTANEOUS;
	return t->three_way ? SW_CLOSE_THREE_WAY : SW_CLOSE_FOUR_WAY;
}

unsigned sw_track_time_wait(const struct sw_track *t)
{
	switch (sw_track_close(t)) {
	case SW_CLOSE_SIMULTANEOUS:
		return t->rst == SW_RST_NONE ? 3u : 0;
	case SW_CLOSE_NONE:
		return 0;
	default:
		break;
	}
	/* The one that closed first, unless a reset took its state away. */
	return t->rst == SW_RST_NONE ? 1u << t->first_fin : 0;
}

static enum sw_outcome outcome_unopened(const struct sw_track *t)
{
	const struct sw_side *client = &t->side[SW_CLIENT], *server = &t->side[SW_SERVER];

	if (!client->syn)
		return SW_OUTCOME_BACKSCATTER;
	if (t->rst == SW_RST_REFUSED)
		return SW_OUTCOME_REFUSED;
	if (!server->synack_count)
		return SW_OUTCOME_UNANSWERED;
	if (t->rst == SW_RST_NONE)
		return SW_OUTCOME_HALF_OPEN;
	return t->rst_by == SW_CLIENT ? SW_OUTCOME_HALF_OPEN_RESET : SW_OUTCOME_RESET;
}

enum sw_outcome sw_track_outcome(const struct sw_track *t)
{
	const struct sw_side *a = &t->side[0], *b = &t->side[1];

	if (!t->opened && !t->midstream)
		return outcome_unopened(t);
	if (t->midstream && (!(a->packets - a->resets) || !(b->packets - b->resets)))
		return SW_OUTCOME_STRAY;
	if (t->rst != SW_RST_NONE)
		return SW_OUTCOME_RESET;
	if (a->fin && b->fin)
		return SW_OUTCOME_CLOSED;
	return a->fin || b->fin ? SW_OUTCOME_HALF_CLOSED : SW_OUTCOME_OPEN;
}
