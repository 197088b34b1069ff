/* SPDX-License-Identifier: MIT */
#include "study/htmlparts.h"

#include "study/report.h"
#include "study/svg.h"
#include "study/tale.h"
#include "study/when.h"

static const char style[] =
	":root{--bg:#fbfbf9;--fg:#1c1e21;--dim:#6b7076;--card:#fff;--edge:#dcdcd6;--syn:#1769c2;"
	"--fin:#7a3fb0;--rst:#c62828;--again:#c77700;--ok:#2e7d32;--data:#455a64}\n"
	"@media(prefers-color-scheme:dark){:root{--bg:#15171a;--fg:#e6e6e3;--dim:#9aa0a6;"
	"--card:#1d2024;--edge:#33383e;--syn:#6cb2ff;--fin:#c79bf0;--rst:#ff7b72;--again:#ffb454;"
	"--ok:#7fd488;--data:#a8bac4}}\n"
	"*{box-sizing:border-box}body{margin:0 auto;max-width:1280px;padding:24px;background:"
	"var(--bg);color:var(--fg);font:15px/1.5 system-ui,sans-serif}\n"
	"h1{font-size:22px;margin:0 0 4px}h2{font-size:16px;margin:28px 0 8px}"
	".dim{color:var(--dim)}p{margin:4px 0}\n"
	".cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(230px,1fr));gap:10px;"
	"margin:16px 0}.card{display:flex;flex-direction:column;align-items:flex-start;background:var(--card);"
	"border:1px solid var(--edge);border-radius:8px;padding:8px 14px;cursor:pointer;font:"
	"inherit;color:inherit;text-align:left}.card:hover,.card:focus{border-color:var(--syn)}"
	".card b{display:block;font-size:20px}\n"
	"table{border-collapse:collapse}td,th{padding:3px 14px 3px 0;text-align:left;"
	"vertical-align:top}td.n{text-align:right;font-variant-numeric:tabular-nums}\n"
	".box{background:var(--card);border:1px solid var(--edge);border-radius:8px;padding:10px "
	"14px;margin:8px 0}.flood{border-left:4px solid var(--rst)}\n"
	"#q{width:100%;padding:9px 12px;font:inherit;color:inherit;background:var(--card);border:"
	"1px solid var(--edge);border-radius:8px}\n"
	"details.flow{background:var(--card);border:1px solid var(--edge);border-radius:8px;margin:"
	"6px 0;padding:6px 12px;overflow-x:auto}summary{cursor:pointer}.ends{font-family:"
	"ui-monospace,monospace;font-size:13px;margin:0 8px}\n"
	".badge{border-radius:10px;padding:1px 9px;font-size:13px;border:1px solid var(--edge)}"
	".warn{color:var(--again);border-color:var(--again)}"
	".o-reset,.o-refused,.o-half_open_reset{color:var(--rst);border-color:var(--rst)}"
	".o-closed,.o-open{color:var(--ok);border-color:var(--ok)}li.rst{color:var(--rst)}\n"
	"svg{display:block}svg text{font:12px ui-monospace,monospace;fill:var(--fg)}"
	"svg .host{font-weight:600;text-anchor:middle}svg .end{stroke:var(--dim);stroke-width:1.5}"
	"svg .time{fill:var(--dim)}svg text.end{text-anchor:end;stroke:none}"
	"svg .label{text-anchor:middle;paint-order:stroke;stroke:var(--card);stroke-width:5px}"
	"svg .fold,svg .note.core{fill:var(--dim)}svg g line{stroke-width:1.6}\n"
	"svg .ack line{stroke:var(--dim)}svg .data line{stroke:var(--data)}svg .syn line{stroke:"
	"var(--syn)}svg .fin line{stroke:var(--fin)}svg .rst line{stroke:var(--rst)}svg .again "
	"line{stroke:var(--again);stroke-dasharray:7 4}svg .odd line{stroke:var(--again)}\n"
	"svg .note.again,svg .note.odd{fill:var(--again)}svg .note.rst{fill:var(--rst)}"
	"svg .bar.syn{fill:var(--syn);opacity:.75}svg .bar.open{fill:var(--ok)}"
	".chart{width:100%;height:auto}.key{display:inline-block;width:10px;height:10px;"
	"border-radius:2px;margin:0 5px 0 14px}.defs{position:absolute;width:0;height:0}\n";

