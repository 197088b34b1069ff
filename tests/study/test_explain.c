/* SPDX-License-Identifier: MIT */
/* Small captures through the whole of it: text, JSON, HTML and pcapng. */
#include "study/explain.h"

#include "study/captures.h"
#include "study/tale.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <jansson.h>

struct outputs {
	char *text, *json, *html, *pcapng;
	size_t text_len, json_len, html_len, pcapng_len;
	struct sw_explain_result result;
	int rc;
};

struct wire {
	struct cap_file file;
	uint64_t ns;
	struct frame_spec spec; /* from the client */
};

static struct wire wire_new(enum sw_family family)
{
	struct wire w = { .ns = FRAME_WALL_S * 1000000000u, .spec = frame_syn_usual(family) };

	cap_head(&w.file, 1);
	return w;
}

static void put(struct wire *w, bool from_client, uint8_t flags, uint32_t seq, uint32_t ack,
		uint16_t payload)
{
	struct frame_spec s = w->spec;
	struct frame f;

	s.flags = flags;
	s.seq = (from_client ? 1000 : 9000) + seq;
	s.ack = flags & SW_TCP_ACK ? (from_client ? 9000 : 1000) + ack : 0;
	s.payload = payload;
	if (!(flags & SW_TCP_SYN))
		s.opt_len = 0;
	if (!from_client) {
		s.src = w->spec.dst;
		s.dst = w->spec.src;
		s.sport = w->spec.dport;
		s.dport = w->spec.sport;
	}
	f = frame_make(&s);
	w->ns += 5000000;
	cap_packet(&w->file, w->ns, "", 0, f.b, f.len);
}

static void put_connection(struct wire *w)
{
	put(w, true, SW_TCP_SYN, 0, 0, 0);
	put(w, false, SW_TCP_SYN | SW_TCP_ACK, 0, 1, 0);
	put(w, true, SW_TCP_ACK, 1, 1, 0);
	put(w, true, SW_TCP_ACK | SW_TCP_PSH, 1, 1, 20);
	put(w, true, SW_TCP_FIN | SW_TCP_ACK, 21, 1, 0);
	put(w, false, SW_TCP_FIN | SW_TCP_ACK, 1, 22, 0);
	put(w, true, SW_TCP_ACK, 22, 2, 0);
}

static struct outputs run(const struct cap_file *file, const char *name,
			  const struct sw_explain_config *wish)
{
	struct sw_explain_config cf = { .flows = 64, .ladders = 50 };
	struct outputs o = { .rc = -1 };
	char err[SW_CAPTURE_ERR] = "";
	struct sw_capture *c;

	if (wish)
		cf = *wish;
	cf.name = name;
	cf.text = open_memstream(&o.text, &o.text_len);
	cf.json = open_memstream(&o.json, &o.json_len);
	cf.html = open_memstream(&o.html, &o.html_len);
	cf.pcapng = open_memstream(&o.pcapng, &o.pcapng_len);
	o.rc = sw_capture_stream(&c, cap_open(file), name, NULL, err);
	cr_assert_eq(o.rc, 0, "%s", err);
	o.rc = sw_explain(c, &cf, &o.result);
	sw_capture_close(c);
	fclose(cf.text);
	fclose(cf.json);
	fclose(cf.html);
	fclose(cf.pcapng);
	return o;
}

static void drop(struct outputs *o)
{
	free(o->text);
	free(o->json);
	free(o->html);
	free(o->pcapng);
}

static json_t *parsed(const struct outputs *o)
{
	json_error_t e;
	json_t *j = json_loadb(o->json, o->json_len, 0, &e);

	cr_assert_not_null(j, "%s at line %d column %d: %.200s", e.text, e.line, e.column, o->json);
	return j;
}

static void expect_text(const struct outputs *o, const char *want)
{
	cr_assert_not_null(strstr(o->text, want), "no '%s' in\n%s", want, o->text);
}

Test(explain, a_connection_in_every_form)
{
	for (int v = 0; v < 2; v++) {
		struct wire w = wire_new(v ? SW_IP6 : SW_IP4);
		struct outputs o;
		const char *outcome, *kind;
		json_t *j;

		put_connection(&w);
		o = run(&w.file, "x.pcap", NULL);
		cr_assert_eq(o.rc, 0);
		cr_assert(o.result.packets == 7 && o.result.flows == 1 && o.result.drawn == 1);
		expect_text(&o, "closed, three-way, the client first; TIME_WAIT at the client");
		expect_text(&o, "completes the handshake");
		expect_text(&o, "ISN client 1000 (0x000003e8), server 9000 (0x00002328)");
		expect_text(&o, "PSH, ACK seq 1 ack 1 len 20");
		j = parsed(&o);
		cr_assert_eq(json_unpack(j, "{s:[{s:s,s:{s:s}}]}", "connections", "outcome",
					 &outcome, "close", "kind", &kind), 0);
		cr_assert_str_eq(outcome, "closed");
		cr_assert_str_eq(kind, "three-way");
		json_decref(j);
		cr_assert_not_null(strstr(o.html, "class=\"ladder\""));
		cr_assert_not_null(strstr(o.html, "</html>"));
		cr_assert_gt(o.pcapng_len, w.file.len);
		drop(&o);
		free(w.file.b);
	}
}

