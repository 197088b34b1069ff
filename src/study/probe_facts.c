/* SPDX-License-Identifier: MIT */
#include "study/probe.h"

#include "core/cookie.h"

#include <math.h>
#include <string.h>

#define NS_PER_S     1e9
#define SLACK_NS     2e6 /* scheduling, on top of half the round trip */
#define ISN_HZ_MIN   1e3
#define ISN_HZ_MAX   1e8 /* the number would wrap in 43 s */
#define TS_HZ_MIN    10.0
#define TS_HZ_MAX    2e6
#define STILL_MIN_NS 50000000ull
#define MSS_STEPS    3 /* Linux's table has four entries */

static bool same_tuple(const struct sw_probe_sample *a, const struct sw_probe_sample *b)
{
	return a->heard == SW_PROBE_SYNACK && b->heard == SW_PROBE_SYNACK &&
	       a->syn.sport == b->syn.sport && a->syn.dport == b->syn.dport;
}

static bool same_terms(const struct sw_probe_syn *a, const struct sw_probe_syn *b)
{
	return a->mss == b->mss && a->sack == b->sack && a->wscale == b->wscale && a->ts == b->ts;
}

static bool is_equal(const struct sw_probe_sample *a, const struct sw_probe_sample *b)
{
	return a->syn.isn == b->syn.isn && same_terms(&a->syn, &b->syn);
}

static bool is_shift(const struct sw_probe_sample *a, const struct sw_probe_sample *b)
{
	return a->syn.isn != b->syn.isn && same_terms(&a->syn, &b->syn);
}

static bool is_mss(const struct sw_probe_sample *a, const struct sw_probe_sample *b)
{
	return a->syn.isn == b->syn.isn && a->syn.wscale == b->syn.wscale &&
	       a->syn.mss != b->syn.mss;
}

typedef bool (*pair_fn)(const struct sw_probe_sample *a, const struct sw_probe_sample *b);

/* The nearest sample before s[j] on its 4-tuple for which is(it, s[j]) holds. */
static const struct sw_probe_sample *partner(const struct sw_probe_sample *s, unsigned j,
					     pair_fn is)
{
	for (unsigned i = j; i-- > 0;) {
		if (same_tuple(&s[i], &s[j]) && is(&s[i], &s[j]))
			return &s[i];
	}
	return NULL;
}

static void count_pairs(const struct sw_probe_sample *s, unsigned n, struct sw_probe_facts *out)
{
	for (unsigned j = 1; j < n; j++) {
		const struct sw_probe_sample *a;

		a = partner(s, j, is_equal);
		if (a) {
			out->same++;
			out->same_isn += a->answer.seq == s[j].answer.seq;
		}
		a = partner(s, j, is_shift);
		if (a) {
			out->shift++;
			out->shift_isn +=
				s[j].answer.seq - a->answer.seq == s[j].syn.isn - a->syn.isn;
		}
		a = partner(s, j, is_mss);
		if (a) {
			const int32_t d = (int32_t)(s[j].answer.seq - a->answer.seq);

			out->mss++;
			out->mss_isn += d != 0 && d >= -MSS_STEPS && d <= MSS_STEPS;
		}
	}
}

static void count_held(const struct sw_probe_sample *s, unsigned n, struct sw_probe_facts *out)
{
	for (unsigned i = 0; i < n; i++) {
		if (s[i].heard != SW_PROBE_SYNACK)
			continue;
		out->answers++;
		out->no_window += s[i].answer.window == 0;
		if (s[i].held_ns == 0)
			continue;
		out->held++;
		out->again += s[i].again > 0;
		if (s[i].held_ns > out->held_ns)
			out->held_ns = s[i].held_ns;
		if (s[i].again > 0 && out->again_ns == 0)
			out->again_ns = s[i].again_ns;
	}
}

/* When the server made its number: half way between sending and hearing. */
static double moment(const struct sw_probe_sample *s)
{
	return (double)s->sent_ns + (double)(s->heard_ns - s->sent_ns) / 2;
}

static double doubt(const struct sw_probe_sample *s)
{
	return (double)(s->heard_ns - s->sent_ns) / 2;
}

