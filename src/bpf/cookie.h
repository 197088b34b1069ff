/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* core/cookie.c once more.  docs/cookie.md has the exact bytes. */
#ifndef SW_BPF_COOKIE_H
#define SW_BPF_COOKIE_H

#include "bpf/known.h"
#include "bpf/mac.h"
#include "bpf/packet.h"

#define FORM_WIDE 1
#define FORM_NARROW 2
#define NO_WSCALE 15
#define EPOCH_NS 32000000000ull
#define SKEW_NS 2000000000ull

struct terms {
	__u16 mss;
	__u8 wscale, wscale_ok, sack, ts, ecn, mss_index;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SW_BPF_KEYS * SW_BPF_LISTENERS);
	__type(key, __u32);
	__type(value, struct sw_bpf_key);
} keys SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SW_BPF_LISTENERS);
	__type(key, __u32);
	__type(value, struct sw_bpf_settings);
} settings SEC(".maps");

const __u16 wide_mss4[8] = { 216, 536, 1240, 1380, 1420, 1452, 1460, 8960 };
const __u16 wide_mss6[8] = { 216, 536, 1220, 1360, 1400, 1432, 1440, 8940 };
const __u16 narrow_mss4[4] = { 536, 1240, 1460, 8960 };
const __u16 narrow_mss6[4] = { 536, 1220, 1440, 8940 };
const __u8 narrow_wscale[8] = { 0, 0, 4, 6, 7, 8, 9, 10 };

/* The last entry that is not above @mss, or -1. */
static __always_inline int mss_index(const __u16 *table, int n, __u16 mss)
{
	int found = -1;

#pragma unroll
	for (int i = 0; i < 8; i++)
		if (i < n && mss >= table[i])
			found = i;
	return found;
}

static __always_inline __u32 narrow_wscale_code(const struct terms *t)
{
	__u32 code = 1;

	if (!t->wscale_ok)
		return 0;
#pragma unroll
	for (int i = 2; i < 8; i++)
		if (t->wscale >= narrow_wscale[i])
			code = i;
	return code;
}

/* Round what the client offers.  @return false when its MSS is below the table. */
static __always_inline bool round_terms(const struct packet *p, const struct sw_bpf_settings *s,
					struct terms *t)
{
	const __u16 mss = p->mss ? p->mss : p->family == 4 ? 536 : 1220;
	int i;

	t->ts = p->ts && s->ts_on;
	t->sack = p->sack && s->sack_on;
	t->wscale_ok = p->wscale_ok && s->wscale_on;
	t->wscale = p->wscale;
	t->ecn = s->ecn_on && t->ts && (p->flags & (TCP_ECE | TCP_CWR)) == (TCP_ECE | TCP_CWR);
	if (t->ts)
		i = p->family == 4 ? mss_index(wide_mss4, 8, mss) : mss_index(wide_mss6, 8, mss);
	else
		i = p->family == 4 ? mss_index(narrow_mss4, 4, mss) :
				     mss_index(narrow_mss6, 4, mss);
	t->mss_index = (__u8)i;
	return i >= 0;
}

static __always_inline __u32 data_bits(const struct terms *t, __u32 epoch)
{
	const __u32 parity = epoch & 1;

	if (t->ts)
		return parity << 9 | (__u32)t->mss_index << 6 |
		       (t->wscale_ok ? t->wscale : NO_WSCALE) << 2 | (__u32)t->sack << 1 | t->ecn;
	return parity << 6 | (__u32)t->mss_index << 4 | narrow_wscale_code(t) << 1 | t->sack;
}

static __always_inline void terms_of(__u8 family, __u32 form, __u32 data, struct terms *t)
{
	__builtin_memset(t, 0, sizeof(*t));
	if (form == FORM_WIDE) {
		const __u32 wscale = data >> 2 & 15, i = data >> 6 & 7;

		t->mss = family == 4 ? wide_mss4[i] : wide_mss6[i];
		t->wscale_ok = wscale != NO_WSCALE;
		t->wscale = t->wscale_ok ? wscale : 0;
		t->sack = data >> 1 & 1;
		t->ecn = data & 1;
		t->ts = 1;
	} else {
		const __u32 code = data >> 1 & 7, i = data >> 4 & 3;

		t->mss = family == 4 ? narrow_mss4[i] : narrow_mss6[i];
		t->wscale_ok = code != 0;
		t->wscale = narrow_wscale[code];
		t->sack = data & 1;
	}
}

