/* SPDX-License-Identifier: MIT */
#include "ops/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/sockios.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define NAMESPACES                                                                                 \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |             \
	 CLONE_NEWPID | CLONE_NEWNET)

/* Whatever their arguments.  By name: libseccomp skips what an architecture does not have. */
static const char *const always[] = {
	/* memory and threads */
	"brk", "madvise", "mlock", "munlock", "mremap", "munmap", "futex", "futex_time64",
	"get_robust_list", "set_robust_list", "set_tid_address", "rseq", "membarrier", "sched_yield",
	"sched_getaffinity", "sched_setattr", "sched_getattr", "sched_getparam",
	"sched_getscheduler", "getpriority", "setpriority", "gettid", "getpid", "getppid", "exit",
	"exit_group", "tgkill", "restart_syscall", "capget", "capset",
	/* signals and time */
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigtimedwait", "sigaltstack",
	"clock_gettime", "clock_gettime64", "clock_getres", "clock_nanosleep", "nanosleep",
	"gettimeofday", "time", "adjtimex", "clock_adjtime", "timerfd_create", "timerfd_settime",
	"timerfd_gettime",
	/* who and where */
	"getuid", "geteuid", "getgid", "getegid", "getresuid", "getresgid", "getgroups", "uname",
	"sysinfo", "getrusage", "getrlimit", "getrandom", "getcpu", "umask",
	/* descriptors */
	"read", "readv", "pread64", "preadv", "write", "writev", "pwrite64", "pwritev", "close",
	"close_range", "dup", "dup2", "dup3", "fcntl", "fcntl64", "lseek", "_llseek", "pipe",
	"pipe2", "splice", "tee", "eventfd2", "signalfd4", "poll", "ppoll", "select", "pselect6",
	"epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "inotify_init1",
	"inotify_add_watch", "inotify_rm_watch",
	/* files */
	"fstat", "fstat64", "newfstatat", "fstatat64", "stat", "stat64", "lstat", "statx",
	"fstatfs", "statfs", "access", "faccessat", "faccessat2", "readlink", "readlinkat",
	"getdents64", "getcwd", "unlink", "unlinkat", "chmod", "fchmod", "fchmodat", "fadvise64",
	/* sockets */
	"bind", "listen", "accept", "accept4", "connect", "shutdown", "getsockname", "getpeername",
	"getsockopt", "setsockopt", "sendto", "recvfrom", "sendmsg", "recvmsg", "sendmmsg",
	"recvmmsg",
};

/*
 * What no flood command needs: the kernel's own levers, and those on other processes.  bpf(2) and
 * unshare(2) are not here: only a file names a command, a reload needs both, and the filter cannot
 * tell who calls.
 */
static const char *const never[] = {
	"acct", "add_key", "chroot", "clock_settime", "delete_module", "finit_module", "fsconfig",
	"fsmount", "fsopen", "init_module", "io_uring_enter", "io_uring_register",
	"io_uring_setup", "ioperm", "iopl", "kcmp", "kexec_file_load", "kexec_load", "keyctl",
	"mount", "mount_setattr", "move_mount", "name_to_handle_at", "open_by_handle_at",
	"open_tree", "perf_event_open", "personality", "pidfd_getfd", "pivot_root",
	"process_madvise", "process_vm_readv", "process_vm_writev", "ptrace", "quotactl",
	"reboot", "request_key", "setns", "settimeofday", "swapoff", "swapon", "syslog", "umount2", "userfaultfd", "vhangup",
};

/* glibc tries these first and takes ENOSYS, not EPERM, for "use the older one". */
static const char *const absent[] = { "clone3", "openat2", "epoll_pwait2", "futex_waitv" };

/* The commands of bpf(2): maps and what is known about them ... */
static const uint32_t bpf_maps[] = {
	BPF_MAP_LOOKUP_ELEM,  BPF_MAP_UPDATE_ELEM,	BPF_MAP_DELETE_ELEM,
	BPF_MAP_GET_NEXT_KEY, BPF_MAP_LOOKUP_BATCH,	BPF_MAP_LOOKUP_AND_DELETE_ELEM,
	BPF_MAP_UPDATE_BATCH, BPF_OBJ_GET_INFO_BY_FD,
};
/* ... and loading and attaching programs. */
static const uint32_t bpf_loads[] = {
	BPF_MAP_CREATE,	    BPF_MAP_FREEZE,	  BPF_PROG_LOAD,	BPF_PROG_BIND_MAP,
	BPF_BTF_LOAD,	    BPF_LINK_CREATE,	  BPF_LINK_UPDATE,	BPF_LINK_DETACH,
	BPF_PROG_QUERY,	    BPF_PROG_GET_FD_BY_ID, BPF_MAP_GET_FD_BY_ID, BPF_BTF_GET_FD_BY_ID,
	BPF_BTF_GET_NEXT_ID, BPF_PROG_ATTACH,
};

static const uint32_t families[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET };

/* Each packet thread asks for it; more than at the start it does not get. */
static const uint32_t limits[] = { RLIMIT_RTPRIO };

static const uint32_t ioctls[] = { FIONBIO,	  FIONREAD,    TCGETS,	     SIOCGIFNAME,
				   SIOCGIFINDEX,  SIOCGIFMTU,  SIOCGIFFLAGS, SIOCSIFFLAGS,
				   SIOCGIFHWADDR, SIOCETHTOOL };

static const uint32_t prctls[] = { PR_SET_NAME,	     PR_GET_NAME,     PR_SET_PDEATHSIG,
				   PR_CAP_AMBIENT,   PR_CAPBSET_READ, PR_CAPBSET_DROP,
				   PR_GET_DUMPABLE,  PR_GET_SECUREBITS, PR_GET_NO_NEW_PRIVS };

