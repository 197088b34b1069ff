/* SPDX-License-Identifier: MIT */
#include "listen/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const slot_names[SW_MAX_MASTERS] = { "active", "staged", "retired" };

/* A reader of one file: the position for errors, and what was found so far. */
struct reader {
	const char *path;
	const char *line, *end; /* the current line, without its newline */
	size_t lineno;
	bool have[SW_MAX_MASTERS];
	uint8_t key[SW_MAX_MASTERS][SW_KEY_LEN];
	char *err;
	size_t errlen;
};

void sw_key_fingerprint(const uint8_t key[SW_KEY_LEN], char out[SW_FINGERPRINT])
{
	static const char text[] = "synward fingerprint v1";
	uint8_t tag[EVP_MAX_MD_SIZE];
	unsigned len;

	out[0] = '\0';
	if (HMAC(EVP_sha256(), key, SW_KEY_LEN, (const uint8_t *)text, sizeof(text) - 1, tag, &len))
		snprintf(out, SW_FINGERPRINT, "%02x%02x%02x%02x", tag[0], tag[1], tag[2], tag[3]);
}

const char *sw_key_slot_name(enum sw_key_slot slot)
{
	return slot_names[slot];
}

static int fail(const struct reader *r, const char *at, const char *what)
{
	if (r->errlen)
		snprintf(r->err, r->errlen, "%s:%zu:%zu: %s", r->path, r->lineno,
			 (size_t)(at - r->line) + 1, what);
	return -EINVAL;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static const char *skip_blanks(const char *p, const char *end)
{
	while (p < end && is_blank(*p))
		p++;
	return p;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* @param p  In and out: the word is stepped over. */
static int read_slot(const struct reader *r, const char **p)
{
	const char *word = *p, *end = word;

	while (end < r->end && !is_blank(*end))
		end++;
	for (int i = 0; i < SW_MAX_MASTERS; i++) {
		const size_t n = strlen(slot_names[i]);

		if ((size_t)(end - word) == n && memcmp(word, slot_names[i], n) == 0) {
			*p = end;
			return i;
		}
	}
	return fail(r, word, "unknown slot; a line is active, staged or retired and 64 hex digits");
}

static int read_key(const struct reader *r, const char *p, uint8_t key[SW_KEY_LEN])
{
	const char *const start = p;

	for (size_t i = 0; i < SW_KEY_LEN * 2; i++, p++) {
		const int v = p < r->end ? hex_value(*p) : -1;

		if (p == r->end || is_blank(*p))
			return fail(r, p,
				    p == start ? "no key; 64 hex digits are needed"
					       : "key too short; 64 hex digits are needed");
		if (v < 0)
			return fail(r, p, "not a hex digit; a key is 64 of 0-9 and a-f");
		key[i / 2] = (uint8_t)(key[i / 2] << 4 | v);
	}
	if (p < r->end && hex_value(*p) >= 0)
		return fail(r, p, "key too long; 64 hex digits are needed");
	p = skip_blanks(p, r->end);
	if (p < r->end && *p != '#')
		return fail(r, p, "text after the key; only a # comment may follow");
	return 0;
}

static int read_line(struct reader *r)
{
	const char *p = skip_blanks(r->line, r->end);
	const char *const word = p;
	int slot;

	if (p == r->end || *p == '#')
		return 0;
	slot = read_slot(r, &p);
	if (slot < 0)
		return slot;
	if (r->have[slot])
		return fail(r, word, "a second key for this slot; each slot holds one at most");
	r->have[slot] = true;
	return read_key(r, skip_blanks(p, r->end), r->key[slot]);
}

/* What no single line shows.  Errors point at the last line. */
static int check_all(const struct reader *r)
{
	if (!r->have[SW_KEY_ACTIVE])
		return fail(r, r->line, "no active key; one line must be active");
	for (int i = 1; i < SW_MAX_MASTERS; i++) {
		for (int k = 0; k < i; k++) {
			if (r->have[i] && r->have[k] &&
			    memcmp(r->key[i], r->key[k], SW_KEY_LEN) == 0)
				return fail(r, r->line,
					    "two slots hold the same key; make "
					    "another with: synward secret new");
		}
	}
	return 0;
}

static int read_all(struct reader *r, const char *text, size_t len)
{
	const char *next = text, *const end = text + len;

	do {
		const char *nl = memchr(next, '\n', (size_t)(end - next));
		int rc;

		r->line = next;
		r->end = nl ? nl : end;
		r->lineno++;
		rc = read_line(r);
		if (rc < 0)
			return rc;
		next = nl ? nl + 1 : end;
	} while (next < end);
	return check_all(r);
}

int sw_keyfile_parse(const char *path, const char *text, size_t len, struct sw_keyfile *out,
		     char *err, size_t errlen)
{
	struct reader r = { .path = path, .err = err, .errlen = errlen };
	const int rc = read_all(&r, text, len);

	if (rc == 0) {
		memset(out, 0, sizeof(*out));
		for (int i = 0; i < SW_MAX_MASTERS; i++) {
			if (!r.have[i])
				continue;
			memcpy(out->masters.key[out->masters.n], r.key[i], SW_KEY_LEN);
			out->slot[out->masters.n++] = (enum sw_key_slot)i;
		}
	}
	explicit_bzero(&r, sizeof(r));
	return rc;
}

static int complain(char *err, size_t errlen, int rc, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static int complain(char *err, size_t errlen, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (errlen)
		vsnprintf(err, errlen, fmt, ap);
	va_end(ap);
	return rc;
}

static int cannot_open(const char *path, int error, char *err, size_t errlen)
{
	if (error == EACCES || error == EPERM)
		return complain(err, errlen, -error,
				"%s: %s; give it to the user that synward runs as: chown USER %s",
				path, strerror(error), path);
	return complain(err, errlen, -error,
			"%s: %s; make one with: (umask 077; synward secret new > FILE)", path,
			strerror(error));
}

static int check_file(const char *path, int fd, char *err, size_t errlen)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return complain(err, errlen, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return complain(err, errlen, -EINVAL, "%s: not a regular file", path);
	if (st.st_mode & 077)
		return complain(err, errlen, -EINVAL,
				"%s: mode %04o lets others use the key; run: chmod 0600 %s", path,
				(unsigned)st.st_mode & 07777, path);
	return 0;
}

/* @return the number of bytes, at most SW_KEYFILE_MAX + 1, or -errno. */
static ssize_t read_whole(int fd, char text[SW_KEYFILE_MAX + 1])
{
	size_t len = 0;

	while (len <= SW_KEYFILE_MAX) {
		const ssize_t n = read(fd, text + len, SW_KEYFILE_MAX + 1 - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

int sw_keyfile_load(const char *path, struct sw_keyfile *out, char *err, size_t errlen)
{
	char text[SW_KEYFILE_MAX + 1];
	ssize_t len;
	int rc;
	/* O_NONBLOCK: a FIFO in the file's place must not hang us. */
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return cannot_open(path, errno, err, errlen);
	rc = check_file(path, fd, err, errlen);
	if (rc < 0)
		goto close_fd;
	len = read_whole(fd, text);
	if (len < 0)
		rc = complain(err, errlen, (int)len, "%s: %s", path, strerror((int)-len));
	else if (len > SW_KEYFILE_MAX)
		rc = complain(err, errlen, -EINVAL,
			      "%s: longer than %d bytes; a key file holds "
			      "up to three keys",
			      path, SW_KEYFILE_MAX);
	else
		rc = sw_keyfile_parse(path, text, (size_t)len, out, err, errlen);
	explicit_bzero(text, sizeof(text));
close_fd:
	close(fd);
	return rc;
}

int sw_keyfile_read(const char *path, struct sw_masters *out, char *err, size_t errlen)
{
	struct sw_keyfile file;
	const int rc = sw_keyfile_load(path, &file, err, errlen);

	if (rc == 0)
		*out = file.masters;
	explicit_bzero(&file, sizeof(file));
	return rc;
}
