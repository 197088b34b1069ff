/* SPDX-License-Identifier: MIT */
/* Settings as YAML, and what differs between two. */
#include "ops/settings_check.h"
#include "ops/utf8.h"

#include <stdlib.h>
#include <string.h>

#define VALUE_LEN 512
#define LINE_LEN  1200
#define PATH_LEN  128

static uint32_t u32_at(const void *base, uint32_t offset)
{
	uint32_t v;

	memcpy(&v, (const char *)base + offset, sizeof(v));
	return v;
}

static const void *pointer_at(const void *base, uint32_t offset)
{
	const void *p;

	memcpy(&p, (const char *)base + offset, sizeof(p));
	return p;
}

static bool flag_at(const void *base, uint32_t offset)
{
	bool v;

	memcpy(&v, (const char *)base + offset, sizeof(v));
	return v;
}

static const char *word_at(const struct sw_option *o, const void *base)
{
	const uint32_t value = u32_at(base, o->offset);

	for (uint32_t i = 0; i < o->nwords; i++)
		if ((uint32_t)o->words[i].val == value)
			return o->words[i].str;
	return "?";
}

void sw_settings_quote(const char *text, FILE *to)
{
	const char *const end = text + strlen(text);

	fputc('"', to);
	for (size_t n; text < end; text += n) {
		uint32_t ch = 0;

		n = sw_utf8_next(text, (size_t)(end - text), &ch);
		if (n == 0)
			n = 1;
		else if (ch == '"' || ch == '\\')
			fprintf(to, "\\%c", (int)ch);
		else if (ch >= 0x20 && ch < 0x7f)
			fputc((int)ch, to);
		else
			fprintf(to, "\\U%08x", ch);
	}
	fputc('"', to);
}

static void print_text(const struct sw_option *o, const char *text, FILE *to)
{
	if (o->kind == SW_OPTION_NAME && *text)
		fputs(text, to);
	else
		sw_settings_quote(text, to);
}

static void print_texts(const struct sw_option *o, const void *base, FILE *to)
{
	const char *const *text = pointer_at(base, o->offset);
	const uint32_t n = u32_at(base, o->count_offset);

	fputc('[', to);
	for (uint32_t i = 0; i < n; i++) {
		fputs(i ? ", " : "", to);
		sw_settings_quote(text[i], to);
	}
	fputc(']', to);
}

/* A value in one line. */
static void print_value(const struct sw_option *o, const void *base, FILE *to)
{
	char time[SW_TIME_STRLEN];

	switch (o->kind) {
	case SW_OPTION_COUNT:
		fprintf(to, "%u", u32_at(base, o->offset));
		break;
	case SW_OPTION_TIME:
		fputs(sw_time_str_ms(u32_at(base, o->offset), time), to);
		break;
	case SW_OPTION_FLAG:
		fputs(flag_at(base, o->offset) ? "true" : "false", to);
		break;
	case SW_OPTION_WORD:
		fputs(word_at(o, base), to);
		break;
	case SW_OPTION_ADDRESSES:
	case SW_OPTION_TEXTS:
		print_texts(o, base, to);
		break;
	default:
		print_text(o, pointer_at(base, o->offset), to);
		break;
	}
}

static void indent(FILE *to, unsigned by)
{
	fprintf(to, "%*s", (int)by, "");
}

static void print_group(const struct sw_group *group, const void *base, FILE *to, unsigned by,
			bool dashed);

static void print_groups(const struct sw_option *o, const void *base, FILE *to, unsigned by)
{
	const char *item = pointer_at(base, o->offset);
	const uint32_t n = u32_at(base, o->count_offset);

	fputs(n ? "\n" : " []\n", to);
	for (uint32_t i = 0; i < n; i++)
		print_group(o->group, item + i * o->group->size, to, by + 4, true);
}

/* @param dashed  The first line begins with a dash in front of its key: an item of a list. */
static void print_group(const struct sw_group *group, const void *base, FILE *to, unsigned by,
			bool dashed)
{
	for (size_t i = 0; i < group->n; i++) {
		const struct sw_option *o = &group->option[i];

		indent(to, dashed && i == 0 ? by - 2 : by);
		fprintf(to, "%s%s:", dashed && i == 0 ? "- " : "", o->key);
		if (o->kind == SW_OPTION_GROUP) {
			fputc('\n', to);
			print_group(o->group, (const char *)base + o->offset, to, by + 2, false);
		} else if (o->kind == SW_OPTION_GROUPS) {
			print_groups(o, base, to, by);
		} else {
			fputc(' ', to);
			print_value(o, base, to);
			fputc('\n', to);
		}
	}
}

