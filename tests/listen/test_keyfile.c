/* SPDX-License-Identifier: MIT */
#include "listen/keyfile.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define A "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define B "ffFFffffffffffffffffffffffffffffffffffffffffffffffffffffffffff00"
#define C "1111111111111111111111111111111111111111111111111111111111111111"

static int parse(const char *text, struct sw_keyfile *out, char *err, size_t errlen)
{
	const size_t len = strlen(text);
	/* An exact-size block without a final zero: the sanitizer sees a step past the end. */
	char *tight = memcpy(malloc(len ? len : 1), text, len);
	const int rc = sw_keyfile_parse("k", tight, len, out, err, errlen);

	free(tight);
	return rc;
}

struct good_row {
	char text[400];
	size_t n;
	enum sw_key_slot slot[3];
	uint8_t first[3]; /* byte of each key */
};

ParameterizedTestParameters(keyfile, good)
{
	static struct good_row rows[] = {
		{ "active " A "\n", 1, { SW_KEY_ACTIVE }, { 0 } },
		{ "active " A, 1, { SW_KEY_ACTIVE }, { 0 } },
		{ "\n# note\n \t# note\n\n\tactive\t" B "  # mine\r\n",
		  1,
		  { SW_KEY_ACTIVE },
		  { 0xff } },
		{ "retired " C "\nstaged " B "\nactive " A "\n",
		  3,
		  { SW_KEY_ACTIVE, SW_KEY_STAGED, SW_KEY_RETIRED },
		  { 0, 0xff, 0x11 } },
		{ "retired " C "\nactive " A "\n",
		  2,
		  { SW_KEY_ACTIVE, SW_KEY_RETIRED },
		  { 0, 0x11 } },
	};
	return cr_make_param_array(struct good_row, rows, sizeof(rows) / sizeof(rows[0]));
}

ParameterizedTest(struct good_row *r, keyfile, good)
{
	struct sw_keyfile file;
	char err[200] = "";

	cr_assert_eq(parse(r->text, &file, err, sizeof(err)), 0, "refused: %s", err);
	cr_assert_eq(file.masters.n, r->n, "%zu keys", file.masters.n);
	for (size_t i = 0; i < r->n; i++) {
		cr_expect_eq(file.slot[i], r->slot[i], "key %zu is %s", i,
			     sw_key_slot_name(file.slot[i]));
		cr_expect_eq(file.masters.key[i][0], r->first[i], "key %zu starts with %02x", i,
			     file.masters.key[i][0]);
	}
}

Test(keyfile, digits_become_bytes)
{
	struct sw_keyfile file;

	cr_assert_eq(parse("active " A "\n", &file, NULL, 0), 0, "refused");
	for (size_t i = 0; i < SW_KEY_LEN; i++)
		cr_expect_eq(file.masters.key[0][i], i, "byte %zu is %u", i,
			     file.masters.key[0][i]);
}

struct bad_row {
	char text[400];
	char want[80]; /* how the message starts */
};

ParameterizedTestParameters(keyfile, bad)
{
	static struct bad_row rows[] = {
		{ "", "k:1:1: no active key" },
		{ "# only a comment\n", "k:1:1: no active key" },
		{ "staged " A "\n", "k:1:1: no active key" },
		{ "active\n", "k:1:7: no key" },
		{ "active ", "k:1:8: no key" },
		{ "active 00\n", "k:1:10: key too short" },
		{ "active " A "0\n", "k:1:72: key too long" },
		{ "active " A "x\n", "k:1:72: text after" },
		{ "active " A " x\n", "k:1:73: text after" },
		{ "active " A " staged " B "\n", "k:1:73: text after" },
		{ "active 0g\n", "k:1:9: not a hex digit" },
		{ "Active " A "\n", "k:1:1: unknown slot" },
		{ "active" A "\n", "k:1:1: unknown slot" },
		{ " current " A "\n", "k:1:2: unknown slot" },
		{ A "\n", "k:1:1: unknown slot" },
		{ "active " A "\nactive " B "\n", "k:2:1: a second key" },
		{ "active " A "\nstaged " B "\nstaged " C "\n", "k:3:1: a second key" },
		{ "active " A "\nretired " B "\n\n retired " C "\n", "k:4:2: a second key" },
		{ "active " A "\nstaged " A "\n", "k:2:1: two slots hold the same key" },
	};
	return cr_make_param_array(struct bad_row, rows, sizeof(rows) / sizeof(rows[0]));
}

ParameterizedTest(struct bad_row *r, keyfile, bad)
{
	struct sw_keyfile file, before;
	char err[200] = "";

	memset(&file, 0x5a, sizeof(file));
	before = file;
	cr_expect_eq(parse(r->text, &file, err, sizeof(err)), -EINVAL, "read: %s", r->text);
	cr_expect(strncmp(err, r->want, strlen(r->want)) == 0, "wanted '%s', got '%s'", r->want,
		  err);
	cr_expect_null(strstr(err, "0405"), "the message shows key digits: %s", err);
	cr_expect(memcmp(&file, &before, sizeof(file)) == 0, "out was written");
}

