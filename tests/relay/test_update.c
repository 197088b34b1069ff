/* SPDX-License-Identifier: MIT */
/* Pools while they live: other servers, other timeouts, retries, limits, tags, the access log. */
#include "relay/rig.h"

#include <sys/resource.h>

TestSuite(update, .timeout = 60);

struct events {
	char trail[256]; /* "+SERVER -SERVER v ^": added, removed, down, up */
};

static void on_event(void *arg, const struct sw_server_event *ev)
{
	static const char sign[] = { [SW_SERVER_UP] = '^',
				     [SW_SERVER_DOWN] = 'v',
				     [SW_SERVER_ADDED] = '+',
				     [SW_SERVER_REMOVED] = '-' };
	struct events *e = arg;
	const size_t n = strlen(e->trail);

	snprintf(e->trail + n, sizeof(e->trail) - n, "%c%u/%u ", sign[ev->change], ev->up,
		 ev->servers);
}

static int accept_at(struct rig *g, int door)
{
	int fd;

	UNTIL(g, (fd = accept4(door, NULL, NULL, SOCK_NONBLOCK)) >= 0);
	return fd;
}

static void close_both(int a, int b)
{
	close(a);
	close(b);
}

static void talk(struct rig *g, int client, int server)
{
	put(client, "ping");
	expect_text(g, server, "ping");
	put(server, "pong");
	expect_text(g, client, "pong");
}

Test(update, live_connections_go_on_and_new_ones_go_to_the_new_server)
{
	struct sockaddr_storage ups[2];
	const int door[2] = { open_door(16, &ups[0]), open_door(16, &ups[1]) };
	struct events events = { "" };
	struct sw_relay_config cf = {
		.upstream = &ups[0], .nupstream = 1, .server = on_event, .server_arg = &events
	};
	struct rig g = rig_new(cf);
	struct sw_server_stats s;
	const int old = new_client(&g), old_server = accept_at(&g, door[0]);
	int client, server;

	talk(&g, old, old_server);
	cf.upstream = &ups[1];
	cr_assert_eq(sw_relay_update(g.relay, &cf), 0, "refused");
	cr_expect_str_eq(events.trail, "-1/1 +1/1 ", "%s", events.trail);
	talk(&g, old, old_server);
	client = new_client(&g);
	server = accept_at(&g, door[1]);
	talk(&g, client, server);
	cr_assert_eq(sw_relay_servers(g.relay), 2, "%zu servers", sw_relay_servers(g.relay));
	sw_relay_get_server(g.relay, 0, &s);
	cr_expect(!s.leaving && s.active == 1 && s.connected == 1, "the new one");
	sw_relay_get_server(g.relay, 1, &s);
	cr_expect(s.leaving && s.active == 1 && s.to_server == 8, "the one that leaves");
	close_both(old, old_server);
	UNTIL(&g, sw_relay_active(g.relay) == 1);
	cr_expect_eq(sw_relay_servers(g.relay), 1, "it stays without connections");
	close_both(client, server);
	close_both(door[0], door[1]);
	rig_free(&g);
}

Test(update, one_that_is_wrong_changes_nothing)
{
	struct sockaddr_storage ups[2];
	const int door = open_door(16, &ups[0]);
	char error[128] = "untouched";
	struct sw_relay_config cf = { .upstream = ups, .nupstream = 1 }, bad = cf;
	struct rig g = rig_new(cf);
	struct sw_server_stats s;
	int client, server;

	ups[1] = ups[0];
	bad.nupstream = 2;
	bad.idle_timeout_ms = 1;
	bad.error = error;
	bad.error_size = sizeof(error);
	cr_expect_eq(sw_relay_update(g.relay, &bad), -EINVAL, "accepted");
	cr_expect_not_null(strstr(error, "twice"), "%s", error);
	cr_expect_eq(sw_relay_servers(g.relay), 1, "%zu servers", sw_relay_servers(g.relay));
	client = new_client(&g);
	server = accept_at(&g, door);
	for (int i = 0; i < 20; i++)
		turn(&g);
	talk(&g, client, server); /* the idle timeout is not the wrong one's */
	sw_relay_get_server(g.relay, 0, &s);
	cr_expect_eq(s.connected, 1, "%lu", s.connected);
	bad.nupstream = 1;
	cr_expect_eq(sw_relay_update(g.relay, &bad), 0, "%s", error);
	cr_expect_str_eq(error, "", "'%s' is left", error);
	close_both(client, server);
	close(door);
	rig_free(&g);
}

