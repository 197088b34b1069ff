/* SPDX-License-Identifier: MIT */
#include "study/neighbour.h"

#include "study/when.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#define SECOND_NS	 1000000000ull
#define EPOCH_NS	 (SW_EPOCH_SECONDS * SECOND_NS)
#define LIFE_NS		 (2 * EPOCH_NS) /* an epoch's cookies are accepted until the next one ends */
#define QUICK_STEPS	 4	/* of two epochs each: some four minutes */
#define FULL_STEPS	 1350	/* a day */
#define FULL_STREAM	 65536u /* bytes into the stream */
#define DATA_VALUES_WIDE 1024u	/* of the data bits: more than there can be does no harm */

/* Ports that services are moved between; all others are tried with SW_EFFORT_FULL. */
static const uint16_t usual_ports[] = { 80,   443,  8080, 8443, 22,   2222, 25,   465,	587,
					993,  995,  110,  143,	53,   853,  389,  636,	1883,
					8883, 3306, 5432, 6379, 5000, 8000, 8008, 8888, 9000 };

/* One search. */
struct hunt {
	const struct sw_masters *masters;
	const struct sw_seg *ack;
	enum sw_mac_alg alg;
	sw_wall now;
	struct sw_keyring keys; /* of ->alg at ->now */
	struct sw_neighbour *out;
};

static bool found(struct hunt *h, enum sw_near kind, const struct sw_cookie *c, uint32_t got,
		  uint32_t right)
{
	h->out->kind = kind;
	h->out->cookie = *c;
	h->out->alg = h->alg;
	h->out->got = got;
	h->out->right = right;
	return true;
}

/* Does the core prove @seg?  The same call as on the packet path, with another segment. */
static bool proven(struct hunt *h, const struct sw_seg *seg, enum sw_near kind, uint32_t got,
		   uint32_t right)
{
	struct sw_cookie c;

	h->out->tried++;
	return sw_cookie_check(&h->keys, seg, h->now, &c) == SW_WHY_ACK_PROVEN &&
	       found(h, kind, &c, got, right);
}

/* The same segment, @steps times two epochs away: sw_cookie_check() covers two at a time. */
static bool at_step(struct hunt *h, struct sw_keyring *keys, int64_t steps)
{
	/* The middle of an epoch: no skew window, so one MAC. */
	const int64_t begin = (int64_t)(h->now.ns / EPOCH_NS) + 2 * steps;
	const sw_wall then = { (uint64_t)begin * EPOCH_NS + EPOCH_NS / 2 };
	struct sw_cookie c;

	if (begin < SW_EPOCHS_BEHIND || !sw_keyring_advance(keys, then))
		return false;
	h->out->tried++;
	return sw_cookie_check(keys, h->ack, then, &c) == SW_WHY_ACK_PROVEN &&
	       found(h, SW_NEAR_TIME, &c, 0, 0);
}

static bool other_time(struct hunt *h, int64_t from, int64_t to)
{
	struct sw_keyring keys;
	bool hit = false;

	if (!sw_keyring_init(&keys, h->alg, h->masters, h->now))
		return false;
	for (int64_t n = from; n <= to && !hit; n++)
		hit = at_step(h, &keys, -n) || at_step(h, &keys, n);
	sw_keyring_wipe(&keys);
	return hit;
}

static bool other_mac(struct hunt *h)
{
	struct hunt other = *h;
	bool hit = false;

	other.alg = h->alg == SW_MAC_HMAC_SHA256 ? SW_MAC_SIPHASH24 : SW_MAC_HMAC_SHA256;
	memset(&other.keys, 0, sizeof(other.keys));
	if (!sw_keyring_init(&other.keys, other.alg, h->masters, h->now))
		return false;
	hit = proven(&other, h->ack, SW_NEAR_MAC, 0, 0);
	sw_keyring_wipe(&other.keys);
	return hit;
}

