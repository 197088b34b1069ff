/* SPDX-License-Identifier: MIT */
#include "ops/keyedit.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int refuse(char *err, size_t errlen, int rc, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static int refuse(char *err, size_t errlen, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, errlen, fmt, ap);
	va_end(ap);
	return rc;
}

static bool append(struct sw_keytext *t, const char *text, size_t len)
{
	if (len > SW_KEYFILE_MAX - t->len)
		return false;
	memcpy(t->text + t->len, text, len);
	t->len += len;
	return true;
}

bool sw_keytext_add(struct sw_keytext *t, enum sw_key_slot slot, const uint8_t key[SW_KEY_LEN],
		    const char *comment)
{
	char line[SW_KEY_LEN * 2 + 128], hex[SW_KEY_LEN * 2 + 1], print[SW_FINGERPRINT];
	bool fits = t->len == 0 || t->text[t->len - 1] == '\n' || append(t, "\n", 1);
	int n;

	for (size_t i = 0; i < SW_KEY_LEN; i++)
		snprintf(hex + 2 * i, 3, "%02x", key[i]);
	sw_key_fingerprint(key, print);
	n = snprintf(line, sizeof(line), "%s %s # %s, %s\n", sw_key_slot_name(slot), hex, print,
		     comment);
	fits = fits && n > 0 && (size_t)n < sizeof(line) && append(t, line, (size_t)n);
	explicit_bzero(line, sizeof(line));
	explicit_bzero(hex, sizeof(hex));
	return fits;
}

static const uint8_t *key_in(const struct sw_keyfile *file, enum sw_key_slot slot)
{
	for (size_t i = 0; i < file->masters.n; i++)
		if (file->slot[i] == slot)
			return file->masters.key[i];
	return NULL;
}

static int check_stage(const struct sw_keyfile *file, const uint8_t *key, const char *path,
		       char *err, size_t errlen)
{
	char print[SW_FINGERPRINT];

	for (size_t i = 0; i < file->masters.n; i++) {
		if (memcmp(file->masters.key[i], key, SW_KEY_LEN) != 0)
			continue;
		sw_key_fingerprint(key, print);
		return refuse(err, errlen, -EPERM, "%s: the key %s is there already, as %s", path,
			      print, sw_key_slot_name(file->slot[i]));
	}
	key = key_in(file, SW_KEY_STAGED);
	if (!key)
		return 0;
	sw_key_fingerprint(key, print);
	return refuse(err, errlen, -EPERM,
		      "%s: a key is staged already: %s; activate it, or drop it with: synward "
		      "secret drop staged",
		      path, print);
}

static int check_activate(const struct sw_keyfile *file, const char *path, char *err, size_t errlen)
{
	if (!key_in(file, SW_KEY_STAGED))
		return refuse(err, errlen, -EPERM,
			      "%s: no key is staged; begin with: synward secret stage", path);
	if (key_in(file, SW_KEY_RETIRED))
		return refuse(err, errlen, -EPERM,
			      "%s: the place of the retired key is taken; when the last activation "
			      "is over a minute ago: synward secret drop",
			      path);
	return 0;
}

static int check(const struct sw_keyedit *edit, const struct sw_keyfile *file, const char *path,
		 char *err, size_t errlen)
{
	switch (edit->verb) {
	case SW_EDIT_STAGE:
		return check_stage(file, edit->key, path, err, errlen);
	case SW_EDIT_ACTIVATE:
		return check_activate(file, path, err, errlen);
	case SW_EDIT_DROP:
		break;
	}
	if (edit->slot == SW_KEY_ACTIVE)
		return refuse(err, errlen, -EPERM,
			      "%s: the active key mints: stage and activate another first", path);
	if (!key_in(file, edit->slot))
		return refuse(err, errlen, -EPERM, "%s: there is no %s key", path,
			      sw_key_slot_name(edit->slot));
	return 0;
}

/* What a line's slot becomes.  @return false when the line goes. */
static bool changed(const struct sw_keyedit *edit, enum sw_key_slot *slot)
{
	switch (edit->verb) {
	case SW_EDIT_ACTIVATE:
		*slot = *slot == SW_KEY_STAGED ? SW_KEY_ACTIVE : SW_KEY_RETIRED;
		return true;
	case SW_EDIT_DROP:
		return *slot != edit->slot;
	case SW_EDIT_STAGE:
		break;
	}
	return true;
}

/* @return the number of bytes of the slot's name that a key line has at @word, 0 for none. */
static size_t slot_at(const char *word, const char *end, enum sw_key_slot *slot)
{
	for (int i = 0; i < SW_MAX_MASTERS; i++) {
		const char *name = sw_key_slot_name((enum sw_key_slot)i);
		const size_t n = strlen(name);

		if ((size_t)(end - word) > n && memcmp(word, name, n) == 0) {
			*slot = (enum sw_key_slot)i;
			return n;
		}
	}
	return 0;
}

/* @param end  Behind the newline, or the end of the text. */
static bool edit_line(const struct sw_keyedit *edit, const char *line, const char *end,
		      struct sw_keytext *out)
{
	const char *word = line;
	enum sw_key_slot slot;
	const char *name;
	size_t n;

	while (word < end && (*word == ' ' || *word == '\t'))
		word++;
	n = slot_at(word, end, &slot);
	if (!n)
		return append(out, line, (size_t)(end - line));
	if (!changed(edit, &slot))
		return true;
	name = sw_key_slot_name(slot);
	return append(out, line, (size_t)(word - line)) && append(out, name, strlen(name)) &&
	       append(out, word + n, (size_t)(end - word) - n);
}

static bool edit_all(const struct sw_keyedit *edit, const struct sw_keytext *in,
		     struct sw_keytext *out)
{
	const char *line = in->text, *const end = in->text + in->len;
	bool fits = true;

	while (line < end && fits) {
		const char *nl = memchr(line, '\n', (size_t)(end - line));
		const char *next = nl ? nl + 1 : end;

		fits = edit_line(edit, line, next, out);
		line = next;
	}
	if (fits && edit->verb == SW_EDIT_STAGE)
		fits = sw_keytext_add(out, SW_KEY_STAGED, edit->key, edit->comment);
	return fits;
}

int sw_keyedit(const struct sw_keyedit *edit, const char *path, const struct sw_keytext *in,
	       struct sw_keytext *out, char *err, size_t errlen)
{
	struct sw_keyfile file;
	int rc = sw_keyfile_parse(path, in->text, in->len, &file, err, errlen);

	if (!rc)
		rc = check(edit, &file, path, err, errlen);
	if (!rc) {
		out->len = 0;
		if (!edit_all(edit, in, out))
			rc = refuse(err, errlen, -EFBIG,
				    "%s: would be longer than %d bytes; take out comments", path,
				    SW_KEYFILE_MAX);
	}
	/* What is written must be what is read. */
	if (!rc)
		rc = sw_keyfile_parse(path, out->text, out->len, &file, err, errlen);
	explicit_bzero(&file, sizeof(file));
	return rc;
}
