/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"
#include "ops/keystore.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define KEY_FILE "/etc/synward/secret.key"

static const char help_text[] =
	"usage: synward secret VERB [OPTION]... [FILE]\n"
	"\n"
	"new             print a key file with one fresh key; with -k make that file\n"
	"list            each key's slot and fingerprint\n"
	"fingerprint     the same; 8 hex digits that tell keys apart and tell nothing\n"
	"stage           add a fresh key that proves cookies and does not mint yet\n"
	"activate        mint with the staged key; the active one becomes retired\n"
	"drop [retired]  forget the retired key; 'drop staged': the staged one\n"
	"\n"
	"  -k, --key-file FILE  the key file (" KEY_FILE "); or FILE as last word\n"
	"      --from FILE      stage: the key of another host, out of its file; - is stdin\n"
	"      --show-keys      list: print the keys themselves too\n"
	"\n"
	"To change the key of a fleet: stage on one host, stage --from it on the others,\n"
	"reload all; activate, reload all; a minute later drop, reload all.\n"
	"Its owner alone may read a key file (0600).  Changes keep owner and mode.\n"
	"\n"
	"example: synward secret stage -k /etc/synward/secret.key && synward reload\n";

struct secret {
	const char *path;    /* of the key file, or NULL */
	const char *from;    /* of stage, or NULL */
	const char *which;   /* of drop, or NULL */
	bool show_keys;
};

static int trouble(const char *line)
{
	fprintf(stderr, "synward secret: %s\n", line);
	return SW_EXIT_FAILED;
}

/* @return the exit code for what a module said about a key file. */
static int file_trouble(int rc, const char *line)
{
	(void)trouble(line);
	return rc == -EINVAL || rc == -ENOENT || rc == -EACCES ? SW_EXIT_CONFIG : SW_EXIT_FAILED;
}

static int flushed(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return SW_EXIT_OK;
	fprintf(stderr, "synward secret: cannot write: %s\n", strerror(errno));
	return SW_EXIT_FAILED;
}

static const char *path_of(const struct secret *s)
{
	return s->path ? s->path : KEY_FILE;
}

static int fresh_key(uint8_t key[SW_KEY_LEN])
{
	if (getrandom(key, SW_KEY_LEN, 0) == SW_KEY_LEN)
		return SW_EXIT_OK;
	fprintf(stderr, "synward secret: getrandom: %s\n", strerror(errno));
	return SW_EXIT_FAILED;
}

/* "made on 2026-11-22" */
static void say_day(char out[32], const char *what)
{
	const time_t now = time(NULL);
	char day[16];
	struct tm tm;

	strftime(day, sizeof(day), "%Y-%m-%d", gmtime_r(&now, &tm));
	snprintf(out, 32, "%s on %s", what, day);
}

static int say_new(const char *path, const uint8_t key[SW_KEY_LEN])
{
	char print[SW_FINGERPRINT];

	sw_key_fingerprint(key, print);
	printf("%s: made, active %s\n", path, print);
	return flushed();
}

static int secret_new(const struct secret *s)
{
	static const char head[] = "# synward key file.  Keep its mode at 0600.\n";
	struct sw_keytext text = { .len = sizeof(head) - 1 };
	uint8_t key[SW_KEY_LEN];
	char day[32], err[PATH_MAX + 256];
	int rc = fresh_key(key);

	if (rc != SW_EXIT_OK)
		return rc;
	memcpy(text.text, head, text.len);
	say_day(day, "made");
	if (!sw_keytext_add(&text, SW_KEY_ACTIVE, key, day)) {
		rc = trouble("the key does not fit");
	} else if (!s->path) {
		fwrite(text.text, 1, text.len, stdout);
		rc = flushed();
	} else {
		rc = sw_keystore_create(s->path, &text, err, sizeof(err));
		rc = rc ? file_trouble(rc, err) : say_new(s->path, key);
	}
	explicit_bzero(key, sizeof(key));
	explicit_bzero(&text, sizeof(text));
	return rc;
}

static int secret_list(const struct secret *s)
{
	struct sw_keyfile file;
	char err[PATH_MAX + 256], print[SW_FINGERPRINT];
	const int rc = sw_keyfile_load(path_of(s), &file, err, sizeof(err));

	if (rc < 0)
		return file_trouble(-EINVAL, err);
	for (size_t i = 0; i < file.masters.n; i++) {
		sw_key_fingerprint(file.masters.key[i], print);
		printf("%-7s ", sw_key_slot_name(file.slot[i]));
		for (size_t k = 0; s->show_keys && k < SW_KEY_LEN; k++)
			printf("%02x", file.masters.key[i][k]);
		printf("%s%s\n", s->show_keys ? " # " : "", print);
	}
	explicit_bzero(&file, sizeof(file));
	return flushed();
}

/* Read, edit, replace, and say what is now to be done. */
static int change(const struct secret *s, const struct sw_keyedit *edit, const char *done)
{
	struct sw_keystore ks;
	struct sw_keytext was, is;
	char err[PATH_MAX + 256];
	int rc = sw_keystore_open(&ks, path_of(s), &was, err, sizeof(err));

	if (rc)
		return file_trouble(rc, err);
	rc = sw_keyedit(edit, ks.path, &was, &is, err, sizeof(err));
	if (!rc)
		rc = sw_keystore_replace(&ks, &is, err, sizeof(err));
	sw_keystore_close(&ks);
	explicit_bzero(&was, sizeof(was));
	explicit_bzero(&is, sizeof(is));
	if (rc)
		return file_trouble(rc, err);
	printf("%s: %s; a running synward takes it with: synward reload\n", path_of(s), done);
	return flushed();
}

