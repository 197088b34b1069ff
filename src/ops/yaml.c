/* SPDX-License-Identifier: MIT */
#include "ops/yaml.h"

#include "ops/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define BOM	 "\xef\xbb\xbf"
#define BARE_IP6 "an IPv6 address without quotes; write \"[2001:db8::1]:443\""

/* A text on its way to a tree. */
struct reader {
	const char *text;
	size_t len;
	yaml_parser_t parser;
	struct sw_mistakes *mistakes;
	struct sw_yaml *root;
	struct sw_yaml *open[SW_YAML_MAX_DEPTH]; /* lists and maps that have not ended */
	unsigned depth;
	size_t nodes;
	char *key; /* owned; read, its value comes next */
	unsigned key_line, key_column;
	bool failed;
};

static bool fail_at(struct reader *r, unsigned line, unsigned column, const char *what)
{
	sw_mistake_add(r->mistakes, line, column, "%s", what);
	r->failed = true;
	return false;
}

static bool fail(struct reader *r, yaml_mark_t mark, const char *what)
{
	return fail_at(r, (unsigned)mark.line + 1, (unsigned)mark.column + 1, what);
}

/* What YAML 1.1 lets into a stream, section 5.1: libyaml tells no place for the rest. */
static bool is_allowed(uint32_t ch)
{
	return ch == '\t' || ch == '\n' || ch == '\r' || (ch >= 0x20 && ch <= 0x7e) || ch == 0x85 ||
	       (ch >= 0xa0 && ch <= 0xfffd && ch != 0xfeff) || ch >= 0x10000;
}

static bool check_characters(struct reader *r)
{
	unsigned line = 1, column = 1;

	for (size_t i = 0, n; i < r->len; i += n) {
		uint32_t ch = 0;

		n = sw_utf8_next(r->text + i, r->len - i, &ch);
		if (n == 0)
			return fail_at(r, line, column,
				       "not UTF-8; save the file in UTF-8 encoding");
		if (!is_allowed(ch))
			return fail_at(r, line, column,
				       "a control character; a configuration is plain text");
		column = ch == '\n' ? 1 : column + 1;
		line += ch == '\n';
	}
	return true;
}

/* The start of a line, counted from 0. */
static const char *line_start(const struct reader *r, size_t line)
{
	const char *p = r->text, *const end = r->text + r->len;

	while (line-- && p) {
		p = memchr(p, '\n', (size_t)(end - p));
		p = p ? p + 1 : NULL;
	}
	return p ? p : end;
}

/* @return the column, from 1, of a tab in the indentation of a line counted from 0, or 0. */
static unsigned tab_in_indent(const struct reader *r, size_t line)
{
	const char *const end = r->text + r->len, *const start = line_start(r, line);

	for (const char *p = start; p < end && (*p == ' ' || *p == '\t'); p++)
		if (*p == '\t')
			return (unsigned)(p - start) + 1;
	return 0;
}

/* Behind the text in quotes that begins at @p, or the end of the line. */
static const char *skip_quoted(const char *p, const char *end)
{
	const char quote = *p++;

	while (p < end && *p != quote && *p != '\n')
		p++;
	return p < end && *p == quote ? p + 1 : p;
}

/* An IPv6 address without quotes is a list to YAML.  @return whether the line, counted from 0, has
 * "[...:...]:". */
static bool has_bare_ip6(const struct reader *r, size_t line)
{
	const char *p = line_start(r, line), *const end = r->text + r->len;
	bool colon = false, open = false;

	while (p + 1 < end && *p != '\n') {
		if (*p == '"' || *p == '\'') {
			p = skip_quoted(p, end);
			continue;
		}
		if (*p == '[') {
			open = true;
			colon = false;
		}
		colon = colon || (open && *p == ':');
		if (*p == ']' && colon && p[1] == ':')
			return true;
		p++;
	}
	return false;
}

