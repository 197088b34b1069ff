/* SPDX-License-Identifier: MIT */
/*
 * A text becomes a struct in three steps: sw_yaml_read() makes a tree that knows the place of
 * everything; the checks compare the tree with the table and find every mistake; then the tree is
 * written out anew, with defaults filled in and times as numbers, and libcyaml loads that.
 *
 * So libcyaml does what it is good at, filling structs of lists of structs, and is given only what
 * was checked.  Of version 1.3.1 these are the limits behind the first two steps: it stops at the
 * first mistake and mostly tells no place, and has no defaults, ranges or units.
 */
#include "ops/settings.h"

#include "ops/settings_check.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void write_group(FILE *to, const struct sw_group *group, const struct sw_yaml *map);

static void write_scalar(FILE *to, const struct sw_option *o, const char *text)
{
	uint32_t ms = 0;

	switch (o->kind) {
	case SW_OPTION_COUNT:
		fprintf(to, "%lu", strtoul(text, NULL, 10));
		return;
	case SW_OPTION_TIME:
		(void)!sw_time_parse_ms(text, &ms);
		fprintf(to, "%u", ms);
		return;
	case SW_OPTION_FLAG:
		fputs(text, to);
		return;
	default:
		sw_settings_quote(text, to);
		return;
	}
}

static void write_list(FILE *to, const struct sw_option *o, const struct sw_yaml *list)
{
	fputc('[', to);
	for (const struct sw_yaml *item = list ? list->first : NULL; item; item = item->next) {
		if (o->kind == SW_OPTION_GROUPS)
			write_group(to, o->group, item);
		else
			write_scalar(to, o, item->text);
		if (item->next)
			fputs(", ", to);
	}
	fputc(']', to);
}

static void write_value(FILE *to, const struct sw_option *o, const struct sw_yaml *node)
{
	switch (o->kind) {
	case SW_OPTION_GROUP:
		write_group(to, o->group, node);
		return;
	case SW_OPTION_GROUPS:
	case SW_OPTION_ADDRESSES:
	case SW_OPTION_TEXTS:
		write_list(to, o, node);
		return;
	default:
		write_scalar(to, o, node ? node->text : o->dflt);
		return;
	}
}

static void write_group(FILE *to, const struct sw_group *group, const struct sw_yaml *map)
{
	fputc('{', to);
	for (size_t i = 0; i < group->n; i++) {
		const struct sw_option *o = &group->option[i];

		fprintf(to, "%s%s: ", i ? ", " : "", o->key);
		write_value(to, o, map ? sw_yaml_get(map, o->key) : NULL);
	}
	fputc('}', to);
}

/* @return the checked tree as text, which the caller frees, or NULL. */
static char *written_out(const struct sw_yaml *root, size_t *len)
{
	char *text = NULL;
	FILE *to = open_memstream(&text, len);

	if (!to)
		return NULL;
	write_group(to, &sw_settings_schema, root);
	if (fclose(to) == 0)
		return text;
	free(text);
	return NULL;
}

/* libcyaml has nothing to say that the checks have not said. */
static const struct cyaml_config cyaml = {
	.mem_fn = cyaml_mem,
	.flags = CYAML_CFG_NO_ALIAS,
};

static int load_tree(const struct sw_yaml *root, struct sw_settings **out, struct sw_mistakes *m)
{
	cyaml_data_t *loaded = NULL;
	size_t len = 0;
	char *text = written_out(root, &len);
	cyaml_err_t err = CYAML_ERR_OOM;

	if (text)
		err = cyaml_load_data((const uint8_t *)text, len, &cyaml, sw_settings_cyaml(),
				      &loaded, NULL);
	free(text);
	if (err == CYAML_OK) {
		*out = loaded;
		return 0;
	}
	sw_mistake_add(m, 0, 0, "libcyaml: %s", cyaml_strerror(err));
	return err == CYAML_ERR_OOM ? -ENOMEM : -EINVAL;
}

