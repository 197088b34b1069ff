/* SPDX-License-Identifier: MIT */
/* One request over the control socket of a running synward: what the subcommands use. */
#ifndef SW_OPS_CLIENT_H
#define SW_OPS_CLIENT_H

#include "core/types.h"

#define SW_CONTROL_SOCKET "/run/synward/control.sock"

struct sw_reply {
	int status; /* HTTP's */
	char *body; /* ends with a zero byte; freed by sw_reply_free() */
	size_t len;
};

/**
 * Ask and wait for the answer.
 *
 * @param method      "GET" or "POST".
 * @param path        "/stats", "/drain/web".
 * @param timeout_ms  For the whole exchange.
 * @param out         Written on success.
 * @param err         On failure one line: what was tried and what may be wrong.
 *
 * @return 0 whatever the status, or -errno: -ENOENT, -ECONNREFUSED (nobody listens there),
 *         -EACCES, -ETIMEDOUT, -EPROTO (not our HTTP).
 */
SW_MUST int sw_client_request(const char *socket, const char *method, const char *path,
			      unsigned timeout_ms, struct sw_reply *out, char *err, size_t errlen);

/** All zero and twice are allowed. */
void sw_reply_free(struct sw_reply *r);

#endif
