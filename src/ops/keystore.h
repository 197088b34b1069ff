/* SPDX-License-Identifier: MIT */
/* Key files on disk: read with a lock, replaced at once. */
#ifndef SW_OPS_KEYSTORE_H
#define SW_OPS_KEYSTORE_H

#include "ops/keyedit.h"

#include <limits.h>
#include <sys/stat.h>

/** A key file that is being changed. */
struct sw_keystore {
	char path[PATH_MAX]; /* symbolic links resolved: the file itself is replaced */
	int fd;		     /* owned; locked, so that two changes do not lose one */
	struct stat was;
};

/**
 * Open a key file to change it, and read it.  The same permissions are asked of it as by
 * sw_keyfile_load().
 *
 * @param text  Out: what it holds.  The caller wipes it.
 * @return 0 or -errno with a line in @err; -EBUSY: another program changes it.
 */
SW_MUST int sw_keystore_open(struct sw_keystore *ks, const char *path, struct sw_keytext *text,
			     char *err, size_t errlen);

/**
 * Replace the file by @text: a new file with the same owner and mode, on disk before it takes the
 * name.  Readers see the old one or the new one, whatever happens.
 *
 * @return 0 or -errno with a line in @err; then the old file is untouched.
 */
SW_MUST int sw_keystore_replace(const struct sw_keystore *ks, const struct sw_keytext *text,
				char *err, size_t errlen);

void sw_keystore_close(struct sw_keystore *ks);

/** Make a new key file with mode 0600.  @return as above; -EEXIST when there is one. */
SW_MUST int sw_keystore_create(const char *path, const struct sw_keytext *text, char *err,
			       size_t errlen);

/** Read a whole stream.  @return 0, -EFBIG or what read(2) said. */
SW_MUST int sw_keytext_read(int fd, struct sw_keytext *text);

#endif
