/* SPDX-License-Identifier: MIT */
#include "study/explain.h"

#include "core/csum.h"
#include "study/annotate.h"
#include "study/explainjson.h"
#include "study/html.h"
#include "study/pcapng.h"
#include "study/report.h"

#include <errno.h>
#include <string.h>

#define PROGRESS_PACKETS 8192
#define TCP_CSUM	 16 /* offset of the checksum in the TCP header */

struct run {
	const struct sw_explain_config *cf;
	struct sw_explain_result *result;
	struct sw_flows *flows;	 /* owned */
	struct sw_judge *judge;	 /* owned */
	struct sw_summary sum;
	struct sw_pcapng writer;
	struct sw_json *json;	 /* owned */
	struct sw_html *html;	 /* owned */
	uint32_t iface;
	struct sw_look look;
	bool ending; /* every connection is counted already */
	int rc;	     /* first error of a write */
};

static void keep_error(struct run *r, int rc)
{
	if (r->rc == 0)
		r->rc = rc;
}

static bool is_chosen(const struct sw_explain_config *cf, const struct sw_track *t)
{
	if (!cf->outcomes && !cf->findings && !cf->closes)
		return true;
	return (cf->outcomes >> sw_track_outcome(t) & 1) || (cf->findings & t->findings) ||
	       (cf->closes >> sw_track_close(t) & 1);
}

/* An attempt of a flood says nothing that its target's counts do not say. */
static bool is_collapsed(struct run *r, const struct sw_flow *f, enum sw_leave why)
{
	if (!sw_outcome_incomplete(sw_track_outcome(&f->track)))
		return false;
	if (why == SW_LEAVE_EVICTED)
		return true;
	return !r->cf->all && sw_target_is_flooded(sw_summary_target(&r->sum, &f->key));
}

static void draw(struct run *r, const struct sw_flow *f)
{
	if (!is_chosen(r->cf, &f->track))
		return;
	if (r->result->drawn >= r->cf->ladders) {
		r->result->undrawn++;
		return;
	}
	r->result->drawn++;
	if (r->cf->text)
		sw_ladder_text(r->cf->text, f, &r->look);
	if (r->html)
		keep_error(r, sw_html_flow(r->html, f, &r->look));
}

static void on_leave(const struct sw_flow *f, enum sw_leave why, void *arg)
{
	struct run *r = arg;

	if (!r->ending)
		sw_summary_flow(&r->sum, f, why);
	if (is_collapsed(r, f, why)) {
		r->result->collapsed++;
		return;
	}
	if (r->json && is_chosen(r->cf, &f->track))
		keep_error(r, sw_json_flow(r->json, f, &r->look));
	draw(r, f);
}

static void count_last(const struct sw_flow *f, enum sw_leave why, void *arg)
{
	struct run *r = arg;

	sw_summary_flow(&r->sum, f, why);
}

/*
 * On the host that sends it, a segment often carries the sum of the pseudo header only: the
 * network card does the rest.  Some cards want that sum without the length.
 */
static bool is_partial(const struct sw_frame *f, const struct sw_seg *seg)
{
	const uint16_t got = (uint16_t)(f->data[seg->l4_off + TCP_CSUM] << 8 |
					f->data[seg->l4_off + TCP_CSUM + 1]);
	const uint32_t lengths[] = { seg->l4_len, 0 };

	for (size_t i = 0; i < 2; i++) {
		const uint64_t sum =
			sw_csum_pseudo(seg->family, &seg->src, &seg->dst, lengths[i]);

		if (got + sw_csum_fold(sum) == 0xffff)
			return true;
	}
	return false;
}

static uint16_t ip_id(const struct sw_frame *f, const struct sw_seg *seg)
{
	const uint8_t *id = f->data + seg->l3_off + 4;

	return (uint16_t)(seg->family == SW_IP4 ? id[0] << 8 | id[1] : 0);
}

static void write_packet(struct run *r, const struct sw_packet *p, enum sw_pcapng_dir dir,
			 const struct sw_comment *comment)
{
	const struct sw_pcapng_packet out = {
		.iface = r->iface, .at = p->at, .data = p->data, .caplen = p->caplen,
		.origlen = p->origlen, .dir = dir,
		.comment = { comment->sentence, comment->facts },
	};

	keep_error(r, sw_pcapng_packet(&r->writer, &out));
}

/* @return the core's word about a packet that no socket owns, or NULL. */
static const struct sw_judgement *ask(struct run *r, const struct sw_packet *p,
				      const struct sw_flow *f, const struct sw_track_in *in,
				      const struct sw_track_out *tr, struct sw_judgement *room)
{
	const struct sw_case c = {
		.frame = &p->frame, .at = p->at, .minted = f->track.synack_at,
		.way = in->from == SW_CLIENT ? SW_WAY_IN : SW_WAY_OUT,
	};

	if (!tr->handshake || (!r->cf->masters && !r->cf->pcapng))
		return NULL;
	sw_judge_packet(r->judge, &c, room);
	if (room->finding == SW_FOUND_DECISION)
		sw_summary_decision(&r->sum, &room->decision);
	return room;
}

static void add_row(struct sw_flow *f, const struct sw_track_in *in,
		    const struct sw_track_out *tr, const struct sw_judgement *jm)
{
	struct sw_rung row = {
		.number = in->number, .at = sw_between(f->track.start, in->at), .seq = tr->seq,
		.ack = tr->ack, .len = in->seg->payload_len, .marks = tr->marks,
		.window = in->seg->window, .flags = in->seg->flags, .from = (uint8_t)in->from,
	};

	if (jm) {
		row.word = sw_judgement_word(jm);
		if (jm->finding == SW_FOUND_DECISION)
			row.reason = sw_why_name(jm->decision.why);
	}
	sw_rungs_add(&f->rungs, &row, jm ? jm->sentence : NULL);
}