/* A number that wraps at 2^32, brought near to where it is expected. */
static double unwrap(uint32_t d, double expected)
{
	const double turns = (expected - d) / 4294967296.0;

	return d + 4294967296.0 * (double)(int64_t)(turns + (turns < 0 ? -0.5 : 0.5));
}

/* The source port with the most answers: its samples, in order.  @return their number. */
static unsigned longest_tuple(const struct sw_probe_sample *s, unsigned n,
			      const struct sw_probe_sample *out[SW_PROBE_MAX_SAMPLES])
{
	unsigned best = 0;

	for (unsigned i = 0; i < n; i++) {
		unsigned k = 0;

		for (unsigned j = i; j < n; j++)
			k += same_tuple(&s[i], &s[j]);
		if (k <= best)
			continue;
		best = 0;
		for (unsigned j = i; j < n && best < SW_PROBE_MAX_SAMPLES; j++) {
			if (same_tuple(&s[i], &s[j]))
				out[best++] = &s[j];
		}
	}
	return best;
}

/* Steps a second between the two neighbours that are closest in time. */
static double first_guess(const struct sw_probe_sample *const *t, unsigned k)
{
	double shortest = INFINITY, hz = 0;

	for (unsigned i = 1; i < k; i++) {
		const double dt = moment(t[i]) - moment(t[i - 1]);

		if (dt > 0 && dt < shortest) {
			shortest = dt;
			hz = (t[i]->answer.seq - t[i - 1]->answer.seq) / (dt / NS_PER_S);
		}
	}
	return hz;
}

static bool plausible(double hz)
{
	return hz >= ISN_HZ_MIN && hz <= ISN_HZ_MAX;
}

/* RFC 6528: ISN = M + F(4-tuple, secret).  On one 4-tuple F stays and M shows. */
static void fit_clock(const struct sw_probe_sample *s, unsigned n, struct sw_probe_facts *out)
{
	const struct sw_probe_sample *t[SW_PROBE_MAX_SAMPLES];
	const unsigned k = longest_tuple(s, n, t);
	double hz, at[SW_PROBE_MAX_SAMPLES], isn[SW_PROBE_MAX_SAMPLES];

	out->clocked = k;
	if (k < 3)
		return;
	hz = first_guess(t, k);
	if (!plausible(hz))
		return;
	at[0] = isn[0] = 0;
	for (unsigned i = 1; i < k; i++) {
		const double dt = (moment(t[i]) - moment(t[i - 1])) / NS_PER_S;

		at[i] = at[i - 1] + dt;
		isn[i] = isn[i - 1] + unwrap(t[i]->answer.seq - t[i - 1]->answer.seq, hz * dt);
	}
	hz = isn[k - 1] / at[k - 1];
	out->clock_fits = plausible(hz);
	for (unsigned i = 1; i < k && out->clock_fits; i++) {
		const double miss = fabs(isn[i] / hz - at[i]) * NS_PER_S;

		if (miss > out->worst_ns)
			out->worst_ns = miss;
		out->clock_fits = miss <= doubt(t[0]) + doubt(t[i]) + doubt(t[k - 1]) + SLACK_NS;
	}
	out->isn_hz = hz;
}

struct ts_seen {
	unsigned pairs, still, step64, steady;
	double hz;
};

/* Compare each pair of equal SYNs with a clock of @hz; add up @steps and @seconds. */
static void see_ts(const struct sw_probe_sample *s, unsigned n, double hz, struct ts_seen *seen,
		   double *steps, double *seconds)
{
	memset(seen, 0, sizeof(*seen));
	*steps = *seconds = 0;
	for (unsigned j = 1; j < n; j++) {
		const struct sw_probe_sample *a = partner(s, j, is_equal);
		double dt, slack;
		int32_t d;

		if (!a || !a->answer.opt.ts || !s[j].answer.opt.ts)
			continue;
		d = (int32_t)(s[j].answer.opt.tsval - a->answer.opt.tsval);
		dt = (moment(&s[j]) - moment(a)) / NS_PER_S;
		slack = 1 + hz * (doubt(a) + doubt(&s[j]) + SLACK_NS) / NS_PER_S;
		seen->pairs++;
		seen->still += d == 0;
		seen->step64 += d % 64 == 0;
		seen->steady += fabs(d - hz * dt) <= slack;
		*steps += d;
		*seconds += dt;
	}
}

