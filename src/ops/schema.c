/* SPDX-License-Identifier: MIT */
#include "ops/schema.h"

#include "ops/settings.h"

#include <limits.h>
#include <string.h>

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define DAY    86400000u /* ms */

static const struct cyaml_strval mac_words[] = {
	{ "hmac-sha256", SYNWARD_MAC_HMAC_SHA256 },
	{ "siphash-2-4", SYNWARD_MAC_SIPHASH_2_4 },
};
static const struct cyaml_strval offload_words[] = {
	{ "none", SYNWARD_OFFLOAD_NONE },
	{ "xdp", SYNWARD_OFFLOAD_XDP },
};
static const struct cyaml_strval proxy_words[] = {
	{ "none", SW_SET_PROXY_NONE },
	{ "v1", SW_SET_PROXY_V1 },
	{ "v2", SW_SET_PROXY_V2 },
};
static const struct cyaml_strval source_words[] = {
	{ "host", SW_SET_SOURCE_HOST },
	{ "client", SW_SET_SOURCE_CLIENT },
};
static const struct cyaml_strval level_words[] = {
	{ "error", SW_SET_LOG_ERROR },
	{ "warn", SW_SET_LOG_WARN },
	{ "info", SW_SET_LOG_INFO },
	{ "debug", SW_SET_LOG_DEBUG },
};
static const struct cyaml_strval format_words[] = {
	{ "text", SW_SET_LOG_TEXT },
	{ "logfmt", SW_SET_LOG_LOGFMT },
	{ "json", SW_SET_LOG_JSON },
};

/* Each macro begins a row; STRUCT is defined in front of each table. */
#define ROW(key_, field_, kind_, dflt_, min_, max_, help_)                                         \
	.key = (key_), .dflt = (dflt_), .help = (help_), .kind = (kind_), .min = (min_),           \
	.max = (max_), .offset = offsetof(struct STRUCT, field_)
#define COUNT(key_, field_, dflt_, min_, max_, unit_, help_)                                       \
	{ ROW(key_, field_, SW_OPTION_COUNT, dflt_, min_, max_, help_), .unit = (unit_) }
#define TIME(key_, field_, dflt_, min_, max_, help_)                                               \
	{ ROW(key_, field_, SW_OPTION_TIME, dflt_, min_, max_, help_) }
#define FLAG(key_, field_, dflt_, help_)                                                           \
	{ ROW(key_, field_, SW_OPTION_FLAG, dflt_, 0, 1, help_) }
#define WORD(key_, field_, dflt_, words_, help_)                                                   \
	{ ROW(key_, field_, SW_OPTION_WORD, dflt_, 0, 0, help_), .words = (words_),                \
	  .nwords = LEN(words_) }
#define TEXT(key_, field_, kind_, dflt_, max_, help_)                                              \
	{ ROW(key_, field_, kind_, dflt_, 1, max_, help_) }
#define LIST(key_, field_, count_, kind_, dflt_, min_, max_, help_)                                \
	{ ROW(key_, field_, kind_, dflt_, min_, max_, help_),                                      \
	  .count_offset = offsetof(struct STRUCT, count_) }
#define MAP(key_, field_, group_, help_)                                                           \
	{ ROW(key_, field_, SW_OPTION_GROUP, "{}", 0, 0, help_), .group = (group_) }
#define MAPS(key_, field_, count_, group_, dflt_, min_, max_, help_)                               \
	{ ROW(key_, field_, SW_OPTION_GROUPS, dflt_, min_, max_, help_),                           \
	  .count_offset = offsetof(struct STRUCT, count_), .group = (group_) }
#define GROUP(name_, noun_, where_, table_)                                                        \
	static const struct sw_group name_ = { (noun_), (where_), (table_), LEN(table_),           \
					       sizeof(struct STRUCT) }

