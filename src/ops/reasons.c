/* SPDX-License-Identifier: MIT */
#include "ops/reasons.h"
#include "core/reason.h"

enum sw_reason_class sw_reason_class(unsigned why)
{
	switch (why) {
	case SW_WHY_SYN_ANSWERED:
		return SW_CLASS_ANSWERED;
	case SW_WHY_ACK_PROVEN:
		return SW_CLASS_PROVEN;
	case SW_WHY_AFTER_HANDOFF:
	case SW_WHY_NOT_GUARDED:
	case SW_WHY_HAS_SOCKET:
	case SW_WHY_DUPLICATE: /* its socket answers it */
		return SW_CLASS_LEFT;
	case SW_WHY_STEERED:
	case SW_WHY_REINJECTED:
		return SW_CLASS_INSIDE;
	case SW_WHY_COOKIE_FORGED:
	case SW_WHY_COOKIE_EXPIRED:
	case SW_WHY_COOKIE_FUTURE:
	case SW_WHY_NO_KEY:
		return SW_CLASS_COOKIE;
	case SW_WHY_QUEUE_FULL:
	case SW_WHY_NO_DESCRIPTOR:
	case SW_WHY_HANDOFF_FAILED:
	case SW_WHY_FILTERED:
		return SW_CLASS_HANDOFF;
	default:
		return SW_CLASS_DROPPED;
	}
}

bool sw_reason_refuses_syns(unsigned why)
{
	switch (why) {
	case SW_WHY_BAD_FLAGS:
	case SW_WHY_BAD_TCP_CHECKSUM:
	case SW_WHY_MSS_SMALL:
	case SW_WHY_NO_KEY:
	case SW_WHY_DRAINING:
	case SW_WHY_VLAN_TAG:
		return true;
	default:
		return false;
	}
}