/* A listener without an interface of its own has the one for all. */
static int inherit(struct sw_settings *s)
{
	for (uint32_t i = 0; i < s->nlisteners; i++) {
		char **own = &s->listeners[i].interface;
		char *copy;

		if (**own)
			continue;
		copy = strdup(s->interface);
		if (!copy)
			return -ENOMEM;
		free(*own);
		*own = copy;
	}
	return 0;
}

static int load_checked(struct sw_yaml *root, const struct sw_settings_look *look,
			struct sw_settings **out, struct sw_mistakes *m)
{
	struct sw_settings *s;
	int rc;

	sw_settings_check_shape(root, m);
	sw_settings_check_whole(root, look, m);
	if (m->n || m->more)
		return -EINVAL;
	rc = load_tree(root, &s, m);
	if (rc < 0)
		return rc;
	rc = inherit(s);
	if (rc < 0)
		sw_settings_free(s);
	else
		*out = s;
	return rc;
}

int sw_settings_parse(const char *text, size_t len, const struct sw_settings_look *look,
		      struct sw_settings **out, struct sw_mistakes *mistakes)
{
	struct sw_yaml *root = sw_yaml_read(text, len, mistakes);
	const int rc = root ? load_checked(root, look, out, mistakes) : -EINVAL;

	sw_yaml_free(root);
	sw_mistakes_sort(mistakes);
	return rc;
}

/* @return the bytes of the file, one more than allowed when it is longer, or -errno. */
static ssize_t read_file(int fd, char *text)
{
	size_t len = 0;

	while (len <= SW_YAML_MAX_BYTES) {
		const ssize_t n = read(fd, text + len, SW_YAML_MAX_BYTES + 1 - len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			break;
		len += n > 0 ? (size_t)n : 0;
	}
	return (ssize_t)len;
}

/* @return a descriptor, or -errno with a mistake. */
static int open_file(struct sw_mistakes *m)
{
	/* O_NONBLOCK: a FIFO in the file's place must not hang a running program. */
	const int fd = open(m->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	const int rc = fd < 0 || fstat(fd, &st) < 0 ? -errno : 0;

	if (rc < 0)
		sw_mistake_add(m, 0, 0, "cannot be opened: %s; give the path of a configuration file",
			       strerror(-rc));
	else if (!S_ISREG(st.st_mode))
		sw_mistake_add(m, 0, 0, "not a regular file; give the path of a configuration file");
	if (m->n && fd >= 0)
		close(fd);
	return m->n ? (rc ? rc : -EINVAL) : fd;
}

int sw_settings_load(const struct sw_settings_look *look, struct sw_settings **out,
		     struct sw_mistakes *mistakes)
{
	char *text;
	ssize_t len;
	int rc;
	const int fd = open_file(mistakes);

	if (fd < 0)
		return fd;
	text = malloc(SW_YAML_MAX_BYTES + 1);
	len = text ? read_file(fd, text) : -ENOMEM;
	rc = (int)len;
	if (len < 0)
		sw_mistake_add(mistakes, 0, 0, "cannot be read: %s", strerror(-rc));
	else
		rc = sw_settings_parse(text, (size_t)len, look, out, mistakes);
	free(text);
	close(fd);
	return rc;
}

void sw_settings_free(struct sw_settings *s)
{
	cyaml_free(&cyaml, sw_settings_cyaml(), s, 0);
}

const struct sw_listener_settings *sw_settings_listener(const struct sw_settings *s,
							const char *name)
{
	for (uint32_t i = 0; i < s->nlisteners; i++)
		if (strcmp(s->listeners[i].name, name) == 0)
			return &s->listeners[i];
	return NULL;
}

const struct sw_pool_settings *sw_settings_pool(const struct sw_settings *s, const char *name)
{
	for (uint32_t i = 0; i < s->npools; i++)
		if (strcmp(s->pools[i].name, name) == 0)
			return &s->pools[i];
	return NULL;
}
