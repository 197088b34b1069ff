/* SPDX-License-Identifier: MIT */
#include "ops/seccomp.h"
#include "ops/child.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timex.h>

#define INSTALL_FAILED 250
#define WORKED	       0

/* Each as system calls say it: 0 or more, or -1 with errno. */
static long try_ptrace(void) { return ptrace(PTRACE_TRACEME, 0, 0, 0); }
static long try_mount(void) { return mount("none", "/mnt", "tmpfs", 0, NULL); }
static long try_chroot(void) { return chroot("/"); }
static long try_setns(void) { return syscall(SYS_setns, -1, 0); }
static long try_new_mounts(void) { return unshare(CLONE_NEWNS); }
static long try_new_pids(void) { return unshare(CLONE_NEWUSER | CLONE_NEWPID); }
static long try_netns(void) { return unshare(CLONE_NEWNET); }
static long try_user_netns(void) { return unshare(CLONE_NEWUSER | CLONE_NEWNET); }
static long try_kill(void) { return kill(getppid(), 0); }
static long try_setuid(void) { return syscall(SYS_setuid, 65534); }
static long try_module(void) { return syscall(SYS_init_module, "", 0, ""); }
static long try_perf(void) { return syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0); }
static long try_key(void) { return syscall(SYS_keyctl, 0, -1, 0); }
static long try_peek(void) { return syscall(SYS_process_vm_readv, getpid(), NULL, 0, NULL, 0, 0); }
static long try_uring(void) { return syscall(SYS_io_uring_setup, 1, NULL); }
static long try_fault(void) { return syscall(SYS_userfaultfd, 0); }
static long try_take_fd(void) { return syscall(SYS_pidfd_getfd, -1, 0, 0); }
static long try_advise(void) { return syscall(SYS_process_madvise, -1, NULL, 0, 0, 0); }
static long try_compare(void) { return syscall(SYS_kcmp, getpid(), getpid(), -1, 0, 0); }
static long try_dumpable(void) { return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); }
static long try_xdp_socket(void) { return socket(44 /* AF_XDP */, SOCK_RAW, 0); }
static long try_vsock(void) { return socket(40 /* AF_VSOCK */, SOCK_STREAM, 0); }
static long try_tiocsti(void) { return ioctl(-1, TIOCSTI, "x"); }
static long try_write_file(void) { return open("/dev/null", O_WRONLY); }
static long try_make_file(void) { return openat(AT_FDCWD, "/dev/null", O_RDONLY | O_CREAT, 0600); }
static long try_truncate(void) { return open("/dev/null", O_RDONLY | O_TRUNC); }
static long try_read_file(void) { return open("/dev/null", O_RDONLY); }
static long try_prog_load(void) { return syscall(SYS_bpf, BPF_PROG_LOAD, NULL, 0); }
static long try_map_create(void) { return syscall(SYS_bpf, BPF_MAP_CREATE, NULL, 0); }
static long try_map_lookup(void) { return syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, NULL, 0); }
static long try_clone3(void) { return syscall(SYS_clone3, NULL, 0); }
static long try_inet(void) { return socket(AF_INET, SOCK_STREAM, 0); }
static long try_packet(void) { return socket(AF_PACKET, SOCK_RAW, 0); }
static long try_netlink(void) { return socket(AF_NETLINK, SOCK_RAW, 0); }
static long try_event(void) { return eventfd(0, EFD_NONBLOCK); }
static long try_epoll(void) { return epoll_create1(0); }
static long try_clock(void) { return adjtimex(&(struct timex){ 0 }) < 0 ? -1 : 0; }

static long try_exec(void)
{
	return execl("/bin/true", "true", (char *)NULL);
}

static long try_core(void)
{
	const struct rlimit lim = { 0, 0 };

	return setrlimit(RLIMIT_CORE, &lim);
}

static long try_limit(void)
{
	struct rlimit lim;

	return getrlimit(RLIMIT_NOFILE, &lim);
}

static long try_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);

	return p == MAP_FAILED ? -1 : 0;
}

static long try_make_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? 0 : mprotect(p, 4096, PROT_READ | PROT_EXEC);
}

static long try_fork(void)
{
	const pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid < 0 ? -1 : waitpid(pid, NULL, 0);
}

static void *nothing(void *arg)
{
	return arg;
}

static long try_thread(void)
{
	pthread_t t;
	const int rc = pthread_create(&t, NULL, nothing, NULL);

	errno = rc;
	return rc ? -1 : pthread_join(t, NULL);
}

/* What a try gives without a filter does not matter: only whether it is the filter that answers. */
struct row {
	const char *name;
	long (*try)(void);
	bool plain, reload, commands; /* does the filter let it through? */
};