static void on_segment(struct run *r, const struct sw_packet *p, const struct sw_seg *seg)
{
	struct sw_track_in in = { .seg = seg, .at = p->at, .number = p->number,
				  .ip_id = ip_id(&p->frame, seg) };
	struct sw_flow *f = sw_flows_get(r->flows, seg, p->number, &in.from);
	const struct sw_judgement *jm;
	struct sw_judgement room;
	struct sw_track_out tr;

	in.bad_checksum = !sw_wire_tcp_csum_ok(&p->frame, seg) && !is_partial(&p->frame, seg);
	sw_track_segment(&f->track, &in, &tr);
	jm = ask(r, p, f, &in, &tr, &room);
	add_row(f, &in, &tr, r->cf->masters ? jm : NULL);
	sw_summary_segment(&r->sum, f, &in, &tr);
	if (r->cf->pcapng) {
		struct sw_comment comment;

		sw_annotate(&comment, f, &in, &tr, jm);
		write_packet(r, p, in.from == SW_CLIENT ? SW_PCAPNG_IN : SW_PCAPNG_OUT, &comment);
	}
	sw_flows_touch(r->flows, f);
}

static void on_packet(struct run *r, const struct sw_packet *p)
{
	struct sw_seg seg;
	const enum sw_why why = sw_wire_parse(&seg, &p->frame);

	sw_summary_packet(&r->sum, p->at, p->number, p->origlen, why);
	if (why == SW_WIRE_OK) {
		on_segment(r, p, &seg);
	} else if (r->cf->pcapng) {
		struct sw_comment comment;

		sw_annotate_refused(&comment, why);
		write_packet(r, p, SW_PCAPNG_UNKNOWN, &comment);
	}
}

static int read_all(struct run *r, struct sw_capture *c)
{
	struct sw_packet p;
	int rc;

	while ((rc = sw_capture_next(c, &p, r->result->err)) == 1 && r->rc == 0) {
		on_packet(r, &p);
		if (r->cf->progress && r->sum.packets % PROGRESS_PACKETS == 0)
			r->cf->progress(c, r->sum.packets, r->cf->arg);
	}
	r->result->damaged = rc == -EBADMSG;
	return rc == 1 || rc == -EBADMSG ? 0 : rc;
}

static int open_pcapng(struct run *r, struct sw_capture *c)
{
	int rc = sw_pcapng_begin(&r->writer, r->cf->pcapng, "synward explain", r->cf->name);

	if (rc == 0)
		rc = sw_pcapng_iface(&r->writer, sw_capture_linktype(c), sw_capture_snaplen(c),
				     NULL, NULL, &r->iface);
	return rc;
}

static int open_all(struct run *r, struct sw_capture *c)
{
	const struct sw_judge_config jc = { .masters = r->cf->masters, .alg = r->cf->alg,
					    .searches = SW_EXPLAIN_SEARCHES,
					    .searches_max = SW_EXPLAIN_SEARCHES_MAX,
					    .effort = SW_EFFORT_QUICK };
	int rc = sw_summary_init(&r->sum);

	if (rc == 0)
		rc = sw_flows_new(&r->flows, r->cf->flows, r->cf->seed, on_leave, r);
	if (rc == 0)
		rc = sw_judge_new(&r->judge, &jc);
	if (rc == 0 && r->cf->pcapng)
		rc = open_pcapng(r, c);
	if (rc == 0 && r->cf->json)
		rc = sw_json_begin(&r->json, r->cf->json);
	if (rc == 0 && r->cf->html)
		rc = sw_html_begin(&r->html);
	return rc;
}

/* Everything is counted before anything is drawn: what is a flood shows at the end. */
static void finish(struct run *r)
{
	sw_flows_each(r->flows, count_last, r);
	r->ending = true;
	sw_flows_end(r->flows);
	sw_summary_end(&r->sum);
	r->result->packets = r->sum.packets;
	r->result->segments = r->sum.segments;
	r->result->flows = r->sum.flows;
	r->result->unsearched = sw_judge_unsearched(r->judge);
	if (r->cf->text)
		sw_report_text(r->cf->text, &r->sum, r->cf, r->result);
	if (r->json)
		keep_error(r, sw_json_end(r->json, &r->sum, r->cf, r->result));
	if (r->html)
		keep_error(r, sw_html_end(r->html, r->cf->html, &r->sum, r->cf, r->result));
	if (r->cf->pcapng)
		keep_error(r, sw_pcapng_flush(&r->writer));
}

int sw_explain(struct sw_capture *c, const struct sw_explain_config *cf,
	       struct sw_explain_result *out)
{
	struct run r = { .cf = cf, .result = out,
			 .look = { .color = cf->color, .keyed = cf->masters != NULL } };
	int rc;

	memset(out, 0, sizeof(*out));
	rc = open_all(&r, c);
	if (rc == 0) {
		rc = read_all(&r, c);
		finish(&r);
	}
	sw_flows_free(r.flows);
	sw_judge_free(r.judge);
	sw_json_free(r.json);
	sw_html_free(r.html);
	sw_summary_free(&r.sum);
	return rc ? rc : r.rc;
}
