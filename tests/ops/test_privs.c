/* SPDX-License-Identifier: MIT */
#include "ops/privs.h"
#include "listen/shed.h"
#include "ops/child.h"
#include "ops/seccomp.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define BIT(cap) (1ull << (cap))
#define USER	 "nobody"
#define ADMIN	 BIT(CAP_NET_ADMIN)
#define BIND	 BIT(CAP_NET_BIND_SERVICE)
#define BPF	 BIT(CAP_BPF)
#define ALL_OPEN (ADMIN | BIND | BPF | BIT(CAP_NET_RAW) | BIT(CAP_PERFMON))

/* The table of docs/deploy.md. */
Test(privs, needed)
{
	static const struct {
		struct sw_privs_config cf;
		bool maps, first;
		uint64_t caps;
	} rows[] = {
		{ { NULL, false, false, false, false }, false, false, 0 },
		{ { NULL, true, false, false, false }, false, false, ADMIN },
		{ { NULL, true, true, false, false }, false, false, ADMIN | BIND },
		{ { NULL, false, true, false, false }, false, false, 0 },
		{ { NULL, false, false, false, false }, true, false, BPF },
		{ { NULL, true, true, false, false }, true, false, ADMIN | BIND | BPF },
		{ { NULL, false, false, true, false }, false, false, ALL_OPEN },
		{ { NULL, true, true, true, false }, false, false, ALL_OPEN },
		{ { NULL, true, false, false, true }, false, false, ADMIN },
		{ { NULL, true, true, false, false }, false, true, ADMIN | BIND },
		{ { NULL, true, true, true, false }, false, true, ALL_OPEN | BIT(CAP_SYS_NICE) },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(sw_privs_needed(&rows[i].cf, rows[i].maps, rows[i].first), rows[i].caps,
			     "row %zu", i);
}

Test(privs, status)
{
	uint64_t bits = 7;

	cr_expect(sw_privs_status("Name:\tx\nCapInh:\tff\nCapPrm:\t0000000000001400\n"
				  "CapEff:\t0000000000000001\nCapBnd:\tff\n",
				  &bits),
		  "not read");
	cr_expect_eq(bits, 0x1401, "%llx", (unsigned long long)bits);
	cr_expect_not(sw_privs_status("Name:\tCapEff:\t1\nCapPrm:\t1\n", &bits), "a name counted");
	cr_expect_not(sw_privs_status("\nCapEff:\t\nCapPrm:\t1\n", &bits), "an empty set");
	cr_expect_not(sw_privs_status("", &bits), "nothing");
	cr_expect_eq(bits, 0x1401, "written without success");
}

/* ---- in children, each from prepare to drop ---- */

enum { PREPARE_FAILED = 200, DROP_FAILED, IS_WRONG };

/* "Uid:\t0\t0..." of /proc/self/status, or NULL. */
static char *status_of_self(char *buf, size_t size)
{
	FILE *f = fopen("/proc/self/status", "re");
	const size_t n = f ? fread(buf, 1, size - 1, f) : 0;

	if (f)
		fclose(f);
	buf[n] = '\0';
	return n ? buf : NULL;
}

static bool has_line(const char *status, const char *line)
{
	char whole[128];

	snprintf(whole, sizeof(whole), "\n%s\n", line);
	return strstr(status, whole) != NULL;
}

static int go(const struct sw_privs_config *cf)
{
	char err[256];

	if (sw_privs_prepare(cf, err, sizeof(err)))
		return PREPARE_FAILED;
	return sw_privs_drop(cf, err, sizeof(err)) ? DROP_FAILED : 0;
}

static int becomes_the_user(const void *arg)
{
	const struct sw_privs_config cf = { .user = USER, .relay = true };
	const struct passwd *pw = getpwnam(USER);
	const unsigned uid = pw->pw_uid, gid = pw->pw_gid;
	const gid_t extra[] = { 0, 4 };
	char buf[8192], line[64];
	const char *status;
	int rc;

	(void)arg;
	if (setgroups(2, extra))
		return IS_WRONG;
	rc = go(&cf);
	if (rc)
		return rc;
	status = status_of_self(buf, sizeof(buf));
	if (!status)
		return IS_WRONG;
	snprintf(line, sizeof(line), "Uid:\t%u\t%u\t%u\t%u", uid, uid, uid, uid);
	if (!has_line(status, line))
		return 1;
	snprintf(line, sizeof(line), "Gid:\t%u\t%u\t%u\t%u", gid, gid, gid, gid);
	if (!has_line(status, line))
		return 2;
	snprintf(line, sizeof(line), "Groups:\t%u ", gid);
	if (!has_line(status, line))
		return 3;
	if (!has_line(status, "CapPrm:\t0000000000001000") ||
	    !has_line(status, "CapEff:\t0000000000001000") ||
	    !has_line(status, "CapInh:\t0000000000000000") ||
	    !has_line(status, "CapBnd:\t0000000000001000") ||
	    !has_line(status, "CapAmb:\t0000000000000000"))
		return 4;
	if (!has_line(status, "NoNewPrivs:\t1"))
		return 5;
	return sw_seccomp_available() && !has_line(status, "Seccomp:\t2") ? 6 : 0;
}

Test(privs, becomes_the_user)
{
	const int got = in_child(becomes_the_user, NULL);

	cr_assert_eq(got, 0, "%d", got);
}

/* Without a user it stays root, but root means nothing any more. */
static int stays_root(const void *arg)
{
	const struct sw_privs_config cf = { .relay = true, .low_port = true };
	const int rc = go(&cf);
	char buf[8192];
	const char *status = status_of_self(buf, sizeof(buf));
	const int bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED;

	(void)arg;
	if (rc || !status)
		return rc ? rc : IS_WRONG;
	if (getuid() != 0 || !has_line(status, "CapEff:\t0000000000001400"))
		return 1;
	if (sw_seccomp_available())
		return 0;
	return (prctl(PR_GET_SECUREBITS, 0, 0, 0, 0) & bits) == bits ? 0 : 2;
}

Test(privs, stays_root)
{
	const int got = in_child(stays_root, NULL);

	cr_assert_eq(got, 0, "%d", got);
}

/* What must fail afterwards, and what must still work. */
static int tries(const void *arg)
{
	const struct sw_privs_config cf = { .user = USER, .relay = true };
	const int before = open("/proc/self/status", O_RDONLY);
	const int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	struct sockaddr_in low = { .sin_family = AF_INET, .sin_port = htons(81),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const int rc = go(&cf);
	struct rlimit core;

	(void)arg;
	(void)before;
	if (rc)
		return rc;
	if (open("/etc/shadow", O_RDONLY) >= 0 || errno != EACCES)
		return 1;
	if (setuid(0) == 0 || seteuid(0) == 0 || setgid(0) == 0 || setgroups(0, NULL) == 0)
		return 2;
	if (bind(fd, (struct sockaddr *)&low, sizeof(low)) == 0 || errno != EACCES)
		return 3;
	if (socket(AF_PACKET, SOCK_RAW, 0) >= 0 || errno != EPERM)
		return 4;
	if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)))
		return 5;
	if (getrlimit(RLIMIT_CORE, &core) || core.rlim_max != 0)
		return 6;
	if (sw_seccomp_available() && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		return 7;
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0)
		return 8;
	return sw_privs_can_read("/etc/shadow") || !sw_privs_can_read("/etc/passwd") ? 9 : 0;
}

