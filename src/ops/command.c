/* SPDX-License-Identifier: MIT */
#include "ops/command.h"

#include "ops/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATH_ENV     "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define MERCY_SECONDS 5

/* A program that waits or runs. */
struct job {
	STAILQ_ENTRY(job) link;
	char *argv[SW_COMMAND_ARGS + 1]; /* owned, NULL at the end */
	char *env[SW_COMMAND_ENV + 2];
};

struct sw_command {
	struct event *child, *late; /* SIGCHLD; the time is over */
	STAILQ_HEAD(, job) waiting;
	size_t nwaiting;
	pid_t pid; /* 0: none runs */
	char *name; /* of what runs, owned */
	bool warned; /* SIGTERM was sent */
};

static void free_job(struct job *job)
{
	for (size_t i = 0; job->argv[i]; i++)
		free(job->argv[i]);
	for (size_t i = 0; job->env[i]; i++)
		free(job->env[i]);
	free(job);
}

/* @return false when out of memory; what was copied is in @to. */
static bool copy(char **to, const char *const *from, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		to[i] = strdup(from[i]);
		if (!to[i])
			return false;
	}
	return true;
}

static struct job *new_job(const char *const *argv, size_t argc, const char *const *env, size_t nenv)
{
	static const char *const path[] = { PATH_ENV };
	struct job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	if (argc <= SW_COMMAND_ARGS && nenv <= SW_COMMAND_ENV && copy(job->argv, argv, argc) &&
	    copy(job->env, path, 1) && copy(job->env + 1, env, nenv))
		return job;
	free_job(job);
	return NULL;
}

/* @return 0 or errno. */
static int spawn(const struct job *job, pid_t *pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int rc;

	sigemptyset(&none);
	sigfillset(&all);
	rc = posix_spawn_file_actions_init(&files);
	if (rc)
		return rc;
	rc = posix_spawnattr_init(&attr);
	if (!rc) {
		/* A group of its own: Ctrl-C on the terminal is not for it. */
		rc = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK |
							     POSIX_SPAWN_SETSIGDEF |
							     POSIX_SPAWN_SETPGROUP);
		rc = rc ? rc : posix_spawnattr_setsigmask(&attr, &none);
		rc = rc ? rc : posix_spawnattr_setsigdefault(&attr, &all);
		rc = rc ? rc : posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
		rc = rc ? rc : posix_spawn_file_actions_adddup2(&files, 2, 1);
		rc = rc ? rc : posix_spawn(pid, job->argv[0], &files, &attr, job->argv, job->env);
		posix_spawnattr_destroy(&attr);
	}
	posix_spawn_file_actions_destroy(&files);
	return rc;
}

static void start_next(struct sw_command *c)
{
	static const struct timeval time = { .tv_sec = SW_COMMAND_SECONDS };
	struct job *job;

	while (!c->pid && (job = STAILQ_FIRST(&c->waiting))) {
		const int rc = spawn(job, &c->pid);

		if (rc) {
			c->pid = 0;
			sw_error("%s: cannot be run: %s", job->argv[0], strerror(rc));
		} else {
			free(c->name);
			c->name = strdup(job->argv[0]);
			c->warned = false;
			(void)event_add(c->late, &time);
		}
		STAILQ_REMOVE_HEAD(&c->waiting, link);
		c->nwaiting--;
		free_job(job);
	}
}

static void on_child(evutil_socket_t signo, short what, void *arg)
{
	struct sw_command *c = arg;
	const char *name = c->name ? c->name : "the command";
	int status;

	(void)signo, (void)what;
	if (!c->pid || waitpid(c->pid, &status, WNOHANG) != c->pid)
		return;
	c->pid = 0;
	(void)event_del(c->late);
	if (WIFSIGNALED(status))
		sw_warn("%s: ended by signal %d", name, WTERMSIG(status));
	else if (WEXITSTATUS(status))
		sw_warn("%s: ended with %d", name, WEXITSTATUS(status));
	start_next(c);
}

static void on_late(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval mercy = { .tv_sec = MERCY_SECONDS };
	struct sw_command *c = arg;

	(void)fd, (void)what;
	if (!c->pid)
		return;
	sw_warn("%s: runs for more than %d seconds; it is ended", c->name ? c->name : "the command",
		SW_COMMAND_SECONDS);
	(void)kill(-c->pid, c->warned ? SIGKILL : SIGTERM);
	c->warned = true;
	(void)event_add(c->late, &mercy);
}

struct sw_command *sw_command_new(struct event_base *base)
{
	struct sw_command *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	STAILQ_INIT(&c->waiting);
	c->child = evsignal_new(base, SIGCHLD, on_child, c);
	c->late = evtimer_new(base, on_late, c);
	if (c->child && c->late && event_add(c->child, NULL) == 0)
		return c;
	sw_command_free(c);
	return NULL;
}

void sw_command_free(struct sw_command *c)
{
	struct job *job;

	if (!c)
		return;
	if (c->pid)
		(void)kill(-c->pid, SIGTERM);
	while ((job = STAILQ_FIRST(&c->waiting))) {
		STAILQ_REMOVE_HEAD(&c->waiting, link);
		free_job(job);
	}
	if (c->child)
		event_free(c->child);
	if (c->late)
		event_free(c->late);
	free(c->name);
	free(c);
}

void sw_command_run(struct sw_command *c, const char *const *argv, size_t argc,
		    const char *const *env, size_t nenv)
{
	struct job *job = c->nwaiting < SW_COMMAND_WAITING ? new_job(argv, argc, env, nenv) : NULL;

	if (!job) {
		sw_error("%s: not run: too many wait, or no memory is left", argv[0]);
		return;
	}
	STAILQ_INSERT_TAIL(&c->waiting, job, link);
	c->nwaiting++;
	start_next(c);
}
