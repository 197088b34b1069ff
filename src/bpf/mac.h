/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The two MACs of core/mac.c: SipHash-2-4 (Aumasson, Bernstein 2012) and HMAC-SHA-256 (RFC 6234). */
#ifndef SW_BPF_MAC_H
#define SW_BPF_MAC_H

#include "bpf/abi.h"

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* The message of core/cookie.h as words, and the workspace of SHA-256. */
struct macwork {
	__u64 msg[6];   /* 24 or 48 bytes as they are */
	__u32 msg_len;
	__u32 first_key; /* of the listener, in the key map */
	__u32 state[8];
	__u32 w[16];
	__u64 tag; /* out: the first 8 bytes of the MAC as a big-endian number */
	__u32 form, family, data, isn, tsval; /* what an ACK presents, host order */
	__u32 verdict;                        /* enum sw_why, while keys are tried */
	__u32 hmac;                           /* which MAC, as struct sw_bpf_settings has it */
	__u64 now; /* CLOCK_MONOTONIC, to a tick of the kernel: good for an epoch of 32 s */
};

#define ROTL64(x, n) ((x) << (n) | (x) >> (64 - (n)))
#define SIPROUND                   \
	do {                       \
		v0 += v1;          \
		v1 = ROTL64(v1, 13); \
		v1 ^= v0;          \
		v0 = ROTL64(v0, 32); \
		v2 += v3;          \
		v3 = ROTL64(v3, 16); \
		v3 ^= v2;          \
		v0 += v3;          \
		v3 = ROTL64(v3, 21); \
		v3 ^= v0;          \
		v2 += v1;          \
		v1 = ROTL64(v1, 17); \
		v1 ^= v2;          \
		v2 = ROTL64(v2, 32); \
	} while (0)

#define SIPWORD(m)            \
	do {                  \
		v3 ^= (m);    \
		SIPROUND;     \
		SIPROUND;     \
		v0 ^= (m);    \
	} while (0)

static __always_inline __u64 siphash(const struct macwork *x, const struct sw_bpf_key *key)
{
	__u64 v0 = key->sip[0] ^ 0x736f6d6570736575ull, v1 = key->sip[1] ^ 0x646f72616e646f6dull;
	__u64 v2 = key->sip[0] ^ 0x6c7967656e657261ull, v3 = key->sip[1] ^ 0x7465646279746573ull;
	const __u64 last = (__u64)x->msg_len << 56;

	SIPWORD(x->msg[0]);
	SIPWORD(x->msg[1]);
	SIPWORD(x->msg[2]);
	if (x->msg_len > 24) {
		SIPWORD(x->msg[3]);
		SIPWORD(x->msg[4]);
		SIPWORD(x->msg[5]);
	}
	SIPWORD(last);
	v2 ^= 0xff;
	SIPROUND;
	SIPROUND;
	SIPROUND;
	SIPROUND;
	return v0 ^ v1 ^ v2 ^ v3;
}

/* Tables are not static: libbpf leaves the offsets of static ones at 0, the kernel then refuses the
 * BTF, and without BTF there are no global functions: each is verified anew at each call. */
const __u32 sha256_k[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
	0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
	0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
	0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
	0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
	0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
	0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
	0xc67178f2,
};

#define ROTR(x, n) ((x) >> (n) | (x) << (32 - (n)))
#define BIG0(x) (ROTR(x, 2) ^ ROTR(x, 13) ^ ROTR(x, 22))
#define BIG1(x) (ROTR(x, 6) ^ ROTR(x, 11) ^ ROTR(x, 25))
#define SMALL0(x) (ROTR(x, 7) ^ ROTR(x, 18) ^ (x) >> 3)
#define SMALL1(x) (ROTR(x, 17) ^ ROTR(x, 19) ^ (x) >> 10)

#define SHA_ROUND(a, b, c, d, e, f, g, h, j)                                              \
	do {                                                                              \
		__u32 t;                                                                  \
		if (r)                                                                    \
			x->w[j] += SMALL0(x->w[((j) + 1) & 15]) + x->w[((j) + 9) & 15] +  \
				   SMALL1(x->w[((j) + 14) & 15]);                         \
		t = h + BIG1(e) + (g ^ (e & (f ^ g))) + sha256_k[r + (j)] + x->w[j];      \
		d += t;                                                                   \
		h = t + BIG0(a) + ((a & b) | (c & (a | b)));                              \
	} while (0)

#define SHA_EIGHT(j)                                  \
	do {                                          \
		SHA_ROUND(a, b, c, d, e, f, g, h, j); \
		SHA_ROUND(h, a, b, c, d, e, f, g, j + 1); \
		SHA_ROUND(g, h, a, b, c, d, e, f, j + 2); \
		SHA_ROUND(f, g, h, a, b, c, d, e, j + 3); \
		SHA_ROUND(e, f, g, h, a, b, c, d, j + 4); \
		SHA_ROUND(d, e, f, g, h, a, b, c, j + 5); \
		SHA_ROUND(c, d, e, f, g, h, a, b, j + 6); \
		SHA_ROUND(b, c, d, e, f, g, h, a, j + 7); \
	} while (0)

/* One block of x->w into x->state.  The rounds stay a loop: unrolled they outgrow the stack. */
__noinline int sha256_block(struct macwork *x)
{
	__u32 a, b, c, d, e, f, g, h;

	if (!x)
		return 0;
	a = x->state[0];
	b = x->state[1];
	c = x->state[2];
	d = x->state[3];
	e = x->state[4];
	f = x->state[5];
	g = x->state[6];
	h = x->state[7];
#pragma clang loop unroll(disable)
	for (int r = 0; r < 64; r += 16) {
		SHA_EIGHT(0);
		SHA_EIGHT(8);
	}
	x->state[0] += a;
	x->state[1] += b;
	x->state[2] += c;
	x->state[3] += d;
	x->state[4] += e;
	x->state[5] += f;
	x->state[6] += g;
	x->state[7] += h;
	return 0;
}

static __always_inline void load_state(struct macwork *x, const __u32 state[8])
{
	for (int i = 0; i < 8; i++)
		x->state[i] = state[i];
}

static __always_inline __u64 hmac_sha256(struct macwork *x, const struct sw_bpf_key *key)
{
	const __u32 *m = (const __u32 *)x->msg;
	const __u32 words = x->msg_len > 24 ? 12 : 6;

	load_state(x, key->inner);
	for (__u32 i = 0; i < 16; i++)
		x->w[i] = 0;
	for (__u32 i = 0; i < 6; i++)
		x->w[i] = bpf_ntohl(m[i]);
	if (words == 12) {
		for (__u32 i = 6; i < 12; i++)
			x->w[i] = bpf_ntohl(m[i]);
		x->w[12] = 0x80000000;
	} else {
		x->w[6] = 0x80000000;
	}
	x->w[15] = (64 + x->msg_len) * 8;
	sha256_block(x);
	for (__u32 i = 0; i < 8; i++)
		x->w[i] = x->state[i];
	x->w[8] = 0x80000000;
	for (__u32 i = 9; i < 15; i++)
		x->w[i] = 0;
	x->w[15] = (64 + 32) * 8;
	load_state(x, key->outer);
	sha256_block(x);
	return (__u64)x->state[0] << 32 | x->state[1];
}

#endif
