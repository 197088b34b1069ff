/* SPDX-License-Identifier: MIT */
/*
 * Writes pcapng (draft-ietf-opsawg-pcapng): packets with comments, which libpcap cannot write.
 * One section, host byte order, timestamps in nanoseconds.  Each function writes one whole block
 * to a stdio stream and keeps nothing: what was flushed can be read while the file grows.
 */
#ifndef SW_STUDY_PCAPNG_H
#define SW_STUDY_PCAPNG_H

#include "core/types.h"

#include <stdio.h>

#define SW_PCAPNG_TEXT_MAX 65532u /* bytes of a text option; longer ones are cut */
#define SW_PCAPNG_COMMENTS 2	  /* most comments a packet has here */

/** One output file.  Zero it, or use sw_pcapng_begin(). */
struct sw_pcapng {
	FILE *out;	/* borrowed */
	uint32_t ifaces; /* how many interface blocks were written */
};

enum sw_pcapng_dir { SW_PCAPNG_UNKNOWN, SW_PCAPNG_IN, SW_PCAPNG_OUT };

/** A packet to write; everything is borrowed for the call. */
struct sw_pcapng_packet {
	uint32_t iface;	     /* what sw_pcapng_iface() gave */
	sw_wall at;	     /* capture time */
	const uint8_t *data; /* @caplen bytes, link-layer header first */
	uint32_t caplen, origlen;
	enum sw_pcapng_dir dir;
	const char *comment[SW_PCAPNG_COMMENTS]; /* NULL for none */
};

/** A name for an address, shown by Wireshark in its place. */
struct sw_pcapng_name {
	enum sw_family family;
	struct sw_addr addr;
	const char *name;
};

/*
 * All return 0 or -errno of the write.  Texts may be NULL.  Bytes in them that are no UTF-8, and
 * control characters other than newline and tab, are written as '?'.
 */

/**
 * Section Header Block.
 *
 * @param app      shb_userappl, as in "synward 0.1.0".
 * @param comment  What the whole file is about.
 */
SW_MUST int sw_pcapng_begin(struct sw_pcapng *w, FILE *out, const char *app, const char *comment);

/**
 * Interface Description Block.
 *
 * @param linktype  LINKTYPE_*: 1 Ethernet, 101 raw IP, 113 and 276 Linux cooked.
 * @param snaplen   0 for no limit.
 * @param iface     Out: its number for sw_pcapng_packet.  Written on success.
 */
SW_MUST int sw_pcapng_iface(struct sw_pcapng *w, uint16_t linktype, uint32_t snaplen,
			    const char *name, const char *filter, uint32_t *iface);

/** Name Resolution Block.  @n may be 0. */
SW_MUST int sw_pcapng_names(struct sw_pcapng *w, const struct sw_pcapng_name *names, size_t n);

/** Enhanced Packet Block. */
SW_MUST int sw_pcapng_packet(struct sw_pcapng *w, const struct sw_pcapng_packet *p);

/** Interface Statistics Block: what the capture received and lost. */
SW_MUST int sw_pcapng_stats(struct sw_pcapng *w, uint32_t iface, sw_wall at, uint64_t received,
			    uint64_t dropped);

/** Hand everything to the reader. */
SW_MUST int sw_pcapng_flush(struct sw_pcapng *w);

#endif
