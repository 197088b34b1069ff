/* SPDX-License-Identifier: MIT */
#include "relay/tagref.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

struct sw_tag *sw_tag_new(const char *name)
{
	struct sw_tag *tag = calloc(1, sizeof(*tag));

	if (!tag)
		return NULL;
	snprintf(tag->name, sizeof(tag->name), "%s", name);
	tag->refs = 1;
	return tag;
}

void sw_tag_free(struct sw_tag *tag)
{
	if (!tag)
		return;
	assert(tag->refs > 0);
	if (--tag->refs == 0)
		free(tag);
}

const char *sw_tag_name(const struct sw_tag *tag)
{
	return tag->name;
}

const struct sw_tag_stats *sw_tag_stats(const struct sw_tag *tag)
{
	return &tag->stats;
}

void sw_tag_begin(struct sw_tag *tag)
{
	if (!tag)
		return;
	tag->refs++;
	tag->stats.accepted++;
	tag->stats.active++;
}

void sw_tag_end(struct sw_tag *tag, enum sw_relay_cause why, uint64_t us)
{
	if (!tag)
		return;
	tag->stats.active--;
	tag->stats.ended[why]++;
	if (us != SW_TAG_REFUSED)
		sw_hist_add(&tag->stats.duration, us);
	sw_tag_free(tag);
}
