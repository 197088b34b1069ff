/* SPDX-License-Identifier: MIT */
/* A TCP option list, as it stands in a header. */
#include "core/tcpopt.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sw_tcpopt o;

	sw_tcpopt_parse(&o, data, size);
	if (o.wscale > 14)
		abort();
	if ((!o.ts && (o.tsval || o.tsecr)) || (!o.wscale_ok && o.wscale))
		abort();
	return 0;
}
