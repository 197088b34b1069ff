/* SPDX-License-Identifier: MIT */
#include "ops/flood.h"
#include "ops/human.h"

#include <stdio.h>
#include <string.h>

#define SECOND_NS    1000000000ull
#define OVERWHELMING 8 /* times the rate of entry: one window is enough */

static uint64_t minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static struct sw_flood_counts difference(const struct sw_flood_counts *now,
					 const struct sw_flood_counts *then)
{
	return (struct sw_flood_counts){
		.syns = minus(now->syns, then->syns),
		.synacks = minus(now->synacks, then->synacks),
		.proven = minus(now->proven, then->proven),
		.refused = minus(now->refused, then->refused),
	};
}

/* a * SECOND_NS / ns without overflow: counts of a window fit 34 bits, or lose their last digits.
 */
static uint64_t per_second(uint64_t count, uint64_t ns)
{
	return (uint64_t)((double)count * (double)SECOND_NS / (double)ns + 0.5);
}

static struct sw_flood_counts rate_of(const struct sw_flood_counts *d, uint64_t ns)
{
	return (struct sw_flood_counts){
		.syns = per_second(d->syns, ns),
		.synacks = per_second(d->synacks, ns),
		.proven = per_second(d->proven, ns),
		.refused = per_second(d->refused, ns),
	};
}

static uint64_t unproven(const struct sw_flood_counts *rate)
{
	return minus(rate->synacks, rate->proven);
}

/* More than half of what was answered came to nothing. */
static bool mostly_unproven(const struct sw_flood_counts *rate)
{
	return unproven(rate) > rate->synacks / 2;
}

/* Real clients prove what is answered within their round trip: of two windows in a row they leave
 * at most one unproven. */
static bool is_flood(const struct sw_flood *f, uint64_t enter)
{
	const struct sw_flood_counts both = {
		.synacks = f->rate.synacks + f->before.synacks,
		.proven = f->rate.proven + f->before.proven,
	};

	if (!enter || unproven(&f->rate) < enter || !mostly_unproven(&f->rate))
		return false;
	if (unproven(&f->rate) / OVERWHELMING >= enter)
		return true;
	return unproven(&f->before) >= enter && mostly_unproven(&both);
}

static enum sw_flood_event begin(struct sw_flood *f, const struct sw_flood_counts *window,
				 sw_mono mono)
{
	f->active = true;
	f->floods++;
	f->began = f->window;
	f->calm = mono;
	f->at_begin = *window;
	return SW_FLOOD_BEGAN;
}

static enum sw_flood_event stay(struct sw_flood *f, const struct sw_flood_config *cf,
				const struct sw_flood_counts *now, sw_mono mono)
{
	f->total = difference(now, &f->at_begin);
	f->lasted_ns = mono.ns - f->began.ns;
	if (cf->enter && unproven(&f->rate) >= cf->leave)
		f->calm = mono;
	if (mono.ns - f->calm.ns < cf->hold_ns)
		return SW_FLOOD_SAME;
	f->active = false;
	f->lasted_ns = f->calm.ns - f->began.ns; /* the time that was held is not flood */
	return SW_FLOOD_ENDED;
}

enum sw_flood_event sw_flood_step(struct sw_flood *f, const struct sw_flood_config *cf,
				  const struct sw_flood_counts *now, sw_mono mono)
{
	const struct sw_flood_counts at_window = f->at_window;
	const uint64_t ns = mono.ns - f->window.ns;
	enum sw_flood_event event = SW_FLOOD_SAME;
	struct sw_flood_counts delta;

	if (!f->started) {
		f->started = true;
		f->window = mono;
		f->at_window = *now;
		return SW_FLOOD_SAME;
	}
	if (mono.ns < f->window.ns + SECOND_NS - SECOND_NS / 20) /* timers are a little early */
		return SW_FLOOD_SAME;
	delta = difference(now, &at_window);
	f->before = f->rate;
	f->rate = rate_of(&delta, ns);
	if (f->active)
		event = stay(f, cf, now, mono);
	else if (is_flood(f, cf->enter))
		event = begin(f, &at_window, mono);
	if (event == SW_FLOOD_BEGAN)
		f->total = difference(now, &at_window);
	f->window = mono;
	f->at_window = *now;
	return event;
}

static void began_line(const struct sw_flood *f, const char *listener, const char *addresses,
		       char *out, size_t size)
{
	const size_t first = strcspn(addresses, ",");
	char syn[16], synack[16], proven[16], others[32] = "";
	unsigned more = 0;

	for (const char *at = addresses; (at = strchr(at, ',')); at++)
		more++;
	if (more)
		snprintf(others, sizeof(others), " (and %u more)", more);
	snprintf(out, size,
		 "%s: Possible SYN flooding on port %.*s%s. Sending cookies. syn=%s/s "
		 "answered=%s/s valid=%s/s",
		 listener, (int)first, addresses, others, sw_short_number(f->rate.syns, syn),
		 sw_short_number(f->rate.synacks, synack), sw_short_number(f->rate.proven, proven));
}

void sw_flood_line(const struct sw_flood *f, enum sw_flood_event event, const char *listener,
		   const char *addresses, char *out, size_t size)
{
	char time[16], syns[16], cookies[16], accepted[16];

	if (event == SW_FLOOD_BEGAN) {
		began_line(f, listener, addresses, out, size);
		return;
	}
	snprintf(out, size, "%s: SYN flood ended after %s: %s SYNs, %s cookies sent, %s accepted",
		 listener, sw_short_time(f->lasted_ns, time), sw_short_number(f->total.syns, syns),
		 sw_short_number(f->total.synacks, cookies),
		 sw_short_number(f->total.proven, accepted));
}
