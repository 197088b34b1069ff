/* SPDX-License-Identifier: MIT */
/* What the subcommands that talk to a running synward have in common. */
#ifndef SW_CLI_REMOTE_H
#define SW_CLI_REMOTE_H

#include "core/types.h"

#include <jansson.h>

#define SW_REMOTE_TIMEOUT_MS 5000

/**
 * GET /stats and read it.
 *
 * @param raw   Out: the text as it came, freed by the caller with free(); may be NULL.
 * @param out   Out: the caller's reference.
 * @return SW_EXIT_OK, or with a line on stderr SW_EXIT_UNREACHABLE or SW_EXIT_FAILED.
 */
SW_MUST int sw_remote_stats(const char *cmd, const char *socket, json_t **out, char **raw);

/** @return the number at "a.b.c", 0 when there is none. */
double sw_json_number(const json_t *object, const char *path);
uint64_t sw_json_count(const json_t *object, const char *path);
/** @return the text at the path, "" when there is none.  Lives as long as the object. */
const char *sw_json_text(const json_t *object, const char *path);
bool sw_json_true(const json_t *object, const char *path);
/** @return the value at the path, borrowed, or NULL. */
json_t *sw_json_at(const json_t *object, const char *path);

/** The reasons of refusals, largest first.  */
struct sw_refusal {
	const char *reason; /* lives as long as the listener */
	uint64_t n;
};
/**
 * @param before  The same listener a while ago, to count what came since; or NULL.
 * @return how many are in @out; those that are zero are left out.
 */
size_t sw_remote_refusals(const json_t *listener, const json_t *before, struct sw_refusal *out,
			  size_t max);

/** "relay to app", "transparent", with XDP's mode behind it. */
void sw_remote_mode(const json_t *listener, char *out, size_t size);

#endif
