/* SPDX-License-Identifier: MIT */
/*
 * Puts sink.bpf.c on a veth while it runs.  For each line on stdin it prints the counters as JSON;
 * it ends with stdin, and the program on the veth ends with it.
 *
 *   bench_sink --interface v0 --seed 1
 */
#include "sink.h"
#include "lab.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <inttypes.h>

static const char *const name[SINK_N] = { "synack", "wrong", "rst", "other" };

static void print_counters(int fd)
{
	const int ncpu = libbpf_num_possible_cpus();
	uint64_t *value = must_calloc((size_t)ncpu, sizeof(*value));

	for (uint32_t i = 0; i < SINK_N; i++) {
		uint64_t sum = 0;

		if (bpf_map_lookup_elem(fd, &i, value))
			die("counters");
		for (int c = 0; c < ncpu; c++)
			sum += value[c];
		printf("%s\"%s\": %" PRIu64, i ? ", " : "{", name[i], sum);
	}
	printf(", \"ns\": %" PRIu64 "}\n", now_ns());
	fflush(stdout);
	free(value);
}

int main(int argc, char **argv)
{
	char path[4096], line[16];
	struct bpf_object *obj;
	struct bpf_map *map;
	struct bpf_program *prog;
	struct bpf_link *link;
	uint64_t seed;
	unsigned index;

	if (argc != 5 || strcmp(argv[1], "--interface") != 0 || strcmp(argv[3], "--seed") != 0) {
		fputs("usage: bench_sink --interface VETH --seed N\n", stderr);
		return 2;
	}
	index = must_be_veth(argv[2]);
	seed = strtoull(argv[4], NULL, 10);
	beside(path, sizeof(path), "sink.bpf.o");
	obj = bpf_object__open_file(path, NULL);
	if (!obj)
		die(path);
	map = bpf_object__find_map_by_name(obj, ".rodata");
	if (!map || bpf_map__set_initial_value(map, &seed, sizeof(seed)) || bpf_object__load(obj))
		die("loading sink.bpf.o");
	map = bpf_object__find_map_by_name(obj, "sink_count");
	prog = bpf_object__find_program_by_name(obj, "bench_sink");
	link = prog ? bpf_program__attach_xdp(prog, (int)index) : NULL;
	if (!map || !link)
		die("attaching sink.bpf.o");
	print_counters(bpf_map__fd(map));
	while (fgets(line, sizeof(line), stdin))
		print_counters(bpf_map__fd(map));
	bpf_link__destroy(link);
	bpf_object__close(obj);
	return 0;
}
