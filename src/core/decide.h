/* SPDX-License-Identifier: MIT */
#ifndef SW_CORE_DECIDE_H
#define SW_CORE_DECIDE_H

#include "core/budget.h"
#include "core/cookie.h"
#include "core/recent.h"
#include "core/used.h"

#define SW_MAX_GUARDS 64

/** A guarded address and port. */
struct sw_guard {
	enum sw_family family;
	bool any; /* every address of the family */
	struct sw_addr addr;
	uint16_t port; /* host order */
};

/** What this host offers in its SYN-ACKs, and what it guards.  Constant while a worker runs. */
struct sw_policy {
	struct sw_guard guard[SW_MAX_GUARDS];
	size_t nguard;
	uint16_t mss4, mss6; /* bytes: what the interface's MTU allows, or less */
	uint16_t window;     /* bytes, not scaled, RFC 7323 2.2 */
	uint8_t wscale;      /* our shift count, when wscale_on */
	uint8_t ttl;
	bool wscale_on, sack_on, ts_on, ecn_on;
	bool loopback; /* the interface is the loopback: 127/8 and ::1 are no martians */
	uint32_t refuse_rate;   /* unproven ACKs a second that the kernel may answer with a reset */
	uint32_t diagnose_rate; /* unproven ACKs a second that are looked into */
};

/** Everything a decision depends on besides the packet and the time.  One worker owns one. */
struct sw_ctx {
	struct sw_keyring keys;   /* first: what is secret is in one piece */
	struct sw_keyring before; /* a predecessor's: proves until before_until, mints nothing */
	sw_mono before_until;     /* 0: there is none */
	sw_mono silent_until;     /* the kernel gets no unproven ACK: its socket may be on the way */
	bool draining;            /* SYNs are dropped */
	struct sw_policy policy;
	struct sw_recent recent;
	struct sw_used used;
	struct sw_budget refuse, diagnose;
};

/** PASS: give the frame to the kernel.  REPLY: send a SYN-ACK.  ADMIT: make the socket. */
enum sw_verdict { SW_PASS, SW_REPLY, SW_ADMIT, SW_DROP, SW_NVERDICT };

/** What a SYN-ACK says. */
struct sw_synack {
	uint32_t isn, tsval, tsecr;
	uint16_t mss, window;
	uint8_t wscale, ttl;
	bool wscale_ok, sack, ts, ecn;
};

struct sw_decision {
	enum sw_verdict verdict;
	enum sw_why why;
	bool syn;                /* it is a SYN, whatever became of it */
	bool before;             /* ADMIT: a predecessor's key proved it */
	struct sw_terms terms;   /* REPLY and ADMIT */
	struct sw_cookie cookie; /* REPLY and ADMIT */
	struct sw_synack synack; /* REPLY */
};

/**
 * @param masters  Copied.  @param seed  Secret, from the kernel's random numbers.
 * @return false when libcrypto fails; nothing is then held.
 */
SW_MUST bool sw_ctx_init(struct sw_ctx *cx, const struct sw_policy *policy, enum sw_mac_alg alg,
			 const struct sw_masters *masters, uint64_t seed, sw_wall wall,
			 sw_mono mono);
/** Forget every secret.  Allowed on an all-zero struct and twice. */
void sw_ctx_wipe(struct sw_ctx *cx);

/**
 * Go over to other keys.  The old ones are wiped.
 *
 * @param keys  From sw_keyring_init(); moved, and all zero afterwards.
 */
void sw_ctx_rekey(struct sw_ctx *cx, struct sw_keyring *keys);

/**
 * Take over from a predecessor.  Handshakes that it answered with other keys or another MAC are
 * proven as well, as long as its cookies live; and for a second no unproven ACK goes to the
 * kernel, which would reset it: the predecessor may just be making its socket.
 *
 * @param keys  The predecessor's, moved; NULL when it had the same.
 */
void sw_ctx_succeed(struct sw_ctx *cx, struct sw_keyring *keys, sw_mono now);

/**
 * Bring the keys of the current epochs into place, and forget what is over.  Cheap while the epoch
 * stays; call it between bursts.
 *
 * @return false when libcrypto fails: keys that could not be made are missing, the rest work.
 */
SW_MUST bool sw_ctx_advance(struct sw_ctx *cx, sw_wall wall, sw_mono mono);

/**
 * Decide about a frame for which no socket exists.  Deterministic: the answer and the next *cx
 * follow from the arguments.  The caller has called sw_ctx_advance() for @wall.
 *
 * The rungs: malformed, not guarded, martian or land, flags that make no sense, RST, SYN
 * (draining, checksum, then the cookie), ACK (the cookie, then the checksum; then the recent handoffs).
 * An ACK whose cookie opened a connection already is DUPLICATE: the kernel's, which has the socket
 * or knows that it is gone.  An ACK without proof is given to the kernel, which resets it as
 * RFC 9293 3.10.7.1 asks, while the budget policy.refuse_rate lasts, and dropped beyond: the why
 * is the cookie's reason.
 *
 * @param seg  Out: the parsed segment, for the caller's next step.  Written when the verdict is
 *             REPLY, ADMIT or PASS.
 */
SW_MUST struct sw_decision sw_decide(struct sw_ctx *cx, const struct sw_frame *f,
				     struct sw_seg *seg, sw_wall wall, sw_mono mono);

/**
 * The caller made the socket for @seg: segments still queued behind it will be passed, and its
 * cookie opens no other connection.
 */
void sw_ctx_handed(struct sw_ctx *cx, const struct sw_seg *seg, const struct sw_cookie *cookie,
		   sw_mono now);

#endif
