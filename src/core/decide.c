/* SPDX-License-Identifier: MIT */
#include "core/decide.h"

#include <openssl/crypto.h>
#include <string.h>

#define SILENT_NS 1000000000ull
#define COOKIE_LIFE_NS (2 * SW_EPOCH_SECONDS * 1000000000ull)

static bool is_zero(const uint8_t *b, size_t n)
{
	while (n > 0 && b[n - 1] == 0)
		n--;
	return n == 0;
}

static bool is_group(const struct sw_seg *seg)
{
	return seg->family == SW_IP4 ? seg->dst.b[0] >= 224 : seg->dst.b[0] == 0xff;
}

static bool is_guarded(const struct sw_policy *p, const struct sw_seg *seg)
{
	for (size_t i = 0; i < p->nguard; i++) {
		const struct sw_guard *g = &p->guard[i];

		if (g->port != seg->dport || g->family != seg->family)
			continue;
		/* RFC 9293 3.9.2.3: never answer for a group. */
		if (g->any ? !is_group(seg) : memcmp(&g->addr, &seg->dst, sizeof(g->addr)) == 0)
			return true;
	}
	return false;
}

/* RFC 1122 3.2.1.3, RFC 6890, RFC 4291 2.5: addresses that are nobody's source. */
static bool is_martian4(const uint8_t *b, bool loopback)
{
	return b[0] == 0 || b[0] >= 224 || (b[0] == 127 && !loopback);
}

static bool is_martian6(const uint8_t *b, bool loopback)
{
	if (b[0] == 0xff)
		return true;
	if (!is_zero(b, 10))
		return false;
	if (b[10] == 0xff && b[11] == 0xff)
		return true;
	return is_zero(b + 10, 5) && (b[15] == 0 || (b[15] == 1 && !loopback));
}

static bool is_martian(const struct sw_policy *p, const struct sw_seg *seg)
{
	/* An answer to a group address of Ethernet would go to every host. */
	if (seg->eth_src[0] & 1)
		return true;
	return seg->family == SW_IP4 ? is_martian4(seg->src.b, p->loopback)
				     : is_martian6(seg->src.b, p->loopback);
}

static bool is_land(const struct sw_seg *seg)
{
	return seg->sport == seg->dport && memcmp(&seg->src, &seg->dst, sizeof(seg->src)) == 0;
}

static struct sw_decision verdict(enum sw_verdict v, enum sw_why why)
{
	return (struct sw_decision){ .verdict = v, .why = why };
}

/* What the client offers and this host takes.  ECN needs a place in the cookie: wide only. */
static struct sw_terms offer_of(const struct sw_policy *p, const struct sw_seg *syn)
{
	const uint8_t ecn_setup = SW_TCP_ECE | SW_TCP_CWR; /* RFC 3168 6.1.1 */
	const bool ts = p->ts_on && syn->opt.ts;

	return (struct sw_terms){
		.mss = syn->opt.mss,
		.wscale = syn->opt.wscale,
		.wscale_ok = p->wscale_on && syn->opt.wscale_ok,
		.sack = p->sack_on && syn->opt.sack,
		.ts = ts,
		.ecn = p->ecn_on && ts && (syn->flags & ecn_setup) == ecn_setup,
	};
}

static struct sw_synack synack_of(const struct sw_policy *p, const struct sw_seg *syn,
				  const struct sw_terms *terms, const struct sw_cookie *cookie)
{
	return (struct sw_synack){
		.isn = cookie->isn,
		.tsval = cookie->tsval,
		.tsecr = syn->opt.tsval,
		.mss = syn->family == SW_IP4 ? p->mss4 : p->mss6,
		.window = p->window,
		.wscale = p->wscale,
		.ttl = p->ttl,
		.wscale_ok = terms->wscale_ok,
		.sack = terms->sack,
		.ts = terms->ts,
		.ecn = terms->ecn,
	};
}

