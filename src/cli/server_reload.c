/* SPDX-License-Identifier: MIT */
/* The configuration file, read again while the server runs. */
#include "cli/server_change.h"

#include "listen/keyfile.h"
#include "ops/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define HALF_DONE "the rest was changed, but the key file could not be read again"

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

/* Where the lines about what differs go. */
struct differences {
	struct sw_lines *lines;
	bool only_restart, some;
};

static void on_difference(void *arg, bool restart, const char *line)
{
	struct differences *d = arg;

	if (d->only_restart && !restart)
		return;
	d->some = true;
	sw_line(d->lines, "%s%s", line, d->only_restart ? "; this needs a restart" : "");
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

/* The file was read and found good a moment ago: what fails here has changed since.  One listener's
 * failure does not keep the others from the new keys.
 * @param changed  Set when some listener got other keys.
 * @return 0, or the first failure as -errno. */
static int rekey_all(struct sw_server *sv, struct sw_lines *lines, bool *changed)
{
	char before[100], after[100], err[300];
	struct sw_guarded *g;
	bool told = false;
	int rc = 0;

	LIST_FOREACH(g, &sv->listeners, link) {
		if (!g->lev)
			continue;
		name_keys(g->lev, before, sizeof(before));
		if (synward_listener_reload_key(g->lev, err, sizeof(err)) < 0) {
			const int trouble = errno;

			sw_line(lines, "listener %s keeps its key: %s", g->name,
				err[0] ? err : strerror(trouble));
			rc = rc ? rc : -trouble;
			continue;
		}
		name_keys(g->lev, after, sizeof(after));
		if (told || strcmp(before, after) == 0)
			continue;
		sw_line(lines, "keys %s -> %s", before, after);
		told = *changed = true;
	}
	return rc;
}

static int rekey(struct sw_server *sv, struct sw_lines *lines, bool *changed)
{
	const char *path = sv->settings->key_file;
	struct sw_keyfile file;
	char err[300];
	int rc;

	if (!*path) {
		sw_line(lines, "there is no key file: the key is for this run only");
		return -ENOTSUP;
	}
	rc = sw_keyfile_load(path, &file, err, sizeof(err));
	explicit_bzero(&file, sizeof(file));
	if (rc < 0) {
		sw_line(lines, "%s", err);
		return rc;
	}
	rc = rekey_all(sv, lines, changed);
	if (rc == 0 && lines->len == 0)
		sw_line(lines, "the keys are the same");
	return rc;
}

/* @return whether @to needs a restart, and says why. */
static bool needs_restart(const struct sw_server *sv, const struct sw_settings *to,
			  struct sw_lines *lines)
{
	struct differences d = { .lines = lines, .only_restart = true };

	sw_settings_diff(sv->settings, to, on_difference, &d);
	if (!to->flood.ncommand || sv->commands)
		return d.some;
	sw_line(lines, "flood.command is new; this needs a restart");
	return true;
}

/* Takes @to over.  @return 0 or -errno with nothing changed. */
static int change(struct sw_server *sv, struct sw_settings *to, struct sw_lines *lines)
{
	/* Beside @lines: sw_server_change() frees what the lines are about, or writes its own. */
	char text[SW_CONTROL_TEXT];
	struct sw_lines all = { .text = text, .size = sizeof(text) };
	struct differences d = { .lines = &all };
	int rc = -EINVAL;

	text[0] = '\0';
	if (!needs_restart(sv, to, lines)) {
		sw_settings_diff(sv->settings, to, on_difference, &d);
		rc = -sw_server_change(sv, to, lines);
	}
	if (rc < 0) {
		sw_settings_free(to);
		return rc;
	}
	if (all.len)
		sw_line(lines, "%.*s", (int)all.len - 1, text);
	lines->more += all.more;
	return 0;
}

/* Read the file again and apply it.  @param changed  Set when something was, in spite of a failure.
 * @return 0 or -errno. */
static int try(struct sw_server *sv, struct sw_lines *lines, bool *changed)
{
	struct sw_settings *to;
	bool same_key;
	int rc;

	if (!sv->path)
		return rekey(sv, lines, changed);
	rc = load(sv, &to, lines);
	if (rc < 0)
		return rc;
	same_key = strcmp(sv->settings->key_file, to->key_file) == 0;
	rc = change(sv, to, lines);
	if (rc < 0)
		return rc;
	*changed = lines->len > 0;
	if (same_key && *sv->settings->key_file)
		rc = rekey_all(sv, lines, changed);
	if (lines->len == 0)
		sw_line(lines, "nothing differs");
	return rc;
}

int sw_server_reload(struct sw_server *sv, char *text, size_t size)
{
	struct sw_lines lines = { .text = text, .size = size };
	bool changed = false;
	int rc;

	text[0] = '\0';
	if (sv->phase != SW_PHASE_RUN) {
		sw_line(&lines, "synward is ending");
		return -EALREADY;
	}
	tell_systemd("RELOADING=1");
	rc = try(sv, &lines, &changed);
	if (rc == 0)
		sw_lines_end(&lines, NULL);
	else
		sw_lines_end(&lines, changed ? HALF_DONE : "nothing was changed");
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
	bool changed;
	int rc;

	text[0] = '\0';
	rc = rekey(sv, &lines, &changed);
	sw_lines_end(&lines, NULL);
	return rc;
}
