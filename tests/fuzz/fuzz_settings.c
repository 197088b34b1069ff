/* SPDX-License-Identifier: MIT */
/* The text of a configuration: refused with a place, or printed so that it is read to the same. */
#include "ops/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct sw_settings_look look;

static char *print(const struct sw_settings *s, size_t *len)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, len);

	if (!f)
		abort();
	sw_settings_print(s, f);
	fclose(f);
	return text;
}

static void check_mistakes(const struct sw_mistakes *m)
{
	if (m->n == 0)
		abort();
	for (size_t i = 0; i < m->n; i++) {
		if (m->at[i].text[0] == '\0' || (m->at[i].line == 0) != (m->at[i].column == 0))
			abort();
		if (i && m->at[i].line < m->at[i - 1].line)
			abort();
	}
}

static void check_print(const struct sw_settings *s)
{
	struct sw_mistakes m = { .path = "p" };
	struct sw_settings *again;
	size_t len, len_again;
	char *text = print(s, &len), *text_again;

	if (sw_settings_parse(text, len, &look, &again, &m) != 0)
		abort();
	text_again = print(again, &len_again);
	if (len != len_again || memcmp(text, text_again, len) != 0)
		abort();
	sw_settings_free(again);
	free(text);
	free(text_again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sw_mistakes m = { .path = "f" };
	struct sw_settings *s = NULL;
	const int rc = sw_settings_parse((const char *)data, size, &look, &s, &m);

	if (rc == 0) {
		check_print(s);
		sw_settings_free(s);
	} else {
		check_mistakes(&m);
	}
	sw_mistakes_free(&m);
	return 0;
}