#define STRUCT sw_listener_settings
static const struct sw_option listener_options[] = {
	TEXT("name", name, SW_OPTION_NAME, NULL, SW_NAME_MAX,
	     "what logs, metrics and 'synward drain' call it"),
	TEXT("interface", interface, SW_OPTION_INTERFACE, "", 15,
	     "where its SYNs come in; without it the interface given for all"),
	LIST("listen", listen, nlisten, SW_OPTION_ADDRESSES, NULL, 1, SW_MAX_ADDRESSES,
	     "addresses to guard; 0.0.0.0 and [::] stand for every address of the host"),
	WORD("mac", mac, "hmac-sha256", mac_words, "what seals the cookies"),
	COUNT("mss_max", mss_max, "0", 0, 65495, "bytes",
	      "the largest MSS to offer, 88 or more; 0: what the interface's MTU allows"),
	WORD("offload", offload, "none", offload_words,
	     "who answers SYNs: the packet threads, or a BPF program at XDP"),
	FLAG("transparent", transparent, "false",
	     "give connections to the service that listens there, without a relay"),
	TEXT("upstreams", upstreams, SW_OPTION_NAME, "", SW_NAME_MAX,
	     "name of the pool to relay to; not with transparent"),
	COUNT("workers", workers, "1", 1, 64, "threads", "packet threads"),
	COUNT("queue_depth", queue_depth, "4096", 1, 1048576, "connections",
	      "proven connections that wait to be relayed"),
	COUNT("ring_frames", ring_frames, "8192", 1, 1048576, "frames",
	      "frames in the receive ring of each worker"),
	COUNT("refuse_rate", refuse_rate, "1000", 0, INT_MAX, "a second",
	      "unproven ACKs that each worker answers with a reset; 0: none"),
	FLAG("qdisc_bypass", qdisc_bypass, "false",
	     "send past the queueing discipline: faster, but tcpdump here does not see it"),
};
GROUP(listener_group, "listener", "in a listener", listener_options);
#undef STRUCT

#define STRUCT sw_health_settings
static const struct sw_option health_options[] = {
	TIME("interval", interval, "0", 0, DAY, "between two checks of a server; 0: no checks"),
	TIME("timeout", timeout, "1s", 1, DAY, "the longest wait for the connection of a check"),
	COUNT("rise", rise, "2", 1, 100, "checks", "successes in a row that take a server in"),
	COUNT("fall", fall, "3", 1, 100, "checks", "failures in a row that take a server out"),
};
GROUP(health_group, "health", "in health", health_options);
#undef STRUCT

#define STRUCT sw_pool_settings
static const struct sw_option pool_options[] = {
	TEXT("name", name, SW_OPTION_NAME, NULL, SW_NAME_MAX, "what listeners call it"),
	LIST("servers", servers, nservers, SW_OPTION_ADDRESSES, NULL, 1, SW_MAX_ADDRESSES,
	     "addresses of the upstream servers; connections go to each in turn"),
	WORD("proxy_protocol", proxy_protocol, "none", proxy_words,
	     "tell the servers who the client is, in a header they must expect"),
	WORD("source", source, "host", source_words,
	     "whose address the servers see: this host's, or the client's (IP_TRANSPARENT)"),
	TIME("connect_timeout", connect_timeout, "3s", 1, DAY, "the longest wait for one server"),
	TIME("idle_timeout", idle_timeout, "1h", 0, 24 * DAY,
	     "reset a connection that moves no byte for this long; 0: never"),
	COUNT("retries", retries, "1", 0, SW_MAX_ADDRESSES, "servers",
	      "further servers that are tried when one does not answer"),
	MAP("health", health, &health_group, "health checks of the servers"),
};
GROUP(pool_group, "pool", "in a pool", pool_options);
#undef STRUCT

