/* SPDX-License-Identifier: MIT */
/*
 * What makes an accept server fail without a word: a missing privilege, an offload that merges
 * frames, a filter on the way back.  Each check says one line and what to do.
 */
#ifndef SW_OPS_DOCTOR_H
#define SW_OPS_DOCTOR_H

#include "core/types.h"

#include <sys/socket.h>

enum sw_finding {
	SW_FOUND_OK,
	SW_FOUND_WARN,	     /* it runs, but not as well or as safely as it could */
	SW_FOUND_FAIL,	     /* it cannot work */
	SW_FOUND_KERNEL,     /* it cannot work: a kernel feature is missing */
	SW_FOUND_CAPABILITY, /* it cannot work: a capability is missing */
};

struct sw_doctor_config {
	const char *interface; /* NULL: checks of the host only */
	const struct sockaddr_storage *listen;
	size_t nlisten;

	/* Called for each finding.  @fix is what to do, NULL when nothing is. */
	void (*say)(void *arg, enum sw_finding found, const char *what, const char *fix);
	void *arg;
};

/**
 * Run all checks.  Opens sockets, loads small BPF programs and makes a veth pair for a moment, all
 * of which are gone on return.  Sends nothing.
 *
 * @return the worst finding; a missing capability counts as worse than what it leads to.
 */
enum sw_finding sw_doctor(const struct sw_doctor_config *cf);

#endif
