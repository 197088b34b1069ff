/* SPDX-License-Identifier: MIT */
/* A configuration that is prepared: nothing of it shows before it is applied, or ever. */
#include "relay/rig.h"

#include <event2/event.h>

TestSuite(change, .timeout = 60);

struct heard {
	unsigned events;
	struct log log;
};

static void on_event(void *arg, const struct sw_server_event *ev)
{
	struct heard *h = arg;

	(void)ev;
	h->events++;
}

/* All that can be seen of a relay: its own counters and each server with its health. */
struct seen {
	struct sw_relay_stats stats;
	size_t n;
	struct sw_server_stats server[4];
	struct sw_health health[4];
	const struct sw_server *at[4];
	struct timeval check[4]; /* when the next one is due */
	const struct sw_era *era;
	size_t scratch, next;
	unsigned generation, heard;
};

static void look(const struct rig *g, const struct heard *h, struct seen *out)
{
	const struct sw_relay *r = g->relay;

	memset(out, 0, sizeof(*out));
	sw_relay_get_stats(r, &out->stats);
	out->n = sw_relay_servers(r);
	cr_assert_leq(out->n, 4);
	for (size_t i = 0; i < out->n; i++)
		sw_relay_get_server(r, i, &out->server[i]);
	for (size_t i = 0; i < r->pool.n; i++) {
		out->at[i] = r->pool.server[i];
		out->health[i] = out->at[i]->health;
		(void)event_pending(&out->at[i]->check.timer, EV_TIMEOUT, &out->check[i]);
	}
	out->era = TAILQ_LAST(&r->eras, sw_era_list);
	out->scratch = r->scratch.size;
	out->next = r->pool.next;
	out->generation = r->pool.generation;
	out->heard = h->events + (unsigned)h->log.troubles + (unsigned)h->log.clears;
}

static struct sw_relay_config config(const struct sockaddr_storage *ups, size_t n, struct heard *h)
{
	return (struct sw_relay_config){ .upstream = ups,
					 .nupstream = n,
					 .health = { .interval_ms = 5, .rise = 3, .fall = 3 },
					 .server = on_event,
					 .server_arg = h,
					 .log = on_log,
					 .log_arg = &h->log };
}

static struct sw_relay_change *prepared(struct rig *g, const struct sw_relay_config *cf)
{
	struct sw_relay_change *c = NULL;

	cr_assert_eq(sw_relay_prepare(g->relay, cf, &c), 0, "refused");
	return c;
}

/* Two servers that refuse: the first one down, the second one on its way there.  Then no more
 * checks for a minute. */
static struct rig with_health(struct sockaddr_storage ups[2], struct heard *h)
{
	struct sw_relay_config cf = config(ups, 2, h);
	struct sw_server *const *server;
	struct rig g;

	ups[0] = closed_port();
	ups[1] = closed_port();
	g = rig_new(cf);
	server = g.relay->pool.server;
	UNTIL(&g, server[0]->health.down && server[1]->health.down);
	cf.health.interval_ms = 60000;
	cr_assert_eq(sw_relay_update(g.relay, &cf), 0, "refused");
	server = g.relay->pool.server;
	server[1]->health = (struct sw_health){ .run = 2 };
	return g;
}

Test(change, one_that_is_dropped_leaves_no_trace)
{
	struct sockaddr_storage ups[2], other[2] = { closed_port() };
	struct heard h = { 0 };
	struct rig g = with_health(ups, &h);
	struct sw_relay_config cf = config(other, 2, &h);
	struct seen before, after;

	/* It changes all there is: a server gone, one new, timeouts, interval, buffer, name. */
	other[1] = ups[1];
	cf.name = "other";
	cf.connect_timeout_ms = 77;
	cf.idle_timeout_ms = 88;
	cf.buffer_bytes = 1234;
	look(&g, &h, &before);
	cr_assert(before.health[0].down && before.health[1].run == 2, "the scene is wrong");
	for (int i = 0; i < 3; i++) {
		sw_relay_abort(prepared(&g, &cf));
		look(&g, &h, &after);
		cr_expect_eq(memcmp(&before, &after, sizeof(before)), 0, "something changed");
	}
	cr_expect_str_eq(g.relay->name, "");
	cr_expect_eq(g.relay->cf.health.interval_ms, 60000, "%u", g.relay->cf.health.interval_ms);
	sw_relay_abort(NULL);
	rig_free(&g);
}

