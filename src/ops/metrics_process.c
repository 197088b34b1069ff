/* SPDX-License-Identifier: MIT */
#include "ops/metrics_rows.h"

#include <string.h>

static double seconds(sw_wall at)
{
	return (double)at.ns / 1e9;
}

static void build_info(struct sw_metric_rows *r, const struct sw_snapshot *s)
{
	const struct sw_build_info b = sw_build_info();

	(void)s;
	sw_metric_rows_label(r, "version", b.version);
	sw_metric_rows_label(r, "revision", b.revision);
	sw_metric_rows_label(r, "openssl", b.openssl);
	sw_metric_rows_label(r, "libbpf", b.libbpf);
	sw_metric_rows_count(r, 1);
}

static void cpu(struct sw_metric_rows *r, const struct sw_snapshot *s)
{
	sw_metric_rows_real(r, s->process.cpu_seconds);
}

static void rss(struct sw_metric_rows *r, const struct sw_snapshot *s)
{
	sw_metric_rows_count(r, s->process.rss_bytes);
}

static void open_fds(struct sw_metric_rows *r, const struct sw_snapshot *s)
{
	sw_metric_rows_count(r, s->process.open_fds);
}

static void max_fds(struct sw_metric_rows *r, const struct sw_snapshot *s)
{
	sw_metric_rows_count(r, s->process.max_fds);
}

static void start_time(struct sw_metric_rows *r, const struct sw_snapshot *s)
{
	sw_metric_rows_real(r, seconds(s->started));
}

static void reload_ok(struct sw_metric_rows *r, const struct sw_snapshot *s)
{
	sw_metric_rows_count(r, s->reload_ok);
}

static void reload_time(struct sw_metric_rows *r, const struct sw_snapshot *s)
{
	sw_metric_rows_real(r, seconds(s->reload_time));
}

static void reloads(struct sw_metric_rows *r, const struct sw_snapshot *s)
{
	sw_metric_rows_count(r, s->reloads);
}

static void ready(struct sw_metric_rows *r, const struct sw_snapshot *s)
{
	sw_metric_rows_count(r, s->ready);
}

static void epoch(struct sw_metric_rows *r, const struct sw_snapshot *s)
{
	sw_metric_rows_count(r, s->epoch);
}

static void epoch_end(struct sw_metric_rows *r, const struct sw_snapshot *s)
{
	sw_metric_rows_real(r, seconds(s->epoch_end));
}

static void secrets(struct sw_metric_rows *r, const struct sw_snapshot *s)
{
	for (size_t i = 0; i < s->keys.n; i++) {
		sw_metric_rows_label(r, "fingerprint", s->keys.key[i].fingerprint);
		sw_metric_rows_label(r, "slot", s->keys.key[i].slot);
		sw_metric_rows_count(r, 1);
	}
}

static void clock_synchronized(struct sw_metric_rows *r, const struct sw_snapshot *s)
{
	if (s->process.clock_known)
		sw_metric_rows_count(r, s->process.clock_synchronized);
}

static void clock_error(struct sw_metric_rows *r, const struct sw_snapshot *s)
{
	if (s->process.clock_known)
		sw_metric_rows_real(r, s->process.clock_max_error);
}

static bool is_first_on(const struct sw_snapshot *s, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (s->listener[k].xdp == s->listener[i].xdp &&
		    strcmp(s->listener[k].interface, s->listener[i].interface) == 0)
			return false;
	return true;
}

static void xdp(struct sw_metric_rows *r, const struct sw_snapshot *s)
{
	for (size_t i = 0; i < s->nlistener; i++) {
		if (s->listener[i].xdp == SW_SNAP_XDP_NONE || !is_first_on(s, i))
			continue;
		sw_metric_rows_label(r, "interface", s->listener[i].interface);
		sw_metric_rows_label(r, "mode", sw_snap_xdp_name(s->listener[i].xdp));
		sw_metric_rows_count(r, 1);
	}
}

static void log_suppressed(struct sw_metric_rows *r, const struct sw_snapshot *s)
{
	sw_metric_rows_count(r, s->log_suppressed);
}

const struct sw_metric sw_metrics_process[] = {
	{ "synward_build_info", SW_GAUGE, "What runs, and the libraries it runs with.",
	  build_info },
	{ "process_cpu_seconds_total", SW_COUNTER, "Processor time of all threads.", cpu },
	{ "process_resident_memory_bytes", SW_GAUGE, "Memory in use.", rss },
	{ "process_open_fds", SW_GAUGE, "Open file descriptors.", open_fds },
	{ "process_max_fds", SW_GAUGE, "File descriptors that may be open.", max_fds },
	{ "process_start_time_seconds", SW_GAUGE, "When the process started, Unix time.",
	  start_time },
	{ "synward_config_last_reload_successful", SW_GAUGE,
	  "Whether the last reload was applied; 1 before the first one.", reload_ok },
	{ "synward_config_last_reload_success_timestamp_seconds", SW_GAUGE,
	  "When a configuration was last applied, Unix time.", reload_time },
	{ "synward_config_reloads_total", SW_COUNTER, "Reloads that were applied.", reloads },
	{ "synward_ready", SW_GAUGE, "1 while every listener guards and none drains.", ready },
	{ "synward_epoch", SW_GAUGE, "Number of the cookie epoch.", epoch },
	{ "synward_epoch_end_timestamp_seconds", SW_GAUGE, "When the epoch ends, Unix time.",
	  epoch_end },
	{ "synward_secret_info", SW_GAUGE,
	  "The keys in use by fingerprint; hosts of a fleet must agree on the active one.",
	  secrets },
	{ "synward_clock_synchronized", SW_GAUGE,
	  "Whether the kernel takes its clock for synchronized (adjtimex STA_UNSYNC).",
	  clock_synchronized },
	{ "synward_clock_max_error_seconds", SW_GAUGE,
	  "The kernel's bound of its clock's error (adjtimex maxerror).", clock_error },
	{ "synward_xdp_attached", SW_GAUGE, "Interfaces where XDP answers SYNs, and how.", xdp },
	{ "synward_log_suppressed_total", SW_COUNTER,
	  "Log lines not written: of a listener's errors those within a second of one that "
	  "was, and lines that stderr had no room for.  Lines of the access log are not "
	  "counted.",
	  log_suppressed },
};
const size_t sw_nmetrics_process = sizeof(sw_metrics_process) / sizeof(sw_metrics_process[0]);