Test(update, connections_keep_the_timeouts_they_began_with)
{
	struct sw_relay_config cf = { .idle_timeout_ms = 0 };
	struct rig g = rig_new(cf);
	const int early = new_client(&g), early_server = accept_server(&g);
	const int old = new_client(&g), old_server = accept_server(&g);
	struct sockaddr_storage up = { 0 };
	socklen_t len = sizeof(up);
	int client, server;

	talk(&g, old, old_server);
	close_both(early, early_server); /* one that ends in the era it began in */
	UNTIL(&g, sw_relay_active(g.relay) == 1);
	getsockname(g.server_door, (void *)&up, &len);
	cf.upstream = &up;
	cf.nupstream = 1;
	cf.idle_timeout_ms = 50;
	cr_assert_eq(sw_relay_update(g.relay, &cf), 0, "refused");
	client = new_client(&g);
	server = accept_server(&g);
	UNTIL(&g, ended(&g, SW_END_IDLE) == 1);
	expect_reset(&g, client);
	talk(&g, old, old_server);
	cr_expect(TAILQ_FIRST(&g.relay->eras) != TAILQ_LAST(&g.relay->eras, sw_era_list),
		  "there is one era for both");
	close_both(old, old_server);
	UNTIL(&g, sw_relay_active(g.relay) == 0);
	cr_expect(TAILQ_FIRST(&g.relay->eras) == TAILQ_LAST(&g.relay->eras, sw_era_list),
		  "the old era stays without connections");
	close_both(client, server);
	rig_free(&g);
}

Test(update, a_connection_that_dials_a_removed_server_goes_to_the_next)
{
	struct sockaddr_storage silent, up;
	int filler[2];
	const int full = open_full_door(&silent, filler), door = open_door(16, &up);
	struct sw_relay_config cf = { .upstream = &silent,
				      .nupstream = 1,
				      .connect_timeout_ms = 60 };
	struct rig g = rig_new(cf);
	const int client = new_client(&g);
	int server;

	turn(&g);
	cf.upstream = &up;
	cr_assert_eq(sw_relay_update(g.relay, &cf), 0, "refused");
	server = accept_at(&g, door);
	talk(&g, client, server);
	cr_expect_eq(sw_relay_servers(g.relay), 1, "the silent one stays");
	close_both(client, server);
	close_both(full, door);
	close_both(filler[0], filler[1]);
	rig_free(&g);
}

Test(update, many_times_under_load)
{
	enum { N = 200 };
	struct sockaddr_storage ups[3];
	int door[3], client[N], server[N];
	struct sw_relay_config cf = { .upstream = ups, .nupstream = 3 };
	struct rig g;

	for (int i = 0; i < 3; i++)
		door[i] = open_door(512, &ups[i]);
	g = rig_new(cf);
	for (int i = 0; i < N; i++) {
		client[i] = new_client(&g);
		cf.upstream = &ups[i % 3];
		cf.nupstream = i % 3 == 0 ? 3 : 1;
		cf.idle_timeout_ms = 100000 + (unsigned)i % 7;
		cf.buffer_bytes = 4096u << i % 5;
		cr_assert_eq(sw_relay_update(g.relay, &cf), 0, "refused at %d", i);
		put(client[i], "x");
	}
	for (int i = 0, n = 0; n < N; i++) {
		server[n] = accept4(door[i % 3], NULL, NULL, SOCK_NONBLOCK);
		if (server[n] >= 0)
			expect_text(&g, server[n++], "x");
		else
			turn(&g);
		cr_assert(i < 100000, "only %d of %d arrived", n, N);
	}
	cr_expect_eq(sw_relay_active(g.relay), N, "%zu live", sw_relay_active(g.relay));
	for (int i = 0; i < N; i++)
		close_both(client[i], server[i]);
	UNTIL(&g, sw_relay_active(g.relay) == 0);
	for (int i = 0; i < 3; i++)
		close(door[i]);
	rig_free(&g);
}

struct tries {
	uint32_t retries;
	unsigned want; /* attempts, of three servers that refuse */
};

static unsigned refusals(uint32_t retries)
{
	struct sockaddr_storage ups[3] = { closed_port(), closed_port(), closed_port() };
	struct rig g = rig_new(
		(struct sw_relay_config){ .upstream = ups, .nupstream = 3, .retries = retries });
	const int client = new_client(&g);
	unsigned n;

	expect_reset(&g, client);
	cr_expect_eq(ended(&g, SW_END_CONNECT_FAILED), 1, "not counted");
	n = (unsigned)dial_failed(&g, SW_DIAL_REFUSED);
	close(client);
	rig_free(&g);
	return n;
}

