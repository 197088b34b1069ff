/* SPDX-License-Identifier: MIT */
#include "front/turn.h"

static void pass(struct sw_counters *n, const struct sw_io *io, const struct sw_rx *rx)
{
	if (rx->cut) {
		sw_count(&n->why[SW_WHY_CUT], 1);
		sw_count(&n->dropped, 1);
	} else if (io->give_back(io->arg, rx)) {
		sw_count(&n->why[SW_WHY_SEND_FAILED], 1);
		sw_count(&n->dropped, 1);
	} else {
		sw_count(&n->passed, 1);
	}
}

/* The socket first, then the frame that proved it: it carries data, or at least the timestamp
 * that the socket is to echo. */
static void admit(struct sw_ctx *cx, struct sw_counters *n, const struct sw_io *io,
		  const struct sw_rx *rx, const struct sw_seg *seg, const struct sw_decision *d,
		  sw_mono mono)
{
	const enum sw_why why = io->admit(io->arg, seg, d);

	if (why != SW_WHY_ACK_PROVEN)
		sw_count(&n->why[why], 1);
	if (why != SW_WHY_ACK_PROVEN && why != SW_WHY_DUPLICATE) {
		/* The cookie stays valid: the client's next segment tries again. */
		sw_count(&n->dropped, 1);
		return;
	}
	if (why == SW_WHY_ACK_PROVEN)
		sw_count(&n->made, 1);
	sw_ctx_handed(cx, seg, &d->cookie, mono);
	pass(n, io, rx);
}

static void flush(struct sw_counters *n, const struct sw_io *io, unsigned queued)
{
	const unsigned lost = queued ? io->flush(io->arg) : 0;

	sw_count(&n->synacks, queued - lost);
	sw_count(&n->why[SW_WHY_SEND_FAILED], lost);
}

static void note_syn(struct sw_counters *n, const struct sw_seg *seg, const struct sw_decision *d)
{
	if (d->verdict != SW_REPLY)
		sw_count(&n->syn_refused[d->why], 1);
	if (seg->family == SW_IP6)
		sw_count(&n->syns_ip6, 1);
}

unsigned sw_turn(struct sw_ctx *cx, struct sw_counters *n, const struct sw_io *io, sw_wall wall,
		 sw_mono mono)
{
	unsigned done, queued = 0;
	struct sw_rx rx;

	for (done = 0; done < SW_BURST && io->next(io->arg, &rx); done++) {
		struct sw_seg seg;
		const struct sw_decision d = sw_decide(cx, &rx.frame, &seg, wall, mono);

		sw_count(&n->why[d.why], 1);
		if (d.syn)
			note_syn(n, &seg, &d);
		switch (d.verdict) {
		case SW_REPLY:
			io->send(io->arg, sw_reply_synack(io->slot(io->arg), &seg, &d.synack));
			queued++;
			break;
		case SW_ADMIT:
			admit(cx, n, io, &rx, &seg, &d, mono);
			break;
		case SW_PASS:
			pass(n, io, &rx);
			break;
		case SW_DROP:
		case SW_NVERDICT:
			sw_count(&n->dropped, 1);
			break;
		}
	}
	flush(n, io, queued);
	sw_count(&n->frames, done);
	return done;
}
