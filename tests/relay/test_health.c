/* SPDX-License-Identifier: MIT */
#include "relay/health.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>

TestSuite(health, .timeout = 10);

static const struct sw_health_config checked = { .interval_ms = 2000, .rise = 2, .fall = 3 };
static const struct sw_health_config unchecked = { .rise = 2, .fall = 3 };

/* Results as a text, 'p' for passed and 'f' for failed.  @return the changes: '.', 'R' and 'F'. */
static void play(struct sw_health *h, const struct sw_health_config *cf, const char *results,
		 char *changes)
{
	for (; *results; results++) {
		const enum sw_health_change c = sw_health_checked(h, cf, *results == 'p');

		*changes++ = c == SW_HEALTH_SAME ? '.' : c == SW_HEALTH_ROSE ? 'R' : 'F';
	}
	*changes = '\0';
}

struct script {
	unsigned rise, fall;
	char results[16], want[16];
};

ParameterizedTestParameters(health, scripts)
{
	static struct script rows[] = {
		{ 2, 3, "fff", "..F" },		  { 2, 3, "ffpff", "....." },
		{ 2, 3, "ffpfff", ".....F" },	  { 2, 3, "fffpp", "..F.R" },
		{ 2, 3, "fffpfp", "..F..." },	  { 2, 3, "fffpfpp", "..F...R" },
		{ 2, 3, "fffffff", "..F...." },	  { 2, 3, "ppppp", "....." },
		{ 2, 3, "fffppfff", "..F.R..F" }, { 1, 1, "fpfp", "FRFR" },
		{ 4, 2, "ffpppp", ".F...R" },	  { 4, 2, "ffpppfpppp", ".F.......R" },
	};
	return cr_make_param_array(struct script, rows, sizeof(rows) / sizeof(rows[0]));
}

ParameterizedTest(struct script *row, health, scripts)
{
	const struct sw_health_config cf = { .interval_ms = 1,
					     .rise = row->rise,
					     .fall = row->fall };
	struct sw_health h = { 0 };
	char got[16];

	play(&h, &cf, row->results, got);
	cr_expect_str_eq(got, row->want, "rise %u fall %u, %s: %s, wanted %s", row->rise, row->fall,
			 row->results, got, row->want);
}

Test(health, defaults)
{
	const struct sw_health_config d = sw_health_defaults((struct sw_health_config){ 0 });
	const struct sw_health_config own = sw_health_defaults((struct sw_health_config){
		.interval_ms = 5, .timeout_ms = 6, .rise = 7, .fall = 8 });

	cr_expect(d.interval_ms == 0 && d.timeout_ms == 1000 && d.rise == 2 && d.fall == 3,
		  "%u %u %u %u", d.interval_ms, d.timeout_ms, d.rise, d.fall);
	cr_expect(own.interval_ms == 5 && own.timeout_ms == 6 && own.rise == 7 && own.fall == 8,
		  "%u %u %u %u", own.interval_ms, own.timeout_ms, own.rise, own.fall);
}

Test(health, with_checks_connections_decide_nothing)
{
	struct sw_health h = { 0 };

	for (int i = 0; i < 100; i++)
		cr_expect_eq(sw_health_met(&h, &checked, false, 1000), SW_HEALTH_SAME, "fell");
	cr_expect(sw_health_may(&h, &checked, 1000), "it may not");
	h.down = true;
	cr_expect_eq(sw_health_met(&h, &checked, true, 1000), SW_HEALTH_SAME, "rose");
	cr_expect_not(sw_health_may(&h, &checked, UINT64_MAX), "time alone brought it back");
}

Test(health, without_checks_one_failure_takes_it_out_for_a_while)
{
	struct sw_health h = { 0 };

	cr_expect_eq(sw_health_met(&h, &unchecked, true, 5000), SW_HEALTH_SAME, "rose while up");
	cr_expect_eq(sw_health_met(&h, &unchecked, false, 5000), SW_HEALTH_FELL, "did not fall");
	cr_expect_eq(sw_health_met(&h, &unchecked, false, 5000), SW_HEALTH_SAME, "fell twice");
	cr_expect_not(sw_health_may(&h, &unchecked, 5000 + SW_HEALTH_PAUSE_MS - 1), "too soon");
	cr_expect(sw_health_may(&h, &unchecked, 5000 + SW_HEALTH_PAUSE_MS), "too late");
	sw_health_take(&h, 5000 + SW_HEALTH_PAUSE_MS);
	cr_expect_not(sw_health_may(&h, &unchecked, 5000 + SW_HEALTH_PAUSE_MS), "two at a time");
	cr_expect_eq(sw_health_met(&h, &unchecked, true, 7000), SW_HEALTH_ROSE, "did not rise");
	cr_expect(sw_health_may(&h, &unchecked, 7000), "up, and it may not");
}

Test(health, taking_one_that_is_up_costs_it_nothing)
{
	struct sw_health h = { 0 };

	sw_health_take(&h, 1000);
	cr_expect_eq(sw_health_met(&h, &unchecked, false, 1000), SW_HEALTH_FELL, "did not fall");
	cr_expect_eq(h.again_ms, 1000 + SW_HEALTH_PAUSE_MS, "%lu", h.again_ms);
}
