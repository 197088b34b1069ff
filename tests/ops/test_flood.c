/* SPDX-License-Identifier: MIT */
#include "ops/flood.h"

#include <criterion/criterion.h>
#include <string.h>

#define SECOND 1000000000ull

static const struct sw_flood_config usual = { 1000, 500, 10 * SECOND };

/* One listener and its counters; each step is a second. */
struct site {
	struct sw_flood f;
	struct sw_flood_counts n;
	sw_mono now;
	unsigned began, ended, seconds, began_at, ended_at;
};

static enum sw_flood_event step_after(struct site *s, uint64_t ns)
{
	enum sw_flood_event event;

	s->now.ns += ns;
	event = sw_flood_step(&s->f, &usual, &s->n, s->now);
	s->seconds++;
	if (event == SW_FLOOD_BEGAN) {
		s->began++;
		s->began_at = s->seconds;
	}
	if (event == SW_FLOOD_ENDED) {
		s->ended++;
		s->ended_at = s->seconds;
	}
	return event;
}

static void begin(struct site *s)
{
	*s = (struct site){ .now = { 5 * SECOND } };
	s->n = (struct sw_flood_counts){ 1000000, 1000000, 999000, 10 }; /* of days before */
	cr_assert_eq(sw_flood_step(&s->f, &usual, &s->n, s->now), SW_FLOOD_SAME);
}

/* A second in which so many SYNs came and were answered, and so many proven. */
static void second_of(struct site *s, uint64_t syns, uint64_t proven)
{
	s->n.syns += syns;
	s->n.synacks += syns;
	s->n.proven += proven;
	(void)!step_after(s, SECOND);
}

Test(flood, begins_within_two_seconds_and_ends_after_the_hold)
{
	struct site s;

	begin(&s);
	for (int i = 0; i < 30; i++)
		second_of(&s, 1500, 40);
	cr_assert_eq(s.began, 1);
	cr_assert_eq(s.began_at, 2, "began after %u s", s.began_at);
	for (int i = 0; i < 30; i++)
		second_of(&s, 40, 40);
	cr_assert_eq(s.ended, 1);
	cr_assert_eq(s.ended_at, 40, "ended after %u s", s.ended_at);
	cr_assert_eq(s.f.lasted_ns, 29 * SECOND, "the hold is not part of it: %llu",
		     (unsigned long long)s.f.lasted_ns);
	cr_assert_not(s.f.active);
	cr_assert_eq(s.f.floods, 1);
}

Test(flood, an_overwhelming_one_begins_after_one_second)
{
	struct site s;

	begin(&s);
	second_of(&s, 180000, 41);
	cr_assert_eq(s.began_at, 1);
}

Test(flood, real_connections_are_none_however_many)
{
	struct site s;

	begin(&s);
	for (int i = 0; i < 60; i++)
		second_of(&s, 50000, 50000);
	cr_assert_eq(s.began, 0);
}

/* 2,000 clients a second that are a round trip away; some round trips end in the next window. */
Test(flood, a_burst_of_real_clients_is_none_at_any_round_trip)
{
	for (uint64_t away_ms = 0; away_ms <= 1000; away_ms += 50) {
		const uint64_t late = 2000 * away_ms / 1000;
		struct site s;

		begin(&s);
		second_of(&s, 2000, 2000 - late);
		for (int i = 0; i < 5; i++)
			second_of(&s, 2000, 2000);
		second_of(&s, 0, late);
		second_of(&s, 0, 0);
		cr_assert_eq(s.began, 0, "false alarm at a round trip of %llu ms",
			     (unsigned long long)away_ms);
	}
}

Test(flood, a_short_burst_whose_acks_come_late_is_none)
{
	struct site s;

	begin(&s);
	second_of(&s, 2000, 0);
	second_of(&s, 0, 2000);
	cr_assert_eq(s.began, 0);
}

Test(flood, a_busy_service_with_a_few_percent_that_never_answer_is_none)
{
	struct site s;

	begin(&s);
	for (int i = 0; i < 60; i++)
		second_of(&s, 40000, 38000);
	cr_assert_eq(s.began, 0, "2,000 of 40,000 unproven");
}

Test(flood, is_seen_beside_real_clients)
{
	struct site s;

	begin(&s);
	for (int i = 0; i < 5; i++)
		second_of(&s, 2000 + 5000, 2000);
	cr_assert_eq(s.began, 1);
}

Test(flood, a_pause_shorter_than_the_hold_does_not_end_it)
{
	struct site s;

	begin(&s);
	for (int k = 0; k < 5; k++) {
		for (int i = 0; i < 5; i++)
			second_of(&s, 9000, 10);
		for (int i = 0; i < 9; i++)
			second_of(&s, 100, 100);
	}
	cr_assert_eq(s.began, 1);
	cr_assert_eq(s.ended, 0);
}

