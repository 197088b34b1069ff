/* SPDX-License-Identifier: MIT */
/* Inside the relay: how a connection holds and feeds its listener's tag. */
#ifndef SW_RELAY_TAGREF_H
#define SW_RELAY_TAGREF_H

#include "relay/tag.h"

struct sw_tag {
	unsigned refs; /* its maker's and one for each connection */
	char name[SW_TAG_NAME];
	struct sw_tag_stats stats;
};

#define SW_TAG_REFUSED UINT64_MAX

/** A connection begins to carry it.  NULL is allowed, here and below. */
void sw_tag_begin(struct sw_tag *tag);

/** And ends.  @param us  How long it lived, SW_TAG_REFUSED when it was not let in. */
void sw_tag_end(struct sw_tag *tag, enum sw_relay_cause why, uint64_t us);

#endif
