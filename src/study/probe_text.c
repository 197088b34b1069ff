/* SPDX-License-Identifier: MIT */
#include "study/probe_show.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

static const char *address(enum sw_family family, const struct sw_addr *a,
			   char out[INET6_ADDRSTRLEN])
{
	return inet_ntop(family == SW_IP4 ? AF_INET : AF_INET6, a->b, out, INET6_ADDRSTRLEN);
}

static double rtt_ms(const struct sw_probe_sample *s)
{
	return (double)(s->heard_ns - s->sent_ns) / 1e6;
}

static void print_synack(FILE *to, const struct sw_seg *a)
{
	fprintf(to, "    ttl %u, window %u", a->ttl, a->window);
	if (a->opt.mss)
		fprintf(to, ", mss %u", a->opt.mss);
	if (a->opt.sack)
		fprintf(to, ", sack");
	if (a->opt.wscale_ok)
		fprintf(to, ", wscale %u", a->opt.wscale);
	if (a->flags & SW_TCP_ECE)
		fprintf(to, ", ecn");
	fprintf(to, "\n    isn 0x%08x", a->seq);
	if (a->opt.ts)
		fprintf(to, ", tsval 0x%08x, tsecr 0x%08x", a->opt.tsval, a->opt.tsecr);
	fprintf(to, "\n");
}

static void print_opinion(FILE *to, const struct sw_probe_report *r, const struct sw_probe_port *p)
{
	struct sw_probe_facts facts;
	struct sw_probe_opinion o;

	sw_probe_facts(r->family, p->s, p->n, &facts);
	sw_probe_judge(&facts, &o);
	fprintf(to, "    ISNs: %s: %s\n", sw_probe_maker_name(o.maker),
		sw_probe_maker_text(o.maker));
	for (unsigned i = 0; i < o.n; i++)
		fprintf(to, "      - %s\n", o.reason[i]);
}

static void print_samples(FILE *to, const struct sw_probe_port *p)
{
	fprintf(to, "     at ms  sport  our isn     offer              isn         tsval\n");
	for (unsigned i = 0; i < p->n; i++) {
		const struct sw_probe_sample *s = &p->s[i];

		fprintf(to, "  %8.0f  %5u  0x%08x  mss %4u ws %u sack %c  ",
			(double)(s->sent_ns - p->s[0].sent_ns) / 1e6, s->syn.sport, s->syn.isn,
			s->syn.mss, s->syn.wscale, s->syn.sack ? 'y' : 'n');
		if (s->heard != SW_PROBE_SYNACK)
			fprintf(to, "%s\n", sw_probe_state_name(sw_probe_state(s)));
		else if (s->answer.opt.ts)
			fprintf(to, "0x%08x  0x%08x\n", s->answer.seq, s->answer.opt.tsval);
		else
			fprintf(to, "0x%08x  -\n", s->answer.seq);
	}
}

static void print_full(FILE *to, const struct sw_probe_full *f)
{
	if (!f->connected) {
		fprintf(to, "    connection: %s\n", strerror(f->error));
		return;
	}
	fprintf(to, "    connection: opened; the server %s (%u bytes); ",
		f->spoke_first ? "speaks first" : "waits for the client", f->bytes);
	if (f->error == EMSGSIZE)
		fprintf(to, "it sends without end\n");
	else if (f->error)
		fprintf(to, "ended by: %s\n", strerror(f->error));
	else if (f->no_fin)
		fprintf(to, "it did not close its half within %.1f s\n", (double)f->close_ns / 1e9);
	else if (f->server_first)
		fprintf(to, "it closed first\n");
	else
		fprintf(to, "closed both ways, its FIN came %.2f ms after ours\n",
			(double)f->close_ns / 1e6);
}

static void print_port(FILE *to, const struct sw_probe_report *r, const struct sw_probe_port *p)
{
	const struct sw_probe_sample *s = p->s;
	char reason[SW_PROBE_REASON_LEN], from[INET6_ADDRSTRLEN];

	fprintf(to, "port %u: %s", p->port, sw_probe_state_name(sw_probe_state(s)));
	if (s->heard != SW_PROBE_SILENCE)
		fprintf(to, ", %.2f ms", rtt_ms(s));
	fprintf(to, " (%s", sw_probe_state_reason(s, r->family, reason));
	if (s->heard == SW_PROBE_ICMP)
		fprintf(to, " from %s", address(r->family, &s->icmp_from, from));
	if (s->heard == SW_PROBE_RST)
		fprintf(to, "; ttl %u", s->answer.ttl);
	fprintf(to, ")\n");
	if (s->heard == SW_PROBE_SYNACK)
		print_synack(to, &s->answer);
	if (r->full)
		print_full(to, &p->full);
	if (r->samples && s->heard == SW_PROBE_SYNACK) {
		print_opinion(to, r, p);
		print_samples(to, p);
	}
}

void sw_probe_text(FILE *to, const struct sw_probe_report *r)
{
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];
	unsigned count[SW_PROBE_UNCLEAR + 1] = { 0 };

	fprintf(to, "%s (%s) from %s, by %s\n", r->host, address(r->family, &r->dst, dst),
		address(r->family, &r->src, src), r->full ? "whole connections" : "half-open SYNs");
	for (unsigned i = 0; i < r->nports; i++) {
		const struct sw_probe_port *p = &r->ports[i];

		if (p->n == 0)
			continue;
		count[sw_probe_state(p->s)]++;
		if (r->nports <= SW_PROBE_LIST_ALL || p->s->heard == SW_PROBE_SYNACK)
			print_port(to, r, p);
	}
	if (r->nports > SW_PROBE_LIST_ALL)
		fprintf(to, "%u ports: %u open, %u closed, %u filtered, %u unclear\n", r->nports,
			count[SW_PROBE_OPEN], count[SW_PROBE_CLOSED], count[SW_PROBE_FILTERED],
			count[SW_PROBE_UNCLEAR]);
}
