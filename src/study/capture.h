/* SPDX-License-Identifier: MIT */
/*
 * Where packets come from: a pcap or pcapng file, standard input, or a live interface, by libpcap.
 * Whatever the link type, a packet is also given as the Ethernet frame that src/core reads.
 */
#ifndef SW_STUDY_CAPTURE_H
#define SW_STUDY_CAPTURE_H

#include "core/wire.h"

#include <stdio.h>

#define SW_CAPTURE_ERR 512 /* bytes that every error line fits in */

struct sw_capture;

/** One packet, borrowed until the next call. */
struct sw_packet {
	uint64_t number; /* 1 for the first one of the source */
	sw_wall at;	 /* when it was captured; 0 for a time before 1970 */
	const uint8_t *data; /* @caplen bytes as in the file */
	uint32_t caplen, origlen;
	struct sw_frame frame; /* the same as Ethernet, with made-up addresses when there are none */
};

struct sw_capture_stats {
	uint64_t seen;	  /* packets that sw_capture_next() gave */
	uint64_t dropped; /* live: lost by the kernel because we were slow; files: 0 */
	uint64_t dropped_if; /* live: lost by the interface, where the driver tells */
};

/**
 * Open a file, "-" for standard input.
 *
 * @param filter  In tcpdump's syntax, NULL or "" for everything.
 * @param err     On failure one line: what is wrong, where, and what would be right.
 * @return 0, or -errno: -EINVAL for a file that is no capture or a wrong filter.
 */
SW_MUST int sw_capture_file(struct sw_capture **out, const char *path, const char *filter,
			    char err[SW_CAPTURE_ERR]);

/**
 * The same from a stream that is open already.
 *
 * @param fp    Owned: sw_capture_close() closes it.  On failure it is closed.
 * @param name  For errors; copied.
 */
SW_MUST int sw_capture_stream(struct sw_capture **out, FILE *fp, const char *name,
			      const char *filter, char err[SW_CAPTURE_ERR]);

/** How to listen on an interface. */
struct sw_live {
	const char *iface; /* "any" for all */
	const char *filter; /* NULL for everything */
	int snaplen;	    /* bytes of a packet that are kept */
	int timeout_ms;	    /* how long packets may wait in the kernel for others, to come together */
	bool promiscuous;
	bool tcp_only; /* besides the filter: TCP, and IPv6 that may turn out to be TCP */
};

/**
 * Listen on an interface.
 *
 * @return 0, -EPERM (CAP_NET_RAW is missing), -ENODEV, -EINVAL (filter, link type) or -EIO.
 */
SW_MUST int sw_capture_live(struct sw_capture **out, const struct sw_live *how,
			    char err[SW_CAPTURE_ERR]);

/**
 * The interface that tcpdump would choose: the first one that is up and no loopback.
 *
 * @return false when there is none.
 */
SW_MUST bool sw_capture_default(char *out, size_t len);

/** NULL is allowed. */
void sw_capture_close(struct sw_capture *c);

/**
 * The next packet.
 *
 * @param out  Written when 1 is returned.
 * @param err  Written when an error is returned: "FILE: packet 17, byte 2048: ...".
 * @return 1; 0 at the end of a file, or when a live capture has nothing now: sw_capture_wait();
 *         -EINTR after sw_capture_break(); -EBADMSG for a damaged or truncated file;
 *         -ENETDOWN when the interface went away.
 */
SW_MUST int sw_capture_next(struct sw_capture *c, struct sw_packet *out, char err[SW_CAPTURE_ERR]);

/** Wait until a live capture has packets, @timeout_ms passed or a signal came.  Files: no wait. */
void sw_capture_wait(struct sw_capture *c, int timeout_ms);

/** @return whether it is an interface, where 0 of sw_capture_next() is not the end. */
SW_MUST bool sw_capture_is_live(const struct sw_capture *c);

/** End sw_capture_next() soon.  May be called from a signal handler. */
void sw_capture_break(struct sw_capture *c);

/** @return LINKTYPE_* of the packets' data, for sw_pcapng_iface(). */
uint16_t sw_capture_linktype(const struct sw_capture *c);
uint32_t sw_capture_snaplen(const struct sw_capture *c);

/** @return bytes of the file that were consumed so far, at least; 0 for pipes and live ones. */
uint64_t sw_capture_offset(const struct sw_capture *c);
/** @return the size of the file in bytes, or 0 when that is not known. */
uint64_t sw_capture_size(const struct sw_capture *c);

void sw_capture_stats(struct sw_capture *c, struct sw_capture_stats *out);

#endif
