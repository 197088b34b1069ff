/* SPDX-License-Identifier: MIT */
#ifndef SW_STEER_SECRET_H
#define SW_STEER_SECRET_H

#include "core/types.h"

/**
 * Memory that holds keys: zeroed pages of its own, not in core dumps and not in child processes.
 * The first @secret bytes do not go to swap either, where RLIMIT_MEMLOCK or CAP_IPC_LOCK allow.
 *
 * @return NULL when out of memory.
 */
SW_MUST void *sw_secret_new(size_t size, size_t secret);

/** Wipe the first @secret bytes and give the memory back.  NULL is allowed. */
void sw_secret_free(void *p, size_t size, size_t secret);

#endif
