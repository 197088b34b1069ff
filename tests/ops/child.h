/* SPDX-License-Identifier: MIT */
/* A privilege that is given up does not come back: each try is in a child of its own, which says by
 * its exit code how it went.  Nothing in a child may assert. */
#ifndef TESTS_OPS_CHILD_H
#define TESTS_OPS_CHILD_H

#include <sys/wait.h>
#include <unistd.h>

/** @return the exit code of @run, which never returns itself; 1000 + the signal that ended it. */
static inline int in_child(int (*run)(const void *arg), const void *arg)
{
	const pid_t pid = fork();
	int status = 0;

	if (pid == 0)
		_exit(run(arg));
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

#endif
