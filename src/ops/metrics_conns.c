/* SPDX-License-Identifier: MIT */
#include "ops/metrics_rows.h"

/* A label and a value for each listener. */
#define PER_LISTENER(function, value)                                                              \
	static void function(struct sw_metric_rows *r, const struct sw_snapshot *s)                \
	{                                                                                          \
		for (size_t i = 0; i < s->nlistener; i++) {                                        \
			const struct sw_snap_listener *l = &s->listener[i];                        \
                                                                                                   \
			sw_metric_rows_label(r, "listener", l->name);                              \
			sw_metric_rows_count(r, value);                                            \
		}                                                                                  \
	}

PER_LISTENER(handoffs, l->stats.handed)
PER_LISTENER(pending, l->stats.settling)
PER_LISTENER(queue_length, l->stats.queued)
PER_LISTENER(queue_capacity, l->queue_depth)
PER_LISTENER(draining, l->draining)
PER_LISTENER(active, l->conns.active)
PER_LISTENER(total, l->conns.total)
PER_LISTENER(flood_active, l->flood.active)
PER_LISTENER(floods, l->flood.count)

static void listener_info(struct sw_metric_rows *r, const struct sw_snapshot *s)
{
	for (size_t i = 0; i < s->nlistener; i++) {
		const struct sw_snap_listener *l = &s->listener[i];

		sw_metric_rows_label(r, "listener", l->name);
		sw_metric_rows_label(r, "interface", l->interface);
		sw_metric_rows_label(r, "mode", sw_snap_mode_name(l->mode));
		sw_metric_rows_label(r, "offload", sw_snap_offload_name(l->offload));
		sw_metric_rows_label(r, "backend", l->pool);
		sw_metric_rows_count(r, 1);
	}
}

static void handoff_failures(struct sw_metric_rows *r, const struct sw_snapshot *s)
{
	for (size_t i = 0; i < s->nlistener; i++) {
		for (unsigned k = 0; synward_stage_name(k); k++) {
			sw_metric_rows_label(r, "listener", s->listener[i].name);
			sw_metric_rows_label(r, "stage", synward_stage_name(k));
			sw_metric_rows_count(r, s->listener[i].stats.handoff_failed[k]);
		}
	}
}

/* Element i of the histogram counts 2^i ns and more, below 2^(i+1). */
static void handoff_duration(struct sw_metric_rows *r, const struct sw_snapshot *s)
{
	for (size_t i = 0; i < s->nlistener; i++) {
		const struct synward_stats *st = &s->listener[i].stats;
		uint64_t at_most = 0;

		sw_metric_rows_label(r, "listener", s->listener[i].name);
		for (unsigned k = 0; k < SYNWARD_HANDOFF_BUCKETS; k++) {
			at_most += st->handoff_ns[k];
			if (k >= 11 && k <= 26) /* 4 us to 134 ms */
				sw_metric_rows_bucket(r, (double)(2ull << k) / 1e9, at_most);
		}
		sw_metric_rows_histogram_end(r, (double)st->handoff_sum_ns / 1e9, at_most);
	}
}

static void closed(struct sw_metric_rows *r, const struct sw_snapshot *s)
{
	for (size_t i = 0; i < s->nlistener; i++) {
		for (int k = 0; k < SW_NEND; k++) {
			sw_metric_rows_label(r, "listener", s->listener[i].name);
			sw_metric_rows_label(r, "cause",
					     sw_relay_cause_name((enum sw_relay_cause)k));
			sw_metric_rows_count(r, s->listener[i].conns.ended[k]);
		}
	}
}

static void duration(struct sw_metric_rows *r, const struct sw_snapshot *s)
{
	for (size_t i = 0; i < s->nlistener; i++) {
		sw_metric_rows_label(r, "listener", s->listener[i].name);
		sw_metric_rows_hist(r, &s->listener[i].conns.duration, 10, 34); /* 1 ms to 4.8 h */
	}
}

static void bytes(struct sw_metric_rows *r, const struct sw_snapshot *s)
{
	for (size_t i = 0; i < s->nlistener; i++) {
		const struct sw_snap_listener *l = &s->listener[i];

		sw_metric_rows_label(r, "listener", l->name);
		sw_metric_rows_label(r, "direction", "client_to_server");
		sw_metric_rows_count(r, l->conns.to_server);
		sw_metric_rows_label(r, "listener", l->name);
		sw_metric_rows_label(r, "direction", "server_to_client");
		sw_metric_rows_count(r, l->conns.to_client);
	}
}

