/* SPDX-License-Identifier: MIT */
/* Feeds every file of the directories given to a fuzz target, without libFuzzer. */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define INPUT_MAX (1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* From a block of the exact size, as libFuzzer does it.  @return false when it cannot be read. */
static bool feed(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *buf = f ? malloc(INPUT_MAX) : NULL;
	size_t n = 0;
	uint8_t *tight;

	if (buf)
		n = fread(buf, 1, INPUT_MAX, f);
	if (f)
		fclose(f);
	tight = buf ? realloc(buf, n ? n : 1) : NULL;
	if (!tight) {
		fprintf(stderr, "%s: cannot be read\n", path);
		return false;
	}
	LLVMFuzzerTestOneInput(tight, n);
	free(tight);
	return true;
}

static unsigned replay(const char *name, bool *ok)
{
	DIR *dir = opendir(name);
	unsigned n = 0;
	struct dirent *e;

	if (!dir) {
		perror(name);
		*ok = false;
		return 0;
	}
	while ((e = readdir(dir))) {
		char path[4096];

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", name, e->d_name);
		*ok = feed(path) && *ok;
		n++;
	}
	closedir(dir);
	return n;
}

int main(int argc, char **argv)
{
	unsigned n = 0;
	bool ok = true;

	for (int i = 1; i < argc; i++)
		n += replay(argv[i], &ok);
	printf("replayed %u inputs\n", n);
	return ok && n > 0 ? 0 : 1;
}
