/* SPDX-License-Identifier: MIT */
/* The host as a whole: privileges, the kernel, its settings, our limits. */
#include "ops/checkup.h"
#include "steer/pair.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#define FEW_FILES 65536 /* 32 thousand relayed connections */
#define MEMLOCK	  (64ul << 20)

bool sw_release_parse(const char *release, unsigned *major, unsigned *minor)
{
	return sscanf(release, "%u.%u", major, minor) == 2;
}

static void check_caps(struct sw_checkup *cx)
{
	static const struct {
		unsigned bit;
		const char *name;
	} needed[] = { { SW_CAP_NET_RAW, "CAP_NET_RAW" },
		       { SW_CAP_NET_ADMIN, "CAP_NET_ADMIN" },
		       { SW_CAP_BPF, "CAP_BPF" } };

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		/* Before CAP_BPF there was CAP_SYS_ADMIN, and it still covers it. */
		const bool has = sw_has_cap(cx, needed[i].bit) ||
				 (needed[i].bit == SW_CAP_BPF && sw_has_cap(cx, SW_CAP_SYS_ADMIN));

		sw_found(cx, has ? SW_FOUND_OK : SW_FOUND_CAPABILITY,
			 has ? NULL : "run as root, or give it with AmbientCapabilities= or setcap",
			 "%s is %s", needed[i].name, has ? "effective" : "missing");
	}
	if (!sw_has_cap(cx, SW_CAP_PERFMON) && !sw_has_cap(cx, SW_CAP_SYS_ADMIN))
		sw_found(cx, SW_FOUND_WARN, "give it for --offload xdp and --transparent",
			 "CAP_PERFMON is missing");
	else
		sw_found(cx, SW_FOUND_OK, NULL, "CAP_PERFMON is effective");
}