static bool other_way(struct hunt *h)
{
	struct sw_seg seg = *h->ack;

	seg.src = h->ack->dst;
	seg.dst = h->ack->src;
	seg.sport = h->ack->dport;
	seg.dport = h->ack->sport;
	if (proven(h, &seg, SW_NEAR_REVERSED, 0, 0))
		return true;
	/* What the server sends after the handshake: its ISN and one, the client's and one. */
	seg.seq = h->ack->ack;
	seg.ack = h->ack->seq;
	if (proven(h, &seg, SW_NEAR_REVERSED, 0, 0))
		return true;
	/* A SYN-ACK: its ISN, the client's ISN and one, its own TSval. */
	seg.ack = h->ack->seq + 1;
	seg.opt.tsecr = h->ack->opt.tsval;
	return proven(h, &seg, SW_NEAR_REVERSED, 0, 0);
}

static bool off_by_one(struct hunt *h)
{
	struct sw_seg seg = *h->ack;

	for (int d = -1; d <= 1; d += 2) {
		seg.ack = h->ack->ack + (uint32_t)d;
		if (proven(h, &seg, SW_NEAR_ACK, h->ack->ack, seg.ack))
			return true;
	}
	seg = *h->ack;
	for (int d = -1; d <= 1; d += 2) {
		seg.seq = h->ack->seq + (uint32_t)d;
		if (proven(h, &seg, SW_NEAR_SEQ, h->ack->seq, seg.seq))
			return true;
	}
	return false;
}

static bool without_ts(struct hunt *h)
{
	struct sw_seg seg = *h->ack;

	seg.opt.ts = false;
	return h->ack->opt.ts && proven(h, &seg, SW_NEAR_TS_ADDED, 0, 0);
}

/* Is one of the two numbers of a wide cookie right? */
static bool half_right(struct hunt *h, const struct sw_cookie *c)
{
	const struct sw_seg *ack = h->ack;

	h->out->tried++;
	if (c->isn == ack->ack - 1)
		return ack->opt.ts ? found(h, SW_NEAR_TSECR, c, ack->opt.tsecr, c->tsval)
				   : found(h, SW_NEAR_TS_LOST, c, 0, c->tsval);
	return ack->opt.ts && c->tsval == ack->opt.tsecr &&
	       found(h, SW_NEAR_ISN, c, ack->ack, c->isn + 1);
}

/* Every wide cookie that the client could have been given, minted again. */
static bool wide_again(struct hunt *h, size_t master)
{
	struct sw_masters one = { .n = 1 };
	struct sw_seg syn = *h->ack;
	struct sw_keyring keys;
	bool hit = false;

	memcpy(one.key[0], h->masters->key[master], SW_KEY_LEN);
	hit = false;
	if (!sw_keyring_init(&keys, h->alg, &one, h->now)) {
		OPENSSL_cleanse(&one, sizeof(one));
		return false;
	}
	syn.seq = h->ack->seq - 1;
	for (uint16_t data = 0; data < DATA_VALUES_WIDE && !hit; data++) {
		struct sw_terms terms;
		struct sw_cookie c;

		sw_cookie_terms(syn.family, SW_FORM_WIDE, data, &terms);
		for (uint64_t age = 0; age <= EPOCH_NS && !hit; age += EPOCH_NS) {
			const sw_wall then = { h->now.ns > age ? h->now.ns - age : 0 };

			if (sw_cookie_mint(&keys, &syn, &terms, then, &c) != SW_WHY_SYN_ANSWERED)
				continue;
			c.master = master;
			hit = c.data == data && half_right(h, &c);
		}
	}
	sw_keyring_wipe(&keys);
	OPENSSL_cleanse(&one, sizeof(one));
	return hit;
}

static bool any_wide(struct hunt *h)
{
	bool hit = false;

	for (size_t m = 0; m < h->masters->n && !hit; m++)
		hit = wide_again(h, m);
	return hit;
}

