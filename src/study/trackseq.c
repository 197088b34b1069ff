/* SPDX-License-Identifier: MIT */
#include "study/trackseq.h"

#include <string.h>

#define KEEPALIVE_SILENCE_NS 900000000 /* hosts probe a silent connection, once a second at most */
#define RTT_UNKNOWN_NS	     3000000
#define ID_NEAR		     1024
#define TICK_NS		     1000000 /* of most hosts' timestamps */
#define WINDOW_MAX	     (1u << 30) /* RFC 7323 2.3 */
#define SYN_FLAGS	     (SW_TCP_SYN | SW_TCP_FIN | SW_TCP_RST)

static uint32_t length_of(const struct sw_seg *seg)
{
	return seg->payload_len + !!(seg->flags & SW_TCP_SYN) + !!(seg->flags & SW_TCP_FIN);
}

/* The shortest ways from here to either end and back make a round trip. */
static int64_t round_trip(const struct sw_track *t)
{
	const int64_t a = t->side[SW_CLIENT].rtt, b = t->side[SW_SERVER].rtt;

	return a && b ? a + b : RTT_UNKNOWN_NS;
}

static bool is_same(const struct sw_track *t, const struct sw_copy *a, const struct sw_copy *b)
{
	if (a->id != b->id || a->seq != b->seq || a->len != b->len)
		return false;
	return a->id || (a->ack == b->ack && a->tsval == b->tsval && a->window == b->window &&
			 a->flags == b->flags && sw_between(a->at, b->at) < round_trip(t));
}

bool sw_seq_is_copy(struct sw_track *t, const struct sw_track_in *in)
{
	struct sw_side *s = &t->side[in->from];
	const struct sw_seg *seg = in->seg;
	const struct sw_copy c = {
		.at = in->at, .seq = seg->seq, .ack = seg->ack, .tsval = seg->opt.tsval,
		.id = in->ip_id, .len = (uint16_t)seg->l4_len, .window = seg->window,
		.flags = seg->flags,
	};

	if (!c.id && !length_of(seg))
		return false;
	for (size_t i = 0; i < SW_TRACK_COPIES; i++) {
		if (s->recent[i].len && is_same(t, &s->recent[i], &c))
			return true;
	}
	s->recent[s->nrecent++ % SW_TRACK_COPIES] = c;
	return false;
}

static void count_new(struct sw_side *s, const struct sw_seg *seg, uint32_t fresh)
{
	/* SYN and FIN take a number and are no payload. */
	const uint32_t flags = length_of(seg) - seg->payload_len;

	s->bytes += fresh > flags ? fresh - flags : 0;
}

static struct sw_stamp stamp_of(const struct sw_track_in *in)
{
	return (struct sw_stamp){ in->seg->opt.tsval, in->ip_id, in->seg->opt.ts };
}

/* @return below 0 when @a was sent before @b, above 0 when after it, 0 when nothing tells. */
static int sent_after(const struct sw_stamp *a, const struct sw_stamp *b)
{
	const int ids = (int16_t)(a->id - b->id);

	if (a->ts && b->ts && a->tsval != b->tsval)
		return sw_seq_before(a->tsval, b->tsval) ? -1 : 1;
	/* Far apart they come from a host that draws them at random. */
	return a->id && b->id && ids < ID_NEAR && ids > -ID_NEAR ? ids : 0;
}

static void add_hole(struct sw_side *s, uint32_t from, uint32_t to, const struct sw_track_in *in)
{
	if (s->nhole == SW_TRACK_HOLES) { /* the oldest one will hardly be filled any more */
		memmove(s->hole, s->hole + 1, sizeof(s->hole) - sizeof(s->hole[0]));
		s->nhole--;
	}
	s->hole[s->nhole++] = (struct sw_hole){ in->at, from, to, stamp_of(in) };
}

static void drop_hole(struct sw_side *s, size_t i)
{
	memmove(&s->hole[i], &s->hole[i + 1], (s->nhole - i - 1u) * sizeof(s->hole[0]));
	s->nhole--;
}

/* @return how many numbers of [from, to) hole @h covers. */
static uint32_t overlap(const struct sw_hole *h, uint32_t from, uint32_t to)
{
	const uint32_t lo = sw_seq_before(from, h->from) ? h->from : from;
	const uint32_t hi = sw_seq_before(to, h->to) ? to : h->to;

	return hi - lo;
}

/* Take [from, to) out of hole @i; what is left on either side stays missing. */
static void cut_hole(struct sw_side *s, size_t i, uint32_t from, uint32_t to)
{
	const struct sw_hole h = s->hole[i];

	if (!sw_seq_before(h.from, from) && !sw_seq_before(to, h.to)) {
		drop_hole(s, i);
		return;
	}
	if (sw_seq_before(h.from, from))
		s->hole[i].to = from;
	else
		s->hole[i].from = to;
	if (sw_seq_before(h.from, from) && sw_seq_before(to, h.to) && s->nhole < SW_TRACK_HOLES) {
		s->hole[s->nhole] = h;
		s->hole[s->nhole++].from = to;
	}
}