static struct sw_decision decide_syn(struct sw_ctx *cx, const struct sw_frame *f,
				     const struct sw_seg *seg, sw_wall wall, sw_mono mono)
{
	const struct sw_terms offer = offer_of(&cx->policy, seg);
	struct sw_decision d = verdict(SW_REPLY, SW_WHY_SYN_ANSWERED);

	if (seg->flags & (SW_TCP_FIN | SW_TCP_RST))
		return verdict(SW_DROP, SW_WHY_BAD_FLAGS);
	if (cx->draining)
		return verdict(SW_DROP, SW_WHY_DRAINING);
	if (!sw_wire_tcp_csum_ok(f, seg))
		return verdict(SW_DROP, SW_WHY_BAD_TCP_CHECKSUM);
	if (!sw_cookie_round(seg->family, &offer, &d.terms))
		return verdict(SW_DROP, SW_WHY_MSS_SMALL);
	d.why = sw_cookie_mint(&cx->keys, seg, &d.terms, wall, &d.cookie);
	if (d.why != SW_WHY_SYN_ANSWERED)
		return verdict(SW_DROP, d.why);
	d.synack = synack_of(&cx->policy, seg, &d.terms, &d.cookie);
	sw_recent_forget(&cx->recent, seg, mono);
	return d;
}

static bool may_pass(struct sw_ctx *cx, sw_mono mono)
{
	return mono.ns >= cx->silent_until.ns && sw_budget_take(&cx->refuse, mono);
}

/* RFC 9293 3.10.7.1 asks for a reset; the kernel sends it, within a budget. */
static struct sw_decision refuse_ack(struct sw_ctx *cx, const struct sw_seg *seg, enum sw_why why,
				     sw_wall wall, sw_mono mono)
{
	if (sw_recent_has(&cx->recent, seg, mono))
		return verdict(SW_PASS, SW_WHY_AFTER_HANDOFF);
	if (why == SW_WHY_COOKIE_FORGED && sw_budget_take(&cx->diagnose, mono))
		why = sw_cookie_diagnose(&cx->keys, seg, wall, NULL);
	return verdict(may_pass(cx, mono) ? SW_PASS : SW_DROP, why);
}

/* Free of charge just after the handoff, when the frames queued with the ACK are worked off. */
static struct sw_decision pass_duplicate(struct sw_ctx *cx, const struct sw_seg *seg, sw_mono mono)
{
	const bool fresh = sw_recent_has(&cx->recent, seg, mono);

	return verdict(fresh || sw_budget_take(&cx->refuse, mono) ? SW_PASS : SW_DROP,
		       SW_WHY_DUPLICATE);
}

static struct sw_decision decide_ack(struct sw_ctx *cx, const struct sw_frame *f,
				     const struct sw_seg *seg, sw_wall wall, sw_mono mono)
{
	struct sw_decision d = verdict(SW_ADMIT, SW_WHY_ACK_PROVEN);

	d.why = sw_cookie_check(&cx->keys, seg, wall, &d.cookie);
	if (d.why != SW_WHY_ACK_PROVEN && cx->before_until.ns &&
	    sw_cookie_check(&cx->before, seg, wall, &d.cookie) == SW_WHY_ACK_PROVEN) {
		d.why = SW_WHY_ACK_PROVEN;
		d.before = true;
	}
	if (d.why != SW_WHY_ACK_PROVEN)
		return refuse_ack(cx, seg, d.why, wall, mono);
	if (sw_used_has(&cx->used, d.cookie.tag))
		return pass_duplicate(cx, seg, mono);
	if (!sw_wire_tcp_csum_ok(f, seg))
		return verdict(SW_DROP, SW_WHY_BAD_TCP_CHECKSUM);
	sw_cookie_terms(seg->family, d.cookie.form, d.cookie.data, &d.terms);
	return d;
}