static const char script[] =
	"const q=document.getElementById('q'),n=document.getElementById('n'),"
	"f=[...document.querySelectorAll('details.flow')];\n"
	"function go(){const w=q.value.toLowerCase().split(/\\s+/).filter(Boolean);let c=0;"
	"for(const d of f){const t=d.dataset.w;const ok=w.every(x=>t.includes(x));"
	"d.style.display=ok?'':'none';c+=ok}n.textContent=c+' of '+f.length+' shown'}\n"
	"q.addEventListener('input',go);for(const b of document.querySelectorAll('.card[data-q]'))"
	"b.addEventListener('click',()=>{q.value=b.dataset.q;go();q.focus()});\n"
	"if(f.length&&f.length<4)f.forEach(d=>d.open=true);go();\n";

void sw_htmlparts_head(FILE *out, const char *title)
{
	static const char *const kinds[] = { "syn", "fin", "rst", "again", "odd", "data", "ack" };
	static const char *const vars[] = { "syn", "fin", "rst", "again", "again", "data", "dim" };

	fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
	      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
	      "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">"
	      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
	      "<title>synward explain: ", out);
	sw_svg_text(out, title);
	fprintf(out, "</title><style>\n%s</style></head><body>\n<svg class=\"defs\"><defs>", style);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		fprintf(out, "<marker id=\"a-%s\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" "
			"markerWidth=\"8\" markerHeight=\"8\" markerUnits=\"userSpaceOnUse\" "
			"orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" style=\"fill:var(--%s)\"/>"
			"</marker>", kinds[i], vars[i]);
	fputs("</defs></svg>\n<h1>", out);
	sw_svg_text(out, title);
	fputs("</h1>\n", out);
}

static void put_card(FILE *out, const char *query, uint64_t n, const char *words)
{
	char text[SW_COUNT_TEXT];

	if (!n)
		return;
	fprintf(out, "<button class=\"card\" data-q=\"%s\"><b>%s</b>", query,
		sw_count_text(n, text));
	sw_svg_text(out, words);
	fputs("</button>\n", out);
}

static void put_cards(FILE *out, const struct sw_summary *s)
{
	fputs("<div class=\"cards\">", out);
	put_card(out, "", s->flows, "connections");
	for (unsigned o = 0; o < SW_NOUTCOME; o++)
		put_card(out, sw_outcome_name((enum sw_outcome)o), s->outcome[o],
			 sw_outcome_text((enum sw_outcome)o));
	fputs("</div><h2>Findings</h2><div class=\"cards\">", out);
	for (unsigned f = 0; f < SW_NFIND; f++)
		put_card(out, sw_find_name(f), s->finding[f], sw_find_text(f));
	for (unsigned c = SW_CLOSE_NONE + 1; c < SW_NCLOSE; c++)
		put_card(out, sw_close_name((enum sw_close)c), s->close[c],
			 c == SW_CLOSE_SIMULTANEOUS ? "closed by both at once"
			 : c == SW_CLOSE_THREE_WAY ? "closed in three segments"
						    : "closed in four segments");
	fputs("</div>\n", out);
}

static void put_capture(FILE *out, const struct sw_summary *s)
{
	char n[SW_COUNT_TEXT], m[SW_COUNT_TEXT], b[SW_COUNT_TEXT], t[SW_TIME_TEXT],
		span[SW_COUNT_TEXT];

	fprintf(out, "<p class=\"dim\">%s packets, %s of them TCP, %s",
		sw_count_text(s->packets, n), sw_count_text(s->segments, m),
		sw_bytes_text(s->bytes, b));
	if (s->packets)
		fprintf(out, ", from %s over %s", sw_time_text(s->first, t),
			sw_span_text(sw_between(s->first, s->last), span));
	fputs("</p>\n", out);
	for (unsigned why = 0; why < SW_NWHY; why++) {
		if (!s->refused[why])
			continue;
		fprintf(out, "<p class=\"dim\">not followed: %s frames, the first is packet %llu: ",
			sw_count_text(s->refused[why], n),
			(unsigned long long)s->refused_first[why]);
		sw_svg_text(out, sw_why_text((enum sw_why)why));
		fputs("</p>\n", out);
	}
}

static void put_floods(FILE *out, const struct sw_summary *s)
{
	char text[SW_FLOOD_TEXT];

	for (size_t i = 0; i <= SW_TARGETS; i++) {
		if (!sw_target_is_flooded(&s->target[i]))
			continue;
		fputs("<div class=\"box flood\"><b>Flood</b> ", out);
		sw_svg_text(out, sw_report_flood(s, &s->target[i], text));
		fputs("</div>\n", out);
	}
}

static void put_resets(FILE *out, const struct sw_summary *s)
{
	char n[SW_COUNT_TEXT];
	bool any = false;

	for (unsigned r = 1; r < SW_NRST; r++) {
		if (!s->rst[r])
			continue;
		fprintf(out, "%s<tr><td class=\"n\">%s</td><td>", any ? "" :
			"<h2>Resets</h2><table>", sw_count_text(s->rst[r], n));
		sw_svg_text(out, sw_rst_text((enum sw_rst)r));
		fputs("</td></tr>\n", out);
		any = true;
	}
	fputs(any ? "</table>\n" : "", out);
}