Test(privs, tries)
{
	const int got = in_child(tries, NULL);

	cr_assert_eq(got, 0, "%d", got);
}

/* ---- threads ---- */

static pthread_barrier_t barrier;

static void *works(void *shed)
{
	if (shed)
		sw_shed();
	pthread_barrier_wait(&barrier); /* it has begun */
	pthread_barrier_wait(&barrier); /* the privileges are gone */
	return NULL;
}

static int beside_a_thread(const void *shed)
{
	const struct sw_privs_config cf = { .user = USER };
	char err[256] = "";
	pthread_t t;
	int rc;

	pthread_barrier_init(&barrier, NULL, 2);
	if (sw_privs_prepare(&cf, err, sizeof(err)))
		return PREPARE_FAILED;
	if (pthread_create(&t, NULL, works, (void *)(uintptr_t)shed))
		return IS_WRONG;
	pthread_barrier_wait(&barrier);
	rc = sw_privs_drop(&cf, err, sizeof(err));
	if (rc)
		return strstr(err, "a thread still holds") ? 1 : 2;
	pthread_barrier_wait(&barrier);
	pthread_join(t, NULL);
	return 0;
}

Test(privs, a_thread_that_gave_up)
{
	const int got = in_child(beside_a_thread, "yes");

	cr_assert_eq(got, 0, "%d", got);
}

Test(privs, a_thread_that_keeps_all_is_found)
{
	const int got = in_child(beside_a_thread, NULL);

	cr_assert_eq(got, 1, "%d", got);
}

/* ---- who may not, and what does not exist ---- */

static int prepare_as_nobody(const void *user)
{
	const struct sw_privs_config cf = { .user = user };
	char err[256];

	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		return IS_WRONG;
	if (sw_privs_prepare(&cf, err, sizeof(err)))
		return PREPARE_FAILED;
	return err[0] ? strstr(err, "only root can become another user") ? 1 : 2 : 0;
}

Test(privs, only_root_becomes_another)
{
	cr_expect_eq(in_child(prepare_as_nobody, "root"), 1, "root");
	cr_expect_eq(in_child(prepare_as_nobody, USER), 0, "it is that user already");
	cr_expect_eq(in_child(prepare_as_nobody, NULL), 0, "no user");
	cr_expect_eq(in_child(prepare_as_nobody, ""), 0, "an empty user");
}

