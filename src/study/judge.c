/* SPDX-License-Identifier: MIT */
#include "study/judge.h"

#include "core/csum.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_NS     1000000000ull
#define EPOCH_NS      (SW_EPOCH_SECONDS * SECOND_NS)
#define DIAGNOSE_RATE 1000000u /* refused ACKs a second that the core may look into */
#define REFUSE_RATE   1000u    /* the default of synward run */
#define TCP_CSUM_AT   16

struct sw_judge {
	struct sw_ctx cx;
	bool keyed;	    /* ->cx has keys that somebody gave us */
	bool any;	    /* whatever comes in is guarded */
	struct sw_budget searches;
	uint64_t searches_left, unsearched;
	enum sw_effort effort;
	sw_mono last;	    /* latest capture time: budgets never run backwards */
};

static const struct sw_policy everything = {
	.mss4 = 1460, .mss6 = 1440, .window = 65535, .wscale = 7, .ttl = 64,
	.wscale_on = true, .sack_on = true, .ts_on = true, .loopback = true,
	.refuse_rate = REFUSE_RATE,
};

int sw_judge_new(struct sw_judge **out, const struct sw_judge_config *cf)
{
	static const struct sw_masters none = { .n = 1 };
	struct sw_judge *j = calloc(1, sizeof(*j));
	struct sw_policy policy = cf->policy ? *cf->policy : everything;

	if (!j)
		return -ENOMEM;
	policy.diagnose_rate = DIAGNOSE_RATE;
	j->keyed = cf->masters != NULL;
	j->any = policy.nguard == 0;
	j->effort = cf->effort;
	sw_budget_init(&j->searches, cf->searches, cf->searches, j->last);
	j->searches_left = cf->searches_max ? cf->searches_max : UINT64_MAX;
	/* No packet of a capture can aim at a slot of the memory: the seed need not be secret. */
	if (!sw_ctx_init(&j->cx, &policy, cf->alg, cf->masters ? cf->masters : &none, 1,
			 (sw_wall){ 0 }, j->last)) {
		free(j);
		return -EIO;
	}
	*out = j;
	return 0;
}

void sw_judge_free(struct sw_judge *j)
{
	if (!j)
		return;
	sw_ctx_wipe(&j->cx);
	free(j);
}

/*
 * Captures on the sending host have checksums that the network card was to complete: the field then
 * holds the pseudo header's sum (Linux, CHECKSUM_PARTIAL), and says nothing about damage.
 */
static bool is_partial(const struct sw_frame *f, const struct sw_seg *seg)
{
	const uint8_t *field = f->data + seg->l4_off + TCP_CSUM_AT;
	const uint64_t sum = sw_csum_pseudo(seg->family, &seg->src, &seg->dst, seg->l4_len);

	return (field[0] << 8 | field[1]) == (uint16_t)~sw_csum_fold(sum);
}

/* Whether this outcome of sw_decide() says anything without our key. */
static bool hangs_on_key(enum sw_why why)
{
	switch ((int)why) {
	case SW_WHY_SYN_ANSWERED:
	case SW_WHY_ACK_PROVEN:
	case SW_WHY_COOKIE_FORGED:
	case SW_WHY_COOKIE_EXPIRED:
	case SW_WHY_COOKIE_FUTURE:
	case SW_WHY_NO_KEY:
	case SW_WHY_DUPLICATE:
		return true;
	default:
		return false;
	}
}

static void set_cookie(struct sw_judgement *out, const struct sw_cookie *c)
{
	out->has_cookie = true;
	out->cookie = *c;
	sw_cookie_terms(out->seg.family, c->form, c->data, &out->terms);
}

/* The capture's clock is the core's clock. */
static void set_clock(struct sw_judge *j, sw_wall at)
{
	bool all;

	if (at.ns > j->last.ns)
		j->last.ns = at.ns;
	all = sw_ctx_advance(&j->cx, at, j->last);
	(void)all; /* a key that could not be made shows as SW_WHY_NO_KEY */
}

static void decide(struct sw_judge *j, const struct sw_frame *f, sw_wall at,
		   struct sw_judgement *out)
{
	struct sw_seg seg;