/*
 * Was a segment that fills a hole sent before the one behind the hole, and overtaken, or sent again
 * later?  Its timestamp tells, then its identification.  Without them the time that passed does: a
 * retransmission takes a round trip at least.  Two segments of one tick were sent within it, so
 * what comes much later was held up on its way.
 */
static bool was_overtaken(const struct sw_track *t, const struct sw_hole *h,
			  const struct sw_track_in *in)
{
	const int64_t passed = sw_between(h->at, in->at);
	const struct sw_stamp stamp = stamp_of(in);
	const int order = sent_after(&stamp, &h->behind);

	if (order)
		return order < 0;
	return passed < round_trip(t) || (stamp.ts && h->behind.ts && passed > 2 * TICK_NS);
}

/* The same for numbers that were here before: by their own retransmission. */
static bool was_first(const struct sw_side *s, const struct sw_track_in *in)
{
	const struct sw_stamp stamp = stamp_of(in);
	const int order = sent_after(&stamp, &s->newest);

	if (order)
		return order < 0;
	return stamp.ts && s->newest.ts && sw_between(s->stamp_at, in->at) > 2 * TICK_NS;
}

static uint32_t late(struct sw_track *t, struct sw_side *s)
{
	s->reordered++;
	t->findings |= SW_FIND_REORDERED;
	return SW_MARK_LATE;
}

/* A segment below s->next that is not wholly new. */
static uint32_t old_numbers(struct sw_track *t, const struct sw_track_in *in, uint32_t end)
{
	struct sw_side *s = &t->side[in->from];
	const struct sw_side *peer = &t->side[!in->from];
	const uint32_t from = in->seg->seq;

	s->timing = false; /* whose ACK it would be is not known any more */
	for (size_t i = 0; i < s->nhole; i++) {
		const struct sw_hole h = s->hole[i];

		if (!sw_seq_before(from, h.to) || !sw_seq_before(h.from, end))
			continue;
		count_new(s, in->seg, overlap(&h, from, end));
		cut_hole(s, i, from, end);
		if (was_overtaken(t, &h, in))
			return late(t, s);
		s->retransmissions++;
		t->findings |= SW_FIND_RETRANSMISSION;
		return SW_MARK_REPAIR;
	}
	if (was_first(s, in))
		return late(t, s);
	s->retransmissions++;
	t->findings |= SW_FIND_RETRANSMISSION;
	if (peer->has_ack && !sw_seq_before(peer->acked, end)) {
		t->findings |= SW_FIND_NEEDLESS;
		return SW_MARK_AGAIN | SW_MARK_NEEDLESS;
	}
	return SW_MARK_AGAIN;
}

static bool was_older(const struct sw_side *s, const struct sw_track_in *in)
{
	const struct sw_stamp stamp = stamp_of(in);

	return sent_after(&stamp, &s->newest) < 0;
}

/* One byte, or none, just below what was sent: asks the peer for a sign of life. */
static uint32_t probe_of(const struct sw_track *t, const struct sw_track_in *in)
{
	const struct sw_side *s = &t->side[in->from], *peer = &t->side[!in->from];
	const struct sw_seg *seg = in->seg;

	if ((seg->flags & SYN_FLAGS) || seg->payload_len > 1 || !s->seen || s->fin)
		return 0;
	if (peer->seen && peer->has_ack && peer->window == 0 &&
	    (seg->seq == s->next - 1 || (seg->payload_len == 1 && seg->seq == s->next)))
		return SW_MARK_WINDOW_PROBE;
	/*
	 * RFC 9293 3.8.4.  A pure ACK that was overtaken has the same number, but no silence
	 * before it; a byte that is sent again is pushed, or was not acknowledged.
	 */
	if (seg->seq != s->next - 1 || sw_between(s->last_at, in->at) < KEEPALIVE_SILENCE_NS ||
	    was_older(s, in))
		return 0;
	if (seg->payload_len && ((seg->flags & SW_TCP_PSH) || peer->acked != s->next))
		return 0;
	return SW_MARK_KEEPALIVE;
}

/* New numbers: how long until their ACK comes by?  One at a time. */
static void advance(struct sw_side *s, const struct sw_track_in *in, uint32_t end)
{
	s->next = end;
	if (s->timing)
		return;
	s->timing = true;
	s->timed_end = end;
	s->timed_at = in->at;
}

static void take_time(struct sw_side *acked, const struct sw_track_in *in)
{
	const int64_t took = sw_between(acked->timed_at, in->at);

	if (!acked->timing || sw_seq_before(in->seg->ack, acked->timed_end))
		return;
	acked->timing = false;
	if (took > 0 && (!acked->rtt || took < acked->rtt))
		acked->rtt = took;
}