struct sw_decision sw_decide(struct sw_ctx *cx, const struct sw_frame *f, struct sw_seg *seg,
			     sw_wall wall, sw_mono mono)
{
	const enum sw_why why = sw_wire_parse(seg, f);

	if (why != SW_WIRE_OK)
		return verdict(SW_DROP, why);
	if (!is_guarded(&cx->policy, seg))
		return verdict(SW_PASS, SW_WHY_NOT_GUARDED);
	if (is_martian(&cx->policy, seg))
		return verdict(SW_DROP, SW_WHY_MARTIAN);
	if (is_land(seg))
		return verdict(SW_DROP, SW_WHY_LAND);
	if (seg->sport == 0)
		return verdict(SW_DROP, SW_WHY_PORT_ZERO);

	if (seg->flags & SW_TCP_SYN) {
		struct sw_decision d;

		if ((seg->flags & SW_TCP_ACK) && !(seg->flags & (SW_TCP_FIN | SW_TCP_RST)))
			return verdict(SW_DROP, SW_WHY_SYN_ACK);
		/* Data in a SYN is not acknowledged: the client sends it again. */
		d = decide_syn(cx, f, seg, wall, mono);
		d.syn = true;
		return d;
	}
	/* RFC 9293 3.10.7.2: "An incoming RST segment could not be valid [...] Return." */
	if (seg->flags & SW_TCP_RST) {
		if (sw_recent_has(&cx->recent, seg, mono))
			return verdict(SW_PASS, SW_WHY_AFTER_HANDOFF);
		return verdict(SW_DROP, SW_WHY_RST);
	}
	if (!(seg->flags & SW_TCP_ACK))
		return verdict(SW_DROP, SW_WHY_NO_ACK);
	/* Departs from the RFC: an ACK in LISTEN is not reset at once, it may carry our cookie. */
	return decide_ack(cx, f, seg, wall, mono);
}

bool sw_ctx_init(struct sw_ctx *cx, const struct sw_policy *policy, enum sw_mac_alg alg,
		 const struct sw_masters *masters, uint64_t seed, sw_wall wall, sw_mono mono)
{
	if (!sw_keyring_init(&cx->keys, alg, masters, wall))
		return false;
	memset(&cx->before, 0, sizeof(cx->before));
	cx->before_until.ns = cx->silent_until.ns = 0;
	cx->draining = false;
	cx->policy = *policy;
	sw_recent_init(&cx->recent, seed);
	sw_used_init(&cx->used);
	sw_budget_init(&cx->refuse, policy->refuse_rate, policy->refuse_rate, mono);
	sw_budget_init(&cx->diagnose, policy->diagnose_rate, policy->diagnose_rate, mono);
	return true;
}

void sw_ctx_wipe(struct sw_ctx *cx)
{
	sw_keyring_wipe(&cx->keys);
	sw_keyring_wipe(&cx->before);
	cx->before_until.ns = 0;
	OPENSSL_cleanse(&cx->recent, sizeof(cx->recent));
}

static void move_keys(struct sw_keyring *to, struct sw_keyring *from)
{
	sw_keyring_wipe(to);
	*to = *from;
	OPENSSL_cleanse(from, sizeof(*from)); /* not wiped: its MACs live on in the other */
}

void sw_ctx_rekey(struct sw_ctx *cx, struct sw_keyring *keys)
{
	move_keys(&cx->keys, keys);
}

void sw_ctx_succeed(struct sw_ctx *cx, struct sw_keyring *keys, sw_mono now)
{
	cx->silent_until.ns = now.ns + SILENT_NS;
	if (!keys)
		return;
	move_keys(&cx->before, keys);
	cx->before_until.ns = now.ns + COOKIE_LIFE_NS;
}

bool sw_ctx_advance(struct sw_ctx *cx, sw_wall wall, sw_mono mono)
{
	const bool ok = sw_keyring_advance(&cx->keys, wall);

	if (!cx->before_until.ns)
		return ok;
	if (mono.ns < cx->before_until.ns)
		return sw_keyring_advance(&cx->before, wall) && ok;
	sw_keyring_wipe(&cx->before);
	cx->before_until.ns = 0;
	return ok;
}

void sw_ctx_handed(struct sw_ctx *cx, const struct sw_seg *seg, const struct sw_cookie *cookie,
		   sw_mono now)
{
	sw_used_add(&cx->used, cookie->tag);
	sw_recent_add(&cx->recent, seg, now);
}
