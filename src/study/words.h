/* SPDX-License-Identifier: MIT */
/* Small pieces of sentences that several tools use. */
#ifndef SW_STUDY_WORDS_H
#define SW_STUDY_WORDS_H

#include "core/decide.h"

#define SW_TERMS_TEXT 96
#define SW_FLAGS_TEXT 40
#define SW_HOST_TEXT  64 /* "[" an IPv6 address "]:65535" */

/** A text that grows in a fixed buffer.  What does not fit is cut. */
struct sw_text {
	char *at;
	size_t len, used;
};

void sw_text_add(struct sw_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** "MSS 1460, window scale 7, SACK, timestamps".  @return @out. */
const char *sw_terms_text(const struct sw_terms *t, char out[SW_TERMS_TEXT]);

/** "SYN", "SYN-ACK", "ACK", "FIN-ACK", "RST", with "+PSH" and the like behind.  @return @out. */
const char *sw_flags_text(uint8_t flags, char out[SW_FLAGS_TEXT]);

/** "192.0.2.1:80" or "[2001:db8::1]:80".  @return @out. */
const char *sw_host_text(enum sw_family family, const struct sw_addr *addr, uint16_t port,
			 char out[SW_HOST_TEXT]);

/** "wide" or "narrow". */
const char *sw_form_name(enum sw_form form);

/** "pass", "reply", "admit" or "drop". */
const char *sw_verdict_name(enum sw_verdict v);

#endif
