/* SPDX-License-Identifier: MIT */
/* Checks of servers that refuse, are silent, speak first, and come back. */
#include "relay/rig.h"

#include <sys/resource.h>

TestSuite(check, .timeout = 60);

/* What was said about the servers. */
struct said {
	struct log log;
	unsigned downs, ups, up_now;
	char why[128];
};

static void on_event(void *arg, const struct sw_server_event *ev)
{
	struct said *s = arg;

	s->downs += ev->change == SW_SERVER_DOWN;
	s->ups += ev->change == SW_SERVER_UP;
	s->up_now = ev->up;
	snprintf(s->why, sizeof(s->why), "%s", ev->why);
}

static struct sw_relay_config config(const struct sockaddr_storage *ups, size_t n,
				     struct said *said)
{
	return (struct sw_relay_config){
		.name = "app",
		.upstream = ups,
		.nupstream = n,
		.health = { .interval_ms = 10, .timeout_ms = 200, .rise = 2, .fall = 3 },
		.log = on_log,
		.log_arg = &said->log,
		.server = on_event,
		.server_arg = said,
	};
}

static int reopen(const struct sockaddr_storage *at)
{
	const int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	cr_assert_eq(bind(fd, (const void *)at, sizeof(struct sockaddr_in)), 0, "bind: %s",
		     strerror(errno));
	cr_assert_eq(listen(fd, 64), 0, "listen: %s", strerror(errno));
	return fd;
}

/* Take what connects, and let it go. */
static void be_polite(int door)
{
	int fd;

	while ((fd = accept4(door, NULL, NULL, SOCK_NONBLOCK)) >= 0)
		close(fd);
}

static struct sw_server_stats server(struct rig *g, size_t i)
{
	struct sw_server_stats s;

	sw_relay_get_server(g->relay, i, &s);
	return s;
}

Test(check, takes_out_and_brings_back)
{
	struct said said = { .up_now = 9 };
	struct sockaddr_storage ups[2];
	const int door = open_door(64, &ups[0]);
	int client, guest, back;
	struct rig g;

	ups[1] = closed_port();
	g = rig_new(config(ups, 2, &said));
	UNTIL(&g, (be_polite(door), said.downs == 1));
	cr_expect_eq(said.up_now, 1, "%u up", said.up_now);
	cr_expect_str_eq(said.why, "3 checks failed, the last by 'Connection refused'", "%s",
			 said.why);
	cr_expect_not_null(strstr(said.log.last, "is down: 3 checks failed"), "%s", said.log.last);
	cr_expect_not_null(strstr(said.log.last, "; up: 1 of 2"), "%s", said.log.last);
	cr_expect(server(&g, 0).up && !server(&g, 1).up, "the wrong one");
	cr_expect_eq(server(&g, 1).checks_failed, 3, "%lu", server(&g, 1).checks_failed);
	for (int i = 0; i < 6; i++) {
		client = new_client(&g);
		UNTIL(&g, (guest = accept4(door, NULL, NULL, SOCK_NONBLOCK)) >= 0);
		close(client);
		close(guest);
	}
	UNTIL(&g, (be_polite(door), sw_relay_active(g.relay) == 0));
	cr_expect_eq(dial_failed(&g, SW_DIAL_REFUSED), 0,
		     "a connection went to the one that is down");
	back = reopen(&ups[1]);
	UNTIL(&g, (be_polite(door), be_polite(back), said.ups == 1));
	cr_expect_eq(said.up_now, 2, "%u up", said.up_now);
	cr_expect(server(&g, 1).up && server(&g, 1).transitions == 2, "not up");
	cr_expect_eq(said.log.troubles, 1, "%d lines of trouble", said.log.troubles);
	cr_expect_eq(said.log.clears, 1, "%d all-clears", said.log.clears);
	close(door);
	close(back);
	rig_free(&g);
}

Test(check, silence_is_a_failure)
{
	struct said said = { 0 };
	struct sockaddr_storage up;
	int filler[2];
	const int full = open_full_door(&up, filler);
	struct sw_relay_config cf = config(&up, 1, &said);
	struct rig g;

	cf.health.timeout_ms = 30;
	g = rig_new(cf);
	UNTIL(&g, said.downs == 1);
	cr_expect_not_null(strstr(said.why, "timed out"), "%s", said.why);
	cr_expect_not_null(strstr(said.log.last, "so all are tried"), "%s", said.log.last);
	close(full);
	close(filler[0]);
	close(filler[1]);
	rig_free(&g);
}

Test(check, all_down_are_tried_all_the_same)
{
	struct said said = { 0 };
	struct sockaddr_storage up = closed_port();
	struct sw_relay_config cf = config(&up, 1, &said);
	struct rig g;
	int door, client, guest;

	cf.health.rise = 1000000;
	g = rig_new(cf);
	UNTIL(&g, said.downs == 1);
	door = reopen(&up);
	client = new_client(&g);
	put(client, "anyone?");
	for (;;) { /* checks come by as well */
		char c;

		UNTIL(&g, (guest = accept4(door, NULL, NULL, SOCK_NONBLOCK)) >= 0);
		if (get(&g, guest, &c, 1) == 1)
			break;
		close(guest);
	}
	cr_expect_not(server(&g, 0).up, "a connection brought it up");
	close(client);
	close(guest);
	close(door);
	rig_free(&g);
}