static void put_core(FILE *out, const struct sw_summary *s)
{
	char n[SW_COUNT_TEXT];
	bool any = false;

	for (unsigned why = 0; why < SW_NWHY; why++) {
		if (!s->why[why])
			continue;
		fprintf(out, "%s<tr><td class=\"n\">%s</td><td>%s</td><td>", any ? "" :
			"<h2>The core's reasons</h2><table>", sw_count_text(s->why[why], n),
			sw_why_name((enum sw_why)why));
		sw_svg_text(out, sw_why_text((enum sw_why)why));
		fputs("</td></tr>\n", out);
		any = true;
	}
	fputs(any ? "</table>\n" : "", out);
}

static void put_talkers(FILE *out, const struct sw_summary *s)
{
	char addr[SW_ENDPOINT_TEXT], n[SW_COUNT_TEXT], b[SW_COUNT_TEXT];

	if (!s->top.n || !sw_top_is_certain(&s->top.entry[0]))
		return;
	fputs("<h2>Top talkers</h2><table><tr><th>packets</th><th>address</th><th>data</th>"
	      "<th></th></tr>\n", out);
	for (size_t i = 0; i < s->top.n && i < SW_REPORT_TOP; i++) {
		const struct sw_top_entry *e = &s->top.entry[i];

		if (!sw_top_is_certain(e))
			break;
		fprintf(out, "<tr><td class=\"n\">%s</td><td>%s</td><td>%s</td><td>",
			sw_count_text(e->packets, n), sw_addr_text(e->family, &e->addr, addr),
			sw_bytes_text(e->bytes, b));
		if (sw_report_is_scan(e))
			fprintf(out, "port scan: about %u ports", sw_top_ports(e));
		fputs("</td></tr>\n", out);
	}
	fputs("</table>\n", out);
}

static void put_limits(FILE *out, const struct sw_summary *s, const struct sw_explain_config *cf,
		       const struct sw_explain_result *r)
{
	char n[SW_COUNT_TEXT], m[SW_COUNT_TEXT];

	if (r->damaged) {
		fputs("<div class=\"box flood\">The capture is damaged; this is what could be read "
		      "before: ", out);
		sw_svg_text(out, r->err);
		fputs("</div>\n", out);
	}
	if (r->undrawn)
		fprintf(out, "<p class=\"dim\">%s more connections are not drawn.</p>\n",
			sw_count_text(r->undrawn, n));
	if (r->collapsed)
		fprintf(out, "<p class=\"dim\">%s connections that never opened are only counted, "
			"as a flood.</p>\n", sw_count_text(r->collapsed, n));
	if (s->evicted_unopened + s->evicted_alive)
		fprintf(out, "<p class=\"dim\">The table of %zu connections was full: %s unopened "
			"and %s open ones left it early.</p>\n", cf->flows,
			sw_count_text(s->evicted_unopened, n),
			sw_count_text(s->evicted_alive, m));
	if (r->unsearched)
		fprintf(out, "<p class=\"dim\">%s refused packets have the plain reason: at most %d a "
			"second and %d in all are compared with other ports, times and numbers."
			"</p>\n", sw_count_text(r->unsearched, n), SW_EXPLAIN_SEARCHES,
			SW_EXPLAIN_SEARCHES_MAX);
}

void sw_htmlparts_summary(FILE *out, struct sw_summary *s, const struct sw_explain_config *cf,
			  const struct sw_explain_result *r)
{
	put_capture(out, s);
	put_floods(out, s);
	put_cards(out, s);
	if (s->syn_rate.total) {
		fputs("<h2>Over time<span class=\"key\" style=\"background:var(--syn)\"></span>SYNs"
		      "<span class=\"key\" style=\"background:var(--ok)\"></span>handshakes "
		      "completed</h2><div class=\"box\">", out);
		sw_svg_rates(out, &s->syn_rate, &s->open_rate);
		fputs("</div>\n", out);
	}
	put_resets(out, s);
	put_core(out, s);
	put_talkers(out, s);
	put_limits(out, s, cf, r);
	fputs("<h2>Connections</h2><input id=\"q\" type=\"search\" placeholder=\"filter: an address, "
	      "a port, an outcome, a finding; several words must all match\" aria-label=\"filter\">"
	      "<p class=\"dim\" id=\"n\"></p>\n", out);
}

void sw_htmlparts_foot(FILE *out)
{
	fprintf(out, "<script>\n%s</script></body></html>\n", script);
}