static bool fail_syntax(struct reader *r)
{
	const yaml_parser_t *p = &r->parser;
	const yaml_mark_t at = p->problem_mark;
	const unsigned tab = tab_in_indent(r, at.line);
	char what[SW_MISTAKE_LEN];

	if (p->error == YAML_MEMORY_ERROR)
		return fail_at(r, 0, 0, "out of memory");
	if (tab)
		return fail_at(r, (unsigned)at.line + 1, tab, "a tab; indent with spaces");
	if (has_bare_ip6(r, at.line) || has_bare_ip6(r, p->context_mark.line))
		return fail(r, at, BARE_IP6);
	snprintf(what, sizeof(what), "not YAML: %s%s%s; check indentation, colons and quotes above",
		 p->problem ? p->problem : "unreadable", p->context ? " " : "",
		 p->context ? p->context : "");
	return fail(r, at, what);
}

static char *copy_text(const yaml_event_t *e)
{
	const size_t n = e->data.scalar.length;
	char *text = malloc(n + 1);

	if (text) {
		memcpy(text, e->data.scalar.value, n);
		text[n] = '\0';
	}
	return text;
}

/* Hang a new value under its parent. */
static void attach(struct reader *r, struct sw_yaml *node)
{
	struct sw_yaml *parent = r->depth ? r->open[r->depth - 1] : NULL;

	if (!parent) {
		r->root = node;
		return;
	}
	if (parent->last)
		parent->last->next = node;
	else
		parent->first = node;
	parent->last = node;
	parent->count++;
}

static struct sw_yaml *new_node(struct reader *r, const yaml_event_t *e, enum sw_yaml_kind kind)
{
	struct sw_yaml *node;

	if (++r->nodes > SW_YAML_MAX_NODES) {
		fail(r, e->start_mark, "too many values; a configuration has at most 20000");
		return NULL;
	}
	node = calloc(1, sizeof(*node));
	if (!node) {
		fail_at(r, 0, 0, "out of memory");
		return NULL;
	}
	node->kind = kind;
	node->line = (unsigned)e->start_mark.line + 1;
	node->column = (unsigned)e->start_mark.column + 1;
	node->key = r->key;
	node->key_line = r->key_line;
	node->key_column = r->key_column;
	r->key = NULL;
	attach(r, node);
	return node;
}

static bool wants_key(const struct reader *r)
{
	return r->depth && r->open[r->depth - 1]->kind == SW_YAML_MAP && !r->key;
}

static bool on_key(struct reader *r, const yaml_event_t *e, char *text)
{
	const struct sw_yaml *const map = r->open[r->depth - 1];
	const struct sw_yaml *same = sw_yaml_get(map, text);

	r->key = text;
	r->key_line = (unsigned)e->start_mark.line + 1;
	r->key_column = (unsigned)e->start_mark.column + 1;
	if (same)
		sw_mistake_add(r->mistakes, r->key_line, r->key_column,
			       "%.60s is given twice, first on line %u; keep one", text,
			       same->key_line);
	if (map->count == SW_YAML_MAX_KEYS)
		return fail(r, e->start_mark, "too many keys; no map here has that many");
	return true;
}

static bool on_scalar(struct reader *r, const yaml_event_t *e)
{
	struct sw_yaml *node;
	char *text;

	if (memchr(e->data.scalar.value, 0, e->data.scalar.length))
		return fail(r, e->start_mark, "a zero byte in the text; take the \\0 out");
	text = copy_text(e);
	if (!text)
		return fail_at(r, 0, 0, "out of memory");
	if (wants_key(r))
		return on_key(r, e, text);
	node = new_node(r, e, SW_YAML_TEXT);
	if (!node) {
		free(text);
		return false;
	}
	node->text = text;
	node->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	return true;
}

static bool on_open(struct reader *r, const yaml_event_t *e, enum sw_yaml_kind kind)
{
	struct sw_yaml *node;

	if (wants_key(r))
		return fail(r, e->start_mark, has_bare_ip6(r, e->start_mark.line) ?
						      BARE_IP6 :
						      "a list or map in place of a key; a key is "
						      "a word");
	if (r->depth == SW_YAML_MAX_DEPTH)
		return fail(r, e->start_mark, "nested too deep; a configuration has at most 4 levels");
	node = new_node(r, e, kind);
	if (node)
		r->open[r->depth++] = node;
	return node != NULL;
}

