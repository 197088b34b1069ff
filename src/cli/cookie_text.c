/* SPDX-License-Identifier: MIT */
#include "cli/cookie.h"

#include "study/when.h"
#include "study/words.h"

#include <openssl/crypto.h>
#include <stdio.h>

#define SECOND_NS 1000000000ull
#define LABEL	  "%-11s "

static void print_hex(const uint8_t *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		printf("%02x", b[i]);
}

static void print_key(const struct sw_cookie_report *r)
{
	const size_t m = r->cookie.master;
	char print[SW_FINGERPRINT];
	uint8_t key[SW_KEY_LEN];

	sw_key_fingerprint(r->keys.masters.key[m], print);
	if (r->throw_away) {
		printf(LABEL "active ", "key");
		print_hex(r->keys.masters.key[m], SW_KEY_LEN);
		printf("\n" LABEL "made for this call: keep the line above as a key file (mode 0600) "
		       "to use it again\n", "");
	}
	printf(LABEL "%s, fingerprint %s, %s\n", r->throw_away ? "" : "key",
	       sw_key_slot_name(r->keys.slot[m]), print, sw_mac_name(r->alg));
	if (r->throw_away && r->has_cookie &&
	    sw_epoch_key_derive(key, r->keys.masters.key[m], r->alg, r->cookie.epoch)) {
		printf(LABEL, "epoch key");
		print_hex(key, sizeof(key));
		printf("\n");
		OPENSSL_cleanse(key, sizeof(key));
	}
}

static void print_times(const struct sw_cookie_report *r)
{
	const uint64_t begin = (uint64_t)r->cookie.epoch.n * SW_EPOCH_SECONDS * SECOND_NS;
	char text[SW_TIME_TEXT];

	printf(LABEL "%s, in epoch %u\n", "time", sw_time_text(r->at, text), sw_epoch_at(r->at).n);
	if (!r->has_cookie)
		return;
	printf(LABEL "of epoch %u, %s", "cookie", r->cookie.epoch.n,
	       sw_time_text((sw_wall){ begin }, text));
	printf(" to %s", sw_time_text((sw_wall){ begin + SW_EPOCH_SECONDS * SECOND_NS }, text));
	printf(", accepted until %s\n",
	       sw_time_text((sw_wall){ begin + 2 * SW_EPOCH_SECONDS * SECOND_NS }, text));
}

static void print_terms(const char *label, const struct sw_terms *t)
{
	char text[SW_TERMS_TEXT];

	printf(LABEL "%s\n", label, sw_terms_text(t, text));
}

/* @param c  The cookie whose MAC it is. */
static void print_message(const struct sw_cookie_report *r, const struct sw_cookie *c)
{
	struct sw_msg_part part[SW_MSG_PARTS];
	uint8_t msg[SW_COOKIE_MSG_MAX];
	size_t len;
	const size_t n = sw_msg_map(&r->seg, sw_cookie_report_isn(r), c, msg, &len, part);

	printf(LABEL, "MAC input");
	print_hex(msg, len);
	printf("\n");
	for (size_t i = 0; i < n; i++) {
		printf(LABEL "byte%s %2zu", "", part[i].len > 1 ? "s" : " ", part[i].off);
		if (part[i].len > 1)
			printf("-%-2zu", part[i].off + part[i].len - 1);
		else
			printf("   ");
		printf("  %-16s", part[i].name);
		print_hex(msg + part[i].off, part[i].len);
		printf("\n");
	}
	printf(LABEL "%016llx (the MAC's first 8 bytes)\n", "tag", (unsigned long long)c->tag);
}

/* What the same addresses, ports, options and client ISN would have to return. */
static void print_wanted(const struct sw_cookie_report *r)
{
	const struct sw_cookie *w = &r->wanted;

	print_message(r, w);
	printf(LABEL "ISN %u 0x%08x", "expected", w->isn, w->isn);
	if (w->form == SW_FORM_WIDE)
		printf(", TSval %u 0x%08x", w->tsval, w->tsval);
	printf(", of epoch %u\n", w->epoch.n);
}

static void print_fields(const struct sw_cookie_report *r)
{
	struct sw_field field[SW_FIELDS_MAX];
	const size_t n = sw_fields(field, r->seg.family, &r->cookie);

	for (size_t i = 0; i < n; i++) {
		const struct sw_field *f = &field[i];
		char bits[16], value[16];

		snprintf(bits, sizeof(bits), f->hi == f->lo ? "%u" : "%u..%u", f->hi, f->lo);
		snprintf(value, sizeof(value), f->hi - f->lo > 8 ? "0x%x" : "%u", f->value);
		printf(LABEL "%-5s bit%s %-6s  %-12s  %-10s  %s\n", i ? "" : "fields",
		       f->in_tsval ? "TSval" : "ISN", f->hi == f->lo ? " " : "s", bits, f->name,
		       value, f->meaning);
	}
}

static void print_numbers(const struct sw_cookie_report *r)
{
	const bool wide = r->cookie.form == SW_FORM_WIDE;

	printf(LABEL "%u  0x%08x\n", "ISN", r->cookie.isn, r->cookie.isn);
	if (wide)
		printf(LABEL "%u  0x%08x\n", "TSval", r->cookie.tsval, r->cookie.tsval);
	if (!r->mint)
		return;
	printf(LABEL "seq %u, ack %u", "proven by", r->seg.seq + 1, r->cookie.isn + 1);
	if (wide)
		printf(", TSecr %u", r->cookie.tsval);
	printf("\n");
}

void sw_cookie_print(const struct sw_cookie_report *r)
{
	char from[SW_HOST_TEXT], to[SW_HOST_TEXT];

	printf(LABEL "%s: %s\n", r->mint ? "mint" : "check", sw_why_name(r->why), r->sentence);
	printf(LABEL "%s -> %s, client ISN %u\n", "segment",
	       sw_host_text(r->seg.family, &r->seg.src, r->seg.sport, from),
	       sw_host_text(r->seg.family, &r->seg.dst, r->seg.dport, to),
	       sw_cookie_report_isn(r));
	print_key(r);
	print_times(r);
	if (r->mint)
		print_terms("offer", &r->offer);
	if (r->mint && !r->has_cookie)
		return;
	print_terms(r->has_cookie ? "agreed" : "claimed", &r->terms);
	printf(LABEL "%s\n", "form", sw_form_name(r->cookie.form));
	if (r->has_cookie)
		print_message(r, &r->cookie);
	if (r->has_wanted)
		print_wanted(r);
	print_numbers(r);
	print_fields(r);
}
