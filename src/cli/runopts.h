/* SPDX-License-Identifier: MIT */
/*
 * The options of `synward run` that stand for options of a configuration file.  They become the
 * text of a small one, so that both ways of starting have the same defaults, limits and checks.
 */
#ifndef SW_CLI_RUNOPTS_H
#define SW_CLI_RUNOPTS_H

#include "ops/settings.h"

#define SW_RUNOPTS_MAX 24

enum {
	SW_OPT_TRANSPARENT = 256,
	SW_OPT_OFFLOAD,
	SW_OPT_MAC,
	SW_OPT_WORKERS,
	SW_OPT_QUEUE_DEPTH,
	SW_OPT_RING_FRAMES,
	SW_OPT_REFUSE_RATE,
	SW_OPT_QDISC_BYPASS,
	SW_OPT_PROXY,
	SW_OPT_CONNECT_TIMEOUT,
	SW_OPT_IDLE_TIMEOUT,
	SW_OPT_DRAIN_TIMEOUT,
	SW_OPT_MAX_CONNECTIONS,
	SW_OPT_CONTROL,
};

/* For the table of getopt_long(). */
#define SW_RUNOPTS_LONG                                                                            \
	{ "interface", required_argument, NULL, 'i' }, { "listen", required_argument, NULL, 'l' }, \
		{ "upstream", required_argument, NULL, 'u' },                                      \
		{ "key-file", required_argument, NULL, 'k' },                                      \
		{ "transparent", no_argument, NULL, SW_OPT_TRANSPARENT },                          \
		{ "offload", required_argument, NULL, SW_OPT_OFFLOAD },                            \
		{ "mac", required_argument, NULL, SW_OPT_MAC },                                    \
		{ "workers", required_argument, NULL, SW_OPT_WORKERS },                            \
		{ "queue-depth", required_argument, NULL, SW_OPT_QUEUE_DEPTH },                    \
		{ "ring-frames", required_argument, NULL, SW_OPT_RING_FRAMES },                    \
		{ "refuse-rate", required_argument, NULL, SW_OPT_REFUSE_RATE },                    \
		{ "qdisc-bypass", no_argument, NULL, SW_OPT_QDISC_BYPASS },                        \
		{ "proxy-protocol", required_argument, NULL, SW_OPT_PROXY },                       \
		{ "connect-timeout", required_argument, NULL, SW_OPT_CONNECT_TIMEOUT },            \
		{ "idle-timeout", required_argument, NULL, SW_OPT_IDLE_TIMEOUT },                  \
		{ "drain-timeout", required_argument, NULL, SW_OPT_DRAIN_TIMEOUT },                \
		{ "max-connections", required_argument, NULL, SW_OPT_MAX_CONNECTIONS },            \
		{ "control", required_argument, NULL, SW_OPT_CONTROL }

/** What was given.  Zero it before use; texts are borrowed from argv. */
struct sw_runopts {
	const char *listen[SW_MAX_ADDRESSES], *upstream[SW_MAX_ADDRESSES];
	size_t nlisten, nupstream;
	const char *value[SW_RUNOPTS_MAX]; /* of the others, in the order of the table */
	const char *first;		   /* name of the option that came first, NULL for none */
};

/** Take one option.  @return SW_EXIT_OK, or SW_EXIT_USAGE after saying what is wrong. */
SW_MUST int sw_runopts_set(struct sw_runopts *r, int opt, const char *text);

/** Is everything there?  @return as above. */
SW_MUST int sw_runopts_check(const struct sw_runopts *r);

/** @param out  Written on success; one listener and at most one pool, both named "default".
 *  @return an exit code; what is wrong has been said. */
SW_MUST int sw_runopts_settings(const struct sw_runopts *r, struct sw_settings **out);

#endif
