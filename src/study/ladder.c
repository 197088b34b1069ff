/* SPDX-License-Identifier: MIT */
#include "study/ladder.h"

#include "study/layout.h"
#include "study/tale.h"

#include <stdarg.h>
#include <string.h>

#define LANE 46 /* columns between the two ends */

#define SGR_RESET  "\033[0m"
#define SGR_BOLD   "\033[1m"
#define SGR_DIM    "\033[2m"
#define SGR_RED    "\033[31m"
#define SGR_GREEN  "\033[32m"
#define SGR_YELLOW "\033[33m"

/* What the network or the other end did to the packet: worth a colour. */
#define TROUBLE (SW_MARK_SYN_AGAIN | SW_MARK_SYNACK_AGAIN | SW_MARK_SYNACK_CHANGED | \
		 SW_MARK_AGAIN | SW_MARK_REPAIR | SW_MARK_LATE | SW_MARK_COPY | SW_MARK_GAP | \
		 SW_MARK_BAD_ACK | SW_MARK_OUTSIDE | SW_MARK_BAD_CHECKSUM)
#define AGAIN	(SW_MARK_SYN_AGAIN | SW_MARK_SYNACK_AGAIN | SW_MARK_SYNACK_CHANGED | \
		 SW_MARK_AGAIN | SW_MARK_REPAIR)

