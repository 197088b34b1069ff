/* SPDX-License-Identifier: MIT */
/*
 * Rotation of the key, as edits of a key file's text: comments and the order of lines stay, a key
 * line changes its slot, goes, or is added at the end.
 *
 *	stage       a new key proves cookies on every host before any host mints with it
 *	activate    staged becomes active, active becomes retired
 *	drop        retired goes, or staged, when it is not wanted after all
 */
#ifndef SW_OPS_KEYEDIT_H
#define SW_OPS_KEYEDIT_H

#include "listen/keyfile.h"

enum sw_keyedit_verb { SW_EDIT_STAGE, SW_EDIT_ACTIVATE, SW_EDIT_DROP };

struct sw_keyedit {
	enum sw_keyedit_verb verb;
	enum sw_key_slot slot;	/* SW_EDIT_DROP: which */
	const uint8_t *key;	/* SW_EDIT_STAGE: SW_KEY_LEN bytes; borrowed */
	const char *comment;	/* SW_EDIT_STAGE: what follows the key, "#" not included */
};

/** A key file's text in memory.  The caller wipes it after use. */
struct sw_keytext {
	char text[SW_KEYFILE_MAX + 1];
	size_t len;
};

/** Write one line, "SLOT HEX # FINGERPRINT, COMMENT".  @return false when it does not fit. */
SW_MUST bool sw_keytext_add(struct sw_keytext *t, enum sw_key_slot slot,
			    const uint8_t key[SW_KEY_LEN], const char *comment);

/**
 * Apply an edit.  Pure but for libcrypto.
 *
 * @param path  For errors only.
 * @param out   Written on success; never @in.  It parses.
 * @param err   On failure one line: why the edit makes no sense, and what would.
 *
 * @return 0; -EINVAL: @in is no key file; -EPERM: the edit makes no sense with it; -EFBIG.
 */
SW_MUST int sw_keyedit(const struct sw_keyedit *edit, const char *path, const struct sw_keytext *in,
		       struct sw_keytext *out, char *err, size_t errlen);

#endif