static uint32_t on_numbers(struct sw_track *t, const struct sw_track_in *in, uint32_t marks)
{
	struct sw_side *s = &t->side[in->from];
	const struct sw_seg *seg = in->seg;
	const uint32_t len = length_of(seg), end = seg->seq + len;

	if (!s->seen || (seg->flags & SW_TCP_SYN && !(marks & SW_MARK_SYN_AGAIN) &&
			 s->syn_count + s->synack_count <= 1)) {
		s->base = seg->flags & SW_TCP_SYN ? seg->seq : seg->seq - 1;
		s->nhole = 0;
		advance(s, in, end);
		count_new(s, seg, len);
		return 0;
	}
	if (sw_seq_before(s->next, seg->seq)) {
		add_hole(s, s->next, seg->seq, in);
		count_new(s, seg, len);
		s->next = end;
		return SW_MARK_GAP;
	}
	if (len == 0)
		return 0;
	if (seg->seq == s->next) {
		count_new(s, seg, len);
		advance(s, in, end);
		return 0;
	}
	if (sw_seq_before(s->next, end)) {
		count_new(s, seg, end - s->next);
		s->next = end;
	}
	return marks & (SW_MARK_SYN_AGAIN | SW_MARK_SYNACK_AGAIN) || (seg->flags & SW_TCP_SYN)
		       ? 0
		       : old_numbers(t, in, end);
}

static bool repeats_ack(const struct sw_side *s, const struct sw_seg *seg)
{
	return !(seg->flags & SYN_FLAGS) && seg->payload_len == 0 && s->has_ack &&
	       seg->ack == s->acked && seg->window == s->window && seg->seq == s->next;
}

static uint32_t on_ack(struct sw_track *t, const struct sw_track_in *in)
{
	struct sw_side *s = &t->side[in->from], *peer = &t->side[!in->from];
	const struct sw_seg *seg = in->seg;
	uint32_t marks = 0;

	if (!(seg->flags & SW_TCP_ACK))
		return 0;
	take_time(peer, in);
	if (peer->seen && sw_seq_before(peer->next, seg->ack) && !(seg->flags & SW_TCP_SYN)) {
		add_hole(peer, peer->next, seg->ack, in);
		peer->hole[peer->nhole - 1].behind = (struct sw_stamp){ 0 }; /* another clock */
		peer->next = seg->ack;
		t->findings |= SW_FIND_GAP;
		marks |= SW_MARK_ACK_UNSEEN;
	} else if (repeats_ack(s, seg)) {
		if (peer->last_keepalive) {
			marks |= SW_MARK_KEEPALIVE_ACK;
		} else if (seg->window && sw_seq_before(seg->ack, peer->next)) {
			/* RFC 5681 2: only while something is outstanding. */
			marks |= SW_MARK_DUP_ACK;
		}
	}
	if (!s->has_ack || sw_seq_before(s->acked, seg->ack))
		s->acked = seg->ack;
	s->has_ack = true;
	return marks;
}

bool sw_seq_is_outside(const struct sw_track *t, const struct sw_track_in *in)
{
	const struct sw_side *s = &t->side[in->from], *peer = &t->side[!in->from];
	const struct sw_seg *seg = in->seg;

	if (seg->flags & (SW_TCP_SYN | SW_TCP_RST))
		return false;
	if (s->seen && seg->seq - s->next + WINDOW_MAX > 2 * WINDOW_MAX)
		return true;
	return (seg->flags & SW_TCP_ACK) && peer->seen &&
	       seg->ack - peer->next + WINDOW_MAX > 2 * WINDOW_MAX;
}

static void keep_newest(struct sw_side *s, const struct sw_track_in *in)
{
	const struct sw_stamp stamp = stamp_of(in);
	const int order = sent_after(&stamp, &s->newest);

	if (order < 0)
		return;
	if (stamp.tsval != s->newest.tsval || !stamp.ts)
		s->stamp_at = in->at;
	if (!stamp.id && order == 0 && s->newest.ts)
		return;
	s->newest = stamp;
}

uint32_t sw_seq_follow(struct sw_track *t, const struct sw_track_in *in, uint32_t marks)
{
	struct sw_side *s = &t->side[in->from];
	const struct sw_seg *seg = in->seg;
	uint32_t more = probe_of(t, in);

	if (more & SW_MARK_KEEPALIVE)
		t->findings |= SW_FIND_KEEPALIVE;
	if (!more)
		more = on_numbers(t, in, marks);
	more |= on_ack(t, in);
	if (seg->window == 0 && !(seg->flags & SYN_FLAGS)) {
		more |= SW_MARK_ZERO_WINDOW;
		t->findings |= SW_FIND_ZERO_WINDOW;
	}
	if (seg->payload_len)
		s->data_at = in->at;
	keep_newest(s, in);
	s->last_keepalive = more & SW_MARK_KEEPALIVE;
	return more;
}