static bool has_anchor(const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_SCALAR_EVENT:
		return e->data.scalar.anchor != NULL;
	case YAML_SEQUENCE_START_EVENT:
		return e->data.sequence_start.anchor != NULL;
	case YAML_MAPPING_START_EVENT:
		return e->data.mapping_start.anchor != NULL;
	default:
		return false;
	}
}

static bool has_tag(const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_SCALAR_EVENT:
		return e->data.scalar.tag != NULL;
	case YAML_SEQUENCE_START_EVENT:
		return e->data.sequence_start.tag != NULL;
	case YAML_MAPPING_START_EVENT:
		return e->data.mapping_start.tag != NULL;
	default:
		return false;
	}
}

/* @return whether to go on. */
static bool on_event(struct reader *r, const yaml_event_t *e)
{
	if (has_anchor(e))
		return fail(r, e->start_mark, "an anchor (&); write the value out where it is used");
	if (has_tag(e))
		return fail(r, e->start_mark, "a type tag (!); write the plain value");
	switch (e->type) {
	case YAML_SCALAR_EVENT:
		return on_scalar(r, e);
	case YAML_SEQUENCE_START_EVENT:
		return on_open(r, e, SW_YAML_LIST);
	case YAML_MAPPING_START_EVENT:
		return on_open(r, e, SW_YAML_MAP);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		r->depth--;
		return true;
	case YAML_ALIAS_EVENT:
		return fail(r, e->start_mark, "an alias (*); write the value out");
	case YAML_DOCUMENT_START_EVENT:
		return !r->root || fail(r, e->start_mark, "a second document; a configuration is "
							  "one, take the --- out");
	default:
		return true;
	}
}

static void read_events(struct reader *r)
{
	bool more = true;

	while (more) {
		yaml_event_t e;

		if (!yaml_parser_parse(&r->parser, &e)) {
			fail_syntax(r);
			return;
		}
		more = on_event(r, &e) && e.type != YAML_STREAM_END_EVENT;
		yaml_event_delete(&e);
	}
}

static void skip_bom(struct reader *r)
{
	const size_t n = strlen(BOM);

	if (r->len >= n && memcmp(r->text, BOM, n) == 0) {
		r->text += n;
		r->len -= n;
	}
}

struct sw_yaml *sw_yaml_read(const char *text, size_t len, struct sw_mistakes *mistakes)
{
	struct reader r = { .text = text, .len = len, .mistakes = mistakes };

	if (len > SW_YAML_MAX_BYTES) {
		sw_mistake_add(mistakes, 0, 0, "larger than 256 KiB; a configuration is smaller");
		return NULL;
	}
	skip_bom(&r);
	if (!check_characters(&r))
		return NULL;
	if (!yaml_parser_initialize(&r.parser)) {
		sw_mistake_add(mistakes, 0, 0, "out of memory");
		return NULL;
	}
	/* Said explicitly, so that libyaml does not guess from the first bytes. */
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)r.text, r.len);
	read_events(&r);
	yaml_parser_delete(&r.parser);
	free(r.key);
	if (!r.failed && !r.root)
		fail_at(&r, 1, 1, "empty; a configuration has listeners, see synward.yaml(5)");
	if (r.failed) {
		sw_yaml_free(r.root);
		return NULL;
	}
	return r.root;
}

/* Without recursion: the children of a node are moved behind it before it goes. */
void sw_yaml_free(struct sw_yaml *root)
{
	while (root) {
		struct sw_yaml *next = root->next;

		if (root->first) {
			root->last->next = next;
			next = root->first;
		}
		free(root->text);
		free(root->key);
		free(root);
		root = next;
	}
}

struct sw_yaml *sw_yaml_get(const struct sw_yaml *map, const char *key)
{
	struct sw_yaml *value;

	if (!map || map->kind != SW_YAML_MAP)
		return NULL;
	for (value = map->first; value && strcmp(value->key, key) != 0;)
		value = value->next;
	return value;
}