Test(change, one_that_is_applied_keeps_the_state_of_who_stays)
{
	struct sockaddr_storage ups[2], other[2] = { closed_port() };
	struct heard h = { 0 };
	struct rig g = with_health(ups, &h);
	struct sw_relay_config cf = config(other, 2, &h);
	struct seen before, after;

	other[1] = ups[1];
	cf.name = "other";
	cf.health.interval_ms = 60000;
	cf.buffer_bytes = 1234;
	look(&g, &h, &before);
	sw_relay_commit(prepared(&g, &cf));
	look(&g, &h, &after);
	cr_expect(after.n == 2 && after.at[1] == before.at[1], "it is another server");
	cr_expect_eq(memcmp(&before.health[1], &after.health[1], sizeof(after.health[1])), 0,
		     "its state is lost");
	cr_expect_eq(memcmp(&before.server[1], &after.server[1], sizeof(after.server[1])), 0,
		     "its counters are lost");
	cr_expect(after.server[0].up && after.server[0].checks == 0, "the new one begins old");
	cr_expect_eq(after.heard, before.heard + 2, "%u events", after.heard - before.heard);
	cr_expect_str_eq(g.relay->name, "other");
	cr_expect_eq(after.scratch, 1234, "%zu", after.scratch);
	rig_free(&g);
}

/* A server that left, and its last connection, which ends between the two steps. */
static struct rig with_leaving(struct sockaddr_storage ups[2], struct heard *h, int door[2],
			       int *client, int *server)
{
	struct sw_relay_config cf;
	struct rig g;

	for (int i = 0; i < 2; i++)
		door[i] = open_door(16, &ups[i]);
	cf = config(ups, 1, h);
	cf.health.interval_ms = 0;
	g = rig_new(cf);
	*client = new_client(&g);
	UNTIL(&g, (*server = accept4(door[0], NULL, NULL, SOCK_NONBLOCK)) >= 0);
	cf.upstream = &ups[1];
	cr_assert_eq(sw_relay_update(g.relay, &cf), 0, "refused");
	cr_assert_eq(sw_relay_servers(g.relay), 2, "it did not stay for its connection");
	return g;
}

static void end_connection(struct rig *g, int client, int server)
{
	close(client);
	close(server);
	UNTIL(g, sw_relay_active(g->relay) == 0);
}

Test(change, a_leaving_server_may_lose_its_last_connection_meanwhile)
{
	struct sockaddr_storage ups[2];
	struct heard h = { 0 };
	int door[2], client, server;
	struct rig g = with_leaving(ups, &h, door, &client, &server);
	struct sw_relay_config cf = config(ups, 2, &h);
	struct sw_relay_change *c = prepared(&g, &cf);
	struct sw_server_stats s;

	end_connection(&g, client, server);
	sw_relay_commit(c);
	cr_expect_eq(sw_relay_servers(g.relay), 2, "%zu servers", sw_relay_servers(g.relay));
	sw_relay_get_server(g.relay, 0, &s);
	cr_expect(!s.leaving && s.connected == 1, "it is not the one that left");
	for (int i = 0; i < 2; i++)
		close(door[i]);
	rig_free(&g);
}

Test(change, and_goes_when_the_change_is_dropped)
{
	struct sockaddr_storage ups[2];
	struct heard h = { 0 };
	int door[2], client, server;
	struct rig g = with_leaving(ups, &h, door, &client, &server);
	struct sw_relay_config cf = config(ups, 2, &h);
	struct sw_relay_change *c = prepared(&g, &cf);

	end_connection(&g, client, server);
	sw_relay_abort(c);
	cr_expect_eq(sw_relay_servers(g.relay), 1, "it stays without connections");
	for (int i = 0; i < 2; i++)
		close(door[i]);
	rig_free(&g);
}

Test(change, one_that_is_wrong_makes_nothing)
{
	struct sockaddr_storage ups[3];
	struct heard h = { 0 };
	struct rig g = with_health(ups, &h);
	struct sw_relay_config cf = config(ups, 3, &h);
	struct sw_relay_change *c = NULL;
	struct seen before, after;
	char error[128] = "";

	ups[2] = ups[0];
	cf.error = error;
	cf.error_size = sizeof(error);
	look(&g, &h, &before);
	cr_expect_eq(sw_relay_prepare(g.relay, &cf, &c), -EINVAL, "accepted");
	cr_expect_null(c, "something is left");
	cr_expect_not_null(strstr(error, "twice"), "%s", error);
	look(&g, &h, &after);
	cr_expect_eq(memcmp(&before, &after, sizeof(before)), 0, "something changed");
	rig_free(&g);
}
