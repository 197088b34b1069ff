/* SPDX-License-Identifier: MIT */
#include "study/layout.h"

#include "study/fields.h"

#include <stdio.h>
#include <string.h>

static uint32_t field(const struct sw_field *f, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(f[i].name, name) == 0)
			return f[i].value;
	}
	return 0;
}

/* A host may leave options off, but it mints nothing that was not offered. */
static bool fits(const struct sw_layout *l, const struct sw_track *t, enum sw_family family,
		 uint16_t data)
{
	const struct sw_side *client = &t->side[SW_CLIENT], *server = &t->side[SW_SERVER];
	const struct sw_terms offer = {
		.mss = client->opt.mss,
		.wscale = client->opt.wscale,
		.wscale_ok = client->opt.wscale_ok && server->opt.wscale_ok,
		.sack = client->opt.sack && server->opt.sack,
		.ts = l->form == SW_FORM_WIDE,
		.ecn = l->terms.ecn,
	};
	struct sw_terms rounded;

	return sw_cookie_round(family, &offer, &rounded) &&
	       sw_cookie_data(family, &rounded, sw_epoch_at(t->synack_at)) == data;
}

bool sw_layout_of(const struct sw_track *t, enum sw_family family, struct sw_layout *out)
{
	const struct sw_side *client = &t->side[SW_CLIENT], *server = &t->side[SW_SERVER];
	struct sw_cookie c = { .isn = server->isn, .tsval = server->opt.tsval };
	struct sw_seg ack = { .family = family, .ack = server->isn + 1 };
	struct sw_field f[SW_FIELDS_MAX];
	size_t n;

	if (!client->syn_count || !server->synack_count)
		return false;
	/* The core reads a cookie from the ACK that returns it. */
	ack.opt.ts = server->opt.ts;
	ack.opt.tsecr = server->opt.tsval;
	c = sw_cookie_presented(&ack);
	n = sw_fields(f, family, &c);
	out->form = c.form;
	out->parity = field(f, n, "epoch_parity");
	sw_cookie_terms(family, c.form, c.data, &out->terms);
	out->fits = fits(out, t, family, c.data);
	return true;
}

const char *sw_layout_text(const struct sw_layout *l, char out[SW_LAYOUT_TEXT])
{
	char wscale[24] = "no wscale";

	if (l->terms.wscale_ok)
		snprintf(wscale, sizeof(wscale), "wscale %u", l->terms.wscale);
	snprintf(out, SW_LAYOUT_TEXT,
		 "read as a %s cookie: %s epoch, MSS %u, %s, %s, %s; that %s what the client "
		 "offered at this time",
		 l->form == SW_FORM_WIDE ? "wide" : "narrow", l->parity ? "odd" : "even",
		 l->terms.mss, wscale, l->terms.sack ? "SACK" : "no SACK",
		 l->terms.ecn ? "ECN" : "no ECN", l->fits ? "fits" : "contradicts");
	return out;
}
