/* SPDX-License-Identifier: MIT */
#include "core/reason.h"
#include "ops/metrics_rows.h"
#include "ops/reasons.h"

#include <stdio.h>

enum path { PATH_RING, PATH_XDP, NPATH };
static const char *const path_names[NPATH] = { "ring", "xdp" };

/* Packets of a listener with this reason, by who decided. */
static uint64_t by_path(const struct synward_stats *st, unsigned why, enum path path)
{
	const uint64_t all = st->reason[why], xdp = st->xdp_reason[why];

	return path == PATH_XDP ? xdp : all - (xdp < all ? xdp : all);
}

static uint64_t sum_by_path(const struct sw_snapshot *s, unsigned why, enum path path)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s->nlistener; i++)
		n += by_path(&s->listener[i].stats, why, path);
	return n;
}

/* One sample for each path and reason of a class, all listeners together. */
static void by_reason(struct sw_metric_rows *r, const struct sw_snapshot *s,
		      enum sw_reason_class class)
{
	for (enum path path = 0; path < NPATH; path++) {
		for (unsigned why = 0; synward_reason_name(why); why++) {
			if (sw_reason_class(why) != class || why == SW_WHY_RING_LOST)
				continue;
			sw_metric_rows_label(r, "path", path_names[path]);
			sw_metric_rows_label(r, "reason", synward_reason_name(why));
			sw_metric_rows_count(r, sum_by_path(s, why, path));
		}
	}
}

/* What XDP decides never reaches a ring. */
static void received(struct sw_metric_rows *r, const struct sw_snapshot *s)
{
	uint64_t n[NPATH] = { 0 };

	for (size_t i = 0; i < s->nlistener; i++) {
		n[PATH_RING] += s->listener[i].stats.frames;
		n[PATH_XDP] += s->listener[i].stats.xdp_answered + s->listener[i].stats.xdp_dropped;
	}
	for (enum path path = 0; path < NPATH; path++) {
		sw_metric_rows_label(r, "path", path_names[path]);
		sw_metric_rows_count(r, n[path]);
	}
}

static void ignored(struct sw_metric_rows *r, const struct sw_snapshot *s)
{
	by_reason(r, s, SW_CLASS_LEFT);
}

static void dropped(struct sw_metric_rows *r, const struct sw_snapshot *s)
{
	by_reason(r, s, SW_CLASS_DROPPED);
}

static void ring_drops(struct sw_metric_rows *r, const struct sw_snapshot *s)
{
	char number[16];

	for (size_t i = 0; i < s->nlistener; i++) {
		for (unsigned w = 0; w < s->listener[i].nworker && w < SW_SNAP_WORKERS; w++) {
			snprintf(number, sizeof(number), "%u", w);
			sw_metric_rows_label(r, "listener", s->listener[i].name);
			sw_metric_rows_label(r, "worker", number);
			sw_metric_rows_count(r, s->listener[i].worker[w].ring_lost);
		}
	}
}

static void syns(struct sw_metric_rows *r, const struct sw_snapshot *s)
{
	for (size_t i = 0; i < s->nlistener; i++) {
		const struct synward_stats *st = &s->listener[i].stats;
		const uint64_t known = st->syns_ip4 + st->syns_ip6;
		const struct {
			const char *family;
			uint64_t n;
		} rows[] = { { "ipv4", st->syns_ip4 },
			     { "ipv6", st->syns_ip6 },
			     { "unknown", st->syns > known ? st->syns - known : 0 } };

		for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
			sw_metric_rows_label(r, "listener", s->listener[i].name);
			sw_metric_rows_label(r, "family", rows[k].family);
			sw_metric_rows_count(r, rows[k].n);
		}
	}
}

static void syns_refused(struct sw_metric_rows *r, const struct sw_snapshot *s)
{
	for (size_t i = 0; i < s->nlistener; i++) {
		for (unsigned why = 0; synward_reason_name(why); why++) {
			const uint64_t n = s->listener[i].stats.syn_refused[why];

			if (!n && !sw_reason_refuses_syns(why))
				continue;
			sw_metric_rows_label(r, "listener", s->listener[i].name);
			sw_metric_rows_label(r, "reason", synward_reason_name(why));
			sw_metric_rows_count(r, n);
		}
	}
}

static void per_path(struct sw_metric_rows *r, const struct sw_snapshot *s,
		     uint64_t (*of)(const struct synward_stats *st, enum path path))
{
	for (size_t i = 0; i < s->nlistener; i++) {
		for (enum path path = 0; path < NPATH; path++) {
			sw_metric_rows_label(r, "listener", s->listener[i].name);
			sw_metric_rows_label(r, "path", path_names[path]);
			sw_metric_rows_count(r, of(&s->listener[i].stats, path));
		}
	}
}