	if (j->any) {
		j->cx.policy.nguard = 1;
		j->cx.policy.guard[0] = (struct sw_guard){ .family = out->seg.family, .any = true,
							   .port = out->seg.dport };
	}
	out->decision = sw_decide(&j->cx, f, &seg, at, j->last);
	out->finding = SW_FOUND_DECISION;
	if (!j->keyed && hangs_on_key(out->decision.why)) {
		out->finding = SW_FOUND_NO_KEY;
		return;
	}
	if (out->decision.verdict == SW_REPLY || out->decision.verdict == SW_ADMIT)
		set_cookie(out, &out->decision.cookie);
	if (out->decision.verdict == SW_ADMIT)
		sw_ctx_handed(&j->cx, &seg, &out->decision.cookie, j->last);
}

/* The ACK that answers a SYN-ACK: it proves whose numbers the SYN-ACK has. */
static struct sw_seg answer_to(const struct sw_seg *synack)
{
	struct sw_seg ack = *synack;

	ack.src = synack->dst;
	ack.dst = synack->src;
	ack.sport = synack->dport;
	ack.dport = synack->sport;
	ack.seq = synack->ack;
	ack.ack = synack->seq + 1;
	ack.opt.tsecr = synack->opt.tsval;
	return ack;
}

static void judge_synack(struct sw_judge *j, sw_wall at, struct sw_judgement *out)
{
	const struct sw_seg ack = answer_to(&out->seg);
	struct sw_cookie c;

	out->cookie = sw_cookie_presented(&ack);
	sw_cookie_terms(ack.family, out->cookie.form, out->cookie.data, &out->terms);
	out->finding = SW_FOUND_NO_KEY;
	if (!j->keyed)
		return;
	out->finding = SW_FOUND_FOREIGN;
	if (sw_cookie_check(&j->cx.keys, &ack, at, &c) != SW_WHY_ACK_PROVEN)
		return;
	out->finding = SW_FOUND_OURS;
	set_cookie(out, &c);
}

static bool is_refused_cookie(const struct sw_judgement *jm)
{
	const enum sw_why why = jm->decision.why;

	return jm->finding == SW_FOUND_DECISION &&
	       (why == SW_WHY_COOKIE_FORGED || why == SW_WHY_COOKIE_EXPIRED ||
		why == SW_WHY_COOKIE_FUTURE);
}

static void add_cookie(struct sw_text *t, const struct sw_judgement *jm)
{
	char terms[SW_TERMS_TEXT];

	sw_text_add(t, ": %s; %s cookie of epoch %u, ISN %u", sw_terms_text(&jm->terms, terms),
		    sw_form_name(jm->cookie.form), jm->cookie.epoch.n, jm->cookie.isn);
	if (jm->cookie.form == SW_FORM_WIDE)
		sw_text_add(t, ", TSval %u", jm->cookie.tsval);
}

static void add_age(struct sw_text *t, const struct sw_judgement *jm, const struct sw_case *c)
{
	const uint64_t begin = jm->cookie.epoch.n * EPOCH_NS;
	const uint64_t us = (c->at.ns - c->minted.ns) / 1000;

	if (c->minted.ns && c->minted.ns <= c->at.ns && us < 10000)
		sw_text_add(t, ", minted %llu us ago", (unsigned long long)us);
	else if (c->minted.ns && c->minted.ns <= c->at.ns)
		sw_text_add(t, ", minted %llu.%03llu s ago", (unsigned long long)(us / 1000000),
			    (unsigned long long)(us / 1000 % 1000));
	else if (begin <= c->at.ns)
		sw_text_add(t, ", minted at most %llu s ago",
			    (unsigned long long)((c->at.ns - begin) / SECOND_NS + 1));
	else
		sw_text_add(t, ", minted by a clock that runs ahead");
}

static bool may_search(struct sw_judge *j)
{
	if (j->searches_left == 0 || !sw_budget_take(&j->searches, j->last)) {
		j->unsearched++;
		return false;
	}
	j->searches_left--;
	return true;
}

uint64_t sw_judge_unsearched(const struct sw_judge *j)
{
	return j->unsearched;
}

