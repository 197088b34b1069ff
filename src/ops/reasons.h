/* SPDX-License-Identifier: MIT */
/* What the reasons of core/reason.h mean to those who watch. */
#ifndef SW_OPS_REASONS_H
#define SW_OPS_REASONS_H

#include "core/types.h"

enum sw_reason_class {
	SW_CLASS_ANSWERED, /* a SYN-ACK was made */
	SW_CLASS_PROVEN,
	SW_CLASS_LEFT,	  /* the kernel's from the start: not for us, or a socket has it */
	SW_CLASS_INSIDE,  /* on the way between two parts, each of which counts it again */
	SW_CLASS_DROPPED, /* refused for what the frame is, or for want of room */
	SW_CLASS_COOKIE,  /* an ACK without proof */
	SW_CLASS_HANDOFF, /* proven, but no connection came of it */
};

/** @param why  An enum sw_why.  @return SW_CLASS_DROPPED for what is unknown. */
enum sw_reason_class sw_reason_class(unsigned why);

/** @return whether a packet with this reason was refused, whoever did it. */
static inline bool sw_reason_is_refusal(unsigned why)
{
	return sw_reason_class(why) >= SW_CLASS_DROPPED;
}

/** @return whether a SYN whose flags were looked at may be refused for it. */
bool sw_reason_refuses_syns(unsigned why);

#endif
