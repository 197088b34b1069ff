/* SPDX-License-Identifier: MIT */
/* A snapshot as Prometheus' text format 0.0.4. */
#ifndef SW_OPS_METRICS_H
#define SW_OPS_METRICS_H

#include "ops/snapshot.h"

#include <event2/buffer.h>

#define SW_METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

/** Append every metric.  @return 0, or -ENOMEM. */
SW_MUST int sw_metrics_write(struct evbuffer *out, const struct sw_snapshot *s);

#endif