static bool server_port(struct hunt *h, uint16_t port)
{
	struct sw_seg seg = *h->ack;

	seg.dport = port;
	return port != h->ack->dport &&
	       proven(h, &seg, SW_NEAR_SERVER_PORT, h->ack->dport, port);
}

static bool client_port(struct hunt *h, uint16_t port)
{
	struct sw_seg seg = *h->ack;

	seg.sport = port;
	return port != h->ack->sport &&
	       proven(h, &seg, SW_NEAR_CLIENT_PORT, h->ack->sport, port);
}

static bool all_ports(struct hunt *h)
{
	for (uint32_t port = 1; port <= UINT16_MAX; port++) {
		if (server_port(h, (uint16_t)port) || client_port(h, (uint16_t)port))
			return true;
	}
	return false;
}

static bool later_in_stream(struct hunt *h)
{
	struct sw_seg seg = *h->ack;

	for (uint32_t bytes = 2; bytes < FULL_STREAM; bytes++) {
		seg.seq = h->ack->seq - bytes;
		if (proven(h, &seg, SW_NEAR_SEQ, h->ack->seq, seg.seq))
			return true;
	}
	return false;
}

static bool search(struct hunt *h, enum sw_effort effort)
{
	if (other_time(h, 1, QUICK_STEPS) || other_mac(h) || other_way(h) || without_ts(h) ||
	    off_by_one(h) || any_wide(h))
		return true;
	for (size_t i = 0; i < sizeof(usual_ports) / sizeof(usual_ports[0]); i++) {
		if (server_port(h, usual_ports[i]))
			return true;
	}
	return effort == SW_EFFORT_FULL &&
	       (all_ports(h) || later_in_stream(h) ||
		other_time(h, QUICK_STEPS + 1, FULL_STEPS));
}

bool sw_neighbour_find(const struct sw_masters *masters, enum sw_mac_alg alg,
		       const struct sw_seg *ack, sw_wall now, enum sw_effort effort,
		       struct sw_neighbour *out)
{
	struct hunt h = { .masters = masters, .alg = alg, .ack = ack, .now = now, .out = out };

	*out = (struct sw_neighbour){ .kind = SW_NEAR_NONE, .alg = alg };
	if (!sw_keyring_init(&h.keys, alg, masters, now))
		return false;
	(void)search(&h, effort); /* the outcome is in *out */
	sw_keyring_wipe(&h.keys);
	return true;
}

static void text_old(const struct sw_neighbour *n, sw_wall now, sw_wall minted, char *out,
		     size_t len)
{
	const uint64_t begin = (uint64_t)n->cookie.epoch.n * EPOCH_NS;
	const uint64_t until = begin + LIFE_NS;
	char when[SW_TIME_TEXT];

	if (minted.ns >= begin && minted.ns < begin + EPOCH_NS && minted.ns <= now.ns)
		snprintf(out, len, "minted %llu s ago in epoch %u, accepted for %llu s",
			 (unsigned long long)((now.ns - minted.ns) / SECOND_NS), n->cookie.epoch.n,
			 (unsigned long long)((until - minted.ns) / SECOND_NS));
	else
		snprintf(out, len, "minted %llu to %llu s ago in epoch %u, accepted until %s",
			 (unsigned long long)((now.ns - begin - EPOCH_NS) / SECOND_NS),
			 (unsigned long long)((now.ns - begin) / SECOND_NS), n->cookie.epoch.n,
			 sw_time_text((sw_wall){ until }, when));
}

static void text_time(const struct sw_neighbour *n, sw_wall now, sw_wall minted, char *out,
		      size_t len)
{
	const uint64_t begin = (uint64_t)n->cookie.epoch.n * EPOCH_NS;

	if (begin > now.ns)
		snprintf(out, len,
			 "minted in epoch %u, which begins in %llu s: the clock of who minted it "
			 "runs ahead of this one",
			 n->cookie.epoch.n,
			 (unsigned long long)((begin - now.ns + SECOND_NS - 1) / SECOND_NS));
	else
		text_old(n, now, minted, out, len);
}