/* A filter that is being made; the first failure is kept and the rest is skipped. */
struct filter {
	scmp_filter_ctx cx;
	int rc;
};

static void add(struct filter *f, uint32_t action, const char *name)
{
	const int nr = seccomp_syscall_resolve_name(name);

	if (nr != __NR_SCMP_ERROR && !f->rc)
		f->rc = seccomp_rule_add(f->cx, action, nr, 0);
}

static void add_all(struct filter *f, uint32_t action, const char *const *name, size_t n)
{
	for (size_t i = 0; i < n; i++)
		add(f, action, name[i]);
}

/* Allow @nr where the first argument, or that at @arg, is one of @value. */
static void allow_values(struct filter *f, int nr, unsigned arg, const uint32_t *value, size_t n)
{
	for (size_t i = 0; i < n && !f->rc; i++)
		f->rc = seccomp_rule_add(f->cx, SCMP_ACT_ALLOW, nr, 1,
					 SCMP_CMP(arg, SCMP_CMP_EQ, value[i]));
}

/* Allow @nr where the bits of @mask in an argument are @bits. */
static void allow_masked(struct filter *f, int nr, unsigned arg, uint64_t mask, uint64_t bits)
{
	if (!f->rc)
		f->rc = seccomp_rule_add(f->cx, SCMP_ACT_ALLOW, nr, 1,
					 SCMP_CMP(arg, SCMP_CMP_MASKED_EQ, mask, bits));
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void allow_by_argument(struct filter *f)
{
	allow_values(f, SCMP_SYS(socket), 0, families, COUNT(families));
	allow_values(f, SCMP_SYS(socketpair), 0, families, 1);
	allow_values(f, SCMP_SYS(ioctl), 1, ioctls, COUNT(ioctls));
	allow_values(f, SCMP_SYS(prctl), 0, prctls, COUNT(prctls));
	allow_values(f, SCMP_SYS(bpf), 0, bpf_maps, COUNT(bpf_maps));
	/* Code stays what was loaded at the start. */
	allow_masked(f, SCMP_SYS(mmap), 2, PROT_EXEC, 0);
	allow_masked(f, SCMP_SYS(mprotect), 2, PROT_EXEC, 0);
	/* Nothing is written to but what is open. */
	allow_masked(f, SCMP_SYS(open), 1, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY);
	allow_masked(f, SCMP_SYS(openat), 2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY);
	allow_masked(f, SCMP_SYS(prlimit64), 2, ~0ull, 0); /* asking */
	allow_values(f, SCMP_SYS(prlimit64), 1, limits, 1);
	allow_masked(f, SCMP_SYS(clone), 0, NAMESPACES | CLONE_THREAD, CLONE_THREAD);
}

/* Opening a listener: load BPF programs, and a child that makes a network namespace. */
static void allow_reload(struct filter *f)
{
	static const uint32_t unshared[] = { CLONE_NEWNET, CLONE_NEWUSER | CLONE_NEWNET };
	static const char *const child[] = { "wait4", "waitid" };

	allow_values(f, SCMP_SYS(bpf), 0, bpf_loads, COUNT(bpf_loads));
	allow_values(f, SCMP_SYS(unshare), 0, unshared, COUNT(unshared));
	allow_masked(f, SCMP_SYS(clone), 0, NAMESPACES | CLONE_THREAD, 0);
	add_all(f, SCMP_ACT_ALLOW, child, COUNT(child));
}

static int fill(scmp_filter_ctx cx, const struct sw_seccomp_config *cf)
{
	struct filter f = { cx, 0 };

	if (cf->commands) {
		add_all(&f, SCMP_ACT_ERRNO(EPERM), never, COUNT(never));
		return f.rc;
	}
	add_all(&f, SCMP_ACT_ALLOW, always, COUNT(always));
	add_all(&f, SCMP_ACT_ERRNO(ENOSYS), absent, COUNT(absent));
	allow_by_argument(&f);
	if (cf->reload)
		allow_reload(&f);
	return f.rc;
}

/*
 * What is only better is not an error.  Before Linux 5.16 a filter turns on a mitigation (SSBD) that
 * slows everything down and protects programs that run code of others: this one does not.
 */
static int set_attributes(scmp_filter_ctx cx)
{
	int rc = seccomp_attr_set(cx, SCMP_FLTATR_CTL_TSYNC, 1);

	if (!rc)
		rc = seccomp_attr_set(cx, SCMP_FLTATR_CTL_NNP, 1);
	(void)seccomp_attr_set(cx, SCMP_FLTATR_CTL_LOG, 1);
	(void)seccomp_attr_set(cx, SCMP_FLTATR_CTL_SSB, 1);
	(void)seccomp_attr_set(cx, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree, not a list */
	return rc;
}

bool sw_seccomp_available(void)
{
#ifdef __SANITIZE_ADDRESS__
	return false;
#else
	return true;
#endif
}

int sw_seccomp_install(const struct sw_seccomp_config *cf, char *err, size_t errlen)
{
	scmp_filter_ctx cx;
	int rc;

	if (!sw_seccomp_available())
		return 0;
	cx = seccomp_init(cf->commands ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EPERM));
	if (!cx) {
		snprintf(err, errlen, "no system call filter: out of memory");
		return -ENOMEM;
	}
	rc = set_attributes(cx);
	if (!rc)
		rc = fill(cx, cf);
	if (!rc)
		rc = seccomp_load(cx);
	seccomp_release(cx);
	if (rc)
		snprintf(err, errlen,
			 "cannot install the system call filter: %s; the kernel needs "
			 "CONFIG_SECCOMP_FILTER",
			 strerror(rc < 0 ? -rc : EBUSY));
	return rc < 0 ? rc : rc ? -EBUSY : 0;
}
