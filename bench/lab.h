/* SPDX-License-Identifier: MIT */
/* What the tools that work on an interface of the lab share. */
#ifndef BENCH_LAB_H
#define BENCH_LAB_H

#include "tool.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/** @return the index of a veth.  Anything else is not the lab's: says so and exits with 1. */
static inline unsigned must_be_veth(const char *name)
{
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
	struct ifreq ifr = { 0 };
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	unsigned index;

	if (fd < 0)
		die("socket");
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	ifr.ifr_data = (void *)&info;
	if (strlen(name) >= IFNAMSIZ || ioctl(fd, SIOCETHTOOL, &ifr) ||
	    strcmp(info.driver, "veth") != 0) {
		fprintf(stderr, "%s: refused: %s is not a veth of the lab\n",
			program_invocation_short_name, name);
		exit(1);
	}
	close(fd);
	index = if_nametoindex(name);
	if (!index)
		die(name);
	return index;
}

/** The path of an object that was built beside this program. */
static inline void beside(char *out, size_t size, const char *file)
{
	const ssize_t n = readlink("/proc/self/exe", out, size - 1);

	if (n < 0)
		die("/proc/self/exe");
	out[n] = '\0';
	*strrchr(out, '/') = '\0';
	if (strlen(out) + strlen(file) + 2 > size) {
		errno = ENAMETOOLONG;
		die(out);
	}
	snprintf(out + strlen(out), size - strlen(out), "/%s", file);
}

#endif
