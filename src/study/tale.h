/* SPDX-License-Identifier: MIT */
/* Names and sentences for what the tracker finds, and numbers in the form people read. */
#ifndef SW_STUDY_TALE_H
#define SW_STUDY_TALE_H

#include "study/flow.h"

#define SW_ENDPOINT_TEXT 64	 /* "[2001:db8::1]:443" */
#define SW_MARKS_TEXT	 256
#define SW_OPTIONS_TEXT	 96
#define SW_TALE_FLAGS	 40
#define SW_COUNT_TEXT	 32

/** @param bit  Number of the bit, 0 to SW_NMARK - 1. */
const char *sw_mark_name(unsigned bit);
const char *sw_mark_text(unsigned bit);
/** @param bit  Number of the bit, 0 to SW_NFIND - 1. */
const char *sw_find_name(unsigned bit);
const char *sw_find_text(unsigned bit);
const char *sw_outcome_name(enum sw_outcome o);
const char *sw_outcome_text(enum sw_outcome o);
const char *sw_rst_name(enum sw_rst why);
const char *sw_rst_text(enum sw_rst why);
/** @return "", "four-way", "three-way" or "simultaneous". */
const char *sw_close_name(enum sw_close c);
/** @return "client" or "server". */
const char *sw_end_name(enum sw_end end);

/* All write into @out, which has the size of the macro above, and return it. */
const char *sw_addr_text(enum sw_family family, const struct sw_addr *addr,
			 char out[SW_ENDPOINT_TEXT]);
const char *sw_endpoint_text(enum sw_family family, const struct sw_addr *addr, uint16_t port,
			     char out[SW_ENDPOINT_TEXT]);
/** "SYN-ACK", "FIN, ACK", "none". */
const char *sw_tale_flags(uint8_t flags, char out[SW_TALE_FLAGS]);
/** "mss 1460, sack, ts, wscale 7", "no options". */
const char *sw_options_text(const struct sw_tcpopt *opt, char out[SW_OPTIONS_TEXT]);
/** "retransmission, was acknowledged already"; "" for none. */
const char *sw_marks_text(uint32_t marks, char out[SW_MARKS_TEXT]);
/** "retransmission,needless"; "" for none. */
const char *sw_marks_names(uint32_t marks, char out[SW_MARKS_TEXT]);
/** "mss, sack": SW_LOST_*. */
const char *sw_lost_text(unsigned lost, char out[SW_OPTIONS_TEXT]);
/** "1,234,567". */
const char *sw_count_text(uint64_t n, char out[SW_COUNT_TEXT]);
/** "1.2 MiB". */
const char *sw_bytes_text(uint64_t n, char out[SW_COUNT_TEXT]);
/** "0.31 ms", "1.02 s". */
const char *sw_span_text(int64_t ns, char out[SW_COUNT_TEXT]);

/**
 * Find a name among outcomes, findings and kinds of closing.
 *
 * @param outcomes  Bits by enum sw_outcome are added, @findings SW_FIND_*, @closes by enum
 *                  sw_close.
 * @return false when there is no such name.
 */
SW_MUST bool sw_tale_find(const char *name, uint32_t *outcomes, uint32_t *findings,
			   uint32_t *closes);

#endif
