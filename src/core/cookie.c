/* SPDX-License-Identifier: MIT */
#include "core/cookie.h"

#include "core/cursor.h"

#include <string.h>

#define VERSION		1
#define MSS_DEFAULT_IP4 536 /* RFC 9293 3.7.1 */
#define MSS_DEFAULT_IP6 1220

#define WIDE_DATA_BITS 10
#define WIDE_DATA_MASK 0x3ffu
#define WIDE_PARITY    9 /* bit numbers within the data */
#define WIDE_MSS       6
#define WIDE_WSCALE    2
#define WIDE_SACK      1
#define WIDE_ECN       0
#define WIDE_NO_WSCALE 15

#define NARROW_DATA_BITS 7
#define NARROW_DATA_MASK 0x7fu
#define NARROW_PARITY	 6
#define NARROW_MSS	 4
#define NARROW_WSCALE	 1
#define NARROW_SACK	 0

#define WSCALE_MAX 14

static const uint16_t wide_mss4[8] = { 216, 536, 1240, 1380, 1420, 1452, 1460, 8960 };
static const uint16_t wide_mss6[8] = { 216, 536, 1220, 1360, 1400, 1432, 1440, 8940 };
static const uint16_t narrow_mss4[4] = { 536, 1240, 1460, 8960 };
static const uint16_t narrow_mss6[4] = { 536, 1220, 1440, 8940 };

/* Code 0 says "none"; the others stand for these shift counts. */
static const uint8_t narrow_wscale[8] = { 0, 0, 4, 6, 7, 8, 9, 10 };

static const struct sw_cookie_field wide_layout[] = {
	{ "tag", false, 0, 32 },
	{ "tag", true, WIDE_DATA_BITS, 32 - WIDE_DATA_BITS },
	{ "epoch_parity", true, WIDE_PARITY, WIDE_DATA_BITS - WIDE_PARITY },
	{ "mss_index", true, WIDE_MSS, WIDE_PARITY - WIDE_MSS },
	{ "wscale", true, WIDE_WSCALE, WIDE_MSS - WIDE_WSCALE },
	{ "sack", true, WIDE_SACK, WIDE_WSCALE - WIDE_SACK },
	{ "ecn", true, WIDE_ECN, WIDE_SACK - WIDE_ECN },
};

static const struct sw_cookie_field narrow_layout[] = {
	{ "tag", false, NARROW_DATA_BITS, 32 - NARROW_DATA_BITS },
	{ "epoch_parity", false, NARROW_PARITY, NARROW_DATA_BITS - NARROW_PARITY },
	{ "mss_index", false, NARROW_MSS, NARROW_PARITY - NARROW_MSS },
	{ "wscale", false, NARROW_WSCALE, NARROW_MSS - NARROW_WSCALE },
	{ "sack", false, NARROW_SACK, NARROW_WSCALE - NARROW_SACK },
};

const struct sw_cookie_field *sw_cookie_layout(enum sw_form form, size_t *n)
{
	if (form == SW_FORM_WIDE) {
		*n = sizeof(wide_layout) / sizeof(wide_layout[0]);
		return wide_layout;
	}
	*n = sizeof(narrow_layout) / sizeof(narrow_layout[0]);
	return narrow_layout;
}

struct mss_table {
	const uint16_t *mss;
	unsigned n;
};

static struct mss_table mss_table(enum sw_family family, bool wide)
{
	if (wide)
		return (struct mss_table){ family == SW_IP4 ? wide_mss4 : wide_mss6, 8 };
	return (struct mss_table){ family == SW_IP4 ? narrow_mss4 : narrow_mss6, 4 };
}

/* The last entry that is not above @mss, or 0. */
static unsigned mss_index(struct mss_table t, uint16_t mss)
{
	unsigned i = t.n - 1;

	while (i > 0 && t.mss[i] > mss)
		i--;
	return i;
}

static unsigned narrow_wscale_code(const struct sw_terms *terms)
{
	unsigned code = 7;

	if (!terms->wscale_ok)
		return 0;
	while (code > 1 && narrow_wscale[code] > terms->wscale)
		code--;
	return code;
}