Test(flood, between_leave_and_enter_it_goes_on_and_does_not_begin)
{
	struct site s;

	begin(&s);
	for (int i = 0; i < 60; i++)
		second_of(&s, 700, 0);
	cr_assert_eq(s.began, 0);
	for (int i = 0; i < 3; i++)
		second_of(&s, 3000, 0);
	cr_assert_eq(s.began, 1);
	for (int i = 0; i < 60; i++)
		second_of(&s, 700, 0);
	cr_assert_eq(s.ended, 0);
}

Test(flood, exactly_at_the_thresholds)
{
	struct site s;

	begin(&s);
	for (int i = 0; i < 5; i++)
		second_of(&s, 999, 0);
	cr_assert_eq(s.began, 0, "999 is below enter");
	for (int i = 0; i < 2; i++)
		second_of(&s, 1000, 0);
	cr_assert_eq(s.began, 1, "1000 is enter");
	for (int i = 0; i < 20; i++)
		second_of(&s, 500, 0);
	cr_assert_eq(s.ended, 0, "500 is not below leave");
	for (int i = 0; i < 11; i++)
		second_of(&s, 499, 0);
	cr_assert_eq(s.ended, 1);
}

Test(flood, steps_may_be_shorter_or_longer_than_a_second)
{
	struct site s;

	begin(&s);
	for (int i = 0; i < 40; i++) { /* ten seconds of 4,000 a second */
		s.n.syns += 1000;
		s.n.synacks += 1000;
		(void)!step_after(&s, SECOND / 4);
	}
	cr_assert_eq(s.began, 1);
	cr_assert_eq(s.f.rate.syns, 4000);
	begin(&s);
	s.n.synacks = s.n.syns += 9000;
	(void)!step_after(&s, 10 * SECOND); /* the loop was away: 900 a second */
	cr_assert_eq(s.f.rate.syns, 900);
	cr_assert_eq(s.began, 0);
}

Test(flood, a_second_one_counts_and_starts_its_totals_anew)
{
	struct site s;
	char line[300];

	begin(&s);
	for (int k = 0; k < 2; k++) {
		for (int i = 0; i < 5; i++)
			second_of(&s, 10000, 10);
		for (int i = 0; i < 12; i++)
			second_of(&s, 0, 0);
	}
	cr_assert_eq(s.f.floods, 2);
	cr_assert_eq(s.f.total.syns, 50000);
	sw_flood_line(&s.f, SW_FLOOD_ENDED, "web", "", line, sizeof(line));
	cr_assert_str_eq(line, "web: SYN flood ended after 5s: 50.0k SYNs, 50.0k cookies sent, "
			       "50 accepted");
}

Test(flood, can_be_turned_off)
{
	const struct sw_flood_config off = { 0, 0, SECOND };
	struct sw_flood f = { 0 };
	struct sw_flood_counts n = { 0 };
	sw_mono now = { SECOND };

	for (int i = 0; i < 10; i++) {
		cr_assert_eq(sw_flood_step(&f, &off, &n, now), SW_FLOOD_SAME);
		n.syns = n.synacks += 1000000;
		now.ns += SECOND;
	}
	cr_assert_eq(f.rate.synacks, 1000000, "rates are measured all the same");
}

Test(flood, counters_that_fall_are_no_flood)
{
	struct site s;

	begin(&s);
	s.n = (struct sw_flood_counts){ 0 };
	for (int i = 0; i < 5; i++)
		cr_assert_eq(step_after(&s, SECOND), SW_FLOOD_SAME);
}

Test(flood, the_lines_that_operators_match)
{
	struct sw_flood f = {
		.rate = { 182400, 182300, 41, 0 },
		.total = { 34100000, 34100000, 7902, 0 },
		.lasted_ns = 192 * SECOND,
	};
	char line[300];

	sw_flood_line(&f, SW_FLOOD_BEGAN, "web", "203.0.113.1:443", line, sizeof(line));
	cr_assert_str_eq(line,
			 "web: Possible SYN flooding on port 203.0.113.1:443. Sending cookies. "
			 "syn=182k/s answered=182k/s valid=41/s");
	sw_flood_line(&f, SW_FLOOD_BEGAN, "web", "203.0.113.1:443, [2001:db8::1]:443", line,
		      sizeof(line));
	cr_assert_str_eq(line, "web: Possible SYN flooding on port 203.0.113.1:443 (and 1 more). "
			       "Sending cookies. syn=182k/s answered=182k/s valid=41/s");
	sw_flood_line(&f, SW_FLOOD_ENDED, "web", "203.0.113.1:443", line, sizeof(line));
	cr_assert_str_eq(line, "web: SYN flood ended after 3m12s: 34.1M SYNs, 34.1M cookies sent, "
			       "7902 accepted");
}
