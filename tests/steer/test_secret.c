/* SPDX-License-Identifier: MIT */
#include "steer/secret.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* AddressSanitizer makes mlock() do nothing. */
#ifdef __SANITIZE_ADDRESS__
#define LOCKED " dd"
#else
#define LOCKED " lo"
#endif

/* The VmFlags of the mapping that holds @p: "lo" locked, "dd" not dumped, "wf" wiped on fork. */
static void flags_of(const void *p, char *out, size_t size)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	bool inside = false;
	char line[256];

	out[0] = '\0';
	cr_assert(f, "no smaps");
	while (fgets(line, sizeof(line), f)) {
		unsigned long from, to;

		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			inside = (unsigned long)p >= from && (unsigned long)p < to;
		else if (inside && !strncmp(line, "VmFlags:", 8))
			snprintf(out, size, "%s", line + 8);
	}
	fclose(f);
}

Test(secret, stays_in_memory)
{
	char flags[512];
	uint8_t *p = sw_secret_new(100, 100);

	cr_assert_not_null(p, "no memory");
	for (size_t i = 0; i < 100; i++)
		cr_assert_eq(p[i], 0, "byte %zu", i);
	flags_of(p, flags, sizeof(flags));
	cr_assert(strstr(flags, LOCKED) && strstr(flags, " dd") && strstr(flags, " wf"), "flags %s",
		  flags);
	sw_secret_free(p, 100, 100);
	sw_secret_free(NULL, 100, 100);
}

/* Only what is secret is locked: the rest may be large. */
Test(secret, a_secret_head)
{
	char flags[512];
	uint8_t *p = sw_secret_new(64 * 4096, 100);

	cr_assert_not_null(p, "no memory");
	flags_of(p, flags, sizeof(flags));
	cr_assert(strstr(flags, LOCKED), "head: %s", flags);
	flags_of(p + 32 * 4096, flags, sizeof(flags));
	cr_assert(!strstr(flags, " lo") && strstr(flags, " dd"), "rest: %s", flags);
	sw_secret_free(p, 64 * 4096, 100);
}

Test(secret, works_where_nothing_may_be_locked)
{
	const struct rlimit none = { 0, 0 };
	uint8_t *p;

	cr_assert(!setrlimit(RLIMIT_MEMLOCK, &none) && !setresuid(65534, 65534, 65534),
		  "needs root");
	p = sw_secret_new(100, 100);
	cr_assert_not_null(p, "no memory");
	p[99] = 1;
	sw_secret_free(p, 100, 100);
}

Test(secret, a_child_gets_none_of_it)
{
	uint8_t *p = sw_secret_new(100, 100);
	int status;
	pid_t pid;

	cr_assert_not_null(p, "no memory");
	memset(p, 0x5a, 100);
	pid = fork();
	if (pid == 0)
		_exit(p[0] | p[50] | p[99]);
	cr_assert(waitpid(pid, &status, 0) == pid && status == 0, "status %#x", status);
	cr_assert_eq(p[50], 0x5a, "lost by the parent");
	sw_secret_free(p, 100, 100);
}
