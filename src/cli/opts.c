/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int sw_usage(const char *cmd, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "synward %s: ", cmd);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nTry 'synward %s --help'.\n", cmd);
	return SW_EXIT_USAGE;
}

int sw_usage_getopt(const char *cmd, int opt, char **argv)
{
	if (opt == ':')
		return sw_usage(cmd, "%s needs a value", argv[optind - 1]);
	if (optopt && optopt < 256)
		return sw_usage(cmd, "unknown option -%c", optopt);
	if (optopt)
		return sw_usage(cmd, "%s takes no value", argv[optind - 1]);
	return sw_usage(cmd, "unknown option %s", argv[optind - 1]);
}

bool sw_is_input(const char *in, const char *out)
{
	struct stat a, b;
	const int rc = strcmp(in, "-") == 0 ? fstat(STDIN_FILENO, &a) : stat(in, &a);

	return rc == 0 && stat(out, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino &&
	       S_ISREG(a.st_mode);
}

/* @return the first character after the digits, or NULL when there are none or too many. */
static const char *read_digits(const char *text, unsigned long long *value)
{
	const size_t n = strspn(text, "0123456789");

	if (n < 1 || n > 10)
		return NULL;
	*value = strtoull(text, NULL, 10);
	return text + n;
}

bool sw_opt_number(const char *text, unsigned min, unsigned max, unsigned *out)
{
	unsigned long long value;
	const char *rest = read_digits(text, &value);

	if (!rest || *rest || value < min || value > max)
		return false;
	*out = (unsigned)value;
	return true;
}
