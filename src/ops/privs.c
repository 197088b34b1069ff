/* SPDX-License-Identifier: MIT */
#include "ops/privs.h"
#include "listen/shed.h"
#include "listen/worker.h"
#include "ops/seccomp.h"

#include <cap-ng.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <poll.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define BIT(cap)      (1ull << (cap))
/* Rings, programs and ports of any listener. */
#define OPENING                                                                                    \
	(BIT(CAP_NET_ADMIN) | BIT(CAP_NET_RAW) | BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_BPF) |        \
	 BIT(CAP_PERFMON))
#define MAX_GROUPS    256
#define THREAD_TRIES  1000 /* milliseconds */

/* No capabilities by exec as root, none lost by a change of the user; and nobody can undo it. */
#define BITS                                                                                       \
	(SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |                           \
	 SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |   \
	 SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)

struct identity {
	bool change;
	uid_t uid;
	gid_t gid;
	gid_t group[MAX_GROUPS];
	int ngroup;
};

static int complain(char *err, size_t errlen, int rc, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static int complain(char *err, size_t errlen, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, errlen, fmt, ap);
	va_end(ap);
	return rc;
}

uint64_t sw_privs_needed(const struct sw_privs_config *cf, bool maps_need_cap, bool first_needs_cap)
{
	uint64_t caps = 0;

	if (cf->relay)
		caps |= BIT(CAP_NET_ADMIN);
	if (cf->relay && cf->low_port)
		caps |= BIT(CAP_NET_BIND_SERVICE);
	if (maps_need_cap)
		caps |= BIT(CAP_BPF);
	if (cf->reload) /* what the next configuration may ask for */
		caps |= OPENING | (first_needs_cap ? BIT(CAP_SYS_NICE) : 0);
	return caps;
}

static bool wants_user(const struct sw_privs_config *cf)
{
	return cf->user && cf->user[0];
}

static int find_user(const struct sw_privs_config *cf, struct identity *id, char *err,
		     size_t errlen)
{
	struct passwd pw, *found = NULL;
	char buf[16384];
	int rc;

	memset(id, 0, sizeof(*id));
	if (!wants_user(cf))
		return 0;
	rc = getpwnam_r(cf->user, &pw, buf, sizeof(buf), &found);
	if (!found)
		return complain(err, errlen, rc ? -rc : -EINVAL,
				"user %s: %s; make one with: useradd --system --user-group "
				"--no-create-home --shell /usr/sbin/nologin %s",
				cf->user, rc ? strerror(rc) : "there is no such user", cf->user);
	id->ngroup = MAX_GROUPS;
	if (getgrouplist(cf->user, pw.pw_gid, id->group, &id->ngroup) < 0)
		return complain(err, errlen, -E2BIG, "user %s: in more than %d groups", cf->user,
				MAX_GROUPS);
	id->uid = pw.pw_uid;
	id->gid = pw.pw_gid;
	id->change = geteuid() == 0 && pw.pw_uid != 0;
	if (!id->change && pw.pw_uid != geteuid())
		(void)complain(err, errlen, 0,
			       "user %s: only root can become another user; going on as uid %u",
			       cf->user, (unsigned)geteuid());
	return 0;
}

static bool have(unsigned cap)
{
	return capng_have_capability(CAPNG_EFFECTIVE, cap) != 0;
}

static int set_bits(const struct sw_privs_config *cf, const struct identity *id, char *err,
		    size_t errlen)
{
	capng_get_caps_process();
	if (id->change && (!have(CAP_SETUID) || !have(CAP_SETGID) || !have(CAP_SETPCAP)))
		return complain(err, errlen, -EPERM,
				"cannot become user %s: needs CAP_SETUID, CAP_SETGID and "
				"CAP_SETPCAP; or start as that user with ambient capabilities",
				cf->user);
	if (!have(CAP_SETPCAP))
		return 0;
	/* uid 0 and a change of the user mean nothing for capabilities from here on. */
	if (prctl(PR_SET_SECUREBITS, BITS, 0, 0, 0))
		return complain(err, errlen, -errno, "cannot set the securebits: %s",
				strerror(errno));
	/* Inherited by each thread that is made; what is permitted stays. */
	for (unsigned cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (!(OPENING & BIT(cap)) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) && errno != EINVAL)
			return complain(err, errlen, -errno, "cannot bound the capabilities: %s",
					strerror(errno));
	return 0;
}

/* The capabilities stay, by the securebits: what is to be opened is opened with them. */
static int change_user(const struct sw_privs_config *cf, const struct identity *id, char *err,
		       size_t errlen)
{
	if (!id->change)
		return 0;
	if (setgroups((size_t)id->ngroup, id->group) || setresgid(id->gid, id->gid, id->gid) ||
	    setresuid(id->uid, id->uid, id->uid))
		return complain(err, errlen, -errno, "cannot become user %s: %s", cf->user,
				strerror(errno));
	return 0;
}

/* In sanitized builds the other way round: LeakSanitizer is a ptrace of our own. */
static void hide(void)
{
	(void)prctl(PR_SET_DUMPABLE, sw_seccomp_available() ? 0 : 1, 0, 0, 0);
}

