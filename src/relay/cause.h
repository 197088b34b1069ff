/* SPDX-License-Identifier: MIT */
#ifndef SW_RELAY_CAUSE_H
#define SW_RELAY_CAUSE_H

/** Why a connection ended.  Each accepted one ends by exactly one cause. */
enum sw_relay_cause {
	SW_END_CLIENT_FIN, /* both sides closed in order, the client first */
	SW_END_SERVER_FIN,
	SW_END_CLIENT_RST, /* reset, or lost, seen on the client's side */
	SW_END_SERVER_RST,
	SW_END_IDLE,	       /* no byte either way for the idle timeout */
	SW_END_CONNECT_FAILED, /* no upstream answered */
	SW_END_DRAIN,	       /* ended by sw_relay_kill_all() or sw_relay_free() */
	SW_END_LIMIT,	       /* refused: too many connections, or draining */
	SW_END_SOURCE_LIMIT,   /* refused: too many from the client's prefix */
	SW_END_NO_RESOURCES,   /* out of descriptors, ports or memory */
	SW_NEND
};

/** Why an attempt to reach an upstream failed.  One connection may count several. */
enum sw_relay_dial_fail {
	SW_DIAL_REFUSED,
	SW_DIAL_TIMEOUT,
	SW_DIAL_UNREACHABLE,
	SW_DIAL_NO_PORT,
	SW_DIAL_NO_RESOURCES,
	SW_DIAL_NO_SOURCE, /* the client's address cannot be kept: see sw_relay_config.source_client
			    */
	SW_DIAL_OTHER,
	SW_NDIAL
};

/** @return "client_fin", ..., for i < SW_NEND. */
const char *sw_relay_cause_name(enum sw_relay_cause i);
/** @return "refused", ..., for i < SW_NDIAL. */
const char *sw_relay_dial_fail_name(enum sw_relay_dial_fail i);

#endif
