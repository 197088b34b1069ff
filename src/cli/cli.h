/* SPDX-License-Identifier: MIT */
#ifndef SW_CLI_CLI_H
#define SW_CLI_CLI_H

#include "core/types.h"

/** Exit codes: sysexits.h where it has a word for it. */
enum sw_exit {
	SW_EXIT_OK = 0,
	SW_EXIT_FAILED = 1,
	SW_EXIT_USAGE = 2,
	SW_EXIT_KERNEL = 69,	 /* a kernel feature is missing */
	SW_EXIT_UNREACHABLE = 75, /* the running synward cannot be reached; try again */
	SW_EXIT_CAPABILITY = 77, /* a capability is missing */
	SW_EXIT_CONFIG = 78,	 /* the configuration or the key file is wrong */
};

/** @param argv  argv[0] is the name of the subcommand.  @return an exit code. */
typedef int (*sw_cmd_fn)(int argc, char **argv);

int sw_cmd_run(int argc, char **argv);
int sw_cmd_check(int argc, char **argv);
int sw_cmd_status(int argc, char **argv);
int sw_cmd_top(int argc, char **argv);
int sw_cmd_reload(int argc, char **argv);
int sw_cmd_drain(int argc, char **argv);
int sw_cmd_undrain(int argc, char **argv);
int sw_cmd_secret(int argc, char **argv);
int sw_cmd_doctor(int argc, char **argv);
int sw_cmd_cookie(int argc, char **argv);
int sw_cmd_trace(int argc, char **argv);
int sw_cmd_explain(int argc, char **argv);
int sw_cmd_probe(int argc, char **argv);

/** Print "synward CMD: what" and where to find help on stderr.  @return SW_EXIT_USAGE. */
int sw_usage(const char *cmd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** What getopt_long() returned as '?' or ':'.  @return SW_EXIT_USAGE. */
int sw_usage_getopt(const char *cmd, int opt, char **argv);

/**
 * Writing over the file that is being read would destroy it.
 *
 * @param in   Path that is read, "-" for standard input.
 * @param out  Path that is to be written; it need not exist.
 * @return whether both are the same regular file, by whatever name.
 */
SW_MUST bool sw_is_input(const char *in, const char *out);

/** Read a decimal number of @min to @max.  @param out  Written on success. */
SW_MUST bool sw_opt_number(const char *text, unsigned min, unsigned max, unsigned *out);

#endif
