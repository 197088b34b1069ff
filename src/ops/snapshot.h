/* SPDX-License-Identifier: MIT */
/*
 * Everything that can be seen of a running synward at one moment.  /metrics, /stats, /events,
 * `status`, `top` and the dashboard are renderings of this struct and of nothing else, so they
 * agree.
 */
#ifndef SW_OPS_SNAPSHOT_H
#define SW_OPS_SNAPSHOT_H

#include "core/hist.h"
#include "core/types.h"
#include "relay/relay.h"

#include <synward/listener.h>

#define SW_SNAP_NAME	32   /* bytes of a listener's, pool's or interface's name, with its end */
#define SW_SNAP_ADDRS	3392 /* 64 addresses of 53 bytes */
#define SW_SNAP_KEYS	4
#define SW_SNAP_WORKERS 64

enum sw_snap_mode { SW_SNAP_RELAY, SW_SNAP_TRANSPARENT };
enum sw_snap_xdp { SW_SNAP_XDP_NONE, SW_SNAP_XDP_GENERIC, SW_SNAP_XDP_NATIVE };

struct sw_snap_key {
	char slot[12];	      /* "active", "staged", "retired"; "run" for a key of this run only */
	char fingerprint[20]; /* as `synward secret fingerprint` prints it */
};

/** The keys of a listener. */
struct sw_snap_keys {
	struct sw_snap_key key[SW_SNAP_KEYS];
	size_t n;
};

/** What struct sw_flood says about a listener. */
struct sw_snap_flood {
	bool active;
	uint64_t count;			       /* floods since the start */
	sw_wall began;			       /* of the current or last flood; 0: none yet */
	uint64_t lasted_ns;		       /* the current or last flood */
	uint64_t syn, synack, proven, refused; /* a second, measured over the last full second */
};

/** Connections of one listener that the relay serves or served.  Zero in transparent mode. */
struct sw_snap_conns {
	uint64_t active, total;
	uint64_t to_server, to_client; /* payload bytes */
	uint64_t ended[SW_NEND];       /* by enum sw_relay_cause */
	struct sw_hist duration;       /* from the handoff to the end */
};

struct sw_snap_listener {
	char name[SW_SNAP_NAME], interface[SW_SNAP_NAME];
	char addresses[SW_SNAP_ADDRS]; /* "192.0.2.1:443, [2001:db8::1]:443" */
	char pool[SW_SNAP_NAME];       /* "" in transparent mode */
	enum sw_snap_mode mode;
	enum synward_offload offload; /* as configured */
	enum sw_snap_xdp xdp;	      /* as attached */
	bool draining;
	uint64_t queue_depth; /* the most that may wait; stats.queued waits now */
	struct synward_stats stats;
	struct synward_worker_stats worker[SW_SNAP_WORKERS];
	unsigned nworker;
	struct sw_snap_keys keys; /* without a key file each listener has its own */
	struct sw_snap_flood flood;
	struct sw_snap_conns conns;
};

struct sw_snap_server {
	char pool[SW_SNAP_NAME];
	char name[64]; /* "10.0.0.11:8443" */
	bool up;       /* true without health checks */
	uint64_t active;
	uint64_t failed[SW_NDIAL]; /* connection attempts, by enum sw_relay_dial_fail */
	struct sw_hist connect;	   /* of the attempts that succeeded */
};

/** Filled by sw_snapshot_add_process(). */
struct sw_snap_process {
	double cpu_seconds; /* user and system, all threads */
	uint64_t rss_bytes, open_fds, max_fds;
	bool clock_known;	 /* adjtimex(2) is allowed: what follows says something */
	bool clock_synchronized; /* not STA_UNSYNC */
	double clock_max_error;	 /* seconds */
};

struct sw_snapshot {
	sw_wall started, now;
	sw_mono mono;	     /* the same moment as now */
	bool ready;	     /* every listener guards and none of them, nor the process, drains */
	char why_not[128];   /* "draining", "listener web: interface eth0 is gone"; "" when ready */
	bool reload_ok;	     /* the last one; true before the first */
	sw_wall reload_time; /* of the last one that succeeded, the start included */
	uint64_t reloads;    /* that succeeded, without the start */
	uint32_t epoch;
	sw_wall epoch_end;
	struct sw_snap_keys keys; /* of the first listener */
	uint64_t log_suppressed; /* as sw_log_suppressed() */
	struct sw_snap_process process;
	size_t nlistener, nserver;
	struct sw_snap_listener *listener; /* nlistener of them, part of this allocation */
	struct sw_snap_server *server;	   /* nserver, of all pools, part of this allocation */
};

/** @return one zeroed allocation that the caller fills and sw_snapshot_free() frees, or NULL. */
struct sw_snapshot *sw_snapshot_new(size_t nlistener, size_t nserver);
/** NULL is allowed. */
void sw_snapshot_free(struct sw_snapshot *s);

/** Fill s->process.  The HTTP server does it, in its own thread. */
void sw_snapshot_add_process(struct sw_snapshot *s);

/** Copy a flood's state.  @param now,mono  The same moment on both clocks. */
struct sw_flood;
void sw_snap_flood_set(struct sw_snap_flood *out, const struct sw_flood *f, sw_wall now,
		       sw_mono mono);

/** Versions of what this program is made of, never NULL. */
struct sw_build_info {
	const char *version, *revision, *openssl, *libbpf, *libevent;
};
struct sw_build_info sw_build_info(void);

/** @return "relay" or "transparent"; "none", "generic" or "native"; "none" or "xdp". */
const char *sw_snap_mode_name(enum sw_snap_mode mode);
const char *sw_snap_xdp_name(enum sw_snap_xdp xdp);
const char *sw_snap_offload_name(enum synward_offload offload);

#endif
