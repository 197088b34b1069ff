/* SPDX-License-Identifier: MIT */
#include "ops/keyedit.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <string.h>

#define A "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define B "ff00000000000000000000000000000000000000000000000000000000000000"
#define C "1111111111111111111111111111111111111111111111111111111111111111"

static const uint8_t key_c[SW_KEY_LEN] = "\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11"
					 "\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11"
					 "\x11\x11\x11\x11";

static struct sw_keytext text_of(const char *s)
{
	struct sw_keytext t = { .len = strlen(s) };

	memcpy(t.text, s, t.len);
	return t;
}

struct row {
	enum sw_keyedit_verb verb;
	enum sw_key_slot slot;
	char in[400];
	char out[400]; /* or what the error says */
	int rc;
};

static int apply(const struct row *row, struct sw_keytext *out, char *err, size_t errlen)
{
	const struct sw_keyedit edit = { row->verb, row->slot, key_c, "test" };
	const struct sw_keytext in = text_of(row->in);

	return sw_keyedit(&edit, "k", &in, out, err, errlen);
}

ParameterizedTestParameters(keyedit, rows)
{
	/* The fingerprint of C by another implementation: printf 'synward fingerprint v1' |
	 * openssl mac -digest SHA256 -macopt hexkey:1111... HMAC */
	static struct row rows[] = {
		{ SW_EDIT_STAGE, 0, "active " A "\n",
		  "active " A "\nstaged " C " # 4e6f57c2, test\n", 0 },
		{ SW_EDIT_STAGE, 0, "# no newline at the end\nactive " A,
		  "# no newline at the end\nactive " A "\nstaged " C " # 4e6f57c2, test\n", 0 },
		{ SW_EDIT_STAGE, 0, "active " A "\nretired " B "\n",
		  "active " A "\nretired " B "\nstaged " C " # 4e6f57c2, test\n", 0 },
		{ SW_EDIT_ACTIVATE, 0, "# head\nactive " A " # one\n\n  staged\t" B " # two\n",
		  "# head\nretired " A " # one\n\n  active\t" B " # two\n", 0 },
		{ SW_EDIT_ACTIVATE, 0, "staged " B "\nactive " A "\r\n",
		  "active " B "\nretired " A "\r\n", 0 },
		{ SW_EDIT_DROP, SW_KEY_RETIRED, "active " A "\nretired " B " # old\n# retired " C "\n",
		  "active " A "\n# retired " C "\n", 0 },
		{ SW_EDIT_DROP, SW_KEY_STAGED, "staged " B "\nactive " A "\n", "active " A "\n", 0 },
		/* what makes no sense */
		{ SW_EDIT_STAGE, 0, "active " A "\nstaged " B "\n", "a key is staged already: ", -EPERM },
		{ SW_EDIT_STAGE, 0, "active " C "\n", "4e6f57c2 is there already, as active", -EPERM },
		{ SW_EDIT_STAGE, 0, "active " A "\nretired " C "\n", "is there already, as retired",
		  -EPERM },
		{ SW_EDIT_ACTIVATE, 0, "active " A "\n", "no key is staged; begin with", -EPERM },
		{ SW_EDIT_ACTIVATE, 0, "active " A "\nstaged " B "\nretired " C "\n",
		  "the place of the retired key is taken", -EPERM },
		{ SW_EDIT_DROP, SW_KEY_ACTIVE, "active " A "\nretired " B "\n",
		  "stage and activate another first", -EPERM },
		{ SW_EDIT_DROP, SW_KEY_RETIRED, "active " A "\n", "there is no retired key", -EPERM },
		{ SW_EDIT_DROP, SW_KEY_STAGED, "active " A "\n", "there is no staged key", -EPERM },
		/* what is no key file */
		{ SW_EDIT_STAGE, 0, "", "no active key", -EINVAL },
		{ SW_EDIT_ACTIVATE, 0, "active " A "\nstagedd " B "\n", "k:2:1: unknown slot", -EINVAL },
	};

	return cr_make_param_array(struct row, rows, sizeof(rows) / sizeof(rows[0]));
}

ParameterizedTest(struct row *row, keyedit, rows)
{
	struct sw_keytext out = { .len = 0 };
	char err[256] = "";
	const int rc = apply(row, &out, err, sizeof(err));

	cr_assert_eq(rc, row->rc, "%s: %d, %s", row->in, rc, err);
	if (rc)
		cr_assert_not_null(strstr(err, row->out), "%s: said: %s", row->in, err);
	else
		cr_assert(out.len == strlen(row->out) && !memcmp(out.text, row->out, out.len),
			  "%s became %.*s", row->in, (int)out.len, out.text);
}

static void no_digits_of(const char *err, const char *key)
{
	char part[9] = "";

	for (size_t i = 0; i + 8 <= strlen(key); i++) {
		memcpy(part, key + i, 8);
		cr_assert_null(strstr(err, part), "key digits in: %s", err);
	}
}

Test(keyedit, errors_hold_no_key)
{
	struct sw_keytext out;
	char err[256] = "";
	const struct row rows[] = {
		{ SW_EDIT_STAGE, 0, "active " C "\n", "", 0 },
		{ SW_EDIT_STAGE, 0, "active " A "\nstaged " B "\n", "", 0 },
		{ SW_EDIT_ACTIVATE, 0, "active " A "\n", "", 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_assert_lt(apply(&rows[i], &out, err, sizeof(err)), 0, "row %zu", i);
		no_digits_of(err, A);
		no_digits_of(err, C);
	}
}

Test(keyedit, what_does_not_fit_is_refused)
{
	const struct sw_keyedit stage = { SW_EDIT_STAGE, 0, key_c, "test" };
	struct sw_keytext in = text_of("active " A "\n#"), out;
	char err[256] = "";

	memset(in.text + in.len, 'x', SW_KEYFILE_MAX - in.len);
	in.len = SW_KEYFILE_MAX;
	cr_assert_eq(sw_keyedit(&stage, "k", &in, &out, err, sizeof(err)), -EFBIG, "%s", err);
	cr_assert_not_null(strstr(err, "4096 bytes"), "%s", err);
	/* Exactly full is fine: the line with its newline, and one newline before it. */
	in.len = SW_KEYFILE_MAX - strlen("\nstaged " C " # 4e6f57c2, test\n");
	cr_assert_eq(sw_keyedit(&stage, "k", &in, &out, err, sizeof(err)), 0, "%s", err);
	cr_assert_eq(out.len, SW_KEYFILE_MAX, "%zu", out.len);
}

/* The whole life of a key: nothing but the words and the new line change. */
Test(keyedit, rotation)
{
	const struct sw_keyedit stage = { SW_EDIT_STAGE, 0, key_c, "test" },
				activate = { SW_EDIT_ACTIVATE, 0, NULL, NULL },
				drop = { SW_EDIT_DROP, SW_KEY_RETIRED, NULL, NULL };
	struct sw_keytext a = text_of("# mine\nactive " A "\n"), b, c, d;
	char err[256];

	cr_assert_eq(sw_keyedit(&stage, "k", &a, &b, err, sizeof(err)), 0, "%s", err);
	cr_assert_eq(sw_keyedit(&activate, "k", &b, &c, err, sizeof(err)), 0, "%s", err);
	cr_assert_eq(sw_keyedit(&drop, "k", &c, &d, err, sizeof(err)), 0, "%s", err);
	cr_assert(d.len == strlen("# mine\nactive " C " # 4e6f57c2, test\n") &&
			  !memcmp(d.text, "# mine\nactive " C " # 4e6f57c2, test\n", d.len),
		  "%.*s", (int)d.len, d.text);
}
