/* SPDX-License-Identifier: MIT */
#include "ops/schema.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	uint32_t ms;
} units[] = { { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 } };

bool sw_time_parse_ms(const char *text, uint32_t *ms)
{
	const size_t digits = strspn(text, "0123456789");
	unsigned long long value;

	if (digits < 1 || digits > 10)
		return false;
	value = strtoull(text, NULL, 10);
	if (!text[digits] && value == 0) {
		*ms = 0;
		return true;
	}
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(text + digits, units[i].name) == 0 && value <= INT_MAX / units[i].ms) {
			*ms = (uint32_t)value * units[i].ms;
			return true;
		}
	}
	return false;
}

const char *sw_time_str_ms(uint32_t ms, char out[SW_TIME_STRLEN])
{
	size_t i = 0;

	while (ms % units[i].ms)
		i++;
	if (ms)
		snprintf(out, SW_TIME_STRLEN, "%u%s", ms / units[i].ms, units[i].name);
	else
		snprintf(out, SW_TIME_STRLEN, "0");
	return out;
}
