/* SPDX-License-Identifier: MIT */
#include "ops/human.h"

#include <stdio.h>

#define SECOND_NS 1000000000ull

const char *sw_short_number(uint64_t n, char out[16])
{
	static const char unit[] = "kMGTPE";
	uint64_t whole = n, rest = 0;
	size_t i = 0;

	if (n < 10000) {
		snprintf(out, 16, "%llu", (unsigned long long)n);
		return out;
	}
	do {
		rest = whole % 1000;
		whole /= 1000;
	} while (whole >= 1000 && unit[++i]);
	if (whole < 100)
		snprintf(out, 16, "%u.%u%c", (unsigned)whole, (unsigned)rest / 100, unit[i]);
	else
		snprintf(out, 16, "%u%c", (unsigned)whole, unit[i]);
	return out;
}

const char *sw_short_time(uint64_t ns, char out[16])
{
	const uint64_t s = ns / SECOND_NS;

	if (s < 1)
		snprintf(out, 16, "%ums", (unsigned)(ns / 1000000));
	else if (s < 60)
		snprintf(out, 16, "%us", (unsigned)s);
	else if (s < 3600)
		snprintf(out, 16, "%um%02us", (unsigned)(s / 60), (unsigned)(s % 60));
	else if (s < 86400)
		snprintf(out, 16, "%uh%02um", (unsigned)(s / 3600), (unsigned)(s / 60 % 60));
	else
		snprintf(out, 16, "%llud%02uh", (unsigned long long)(s / 86400),
			 (unsigned)(s / 3600 % 24));
	return out;
}

const char *sw_short_latency(double seconds, char out[16])
{
	const double ms = seconds * 1e3;

	if (ms <= 0)
		snprintf(out, 16, "-");
	else if (ms < 10)
		snprintf(out, 16, "%.2fms", ms);
	else if (ms < 1000)
		snprintf(out, 16, "%.0fms", ms);
	else
		snprintf(out, 16, "%.1fs", seconds < 1e6 ? seconds : 1e6);
	return out;
}