/* Why the cookie of @ack is nearly right, as far as the budget lasts. */
static void add_neighbour(struct sw_judge *j, struct sw_text *t, const struct sw_seg *ack,
			  const struct sw_case *c)
{
	struct sw_neighbour near;
	char text[SW_SENTENCE_MAX];

	if (!may_search(j) ||
	    !sw_neighbour_find(&j->cx.keys.masters, j->cx.keys.alg, ack, c->at, j->effort, &near) ||
	    near.kind == SW_NEAR_NONE)
		return;
	sw_neighbour_text(&near, ack, c->at, c->minted, text, sizeof(text));
	sw_text_add(t, ": %s", text);
}

static void say_foreign(struct sw_judge *j, struct sw_text *t, const struct sw_judgement *jm,
			const struct sw_case *c)
{
	const struct sw_seg ack = answer_to(&jm->seg);

	if (c->way == SW_WAY_IN) {
		sw_text_add(t, "the SYN-ACK of this handshake was no cookie of this key: another server "
			       "made it");
		return;
	}
	sw_text_add(t, "a SYN-ACK whose numbers are no cookie of this key");
	add_neighbour(j, t, &ack, c);
}

static void say_decision(struct sw_judge *j, struct sw_text *t, const struct sw_judgement *jm,
			 const struct sw_case *c)
{
	const struct sw_decision *d = &jm->decision;

	sw_text_add(t, "%s", sw_why_text(d->why));
	if (jm->has_cookie)
		add_cookie(t, jm);
	if (d->verdict == SW_ADMIT)
		add_age(t, jm, c);
	if (is_refused_cookie(jm))
		add_neighbour(j, t, &jm->seg, c);
	if (d->verdict == SW_PASS && is_refused_cookie(jm))
		sw_text_add(t, "; the kernel may answer it with a reset");
}

/* What the numbers would say if they were a cookie of ours. */
static void say_unproven(struct sw_text *t, const struct sw_judgement *jm)
{
	const uint8_t flags = jm->seg.flags;
	char terms[SW_TERMS_TEXT];

	if ((flags & SW_TCP_SYN) && !(flags & SW_TCP_ACK)) {
		if (jm->decision.verdict != SW_REPLY) {
			sw_text_add(t, "%s", sw_why_text(jm->decision.why));
			return;
		}
		sw_text_add(t, "a SYN that is answered with a %s cookie: %s; without a key its "
			       "numbers are not known", sw_form_name(jm->cookie.form),
			    sw_terms_text(&jm->terms, terms));
		return;
	}
	sw_text_add(t, "if this is a cookie, it is a %s one of an %s epoch: %s; without a key it "
		       "proves nothing", sw_form_name(jm->cookie.form),
		    jm->cookie.epoch.n & 1 ? "odd" : "even", sw_terms_text(&jm->terms, terms));
}

static void say(struct sw_judge *j, struct sw_judgement *jm, const struct sw_case *c)
{
	struct sw_text t = { .at = jm->sentence, .len = sizeof(jm->sentence) };
	char flags[SW_FLAGS_TEXT];

	switch (jm->finding) {
	case SW_FOUND_DECISION:
		say_decision(j, &t, jm, c);
		break;
	case SW_FOUND_MALFORMED:
		sw_text_add(&t, "%s", sw_why_text(jm->decision.why));
		break;
	case SW_FOUND_NO_KEY:
		say_unproven(&t, jm);
		break;
	case SW_FOUND_SOCKET:
		sw_text_add(&t, "%s", sw_why_text(SW_WHY_HAS_SOCKET));
		break;
	case SW_FOUND_AGAIN:
		sw_text_add(&t, "%s, so it is seen once more", sw_why_text(SW_WHY_REINJECTED));
		break;
	case SW_FOUND_OURS:
		sw_text_add(&t, "a SYN-ACK that carries a cookie of this key");
		add_cookie(&t, jm);
		break;
	case SW_FOUND_FOREIGN:
		say_foreign(j, &t, jm, c);
		break;
	case SW_FOUND_ANSWER:
	case SW_NFOUND:
		sw_text_add(&t, "the server's %s", sw_flags_text(jm->seg.flags, flags));
		break;
	}
}