bool sw_cookie_round(enum sw_family family, const struct sw_terms *offer, struct sw_terms *out)
{
	const struct mss_table t = mss_table(family, offer->ts);
	struct sw_terms r = *offer;

	if (r.mss == 0)
		r.mss = family == SW_IP4 ? MSS_DEFAULT_IP4 : MSS_DEFAULT_IP6;
	if (r.mss < t.mss[0])
		return false;
	r.mss = t.mss[mss_index(t, r.mss)];

	if (!r.wscale_ok)
		r.wscale = 0;
	else if (!r.ts)
		r.wscale = narrow_wscale[narrow_wscale_code(&r)];
	else if (r.wscale > WSCALE_MAX)
		r.wscale = WSCALE_MAX;
	r.ecn = r.ecn && r.ts;
	*out = r;
	return true;
}

uint16_t sw_cookie_data(enum sw_family family, const struct sw_terms *terms, sw_epoch epoch)
{
	const unsigned mss = mss_index(mss_table(family, terms->ts), terms->mss);
	const unsigned parity = epoch.n & 1;

	if (terms->ts) {
		const unsigned wscale = terms->wscale_ok ? terms->wscale : WIDE_NO_WSCALE;

		return (uint16_t)(parity << WIDE_PARITY | mss << WIDE_MSS | wscale << WIDE_WSCALE |
				  (unsigned)terms->sack << WIDE_SACK |
				  (unsigned)terms->ecn << WIDE_ECN);
	}
	return (uint16_t)(parity << NARROW_PARITY | mss << NARROW_MSS |
			  narrow_wscale_code(terms) << NARROW_WSCALE |
			  (unsigned)terms->sack << NARROW_SACK);
}

void sw_cookie_terms(enum sw_family family, enum sw_form form, uint16_t data, struct sw_terms *out)
{
	const bool wide = form == SW_FORM_WIDE;
	const struct mss_table t = mss_table(family, wide);

	if (wide) {
		const unsigned wscale = data >> WIDE_WSCALE & 0xf;

		*out = (struct sw_terms){
			.mss = t.mss[data >> WIDE_MSS & 7],
			.wscale = (uint8_t)(wscale == WIDE_NO_WSCALE ? 0 : wscale),
			.wscale_ok = wscale != WIDE_NO_WSCALE,
			.sack = data >> WIDE_SACK & 1,
			.ts = true,
			.ecn = data >> WIDE_ECN & 1,
		};
	} else {
		const unsigned code = data >> NARROW_WSCALE & 7;

		*out = (struct sw_terms){
			.mss = t.mss[data >> NARROW_MSS & 3],
			.wscale = narrow_wscale[code],
			.wscale_ok = code != 0,
			.sack = data >> NARROW_SACK & 1,
		};
	}
}

size_t sw_cookie_msg(uint8_t out[SW_COOKIE_MSG_MAX], const struct sw_seg *seg, uint32_t client_isn,
		     enum sw_form form, uint16_t data, sw_epoch epoch)
{
	const size_t n = sw_addr_len(seg->family);

	out[0] = VERSION;
	out[1] = (uint8_t)((unsigned)form << 4 | (unsigned)seg->family);
	sw_put_u16(out + 2, data);
	sw_put_u16(out + 4, seg->sport);
	sw_put_u16(out + 6, seg->dport);
	sw_put_u32(out + 8, client_isn);
	sw_put_u32(out + 12, epoch.n);
	memcpy(out + 16, seg->src.b, n);
	memcpy(out + 16 + n, seg->dst.b, n);
	return 16 + 2 * n;
}

/* The tag's place on the wire. */
static void seal(struct sw_cookie *c)
{
	if (c->form == SW_FORM_WIDE) {
		c->isn = (uint32_t)(c->tag >> 32);
		c->tsval = ((uint32_t)c->tag & ~WIDE_DATA_MASK) | c->data;
	} else {
		c->isn = (uint32_t)(c->tag >> 32 & ~(uint64_t)NARROW_DATA_MASK) | c->data;
		c->tsval = 0;
	}
}

enum sw_why sw_cookie_mint(struct sw_keyring *kr, const struct sw_seg *syn,
			   const struct sw_terms *terms, sw_wall now, struct sw_cookie *out)
{
	struct sw_cookie c = {
		.form = terms->ts ? SW_FORM_WIDE : SW_FORM_NARROW,
		.epoch = sw_epoch_at(now),
	};
	struct sw_mac *mac = sw_keyring_mac(kr, 0, c.epoch);
	uint8_t msg[SW_COOKIE_MSG_MAX];
	size_t n;

	c.data = sw_cookie_data(syn->family, terms, c.epoch);
	n = sw_cookie_msg(msg, syn, syn->seq, c.form, c.data, c.epoch);
	if (!mac || !sw_mac_tag(mac, msg, n, &c.tag))
		return SW_WHY_NO_KEY;
	seal(&c);
	*out = c;
	return SW_WHY_SYN_ANSWERED;
}

