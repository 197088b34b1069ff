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
	unsigned mss_max;      /**< Bytes: the largest MSS that SYN-ACKs offer, 88 to 65495.  0: what
				    the interface's MTU allows, which is always a ceiling. */
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
 * Addresses that another listener of this process guards are no error: the new listener waits for
 * them, ready to run, and guards them from the moment on in which the other is drained or freed.
 * There is no moment in which neither does, and handshakes in flight complete when both have the
 * same MAC and a master key in common; without a key file the new one takes the other's key.
 *
 * To change a running listener: make the new one, synward_listener_drain() the old one, free it
 * when its stats.queued is 0.  Until the drain nothing has changed, so that freeing the new one
 * undoes it all.
 */
#define SYNWARD_OPT_REPLACE (1u << 2)

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

/**
 * Stop guarding, end the threads, close what no callback took: connections that are proven and
 * still queued.  To lose none of them, call synward_listener_drain() first and wait until
 * stats.queued is 0.  NULL is allowed.  Connections that were handed over live on.
 */
SYNWARD_EXPORT void synward_listener_free(struct synward_listener *lev);

/** Call back again for proven connections.  @return 0, or -1. */
SYNWARD_EXPORT int synward_listener_enable(struct synward_listener *lev);

/** Stop calling back.  Handshakes go on until the queue is full, as with a backlog.
 *  @return 0, or -1. */
SYNWARD_EXPORT int synward_listener_disable(struct synward_listener *lev);

/**
 * Take no new connections, or take them again.  While drained, SYNs are dropped silently (reason
 * "draining") and so the client tries elsewhere or later; handshakes answered before still
 * complete and come to the callback; connections live on.  Where a listener waits for the
 * addresses (SYNWARD_OPT_REPLACE), they are its from here on, SYNs included.
 *
 * Plain sockets (SYNWARD_OPT_FALLBACK) drain as well, by a filter on the socket.
 *
 * @return 0, or -1 with errno set: EBUSY when @on is 0 and the addresses have passed to another
 *         listener; EPERM where plain sockets may not be filtered by this user; or what the kernel
 *         said.  It is then not drained, or not undrained.
 */
SYNWARD_EXPORT int synward_listener_drain(struct synward_listener *lev, int on);
/** @return 1 while drained, else 0. */
SYNWARD_EXPORT int synward_listener_is_draining(const struct synward_listener *lev);

/**
 * Read the key file once more and go over to its keys, all threads and BPF together.  Handshakes in
 * flight complete as long as the file still has the key they were answered with, in whatever
 * slot.  All or nothing: with a bad file the keys stay as they are.  A listener without a key file
 * keeps its key.
 *
 * @param error  Out, on failure: "FILE:LINE:COLUMN: what is wrong; what would be right".  May be
 *               NULL when @size is 0.
 * @return 0, or -1 with errno set: EINVAL (the content or the mode of the file), what open(2) or
 *         read(2) said, or ENOMEM.
 */
SYNWARD_EXPORT int synward_listener_reload_key(struct synward_listener *lev, char *error,
					       size_t size);

#define SYNWARD_MAX_KEYS 3

/** A master key in use, by what tells it from others and tells nothing about it. */
struct synward_key {
	char slot[8];        /**< "active", "staged" or "retired" */
	char fingerprint[9]; /**< 8 hex digits, as 'synward secret fingerprint' prints them */
};
/** @return the number of keys in @out, active first; 0 where plain sockets listen. */
SYNWARD_EXPORT unsigned synward_listener_get_keys(const struct synward_listener *lev,
						  struct synward_key out[SYNWARD_MAX_KEYS]);

/**
 * A sign of life for a watchdog: a number that grows at least once a second while every packet
 * thread runs its loop, and stands still when one hangs.  In transparent mode, where BPF does the
 * packets' work, it grows each time the BPF programs' clock and keys are renewed.  With plain
 * sockets it follows the clock.
 */
SYNWARD_EXPORT uint64_t synward_listener_heartbeat(const struct synward_listener *lev);

/** @return "native" or "generic": how the BPF answerer sits on the interface; NULL without it. */
SYNWARD_EXPORT const char *synward_listener_xdp_mode(const struct synward_listener *lev);

SYNWARD_EXPORT struct event_base *synward_listener_get_base(struct synward_listener *lev);
SYNWARD_EXPORT void synward_listener_set_cb(struct synward_listener *lev, synward_accept_cb cb,
					    void *arg);
SYNWARD_EXPORT void synward_listener_set_error_cb(struct synward_listener *lev,
						  synward_error_cb cb);

/** @return 1 when plain sockets listen because of SYNWARD_OPT_FALLBACK, else 0. */
SYNWARD_EXPORT int synward_listener_is_fallback(const struct synward_listener *lev);