static void add(char *out, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void add(char *out, size_t size, const char *fmt, ...)
{
	const size_t n = strlen(out);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(out + n, size - n, fmt, ap);
	va_end(ap);
}

static const char *sgr(const struct sw_look *look, const char *code)
{
	return look->color ? code : "";
}

static void add_close(const struct sw_track *t, char *out, size_t size)
{
	const unsigned wait = sw_track_time_wait(t);

	add(out, size, ", %s", sw_close_name(sw_track_close(t)));
	if (sw_track_close(t) != SW_CLOSE_SIMULTANEOUS)
		add(out, size, ", the %s first", sw_end_name(t->first_fin));
	if (wait)
		add(out, size, "; TIME_WAIT at %s", wait == 3 ? "both ends"
				 : wait == 1 ? "the client" : "the server");
	if (!t->side[0].fin_acked || !t->side[1].fin_acked)
		add(out, size, "; the last ACK is missing");
}

static const char *after_fins(const struct sw_track *t)
{
	if (t->side[SW_CLIENT].fin && t->side[SW_SERVER].fin)
		return " after both had sent a FIN";
	if (t->side[SW_CLIENT].fin)
		return " after the client's FIN";
	return t->side[SW_SERVER].fin ? " after the server's FIN" : "";
}

const char *sw_ladder_ending(const struct sw_flow *flow, char out[SW_LANE_TEXT * 2])
{
	const struct sw_track *t = &flow->track;
	const enum sw_outcome o = sw_track_outcome(t);
	const size_t size = SW_LANE_TEXT * 2;

	snprintf(out, size, "%s", sw_outcome_name(o));
	for (char *p = out; *p; p++)
		*p = *p == '_' ? ' ' : *p;
	if (o == SW_OUTCOME_RESET)
		add(out, size, " by the %s%s", sw_end_name(t->rst_by), after_fins(t));
	else if (sw_track_close(t) != SW_CLOSE_NONE)
		add_close(t, out, size);
	else if (o == SW_OUTCOME_HALF_CLOSED)
		add(out, size, " by the %s", sw_end_name(t->first_fin));
	return out;
}

const char *sw_ladder_label(const struct sw_rung *row, char out[SW_LANE_TEXT])
{
	char flags[SW_TALE_FLAGS];

	snprintf(out, SW_LANE_TEXT, "%s seq %u", sw_tale_flags(row->flags, flags), row->seq);
	if (row->flags & SW_TCP_ACK)
		add(out, SW_LANE_TEXT, " ack %u", row->ack);
	if (row->len)
		add(out, SW_LANE_TEXT, " len %u", row->len);
	return out;
}

const char *sw_ladder_fold(const struct sw_rung *row, char out[SW_LANE_TEXT])
{
	char n[SW_COUNT_TEXT], b[SW_COUNT_TEXT];

	out[0] = '\0';
	for (int end = 0; end < 2; end++) {
		if (!row->folded[end])
			continue;
		add(out, SW_LANE_TEXT, "%s%s %s", *out ? ", " : "",
		    end == SW_CLIENT ? "->" : "<-", sw_count_text(row->folded[end], n));
		if (row->bytes[end])
			add(out, SW_LANE_TEXT, " (%s)", sw_bytes_text(row->bytes[end], b));
	}
	return out;
}

const char *sw_ladder_note(const struct sw_flow *flow, const struct sw_rung *row,
			   char out[SW_LANE_TEXT * 3])
{
	const struct sw_side *s = &flow->track.side[row->from];
	const size_t size = SW_LANE_TEXT * 3;
	char text[SW_MARKS_TEXT];

	out[0] = '\0';
	if ((row->flags & SW_TCP_SYN) && !(row->marks & AGAIN)) {
		char options[SW_OPTIONS_TEXT];

		add(out, size, "win %u, %s", row->window, sw_options_text(&s->opt, options));
	}
	if (row->flags & SW_TCP_RST && row->number == flow->track.rst_number)
		add(out, size, "%s", sw_rst_text(flow->track.rst));
	if (*sw_marks_text(row->marks, text))
		add(out, size, "%s%s", *out ? "; " : "", text);
	return out;
}

static void put_arrow(FILE *out, const struct sw_rung *row, const struct sw_look *look)
{
	char label[SW_LANE_TEXT], lane[LANE + 1];
	const char fill = row->marks & AGAIN ? '=' : row->flags & SW_TCP_RST ? 'x' : '-';
	const int room = LANE - 8;
	int n, at;

	sw_ladder_label(row, label);
	n = (int)strnlen(label, (size_t)room);
	memset(lane, fill, LANE);
	lane[LANE] = '\0';
	at = (LANE - n - 2) / 2;
	lane[at] = ' ';
	memcpy(lane + at + 1, label, (size_t)n);
	lane[at + 1 + n] = ' ';
	if (row->from == SW_CLIENT)
		lane[LANE - 1] = '>';
	else
		lane[0] = '<';
	fprintf(out, "|%s%s%s|", row->marks & TROUBLE ? sgr(look, SGR_YELLOW)
		: row->flags & SW_TCP_RST ? sgr(look, SGR_RED)
		: row->flags & (SW_TCP_SYN | SW_TCP_FIN) ? sgr(look, SGR_GREEN) : "", lane,
		sgr(look, SGR_RESET));
}

static void put_row(FILE *out, const struct sw_flow *flow, const struct sw_rung *row,
		    const struct sw_look *look)
{
	char note[SW_LANE_TEXT * 3];

	fprintf(out, "%10llu %12.6f  ", (unsigned long long)row->number, (double)row->at / 1e9);
	if (sw_rung_is_fold(row)) {
		char fold[SW_LANE_TEXT];

		fprintf(out, "|%s%*s%-*s%s|\n", sgr(look, SGR_DIM), 4, "", LANE - 4,
			sw_ladder_fold(row, fold), sgr(look, SGR_RESET));
		return;
	}
	put_arrow(out, row, look);
	sw_ladder_note(flow, row, note);
	fprintf(out, "%s%s\n", *note ? "  " : "", note);
	if (row->note)
		fprintf(out, "%25s|%*s|  %s%s: %s%s\n", "", LANE, "", sgr(look, SGR_DIM), row->word,
			row->note, sgr(look, SGR_RESET));
}

/* The ISNs as they were on the wire, and how long the handshake took at this place. */
static void put_numbers(FILE *out, const struct sw_flow *flow)
{
	const struct sw_track *t = &flow->track;
	const struct sw_side *c = &t->side[SW_CLIENT], *s = &t->side[SW_SERVER];
	char span[SW_COUNT_TEXT];

	if (!c->syn && !s->syn)
		return;
	fprintf(out, "    ISN");
	if (c->syn)
		fprintf(out, " client %u (0x%08x)", c->isn, c->isn);
	if (s->syn)
		fprintf(out, "%s server %u (0x%08x)", c->syn ? "," : "", s->isn, s->isn);
	if (c->syn_count && s->synack_count)
		fprintf(out, "; SYN-ACK after %s",
			sw_span_text(sw_between(t->syn_at, t->synack_at), span));
	if (t->opened && s->synack_count)
		fprintf(out, ", proven after %s more",
			sw_span_text(sw_between(t->synack_at, t->open_at), span));
	fprintf(out, "\n");
}

static void put_findings(FILE *out, const struct sw_flow *flow, const struct sw_look *look)
{
	const struct sw_track *t = &flow->track;
	char lost[SW_OPTIONS_TEXT], text[SW_LAYOUT_TEXT];
	struct sw_layout l;

	for (unsigned bit = 0; bit < SW_NFIND; bit++) {
		if (!(t->findings >> bit & 1) || bit == SW_FIND_BIT_RESET)
			continue;
		fprintf(out, "    %s*%s %s", sgr(look, SGR_YELLOW), sgr(look, SGR_RESET),
			sw_find_text(bit));
		if (bit == SW_FIND_BIT_OPTION_LOSS)
			fprintf(out, ": %s", sw_lost_text(t->lost_options, lost));
		fprintf(out, "\n");
	}
	if (t->rst != SW_RST_NONE)
		fprintf(out, "    %s*%s reset by the %s in packet %llu: %s\n", sgr(look, SGR_RED),
			sgr(look, SGR_RESET), sw_end_name(t->rst_by),
			(unsigned long long)t->rst_number, sw_rst_text(t->rst));
	if (!look->keyed && sw_layout_of(t, flow->key.family, &l))
		fprintf(out, "    %s%s%s\n", sgr(look, SGR_DIM), sw_layout_text(&l, text),
			sgr(look, SGR_RESET));
}

void sw_ladder_text(FILE *out, const struct sw_flow *flow, const struct sw_look *look)
{
	const struct sw_flow_key *k = &flow->key;
	char a[SW_ENDPOINT_TEXT], b[SW_ENDPOINT_TEXT], ending[SW_LANE_TEXT * 2];

	fprintf(out, "%s#%llu  %s -> %s%s  %s%s\n", sgr(look, SGR_BOLD),
		(unsigned long long)flow->id, sw_endpoint_text(k->family, &k->client, k->cport, a),
		sw_endpoint_text(k->family, &k->server, k->sport, b), sgr(look, SGR_RESET),
		sw_ladder_ending(flow, ending), flow->guessed ? "  (which end asked is a guess)" : "");
	put_numbers(out, flow);
	put_findings(out, flow, look);
	fprintf(out, "    packet      seconds  client%*sserver\n", LANE - 10, "");
	for (size_t i = 0; i < flow->rungs.n; i++)
		put_row(out, flow, &flow->rungs.rung[i], look);
	if (flow->rungs.lost)
		fprintf(out, "    (some packets are not shown: no memory)\n");
	fprintf(out, "\n");
}
