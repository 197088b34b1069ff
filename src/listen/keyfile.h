/* SPDX-License-Identifier: MIT */
/*
 * The key file: one key a line, "SLOT HEX", blank lines and "# comments".
 *
 *	active   64 hex digits   mints and proves cookies; exactly one
 *	staged   64 hex digits   proves, and is about to become active; at most one
 *	retired  64 hex digits   proves what it minted before; at most one
 */
#ifndef SW_LISTEN_KEYFILE_H
#define SW_LISTEN_KEYFILE_H

#include "core/keyring.h"

#define SW_KEYFILE_MAX 4096 /* bytes */

enum sw_key_slot { SW_KEY_ACTIVE, SW_KEY_STAGED, SW_KEY_RETIRED };

/** Keys in the order active, staged, retired, whatever their order in the file. */
struct sw_keyfile {
	struct sw_masters masters;
	enum sw_key_slot slot[SW_MAX_MASTERS]; /* of masters.key[i] */
};

#define SW_FINGERPRINT 9 /* 8 hex digits and the final zero */

/** What tells a key from others and tells nothing about it.  "" when libcrypto fails. */
void sw_key_fingerprint(const uint8_t key[SW_KEY_LEN], char out[SW_FINGERPRINT]);

/** @return "active", "staged" or "retired". */
const char *sw_key_slot_name(enum sw_key_slot slot);

/**
 * Read the text of a key file.
 *
 * @param path  For errors only.
 * @param out   Written on success.  The caller wipes it after use.
 * @param err   On failure "path:line:column: what is wrong; what would be right".  Never holds
 *              key digits.  May be NULL when @errlen is 0.
 *
 * @return 0 or -EINVAL.
 */
SW_MUST int sw_keyfile_parse(const char *path, const char *text, size_t len, struct sw_keyfile *out,
			     char *err, size_t errlen);

/**
 * Read a key file that its owner alone can read: a regular file without group and other
 * permissions, checked on the open file.
 *
 * @return 0, -EINVAL (permissions, size or content), or what open(2) or read(2) said.
 */
SW_MUST int sw_keyfile_load(const char *path, struct sw_keyfile *out, char *err, size_t errlen);

/** As sw_keyfile_load(), for callers that need no slots. */
SW_MUST int sw_keyfile_read(const char *path, struct sw_masters *out, char *err, size_t errlen);

#endif
