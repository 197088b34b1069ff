/* SPDX-License-Identifier: MIT */
#include "study/claims.h"

#include "core/frames.h"

#include <criterion/criterion.h>

static const char list[] =
	"Num       RefCount Protocol Flags    Type St Inode Path\n"
	"0000000000000000: 00000002 00000000 00010000 0001 01 20 /run/dbus/system_bus_socket\n"
	"0000000000000000: 00000002 00000000 00010000 0001 01 21 @synward/2/4/80/198.51.100.1/0a1b\n"
	"0000000000000000: 00000002 00000000 00010000 0001 01 22 @synward/2/4/80/198.51.100.1/ffff\n"
	"0000000000000000: 00000002 00000000 00010000 0001 01 23 @synward/3/4/81/198.51.100.1/0a1b\n"
	"0000000000000000: 00000002 00000000 00010000 0001 01 24 @synward/2/6/443/2001:db8::1/0a1b\n"
	"0000000000000000: 00000002 00000000 00010000 0001 01 25 @synward/2/4/22/0.0.0.0/0a1b\n"
	"0000000000000000: 00000002 00000000 00010000 0001 01 26 @synward/2/5/22/0.0.0.0/0a1b\n"
	"0000000000000000: 00000002 00000000 00010000 0001 01 27 @synward/2/4/70000/0.0.0.0/0a1b\n"
	"0000000000000000: 00000002 00000000 00010000 0001 01 28 @synward/2/4/22/not-an-address/0\n"
	"0000000000000000: 00000002 00000000 00010000 0001 01 29 @synward/2/4/22/::1/0\n"
	"0000000000000000: 00000002 00000000 00010000 0001 01 30 @synward/\n";

static size_t read_list(struct sw_guard *g, size_t max, unsigned ifindex)
{
	FILE *f = fmemopen((void *)(uintptr_t)list, sizeof(list) - 1, "r");
	const size_t n = sw_claims_read(f, ifindex, g, max);

	fclose(f);
	return n;
}

Test(claims, of_one_interface)
{
	const struct sw_addr a4 = frame_addr("198.51.100.1"), a6 = frame_addr("2001:db8::1");
	struct sw_guard g[8];

	cr_assert_eq(read_list(g, 8, 2), 3, "%zu claims", read_list(g, 8, 2));
	cr_assert(g[0].family == SW_IP4 && g[0].port == 80 && !g[0].any &&
		  memcmp(&g[0].addr, &a4, sizeof(a4)) == 0, "the first");
	cr_assert(g[1].family == SW_IP6 && g[1].port == 443 && !g[1].any &&
		  memcmp(&g[1].addr, &a6, sizeof(a6)) == 0, "the second");
	cr_assert(g[2].family == SW_IP4 && g[2].port == 22 && g[2].any, "the third");
	cr_assert_eq(read_list(g, 8, 9), 0, "claims of no interface");
	cr_assert_eq(read_list(g, 8, 0), 4, "all interfaces");
	cr_assert_eq(read_list(g, 1, 2), 1, "more than there is room for");
}
