/* SPDX-License-Identifier: MIT */
#include "steer/assign.h"
#include "bpf/abi.h"
#include "core/used.h"
#include "steer/bpfutil.h"
#include "steer/claim.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <assign.skel.h> /* generated */

#define KFUNC "bpf_sk_assign_tcp_reqsk"

struct sw_assign {
	struct sw_assign_bpf *bpf; /* owned */
	int link_fd;               /* owned, or -1 */
	int claim[SW_MAX_GUARDS];  /* owned sockets */
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

static int load(struct sw_assign *as, const struct sw_answer *answer,
		const struct sw_answer_config *cf, char *err, size_t errlen)
{
	struct sw_assign_bpf *b = sw_assign_bpf__open();
	int rc;

	as->bpf = b;
	if (!b)
		return sw_bpf_explain(-errno, "open the TC program", err, errlen);
	b->rodata->use_hmac = cf->alg == SW_MAC_HMAC_SHA256;
	b->rodata->have_any = sw_bpf_have_any(cf->policy->guard, cf->policy->nguard);
	rc = bpf_map__reuse_fd(b->maps.keys, sw_answer_map_fd(answer, SW_ANSWER_KEYS));
	if (!rc)
		rc = bpf_map__reuse_fd(b->maps.settings,
				       sw_answer_map_fd(answer, SW_ANSWER_SETTINGS));
	if (!rc)
		rc = bpf_map__reuse_fd(b->maps.guards, sw_answer_map_fd(answer, SW_ANSWER_GUARDS));
	if (!rc)
		rc = bpf_map__reuse_fd(b->maps.recent, sw_answer_map_fd(answer, SW_ANSWER_RECENT));
	if (!rc)
		rc = sw_assign_bpf__load(b);
	return rc ? sw_bpf_explain(rc, "load the TC program", err, errlen) : 0;
}

int sw_assign_open(struct sw_assign **out, const struct sw_answer *answer,
		   const struct sw_answer_config *cf, unsigned ifindex, char *err, size_t errlen)
{
	struct sw_assign *as = calloc(1, sizeof(*as));
	libbpf_print_fn_t print = sw_bpf_quiet();
	int rc = -ENOMEM;

	if (!as)
		goto restore_print;
	as->link_fd = -1;
	rc = sw_assign_need(KFUNC, err, errlen);
	if (rc)
		goto close_all;
	rc = sw_claim(ifindex, cf->policy->guard, cf->policy->nguard, as->claim, err, errlen);
	if (rc)
		goto close_all;
	as->nclaim = cf->policy->nguard;
	rc = load(as, answer, cf, err, errlen);
	if (rc)
		goto close_all;
	as->link_fd = bpf_link_create(bpf_program__fd(as->bpf->progs.sw_assign), (int)ifindex,
				      (enum bpf_attach_type)SW_TCX_INGRESS, NULL);
	if (as->link_fd < 0) {
		rc = sw_bpf_explain(-errno, "attach BPF to the interface", err, errlen);
		goto close_all;
	}
	*out = as;
	goto restore_print;

close_all:
	sw_assign_close(as);
restore_print:
	libbpf_set_print(print);
	return rc;
}

void sw_assign_close(struct sw_assign *as)
{
	if (!as)
		return;
	if (as->link_fd >= 0)
		close(as->link_fd);
	sw_assign_bpf__destroy(as->bpf);
	for (size_t i = 0; i < as->nclaim; i++)
		close(as->claim[i]);
	free(as);
}

void sw_assign_count(const struct sw_assign *as, uint64_t why[SW_NWHY])
{
	sw_bpf_count(bpf_map__fd(as->bpf->maps.counters), why);
}