static void server_labels(struct sw_metric_rows *r, const struct sw_snap_server *server)
{
	sw_metric_rows_label(r, "backend", server->pool);
	sw_metric_rows_label(r, "server", server->name);
}

static void backend_up(struct sw_metric_rows *r, const struct sw_snapshot *s)
{
	for (size_t i = 0; i < s->nserver; i++) {
		server_labels(r, &s->server[i]);
		sw_metric_rows_count(r, s->server[i].up);
	}
}

static void backend_active(struct sw_metric_rows *r, const struct sw_snapshot *s)
{
	for (size_t i = 0; i < s->nserver; i++) {
		server_labels(r, &s->server[i]);
		sw_metric_rows_count(r, s->server[i].active);
	}
}

static void backend_failures(struct sw_metric_rows *r, const struct sw_snapshot *s)
{
	for (size_t i = 0; i < s->nserver; i++) {
		for (int k = 0; k < SW_NDIAL; k++) {
			server_labels(r, &s->server[i]);
			sw_metric_rows_label(r, "reason",
					     sw_relay_dial_fail_name((enum sw_relay_dial_fail)k));
			sw_metric_rows_count(r, s->server[i].failed[k]);
		}
	}
}

static void backend_connect(struct sw_metric_rows *r, const struct sw_snapshot *s)
{
	for (size_t i = 0; i < s->nserver; i++) {
		server_labels(r, &s->server[i]);
		sw_metric_rows_hist(r, &s->server[i].connect, 5, 23); /* 32 us to 8.4 s */
	}
}

static void flood_start(struct sw_metric_rows *r, const struct sw_snapshot *s)
{
	for (size_t i = 0; i < s->nlistener; i++) {
		sw_metric_rows_label(r, "listener", s->listener[i].name);
		sw_metric_rows_real(r, (double)s->listener[i].flood.began.ns / 1e9);
	}
}

const struct sw_metric sw_metrics_conns[] = {
	{ "synward_listener_info", SW_GAUGE, "The listeners and how they work.", listener_info },
	{ "synward_listener_draining", SW_GAUGE, "1 while the listener takes no new connections.",
	  draining },
	{ "synward_handoffs_total", SW_COUNTER,
	  "Proven connections that became sockets of the kernel.", handoffs },
	{ "synward_handoff_failures_total", SW_COUNTER,
	  "Proven connections that did not, by the stage that failed.", handoff_failures },
	{ "synward_handoffs_pending", SW_GAUGE, "Sockets made that wait for their first segment.",
	  pending },
	{ "synward_handoff_duration_seconds", SW_HISTOGRAM,
	  "How long making the socket of a proven connection took.", handoff_duration },
	{ "synward_queue_length", SW_GAUGE, "Proven connections waiting for the relay.",
	  queue_length },
	{ "synward_queue_capacity", SW_GAUGE, "How many may wait.", queue_capacity },
	{ "synward_connections_active", SW_GAUGE, "Connections being relayed.", active },
	{ "synward_connections_total", SW_COUNTER, "Connections that came to the relay.", total },
	{ "synward_connections_closed_total", SW_COUNTER, "Connections that ended, by cause.",
	  closed },
	{ "synward_connection_duration_seconds", SW_HISTOGRAM,
	  "From the handoff to the end of a connection.", duration },
	{ "synward_bytes_total", SW_COUNTER, "Payload relayed.", bytes },
	{ "synward_backend_up", SW_GAUGE, "1 while the server is taken for reachable.",
	  backend_up },
	{ "synward_backend_connections_active", SW_GAUGE, "Connections to the server.",
	  backend_active },
	{ "synward_backend_connect_failures_total", SW_COUNTER,
	  "Attempts to connect to the server that failed, by reason.", backend_failures },
	{ "synward_backend_connect_duration_seconds", SW_HISTOGRAM,
	  "How long connecting to the server took.", backend_connect },
	{ "synward_flood_active", SW_GAUGE, "1 during a SYN flood.", flood_active },
	{ "synward_floods_total", SW_COUNTER, "SYN floods that began.", floods },
	{ "synward_flood_last_start_timestamp_seconds", SW_GAUGE,
	  "When the last SYN flood began, Unix time; 0 for none.", flood_start },
};
const size_t sw_nmetrics_conns = sizeof(sw_metrics_conns) / sizeof(sw_metrics_conns[0]);
