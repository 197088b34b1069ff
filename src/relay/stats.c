/* SPDX-License-Identifier: MIT */
/* What a relay tells about itself. */
#include "relay/conn.h"

static const char *const cause_names[SW_NEND] = {
	[SW_END_CLIENT_FIN] = "client_fin",
	[SW_END_SERVER_FIN] = "server_fin",
	[SW_END_CLIENT_RST] = "client_rst",
	[SW_END_SERVER_RST] = "server_rst",
	[SW_END_IDLE] = "idle",
	[SW_END_CONNECT_FAILED] = "connect_failed",
	[SW_END_DRAIN] = "drain",
	[SW_END_LIMIT] = "limit",
	[SW_END_SOURCE_LIMIT] = "source_limit",
	[SW_END_NO_RESOURCES] = "no_resources",
};

static const char *const dial_fail_names[SW_NDIAL] = {
	[SW_DIAL_REFUSED] = "refused",
	[SW_DIAL_TIMEOUT] = "timeout",
	[SW_DIAL_UNREACHABLE] = "unreachable",
	[SW_DIAL_NO_PORT] = "no_port",
	[SW_DIAL_NO_RESOURCES] = "no_resources",
	[SW_DIAL_NO_SOURCE] = "no_source",
	[SW_DIAL_OTHER] = "other",
};

const char *sw_relay_cause_name(enum sw_relay_cause i)
{
	return cause_names[i];
}

const char *sw_relay_dial_fail_name(enum sw_relay_dial_fail i)
{
	return dial_fail_names[i];
}

void sw_relay_get_stats(const struct sw_relay *r, struct sw_relay_stats *out)
{
	*out = r->stats;
}

size_t sw_relay_servers(const struct sw_relay *r)
{
	const struct sw_server *s;
	size_t n = r->pool.n;

	TAILQ_FOREACH(s, &r->pool.leaving, link)
	n++;
	return n;
}

void sw_relay_get_server(const struct sw_relay *r, size_t i, struct sw_server_stats *out)
{
	const struct sw_server *s;

	if (i < r->pool.n) {
		s = r->pool.server[i];
	} else {
		i -= r->pool.n;
		TAILQ_FOREACH(s, &r->pool.leaving, link)
		if (i-- == 0)
			break;
	}
	*out = s->stats;
	out->up = !s->health.down;
	out->leaving = s->leaving;
}
