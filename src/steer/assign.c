/* SPDX-License-Identifier: MIT */
#include "steer/assign.h"
#include "bpf/abi.h"
#include "core/used.h"
#include "steer/bpfutil.h"

#include <errno.h>
#include <stdio.h>

#define KFUNC "bpf_sk_assign_tcp_reqsk"

_Static_assert(SW_BPF_USED == SW_USED_SLOTS, "as long a memory as the front end's");

int sw_assign_need(const char *kfunc, char *err, size_t errlen)
{
	if (sw_bpf_have_kfunc(kfunc))
		return 0;
	snprintf(err, errlen,
		 "the kernel has no %s(): --transparent needs Linux 6.9 with CONFIG_DEBUG_INFO_BTF; "
		 "use --upstream instead",
		 kfunc);
	return -ENOTSUP;
}

int sw_assign_attach(struct sw_answer *answer, char *err, size_t errlen)
{
	const int rc = sw_assign_need(KFUNC, err, errlen);

	return rc ? rc : sw_xdp_attach_tc(sw_answer_xdp(answer), err, errlen);
}