Test(explain, vlan_tags_are_looked_through)
{
	struct wire w = wire_new(SW_IP6);
	struct outputs o;

	w.spec.vlan[0] = (struct sw_vlan){ SW_ETH_QINQ, 7 };
	w.spec.vlan[1] = (struct sw_vlan){ SW_ETH_VLAN, 8 };
	put_connection(&w);
	o = run(&w.file, "vlan.pcap", NULL);
	expect_text(&o, "closed, three-way");
	drop(&o);
	free(w.file.b);
}

Test(explain, nothing_of_the_file_is_markup)
{
	struct wire w = wire_new(SW_IP4);
	struct outputs o;

	put_connection(&w);
	o = run(&w.file, "<script>alert(1)</script>\"'&.pcap", NULL);
	cr_assert_null(strstr(o.html, "<script>alert"));
	cr_assert_not_null(strstr(o.html, "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;"));
	cr_assert_null(strstr(o.html, "http:"), "a reference to the outside");
	cr_assert_null(strstr(o.html, "https:"), "a reference to the outside");
	cr_assert_null(strstr(o.html, "src="), "a reference to the outside");
	drop(&o);
	free(w.file.b);
}

Test(explain, every_prefix_of_a_file_ends_in_words)
{
	struct wire w = wire_new(SW_IP4);
	const size_t head = 24;

	put_connection(&w);
	for (size_t n = head; n < w.file.len; n++) {
		struct cap_file cut = { malloc(n), n };
		struct outputs o;
		json_t *j;

		memcpy(cut.b, w.file.b, n);
		o = run(&cut, "cut.pcap", NULL);
		cr_assert_eq(o.rc, 0, "cut at %zu: %d", n, o.rc);
		if (o.result.damaged) {
			cr_assert_not_null(strstr(o.result.err, "cut.pcap: packet "), "%s",
					   o.result.err);
			expect_text(&o, "the capture is damaged");
		}
		j = parsed(&o);
		json_decref(j);
		drop(&o);
		free(cut.b);
	}
	free(w.file.b);
}

Test(explain, a_flood_is_counted_and_not_drawn)
{
	struct sw_explain_config cf = { .flows = 32, .ladders = 50 };
	struct wire w = wire_new(SW_IP4);
	struct outputs o;

	put_connection(&w);
	for (unsigned i = 0; i < 500; i++) {
		w.spec.src.b[2] = (uint8_t)(i >> 8);
		w.spec.src.b[3] = (uint8_t)i;
		w.spec.sport = (uint16_t)(2000 + i);
		w.spec.opt_len = 0;
		w.spec.window = 512;
		put(&w, true, SW_TCP_SYN, i, 0, 0);
	}
	o = run(&w.file, "flood.pcap", &cf);
	cr_assert_eq(o.result.flows, 501);
	cr_assert_eq(o.result.collapsed, 500);
	cr_assert_eq(o.result.drawn, 1);
	expect_text(&o, "501 attempts from about ");
	expect_text(&o, "carry no options");
	expect_text(&o, "the table of 32 connections was full");
	drop(&o);
	cf.flows = 1024;
	cf.all = true;
	cf.ladders = 1000;
	o = run(&w.file, "flood.pcap", &cf);
	cr_assert(o.result.collapsed == 0 && o.result.drawn == 501, "%lu drawn", o.result.drawn);
	drop(&o);
	free(w.file.b);
}

Test(explain, only_what_was_chosen_is_drawn)
{
	struct sw_explain_config cf = { .flows = 64, .ladders = 50 };
	struct wire w = wire_new(SW_IP4);
	struct outputs o;

	put_connection(&w);
	w.spec.sport++;
	put(&w, true, SW_TCP_SYN, 0, 0, 0);
	cr_assert(sw_tale_find("unanswered", &cf.outcomes, &cf.findings, &cf.closes));
	o = run(&w.file, "x.pcap", &cf);
	cr_assert_eq(o.result.drawn, 1);
	expect_text(&o, "#2 ");
	cr_assert_null(strstr(o.text, "#1 "));
	drop(&o);
	cr_assert(sw_tale_find("three-way", &cf.outcomes, &cf.findings, &cf.closes));
	o = run(&w.file, "x.pcap", &cf);
	cr_assert_eq(o.result.drawn, 2);
	drop(&o);
	cr_assert(!sw_tale_find("", &cf.outcomes, &cf.findings, &cf.closes));
	cr_assert(!sw_tale_find("nonsense", &cf.outcomes, &cf.findings, &cf.closes));
	free(w.file.b);
}

Test(explain, refused_frames_are_counted_with_a_reason)
{
	struct wire w = wire_new(SW_IP4);
	const uint8_t arp[42] = { [12] = 8, [13] = 6 };
	struct frame f = frame_make(&w.spec);
	struct outputs o;

	cap_packet(&w.file, w.ns, "", 0, arp, sizeof(arp));
	cap_packet(&w.file, w.ns, "", 0, f.b, 40);
	o = run(&w.file, "x.pcap", NULL);
	expect_text(&o, "the first is packet 1: the frame carries neither IPv4 nor IPv6");
	expect_text(&o, "the first is packet 2: ");
	cr_assert_eq(o.result.flows, 0);
	drop(&o);
	free(w.file.b);
}