static const struct row rows[] = {
	{ "ptrace", try_ptrace, false, false, false },
	{ "mount", try_mount, false, false, false },
	{ "setns", try_setns, false, false, false },
	{ "a mount namespace", try_new_mounts, false, false, true },
	{ "a pid namespace", try_new_pids, false, false, true },
	{ "a module", try_module, false, false, false },
	{ "perf", try_perf, false, false, false },
	{ "keyctl", try_key, false, false, false },
	{ "process_vm_readv", try_peek, false, false, false },
	{ "io_uring", try_uring, false, false, false },
	{ "userfaultfd", try_fault, false, false, false },
	{ "a descriptor of another process", try_take_fd, false, false, false },
	{ "advice to another process", try_advise, false, false, false },
	{ "comparing processes", try_compare, false, false, false },
	{ "loading BPF", try_prog_load, false, true, true },
	{ "a BPF map", try_map_create, false, true, true },
	{ "a network namespace", try_netns, false, true, true },
	{ "its user namespace", try_user_netns, false, true, true },
	{ "fork", try_fork, false, true, true },
	{ "exec", try_exec, false, false, true },
	{ "kill", try_kill, false, false, true },
	{ "chroot", try_chroot, false, false, false },
	{ "setuid", try_setuid, false, false, true },
	{ "dumpable again", try_dumpable, false, false, true },
	{ "a limit", try_core, false, false, true },
	{ "AF_XDP", try_xdp_socket, false, false, true },
	{ "AF_VSOCK", try_vsock, false, false, true },
	{ "TIOCSTI", try_tiocsti, false, false, true },
	{ "open for writing", try_write_file, false, false, true },
	{ "making a file", try_make_file, false, false, true },
	{ "truncating a file", try_truncate, false, false, true },
	{ "memory to write and run", try_code, false, false, true },
	{ "memory that becomes code", try_make_code, false, false, true },
	/* what it lives by */
	{ "open for reading", try_read_file, true, true, true },
	{ "asking for a limit", try_limit, true, true, true },
	{ "a BPF map's element", try_map_lookup, true, true, true },
	{ "TCP", try_inet, true, true, true },
	{ "AF_PACKET", try_packet, true, true, true },
	{ "netlink", try_netlink, true, true, true },
	{ "eventfd", try_event, true, true, true },
	{ "epoll", try_epoll, true, true, true },
	{ "the clock's state", try_clock, true, true, true },
	{ "a thread", try_thread, true, true, true },
};

struct attempt {
	struct sw_seccomp_config cf;
	bool install;
	long (*try)(void);
};

/* @return the errno of the try, WORKED or INSTALL_FAILED. */
static int attempt(const void *arg)
{
	const struct attempt *a = arg;
	char err[200];

	if (a->install && sw_seccomp_install(&a->cf, err, sizeof(err)))
		return INSTALL_FAILED;
	errno = 0;
	return a->try() < 0 ? errno : WORKED;
}

static void expect(const struct row *row, const char *mode, struct sw_seccomp_config cf, bool lets)
{
	const int open = in_child(attempt, &(struct attempt){ cf, false, row->try });
	const int shut = in_child(attempt, &(struct attempt){ cf, true, row->try });

	if (lets || !sw_seccomp_available())
		cr_expect_eq(shut, open, "%s, %s: %d, without a filter %d", row->name, mode, shut,
			     open);
	else
		cr_expect_eq(shut, EPERM, "%s, %s: %d, without a filter %d", row->name, mode, shut,
			     open);
}

Test(seccomp, plain)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(&rows[i], "plain", (struct sw_seccomp_config){ 0 }, rows[i].plain);
}

Test(seccomp, reload)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(&rows[i], "reload", (struct sw_seccomp_config){ .reload = true },
		       rows[i].reload);
}

Test(seccomp, commands)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(&rows[i], "commands", (struct sw_seccomp_config){ .commands = true },
		       rows[i].commands);
}

/* glibc's fork() and pthread_create() go on with clone() only after ENOSYS. */
Test(seccomp, newer_calls_look_missing)
{
	const struct attempt a = { { 0 }, true, try_clone3 };

	if (sw_seccomp_available())
		cr_assert_eq(in_child(attempt, &a), ENOSYS, "%d", in_child(attempt, &a));
	else
		cr_assert_neq(in_child(attempt, &a), ENOSYS, "a filter in a sanitized build");
}

static pthread_barrier_t barrier;

/* A thread that was there before the filter tries after it was installed. */
static void *old_thread(void *arg)
{
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	*(long *)arg = try_setns() < 0 ? errno : WORKED; /* without a filter: EBADF */
	return NULL;
}

static int all_threads(const void *arg)
{
	char err[200];
	pthread_t t;
	long got = -1;

	(void)arg;
	pthread_barrier_init(&barrier, NULL, 2);
	if (setreuid(65534, 65534) || pthread_create(&t, NULL, old_thread, &got))
		return INSTALL_FAILED;
	pthread_barrier_wait(&barrier);
	if (sw_seccomp_install(&(struct sw_seccomp_config){ 0 }, err, sizeof(err)))
		return INSTALL_FAILED;
	pthread_barrier_wait(&barrier);
	pthread_join(t, NULL);
	return got == EPERM && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 1;
}

/* No privilege is needed, and threads that run already are under the filter as well. */
Test(seccomp, all_threads_and_any_user)
{
	const int got = in_child(all_threads, NULL);

	cr_assert_eq(got, sw_seccomp_available() ? 0 : 1, "%d", got);
}
