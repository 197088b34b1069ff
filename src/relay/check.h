/* SPDX-License-Identifier: MIT */
/* Inside the relay: checks of the servers, and what is said about their state. */
#ifndef SW_RELAY_CHECK_H
#define SW_RELAY_CHECK_H

#include "relay/pool.h"

/** Begin to check a server, the first time after @delay_ms; nothing without an interval. */
void sw_check_start(struct sw_server *s, unsigned delay_ms);

/** End it, a check that is under way included. */
void sw_check_stop(struct sw_server *s);

/** A connection could not reach the server: check it now instead of at the end of the interval. */
void sw_check_soon(struct sw_server *s);

/** Tell about a change, unless there is none.  @param why  "" when there is nothing to say. */
void sw_server_tell(struct sw_server *s, enum sw_health_change change, const char *why);

/** Tell, now and then, that a connection from a client's address got no answer. */
void sw_server_tell_lost(struct sw_server *s);

/** Tell that a server came or went; see sw_server_change. */
void sw_server_tell_config(struct sw_server *s, enum sw_server_change change);

#endif