Test(keyfile, a_zero_byte_is_no_end)
{
	static const char text[] = "active " A "\0\n";
	struct sw_keyfile file;

	cr_expect_eq(sw_keyfile_parse("k", text, sizeof(text) - 1, &file, NULL, 0), -EINVAL,
		     "text after a zero byte was skipped");
}

Test(keyfile, every_prefix_is_refused)
{
	static const char text[] = "active " A;
	struct sw_keyfile file;

	for (size_t n = 0; n < sizeof(text) - 1; n++) {
		char *tight = memcpy(malloc(n ? n : 1), text, n);

		cr_expect_eq(sw_keyfile_parse("k", tight, n, &file, NULL, 0), -EINVAL, "cut at %zu",
			     n);
		free(tight);
	}
}

/* A file in a directory of its own. */
static char *write_file(const char *text, size_t len, mode_t mode)
{
	static char path[] = "/tmp/synward-keyfile-XXXXXX";
	const int fd = mkstemp(path);

	cr_assert(fd >= 0 && write(fd, text, len) == (ssize_t)len && fchmod(fd, mode) == 0,
		  "cannot write %s: %s", path, strerror(errno));
	close(fd);
	return path;
}

struct mode_row {
	mode_t mode;
	int want;
	char text[8];
};

ParameterizedTestParameters(keyfile, modes)
{
	static struct mode_row rows[] = {
		{ 0600, 0, "" },	   { 0400, 0, "" },	      { 0700, 0, "" },
		{ 0640, -EINVAL, "0640" }, { 0604, -EINVAL, "0604" }, { 0644, -EINVAL, "0644" },
		{ 0620, -EINVAL, "0620" }, { 0601, -EINVAL, "0601" }, { 0666, -EINVAL, "0666" },
	};
	return cr_make_param_array(struct mode_row, rows, sizeof(rows) / sizeof(rows[0]));
}

ParameterizedTest(struct mode_row *r, keyfile, modes)
{
	static const char text[] = "active " A "\n";
	char *path = write_file(text, sizeof(text) - 1, r->mode), err[200] = "";
	struct sw_masters masters;
	const int rc = sw_keyfile_read(path, &masters, err, sizeof(err));

	unlink(path);
	cr_expect_eq(rc, r->want, "mode %04o: %d, %s", r->mode, rc, err);
	if (r->want == 0)
		cr_expect_eq(masters.n, 1, "%zu keys", masters.n);
	else
		cr_expect(strstr(err, r->text) && strstr(err, "chmod 0600 "), "%s", err);
}

Test(keyfile, not_a_file)
{
	char dir[] = "/tmp/synward-keyfile-XXXXXX", path[64], err[200] = "";
	struct sw_masters masters;

	cr_assert_not_null(mkdtemp(dir), "mkdtemp: %s", strerror(errno));
	snprintf(path, sizeof(path), "%s/k", dir);
	cr_expect_eq(sw_keyfile_read(path, &masters, err, sizeof(err)), -ENOENT, "%s", err);
	cr_expect(strstr(err, "synward secret new"), "%s", err);
	cr_assert_eq(mkfifo(path, 0600), 0, "mkfifo: %s", strerror(errno));
	cr_expect_eq(sw_keyfile_read(path, &masters, err, sizeof(err)), -EINVAL, "%s", err);
	cr_expect(strstr(err, "not a regular file"), "%s", err);
	unlink(path);
	cr_expect_eq(sw_keyfile_read(dir, &masters, err, sizeof(err)), -EINVAL, "%s", err);
	rmdir(dir);
}

/* It is there, so another one is not what is missing. */
Test(keyfile, of_another_user)
{
	static const char text[] = "active " A "\n";
	char *path = write_file(text, sizeof(text) - 1, geteuid() == 0 ? 0600 : 0), err[200] = "";
	char want[200];
	struct sw_masters masters;
	int rc;

	cr_assert(geteuid() != 0 || seteuid(65534) == 0, "seteuid: %s", strerror(errno));
	rc = sw_keyfile_read(path, &masters, err, sizeof(err));
	cr_assert(getuid() != 0 || seteuid(0) == 0, "seteuid: %s", strerror(errno));
	snprintf(want, sizeof(want),
		 "%s: Permission denied; give it to the user that synward runs as: chown USER %s", path,
		 path);
	unlink(path);
	cr_expect_eq(rc, -EACCES, "%d", rc);
	cr_expect_str_eq(err, want);
}

Test(keyfile, too_long)
{
	static char text[SW_KEYFILE_MAX + 1];
	char *path, err[200] = "";
	struct sw_masters masters;

	memset(text, '\n', sizeof(text));
	memcpy(text, "active " A, strlen("active " A));
	path = write_file(text, sizeof(text), 0600);
	cr_expect_eq(sw_keyfile_read(path, &masters, err, sizeof(err)), -EINVAL, "%s", err);
	cr_expect(strstr(err, "longer than"), "%s", err);
	cr_assert_eq(truncate(path, SW_KEYFILE_MAX), 0, "truncate: %s", strerror(errno));
	cr_expect_eq(sw_keyfile_read(path, &masters, err, sizeof(err)), 0, "%s", err);
	unlink(path);
}
