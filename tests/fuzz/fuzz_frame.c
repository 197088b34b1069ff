/* SPDX-License-Identifier: MIT */
/*
 * A frame through the whole core: parser, checksum, decision, answer.  The first byte of an
 * input says how the frame was delivered, the rest is the frame.  Key and time are those of
 * tests/core/vectors.py, so that the corpus can hold ACKs with a genuine cookie.
 */
#include "core/csum.h"
#include "core/cursor.h"
#include "core/decide.h"
#include "core/reply.h"

#include <stdlib.h>
#include <string.h>

#define NOW_S 1700000000ull

/* Bits of the first byte. */
enum {
	HOW_FIX_IP4 = 0x01, /* make the IPv4 checksum right, or nothing would ever get past it */
	HOW_CHECKED = 0x02,
	HOW_PARTIAL = 0x04,
	HOW_TAGGED = 0x08, /* an 802.1Q tag beside the data */
	HOW_CUT = 0x10,	   /* the frame was longer */
	HOW_BIG = 0x20,	   /* it was longer than any IP length */
	HOW_LOOPBACK = 0x40,
	HOW_BARE = 0x80, /* a policy without options */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sw_ctx ctx;
static const sw_wall wall = { NOW_S * 1000000000u };
static const sw_mono mono = { 1000000000u };

static void must(bool fact)
{
	if (!fact)
		abort();
}

static void start(void)
{
	struct sw_masters masters = { .n = 1 };
	struct sw_policy p = {
		.nguard = 2, .mss4 = 1460, .mss6 = 1440, .window = 65535, .wscale = 7, .ttl = 64
	};

	for (size_t i = 0; i < SW_KEY_LEN; i++)
		masters.key[0][i] = (uint8_t)i;
	p.guard[0] = (struct sw_guard){ .family = SW_IP4, .any = true, .port = 443 };
	p.guard[1] = (struct sw_guard){ .family = SW_IP6, .any = true, .port = 443 };
	must(sw_ctx_init(&ctx, &p, SW_MAC_SIPHASH24, &masters, 1, wall, mono));
}

/* Every input meets the same context. */
static void set_policy(uint8_t how)
{
	struct sw_policy *p = &ctx.policy;

	p->ts_on = p->sack_on = p->wscale_on = p->ecn_on = !(how & HOW_BARE);
	p->loopback = how & HOW_LOOPBACK;
	sw_budget_init(&ctx.refuse, 1, 1, mono);
	sw_budget_init(&ctx.diagnose, 1, 1, mono);
}

static void fix_ip4(uint8_t *b, size_t len)
{
	size_t at = 12;

	while (at + 2 <= len &&
	       ((b[at] == 0x81 && b[at + 1] == 0x00) || (b[at] == 0x88 && b[at + 1] == 0xa8)))
		at += 4;
	at += 2;
	if (at + 20 <= len && b[at] >> 4 == 4 && at + (b[at] & 15u) * 4 <= len &&
	    (b[at] & 15) >= 5) {
		sw_put_u16(b + at + 10, 0);
		sw_put_u16(b + at + 10, sw_csum_fold(sw_csum_add(0, b + at, (b[at] & 15u) * 4)));
	}
}

static void check_seg(const struct sw_frame *f, const struct sw_seg *seg)
{
	must(seg->family == SW_IP4 || seg->family == SW_IP6);
	must(seg->nvlan <= SW_MAX_VLAN);
	must(seg->l3_off >= 14 && seg->l4_off >= seg->l3_off + 20 && seg->l4_off + 20 <= f->len);
	must((size_t)seg->l4_off + seg->l4_len <= f->wire_len);
	must(seg->payload_len + 20 <= seg->l4_len);
	must(seg->opt.wscale <= 14);
}

static void check_reply(const struct sw_seg *syn, const struct sw_decision *d)
{
	uint8_t *out = malloc(SW_REPLY_MAX);
	struct sw_frame f = { .data = out };
	struct sw_seg got;

	must(out);
	f.len = f.wire_len = sw_reply_synack(out, syn, &d->synack);
	must(f.len <= SW_REPLY_MAX);
	must(sw_wire_parse(&got, &f) == SW_WIRE_OK);
	must(sw_wire_tcp_csum_ok(&f, &got));
	must(got.seq == d->cookie.isn && got.ack == syn->seq + 1);
	must(got.opt.ts == d->terms.ts && got.opt.sack == d->terms.sack);
	must(syn->opt.mss == 0 || d->terms.mss <= syn->opt.mss);
	free(out);
}

static void check_decision(const struct sw_decision *d, const struct sw_seg *seg)
{
	must(d->why < SW_NWHY && d->verdict < SW_NVERDICT);
	must((d->verdict == SW_REPLY) == (d->why == SW_WHY_SYN_ANSWERED));
	must((d->verdict == SW_ADMIT) == (d->why == SW_WHY_ACK_PROVEN));
	if (d->verdict == SW_REPLY)
		check_reply(seg, d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sw_frame f = { 0 };
	struct sw_decision d;
	struct sw_seg seg;
	uint8_t *tight;
	uint8_t how;

	if (size == 0)
		return 0;
	how = data[0];
	if (ctx.keys.masters.n == 0)
		start();
	set_policy(how);
	f.len = size - 1;
	tight = malloc(f.len ? f.len : 1);
	must(tight);
	memcpy(tight, data + 1, f.len);
	if (how & HOW_FIX_IP4)
		fix_ip4(tight, f.len);
	f.data = tight;
	f.wire_len = f.len + (how & HOW_CUT ? 100 : 0) + (how & HOW_BIG ? 70000 : 0);
	f.csum_checked = how & HOW_CHECKED;
	f.csum_partial = how & HOW_PARTIAL;
	if (how & HOW_TAGGED)
		f.vlan = (struct sw_vlan){ SW_ETH_VLAN, 100 };

	if (sw_wire_parse(&seg, &f) == SW_WIRE_OK)
		check_seg(&f, &seg);
	d = sw_decide(&ctx, &f, &seg, wall, mono);
	check_decision(&d, &seg);
	if (d.verdict == SW_ADMIT) {
		sw_ctx_handed(&ctx, &seg, &d.cookie, mono);
		must(sw_used_has(&ctx.used, d.cookie.tag));
		must(sw_recent_has(&ctx.recent, &seg, mono));
		sw_recent_forget(&ctx.recent, &seg, mono);
		must(!sw_recent_has(&ctx.recent, &seg, mono));
	}
	free(tight);
	return 0;
}