/* The message but for data bits and epoch. */
static __always_inline void begin_message(struct macwork *x, const struct packet *p,
					  const struct sw_bpf_settings *s, __be32 isn)
{
	__u8 *m = (__u8 *)x->msg;

	x->hmac = s->hmac;
	x->first_key = p->listener * SW_BPF_KEYS;
	m[0] = 1;
	*(__be16 *)(m + 4) = p->sport;
	*(__be16 *)(m + 6) = p->dport;
	*(__be32 *)(m + 8) = isn;
	if (p->family == 4) {
		__builtin_memcpy(m + 16, p->src, 4);
		__builtin_memcpy(m + 20, p->dst, 4);
		x->msg_len = 24;
	} else {
		__builtin_memcpy(m + 16, p->src, 16);
		__builtin_memcpy(m + 32, p->dst, 16);
		x->msg_len = 48;
	}
}

/* Not inlined: called for each epoch and master key.  @return 0 when there is no such key. */
__noinline int make_tag(struct macwork *x, __u32 form_family, __u32 data, __u32 epoch,
			       __u32 master)
{
	const struct sw_bpf_key *key;
	__u32 slot = (epoch & (SW_BPF_EPOCHS - 1)) * SW_BPF_MASTERS + master;
	__u8 *m;

	if (!x)
		return 0;
	slot += x->first_key;
	key = bpf_map_lookup_elem(&keys, &slot);
	if (!key || !key->live || key->epoch != epoch)
		return 0;
	m = (__u8 *)x->msg;
	m[1] = (__u8)form_family;
	*(__be16 *)(m + 2) = bpf_htons((__u16)data);
	*(__be32 *)(m + 12) = bpf_htonl(epoch);
	x->tag = x->hmac ? hmac_sha256(x, key) : bpf_cpu_to_be64(siphash(x, key));
	return 1;
}

static __always_inline __u32 isn_of(__u32 form, __u64 tag, __u32 data)
{
	return form == FORM_WIDE ? (__u32)(tag >> 32) : (((__u32)(tag >> 32)) & ~0x7fu) | data;
}

static __always_inline __u32 tsval_of(__u32 form, __u64 tag, __u32 data)
{
	return form == FORM_WIDE ? (((__u32)tag) & ~0x3ffu) | data : 0;
}

struct proof {
	struct terms terms;
	__u32 tsval; /* of our SYN-ACK, host order */
};

/* Does the key of @epoch and @master give what was presented?  The answer goes to x->verdict. */
__noinline int try_key(struct macwork *x, __u32 epoch, __u32 master)
{
	if (!x || !make_tag(x, x->form << 4 | x->family, x->data, epoch, master))
		return 0;
	x->verdict = ((isn_of(x->form, x->tag, x->data) ^ x->isn) |
		      (tsval_of(x->form, x->tag, x->data) ^ x->tsval)) ?
			     SW_WHY_COOKIE_FORGED :
			     SW_WHY_ACK_PROVEN;
	return 0;
}

/* A global function: verified once.  @return SW_WHY_ACK_PROVEN and *out, or why not. */
__noinline int check_cookie(struct macwork *x, struct packet *p, struct sw_bpf_settings *s,
			    struct proof *out)
{
	const __u32 zero = 0;
	const struct sw_bpf_host *h = bpf_map_lookup_elem(&host, &zero);
	__u32 e, soon, parity;
	__u64 now;

	if (!x || !p || !s || !out || !h)
		return SW_WHY_NO_KEY;
	now = x->now + (__u64)h->wall_minus_mono_ns;
	e = (__u32)(now / EPOCH_NS);
	soon = (__u32)((now + SKEW_NS) / EPOCH_NS);
	x->verdict = SW_WHY_NO_KEY;
	x->family = p->family;
	x->isn = bpf_ntohl(p->ack) - 1;
	x->form = p->ts ? FORM_WIDE : FORM_NARROW;
	x->tsval = p->ts ? bpf_ntohl(p->tsecr) : 0;
	x->data = p->ts ? x->tsval & 0x3ff : x->isn & 0x7f;
	parity = (p->ts ? x->data >> 9 : x->data >> 6) & 1;
	begin_message(x, p, s, bpf_htonl(bpf_ntohl(p->seq) - 1));
	for (__u32 m = 0; m < SW_BPF_MASTERS; m++) {
		if (m >= s->masters || x->verdict == SW_WHY_ACK_PROVEN)
			break;
		try_key(x, parity == (e & 1) ? e : e - 1, m);
	}
	for (__u32 m = 0; m < SW_BPF_MASTERS; m++) {
		if (m >= s->masters || x->verdict == SW_WHY_ACK_PROVEN || soon == e ||
		    parity == (e & 1))
			break;
		try_key(x, soon, m);
	}
	if (x->verdict == SW_WHY_ACK_PROVEN) {
		terms_of(p->family, x->form, x->data, &out->terms);
		out->tsval = x->tsval;
	}
	return (int)x->verdict;
}

#endif