void sw_settings_print(const struct sw_settings *s, FILE *to)
{
	print_group(&sw_settings_schema, s, to, 0, false);
}

/* ---- differences ---- */

/* Where differences go, and how many there were. */
struct teller {
	void (*say)(void *arg, bool restart, const char *line);
	void *arg;
	size_t n;
};

static void value_text(const struct sw_option *o, const void *base, char out[VALUE_LEN])
{
	/* The last byte stays zero when the value is longer. */
	FILE *to = fmemopen(out, VALUE_LEN - 1, "w");

	memset(out, 0, VALUE_LEN);
	if (!to)
		return;
	print_value(o, base, to);
	fclose(to);
}

static void tell(struct teller *t, bool restart, const char *path, const char *what)
{
	char line[LINE_LEN];

	snprintf(line, sizeof(line), "%s%s", path, what);
	t->say(t->arg, restart, line);
	t->n++;
}

static void diff_value(const struct sw_option *o, const void *a, const void *b, const char *path,
		       struct teller *t)
{
	char from[VALUE_LEN], to[VALUE_LEN], what[LINE_LEN];

	value_text(o, a, from);
	value_text(o, b, to);
	if (strcmp(from, to) == 0)
		return;
	snprintf(what, sizeof(what), "%s %s -> %s", o->key, from, to);
	tell(t, o->change == SW_CHANGE_RESTART, path, what);
}

static void diff_group(const struct sw_group *group, const void *a, const void *b,
		       const char *path, struct teller *t);

/* The item of that name in a list of named groups, or NULL.  Names come first in their struct. */
static const void *named(const struct sw_option *o, const void *base, const char *name)
{
	const char *item = pointer_at(base, o->offset);
	const uint32_t n = u32_at(base, o->count_offset);
	const uint32_t name_at = sw_option_find(o->group, "name")->offset;

	for (uint32_t i = 0; i < n; i++, item += o->group->size)
		if (strcmp(pointer_at(item, name_at), name) == 0)
			return item;
	return NULL;
}

/* "listener web: " or "pool app: " */
static void item_path(const struct sw_option *o, const char *name, char out[PATH_LEN])
{
	snprintf(out, PATH_LEN, "%s %.*s: ", o->group->noun, SW_NAME_MAX, name);
}

static void diff_groups(const struct sw_option *o, const void *a, const void *b, struct teller *t)
{
	const uint32_t name_at = sw_option_find(o->group, "name")->offset;
	const char *item = pointer_at(a, o->offset);
	char path[PATH_LEN];

	for (uint32_t i = u32_at(a, o->count_offset); i > 0; i--, item += o->group->size) {
		const char *name = pointer_at(item, name_at);
		const void *other = named(o, b, name);

		item_path(o, name, path);
		if (other)
			diff_group(o->group, item, other, path, t);
		else
			tell(t, false, path, "removed");
	}
	item = pointer_at(b, o->offset);
	for (uint32_t i = u32_at(b, o->count_offset); i > 0; i--, item += o->group->size) {
		const char *name = pointer_at(item, name_at);

		item_path(o, name, path);
		if (!named(o, a, name))
			tell(t, false, path, "added");
	}
}

static void diff_group(const struct sw_group *group, const void *a, const void *b,
		       const char *path, struct teller *t)
{
	for (size_t i = 0; i < group->n; i++) {
		const struct sw_option *o = &group->option[i];
		char inner[PATH_LEN];

		if (o->kind == SW_OPTION_GROUP) {
			snprintf(inner, sizeof(inner), "%.90s%s.", path, o->key);
			diff_group(o->group, (const char *)a + o->offset,
				   (const char *)b + o->offset, inner, t);
		} else if (o->kind == SW_OPTION_GROUPS) {
			diff_groups(o, a, b, t);
		} else {
			diff_value(o, a, b, path, t);
		}
	}
}

size_t sw_settings_diff(const struct sw_settings *from, const struct sw_settings *to,
			void (*say)(void *arg, bool restart, const char *line), void *arg)
{
	struct teller t = { say, arg, 0 };

	diff_group(&sw_settings_schema, from, to, "", &t);
	return t.n;
}

static void say_nothing(void *arg, bool restart, const char *line)
{
	(void)arg, (void)restart, (void)line;
}

bool sw_settings_same_pool(const struct sw_pool_settings *a, const struct sw_pool_settings *b)
{
	struct teller t = { say_nothing, NULL, 0 };

	diff_group(sw_option_find(&sw_settings_schema, "pools")->group, a, b, "", &t);
	return t.n == 0;
}