struct sw_cookie sw_cookie_presented(const struct sw_seg *ack)
{
	struct sw_cookie c = { .isn = ack->ack - 1 };

	if (ack->opt.ts) {
		c.form = SW_FORM_WIDE;
		c.tsval = ack->opt.tsecr;
		c.data = (uint16_t)(c.tsval & WIDE_DATA_MASK);
	} else {
		c.form = SW_FORM_NARROW;
		c.data = (uint16_t)(c.isn & NARROW_DATA_MASK);
	}
	return c;
}

static uint32_t parity_of(const struct sw_cookie *c)
{
	return c->form == SW_FORM_WIDE ? c->data >> WIDE_PARITY & 1 : c->data >> NARROW_PARITY & 1;
}

/*
 * Prove @c, as presented, for one epoch.  The bits are compared all at once: the time taken does
 * not tell which of them differ.
 */
static enum sw_why prove(struct sw_keyring *kr, const struct sw_seg *ack, sw_epoch epoch,
			 struct sw_cookie *c)
{
	enum sw_why why = SW_WHY_NO_KEY;
	uint8_t msg[SW_COOKIE_MSG_MAX];
	const size_t n = sw_cookie_msg(msg, ack, ack->seq - 1, c->form, c->data, epoch);

	for (size_t m = 0; m < kr->masters.n; m++) {
		struct sw_mac *mac = sw_keyring_mac(kr, m, epoch);
		struct sw_cookie want = {
			.form = c->form, .epoch = epoch, .data = c->data, .master = m
		};

		if (!mac || !sw_mac_tag(mac, msg, n, &want.tag))
			continue;
		seal(&want);
		if (((want.isn ^ c->isn) | (want.tsval ^ c->tsval)) == 0) {
			*c = want;
			return SW_WHY_ACK_PROVEN;
		}
		why = SW_WHY_COOKIE_FORGED;
	}
	return why;
}

static sw_epoch epoch_plus(sw_epoch e, int n)
{
	return (sw_epoch){ e.n + (uint32_t)n };
}

enum sw_why sw_cookie_check(struct sw_keyring *kr, const struct sw_seg *ack, sw_wall now,
			    struct sw_cookie *out)
{
	const sw_epoch e = sw_epoch_at(now);
	const sw_epoch soon = sw_epoch_at((sw_wall){ now.ns + SW_COOKIE_SKEW_NS });
	struct sw_cookie c = sw_cookie_presented(ack);
	enum sw_why why;

	if (parity_of(&c) == (e.n & 1)) {
		why = prove(kr, ack, e, &c);
	} else {
		why = prove(kr, ack, epoch_plus(e, -1), &c);
		if (why != SW_WHY_ACK_PROVEN && soon.n != e.n) {
			const enum sw_why ahead = prove(kr, ack, soon, &c);

			why = ahead == SW_WHY_NO_KEY ? why : ahead;
		}
	}
	if (why == SW_WHY_ACK_PROVEN)
		*out = c;
	return why;
}

enum sw_why sw_cookie_diagnose(struct sw_keyring *kr, const struct sw_seg *ack, sw_wall now,
			       struct sw_cookie *out)
{
	const sw_epoch e = sw_epoch_at(now);
	struct sw_cookie c = sw_cookie_presented(ack);
	const bool same = parity_of(&c) == (e.n & 1);
	enum sw_why why = SW_WHY_COOKIE_FORGED;

	if (prove(kr, ack, epoch_plus(e, same ? -2 : -3), &c) == SW_WHY_ACK_PROVEN)
		why = SW_WHY_COOKIE_EXPIRED;
	else if (prove(kr, ack, epoch_plus(e, same ? 2 : 1), &c) == SW_WHY_ACK_PROVEN)
		why = SW_WHY_COOKIE_FUTURE;
	if (why != SW_WHY_COOKIE_FORGED && out)
		*out = c;
	return why;
}
