/* SPDX-License-Identifier: MIT */
#ifndef SW_CLI_SERVE_H
#define SW_CLI_SERVE_H

#include "core/types.h"
#include "relay/relay.h"

#include <synward/listener.h>

/** What `synward run` was asked for.  Pointers are borrowed from argv and the caller. */
struct sw_serve {
	struct synward_config guard;
	struct sw_relay_config relay;
	unsigned drain_timeout_ms;
};

/**
 * Guard and relay until a signal ends it.  SIGTERM or SIGINT: stop taking connections, let the
 * live ones end; a second one ends them at once.  SIGUSR1: print the counters.
 *
 * @return an exit code.
 */
int sw_serve(const struct sw_serve *cf);

#endif
