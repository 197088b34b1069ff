/* SPDX-License-Identifier: MIT */
/*
 * What a configuration file says, defaults filled in.
 *
 * sw_settings_options (schema.c) is the one table of all options: reading, checking, printing,
 * comparing and the manual follow from it.  `synward run` with options on the command line makes
 * the same struct out of the same table.
 */
#ifndef SW_OPS_SETTINGS_H
#define SW_OPS_SETTINGS_H

#include "core/types.h"
#include "ops/mistakes.h"

#include <stdio.h>
#include <synward/listener.h>

#define SW_MAX_LISTENERS 64
#define SW_MAX_POOLS	 64
#define SW_MAX_ADDRESSES 64 /* of one listener, and servers of one pool */
#define SW_NAME_MAX	 31 /* bytes of a listener's or pool's name */

enum sw_proxy_setting { SW_SET_PROXY_NONE, SW_SET_PROXY_V1, SW_SET_PROXY_V2 };
enum sw_source_setting { SW_SET_SOURCE_HOST, SW_SET_SOURCE_CLIENT };
enum sw_log_level_setting { SW_SET_LOG_ERROR, SW_SET_LOG_WARN, SW_SET_LOG_INFO, SW_SET_LOG_DEBUG };
enum sw_log_format_setting { SW_SET_LOG_TEXT, SW_SET_LOG_LOGFMT, SW_SET_LOG_JSON };

/** One listener.  Texts are never NULL; "" where nothing is set. */
struct sw_listener_settings {
	char *name;
	char *interface; /* the listener's own, or else the one for all */
	char **listen;	 /* "192.0.2.1:443" */
	uint32_t nlisten;
	enum synward_mac mac;
	uint32_t mss_max; /* bytes; 0: from the MTU */
	enum synward_offload offload;
	bool transparent;
	char *upstreams; /* name of a pool; "" in transparent mode */
	uint32_t workers;
	uint32_t queue_depth;
	uint32_t ring_frames;
	uint32_t refuse_rate; /* a second and worker; 0: none */
	bool qdisc_bypass;
};

/** Health checks of a pool's servers. */
struct sw_health_settings {
	uint32_t interval; /* ms; 0: no checks */
	uint32_t timeout;  /* ms */
	uint32_t rise, fall;
};

/** One pool of upstream servers. */
struct sw_pool_settings {
	char *name;
	char **servers; /* "10.0.0.11:8443" */
	uint32_t nservers;
	enum sw_proxy_setting proxy_protocol;
	enum sw_source_setting source;
	uint32_t connect_timeout; /* ms */
	uint32_t idle_timeout;	  /* ms; 0: none */
	uint32_t retries;
	struct sw_health_settings health;
};

struct sw_limits_settings {
	uint32_t connections; /* over all pools; 0: as many as descriptors allow */
	uint32_t per_source;  /* of one source prefix; 0: no such limit */
	uint32_t source_prefix4, source_prefix6; /* bits */
};

struct sw_log_settings {
	enum sw_log_level_setting level;
	enum sw_log_format_setting format;
	bool access;
};

struct sw_flood_settings {
	uint32_t enter, leave; /* SYNs a second without proof */
	uint32_t hold;	       /* ms */
	char **command;	       /* argv; no shell */
	uint32_t ncommand;     /* 0: no command */
};

struct sw_control_settings {
	char *socket; /* path; "" for none */
};

struct sw_metrics_settings {
	char *address; /* "127.0.0.1:9177"; "" for none */
};

/** Everything.  Made by sw_settings_load() and sw_settings_parse(), ended by sw_settings_free(). */
struct sw_settings {
	char *user;
	char *interface;
	char *key_file;
	struct sw_listener_settings *listeners;
	uint32_t nlisteners;
	struct sw_pool_settings *pools;
	uint32_t npools;
	struct sw_limits_settings limits;
	uint32_t drain_timeout; /* ms */
	struct sw_log_settings log;
	struct sw_control_settings control;
	struct sw_metrics_settings metrics;
	struct sw_flood_settings flood;
};

/** What of the world outside the text is looked at. */
struct sw_settings_look {
	bool key_file;		  /* read the key file too */
	const char *key_file_path; /* take this one instead of the one named; may be NULL */
};

/**
 * Read the text of a configuration.
 *
 * @param out       Written on success; the caller frees it.
 * @param mistakes  Gets every mistake that was found.  Its path is used for the messages.
 *
 * @return 0 or -EINVAL (see @mistakes), -ENOMEM.
 */
SW_MUST int sw_settings_parse(const char *text, size_t len, const struct sw_settings_look *look,
			      struct sw_settings **out, struct sw_mistakes *mistakes);

/** As sw_settings_parse(), from the file mistakes->path. */
SW_MUST int sw_settings_load(const struct sw_settings_look *look, struct sw_settings **out,
			     struct sw_mistakes *mistakes);

/** NULL is allowed. */
void sw_settings_free(struct sw_settings *s);

/** Write them as YAML that sw_settings_parse() reads again to the same. */
void sw_settings_print(const struct sw_settings *s, FILE *to);

/**
 * Tell what differs, in the order of the table: "listener web: queue_depth 4096 -> 8192",
 * "pool app: added", "drain_timeout 30s -> 1m".
 *
 * @param say  Called for each difference.  @restart: a running program cannot apply it.
 * @return the number of differences.
 */
size_t sw_settings_diff(const struct sw_settings *from, const struct sw_settings *to,
			void (*say)(void *arg, bool restart, const char *line), void *arg);

/** Do two pools have the same settings? */
SW_MUST bool sw_settings_same_pool(const struct sw_pool_settings *a,
				   const struct sw_pool_settings *b);

/** @return the listener or pool of that name, or NULL. */
const struct sw_listener_settings *sw_settings_listener(const struct sw_settings *s,
							const char *name);
const struct sw_pool_settings *sw_settings_pool(const struct sw_settings *s, const char *name);

#endif
