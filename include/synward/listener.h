/* SPDX-License-Identifier: MIT */
/**
 * A listener that a SYN flood cannot fill, in the shape of libevent's evconnlistener.
 *
 * synward answers SYNs statelessly with SYN cookies (RFC 4987 3.6), proves the returning ACKs and
 * hands each proven connection to a callback on the caller's event_base as an ordinary connected
 * socket of the kernel.  Needs Linux >= 5.10 and CAP_NET_RAW, CAP_NET_ADMIN and CAP_BPF.
 */
#ifndef SYNWARD_LISTENER_H
#define SYNWARD_LISTENER_H

#include <event2/event.h>
#include <stdint.h>
#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SYNWARD_EXPORT __attribute__((visibility("default")))
#else
#define SYNWARD_EXPORT
#endif

#define SYNWARD_VERSION "0.1.0"

struct synward_listener;

/** Which MAC seals the cookies. */
enum synward_mac { SYNWARD_MAC_HMAC_SHA256, SYNWARD_MAC_SIPHASH_2_4 };

/** Who answers SYNs. */
enum synward_offload {
	SYNWARD_OFFLOAD_NONE, /**< The packet threads. */
	SYNWARD_OFFLOAD_XDP,  /**< A BPF program at XDP, several times faster; the threads see only ACKs
				   with proof.  Linux >= 5.18. */
};

/** What to guard and how.  Zero every field that is not set: zero means the default. */
struct synward_config {
	const char *interface;     /**< Where the SYNs come in, "eth0".  Required. */
	const char *const *listen; /**< "192.0.2.1:80", "[2001:db8::1]:80", "0.0.0.0:80", "[::]:80" */
	size_t nlisten;            /**< 1..64 */
	const char *key_file;      /**< NULL: a key for this process only. */
	enum synward_mac mac;
	unsigned workers;      /**< Packet threads, 1..64.  Default 1. */
	unsigned queue_depth;  /**< Proven connections waiting for the callback.  Default 4096. */
	unsigned ring_frames;  /**< Frames in each worker's receive ring.  Default 8192. */
	unsigned refuse_rate;  /**< Unproven ACKs a second and worker that are answered with a
				    reset.  Default 1000, SYNWARD_REFUSE_NONE for none. */
	int qdisc_bypass;      /**< Send past the queueing discipline: faster, but tcpdump on this
				    host does not see the SYN-ACKs. */
	enum synward_offload offload;
	int transparent;       /**< The kernel's own listening sockets get the connections, and
				    accept() in any program returns them; the callback is never
				    called.  Everything is done in BPF.  Linux >= 6.9. */
	char *error;           /**< Out: one line that says what failed and what to do.  On success
				    one line for each thing that may not work as it is, or "".  May
				    be NULL. */
	size_t error_size;     /**< Bytes at error; 256 are enough, 1024 for many warnings. */
};
#define SYNWARD_REFUSE_NONE 0xffffffffu

/**
 * A handshake is complete and proven.  Runs on the listener's event_base.
 *
 * @param fd    A connected, non-blocking socket, now the callback's to close.
 * @param peer  The client's address.  Valid during the call.
 */
typedef void (*synward_accept_cb)(struct synward_listener *, evutil_socket_t fd,
				  struct sockaddr *peer, int socklen, void *arg);

/**
 * Connections cannot be handed over; errno says why: EMFILE, ENFILE, ENOBUFS or ENOMEM (out of
 * descriptors or memory), EAGAIN (the queue is full: the callback takes them too slowly), or what
 * the kernel said.  Called once when it begins, not for each connection.  The listener is still
 * valid, and clients try again by themselves.
 */
typedef void (*synward_error_cb)(struct synward_listener *, void *arg);

#define SYNWARD_OPT_DISABLED (1u << 0) /**< Start disabled; see synward_listener_enable(). */
#define SYNWARD_OPT_FALLBACK (1u << 1) /**< Where the kernel or the privileges do not suffice, run
					    plain listening sockets instead. */

/**
 * Guard addresses and start the packet threads.  All or nothing: on failure nothing stays
 * installed.  When the process dies, however it dies, the guard goes with it.
 *
 * @param cf  Copied.
 * @return the listener, or NULL with errno set and a line in cf->error: EINVAL (a setting or the
 *         key file is wrong), EPERM (a capability is missing), ENOTSUP (a kernel feature is
 *         missing), ENODEV (no such interface), EBUSY (another synward guards this port), or what
 *         the kernel said.
 */
SYNWARD_EXPORT struct synward_listener *synward_listener_new(struct event_base *base,
							     synward_accept_cb cb, void *arg,
							     unsigned flags,
							     const struct synward_config *cf);

/** Stop guarding, end the threads, close what no callback took.  NULL is allowed.  Connections
 *  that were handed over live on. */
SYNWARD_EXPORT void synward_listener_free(struct synward_listener *lev);

/** Call back again for proven connections.  @return 0, or -1. */
SYNWARD_EXPORT int synward_listener_enable(struct synward_listener *lev);

/** Stop calling back.  Handshakes go on until the queue is full, as with a backlog.
 *  @return 0, or -1. */
SYNWARD_EXPORT int synward_listener_disable(struct synward_listener *lev);

SYNWARD_EXPORT struct event_base *synward_listener_get_base(struct synward_listener *lev);
SYNWARD_EXPORT void synward_listener_set_cb(struct synward_listener *lev, synward_accept_cb cb,
					    void *arg);
SYNWARD_EXPORT void synward_listener_set_error_cb(struct synward_listener *lev,
						  synward_error_cb cb);

/** @return 1 when plain sockets listen because of SYNWARD_OPT_FALLBACK, else 0. */
SYNWARD_EXPORT int synward_listener_is_fallback(const struct synward_listener *lev);

#define SYNWARD_MAX_REASONS 64

/** Counters since the start, all workers and BPF together.  Read without stopping anything, so
 *  they may differ by the packets of a moment. */
struct synward_stats {
	uint64_t frames;     /**< taken out of the rings */
	uint64_t syns;       /**< SYNs answered or refused */
	uint64_t synacks;    /**< SYN-ACKs the kernel took for sending */
	uint64_t proven;     /**< ACKs that returned a valid cookie */
	uint64_t handed;     /**< connections made and queued for the callback */
	uint64_t passed;     /**< frames given back to the kernel */
	uint64_t dropped;    /**< frames refused and dropped */
	uint64_t ring_lost;  /**< frames the receive rings had no room for */
	uint64_t xdp_answered; /**< SYNs answered at XDP, part of synacks */
	uint64_t xdp_dropped;  /**< frames refused at XDP, part of dropped */
	uint64_t queued;     /**< connections waiting for the callback now */
	uint64_t clock_age_ms; /**< since the BPF answerer's clock and keys were last renewed, which
				    is done every second; its keys last a minute.  0 without it */
	uint64_t reason[SYNWARD_MAX_REASONS]; /**< by reason, see synward_reason_name() */
};
SYNWARD_EXPORT void synward_listener_get_stats(const struct synward_listener *lev,
					       struct synward_stats *out);

/** @return the name of reason @i, "syn_answered", ..., or NULL past the last one. */
SYNWARD_EXPORT const char *synward_reason_name(unsigned i);
/** @return a sentence about reason @i, or NULL past the last one. */
SYNWARD_EXPORT const char *synward_reason_text(unsigned i);
/** @return the version of the library at run time, SYNWARD_VERSION's form. */
SYNWARD_EXPORT const char *synward_version(void);

#ifdef __cplusplus
}
#endif

#endif
