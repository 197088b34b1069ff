/* SPDX-License-Identifier: MIT */
/* An address and port, as on the command line.  What is read must survive a round trip. */
#include "steer/addr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *text)
{
	struct sockaddr_storage ss, again;
	char err[200] = "", back[SW_ADDR_STRLEN];
	const int rc = sw_addr_parse(text, &ss, err, sizeof(err));

	if (rc != 0) {
		if (rc != -EINVAL || !strstr(err, ": column "))
			abort();
		return;
	}
	sw_addr_str((const struct sockaddr *)&ss, back);
	if (sw_addr_parse(back, &again, err, sizeof(err)) != 0 ||
	    memcmp(&ss, &again, sizeof(ss)) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	check(text);
	free(text);
	return 0;
}