#define STRUCT sw_limits_settings
static const struct sw_option limits_options[] = {
	COUNT("connections", connections, "0", 0, INT_MAX, "connections",
	      "the most at the same time; 0: what the limit of descriptors has room for"),
	COUNT("per_source", per_source, "0", 0, INT_MAX, "connections",
	      "the most of one source prefix; 0: no limit but that in all"),
	COUNT("source_prefix4", source_prefix4, "32", 1, 32, "bits",
	      "what one source is, in IPv4 addresses"),
	COUNT("source_prefix6", source_prefix6, "64", 1, 128, "bits",
	      "what one source is, in IPv6 addresses"),
};
GROUP(limits_group, "limits", "in limits", limits_options);
#undef STRUCT

#define STRUCT sw_log_settings
static const struct sw_option log_options[] = {
	WORD("level", level, "info", level_words, "the least important lines that are written"),
	WORD("format", format, "text", format_words, "how a line is written"),
	FLAG("access", access, "false", "a line for each connection at its end"),
};
GROUP(log_group, "log", "in log", log_options);
#undef STRUCT

#define STRUCT sw_control_settings
static const struct sw_option control_options[] = {
	{ ROW("socket", socket, SW_OPTION_PATH, "/run/synward/control.sock", 1, 95,
	      "Unix socket for status, top, drain and reload; \"\": none"),
	  .change = SW_CHANGE_RESTART },
};
GROUP(control_group, "control", "in control", control_options);
#undef STRUCT

#define STRUCT sw_metrics_settings
static const struct sw_option metrics_options[] = {
	TEXT("address", address, SW_OPTION_ADDRESS, "", 64,
	      "where metrics and the dashboard are served over HTTP; \"\": nowhere"),
};
GROUP(metrics_group, "metrics", "in metrics", metrics_options);
#undef STRUCT

#define STRUCT sw_flood_settings
static const struct sw_option flood_options[] = {
	COUNT("enter", enter, "1000", 0, INT_MAX, "SYNs a second",
	      "unproven SYNs that are called a flood; 0: never one"),
	COUNT("leave", leave, "500", 0, INT_MAX, "SYNs a second",
	      "below this the flood is over; less than enter"),
	TIME("hold", hold, "10s", 0, DAY, "how long it must stay below leave"),
	LIST("command", command, ncommand, SW_OPTION_TEXTS, "[]", 0, 16,
	     "program and arguments to run when a flood begins and ends; no shell"),
};
GROUP(flood_group, "flood", "in flood", flood_options);
#undef STRUCT

#define STRUCT sw_settings
static const struct sw_option settings_options[] = {
	{ ROW("user", user, SW_OPTION_TEXT, "", 1, 32,
	      "run as this user after the start; only when started as root"),
	  .change = SW_CHANGE_RESTART },
	TEXT("interface", interface, SW_OPTION_INTERFACE, "", 15,
	     "where SYNs come in, for listeners that name none"),
	TEXT("key_file", key_file, SW_OPTION_PATH, "", 4095,
	     "keys that seal the cookies, see 'synward secret'; \"\": a key for this run"),
	MAPS("listeners", listeners, nlisteners, &listener_group, NULL, 1, SW_MAX_LISTENERS,
	     "what is guarded"),
	MAPS("pools", pools, npools, &pool_group, "[]", 0, SW_MAX_POOLS, "where to relay to"),
	MAP("limits", limits, &limits_group, "limits of relayed connections"),
	TIME("drain_timeout", drain_timeout, "30s", 0, DAY,
	     "how long live connections may go on after SIGTERM"),
	MAP("log", log, &log_group, "the log, on stderr"),
	MAP("control", control, &control_group, "control of the running program"),
	MAP("metrics", metrics, &metrics_group, "metrics over TCP"),
	MAP("flood", flood, &flood_group, "when a flood is announced"),
};
#undef STRUCT

const struct sw_group sw_settings_schema = {
	.noun = "configuration",
	.where = "at the top level",
	.option = settings_options,
	.n = LEN(settings_options),
	.size = sizeof(struct sw_settings),
};

const struct sw_option *sw_option_find(const struct sw_group *group, const char *key)
{
	for (size_t i = 0; i < group->n; i++)
		if (strcmp(group->option[i].key, key) == 0)
			return &group->option[i];
	return NULL;
}
