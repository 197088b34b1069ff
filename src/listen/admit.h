/* SPDX-License-Identifier: MIT */
/* From a proven ACK to a socket in the queue of the application: one worker's part in it. */
#ifndef SW_LISTEN_ADMIT_H
#define SW_LISTEN_ADMIT_H

#include "front/turn.h"
#include "listen/admitq.h"
#include "listen/keyfile.h"

#define SW_MAX_MADE 256
#define SW_HANDOFF_BUCKETS 32

/** Where a proven connection was lost on its way to the application. */
enum sw_stage {
	SW_STAGE_QUEUE,     /* no place in the queue */
	SW_STAGE_SOCKET,    /* from here to LEAVE: the steps of handoff/repair.h */
	SW_STAGE_ENTER,
	SW_STAGE_SEQUENCE,
	SW_STAGE_BIND,
	SW_STAGE_CONNECT,
	SW_STAGE_OPTIONS,
	SW_STAGE_WINDOW,
	SW_STAGE_LEAVE,
	SW_STAGE_UNVEIL,    /* the kernel does not let the socket go */
	SW_STAGE_EXISTS,    /* the connection exists already: a duplicate */
	SW_STAGE_FIREWALL,  /* the host's firewall kept the ACK from the socket */
	SW_STAGE_LISTENER,  /* the kernel's own listener, transparent mode */
	SW_NSTAGE
};

/** @return "queue", "socket", ..., or NULL past the last one. */
const char *sw_stage_name(unsigned stage);

/** One writer, any reader. */
struct sw_handoffs {
	_Atomic uint64_t handed; /* to the queue */
	_Atomic uint64_t failed[SW_NSTAGE];
	_Atomic uint64_t ns[SW_HANDOFF_BUCKETS]; /* sockets made, by log2 of the nanoseconds */
	_Atomic uint64_t sum_ns;
	_Atomic uint64_t epoch[3]; /* proven by a cookie of this epoch, the one before, the next */
	_Atomic uint64_t slot[SW_MAX_MASTERS]; /* proven by the key in this slot of the key file */
};

/** A socket that was made, until the kernel has delivered its first segment. */
struct sw_made {
	struct sw_admitted a;
	sw_mono since;
};

struct sw_admission {
	struct sw_ctx *cx;       /* borrowed: policy and epoch */
	struct sw_counters *n;   /* borrowed: this thread writes */
	struct sw_admitq *queue; /* shared: this thread pushes */
	unsigned ifindex;        /* of the guarded interface */
	uint64_t settle_ns;      /* 0: publish at once */
	enum sw_key_slot slot[SW_MAX_MASTERS]; /* of the context's masters */
	struct sw_made made[SW_MAX_MADE]; /* sockets not yet with the application, still veiled */
	unsigned nmade;
	struct sw_handoffs h;
	_Atomic int trouble; /* errno of the last admission that failed for want of resources; the
				event loop takes it and sets 0 */
};

/** Make the socket.  @return what struct sw_io's admit wants to know. */
SW_MUST enum sw_why sw_admit(struct sw_admission *ad, const struct sw_seg *seg,
			     const struct sw_decision *d, sw_mono (*clock)(void));

/**
 * At the end of a turn: publish the sockets that have heard their first segment.
 *
 * @return whether some are still waiting.
 */
SW_MUST bool sw_admit_settle(struct sw_admission *ad, sw_mono now);

/** At the end of the thread: publish what waits, as it is. */
void sw_admit_finish(struct sw_admission *ad);

#endif
