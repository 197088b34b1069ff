/* SPDX-License-Identifier: MIT */
#include "study/fields.h"

#include <stdio.h>
#include <string.h>

static void put_meaning(char out[SW_FIELD_TEXT], const char *name, uint32_t value,
			const struct sw_terms *t)
{
	if (strcmp(name, "epoch_parity") == 0)
		snprintf(out, SW_FIELD_TEXT, "%s epoch", value ? "odd" : "even");
	else if (strcmp(name, "mss_index") == 0)
		snprintf(out, SW_FIELD_TEXT, "segments of at most %u bytes", t->mss);
	else if (strcmp(name, "wscale") == 0 && t->wscale_ok)
		snprintf(out, SW_FIELD_TEXT, "the client's window is scaled by 2^%u", t->wscale);
	else if (strcmp(name, "wscale") == 0)
		snprintf(out, SW_FIELD_TEXT, "no window scale");
	else if (strcmp(name, "sack") == 0)
		snprintf(out, SW_FIELD_TEXT, "%s SACK", t->sack ? "both ends use" : "no");
	else if (strcmp(name, "ecn") == 0)
		snprintf(out, SW_FIELD_TEXT, "%s ECN", t->ecn ? "both ends use" : "no");
	else
		snprintf(out, SW_FIELD_TEXT, "bits of the MAC");
}

size_t sw_fields(struct sw_field out[SW_FIELDS_MAX], enum sw_family family,
		 const struct sw_cookie *c)
{
	size_t n;
	const struct sw_cookie_field *layout = sw_cookie_layout(c->form, &n);
	struct sw_terms terms;

	sw_cookie_terms(family, c->form, c->data, &terms);
	if (n > SW_FIELDS_MAX)
		n = SW_FIELDS_MAX;
	for (size_t i = 0; i < n; i++) {
		const struct sw_cookie_field *l = &layout[i];
		const uint32_t number = l->in_tsval ? c->tsval : c->isn;
		const uint32_t mask = l->width >= 32 ? UINT32_MAX : (1u << l->width) - 1;

		out[i] = (struct sw_field){ .name = l->name, .in_tsval = l->in_tsval, .lo = l->lo,
					    .hi = (uint8_t)(l->lo + l->width - 1),
					    .value = number >> l->lo & mask };
		put_meaning(out[i].meaning, l->name, out[i].value, &terms);
	}
	return n;
}
