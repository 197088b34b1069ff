/* SPDX-License-Identifier: MIT */
#include "listen/shed.h"

#include <criterion/criterion.h>
#include <linux/capability.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BIT(cap) (1ull << (cap))

static uint64_t permitted(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct half[2];

	if (syscall(SYS_capget, &head, half))
		return ~0ull;
	return (uint64_t)(half[1].permitted | half[1].effective) << 32 | half[0].permitted |
	       half[0].effective;
}

struct seen {
	uint64_t before, after;
	int setpcap, net_admin, raw_socket;
};

static void *thread(void *arg)
{
	struct seen *s = arg;

	s->before = permitted();
	sw_shed();
	s->after = permitted();
	s->setpcap = prctl(PR_CAPBSET_READ, CAP_SETPCAP, 0, 0, 0);
	s->net_admin = prctl(PR_CAPBSET_READ, CAP_NET_ADMIN, 0, 0, 0);
	s->raw_socket = socket(AF_PACKET, SOCK_RAW, 0);
	return NULL;
}

/* One thread gives up, the other keeps all it has. */
Test(shed, is_of_one_thread)
{
	const uint64_t mine = permitted();
	struct seen s;
	pthread_t t;

	cr_assert(mine & BIT(CAP_NET_RAW), "this test is to be run by root");
	cr_assert_eq(pthread_create(&t, NULL, thread, &s), 0, "no thread");
	pthread_join(t, NULL);
	cr_expect_eq(s.before, mine, "%llx", (unsigned long long)s.before);
	cr_expect_eq(s.after, mine & sw_shed_keeps(), "%llx", (unsigned long long)s.after);
	cr_expect(s.after & BIT(CAP_NET_ADMIN), "TCP_REPAIR is gone too");
	cr_expect_eq(s.setpcap, 0, "the bounding set still has CAP_SETPCAP");
	cr_expect_eq(s.net_admin, 1, "the bounding set lacks CAP_NET_ADMIN");
	cr_expect_lt(s.raw_socket, 0, "a packet socket without CAP_NET_RAW");
	cr_expect_eq(permitted(), mine, "another thread lost some");
}

Test(shed, twice_is_once)
{
	uint64_t once;

	sw_shed();
	once = permitted();
	sw_shed();
	cr_assert_eq(permitted(), once, "%llx", (unsigned long long)permitted());
}

/* With a limit above 0 the scheduler asks for no capability. */
Test(shed, keeps_nice_where_the_limit_is_0)
{
	const struct rlimit none = { 0, 0 };

	cr_assert_eq(setrlimit(RLIMIT_RTPRIO, &none), 0, "lowering it is always allowed");
	cr_expect(sw_first_needs_cap(), "limit 0");
	cr_expect(sw_shed_keeps() & BIT(CAP_SYS_NICE), "given up");
}

Test(shed, maps_need_cap_by_release)
{
	/* Which it is depends on the kernel; that both agree does not. */
	cr_assert_eq((sw_shed_keeps() & BIT(CAP_BPF)) != 0, sw_maps_need_cap(), "%llx",
		     (unsigned long long)sw_shed_keeps());
}
