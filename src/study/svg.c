/* SPDX-License-Identifier: MIT */
#include "study/svg.h"

#include "study/tale.h"
#include "study/when.h"

#include <string.h>

#define CLIENT_X 200
#define SERVER_X 640
#define NOTE_X	 660
#define WIDTH	 1180
#define TOP	 46
#define STEP	 34 /* from packet to packet */
#define SLOPE	 10 /* an arrow arrives lower than it left: time runs down */
#define NOTE_CHARS 88

#define CHART_W 1180
#define CHART_H 150
#define BASE	124

#define AGAIN (SW_MARK_SYN_AGAIN | SW_MARK_SYNACK_AGAIN | SW_MARK_SYNACK_CHANGED | SW_MARK_AGAIN | \
	       SW_MARK_REPAIR)

void sw_svg_text(FILE *out, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '&':
			fputs("&amp;", out);
			break;
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		case '\'':
			fputs("&#39;", out);
			break;
		default:
			fputc((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text, out);
		}
	}
}

static const char *class_of(const struct sw_rung *row)
{
	if (row->marks & AGAIN)
		return "again";
	if (row->flags & SW_TCP_RST)
		return "rst";
	if (row->marks & (SW_MARK_LATE | SW_MARK_COPY | SW_MARK_GAP | SW_MARK_BAD_CHECKSUM))
		return "odd";
	if (row->flags & SW_TCP_SYN)
		return "syn";
	if (row->flags & SW_TCP_FIN)
		return "fin";
	return row->len ? "data" : "ack";
}

/* At the right, cut to what fits; the whole of it shows under the pointer. */
static void put_note(FILE *out, const char *class, int y, const char *text)
{
	const size_t n = strnlen(text, 1000);

	if (!n)
		return;
	fprintf(out, "<text class=\"note %s\" x=\"%d\" y=\"%d\"><title>", class, NOTE_X, y);
	sw_svg_text(out, text);
	fputs("</title>", out);
	if (n > NOTE_CHARS) {
		char cut[NOTE_CHARS + 4];

		snprintf(cut, sizeof(cut), "%.*s...", NOTE_CHARS - 3, text);
		sw_svg_text(out, cut);
	} else {
		sw_svg_text(out, text);
	}
	fputs("</text>", out);
}

static void put_packet(FILE *out, const struct sw_flow *flow, const struct sw_rung *row, int y)
{
	const int x1 = row->from == SW_CLIENT ? CLIENT_X : SERVER_X;
	const int x2 = row->from == SW_CLIENT ? SERVER_X - 2 : CLIENT_X + 2;
	const char *class = class_of(row);
	char label[SW_LANE_TEXT], note[SW_LANE_TEXT * 3], core[SW_RUNG_NOTE_MAX + 32];

	fprintf(out,
		"<g class=\"%s\"><line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" "
		"marker-end=\"url(#a-%s)\"/><text class=\"label\" x=\"%d\" y=\"%d\">", class, x1, y,
		x2, y + SLOPE, class, (CLIENT_X + SERVER_X) / 2, y + SLOPE / 2 - 5);
	sw_svg_text(out, sw_ladder_label(row, label));
	fputs("</text></g>", out);
	put_note(out, class, y + (row->note ? -1 : 8), sw_ladder_note(flow, row, note));
	if (!row->note)
		return;
	snprintf(core, sizeof(core), "%s: %s", row->word, row->note);
	put_note(out, "core", y + 14, core);
}

static void put_row(FILE *out, const struct sw_flow *flow, const struct sw_rung *row, int y)
{
	char fold[SW_LANE_TEXT];

	fprintf(out, "<text class=\"time\" x=\"8\" y=\"%d\">%llu</text>"
		     "<text class=\"time end\" x=\"%d\" y=\"%d\">%.6f s</text>", y + 4,
		(unsigned long long)row->number, CLIENT_X - 12, y + 4, (double)row->at / 1e9);
	if (!sw_rung_is_fold(row)) {
		put_packet(out, flow, row, y);
		return;
	}
	fprintf(out, "<text class=\"label fold\" x=\"%d\" y=\"%d\">", (CLIENT_X + SERVER_X) / 2,
		y + 8);
	sw_svg_text(out, sw_ladder_fold(row, fold));
	fputs("</text>", out);
}

