/* SPDX-License-Identifier: MIT */
/* The table of options as text, for people and for the tests of the manual. */
#include "ops/settings_check.h"

static void list_group(const struct sw_group *group, const char *prefix, FILE *to)
{
	char takes[200], inner[64];

	for (size_t i = 0; i < group->n; i++) {
		const struct sw_option *o = &group->option[i];

		fprintf(to, "%s%s\t%s\t%s\t%s\t%s\n", prefix, o->key,
			o->dflt ? *o->dflt ? o->dflt : "\"\"" : "required",
			o->change == SW_CHANGE_RESTART ? "restart" : "live",
			sw_option_expects(o, takes, sizeof(takes)), o->help);
		if (!o->group)
			continue;
		snprintf(inner, sizeof(inner), "%s%s.", prefix, o->key);
		list_group(o->group, inner, to);
	}
}

void sw_schema_list(FILE *to)
{
	list_group(&sw_settings_schema, "", to);
}
