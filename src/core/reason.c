/* SPDX-License-Identifier: MIT */
#include "core/reason.h"

static const struct {
	const char *name, *text;
} whys[SW_NWHY] = {
#define SW_WHY_ROW(constant, name_, sentence) [SW_WHY_##constant] = { name_, sentence },
	SW_WHY_LIST(SW_WHY_ROW)
#undef SW_WHY_ROW
};

const char *sw_why_name(enum sw_why why)
{
	return (unsigned)why < SW_NWHY ? whys[why].name : "?";
}

const char *sw_why_text(enum sw_why why)
{
	return (unsigned)why < SW_NWHY ? whys[why].text : "?";
}