/* The staged key of another host's file, or, out of a fresh file, its only one. */
static int key_of_file(const struct secret *s, uint8_t key[SW_KEY_LEN])
{
	struct sw_keyfile file;
	struct sw_keytext text;
	char err[PATH_MAX + 256];
	int rc;

	if (strcmp(s->from, "-") != 0) {
		rc = sw_keyfile_load(s->from, &file, err, sizeof(err));
	} else {
		rc = sw_keytext_read(STDIN_FILENO, &text);
		if (rc)
			snprintf(err, sizeof(err), "stdin: %s", strerror(-rc));
		else
			rc = sw_keyfile_parse("stdin", text.text, text.len, &file, err, sizeof(err));
		explicit_bzero(&text, sizeof(text));
	}
	if (rc)
		return file_trouble(-EINVAL, err);
	/* Slots come in their order: a staged key is the second. */
	memcpy(key, file.masters.key[file.masters.n > 1 && file.slot[1] == SW_KEY_STAGED],
	       SW_KEY_LEN);
	explicit_bzero(&file, sizeof(file));
	return SW_EXIT_OK;
}

static int secret_stage(const struct secret *s)
{
	uint8_t key[SW_KEY_LEN];
	char day[32], print[SW_FINGERPRINT], done[64];
	const struct sw_keyedit edit = { .verb = SW_EDIT_STAGE, .key = key, .comment = day };
	int rc = s->from ? key_of_file(s, key) : fresh_key(key);

	if (rc == SW_EXIT_OK) {
		say_day(day, "staged");
		sw_key_fingerprint(key, print);
		snprintf(done, sizeof(done), "staged %s", print);
		rc = change(s, &edit, done);
	}
	explicit_bzero(key, sizeof(key));
	return rc;
}

static int secret_activate(const struct secret *s)
{
	const struct sw_keyedit edit = { .verb = SW_EDIT_ACTIVATE };

	return change(s, &edit, "the staged key is active, the active one retired");
}

static int secret_drop(const struct secret *s)
{
	struct sw_keyedit edit = { .verb = SW_EDIT_DROP, .slot = SW_KEY_RETIRED };
	char done[64];

	for (int i = 0; s->which && i < SW_MAX_MASTERS; i++)
		if (strcmp(s->which, sw_key_slot_name((enum sw_key_slot)i)) == 0)
			edit.slot = (enum sw_key_slot)i;
	snprintf(done, sizeof(done), "the %s key is gone", sw_key_slot_name(edit.slot));
	return change(s, &edit, done);
}

static const struct verb {
	const char *name;
	int (*run)(const struct secret *s);
	bool from, show;
} verbs[] = {
	{ "new", secret_new, false, false },
	{ "list", secret_list, false, true },
	{ "fingerprint", secret_list, false, false },
	{ "stage", secret_stage, true, false },
	{ "activate", secret_activate, false, false },
	{ "drop", secret_drop, false, false },
};

static bool is_slot(const char *word)
{
	for (int i = 0; i < SW_MAX_MASTERS; i++)
		if (strcmp(word, sw_key_slot_name((enum sw_key_slot)i)) == 0)
			return true;
	return false;
}

/* What follows the verb: the slot of drop, the file. */
static int read_words(const struct verb *v, struct secret *s, int argc, char **argv)
{
	if (v->run == secret_drop && argc > 0 && is_slot(argv[0])) {
		s->which = argv[0];
		argc--, argv++;
	}
	if (argc > 0 && !s->path) {
		s->path = argv[0];
		argc--, argv++;
	}
	if (argc > 0)
		return sw_usage("secret", "unexpected '%s' after %s", argv[0], v->name);
	if (s->from && !v->from)
		return sw_usage("secret", "--from goes with stage, not with %s", v->name);
	if (s->show_keys && !v->show)
		return sw_usage("secret", "--show-keys goes with list, not with %s", v->name);
	return SW_EXIT_OK;
}

static int run_verb(struct secret *s, int argc, char **argv)
{
	if (argc == 0)
		return sw_usage("secret", "a verb is missing");
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		int rc;

		if (strcmp(argv[0], verbs[i].name) != 0)
			continue;
		rc = read_words(&verbs[i], s, argc - 1, argv + 1);
		return rc == SW_EXIT_OK ? verbs[i].run(s) : rc;
	}
	return sw_usage("secret", "unknown verb '%s'", argv[0]);
}

int sw_cmd_secret(int argc, char **argv)
{
	static const struct option longs[] = { { "key-file", required_argument, NULL, 'k' },
					       { "from", required_argument, NULL, 'f' },
					       { "show-keys", no_argument, NULL, 's' },
					       { "help", no_argument, NULL, 'h' },
					       { 0 } };
	struct secret s = { 0 };
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":k:h", longs, NULL)) != -1) {
		switch (opt) {
		case 'k':
			s.path = optarg;
			break;
		case 'f':
			s.from = optarg;
			break;
		case 's':
			s.show_keys = true;
			break;
		case 'h':
			fputs(help_text, stdout);
			return SW_EXIT_OK;
		default:
			return sw_usage_getopt("secret", opt, argv);
		}
	}
	return run_verb(&s, argc - optind, argv + optind);
}
