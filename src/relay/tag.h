/* SPDX-License-Identifier: MIT */
/* What belongs to one listener in the relays it feeds: a name for the access log, and counters. */
#ifndef SW_RELAY_TAG_H
#define SW_RELAY_TAG_H

#include "core/hist.h"
#include "relay/cause.h"

#define SW_TAG_NAME 32 /* bytes, the end's 0 included */

struct sw_tag_stats {
	uint64_t accepted; /* the sum of active and ended */
	uint64_t active;
	uint64_t to_server, to_client; /* payload bytes handed to the kernel */
	uint64_t ended[SW_NEND];
	struct sw_hist duration; /* of every connection that ended, refused ones not counted */
};

/** Shared by its maker and the connections that carry it.  Event loop thread only. */
struct sw_tag;

/** @param name  Of the listener.  Copied; what is beyond SW_TAG_NAME is cut.  @return NULL when
 *  out of memory. */
struct sw_tag *sw_tag_new(const char *name);

/** The maker's part ends; freed when the last connection that carries it ends.  NULL is allowed. */
void sw_tag_free(struct sw_tag *tag);

const char *sw_tag_name(const struct sw_tag *tag);

/** @return the counters.  Valid until sw_tag_free(). */
const struct sw_tag_stats *sw_tag_stats(const struct sw_tag *tag);

#endif
