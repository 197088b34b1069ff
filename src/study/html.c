/* SPDX-License-Identifier: MIT */
#include "study/html.h"

#include "study/htmlparts.h"
#include "study/layout.h"
#include "study/report.h"
#include "study/svg.h"
#include "study/tale.h"
#include "study/when.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct sw_html {
	FILE *body; /* owned, a temporary file */
};

int sw_html_begin(struct sw_html **out)
{
	struct sw_html *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->body = tmpfile();
	if (!h->body) {
		const int rc = -errno;

		free(h);
		return rc;
	}
	*out = h;
	return 0;
}

void sw_html_free(struct sw_html *h)
{
	if (!h)
		return;
	fclose(h->body);
	free(h);
}

static void put_findings(FILE *out, const struct sw_flow *f, const struct sw_look *look)
{
	const struct sw_track *t = &f->track;
	char text[SW_LAYOUT_TEXT], lost[SW_OPTIONS_TEXT];
	struct sw_layout l;

	fputs("<ul>", out);
	for (unsigned bit = 0; bit < SW_NFIND; bit++) {
		if (!(t->findings >> bit & 1) || bit == SW_FIND_BIT_RESET)
			continue;
		fputs("<li>", out);
		sw_svg_text(out, sw_find_text(bit));
		if (bit == SW_FIND_BIT_OPTION_LOSS)
			fprintf(out, ": %s", sw_lost_text(t->lost_options, lost));
		fputs("</li>", out);
	}
	if (t->rst != SW_RST_NONE) {
		fprintf(out, "<li class=\"rst\">reset by the %s in packet %llu: ",
			sw_end_name(t->rst_by), (unsigned long long)t->rst_number);
		sw_svg_text(out, sw_rst_text(t->rst));
		fputs("</li>", out);
	}
	if (!look->keyed && sw_layout_of(t, f->key.family, &l)) {
		fputs("<li class=\"dim\">", out);
		sw_svg_text(out, sw_layout_text(&l, text));
		fputs("</li>", out);
	}
	fputs("</ul>", out);
}

static void put_isns(FILE *out, const struct sw_track *t)
{
	if (!t->side[SW_CLIENT].syn && !t->side[SW_SERVER].syn)
		return;
	fputs("<p class=\"dim\">ISN", out);
	for (int end = 0; end < 2; end++) {
		if (t->side[end].syn)
			fprintf(out, " %s 0x%08x", sw_end_name((enum sw_end)end),
				t->side[end].isn);
	}
	fputs("</p>", out);
}

/* The words that the filter box searches. */
static void put_words(FILE *out, const struct sw_flow *f)
{
	fprintf(out, "%s %s ", sw_outcome_name(sw_track_outcome(&f->track)),
		sw_close_name(sw_track_close(&f->track)));
	for (unsigned bit = 0; bit < SW_NFIND; bit++) {
		if (f->track.findings >> bit & 1)
			fprintf(out, "%s ", sw_find_name(bit));
	}
}

int sw_html_flow(struct sw_html *h, const struct sw_flow *f, const struct sw_look *look)
{
	const struct sw_flow_key *k = &f->key;
	const enum sw_outcome o = sw_track_outcome(&f->track);
	char a[SW_ENDPOINT_TEXT], b[SW_ENDPOINT_TEXT], ending[SW_LANE_TEXT * 2];
	FILE *out = h->body;

	sw_endpoint_text(k->family, &k->client, k->cport, a);
	sw_endpoint_text(k->family, &k->server, k->sport, b);
	fprintf(out, "<details class=\"flow\" data-w=\"#%llu %s %s ", (unsigned long long)f->id, a,
		b);
	put_words(out, f);
	fprintf(out, "\"><summary><b>#%llu</b> <span class=\"ends\">%s &rarr; %s</span> "
		"<span class=\"badge o-%s\">", (unsigned long long)f->id, a, b, sw_outcome_name(o));
	sw_svg_text(out, sw_ladder_ending(f, ending));
	fputs("</span>", out);
	if (f->track.findings & ~(uint32_t)(SW_FIND_RESET | SW_FIND_MIDSTREAM))
		fputs(" <span class=\"badge warn\">findings</span>", out);
	fputs("</summary>", out);
	put_isns(out, &f->track);
	put_findings(out, f, look);
	sw_svg_ladder(out, f);
	fputs("</details>\n", out);
	return ferror(out) ? -EIO : 0;
}

static int copy_body(FILE *out, FILE *body)
{
	char buf[16384];
	size_t n;

	if (fflush(body) != 0 || fseeko(body, 0, SEEK_SET) != 0)
		return -errno;
	while ((n = fread(buf, 1, sizeof(buf), body)) > 0) {
		if (fwrite(buf, 1, n, out) != n)
			return -errno;
	}
	return ferror(body) ? -EIO : 0;
}

int sw_html_end(struct sw_html *h, FILE *out, struct sw_summary *s,
		const struct sw_explain_config *cf, const struct sw_explain_result *r)
{
	int rc;

	sw_htmlparts_head(out, cf->name);
	sw_htmlparts_summary(out, s, cf, r);
	rc = copy_body(out, h->body);
	sw_htmlparts_foot(out);
	if (rc == 0 && ferror(out))
		rc = -EIO;
	return rc;
}
