/* SPDX-License-Identifier: MIT */
#ifndef SW_CLI_SERVER_H
#define SW_CLI_SERVER_H

#include "ops/settings.h"

/**
 * Guard and relay until a signal ends it: all of the settings, or nothing.
 *
 * SIGTERM or SIGINT: stop taking connections, let the live ones end; a second one ends them at
 * once.  SIGHUP: read the file again and apply what differs, all or nothing.  SIGUSR1: print the
 * counters.
 *
 * @param settings  Taken over.
 * @param path      The file they are from; NULL for the command line.  Borrowed.
 * @param level     enum sw_log_level in place of the settings' one, or -1.
 *
 * @return an exit code.
 */
int sw_server_run(struct sw_settings *settings, const char *path, int level);

#endif
