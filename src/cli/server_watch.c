/* SPDX-License-Identifier: MIT */
/* What the server does every second: look for floods, show that it lives. */
#include "cli/server_impl.h"
#include "ops/command.h"
#include "ops/human.h"
#include "ops/notify.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define STATUS_EVERY_NS 5000000000ull
#define ENV_LEN		128
#define ENV_LONG	3600

static const struct sw_listener_settings *settings_of(const struct sw_guarded *g)
{
	return sw_settings_listener(g->server->settings, g->name);
}

static void join_addresses(const struct sw_listener_settings *l, char *out, size_t size)
{
	size_t at = 0;

	out[0] = '\0';
	for (uint32_t i = 0; i < l->nlisten && at < size; i++)
		at += (size_t)snprintf(out + at, size - at, "%s%s", i ? ", " : "", l->listen[i]);
}

static void run_command(const struct sw_guarded *g, const char *event, const char *addresses,
			const char *line)
{
	const struct sw_flood_settings *cf = &g->server->settings->flood;
	const struct sw_flood *f = &g->flood;
	char number[7][ENV_LEN], kind[ENV_LEN], name[ENV_LEN], where[ENV_LONG], message[ENV_LONG];
	const char *env[] = { kind,	 name,	    where,     message,	  number[0], number[1],
			      number[2], number[3], number[4], number[5], number[6] };
	const struct {
		const char *name;
		uint64_t value;
	} numbers[] = {
		{ "SYN_RATE", f->rate.syns },	     { "SYNACK_RATE", f->rate.synacks },
		{ "PROVEN_RATE", f->rate.proven },   { "SYNS", f->total.syns },
		{ "SYNACKS", f->total.synacks },     { "PROVEN", f->total.proven },
		{ "SECONDS", f->lasted_ns / 1000000000ull },
	};

	if (!cf->ncommand || !g->server->command)
		return;
	snprintf(kind, sizeof(kind), "SYNWARD_EVENT=%s", event);
	snprintf(name, sizeof(name), "SYNWARD_LISTENER=%s", g->name);
	snprintf(where, sizeof(where), "SYNWARD_ADDRESSES=%s", addresses);
	snprintf(message, sizeof(message), "SYNWARD_MESSAGE=%s", line);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		snprintf(number[i], ENV_LEN, "SYNWARD_%s=%" PRIu64, numbers[i].name,
			 numbers[i].value);
	sw_command_run(g->server->command, (const char *const *)cf->command, cf->ncommand, env,
		       sizeof(env) / sizeof(env[0]));
}

static void tell_flood(struct sw_guarded *g, enum sw_flood_event event)
{
	const bool began = event == SW_FLOOD_BEGAN;
	const char *kind = began ? "flood_began" : "flood_ended";
	const struct sw_listener_settings *l = settings_of(g);
	char addresses[SW_SNAP_ADDRS], line[500];

	if (!l)
		return;
	join_addresses(l, addresses, sizeof(addresses));
	sw_flood_line(&g->flood, event, g->name, addresses, line, sizeof(line));
	if (began)
		sw_warn("%s", line);
	else
		sw_info("%s", line);
	if (g->server->http)
		sw_http_event(g->server->http, kind, g->name, line);
	run_command(g, kind, addresses, line);
}

static void step_flood(struct sw_guarded *g, sw_mono now)
{
	const struct sw_flood_settings *s = &g->server->settings->flood;
	const struct sw_flood_config cf = { s->enter, s->leave, s->hold * 1000000ull };
	struct synward_stats st;
	enum sw_flood_event event;

	sw_guarded_stats(g, &st);
	event = sw_flood_step(
		&g->flood, &cf,
		&(struct sw_flood_counts){ st.syns, st.synacks, st.proven, st.dropped }, now);
	if (event != SW_FLOOD_SAME)
		tell_flood(g, event);
}

/* Has each packet thread done something since the last time? */
static bool all_alive(struct sw_server *sv)
{
	struct sw_guarded *g;
	bool alive = true;

	LIST_FOREACH(g, &sv->listeners, link) {
		uint64_t beat;

		if (!g->lev || g->lost)
			continue;
		beat = synward_listener_heartbeat(g->lev);
		alive = alive && beat != g->heartbeat;
		g->heartbeat = beat;
	}
	return alive;
}

static void tell_status(struct sw_server *sv)
{
	char text[600] = "STATUS=", syn[16], conns[32];
	size_t at = strlen(text);
	const struct sw_guarded *g;

	for (uint32_t i = 0; i < sv->settings->nlisteners && at < sizeof(text); i++) {
		g = sw_server_find(sv, sv->settings->listeners[i].name);
		if (!g)
			continue;
		snprintf(conns, sizeof(conns), "%" PRIu64, sw_tag_stats(g->tag)->active);
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s: %s SYN/s, %s live%s",
				       i ? "; " : "", g->name,
				       sw_short_number(g->flood.rate.syns, syn), conns,
				       g->flood.active ? ", flood" :
				       g->drained      ? ", drained" :
							 "");
	}
	(void)sw_notify(text);
}

void sw_server_tick(struct sw_server *sv)
{
	const sw_mono now = sw_server_mono();
	struct sw_guarded *g;

	LIST_FOREACH(g, &sv->listeners, link)
		step_flood(g, now);
	if (sv->watchdog_ms && all_alive(sv))
		(void)sw_notify("WATCHDOG=1");
	if (sv->phase == SW_PHASE_RUN && now.ns - sv->status_at.ns >= STATUS_EVERY_NS) {
		sv->status_at = now;
		tell_status(sv);
	}
}
