/* SPDX-License-Identifier: MIT */
#include "steer/assign.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

Test(assign, a_missing_kfunc_is_named)
{
	char err[256] = "";

	cr_assert_eq(sw_assign_need("bpf_sk_assign_no_such_thing", err, sizeof(err)), -ENOTSUP,
		     "%s", err);
	cr_assert(strstr(err, "the kernel has no bpf_sk_assign_no_such_thing()"), "%s", err);
	cr_assert(strstr(err, "Linux 6.9"), "%s", err);
}

Test(assign, a_function_that_every_kernel_has)
{
	char err[256] = "";

	cr_assert_eq(sw_assign_need("tcp_v4_rcv", err, sizeof(err)), 0, "%s", err);
	cr_assert_eq(err[0], '\0', "%s", err);
}