Test(update, retries)
{
	static const struct tries rows[] = { { 0, 3 }, { SW_RETRIES_NONE, 1 },
					     { 1, 2 }, { 2, 3 },
					     { 3, 3 }, { 1000, 3 } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(refusals(rows[i].retries), rows[i].want, "retries %u: wanted %u",
			     rows[i].retries, rows[i].want);
}

Test(update, tags_count_their_own)
{
	struct rig g = rig_new((struct sw_relay_config){ .max_connections = 2 });
	struct sw_tag *web = sw_tag_new("web"), *mail = sw_tag_new("mail");
	const struct sw_tag_stats *w = sw_tag_stats(web), *m = sw_tag_stats(mail);
	int client[3], server[2];

	g.tag = web;
	client[0] = new_client(&g);
	server[0] = accept_server(&g);
	g.tag = mail;
	client[1] = new_client(&g);
	server[1] = accept_server(&g);
	client[2] = new_client(&g); /* one too many */
	expect_reset(&g, client[2]);
	talk(&g, client[0], server[0]);
	put(client[1], "abc");
	expect_text(&g, server[1], "abc");
	cr_expect(w->accepted == 1 && w->active == 1 && w->to_server == 4 && w->to_client == 4,
		  "web: %lu %lu %lu %lu", w->accepted, w->active, w->to_server, w->to_client);
	cr_expect(m->accepted == 2 && m->active == 1 && m->to_server == 3 && m->to_client == 0,
		  "mail: %lu %lu %lu %lu", m->accepted, m->active, m->to_server, m->to_client);
	cr_expect_eq(m->ended[SW_END_LIMIT], 1, "not counted");
	sw_tag_free(mail); /* the listener is gone, its connection is not */
	close_both(client[1], server[1]);
	UNTIL(&g, sw_relay_active(g.relay) == 1);
	close_both(client[0], server[0]);
	UNTIL(&g, w->active == 0);
	cr_expect_eq(w->duration.count, 1, "%lu durations", w->duration.count);
	sw_tag_free(web);
	close(client[2]);
	rig_free(&g);
}

Test(update, limits_are_for_all_relays)
{
	const struct sw_limits_config few = { .per_source = 2 };
	struct sw_limits *limits = sw_limits_new(&few, (const uint8_t *)"0123456789abcdef");
	struct sw_limits_stats s;
	struct rig a = rig_new((struct sw_relay_config){ .limits = limits });
	struct rig b = rig_new((struct sw_relay_config){ .limits = limits });
	const int first = new_client(&a), first_server = accept_server(&a);
	const int second = new_client(&b), second_server = accept_server(&b);
	int third = new_client(&b), third_server;

	expect_reset(&b, third);
	cr_expect_eq(ended(&b, SW_END_SOURCE_LIMIT), 1, "not counted");
	close(third);
	close_both(first, first_server);
	UNTIL(&a, sw_relay_active(a.relay) == 0);
	third = new_client(&b);
	third_server = accept_server(&b);
	talk(&b, third, third_server);
	talk(&b, second, second_server);
	close_both(third, third_server);
	close_both(second, second_server);
	rig_free(&a);
	rig_free(&b);
	sw_limits_get_stats(limits, &s);
	cr_expect(s.active == 0 && s.sources == 0, "%lu active, %lu sources", s.active, s.sources);
	sw_limits_free(limits);
}

struct diary {
	struct sw_access last;
	char listener[32], pool[32], server[64];
	unsigned n;
};

static void on_access(void *arg, const struct sw_access *a)
{
	struct diary *d = arg;

	d->last = *a;
	snprintf(d->listener, sizeof(d->listener), "%s", a->listener);
	snprintf(d->pool, sizeof(d->pool), "%s", a->pool);
	snprintf(d->server, sizeof(d->server), "%s", a->server);
	d->n++;
}

Test(update, access_log_tells_each_connection)
{
	struct diary d = { .n = 0 };
	struct rig g = rig_new((struct sw_relay_config){
		.name = "app", .max_connections = 1, .access = on_access, .access_arg = &d });
	const int client = new_client(&g), server = accept_server(&g);
	struct sockaddr_in from, to;
	socklen_t len = sizeof(from);
	uint64_t id;
	int late;

	late = new_client(&g);
	cr_expect_eq(d.n, 1, "%u records", d.n);
	cr_expect(d.last.cause == SW_END_LIMIT && d.last.attempts == 0 && !d.server[0] &&
			  d.last.connect_us == SW_NEVER,
		  "what is refused has no server");
	id = d.last.id;
	talk(&g, client, server);
	getsockname(client, (void *)&from, &len);
	getpeername(client, (void *)&to, &len);
	shutdown(client, SHUT_WR);
	expect_eof(&g, server);
	close(server);
	UNTIL(&g, d.n == 2);
	cr_expect(memcmp(&d.last.client.in4, &from, sizeof(from)) == 0, "client");
	cr_expect(d.last.local.in4.sin_port == to.sin_port, "local");
	cr_expect(d.last.cause == SW_END_CLIENT_FIN && d.last.attempts == 1, "cause %d attempts %u",
		  (int)d.last.cause, d.last.attempts);
	cr_expect(d.last.to_server == 4 && d.last.to_client == 4, "bytes");
	cr_expect(d.last.connect_us <= d.last.total_us, "connected after the end");
	cr_expect_neq(d.last.id, id, "two with one id");
	cr_expect_str_eq(d.pool, "app");
	cr_expect_eq(strncmp(d.server, "127.0.0.1:", 10), 0, "%s", d.server);
	close_both(client, late);
	rig_free(&g);
}

Test(update, access_log_tells_failures)
{
	struct sockaddr_storage ups[2] = { closed_port(), closed_port() };
	struct diary d = { .n = 0 };
	struct rig g = rig_new((struct sw_relay_config){
		.upstream = ups, .nupstream = 2, .access = on_access, .access_arg = &d });
	struct sw_tag *tag = sw_tag_new("web");
	int client;

	g.tag = tag;
	client = new_client(&g);
	expect_reset(&g, client);
	cr_expect(d.n == 1 && d.last.cause == SW_END_CONNECT_FAILED && d.last.attempts == 2,
		  "%u records, cause %d, attempts %u", d.n, (int)d.last.cause, d.last.attempts);
	cr_expect(d.last.connect_us == SW_NEVER && d.server[0], "the last one tried is named");
	cr_expect_str_eq(d.listener, "web");
	close(client);
	rig_free(&g);
	sw_tag_free(tag);
}

Test(update, the_id_is_in_the_proxy_header)
{
	struct diary d = { .n = 0 };
	struct rig g = rig_new((struct sw_relay_config){
		.proxy = SW_PROXY_V2, .proxy_id = true, .access = on_access, .access_arg = &d });
	const int client = new_client(&g), server = accept_server(&g);
	uint8_t got[16 + 12 + 3 + 16];
	char want[17];

	for (size_t have = 0; have < sizeof(got);) {
		const ssize_t n = get(&g, server, got + have, sizeof(got) - have);

		cr_assert(n > 0, "read %zd", n);
		have += (size_t)n;
	}
	sw_reset_close(client);
	UNTIL(&g, d.n == 1);
	snprintf(want, sizeof(want), "%016lx", d.last.id);
	cr_expect(got[28] == 5 && got[29] == 0 && got[30] == 16 && memcmp(got + 31, want, 16) == 0,
		  "no id %s in the header", want);
	close(server);
	rig_free(&g);
}

Test(update, a_connection_that_waits_for_a_descriptor_goes_to_the_new_server)
{
	struct sockaddr_storage ups[2];
	const int door[2] = { open_door(16, &ups[0]), open_door(16, &ups[1]) };
	struct sw_relay_config cf = { .upstream = &ups[0],
				      .nupstream = 1,
				      .retries = SW_RETRIES_NONE,
				      .connect_timeout_ms = 10000 };
	struct rig g = rig_new(cf);
	struct rlimit lim, none;
	int guest, client, server;

	client = connect_guest(&g, &guest);
	getrlimit(RLIMIT_NOFILE, &lim);
	none = (struct rlimit){ 3, lim.rlim_max };
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0, "setrlimit: %s", strerror(errno));
	give(&g, guest);
	cf.upstream = &ups[1];
	cr_assert_eq(sw_relay_update(g.relay, &cf), 0, "refused");
	setrlimit(RLIMIT_NOFILE, &lim);
	server = accept_at(&g, door[1]);
	talk(&g, client, server);
	cr_expect_lt(accept4(door[0], NULL, NULL, SOCK_NONBLOCK), 0, "the old one got it");
	close_both(client, server);
	close_both(door[0], door[1]);
	rig_free(&g);
}

/* The line about a lack of descriptors counts the connection it is about. */
Test(update, the_line_about_a_shortage_adds_up)
{
	struct log log = { 0 };
	struct rig g = rig_new((struct sw_relay_config){
		.name = "app", .log = on_log, .log_arg = &log, .connect_timeout_ms = 200 });
	struct rlimit lim, none;
	int guest, client;

	client = connect_guest(&g, &guest);
	getrlimit(RLIMIT_NOFILE, &lim);
	none = (struct rlimit){ 3, lim.rlim_max };
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0, "setrlimit: %s", strerror(errno));
	give(&g, guest);
	cr_expect_not_null(strstr(log.last, "connections that wait: 1, reset for want of "
					    "resources: 0 of 1"),
			   "%s", log.last);
	cr_expect_eq(strncmp(log.last, "app/127.0.0.1:", 14), 0, "%s", log.last);
	setrlimit(RLIMIT_NOFILE, &lim);
	close(client);
	rig_free(&g);
}
