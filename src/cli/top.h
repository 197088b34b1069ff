/* SPDX-License-Identifier: MIT */
/* What `synward top` shows, and the two ways to show it. */
#ifndef SW_CLI_TOP_H
#define SW_CLI_TOP_H

#include "cli/remote.h"

#define SW_TOP_HISTORY 120 /* seconds */

/** Two answers of /stats, one interval apart. */
struct sw_top {
	const char *socket;
	unsigned every_ms;
	unsigned rounds;      /* to show; 0: until it is ended */
	json_t *now, *before; /* owned; before is NULL at first */
};

/** @return the same listener a moment ago, or NULL. */
json_t *sw_top_before(const struct sw_top *t, const json_t *listener);

/**
 * @param pool   Its servers' connections together.
 * @param share  0.5 for the median.
 * @return seconds that this share of what was connected since the last answer took at most; 0
 *         when nothing was.
 */
double sw_top_latency(const struct sw_top *t, const char *pool, double share);

/** One line per listener, for pipes and logs. */
void sw_top_print(const struct sw_top *t);

/** The screen, until q or @rounds.  @return an exit code. */
int sw_top_screen(struct sw_top *t);

/** Ask once more.  @return SW_EXIT_OK, or another with a line in @err. */
SW_MUST int sw_top_ask(struct sw_top *t, char *err, size_t errlen);

#endif