void sw_svg_ladder(FILE *out, const struct sw_flow *flow)
{
	const int height = TOP + STEP * flow->rungs.n + 16;
	char name[SW_ENDPOINT_TEXT];

	fprintf(out, "<svg class=\"ladder\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" "
		"role=\"img\" aria-label=\"packets between client and server\">", WIDTH, height,
		WIDTH, height);
	for (int end = 0; end < 2; end++) {
		const int x = end == SW_CLIENT ? CLIENT_X : SERVER_X;
		const struct sw_flow_key *k = &flow->key;

		fprintf(out, "<line class=\"end\" x1=\"%d\" y1=\"26\" x2=\"%d\" y2=\"%d\"/>"
			"<text class=\"host\" x=\"%d\" y=\"16\">", x, x, height - 4, x);
		sw_svg_text(out, end == SW_CLIENT
			    ? sw_endpoint_text(k->family, &k->client, k->cport, name)
			    : sw_endpoint_text(k->family, &k->server, k->sport, name));
		fputs("</text>", out);
	}
	for (size_t i = 0; i < flow->rungs.n; i++)
		put_row(out, flow, &flow->rungs.rung[i], TOP + STEP * (int)i);
	fputs("</svg>\n", out);
}

static uint32_t highest(const struct sw_rate *r)
{
	uint32_t max = 0;

	for (size_t i = 0; i < SW_RATE_BARS; i++)
		max = r->bar[i] > max ? r->bar[i] : max;
	return max;
}

/* Bars of one kind.  Both kinds begin at @first and have bars of @width seconds. */
static void put_bars(FILE *out, const struct sw_rate *r, const char *class, uint64_t first,
		     uint64_t width, size_t bars, uint32_t max)
{
	const double w = (double)CHART_W / (double)bars;

	for (size_t i = 0; r->total && i < SW_RATE_BARS; i++) {
		const double at = (double)(r->first - first + i * r->width) / (double)width;
		const double h = (double)r->bar[i] * (double)width / (double)r->width /
				 (double)max * (BASE - 20);

		if (r->bar[i])
			fprintf(out, "<rect class=\"%s\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" "
				"height=\"%.2f\"><title>%u in %llu s</title></rect>", class, at * w,
				BASE - h, w > 1.5 ? w - .5 : w, h, r->bar[i],
				(unsigned long long)r->width);
	}
}

static size_t bars_of(const struct sw_rate *r, uint64_t first, uint64_t width)
{
	return r->total ? (size_t)((r->now.second - first) / width + 1) : 0;
}

void sw_svg_rates(FILE *out, const struct sw_rate *syns, const struct sw_rate *opens)
{
	const uint64_t width = opens->width > syns->width ? opens->width : syns->width;
	const uint64_t first = opens->total && opens->first < syns->first ? opens->first
									  : syns->first;
	size_t bars, more;
	uint32_t max;
	char when[SW_TIME_TEXT], n[SW_COUNT_TEXT];

	if (!syns->total)
		return;
	max = highest(syns) > highest(opens) ? highest(syns) : highest(opens);
	bars = bars_of(syns, first, width);
	more = bars_of(opens, first, width);
	bars = more > bars ? more : bars;
	fprintf(out, "<svg class=\"chart\" viewBox=\"0 0 %d %d\" role=\"img\" "
		"aria-label=\"SYNs over time\">", CHART_W, CHART_H);
	put_bars(out, syns, "bar syn", first, width, bars < 10 ? 10 : bars, max);
	put_bars(out, opens, "bar open", first, width, bars < 10 ? 10 : bars, max);
	fprintf(out, "<line class=\"end\" x1=\"0\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>"
		"<text class=\"time\" x=\"2\" y=\"%d\">", BASE, CHART_W, BASE, CHART_H - 8);
	sw_svg_text(out, sw_time_text((sw_wall){ first * 1000000000u }, when));
	fprintf(out, "</text><text class=\"time\" x=\"2\" y=\"14\">highest bar: %s in %llu s"
		"</text></svg>\n", sw_count_text(max, n), (unsigned long long)width);
}
