/* SPDX-License-Identifier: MIT */
#include "ops/snapshot.h"
#include "ops/flood.h"

#include <bpf/libbpf.h>
#include <dirent.h>
#include <event2/event.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <unistd.h>

#ifndef SYNWARD_REVISION
#define SYNWARD_REVISION "unknown"
#endif

struct sw_snapshot *sw_snapshot_new(size_t nlistener, size_t nserver)
{
	const size_t listeners = nlistener * sizeof(struct sw_snap_listener);
	const size_t servers = nserver * sizeof(struct sw_snap_server);
	struct sw_snapshot *s = calloc(1, sizeof(*s) + listeners + servers);

	if (!s)
		return NULL;
	s->nlistener = nlistener;
	s->nserver = nserver;
	s->listener = (struct sw_snap_listener *)(s + 1);
	s->server = (struct sw_snap_server *)(s->listener + nlistener);
	s->reload_ok = true;
	return s;
}

void sw_snapshot_free(struct sw_snapshot *s)
{
	free(s);
}

/* Linux >= 6.2 tells the number as the directory's size; a relay has too many to list them. */
static uint64_t count_fds(void)
{
	struct stat st;
	uint64_t n = 0;
	DIR *dir;

	if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0)
		return (uint64_t)st.st_size;
	dir = opendir("/proc/self/fd");
	if (!dir)
		return 0;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n > 3 ? n - 3 : 0; /* ".", ".." and the directory itself */
}

static uint64_t resident_bytes(void)
{
	unsigned long long all, resident = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (!f)
		return 0;
	if (fscanf(f, "%llu %llu", &all, &resident) != 2)
		resident = 0;
	fclose(f);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static double seconds_of(struct timeval tv)
{
	return (double)tv.tv_sec + (double)tv.tv_usec / 1e6;
}

void sw_snapshot_add_process(struct sw_snapshot *s)
{
	struct sw_snap_process *p = &s->process;
	struct timex clock = { .modes = 0 };
	struct rusage usage;
	struct rlimit files;

	if (getrusage(RUSAGE_SELF, &usage) == 0)
		p->cpu_seconds = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0)
		p->max_fds = files.rlim_cur;
	p->rss_bytes = resident_bytes();
	p->open_fds = count_fds();
	if (adjtimex(&clock) >= 0) {
		p->clock_known = true;
		p->clock_synchronized = !(clock.status & STA_UNSYNC);
		p->clock_max_error = (double)clock.maxerror / 1e6;
	}
}

void sw_snap_flood_set(struct sw_snap_flood *out, const struct sw_flood *f, sw_wall now,
		       sw_mono mono)
{
	*out = (struct sw_snap_flood){
		.active = f->active,
		.count = f->floods,
		.lasted_ns = f->lasted_ns,
		.syn = f->rate.syns,
		.synack = f->rate.synacks,
		.proven = f->rate.proven,
		.refused = f->rate.refused,
	};
	if (f->floods)
		out->began.ns = now.ns - (mono.ns - f->began.ns);
}

struct sw_build_info sw_build_info(void)
{
	return (struct sw_build_info){
		.version = synward_version(),
		.revision = SYNWARD_REVISION,
		.openssl = OpenSSL_version(OPENSSL_VERSION_STRING),
		.libbpf = libbpf_version_string(),
		.libevent = event_get_version(),
	};
}

const char *sw_snap_mode_name(enum sw_snap_mode mode)
{
	return mode == SW_SNAP_TRANSPARENT ? "transparent" : "relay";
}

const char *sw_snap_xdp_name(enum sw_snap_xdp xdp)
{
	switch (xdp) {
	case SW_SNAP_XDP_GENERIC:
		return "generic";
	case SW_SNAP_XDP_NATIVE:
		return "native";
	case SW_SNAP_XDP_NONE:
		break;
	}
	return "none";
}

const char *sw_snap_offload_name(enum synward_offload offload)
{
	return offload == SYNWARD_OFFLOAD_XDP ? "xdp" : "none";
}
