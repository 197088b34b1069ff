/* SPDX-License-Identifier: MIT */
#include "study/probe_show.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <string.h>

static json_t *address(enum sw_family family, const struct sw_addr *a)
{
	char text[INET6_ADDRSTRLEN] = "";

	(void)inet_ntop(family == SW_IP4 ? AF_INET : AF_INET6, a->b, text, sizeof(text));
	return json_string(text);
}

static json_t *number_or_null(bool present, uint32_t n)
{
	return present ? json_integer(n) : json_null();
}

static json_t *synack_json(const struct sw_seg *a)
{
	return json_pack(
		"{s:I, s:i, s:i, s:o, s:b, s:o, s:o, s:o, s:b}", "isn", (json_int_t)a->seq, "ttl",
		a->ttl, "window", a->window, "mss", number_or_null(a->opt.mss > 0, a->opt.mss),
		"sack", a->opt.sack, "wscale", number_or_null(a->opt.wscale_ok, a->opt.wscale),
		"tsval", number_or_null(a->opt.ts, a->opt.tsval), "tsecr",
		number_or_null(a->opt.ts, a->opt.tsecr), "ecn", (a->flags & SW_TCP_ECE) != 0);
}

static json_t *icmp_json(enum sw_family family, const struct sw_probe_sample *s)
{
	char name[48];

	return json_pack("{s:i, s:i, s:s, s:o}", "type", s->icmp_type, "code", s->icmp_code, "name",
			 sw_probe_icmp_name(family, s->icmp_type, s->icmp_code, name), "from",
			 address(family, &s->icmp_from));
}

static json_t *rtt_json(const struct sw_probe_sample *s)
{
	if (s->heard == SW_PROBE_SILENCE)
		return json_null();
	return json_real((double)(s->heard_ns - s->sent_ns) / 1e6);
}

static json_t *sample_json(const struct sw_probe_port *p, const struct sw_probe_sample *s)
{
	return json_pack("{s:f, s:o, s:i, s:I, s:i, s:i, s:b, s:b, s:s, s:o}", "at_ms",
			 (double)(s->sent_ns - p->s[0].sent_ns) / 1e6, "rtt_ms", rtt_json(s),
			 "sport", s->syn.sport, "client_isn", (json_int_t)s->syn.isn, "mss",
			 s->syn.mss, "wscale", s->syn.wscale, "sack", s->syn.sack, "timestamps",
			 s->syn.ts, "state", sw_probe_state_name(sw_probe_state(s)), "synack",
			 s->heard == SW_PROBE_SYNACK ? synack_json(&s->answer) : json_null());
}

static json_t *opinion_json(const struct sw_probe_report *r, const struct sw_probe_port *p)
{
	json_t *why = json_array(), *samples = json_array();
	struct sw_probe_facts facts;
	struct sw_probe_opinion o;

	sw_probe_facts(r->family, p->s, p->n, &facts);
	sw_probe_judge(&facts, &o);
	for (unsigned i = 0; i < o.n; i++)
		(void)json_array_append_new(why, json_string(o.reason[i]));
	for (unsigned i = 0; i < p->n; i++)
		(void)json_array_append_new(samples, sample_json(p, &p->s[i]));
	return json_pack("{s:s, s:s, s:b, s:o, s:o}", "kind", sw_probe_maker_name(o.maker), "text",
			 sw_probe_maker_text(o.maker), "retransmitted", facts.again > 0, "why", why,
			 "samples", samples);
}

static json_t *full_json(const struct sw_probe_full *f)
{
	return json_pack("{s:b, s:b, s:i, s:b, s:b, s:s?, s:f}", "connected", f->connected,
			 "spoke_first", f->spoke_first, "bytes", (int)f->bytes, "closed_first",
			 f->server_first, "fin", f->connected && !f->no_fin && f->error == 0,
			 "error", f->error ? strerror(f->error) : NULL, "close_ms",
			 (double)f->close_ns / 1e6);
}

static json_t *port_json(const struct sw_probe_report *r, const struct sw_probe_port *p)
{
	const struct sw_probe_sample *s = p->s;
	char reason[SW_PROBE_REASON_LEN];
	json_t *o = json_pack("{s:i, s:s, s:s}", "port", p->port, "state",
			      sw_probe_state_name(sw_probe_state(s)), "why",
			      sw_probe_state_reason(s, r->family, reason));

	(void)json_object_set_new(o, "rtt_ms", rtt_json(s));
	if (s->heard == SW_PROBE_SYNACK)
		(void)json_object_set_new(o, "synack", synack_json(&s->answer));
	if (s->heard == SW_PROBE_RST)
		(void)json_object_set_new(o, "ttl", json_integer(s->answer.ttl));
	if (s->heard == SW_PROBE_ICMP)
		(void)json_object_set_new(o, "icmp", icmp_json(r->family, s));
	if (r->full)
		(void)json_object_set_new(o, "connection", full_json(&p->full));
	if (r->samples && s->heard == SW_PROBE_SYNACK)
		(void)json_object_set_new(o, "isns", opinion_json(r, p));
	return o;
}

bool sw_probe_json(FILE *to, const struct sw_probe_report *r)
{
	json_t *ports = json_array();
	json_t *all;
	bool ok;

	for (unsigned i = 0; i < r->nports; i++) {
		if (r->ports[i].n > 0)
			(void)json_array_append_new(ports, port_json(r, &r->ports[i]));
	}
	all = json_pack("{s:s, s:o, s:o, s:o}", "host", r->host, "address",
			address(r->family, &r->dst), "source", address(r->family, &r->src), "ports",
			ports);
	ok = all && json_dumpf(all, to, JSON_INDENT(2)) == 0 && fputc('\n', to) != EOF;
	json_decref(all);
	return ok;
}
