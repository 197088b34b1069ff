/* SPDX-License-Identifier: MIT */
#include "study/probe.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LAYOUT_BITS_MIN 12 /* other ISNs look so once in 4,096 */
#define NS_PER_S	1e9

static const struct maker {
	const char *name, *text;
} makers[SW_PROBE_NMAKER] = {
	[SW_PROBE_UNDECIDED] = { "undecided", "the answers do not tell who makes the ISNs" },
	[SW_PROBE_RANDOM] = { "random", "each ISN is a new random number" },
	[SW_PROBE_CLOCK] = { "clock-driven",
			     "each ISN is a clock plus a secret of the connection (RFC 6528)" },
	[SW_PROBE_LINUX_COOKIE] = { "linux-cookie", "the ISNs are SYN cookies of a Linux kernel" },
	[SW_PROBE_SYNPROXY] = { "synproxy", "the ISNs are SYN cookies of netfilter's SYNPROXY" },
	[SW_PROBE_SYNWARD_WIDE] = { "synward-wide",
				    "ISN and TSval are a synward cookie of the wide form" },
	[SW_PROBE_SYNWARD_NARROW] = { "synward-narrow",
				      "the ISNs are synward cookies of the narrow form" },
	[SW_PROBE_OTHER_COOKIE] = { "cookie", "the ISNs are SYN cookies of an unknown make" },
};

const char *sw_probe_maker_name(enum sw_probe_maker maker)
{
	return (unsigned)maker < SW_PROBE_NMAKER ? makers[maker].name : "?";
}

const char *sw_probe_maker_text(enum sw_probe_maker maker)
{
	return (unsigned)maker < SW_PROBE_NMAKER ? makers[maker].text : "?";
}

__attribute__((format(printf, 2, 3))) static void because(struct sw_probe_opinion *o,
							  const char *fmt, ...)
{
	va_list ap;

	if (o->n == SW_PROBE_MAX_REASONS)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(o->reason[o->n++], SW_PROBE_REASON_LEN, fmt, ap);
	va_end(ap);
}

static void say_held(const struct sw_probe_facts *f, struct sw_probe_opinion *o)
{
	if (f->again > 0)
		because(o,
			"a SYN-ACK left without an answer came again after %.2f s: the server "
			"remembers the half-open connection",
			(double)f->again_ns / NS_PER_S);
	else if (f->held > 0)
		because(o,
			"a SYN-ACK left without an answer did not come again within %.1f s: the "
			"server remembers nothing",
			(double)f->held_ns / NS_PER_S);
}

static void say_same(const struct sw_probe_facts *f, struct sw_probe_opinion *o)
{
	because(o,
		"equal SYNs got equal ISNs (%u of %u pairs): the ISN follows from the SYN, a key "
		"and the time in coarse steps",
		f->same_isn, f->same);
}

static void say_ts(const struct sw_probe_facts *f, struct sw_probe_opinion *o)
{
	if (f->ts == SW_PROBE_TS_STILL)
		because(o, "TSval stands still between equal SYNs: it is no clock");
	else if (f->ts == SW_PROBE_TS_STEP64)
		because(o, "TSval moves by multiples of 64: its low 6 bits hold options, not time");
	else if (f->ts == SW_PROBE_TS_CLOCK)
		because(o, "TSval is a clock of about %.2g kHz", f->ts_hz / 1e3);
}

static void say_linux(const struct sw_probe_facts *f, struct sw_probe_opinion *o)
{
	because(o,
		"when the SYN's ISN grows by %u, so does the answer's: Linux adds the one to the "
		"other",
		SW_PROBE_ISN_STEP);
	if (f->mss_isn > 0)
		because(o, "another MSS moves the ISN by 1 to 3: the index of a table of four "
			   "segment sizes is added to it");
	if (f->no_window == f->answers)
		because(o,
			"the SYN-ACKs have a window of 0, which a proxy opens when it has reached "
			"the server");
	say_ts(f, o);
	if (f->ts_low6 == f->answers)
		because(o, "the low 6 bits of TSval spell the window scale and SACK of each SYN");
	if (f->shift_isn < f->shift || f->same_isn < f->same)
		because(o, "some pairs differ: a new minute began between them");
}

static void say_synward(const struct sw_probe_facts *f, struct sw_probe_opinion *o)
{
	const char *where = f->wide ? "the low 10 bits of TSval" : "the low 7 bits of the ISN";

	because(o,
		"%s are what synward's cookie has there for each SYN's MSS, window scale and SACK "
		"(%u of %u SYN-ACKs, %u bits; chance does that once in 2^%u)",
		where, f->layout_ok, f->layout, f->layout_bits, f->layout_bits);
	if (f->shift > 0)
		because(o,
			"when only the SYN's ISN changes, the answer's is an unrelated number: it "
			"is under the MAC");
	say_ts(f, o);
}

static void judge_cookie(const struct sw_probe_facts *f, struct sw_probe_opinion *o)
{
	say_same(f, o);
	say_held(f, o);
	if (f->again > 0 && f->shift == 0) {
		o->maker = SW_PROBE_UNDECIDED;
		because(o, "equal ISNs may be one half-open connection answering twice: our resets "
			   "seem to get lost");
	} else if (f->again > 0) {
		o->maker = SW_PROBE_OTHER_COOKIE;
		because(o, "it keeps the connection as well, and needs the cookie only when that "
			   "memory is full");
	} else if (f->shift_isn > 0) {
		o->maker = f->no_window == f->answers ? SW_PROBE_SYNPROXY : SW_PROBE_LINUX_COOKIE;
		say_linux(f, o);
	} else if (f->layout_ok == f->layout && f->layout_bits >= LAYOUT_BITS_MIN) {
		o->maker = f->wide ? SW_PROBE_SYNWARD_WIDE : SW_PROBE_SYNWARD_NARROW;
		say_synward(f, o);
	} else {
		o->maker = SW_PROBE_OTHER_COOKIE;
		say_ts(f, o);
	}
}

