/* SPDX-License-Identifier: MIT */
#include "steer/secret.h"

#include <openssl/crypto.h>
#include <sys/mman.h>

void *sw_secret_new(size_t size, size_t secret)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	/* Each of them helps where it works. */
	(void)madvise(p, size, MADV_DONTDUMP);
	(void)madvise(p, size, MADV_WIPEONFORK);
	(void)!mlock(p, secret);
	return p;
}

void sw_secret_free(void *p, size_t size, size_t secret)
{
	if (!p)
		return;
	OPENSSL_cleanse(p, secret);
	munmap(p, size);
}
