/* SPDX-License-Identifier: MIT */
#include "steer/assign.h"
#include "bpf/abi.h"
#include "core/used.h"
#include "steer/bpfutil.h"
#include "steer/claim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define KFUNC "bpf_sk_assign_tcp_reqsk"

struct sw_assign {
	struct sw_xdp *xdp; /* borrowed */
	unsigned index;
	int claim[SW_MAX_GUARDS]; /* owned sockets */
	size_t nclaim;
};

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

int sw_assign_open(struct sw_assign **out, const struct sw_answer *answer,
		   const struct sw_answer_config *cf, unsigned ifindex, char *err, size_t errlen)
{
	struct sw_assign *as = calloc(1, sizeof(*as));
	int rc;

	if (!as)
		return -ENOMEM;
	as->xdp = sw_answer_xdp(answer);
	as->index = sw_answer_index(answer);
	rc = sw_assign_need(KFUNC, err, errlen);
	if (!rc)
		rc = sw_claim(ifindex, cf->policy->guard, cf->policy->nguard, as->claim, err, errlen);
	if (!rc)
		as->nclaim = cf->policy->nguard;
	if (!rc)
		rc = sw_xdp_attach_tc(as->xdp, err, errlen);
	if (rc)
		sw_assign_close(as);
	else
		*out = as;
	return rc;
}

void sw_assign_close(struct sw_assign *as)
{
	if (!as)
		return;
	for (size_t i = 0; i < as->nclaim; i++)
		close(as->claim[i]);
	free(as);
}

void sw_assign_count(const struct sw_assign *as, uint64_t why[SW_NWHY])
{
	sw_xdp_count_tc(as->xdp, as->index, why);
}
