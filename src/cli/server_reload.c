/* SPDX-License-Identifier: MIT */
/* The configuration file, read again while the server runs. */
#include "cli/server_change.h"

#include "listen/keyfile.h"
#include "ops/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void tell(const char *what, const char *text, bool wrong)
{
	for (const char *line = text; *line;) {
		const int n = (int)strcspn(line, "\n");

		if (wrong)
			sw_error("%s: %.*s", what, n, line);
		else
			sw_info("%s: %.*s", what, n, line);
		line += n + (line[n] == '\n');
	}
}

static void tell_systemd(const char *state)
{
	char text[80];

	snprintf(text, sizeof(text), "%s\nMONOTONIC_USEC=%" PRIu64, state,
		 sw_server_mono().ns / 1000);
	(void)sw_notify(text);
}

/* What differs, collected. */
struct differences {
	struct sw_lines all, restart;
	char all_text[SW_CONTROL_TEXT], restart_text[SW_CONTROL_TEXT];
};

static void on_difference(void *arg, bool restart, const char *line)
{
	struct differences *d = arg;

	sw_line(&d->all, "%s", line);
	if (restart)
		sw_line(&d->restart, "%s; this needs a restart", line);
}

static void list_mistakes(const struct sw_mistakes *m, struct sw_lines *lines)
{
	char line[SW_MISTAKE_LEN + 4200];

	for (size_t i = 0; i < m->n; i++)
		sw_line(lines, "%s", sw_mistake_str(m, i, line, sizeof(line)));
	if (m->more)
		sw_line(lines, "%s: %zu more mistakes; mend these first", m->path, m->more);
}

static int load(const struct sw_server *sv, struct sw_settings **out, struct sw_lines *lines)
{
	const struct sw_settings_look look = { .key_file = true };
	struct sw_mistakes mistakes = { .path = sv->path };
	const int rc = sw_settings_load(&look, out, &mistakes);

	if (rc < 0)
		list_mistakes(&mistakes, lines);
	sw_mistakes_free(&mistakes);
	return rc == 0 || rc == -ENOMEM ? rc : -EINVAL;
}

static void name_keys(const struct synward_listener *lev, char *out, size_t size)
{
	struct synward_key key[SYNWARD_MAX_KEYS];
	const unsigned n = synward_listener_get_keys(lev, key);
	size_t at = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < n && at < size; i++)
		at += (size_t)snprintf(out + at, size - at, "%s%s %s", i ? ", " : "", key[i].slot,
				       key[i].fingerprint);
}

/* The file was read and found good a moment ago: what fails here has changed since.
 * @return 0 or -errno. */
static int rekey_all(struct sw_server *sv, struct sw_lines *lines)
{
	char before[100] = "", after[100] = "", err[300];
	struct sw_guarded *g;

	LIST_FOREACH(g, &sv->listeners, link) {
		if (!g->lev)
			continue;
		if (!before[0])
			name_keys(g->lev, before, sizeof(before));
		if (synward_listener_reload_key(g->lev, err, sizeof(err)) < 0) {
			const int rc = -errno;

			sw_line(lines, "listener %s keeps its key: %s", g->name,
				err[0] ? err : strerror(-rc));
			return rc;
		}
		if (!after[0])
			name_keys(g->lev, after, sizeof(after));
	}
	if (strcmp(before, after) != 0)
		sw_line(lines, "keys %s -> %s", before, after);
	return 0;
}

/* Takes @to over.  @return 0 or -errno. */
static int apply(struct sw_server *sv, struct sw_settings *to, struct sw_lines *lines)
{
	struct differences d = { .all_text = "", .restart_text = "" };
	const bool same_key = strcmp(sv->settings->key_file, to->key_file) == 0;
	int rc;

	d.all = (struct sw_lines){ .text = d.all_text, .size = sizeof(d.all_text) };
	d.restart = (struct sw_lines){ .text = d.restart_text, .size = sizeof(d.restart_text) };
	sw_settings_diff(sv->settings, to, on_difference, &d);
	if (to->flood.ncommand && !sv->commands)
		sw_line(&d.restart, "flood.command is new; this needs a restart");
	if (d.restart.len) {
		sw_line(lines, "%.*s", (int)d.restart.len - 1, d.restart_text);
		sw_settings_free(to);
		return -EINVAL;
	}
	rc = sw_server_change(sv, to, lines);
	if (rc) {
		sw_settings_free(to);
		return -rc;
	}
	if (d.all.len)
		sw_line(lines, "%.*s", (int)d.all.len - 1, d.all_text);
	if (same_key && *sv->settings->key_file)
		rc = rekey_all(sv, lines);
	if (lines->len == 0)
		sw_line(lines, "nothing differs");
	return rc;
}

static int try(struct sw_server *sv, struct sw_lines *lines)
{
	struct sw_settings *to;
	int rc;

	if (!sv->path)
		return sw_server_rekey(sv, lines->text, lines->size);
	rc = load(sv, &to, lines);
	return rc < 0 ? rc : apply(sv, to, lines);
}

int sw_server_reload(struct sw_server *sv, char *text, size_t size)
{
	struct sw_lines lines = { .text = text, .size = size };
	int rc;

	text[0] = '\0';
	if (sv->phase != SW_PHASE_RUN) {
		sw_line(&lines, "synward is ending");
		return -EALREADY;
	}
	tell_systemd("RELOADING=1");
	rc = try(sv, &lines);
	lines.len = strlen(text);
	if (rc < 0)
		sw_line(&lines, "nothing was changed");
	tell("reload", text, rc < 0);
	sv->reload_ok = rc == 0;
	if (rc == 0) {
		sv->reloads++;
		sv->reloaded = sw_server_wall();
	}
	if (sv->http)
		sw_http_event(sv->http, "reload", "", rc < 0 ? "failed" : "applied");
	(void)sw_notify("READY=1");
	return rc;
}

int sw_server_rekey(struct sw_server *sv, char *text, size_t size)
{
	struct sw_lines lines = { .text = text, .size = size };
	const char *path = sv->settings->key_file;
	struct sw_keyfile file;
	char err[300];
	int rc;

	text[0] = '\0';
	if (!*path) {
		sw_line(&lines, "there is no key file: the key is for this run only");
		return -ENOTSUP;
	}
	rc = sw_keyfile_load(path, &file, err, sizeof(err));
	explicit_bzero(&file, sizeof(file));
	if (rc < 0) {
		sw_line(&lines, "%s", err);
		return rc;
	}
	rc = rekey_all(sv, &lines);
	if (rc == 0 && lines.len == 0)
		sw_line(&lines, "the keys are the same");
	return rc;
}
