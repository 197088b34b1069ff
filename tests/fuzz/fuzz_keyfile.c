/* SPDX-License-Identifier: MIT */
/* The text of a key file. */
#include "listen/keyfile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sw_keyfile file;
	char err[200] = "";
	const int rc = sw_keyfile_parse("k", (const char *)data, size, &file, err, sizeof(err));

	if (rc != 0) {
		if (rc != -EINVAL || strncmp(err, "k:", 2) != 0)
			abort();
		return 0;
	}
	if (file.masters.n < 1 || file.masters.n > SW_MAX_MASTERS || err[0])
		abort();
	if (file.slot[0] != SW_KEY_ACTIVE)
		abort();
	for (size_t i = 1; i < file.masters.n; i++) {
		if (file.slot[i] <= file.slot[i - 1])
			abort();
	}
	return 0;
}
