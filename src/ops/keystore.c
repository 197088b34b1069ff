/* SPDX-License-Identifier: MIT */
#include "ops/keystore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static int complain(char *err, size_t errlen, int rc, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static int complain(char *err, size_t errlen, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, errlen, fmt, ap);
	va_end(ap);
	return rc;
}

int sw_keytext_read(int fd, struct sw_keytext *text)
{
	text->len = 0;
	while (text->len <= SW_KEYFILE_MAX) {
		const ssize_t n = read(fd, text->text + text->len, sizeof(text->text) - text->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		text->len += (size_t)n;
	}
	return -EFBIG;
}

static int write_all(int fd, const struct sw_keytext *text)
{
	for (size_t done = 0; done < text->len;) {
		const ssize_t n = write(fd, text->text + done, text->len - done);

		if (n < 0 && errno != EINTR)
			return -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	return fsync(fd) ? -errno : 0;
}

/* The name itself is on disk only after this. */
static int sync_directory(const char *path)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	int fd, rc;

	snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) + 1 : 1,
		 slash ? path : ".");
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = fsync(fd) ? -errno : 0;
	close(fd);
	return rc;
}

/* Between our open and our lock another program may have put a new file in this one's place. */
static bool is_current(const struct sw_keystore *ks)
{
	struct stat st;

	return stat(ks->path, &st) == 0 && st.st_dev == ks->was.st_dev &&
	       st.st_ino == ks->was.st_ino;
}

static int check_open(struct sw_keystore *ks, struct sw_keytext *text, char *err, size_t errlen)
{
	int rc;

	if (fstat(ks->fd, &ks->was))
		return complain(err, errlen, -errno, "%s: %s", ks->path, strerror(errno));
	if (!S_ISREG(ks->was.st_mode))
		return complain(err, errlen, -EINVAL, "%s: not a regular file", ks->path);
	if (ks->was.st_mode & 077)
		return complain(err, errlen, -EINVAL,
				"%s: mode %04o lets others use the key; run: chmod 0600 %s",
				ks->path, (unsigned)ks->was.st_mode & 07777, ks->path);
	if (flock(ks->fd, LOCK_EX | LOCK_NB) || !is_current(ks))
		return complain(err, errlen, -EBUSY,
				"%s: another program is changing it; try again when it is done",
				ks->path);
	rc = sw_keytext_read(ks->fd, text);
	if (rc == -EFBIG)
		return complain(err, errlen, -EINVAL,
				"%s: longer than %d bytes; a key file holds up to three keys",
				ks->path, SW_KEYFILE_MAX);
	return rc ? complain(err, errlen, rc, "%s: %s", ks->path, strerror(-rc)) : 0;
}

int sw_keystore_open(struct sw_keystore *ks, const char *path, struct sw_keytext *text, char *err,
		     size_t errlen)
{
	int rc;

	if (!realpath(path, ks->path))
		return complain(err, errlen, -errno,
				"%s: %s; make one with: synward secret new -k %s", path,
				strerror(errno), path);
	/* O_NONBLOCK: a FIFO in the file's place must not hang us. */
	ks->fd = open(ks->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (ks->fd < 0)
		return complain(err, errlen, -errno, "%s: %s", ks->path, strerror(errno));
	rc = check_open(ks, text, err, errlen);
	if (rc)
		sw_keystore_close(ks);
	return rc;
}

void sw_keystore_close(struct sw_keystore *ks)
{
	close(ks->fd);
	ks->fd = -1;
}

static int write_new(int fd, const struct sw_keystore *ks, const struct sw_keytext *text)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if ((st.st_uid != ks->was.st_uid || st.st_gid != ks->was.st_gid) &&
	    fchown(fd, ks->was.st_uid, ks->was.st_gid))
		return -errno;
	if (fchmod(fd, ks->was.st_mode & 0700))
		return -errno;
	return write_all(fd, text);
}

int sw_keystore_replace(const struct sw_keystore *ks, const struct sw_keytext *text, char *err,
			size_t errlen)
{
	char temp[PATH_MAX + 8];
	int fd, rc;

	snprintf(temp, sizeof(temp), "%s.XXXXXX", ks->path);
	fd = mkostemp(temp, O_CLOEXEC);
	if (fd < 0)
		return complain(err, errlen, -errno, "%s: cannot make a file beside it: %s",
				ks->path, strerror(errno));
	rc = write_new(fd, ks, text);
	if (close(fd) && !rc)
		rc = -errno;
	if (!rc && rename(temp, ks->path))
		rc = -errno;
	if (rc) {
		unlink(temp);
		return complain(err, errlen, rc, "%s: cannot replace it: %s", ks->path,
				strerror(-rc));
	}
	(void)sync_directory(ks->path); /* it has the name; a crash may bring the old one back */
	return 0;
}

int sw_keystore_create(const char *path, const struct sw_keytext *text, char *err, size_t errlen)
{
	const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int rc;

	if (fd < 0 && errno == EEXIST)
		return complain(err, errlen, -EEXIST,
				"%s: there is one already; another key comes in with: synward "
				"secret stage -k %s",
				path, path);
	if (fd < 0)
		return complain(err, errlen, -errno, "%s: %s", path, strerror(errno));
	rc = write_all(fd, text);
	if (close(fd) && !rc)
		rc = -errno;
	if (!rc)
		rc = sync_directory(path);
	if (rc) {
		unlink(path);
		return complain(err, errlen, rc, "%s: %s", path, strerror(-rc));
	}
	return 0;
}
