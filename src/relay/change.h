/* SPDX-License-Identifier: MIT */
/* Inside the relay: what src/relay/change.c has beside sw_relay_prepare() and its kin. */
#ifndef SW_RELAY_CHANGE_H
#define SW_RELAY_CHANGE_H

#include "relay/relay.h"

/** Write the caller's line about a failure. */
void sw_relay_explain(const struct sw_relay_config *cf, const char *why);

#endif
