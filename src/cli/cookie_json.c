/* SPDX-License-Identifier: MIT */
#include "cli/cookie.h"

#include "study/when.h"
#include "study/words.h"

#include <jansson.h>
#include <stdio.h>

#define SECOND_NS 1000000000ull

static json_t *hex(const uint8_t *b, size_t n)
{
	char text[2 * SW_COOKIE_MSG_MAX + 1] = "";

	for (size_t i = 0; i < n && 2 * i + 2 < sizeof(text); i++)
		snprintf(text + 2 * i, 3, "%02x", b[i]);
	return json_string(text);
}

static json_t *time_of(sw_wall t)
{
	char text[SW_TIME_TEXT];

	return json_pack("{s:f, s:s}", "unix", (double)t.ns / (double)SECOND_NS, "text",
			 sw_time_text(t, text));
}

static json_t *host(const struct sw_seg *seg, bool client)
{
	char text[SW_HOST_TEXT];

	return json_string(client ? sw_host_text(seg->family, &seg->src, seg->sport, text)
				  : sw_host_text(seg->family, &seg->dst, seg->dport, text));
}

static json_t *terms(const struct sw_terms *t)
{
	return json_pack("{s:i, s:o, s:b, s:b, s:b}", "mss", (int)t->mss, "wscale",
			 t->wscale_ok ? json_integer(t->wscale) : json_null(), "sack", t->sack, "ts",
			 t->ts, "ecn", t->ecn);
}

static json_t *key(const struct sw_cookie_report *r)
{
	const size_t m = r->cookie.master;
	char print[SW_FINGERPRINT];
	json_t *o;

	sw_key_fingerprint(r->keys.masters.key[m], print);
	o = json_pack("{s:s, s:s, s:b}", "slot", sw_key_slot_name(r->keys.slot[m]), "fingerprint",
		      print, "throw_away", r->throw_away);
	if (r->throw_away && o)
		(void)json_object_set_new(o, "key", hex(r->keys.masters.key[m], SW_KEY_LEN));
	return o;
}

static json_t *epoch(sw_epoch e)
{
	const uint64_t begin = (uint64_t)e.n * SW_EPOCH_SECONDS;

	return json_pack("{s:I, s:I, s:I, s:I}", "number", (json_int_t)e.n, "begins",
			 (json_int_t)begin, "ends", (json_int_t)(begin + SW_EPOCH_SECONDS),
			 "accepted_until", (json_int_t)(begin + 2 * SW_EPOCH_SECONDS));
}

static json_t *fields(const struct sw_cookie_report *r)
{
	struct sw_field field[SW_FIELDS_MAX];
	const size_t n = sw_fields(field, r->seg.family, &r->cookie);
	json_t *a = json_array();

	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(
			a, json_pack("{s:s, s:s, s:i, s:i, s:I, s:s}", "name", field[i].name,
				     "number", field[i].in_tsval ? "tsval" : "isn", "high",
				     (int)field[i].hi, "low", (int)field[i].lo, "value",
				     (json_int_t)field[i].value, "meaning", field[i].meaning));
	return a;
}

static json_t *mac_input(const struct sw_cookie_report *r, const struct sw_cookie *c)
{
	struct sw_msg_part part[SW_MSG_PARTS];
	uint8_t msg[SW_COOKIE_MSG_MAX];
	size_t len;
	const size_t n = sw_msg_map(&r->seg, sw_cookie_report_isn(r), c, msg, &len, part);
	json_t *a = json_array();

	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(
			a, json_pack("{s:s, s:i, s:i, s:o}", "name", part[i].name, "offset",
				     (int)part[i].off, "length", (int)part[i].len, "hex",
				     hex(msg + part[i].off, part[i].len)));
	return json_pack("{s:o, s:o}", "hex", hex(msg, len), "parts", a);
}

static json_t *tsval(const struct sw_cookie *c)
{
	return c->form == SW_FORM_WIDE ? json_integer(c->tsval) : json_null();
}

/* The proof of a cookie: what went into the MAC, and what came out. */
static void add_proof(json_t *o, const struct sw_cookie_report *r, const struct sw_cookie *c)
{
	char tag[20];

	snprintf(tag, sizeof(tag), "%016llx", (unsigned long long)c->tag);
	(void)json_object_set_new(o, "tag", json_string(tag));
	(void)json_object_set_new(o, "epoch", epoch(c->epoch));
	(void)json_object_set_new(o, "mac_input", mac_input(r, c));
}

static json_t *wanted(const struct sw_cookie_report *r)
{
	json_t *o = json_pack("{s:I, s:o}", "isn", (json_int_t)r->wanted.isn, "tsval",
			      tsval(&r->wanted));

	if (o)
		add_proof(o, r, &r->wanted);
	return o;
}

static void add_cookie(json_t *o, const struct sw_cookie_report *r)
{
	(void)json_object_set_new(o, "form", json_string(sw_form_name(r->cookie.form)));
	(void)json_object_set_new(o, r->has_cookie ? "agreed" : "claimed", terms(&r->terms));
	(void)json_object_set_new(o, "isn", json_integer(r->cookie.isn));
	(void)json_object_set_new(o, "tsval", tsval(&r->cookie));
	(void)json_object_set_new(o, "fields", fields(r));
	if (r->has_cookie)
		add_proof(o, r, &r->cookie);
	if (r->has_wanted)
		(void)json_object_set_new(o, "expected", wanted(r));
}

bool sw_cookie_print_json(const struct sw_cookie_report *r)
{
	json_t *o = json_pack("{s:s, s:b, s:s, s:s, s:o, s:o, s:I, s:s, s:o, s:o}", "command",
			      r->mint ? "mint" : "check", "ok",
			      r->why == SW_WHY_ACK_PROVEN || r->why == SW_WHY_SYN_ANSWERED,
			      "reason", sw_why_name(r->why), "sentence", r->sentence, "client",
			      host(&r->seg, true), "server", host(&r->seg, false), "client_isn",
			      (json_int_t)sw_cookie_report_isn(r), "mac", sw_mac_name(r->alg), "key",
			      key(r), "time", time_of(r->at));
	bool ok = o != NULL;

	if (ok && r->mint)
		(void)json_object_set_new(o, "offer", terms(&r->offer));
	if (ok && (!r->mint || r->has_cookie))
		add_cookie(o, r);
	ok = ok && json_dumpf(o, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER) == 0;
	printf("\n");
	json_decref(o);
	return ok;
}
