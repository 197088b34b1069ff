/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"
#include "listen/keyfile.h"

#include <errno.h>
#include <getopt.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define FINGERPRINT_BYTES 4
#define FINGERPRINT_TEXT  "synward fingerprint v1"

static const char help_text[] =
	"usage: synward secret new\n"
	"       synward secret fingerprint FILE\n"
	"\n"
	"new          print a key file with one fresh active key\n"
	"fingerprint  print each key's slot and 8 hex digits that tell it from other\n"
	"             keys and tell nothing about it\n"
	"\n"
	"A key file holds one key a line: active, staged or retired, then 64 hex digits.\n"
	"Its owner alone may read it (mode 0600).  See docs/run.md.\n"
	"\n"
	"example: (umask 077; synward secret new > /etc/synward/secret.key)\n";

static void print_hex(const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		printf("%02x", bytes[i]);
}

static int flushed(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return SW_EXIT_OK;
	fprintf(stderr, "synward secret: cannot write: %s\n", strerror(errno));
	return SW_EXIT_FAILED;
}

static bool fingerprint(const uint8_t key[SW_KEY_LEN], uint8_t out[EVP_MAX_MD_SIZE])
{
	unsigned len;

	return HMAC(EVP_sha256(), key, SW_KEY_LEN, (const unsigned char *)FINGERPRINT_TEXT,
		    strlen(FINGERPRINT_TEXT), out, &len) != NULL;
}

static int secret_new(void)
{
	uint8_t key[SW_KEY_LEN], print[EVP_MAX_MD_SIZE];
	const time_t now = time(NULL);
	char day[32];
	struct tm tm;
	int rc;

	if (getrandom(key, sizeof(key), 0) != (ssize_t)sizeof(key)) {
		fprintf(stderr, "synward secret: getrandom: %s\n", strerror(errno));
		return SW_EXIT_FAILED;
	}
	if (!fingerprint(key, print)) {
		fprintf(stderr, "synward secret: libcrypto has no HMAC-SHA256\n");
		explicit_bzero(key, sizeof(key));
		return SW_EXIT_FAILED;
	}
	strftime(day, sizeof(day), "%Y-%m-%d", gmtime_r(&now, &tm));
	printf("# synward key file, made on %s.  Keep its mode at 0600.\n# fingerprint ", day);
	print_hex(print, FINGERPRINT_BYTES);
	printf("\nactive ");
	print_hex(key, sizeof(key));
	printf("\n");
	rc = flushed();
	explicit_bzero(key, sizeof(key));
	return rc;
}

static int secret_fingerprint(const char *path)
{
	struct sw_keyfile file;
	uint8_t print[EVP_MAX_MD_SIZE];
	char err[256];
	int rc = sw_keyfile_load(path, &file, err, sizeof(err));

	if (rc < 0) {
		fprintf(stderr, "synward secret: %s\n", err);
		return SW_EXIT_CONFIG;
	}
	rc = SW_EXIT_OK;
	for (size_t i = 0; i < file.masters.n && rc == SW_EXIT_OK; i++) {
		if (!fingerprint(file.masters.key[i], print)) {
			fprintf(stderr, "synward secret: libcrypto has no HMAC-SHA256\n");
			rc = SW_EXIT_FAILED;
			break;
		}
		printf("%-7s ", sw_key_slot_name(file.slot[i]));
		print_hex(print, FINGERPRINT_BYTES);
		printf("\n");
	}
	explicit_bzero(&file, sizeof(file));
	return rc == SW_EXIT_OK ? flushed() : rc;
}

int sw_cmd_secret(int argc, char **argv)
{
	static const struct option longs[] = { { "help", no_argument, NULL, 'h' }, { 0 } };
	const char *verb;
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":h", longs, NULL)) != -1) {
		if (opt != 'h')
			return sw_usage_getopt("secret", opt, argv);
		fputs(help_text, stdout);
		return SW_EXIT_OK;
	}
	verb = optind < argc ? argv[optind] : "";
	if (strcmp(verb, "new") == 0 && argc - optind == 1)
		return secret_new();
	if (strcmp(verb, "fingerprint") == 0 && argc - optind == 2)
		return secret_fingerprint(argv[optind + 1]);
	return sw_usage("secret", "expected 'new' or 'fingerprint FILE'");
}
