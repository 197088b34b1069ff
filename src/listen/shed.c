/* SPDX-License-Identifier: MIT */
#include "listen/shed.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#define BIT(cap) (1ull << (cap))

bool sw_maps_need_cap(void)
{
	struct utsname u;
	unsigned major, minor;

	if (uname(&u) || sscanf(u.release, "%u.%u", &major, &minor) != 2)
		return true;
	return major < 5 || (major == 5 && minor < 19);
}

bool sw_first_needs_cap(void)
{
	struct rlimit rt;

	return getrlimit(RLIMIT_RTPRIO, &rt) || rt.rlim_cur == 0;
}

uint64_t sw_shed_keeps(void)
{
	uint64_t keeps = BIT(CAP_NET_ADMIN) | BIT(CAP_NET_BIND_SERVICE);

	if (sw_maps_need_cap())
		keeps |= BIT(CAP_BPF);
	if (sw_first_needs_cap())
		keeps |= BIT(CAP_SYS_NICE);
	return keeps;
}

/* Takes effect only with CAP_SETPCAP; without it the set is what the starter left. */
static void shed_bounding(uint64_t keep)
{
	for (unsigned cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (!(keep & BIT(cap)) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) && errno == EPERM)
			return;
}

void sw_shed(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct half[_LINUX_CAPABILITY_U32S_3];
	const uint64_t keep = sw_shed_keeps();

	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	shed_bounding(keep);
	if (syscall(SYS_capget, &head, half))
		return;
	for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		half[i].permitted &= (__u32)(keep >> 32 * i);
		half[i].effective &= (__u32)(keep >> 32 * i);
		half[i].inheritable = 0;
	}
	(void)syscall(SYS_capset, &head, half); /* giving up is always allowed */
}
