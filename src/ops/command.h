/* SPDX-License-Identifier: MIT */
/*
 * Programs that are run for an event: without a shell, one at a time, the others waiting in a
 * bounded queue.  One that takes too long is ended.
 */
#ifndef SW_OPS_COMMAND_H
#define SW_OPS_COMMAND_H

#include "core/types.h"

#include <event2/event.h>

#define SW_COMMAND_ARGS	   16
#define SW_COMMAND_ENV	   16
#define SW_COMMAND_WAITING 32 /* more are lost, which is logged */
#define SW_COMMAND_SECONDS 60 /* then SIGTERM; SIGKILL 5 seconds later */

struct sw_command;

/** @return NULL when out of memory. */
struct sw_command *sw_command_new(struct event_base *base);

/** Ends the program that runs, without waiting for it.  NULL is allowed. */
void sw_command_free(struct sw_command *c);

/**
 * Run a program, after those that wait.  Its output goes to stderr.
 *
 * @param argv   @argc of them, the program's absolute path first.  Copied.
 * @param env    @nenv of "NAME=value".  Copied; the program sees these and PATH only.
 */
void sw_command_run(struct sw_command *c, const char *const *argv, size_t argc,
		    const char *const *env, size_t nenv);

#endif