#define SYNWARD_MAX_REASONS 64
#define SYNWARD_MAX_STAGES 16
#define SYNWARD_HANDOFF_BUCKETS 32

/** Which epoch a cookie was from that proved a connection.  "next" means that the clock of the
 *  host that made it is ahead. */
enum synward_epoch { SYNWARD_EPOCH_CURRENT, SYNWARD_EPOCH_PREVIOUS, SYNWARD_EPOCH_NEXT,
		     SYNWARD_NEPOCH };

/**
 * Counters since the start, all workers and BPF together.  Read without stopping anything, so
 * they may differ by the packets of a moment; but what is a sum here is made from its parts:
 *
 *   syns   = reason[syn_answered] + all of syn_refused[]
 *   proven = handed + settling + all of handoff_failed[]
 *
 * A SYN counts from where its flags are looked at: what is malformed, or has an address that
 * nobody can have, is refused before and is in reason[] alone.
 */
struct synward_stats {
	uint64_t frames;     /**< taken out of the rings */
	uint64_t syns;       /**< SYNs answered or refused */
	uint64_t synacks;    /**< SYN-ACKs the kernel took for sending */
	uint64_t proven;     /**< ACKs that returned a valid cookie and were to open a connection */
	uint64_t handed;     /**< connections made and queued for the callback, or given to the
				  kernel's own listener */
	uint64_t passed;     /**< frames given back to the kernel */
	uint64_t dropped;    /**< frames refused and dropped */
	uint64_t ring_lost;  /**< frames the receive rings had no room for */
	uint64_t xdp_answered; /**< SYNs answered at XDP, part of synacks */
	uint64_t xdp_dropped;  /**< frames refused at XDP, part of dropped */
	uint64_t queued;     /**< proven connections that the callback has not got yet.  While
				  drained it is 0 only when the rings hold none either */
	uint64_t clock_age_ms; /**< since the BPF answerer's clock and keys were last renewed, which
				    is done every second; its keys last a minute.  0 without it */
	uint64_t reason[SYNWARD_MAX_REASONS]; /**< by reason, see synward_reason_name() */
	uint64_t settling;   /**< connections made that wait for their first segment, now */
	uint64_t syn_refused[SYNWARD_MAX_REASONS]; /**< SYNs not answered, by reason.  At XDP also
						 the ACKs without a key to check them: no_key */
	uint64_t syns_ip4;   /**< of syns.  With XDP and addresses of both families, those that came
				  to XDP are in neither, and syns_ip4 is 0 */
	uint64_t syns_ip6;
	uint64_t xdp_reason[SYNWARD_MAX_REASONS]; /**< of reason[], counted at XDP */
	uint64_t handoff_failed[SYNWARD_MAX_STAGES]; /**< see synward_stage_name() */
	uint64_t handoff_ns[SYNWARD_HANDOFF_BUCKETS]; /**< sockets made, by the time it took: element
						 i counts 2^i ns and more, less than 2^(i+1);
						 the last one all above.  Not in transparent mode */
	uint64_t handoff_sum_ns; /**< all of these times together */
	uint64_t proven_epoch[SYNWARD_NEPOCH]; /**< of proven, by the cookie's epoch; not in
						 transparent mode */
	uint64_t proven_key[SYNWARD_MAX_KEYS]; /**< of proven, by the slot of the key: active,
						 staged, retired; not in transparent mode */
};
SYNWARD_EXPORT void synward_listener_get_stats(const struct synward_listener *lev,
					       struct synward_stats *out);

/** What one packet thread did. */
struct synward_worker_stats {
	uint64_t frames;    /**< taken out of its ring */
	uint64_t ring_lost; /**< its ring had no room for */
	uint64_t beats;     /**< turns of its loop, see synward_listener_heartbeat() */
};
/** @return the number of packet threads; the first @n of them are in @out. */
SYNWARD_EXPORT unsigned synward_listener_get_workers(const struct synward_listener *lev,
						     struct synward_worker_stats *out, unsigned n);

/** @return the name of reason @i, "syn_answered", ..., or NULL past the last one. */
SYNWARD_EXPORT const char *synward_reason_name(unsigned i);
/** @return a sentence about reason @i, or NULL past the last one. */
SYNWARD_EXPORT const char *synward_reason_text(unsigned i);
/** @return the name of stage @i of a handoff, "queue", "socket", ..., or NULL past the last one. */
SYNWARD_EXPORT const char *synward_stage_name(unsigned i);
/** @return the version of the library at run time, SYNWARD_VERSION's form. */
SYNWARD_EXPORT const char *synward_version(void);

#ifdef __cplusplus
}
#endif

#endif