static void check_repair(struct sw_checkup *cx)
{
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	if (fd >= 0 && setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)) == 0)
		sw_found(cx, SW_FOUND_OK, NULL, "TCP_REPAIR works");
	else if (errno == EPERM)
		sw_found(cx, SW_FOUND_CAPABILITY, "give CAP_NET_ADMIN", "TCP_REPAIR is refused");
	else
		sw_found(cx, SW_FOUND_KERNEL, "use a kernel with CONFIG_CHECKPOINT_RESTORE",
			 "TCP_REPAIR is missing: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void check_packet(struct sw_checkup *cx)
{
	const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd >= 0)
		sw_found(cx, SW_FOUND_OK, NULL, "packet sockets work");
	else if (errno == EPERM)
		sw_found(cx, SW_FOUND_CAPABILITY, "give CAP_NET_RAW", "packet sockets are refused");
	else
		sw_found(cx, SW_FOUND_KERNEL, "use a kernel with CONFIG_PACKET",
			 "packet sockets are missing: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
}

/* Not an imitation: the same call that `run` makes. */
static void check_veth(struct sw_checkup *cx)
{
	struct sw_pair pair;
	char why[256] = "";
	const int rc = sw_pair_open(&pair, 1, why, sizeof(why));

	if (rc == 0) {
		sw_pair_close(&pair);
		sw_found(cx, SW_FOUND_OK, NULL, "a veth pair and a network namespace can be made");
	} else {
		sw_found(cx, rc == -EPERM || rc == -EACCES ? SW_FOUND_CAPABILITY : SW_FOUND_KERNEL,
			 "give CAP_SYS_ADMIN or allow user namespaces, and modprobe veth",
			 "no veth pair: %s", why[0] ? why : strerror(-rc));
	}
}

void sw_check_privileges(struct sw_checkup *cx)
{
	check_caps(cx);
	check_repair(cx);
	check_packet(cx);
	check_veth(cx);
}

static bool is_since(const struct sw_checkup *cx, unsigned major, unsigned minor)
{
	return cx->major > major || (cx->major == major && cx->minor >= minor);
}

void sw_check_kernel(struct sw_checkup *cx)
{
	struct utsname u;

	if (uname(&u) < 0 || !sw_release_parse(u.release, &cx->major, &cx->minor))
		sw_found(cx, SW_FOUND_WARN, "check that it is 5.10 or later",
			 "the kernel's version cannot be read");
	else if (!is_since(cx, 5, 10))
		sw_found(cx, SW_FOUND_KERNEL, "upgrade to 5.10 or later", "Linux %u.%u is too old",
			 cx->major, cx->minor);
	else
		sw_found(cx, SW_FOUND_OK, NULL, "Linux %u.%u", cx->major, cx->minor);
}

/* A setting is fine from @min to @max. */
struct setting {
	const char *path; /* below /proc/sys/ */
	long min, max;
	const char *fix;
};

static const struct setting settings[] = {
	{ "net/ipv4/tcp_syncookies", 1, 2,
	  "sysctl net.ipv4.tcp_syncookies=1, for the time when synward does not run" },
	{ "net/ipv4/tcp_timestamps", 1, 2,
	  "sysctl net.ipv4.tcp_timestamps=1, or connections lose round-trip times and PAWS" },
	{ "net/ipv4/tcp_sack", 1, 1,
	  "sysctl net.ipv4.tcp_sack=1, or loss costs whole round trips" },
	{ "net/ipv4/tcp_window_scaling", 1, 1,
	  "sysctl net.ipv4.tcp_window_scaling=1, or windows end at 64 KiB" },
	{ "net/core/netdev_max_backlog", 1000, 1 << 30,
	  "sysctl net.core.netdev_max_backlog=1000 or more, or bursts are dropped" },
	{ "net/core/rmem_max", 212992, 1 << 30,
	  "sysctl net.core.rmem_max=212992 or more, or packet sockets drop large frames" },
};

static void check_setting(struct sw_checkup *cx, const struct setting *s)
{
	char path[96];
	long value;
	bool good;

	snprintf(path, sizeof(path), "/proc/sys/%s", s->path);
	if (!sw_read_number(path, &value))
		return; /* not in this network namespace */
	good = value >= s->min && value <= s->max;
	sw_found(cx, good ? SW_FOUND_OK : SW_FOUND_WARN, good ? NULL : s->fix, "%s is %ld", s->path,
		 value);
}

static void check_limit(struct sw_checkup *cx, int which, const char *name, rlim_t enough,
			const char *fix)
{
	struct rlimit lim;
	char text[32] = "unlimited";
	bool good;

	if (getrlimit((__rlimit_resource_t)which, &lim) < 0)
		return;
	good = lim.rlim_max == RLIM_INFINITY || lim.rlim_max >= enough;
	if (lim.rlim_max != RLIM_INFINITY)
		snprintf(text, sizeof(text), "%llu", (unsigned long long)lim.rlim_max);
	sw_found(cx, good ? SW_FOUND_OK : SW_FOUND_WARN, good ? NULL : fix, "%s is %s", name, text);
}

static void check_conntrack(struct sw_checkup *cx)
{
	long count, max;

	if (!sw_read_number("/proc/sys/net/netfilter/nf_conntrack_count", &count)) {
		sw_found(cx, SW_FOUND_OK, NULL, "connection tracking is not loaded");
		return;
	}
	if (!sw_read_number("/proc/sys/net/netfilter/nf_conntrack_max", &max))
		max = 0;
	sw_found(
		cx, count ? SW_FOUND_WARN : SW_FOUND_OK,
		count ? "exempt the guarded ports: nft add rule inet raw prerouting tcp dport PORT "
			"notrack, the same for sport in output"
		      : NULL,
		"connection tracking holds %ld of %ld entries", count, max);
}

void sw_check_settings(struct sw_checkup *cx)
{
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		check_setting(cx, &settings[i]);
	if (sw_has_cap(cx, SW_CAP_SYS_RESOURCE))
		sw_found(cx, SW_FOUND_OK, NULL, "the limit of open files can be raised");
	else
		check_limit(cx, RLIMIT_NOFILE, "the limit of open files", FEW_FILES,
			    "LimitNOFILE=1048576 in the unit; a relayed connection takes two");
	/* Linux 5.11 counts BPF memory in the cgroup, earlier ones count it here. */
	if (!is_since(cx, 5, 11))
		check_limit(cx, RLIMIT_MEMLOCK, "the limit of locked memory", MEMLOCK,
			    "LimitMEMLOCK=64M in the unit");
	check_conntrack(cx);
}
