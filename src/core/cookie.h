/* SPDX-License-Identifier: MIT */
/* SYN cookie version 1.  The exact bytes are in docs/cookie.md. */
#ifndef SW_CORE_COOKIE_H
#define SW_CORE_COOKIE_H

#include "core/keyring.h"
#include "core/wire.h"

#define SW_COOKIE_MSG_MAX 48    /* bytes under the MAC: 24 (IPv4) or 48 (IPv6) */
#define SW_COOKIE_SKEW_NS 2000000000ull /* accept epoch E+1 this long before it begins */

enum sw_form { SW_FORM_WIDE = 1, SW_FORM_NARROW = 2 };

/** What the two ends agreed on and the cookie carries. */
struct sw_terms {
	uint16_t mss;   /* bytes; an entry of the table, never above the client's offer */
	uint8_t wscale; /* the client's shift count, valid when wscale_ok */
	bool wscale_ok;
	bool sack, ts, ecn;
};

/** A cookie taken apart. */
struct sw_cookie {
	enum sw_form form;
	sw_epoch epoch;
	uint16_t data;  /* 10 bits (wide) or 7 bits (narrow) */
	uint64_t tag;   /* the MAC's first 64 bits; the wire carries 54 or 25 of them */
	uint32_t isn;   /* of the SYN-ACK */
	uint32_t tsval; /* of the SYN-ACK, wide form only */
	size_t master;  /* which master key it belongs to */
};

/** Where a field of the cookie is on the wire.  Bit 0 is the lowest. */
struct sw_cookie_field {
	const char *name; /* "tag", "epoch_parity", "mss_index", "wscale", "sack", "ecn" */
	bool in_tsval;	  /* in the SYN-ACK's TSval, else in its ISN */
	uint8_t lo, width; /* lowest bit and number of bits */
};

/**
 * The layout of a form, from the constants that mint and check use.
 *
 * @param n  Out: the number of fields.
 * @return a table, highest bit of the ISN first, the TSval's fields behind those of the ISN.
 */
const struct sw_cookie_field *sw_cookie_layout(enum sw_form form, size_t *n);

/**
 * Round what a client offers down to what a cookie can carry.
 *
 * @param offer  ts false gives the narrow form, whose tables are coarser.  mss 0 stands for
 *               "no option": 536 (IPv4) or 1220 (IPv6), RFC 9293 3.7.1.
 * @param out    Written on success.
 * @return false when the MSS is below the smallest entry of the table.
 */
SW_MUST bool sw_cookie_round(enum sw_family family, const struct sw_terms *offer,
			     struct sw_terms *out);

/** The data bits for @terms (already rounded).  @return 10 or 7 bits with the epoch's parity. */
uint16_t sw_cookie_data(enum sw_family family, const struct sw_terms *terms, sw_epoch epoch);

/** The reverse.  ts follows from @form.  Every value of the data bits is legal. */
void sw_cookie_terms(enum sw_family family, enum sw_form form, uint16_t data,
		     struct sw_terms *out);

/**
 * The bytes under the MAC.
 *
 * @param seg         Gives family, addresses and ports as the client sends them.
 * @param client_isn  SYN: seg->seq.  ACK: seg->seq - 1.
 * @return their number, 24 or 48.
 */
size_t sw_cookie_msg(uint8_t out[SW_COOKIE_MSG_MAX], const struct sw_seg *seg,
		     uint32_t client_isn, enum sw_form form, uint16_t data, sw_epoch epoch);

/**
 * Make the cookie for a SYN with the first master's key of the current epoch.
 *
 * @param terms  Rounded by sw_cookie_round().
 * @param out    Written on success.
 * @return SW_WHY_SYN_ANSWERED, or SW_WHY_NO_KEY.
 */
SW_MUST enum sw_why sw_cookie_mint(struct sw_keyring *kr, const struct sw_seg *syn,
				   const struct sw_terms *terms, sw_wall now,
				   struct sw_cookie *out);

/**
 * The cookie that an ACK claims to return, before any key is tried: form, data, ISN and TSval.
 * The tag, the epoch and the master key are zero.
 */
struct sw_cookie sw_cookie_presented(const struct sw_seg *ack);

/**
 * Prove an ACK: the form follows from the presence of a timestamp option, the epoch from the
 * parity bit.  One MAC per master key, a second one only in the two seconds before an epoch
 * begins.  Epochs E and E-1 are accepted, E+1 within SW_COOKIE_SKEW_NS.  Compares in constant
 * time.
 *
 * @param out  Written on SW_WHY_ACK_PROVEN.
 * @return SW_WHY_ACK_PROVEN, SW_WHY_COOKIE_FORGED (no accepted epoch: sw_cookie_diagnose()
 *         can tell more), or SW_WHY_NO_KEY.
 */
SW_MUST enum sw_why sw_cookie_check(struct sw_keyring *kr, const struct sw_seg *ack, sw_wall now,
				    struct sw_cookie *out);

/**
 * Why an ACK that sw_cookie_check() refused is bad: tries the epochs that are held but not
 * accepted.  Costs up to four more MACs a master key, so callers give it a budget.
 *
 * @param out  The cookie it is, when it is genuine; may be NULL.
 * @return SW_WHY_COOKIE_EXPIRED, SW_WHY_COOKIE_FUTURE or SW_WHY_COOKIE_FORGED.
 */
SW_MUST enum sw_why sw_cookie_diagnose(struct sw_keyring *kr, const struct sw_seg *ack,
				       sw_wall now, struct sw_cookie *out);

#endif