int sw_privs_prepare(const struct sw_privs_config *cf, char *err, size_t errlen)
{
	const struct rlimit no_core = { 0, 0 };
	struct identity id;
	int rc;

	err[0] = '\0';
	sw_thread_may_be_first();
	rc = find_user(cf, &id, err, errlen);
	if (!rc)
		rc = set_bits(cf, &id, err, errlen);
	if (!rc)
		rc = change_user(cf, &id, err, errlen);
	if (rc)
		return rc;
	if (setrlimit(RLIMIT_CORE, &no_core) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return complain(err, errlen, -errno, "cannot give up core dumps and exec: %s",
				strerror(errno));
	hide(); /* a change of the user would undo it */
	return 0;
}

int sw_privs_own(const struct sw_privs_config *cf, const char *path, char *err, size_t errlen)
{
	if (!wants_user(cf) || lchown(path, geteuid(), getegid()) == 0)
		return 0;
	return complain(err, errlen, -errno, "%s: cannot give it to user %s: %s", path, cf->user,
			strerror(errno));
}

/* Of the calling thread, from what it has. */
static int keep_only(uint64_t caps, char *err, size_t errlen)
{
	uint64_t keep = 0;
	bool bounds;

	capng_get_caps_process();
	bounds = have(CAP_SETPCAP);
	for (unsigned cap = 0; cap <= CAP_LAST_CAP; cap++)
		if ((caps & BIT(cap)) && capng_have_capability(CAPNG_PERMITTED, cap))
			keep |= BIT(cap);
	capng_clear(CAPNG_SELECT_ALL);
	for (unsigned cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (keep & BIT(cap))
			capng_update(CAPNG_ADD,
				     CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET, cap);
	/* The bounding set while CAP_SETPCAP is still there. */
	if ((bounds && capng_apply(CAPNG_SELECT_BOUNDS)) ||
	    capng_apply(CAPNG_SELECT_CAPS | CAPNG_SELECT_AMBIENT))
		return complain(err, errlen, -EPERM, "cannot give up capabilities: %s",
				strerror(errno));
	return 0;
}

static bool hex_after(const char *status, const char *label, uint64_t *value)
{
	const char *at = strstr(status, label);

	if (!at)
		return false;
	at += strlen(label);
	at += strspn(at, " \t");
	if (!strspn(at, "0123456789abcdef"))
		return false;
	*value = strtoull(at, NULL, 16);
	return true;
}

bool sw_privs_status(const char *status, uint64_t *bits)
{
	uint64_t effective, permitted;

	if (!hex_after(status, "\nCapEff:", &effective) ||
	    !hex_after(status, "\nCapPrm:", &permitted))
		return false;
	*bits = effective | permitted;
	return true;
}

/* A thread that ends meanwhile holds nothing. */
static uint64_t caps_of(int dirfd, const char *tid)
{
	char path[64], text[4096];
	uint64_t bits = 0;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/status", tid);
	fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ESRCH ? 0 : ~0ull;
	n = read(fd, text, sizeof(text) - 1);
	if (n < 0)
		bits = errno == ESRCH ? 0 : ~0ull;
	close(fd);
	if (n <= 0)
		return bits;
	text[n] = '\0';
	return sw_privs_status(text, &bits) ? bits : ~0ull;
}

/* What the threads hold beyond @allowed, together. */
static uint64_t too_much(uint64_t allowed)
{
	DIR *dir = opendir("/proc/self/task");
	uint64_t all = 0;

	if (!dir)
		return 0; /* no /proc: nothing can be told */
	for (const struct dirent *e; (e = readdir(dir));)
		if (e->d_name[0] != '.')
			all |= caps_of(dirfd(dir), e->d_name);
	closedir(dir);
	return all & ~allowed;
}

static int check_threads(uint64_t allowed, char *err, size_t errlen)
{
	uint64_t more = too_much(allowed);

	for (int i = 0; more && i < THREAD_TRIES; i++) {
		poll(NULL, 0, 1);
		more = too_much(allowed);
	}
	if (more)
		return complain(err, errlen, -EPERM,
				"a thread still holds the capabilities %#llx; this is a fault of "
				"the program",
				(unsigned long long)more);
	return 0;
}

int sw_privs_drop(const struct sw_privs_config *cf, char *err, size_t errlen)
{
	const uint64_t caps = sw_privs_needed(cf, sw_maps_need_cap(), sw_first_needs_cap());
	const struct sw_seccomp_config sc = { .reload = cf->reload, .commands = cf->commands };
	int rc;

	err[0] = '\0';
	rc = keep_only(caps, err, errlen);
	if (!rc)
		rc = check_threads(caps | sw_shed_keeps(), err, errlen);
	if (!rc && geteuid() != 0 && setuid(0) == 0)
		rc = complain(err, errlen, -EPERM, "user %s can become root again", cf->user);
	return rc ? rc : sw_seccomp_install(&sc, err, errlen);
}

bool sw_privs_can_read(const char *path)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}
