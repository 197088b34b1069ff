/* SPDX-License-Identifier: MIT */
#include "core/used.h"

#include <string.h>

_Static_assert((SW_USED_SLOTS & (SW_USED_SLOTS - 1)) == 0, "slots are chosen by mask");

static size_t slot_of(uint64_t tag)
{
	return (size_t)(tag >> 32) & (SW_USED_SLOTS - 1);
}

static uint32_t mark_of(uint64_t tag)
{
	const uint32_t low = (uint32_t)tag;

	return low ? low : 1;
}

void sw_used_init(struct sw_used *u)
{
	memset(u, 0, sizeof(*u));
}

void sw_used_add(struct sw_used *u, uint64_t tag)
{
	u->slot[slot_of(tag)] = mark_of(tag);
}

bool sw_used_has(const struct sw_used *u, uint64_t tag)
{
	return u->slot[slot_of(tag)] == mark_of(tag);
}
