/* SPDX-License-Identifier: MIT */
#include "study/probe.h"

#include "core/csum.h"
#include "core/cursor.h"

#include <string.h>

#define TCP_LEN	 20
#define WSCALE	 7
#define WSCALE_2 4 /* both are exact in every table of docs/cookie.md */

/* What a step of the plan changes. */
enum change { SAME = 0, ISN = 1, MSS = 2, SHIFT = 4 };

static const struct step {
	uint8_t slot; /* index of the source port */
	uint8_t change;
} steps[] = {
	{ 1, SAME }, /* left without an answer: a tuple of its own, so that nothing disturbs it */
	{ 0, SAME }, { 0, SAME }, { 0, ISN }, { 0, MSS }, { 0, SHIFT }, { 0, SAME }, { 2, SAME },
};

#define NSTEPS (sizeof(steps) / sizeof(steps[0]))

void sw_probe_plan(const struct sw_probe_base *base, uint16_t dport, unsigned i,
		   struct sw_probe_syn *out)
{
	const struct step *st = &steps[i == 0 ? 0 : 1 + (i - 1) % (NSTEPS - 1)];
	const bool ip4 = base->family == SW_IP4;
	const uint16_t mss = ip4 ? 1460 : 1440, small = ip4 ? 536 : 1220;

	*out = (struct sw_probe_syn){
		.sport = base->sport[st->slot],
		.dport = dport,
		.isn = base->isn + (st->change & ISN ? SW_PROBE_ISN_STEP : 0),
		.tsval = base->tsval,
		.mss = st->change & MSS ? small : mss,
		.wscale = st->change & SHIFT ? WSCALE_2 : WSCALE,
		.sack = !(st->change & MSS),
		.ts = base->ts,
	};
}

/* In the order of Linux, so that no middlebox finds the SYN strange. */
static size_t write_options(uint8_t *p, const struct sw_probe_syn *syn)
{
	const uint8_t *start = p;

	*p++ = SW_OPT_MSS;
	*p++ = 4;
	sw_put_u16(p, syn->mss);
	p += 2;
	*p++ = syn->sack ? SW_OPT_SACK_OK : SW_OPT_NOP;
	*p++ = syn->sack ? 2 : SW_OPT_NOP;
	if (syn->ts) {
		*p++ = SW_OPT_TS;
		*p++ = 10;
		sw_put_u32(p, syn->tsval);
		sw_put_u32(p + 4, 0);
		p += 8;
	} else {
		*p++ = SW_OPT_NOP;
		*p++ = SW_OPT_NOP;
	}
	*p++ = SW_OPT_NOP;
	*p++ = SW_OPT_WSCALE;
	*p++ = 3;
	*p++ = syn->wscale;
	return (size_t)(p - start);
}

static size_t finish(uint8_t *tcp, size_t len, uint8_t flags, enum sw_family family,
		     const struct sw_addr *src, const struct sw_addr *dst)
{
	uint64_t sum = sw_csum_pseudo(family, src, dst, (uint32_t)len);

	tcp[12] = (uint8_t)(len / 4 << 4);
	tcp[13] = flags;
	sw_put_u16(tcp + 16, sw_csum_fold(sw_csum_add(sum, tcp, len)));
	return len;
}

size_t sw_probe_write_syn(uint8_t out[SW_PROBE_SYN_MAX], enum sw_family family,
			  const struct sw_addr *src, const struct sw_addr *dst,
			  const struct sw_probe_syn *syn)
{
	memset(out, 0, SW_PROBE_SYN_MAX);
	sw_put_u16(out, syn->sport);
	sw_put_u16(out + 2, syn->dport);
	sw_put_u32(out + 4, syn->isn);
	sw_put_u16(out + 14, SW_PROBE_WINDOW);
	return finish(out, TCP_LEN + write_options(out + TCP_LEN, syn), SW_TCP_SYN, family, src,
		      dst);
}

size_t sw_probe_write_rst(uint8_t out[SW_PROBE_SYN_MAX], enum sw_family family,
			  const struct sw_addr *src, const struct sw_addr *dst,
			  const struct sw_probe_syn *syn)
{
	memset(out, 0, TCP_LEN);
	sw_put_u16(out, syn->sport);
	sw_put_u16(out + 2, syn->dport);
	sw_put_u32(out + 4, syn->isn + 1); /* in the window: the peer drops its half-open state */
	return finish(out, TCP_LEN, SW_TCP_RST, family, src, dst);
}

bool sw_probe_matches(const struct sw_probe_syn *syn, const struct sw_seg *seg,
		      enum sw_probe_heard *heard)
{
	const bool ours = (seg->flags & SW_TCP_ACK) && seg->ack == syn->isn + 1;

	if (seg->dport != syn->sport || seg->sport != syn->dport)
		return false;
	if (seg->flags & SW_TCP_RST) {
		/* RFC 9293 3.10.7.3: in SYN-SENT a reset counts when it acknowledges the SYN. */
		*heard = SW_PROBE_RST;
		return ours;
	}
	if ((seg->flags & (SW_TCP_SYN | SW_TCP_ACK)) == (SW_TCP_SYN | SW_TCP_ACK)) {
		*heard = SW_PROBE_SYNACK;
		return ours;
	}
	*heard = SW_PROBE_ODD;
	return !(seg->flags & SW_TCP_SYN);
}