static void judge_ts(const struct sw_probe_sample *s, unsigned n, struct sw_probe_facts *out)
{
	struct ts_seen seen;
	double steps, seconds;

	see_ts(s, n, 0, &seen, &steps, &seconds);
	out->ts = SW_PROBE_TS_NONE;
	for (unsigned i = 0; i < n; i++) {
		if (s[i].heard == SW_PROBE_SYNACK && s[i].answer.opt.ts)
			out->ts = SW_PROBE_TS_FEW;
	}
	if (out->ts == SW_PROBE_TS_NONE || seen.pairs < 2 || seconds * NS_PER_S < STILL_MIN_NS)
		return;
	out->ts = SW_PROBE_TS_WILD;
	if (seen.still == seen.pairs) {
		out->ts = SW_PROBE_TS_STILL;
		return;
	}
	if (seen.step64 == seen.pairs) {
		out->ts = SW_PROBE_TS_STEP64;
		return;
	}
	out->ts_hz = steps / seconds;
	if (out->ts_hz < TS_HZ_MIN || out->ts_hz > TS_HZ_MAX)
		return;
	see_ts(s, n, out->ts_hz, &seen, &steps, &seconds);
	if (seen.steady == seen.pairs)
		out->ts = SW_PROBE_TS_CLOCK;
}

/* Linux hides the client's window scale, SACK and ECN in the low 6 bits of its TSval. */
static bool spells_options(const struct sw_probe_sample *s)
{
	const struct sw_tcpopt *o = &s->answer.opt;
	const uint32_t code = (o->wscale_ok ? s->syn.wscale : 15u) | (o->sack ? 16u : 0);

	return o->ts && (o->tsval & 63) == code;
}

/* The data bits that synward's cookie has for what this SYN and its SYN-ACK agreed on. */
static bool layout_agrees(enum sw_family family, const struct sw_probe_sample *s)
{
	const struct sw_tcpopt *o = &s->answer.opt;
	const struct sw_terms offer = {
		.mss = s->syn.mss,
		.wscale = s->syn.wscale,
		.wscale_ok = o->wscale_ok,
		.sack = s->syn.sack && o->sack,
		.ts = o->ts,
	};
	/* The ACK that we do not send, with what it would return. */
	const struct sw_seg ack = { .ack = s->answer.seq + 1,
				    .opt = { .ts = o->ts, .tsecr = o->tsval } };
	const uint16_t data = sw_cookie_presented(&ack).data;
	struct sw_terms terms;

	return sw_cookie_round(family, &offer, &terms) &&
	       (data == sw_cookie_data(family, &terms, (sw_epoch){ 0 }) ||
		data == sw_cookie_data(family, &terms, (sw_epoch){ 1 }));
}

static bool seen_before(const struct sw_probe_sample *s, unsigned j)
{
	for (unsigned i = 0; i < j; i++) {
		if (s[i].heard == SW_PROBE_SYNACK && same_terms(&s[i].syn, &s[j].syn))
			return true;
	}
	return false;
}

static void count_layout(enum sw_family family, const struct sw_probe_sample *s, unsigned n,
			 struct sw_probe_facts *out)
{
	for (unsigned i = 0; i < n; i++) {
		bool agrees;

		if (s[i].heard != SW_PROBE_SYNACK)
			continue;
		agrees = layout_agrees(family, &s[i]);
		out->wide = s[i].answer.opt.ts;
		out->layout++;
		out->layout_ok += agrees;
		if (agrees && !seen_before(s, i))
			out->layout_bits += out->wide ? 9 : 6;
		out->ts_low6 += spells_options(&s[i]);
	}
}

void sw_probe_facts(enum sw_family family, const struct sw_probe_sample *s, unsigned n,
		    struct sw_probe_facts *out)
{
	memset(out, 0, sizeof(*out));
	count_held(s, n, out);
	count_pairs(s, n, out);
	fit_clock(s, n, out);
	judge_ts(s, n, out);
	count_layout(family, s, n, out);
}