static const char *clock_name(double hz)
{
	if (hz > 15.3e6 && hz < 15.95e6)
		return "; a step every 64 ns, as Linux does it";
	if (hz > 245e3 && hz < 255e3)
		return "; a step every 4 us, as RFC 6528 says";
	return "";
}

void sw_probe_judge(const struct sw_probe_facts *f, struct sw_probe_opinion *o)
{
	memset(o, 0, sizeof(*o));
	if (f->answers == 0) {
		because(o, "no SYN-ACK came");
	} else if (f->same_isn > 0) {
		judge_cookie(f, o);
	} else if (f->clock_fits) {
		o->maker = SW_PROBE_CLOCK;
		because(o,
			"%u ISNs on the same addresses and ports follow a clock of %.3f MHz within "
			"%.2f ms%s",
			f->clocked, f->isn_hz / 1e6, f->worst_ns / 1e6, clock_name(f->isn_hz));
		say_held(f, o);
		say_ts(f, o);
	} else if (f->clocked >= 3) {
		o->maker = SW_PROBE_RANDOM;
		because(o,
			"%u ISNs on the same addresses and ports neither repeat nor follow a clock",
			f->clocked);
		say_held(f, o);
		say_ts(f, o);
	} else {
		say_held(f, o);
		because(o, "%u SYN-ACKs are too few: 8 samples show what there is", f->answers);
	}
}

/* ---- the port ---- */

static const char *const state_names[] = {
	[SW_PROBE_OPEN] = "open",
	[SW_PROBE_CLOSED] = "closed",
	[SW_PROBE_FILTERED] = "filtered",
	[SW_PROBE_UNCLEAR] = "unclear",
};

enum sw_probe_state sw_probe_state(const struct sw_probe_sample *s)
{
	switch (s->heard) {
	case SW_PROBE_SYNACK:
		return SW_PROBE_OPEN;
	case SW_PROBE_RST:
		return SW_PROBE_CLOSED;
	case SW_PROBE_ODD:
		return SW_PROBE_UNCLEAR;
	default:
		return SW_PROBE_FILTERED;
	}
}

const char *sw_probe_state_name(enum sw_probe_state state)
{
	return (unsigned)state <= SW_PROBE_UNCLEAR ? state_names[state] : "?";
}

static const struct icmp_name {
	uint8_t family, type, code;
	const char *name;
} icmp_names[] = {
	{ SW_IP4, 3, 0, "net unreachable" },
	{ SW_IP4, 3, 1, "host unreachable" },
	{ SW_IP4, 3, 2, "protocol unreachable" },
	{ SW_IP4, 3, 3, "port unreachable" },
	{ SW_IP4, 3, 9, "net administratively prohibited" },
	{ SW_IP4, 3, 10, "host administratively prohibited" },
	{ SW_IP4, 3, 13, "communication administratively prohibited" },
	{ SW_IP4, 11, 0, "time to live exceeded" },
	{ SW_IP6, 1, 0, "no route" },
	{ SW_IP6, 1, 1, "administratively prohibited" },
	{ SW_IP6, 1, 2, "beyond scope of source address" },
	{ SW_IP6, 1, 3, "address unreachable" },
	{ SW_IP6, 1, 4, "port unreachable" },
	{ SW_IP6, 1, 5, "source address failed policy" },
	{ SW_IP6, 1, 6, "reject route" },
	{ SW_IP6, 3, 0, "hop limit exceeded" },
};

const char *sw_probe_icmp_name(enum sw_family family, uint8_t type, uint8_t code, char out[48])
{
	for (size_t i = 0; i < sizeof(icmp_names) / sizeof(icmp_names[0]); i++) {
		const struct icmp_name *n = &icmp_names[i];

		if (n->family == family && n->type == type && n->code == code)
			return n->name;
	}
	(void)snprintf(out, 48, "type %u code %u", type, code);
	return out;
}

const char *sw_probe_state_reason(const struct sw_probe_sample *s, enum sw_family family,
				  char out[SW_PROBE_REASON_LEN])
{
	const size_t n = SW_PROBE_REASON_LEN;
	char name[48];

	switch (s->heard) {
	case SW_PROBE_SYNACK:
		(void)snprintf(out, n, "a SYN-ACK came");
		break;
	case SW_PROBE_RST:
		(void)snprintf(out, n, "a reset came: nobody listens, or a firewall says so");
		break;
	case SW_PROBE_ICMP:
		(void)snprintf(out, n, "ICMP %s came",
			       sw_probe_icmp_name(family, s->icmp_type, s->icmp_code, name));
		break;
	case SW_PROBE_ODD:
		(void)snprintf(out, n,
			       "a segment with flags 0x%02x came, which answers no SYN: an "
			       "old connection with our ports may live there",
			       s->answer.flags);
		break;
	default:
		(void)snprintf(out, n, "silence: dropped by a filter, or lost (%u SYN%s sent)",
			       s->tries, s->tries == 1 ? "" : "s");
		break;
	}
	return out;
}