Test(check, sends_the_header_of_a_pool_that_sends_one)
{
	static const char v1[] = "PROXY UNKNOWN\r\n";
	static const char v2[] = "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

	for (int v = SW_PROXY_NONE; v <= SW_PROXY_V2; v++) {
		const char *const want = v == SW_PROXY_V1 ? v1 : v2;
		const size_t len = v == SW_PROXY_NONE ? 0 : v == SW_PROXY_V1 ? sizeof(v1) - 1 : 16;
		struct said said = { 0 };
		struct sockaddr_storage up;
		const int door = open_door(16, &up);
		struct sw_relay_config cf = config(&up, 1, &said);
		char got[64];
		ssize_t n;
		size_t have = 0;
		struct rig g;
		int fd;

		cf.proxy = (enum sw_proxy_version)v;
		g = rig_new(cf);
		UNTIL(&g, (fd = accept4(door, NULL, NULL, SOCK_NONBLOCK)) >= 0);
		while ((n = get(&g, fd, got + have, sizeof(got) - have)) > 0)
			have += (size_t)n;
		cr_expect_eq(n, 0, "v%d: ended by %zd, not by a FIN", v, n);
		cr_expect(have == len && memcmp(got, want, len) == 0, "v%d: %zu bytes", v, have);
		close(fd);
		close(door);
		rig_free(&g);
	}
}

/* A reset would be a line in the log of many servers. */
Test(check, hears_out_a_server_that_speaks_first)
{
	struct said said = { 0 };
	struct sockaddr_storage up;
	const int door = open_door(16, &up);
	struct sw_relay_config cf = config(&up, 1, &said);
	struct rig g;
	int fd;
	char c;

	cf.health.interval_ms = 60000;
	cf.health.timeout_ms = 5000;
	g = rig_new(cf);
	UNTIL(&g, (fd = accept4(door, NULL, NULL, SOCK_NONBLOCK)) >= 0);
	put(fd, "220 ready");
	UNTIL(&g, server(&g, 0).checks == 1);
	cr_expect_eq(get(&g, fd, &c, 1), 0, "no FIN");
	put(fd, "221 good bye");
	for (int i = 0; i < 20; i++)
		turn(&g);
	cr_expect_eq(send(fd, "x", 1, MSG_NOSIGNAL), 1, "it was reset: %s", strerror(errno));
	cr_expect(g.relay->pool.server[0]->check.fd >= 0, "it did not wait");
	close(fd);
	UNTIL(&g, g.relay->pool.server[0]->check.fd < 0);
	close(door);
	rig_free(&g);
}

Test(check, a_failed_connection_brings_it_forward)
{
	struct said said = { 0 };
	struct sockaddr_storage up;
	const int door = open_door(16, &up);
	struct sw_relay_config cf = config(&up, 1, &said);
	struct rig g;
	int client;

	cf.health.interval_ms = 3600000;
	cf.health.fall = 1;
	g = rig_new(cf);
	UNTIL(&g, (be_polite(door), server(&g, 0).checks == 1));
	close(door);
	client = new_client(&g);
	expect_reset(&g, client);
	UNTIL(&g, said.downs == 1); /* not an hour later */
	close(client);
	rig_free(&g);
}

Test(check, want_of_descriptors_is_not_the_servers_fault)
{
	struct said said = { 0 };
	struct sockaddr_storage up;
	const int door = open_door(16, &up);
	struct rig g = rig_new(config(&up, 1, &said));
	struct rlimit lim, none;
	uint64_t before;

	UNTIL(&g, (be_polite(door), server(&g, 0).checks >= 1));
	UNTIL(&g, (be_polite(door), g.relay->pool.server[0]->check.fd < 0));
	getrlimit(RLIMIT_NOFILE, &lim);
	none = (struct rlimit){ 3, lim.rlim_max };
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0, "setrlimit: %s", strerror(errno));
	before = server(&g, 0).checks;
	for (int i = 0; i < 200; i++)
		turn(&g);
	cr_expect_eq(server(&g, 0).checks, before, "a check without a descriptor counts");
	setrlimit(RLIMIT_NOFILE, &lim);
	UNTIL(&g, (be_polite(door), server(&g, 0).checks > before));
	cr_expect_eq(said.downs, 0, "it was taken out");
	close(door);
	rig_free(&g);
}

Test(check, update_starts_changes_and_ends_them)
{
	struct said said = { 0 };
	struct sockaddr_storage up = closed_port();
	struct sw_relay_config cf = config(&up, 1, &said);
	struct rig g;
	uint64_t before;

	cf.health.interval_ms = 0;
	g = rig_new(cf);
	for (int i = 0; i < 50; i++)
		turn(&g);
	cr_expect_eq(server(&g, 0).checks, 0, "checked without an interval");
	cf.health.interval_ms = 10;
	cr_assert_eq(sw_relay_update(g.relay, &cf), 0, "refused");
	UNTIL(&g, said.downs == 1);
	cf.health.interval_ms = 0;
	cr_assert_eq(sw_relay_update(g.relay, &cf), 0, "refused");
	before = server(&g, 0).checks;
	for (int i = 0; i < 50; i++)
		turn(&g);
	cr_expect_eq(server(&g, 0).checks, before, "it goes on");
	rig_free(&g);
}

Test(check, one_that_flaps_does_not_fill_the_log)
{
	struct said said = { 0 };
	struct sockaddr_storage up = closed_port();
	struct sw_relay_config cf = config(&up, 1, &said);
	struct rig g;

	cf.health.rise = cf.health.fall = 1;
	g = rig_new(cf);
	for (unsigned i = 0; i < 5; i++) {
		int door;

		UNTIL(&g, said.downs == i + 1);
		door = reopen(&up);
		UNTIL(&g, (be_polite(door), said.ups == i + 1));
		close(door);
	}
	cr_expect_eq(said.log.troubles + said.log.clears, 2, "%d lines",
		     said.log.troubles + said.log.clears);
	cr_expect_geq(server(&g, 0).transitions, 10, "%lu", server(&g, 0).transitions);
	rig_free(&g);
}