static uint64_t synacks_of(const struct synward_stats *st, enum path path)
{
	return path == PATH_XDP ? st->xdp_answered : st->synacks - st->xdp_answered;
}

static void synacks(struct sw_metric_rows *r, const struct sw_snapshot *s)
{
	per_path(r, s, synacks_of);
}

static uint64_t issued_of(const struct synward_stats *st, enum path path)
{
	return by_path(st, SW_WHY_SYN_ANSWERED, path);
}

static void issued(struct sw_metric_rows *r, const struct sw_snapshot *s)
{
	per_path(r, s, issued_of);
}

static void send_errors(struct sw_metric_rows *r, const struct sw_snapshot *s)
{
	for (size_t i = 0; i < s->nlistener; i++) {
		sw_metric_rows_label(r, "listener", s->listener[i].name);
		sw_metric_rows_count(r, s->listener[i].stats.reason[SW_WHY_SEND_FAILED]);
	}
}

static void accepted(struct sw_metric_rows *r, const struct sw_snapshot *s)
{
	static const char *const epochs[] = { [SYNWARD_EPOCH_CURRENT] = "current",
					      [SYNWARD_EPOCH_PREVIOUS] = "previous",
					      [SYNWARD_EPOCH_NEXT] = "next" };

	for (size_t i = 0; i < s->nlistener; i++) {
		const struct synward_stats *st = &s->listener[i].stats;
		const bool bpf = s->listener[i].mode == SW_SNAP_TRANSPARENT;
		const char *path = path_names[bpf ? PATH_XDP : PATH_RING];
		uint64_t known = 0;

		for (unsigned e = 0; e < SYNWARD_NEPOCH; e++) {
			known += st->proven_epoch[e];
			sw_metric_rows_label(r, "listener", s->listener[i].name);
			sw_metric_rows_label(r, "path", path);
			sw_metric_rows_label(r, "epoch", epochs[e]);
			sw_metric_rows_count(r, st->proven_epoch[e]);
		}
		sw_metric_rows_label(r, "listener", s->listener[i].name);
		sw_metric_rows_label(r, "path", path);
		sw_metric_rows_label(r, "epoch", "unknown");
		sw_metric_rows_count(r, st->proven > known ? st->proven - known : 0);
	}
}

static void rejected(struct sw_metric_rows *r, const struct sw_snapshot *s)
{
	for (size_t i = 0; i < s->nlistener; i++) {
		for (unsigned why = 0; synward_reason_name(why); why++) {
			if (sw_reason_class(why) != SW_CLASS_COOKIE)
				continue;
			for (enum path path = 0; path < NPATH; path++) {
				sw_metric_rows_label(r, "listener", s->listener[i].name);
				sw_metric_rows_label(r, "path", path_names[path]);
				sw_metric_rows_label(r, "reason", synward_reason_name(why));
				sw_metric_rows_count(r, by_path(&s->listener[i].stats, why, path));
			}
		}
	}
}

const struct sw_metric sw_metrics_packets[] = {
	{ "synward_packets_received_total", SW_COUNTER,
	  "Packets that the packet threads took out of their rings, or that XDP answered or "
	  "dropped.",
	  received },
	{ "synward_packets_ignored_total", SW_COUNTER, "Packets left to the kernel.", ignored },
	{ "synward_packets_dropped_total", SW_COUNTER,
	  "Packets refused for what they are or for want of room.", dropped },
	{ "synward_ring_drops_total", SW_COUNTER,
	  "Packets that a ring had no room for (PACKET_STATISTICS tp_drops).", ring_drops },
	{ "synward_syns_received_total", SW_COUNTER,
	  "SYNs answered or refused: cookies issued and SYNs refused together.  The family is "
	  "unknown "
	  "where XDP serves both.",
	  syns },
	{ "synward_syns_refused_total", SW_COUNTER, "SYNs not answered, by reason.", syns_refused },
	{ "synward_synacks_sent_total", SW_COUNTER, "SYN-ACKs that the kernel took for sending.",
	  synacks },
	{ "synward_synack_errors_total", SW_COUNTER,
	  "Frames that the kernel did not take for sending.", send_errors },
	{ "synward_cookies_issued_total", SW_COUNTER,
	  "SYN cookies made (kernel twin: TcpExtSyncookiesSent).", issued },
	{ "synward_cookies_accepted_total", SW_COUNTER,
	  "ACKs that proved a cookie, by its epoch (kernel twin: TcpExtSyncookiesRecv).",
	  accepted },
	{ "synward_cookies_rejected_total", SW_COUNTER,
	  "ACKs that proved none (kernel twin: TcpExtSyncookiesFailed).", rejected },
};
const size_t sw_nmetrics_packets = sizeof(sw_metrics_packets) / sizeof(sw_metrics_packets[0]);
