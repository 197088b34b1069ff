/* SPDX-License-Identifier: MIT */
/* The key of tests/core/vectors.py, and cookies made with it. */
#ifndef SW_TESTS_KEYS_H
#define SW_TESTS_KEYS_H

#include "core/cookie.h"
#include "core/frames.h"

#include <stdlib.h>

#define KEYS_NOW_NS (FRAME_WALL_S * 1000000000u) /* the first moment of epoch 53125000 */

static inline struct sw_masters keys_masters(size_t n)
{
	struct sw_masters m = { .n = n };

	for (size_t k = 0; k < n; k++)
		for (size_t i = 0; i < SW_KEY_LEN; i++)
			m.key[k][i] = (uint8_t)(i + 100 * k);
	return m;
}

/* The SYN of frame_syn_usual(), without timestamps when narrow. */
static inline struct frame_spec keys_syn(enum sw_family family, bool wide)
{
	struct frame_spec s = frame_syn(family);

	if (wide)
		return frame_syn_usual(family);
	frame_opt_mss(&s, family == SW_IP4 ? 1460 : 1440);
	frame_opt_sack(&s);
	return s;
}

/* Mint with one master.  Aborts when the core does not. */
static inline struct sw_cookie keys_mint(const struct sw_masters *all, size_t master,
					 enum sw_mac_alg alg, const struct frame_spec *syn,
					 sw_wall at)
{
	struct sw_masters one = { .n = 1 };
	const struct sw_seg seg = frame_seg(syn);
	const struct sw_terms offer = { .mss = seg.opt.mss, .wscale = seg.opt.wscale,
					.wscale_ok = seg.opt.wscale_ok, .sack = seg.opt.sack,
					.ts = seg.opt.ts };
	struct sw_keyring kr;
	struct sw_terms terms;
	struct sw_cookie c;

	memcpy(one.key[0], all->key[master], SW_KEY_LEN);
	if (!sw_keyring_init(&kr, alg, &one, at) || !sw_cookie_round(seg.family, &offer, &terms) ||
	    sw_cookie_mint(&kr, &seg, &terms, at, &c) != SW_WHY_SYN_ANSWERED)
		abort();
	sw_keyring_wipe(&kr);
	return c;
}

/* The ACK that returns it. */
static inline struct frame_spec keys_ack(const struct frame_spec *syn, const struct sw_cookie *c)
{
	return frame_ack_of(syn, c->isn, c->form == SW_FORM_WIDE, c->tsval);
}

#endif