/* root of a container that was given few capabilities */
static int prepare_without(const void *cap)
{
	const struct sw_privs_config cf = { .user = USER };
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct half[2];
	const unsigned bit = *(const unsigned *)cap;
	char err[256];

	if (syscall(SYS_capget, &head, half))
		return IS_WRONG;
	half[bit / 32].effective &= ~(1u << bit % 32);
	half[bit / 32].permitted &= ~(1u << bit % 32);
	if (syscall(SYS_capset, &head, half))
		return IS_WRONG;
	if (sw_privs_prepare(&cf, err, sizeof(err)) != -EPERM)
		return 1;
	return strstr(err, "needs CAP_SETUID, CAP_SETGID and CAP_SETPCAP") ? 0 : 2;
}

Test(privs, root_with_too_little)
{
	static const unsigned caps[] = { CAP_SETUID, CAP_SETGID, CAP_SETPCAP };

	for (size_t i = 0; i < 3; i++)
		cr_expect_eq(in_child(prepare_without, &caps[i]), 0, "capability %u", caps[i]);
}

Test(privs, no_such_user)
{
	const struct sw_privs_config cf = { .user = "synward-test-nobody-has-this-name" };
	char err[256] = "";

	cr_assert_eq(sw_privs_prepare(&cf, err, sizeof(err)), -EINVAL, "%s", err);
	cr_assert_not_null(strstr(err, "there is no such user; make one with: useradd"), "%s", err);
	cr_assert_eq(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0, "half of it was done");
}

/* ---- files that were there before ---- */

static int owns(const void *path)
{
	const struct sw_privs_config cf = { .user = USER };
	char err[256];

	if (sw_privs_prepare(&cf, err, sizeof(err)))
		return PREPARE_FAILED;
	return sw_privs_own(&cf, path, err, sizeof(err)) ? 1 : 0;
}

Test(privs, own)
{
	char dir[] = "/tmp/synward-privs-XXXXXX";
	const struct sw_privs_config nobody = { .user = NULL };
	struct stat st;
	char err[256];

	cr_assert_not_null(mkdtemp(dir), "mkdtemp: %s", strerror(errno));
	cr_expect_eq(sw_privs_own(&nobody, dir, err, sizeof(err)), 0, "without a user");
	cr_expect_eq(stat(dir, &st), 0, "stat");
	cr_expect_eq(st.st_uid, 0, "it has changed hands");
	cr_expect_eq(in_child(owns, dir), 0, "chown");
	cr_expect_eq(stat(dir, &st), 0, "stat");
	cr_expect_eq(st.st_uid, getpwnam(USER)->pw_uid, "uid %u", (unsigned)st.st_uid);
	rmdir(dir);
	cr_expect_eq(in_child(owns, dir), 1, "what is not there");
}

/* ---- from outside ---- */

/* Waits to be looked at: writes a byte when it is ready, ends when the pipe does. */
static void stay(int out, int in)
{
	const struct sw_privs_config cf = { .user = USER };
	char byte = (char)go(&cf);

	(void)!write(out, &byte, 1);
	(void)!read(in, &byte, 1);
	_exit(0);
}

static int as_the_user(const void *pid)
{
	const pid_t target = *(const pid_t *)pid;
	const struct passwd *pw = getpwnam(USER);
	const unsigned uid = pw->pw_uid, gid = pw->pw_gid;
	char path[64];

	if (setgroups(0, NULL) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
		return IS_WRONG;
	snprintf(path, sizeof(path), "/proc/%d/mem", target);
	if (open(path, O_RDONLY) >= 0)
		return 1;
	snprintf(path, sizeof(path), "/proc/%d/fd/0", target);
	if (open(path, O_RDONLY) >= 0)
		return 2;
	return ptrace(PTRACE_SEIZE, target, 0, 0) == 0 ? 3 : 0;
}

/* A process of the same user cannot look into it. */
Test(privs, from_outside)
{
	int to[2], back[2], got;
	char byte = 1;
	pid_t pid;

	cr_assert(!pipe(to) && !pipe(back), "pipe");
	pid = fork();
	if (pid == 0) {
		close(to[1]);
		stay(back[1], to[0]);
	}
	close(back[1]);
	cr_expect_eq(read(back[0], &byte, 1), 1, "it ended");
	cr_expect_eq(byte, 0, "%d", byte);
	got = in_child(as_the_user, &pid);
	close(to[1]);
	waitpid(pid, NULL, 0);
	/* A sanitized build stays open: LeakSanitizer looks into its own process. */
	cr_assert_eq(got == 0, sw_seccomp_available(), "%d", got);
}