static void text_seq(const struct sw_neighbour *n, char *out, size_t len)
{
	const uint32_t ahead = n->got - n->right;

	if (ahead == 1)
		snprintf(out, len, "right cookie, but the sequence number is one too high: it is the "
				   "client's ISN plus one, %u, on the ACK", n->right);
	else if (ahead < FULL_STREAM)
		snprintf(out, len, "right cookie, but this segment is %u bytes into the stream: its "
				   "sequence number is %u, the ACK's was %u", ahead, n->got, n->right);
	else
		snprintf(out, len, "right cookie, but the sequence number is the client's ISN itself: "
				   "on the ACK it is one more, %u", n->right);
}

static void text_isn(const struct sw_neighbour *n, char *out, size_t len)
{
	const uint32_t ahead = n->got - n->right;

	if (ahead < FULL_STREAM)
		snprintf(out, len, "right TSecr, but this segment acknowledges %u bytes of the "
				   "server's: its ACK number is %u, the first one was %u",
			 ahead, n->got, n->right);
	else
		snprintf(out, len, "right TSecr, but the ACK number is %u and should be %u, the ISN "
				   "plus one", n->got, n->right);
}

/* A 25-bit tag is met by chance now and then when many are compared. */
static void text_odds(const struct sw_neighbour *n, char *out, size_t len)
{
	const size_t used = strlen(out);

	if (n->cookie.form == SW_FORM_NARROW && n->tried > 3000 && used < len)
		snprintf(out + used, len - used, " (or by chance: once in %u such searches)",
			 (1u << 25) / n->tried);
}

void sw_neighbour_text(const struct sw_neighbour *n, const struct sw_seg *ack, sw_wall now,
		       sw_wall minted, char *out, size_t len)
{
	(void)ack;
	switch (n->kind) {
	case SW_NEAR_TIME:
		text_time(n, now, minted, out, len);
		break;
	case SW_NEAR_MAC:
		snprintf(out, len, "right cookie by %s: the two ends do not use the same MAC",
			 sw_mac_name(n->alg));
		break;
	case SW_NEAR_SERVER_PORT:
		snprintf(out, len, "right cookie for port %u, this ACK came to %u", n->right, n->got);
		break;
	case SW_NEAR_CLIENT_PORT:
		snprintf(out, len, "right cookie for the client's port %u, this ACK came from %u: "
				   "something translates ports on the way", n->right, n->got);
		break;
	case SW_NEAR_REVERSED:
		snprintf(out, len, "right cookie for the other direction: client and server are "
				   "exchanged");
		break;
	case SW_NEAR_SEQ:
		text_seq(n, out, len);
		break;
	case SW_NEAR_ACK:
		snprintf(out, len, "right cookie, but the ACK number is %u and should be %u: the ISN "
				   "plus one", n->got, n->right);
		break;
	case SW_NEAR_TS_LOST:
		snprintf(out, len, "the ISN is right, but the timestamp option is missing: TSecr %u "
				   "has to come back with it", n->right);
		break;
	case SW_NEAR_TS_ADDED:
		snprintf(out, len, "right cookie of the narrow form, but this ACK has a timestamp "
				   "option, which the SYN-ACK had not");
		break;
	case SW_NEAR_TSECR:
		snprintf(out, len, "the ISN is right, but TSecr is %u and should be %u: something "
				   "rewrites timestamps", n->got, n->right);
		break;
	case SW_NEAR_ISN:
		text_isn(n, out, len);
		break;
	case SW_NEAR_NONE:
	case SW_NNEAR:
		snprintf(out, len, "nothing near it is right either, be it times, ports, numbers or "
				   "the other MAC: a guess, or the key of somebody else");
		break;
	}
	if (n->kind != SW_NEAR_NONE)
		text_odds(n, out, len);
}
