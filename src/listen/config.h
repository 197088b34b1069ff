/* SPDX-License-Identifier: MIT */
/* struct synward_config read, checked, and joined with what the host says. */
#ifndef SW_LISTEN_CONFIG_H
#define SW_LISTEN_CONFIG_H

#include "listen/keyfile.h"
#include "core/decide.h"
#include "steer/link.h"

#include <synward/listener.h>

/** Everything that is settled before something is made. */
struct sw_plan {
	struct sw_policy policy;
	struct sw_keyfile *keys; /* owned: sw_keys_free() */
	struct sw_link_info link;
	enum sw_mac_alg alg;
	unsigned workers, queue_depth, ring_frames;
};

/** Write the line into cf->error, when there is room.  @return @rc. */
int sw_config_fail(const struct synward_config *cf, int rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** Add a line to cf->error, when there is room for all of it: what may not work as it is. */
void sw_config_warn(const struct synward_config *cf, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/** The listen addresses alone.  @return 0 or -EINVAL with a line in cf->error. */
SW_MUST int sw_config_guards(const struct synward_config *cf, struct sw_policy *out);

/**
 * Check and settle a configuration.
 *
 * @return 0, or -EINVAL, -ENODEV, -ENETDOWN, -ENOTSUP with a line in cf->error.
 */
SW_MUST int sw_plan_make(struct sw_plan *out, const struct synward_config *cf);

/** Forget the keys. */
void sw_plan_wipe(struct sw_plan *plan);

/** Keys in memory that is fit for them (steer/secret.h).  @return NULL when out of memory. */
SW_MUST struct sw_keyfile *sw_keys_new(void);
/** Wipe and free.  NULL is allowed. */
void sw_keys_free(struct sw_keyfile *keys);

#endif