const char *sw_judgement_word(const struct sw_judgement *jm)
{
	static const char *const words[SW_NFOUND] = {
		[SW_FOUND_NO_KEY] = "unproven",	  [SW_FOUND_SOCKET] = "socket",
		[SW_FOUND_AGAIN] = "again",
		[SW_FOUND_OURS] = "ours",	  [SW_FOUND_FOREIGN] = "foreign",
		[SW_FOUND_ANSWER] = "answer",	  [SW_FOUND_MALFORMED] = "malformed",
	};

	if (jm->finding == SW_FOUND_DECISION)
		return sw_verdict_name(jm->decision.verdict);
	return jm->finding < SW_NFOUND ? words[jm->finding] : "?";
}

static void list_cookie(struct sw_text *t, const struct sw_judgement *jm)
{
	sw_text_add(t, " form=%s", sw_form_name(jm->cookie.form));
	if (jm->has_cookie)
		sw_text_add(t, " epoch=%u", jm->cookie.epoch.n);
	sw_text_add(t, " mss=%u", jm->terms.mss);
	if (jm->terms.wscale_ok)
		sw_text_add(t, " wscale=%u", jm->terms.wscale);
	sw_text_add(t, " sack=%d ecn=%d", jm->terms.sack, jm->terms.ecn);
	if (jm->has_cookie || (jm->seg.flags & SW_TCP_ACK))
		sw_text_add(t, " isn=0x%08x", jm->cookie.isn);
	if (jm->cookie.form == SW_FORM_WIDE && (jm->has_cookie || (jm->seg.flags & SW_TCP_ACK)))
		sw_text_add(t, " tsval=0x%08x", jm->cookie.tsval);
}

static void list(struct sw_judgement *jm)
{
	struct sw_text t = { .at = jm->facts, .len = sizeof(jm->facts) };

	sw_text_add(&t, "synward: verdict=%s", sw_judgement_word(jm));
	if (jm->finding == SW_FOUND_DECISION || jm->finding == SW_FOUND_MALFORMED)
		sw_text_add(&t, " reason=%s", sw_why_name(jm->decision.why));
	if (jm->finding == SW_FOUND_SOCKET)
		sw_text_add(&t, " reason=%s", sw_why_name(SW_WHY_HAS_SOCKET));
	if (jm->finding == SW_FOUND_AGAIN)
		sw_text_add(&t, " reason=%s", sw_why_name(SW_WHY_REINJECTED));
	if (jm->has_cookie || jm->finding == SW_FOUND_NO_KEY)
		list_cookie(&t, jm);
}

/* Without a key the numbers are only read, not proven. */
static void claim(struct sw_judgement *out)
{
	const struct sw_decision *d = &out->decision;

	if (d->verdict == SW_REPLY) {
		out->terms = d->terms;
		out->cookie = (struct sw_cookie){ .form = d->cookie.form };
		return;
	}
	out->cookie = sw_cookie_presented(&out->seg);
	sw_cookie_terms(out->seg.family, out->cookie.form, out->cookie.data, &out->terms);
}

void sw_judge_packet(struct sw_judge *j, const struct sw_case *c, struct sw_judgement *out)
{
	const uint8_t synack = SW_TCP_SYN | SW_TCP_ACK;
	struct sw_frame f = *c->frame;
	enum sw_why why;

	memset(out, 0, sizeof(*out));
	set_clock(j, c->at);
	why = sw_wire_parse(&out->seg, &f);
	if (why != SW_WIRE_OK) {
		out->finding = SW_FOUND_MALFORMED;
		out->decision = (struct sw_decision){ .verdict = SW_DROP, .why = why };
	} else if (c->way == SW_WAY_OUT) {
		out->finding = SW_FOUND_ANSWER;
		if ((out->seg.flags & synack) == synack)
			judge_synack(j, c->at, out);
	} else if (c->again) {
		out->finding = SW_FOUND_AGAIN;
	} else if (c->socket) {
		out->finding = SW_FOUND_SOCKET;
	} else if (c->foreign && !(out->seg.flags & SW_TCP_SYN)) {
		out->finding = SW_FOUND_FOREIGN;
	} else {
		f.csum_partial = f.csum_partial || is_partial(&f, &out->seg);
		decide(j, &f, c->at, out);
		if (out->finding == SW_FOUND_NO_KEY)
			claim(out);
	}
	say(j, out, c);
	list(out);
}
