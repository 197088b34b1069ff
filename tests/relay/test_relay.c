/* SPDX-License-Identifier: MIT */
#include "relay/rig.h"

#include <dirent.h>
#include <sys/resource.h>

TestSuite(relay, .timeout = 60);

Test(relay, bytes_go_both_ways)
{
	struct rig g = rig_new((struct sw_relay_config){ 0 });
	const int client = new_client(&g), server = accept_server(&g);
	struct sw_relay_stats s;

	put(client, "ping");
	expect_text(&g, server, "ping");
	put(server, "a longer pong");
	expect_text(&g, client, "a longer pong");
	sw_relay_get_stats(g.relay, &s);
	cr_expect_eq(s.to_server, 4, "%lu bytes up", s.to_server);
	cr_expect_eq(s.to_client, 13, "%lu bytes down", s.to_client);
	cr_expect_eq(s.active, 1, "%lu active", s.active);
	close(client);
	close(server);
	rig_free(&g);
}

Test(relay, server_may_speak_first)
{
	struct rig g = rig_new((struct sw_relay_config){ 0 });
	const int client = new_client(&g), server = accept_server(&g);

	put(server, "220 ready");
	expect_text(&g, client, "220 ready");
	close(client);
	close(server);
	rig_free(&g);
}

Test(relay, client_ends_first_and_still_reads)
{
	struct rig g = rig_new((struct sw_relay_config){ 0 });
	const int client = new_client(&g), server = accept_server(&g);

	put(client, "request");
	shutdown(client, SHUT_WR);
	expect_text(&g, server, "request");
	expect_eof(&g, server);
	put(server, "answer");
	expect_text(&g, client, "answer");
	close(server);
	expect_eof(&g, client);
	UNTIL(&g, ended(&g, SW_END_CLIENT_FIN) == 1);
	cr_expect_eq(sw_relay_active(g.relay), 0, "the pair is still there");
	close(client);
	rig_free(&g);
}

Test(relay, server_ends_first_and_still_reads)
{
	struct rig g = rig_new((struct sw_relay_config){ 0 });
	const int client = new_client(&g), server = accept_server(&g);

	put(server, "greeting");
	shutdown(server, SHUT_WR);
	expect_text(&g, client, "greeting");
	expect_eof(&g, client);
	put(client, "thanks");
	expect_text(&g, server, "thanks");
	close(client);
	expect_eof(&g, server);
	UNTIL(&g, ended(&g, SW_END_SERVER_FIN) == 1);
	close(server);
	rig_free(&g);
}

Test(relay, client_reset_reaches_the_server)
{
	struct rig g = rig_new((struct sw_relay_config){ 0 });
	const int client = new_client(&g), server = accept_server(&g);

	put(client, "x");
	expect_text(&g, server, "x");
	sw_reset_close(client);
	expect_reset(&g, server);
	cr_expect_eq(ended(&g, SW_END_CLIENT_RST), 1, "not counted");
	close(server);
	rig_free(&g);
}

Test(relay, server_reset_reaches_the_client)
{
	struct rig g = rig_new((struct sw_relay_config){ 0 });
	const int client = new_client(&g), server = accept_server(&g);

	put(server, "x");
	expect_text(&g, client, "x");
	sw_reset_close(server);
	expect_reset(&g, client);
	cr_expect_eq(ended(&g, SW_END_SERVER_RST), 1, "not counted");
	close(client);
	rig_free(&g);
}

Test(relay, reset_right_behind_data)
{
	struct rig g = rig_new((struct sw_relay_config){ 0 });
	const int client = new_client(&g), server = accept_server(&g);

	UNTIL(&g, !TAILQ_EMPTY(&TAILQ_FIRST(&g.relay->eras)->live));
	put(client, "data");
	sw_reset_close(client);
	expect_reset(&g, server);
	close(server);
	rig_free(&g);
}

Test(relay, reset_of_a_half_closed_client)
{
	struct rig g = rig_new((struct sw_relay_config){ 0 });
	const int client = new_client(&g), server = accept_server(&g);

	shutdown(client, SHUT_WR);
	expect_eof(&g, server);
	sw_reset_close(client);
	UNTIL(&g, ended(&g, SW_END_CLIENT_RST) == 1);
	/* Behind an end of file Linux shows a reset to writers only. */
	cr_expect(send(server, "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE, "send: %s",
		  strerror(errno));
	close(server);
	rig_free(&g);
}

Test(relay, reset_while_not_reading)
{
	struct rig g = rig_new((struct sw_relay_config){ 0 });
	int client = new_client(&g), server = accept_server(&g);

	/* The client has more to say than the server takes, and then resets. */
	cr_expect(fill(&g, client) > BUFFER, "the path took too little");
	sw_reset_close(client);
	UNTIL(&g, ended(&g, SW_END_CLIENT_RST) == 1);
	expect_reset(&g, server);
	close(server);

	client = new_client(&g);
	server = accept_server(&g);
	cr_expect(fill(&g, server) > BUFFER, "the path took too little");
	sw_reset_close(server);
	UNTIL(&g, ended(&g, SW_END_SERVER_RST) == 1);
	expect_reset(&g, client);
	close(client);
	rig_free(&g);
}

Test(relay, destination_resets_while_source_waits)
{
	struct rig g = rig_new((struct sw_relay_config){ 0 });
	const int client = new_client(&g), server = accept_server(&g);

	fill(&g, client);
	sw_reset_close(server);
	expect_reset(&g, client);
	cr_expect_eq(ended(&g, SW_END_SERVER_RST), 1, "not counted");
	close(client);
	rig_free(&g);
}

/* A byte that depends on its place shows loss, doubling and reordering. */
static unsigned char byte_at(size_t at)
{
	return (unsigned char)(at * 2654435761u >> 24);
}

/* @param paused  Bytes at which the reader stops until the sender is stuck. */
static void transfer(struct rig *g, int from, int to, size_t total, size_t paused,
		     const struct sw_pipe *pipe)
{
	static unsigned char out[30000], in[50000];
	size_t sent = 0, got = 0, stuck = 0;

	while (got < total) {
		size_t n = total - sent < sizeof(out) ? total - sent : sizeof(out);
		ssize_t rc;

		for (size_t i = 0; i < n; i++)
			out[i] = byte_at(sent + i);
		rc = n ? send(from, out, n, MSG_NOSIGNAL) : 0;
		sent += rc > 0 ? (size_t)rc : 0;
		stuck = rc > 0 ? 0 : stuck + 1;
		turn(g);
		cr_assert(pipe->len <= BUFFER, "%zu bytes wait", pipe->len);
		cr_assert(stuck < PATIENCE_MS, "no progress at %zu of %zu", got, total);
		if (got >= paused && stuck < 5 && sent < total)
			continue;
		rc = recv(to, in, sizeof(in), 0);
		for (ssize_t i = 0; i < rc; i++)
			cr_assert_eq(in[i], byte_at(got + (size_t)i), "byte %zu", got + (size_t)i);
		got += rc > 0 ? (size_t)rc : 0;
	}
	cr_expect_eq(got, total, "%zu bytes of %zu", got, total);
}

Test(relay, slow_reader_bounds_what_waits_and_loses_nothing)
{
	struct rig g = rig_new((struct sw_relay_config){ .buffer_bytes = BUFFER });
	const int client = new_client(&g), server = accept_server(&g);
	const struct sw_conn *pair;

	UNTIL(&g, (pair = TAILQ_FIRST(&TAILQ_FIRST(&g.relay->eras)->live)) != NULL);
	transfer(&g, client, server, 16u << 20, 1u << 20, &pair->up);
	transfer(&g, server, client, 16u << 20, 1u << 20, &pair->down);
	cr_expect(!pair->up.kept && !pair->down.kept, "an idle pair holds a buffer");
	close(client);
	close(server);
	rig_free(&g);
}

/* Small scratch buffers end every turn with work left in both directions. */
Test(relay, both_directions_take_turns)
{
	enum { TOTAL = 100000 };
	struct rig g = rig_new((struct sw_relay_config){ .buffer_bytes = 64 });
	const int client = new_client(&g), server = accept_server(&g);
	const int from[2] = { client, server }, to[2] = { server, client };
	static unsigned char out[TOTAL], in[TOTAL];
	size_t got[2] = { 0, 0 };

	for (size_t i = 0; i < TOTAL; i++)
		out[i] = byte_at(i);
	for (int d = 0; d < 2; d++)
		cr_assert_eq(send(from[d], out, TOTAL, 0), TOTAL, "send: %s", strerror(errno));
	UNTIL(&g, sw_relay_active(g.relay) == 1 && g.relay->stats.to_server == TOTAL &&
			  g.relay->stats.to_client == TOTAL);
	for (int d = 0; d < 2; d++) {
		while (got[d] < TOTAL) {
			const ssize_t n = get(&g, to[d], in + got[d], TOTAL - got[d]);

			cr_assert(n > 0, "read %zd", n);
			got[d] += (size_t)n;
		}
		cr_expect(memcmp(in, out, TOTAL) == 0, "direction %d: bytes differ", d);
	}
	close(client);
	close(server);
	rig_free(&g);
}

Test(relay, end_of_file_waits_for_what_is_kept)
{
	struct rig g = rig_new((struct sw_relay_config){ 0 });
	const int client = new_client(&g), server = accept_server(&g);
	const size_t sent = fill(&g, client);
	char buf[65536];
	size_t got = 0;
	ssize_t n;

	shutdown(client, SHUT_WR);
	while ((n = get(&g, server, buf, sizeof(buf))) > 0)
		got += (size_t)n;
	cr_expect_eq(n, 0, "read %zd, wanted the end", n);
	cr_expect_eq(got, sent, "%zu bytes of %zu", got, sent);
	close(client);
	close(server);
	rig_free(&g);
}

Test(relay, early_data_and_end_wait_for_the_upstream)
{
	struct rig g = rig_new((struct sw_relay_config){ 0 });
	int guest, server;
	const int client = connect_guest(&g, &guest);

	put(client, "early");
	shutdown(client, SHUT_WR);
	give(&g, guest);
	server = accept_server(&g);
	expect_text(&g, server, "early");
	expect_eof(&g, server);
	put(server, "late");
	expect_text(&g, client, "late");
	close(server);
	expect_eof(&g, client);
	close(client);
	rig_free(&g);
}

Test(relay, next_upstream_when_one_refuses)
{
	struct sockaddr_storage ups[3] = { closed_port(), closed_port() };
	const int door = open_door(16, &ups[2]);
	struct rig g = rig_new((struct sw_relay_config){ .upstream = ups, .nupstream = 3 });
	const int client = new_client(&g);
	int server;

	UNTIL(&g, (server = accept4(door, NULL, NULL, SOCK_NONBLOCK)) >= 0);
	put(client, "hello");
	expect_text(&g, server, "hello");
	cr_expect_eq(dial_failed(&g, SW_DIAL_REFUSED), 2, "%lu refused",
		     dial_failed(&g, SW_DIAL_REFUSED));
	close(client);
	close(server);
	close(door);
	rig_free(&g);
}

Test(relay, upstreams_take_turns)
{
	struct sockaddr_storage ups[2];
	const int door[2] = { open_door(16, &ups[0]), open_door(16, &ups[1]) };
	struct rig g = rig_new((struct sw_relay_config){ .upstream = ups, .nupstream = 2 });
	int client[6], server[6];

	for (int i = 0; i < 6; i++) {
		client[i] = new_client(&g);
		UNTIL(&g, (server[i] = accept4(door[i % 2], NULL, NULL, SOCK_NONBLOCK)) >= 0);
	}
	for (int i = 0; i < 6; i++) {
		close(client[i]);
		close(server[i]);
	}
	close(door[0]);
	close(door[1]);
	rig_free(&g);
}

Test(relay, no_upstream_resets_the_client_and_says_so_once)
{
	struct sockaddr_storage ups[2] = { closed_port(), closed_port() };
	struct log log = { 0 };
	struct rig g = rig_new((struct sw_relay_config){
		.upstream = ups, .nupstream = 2, .log = on_log, .log_arg = &log });

	for (int i = 0; i < 3; i++) {
		const int client = new_client(&g);

		expect_reset(&g, client);
		close(client);
	}
	cr_expect_eq(ended(&g, SW_END_CONNECT_FAILED), 3, "not counted");
	cr_expect_eq(dial_failed(&g, SW_DIAL_REFUSED), 6, "each upstream is tried once");
	cr_expect_eq(log.troubles, 2, "%d lines for two upstreams, the last: %s", log.troubles,
		     log.last);
	rig_free(&g);
}

Test(relay, next_upstream_when_one_is_silent)
{
	struct sockaddr_storage ups[2];
	int filler[2];
	const int full = open_full_door(&ups[0], filler), door = open_door(16, &ups[1]);
	struct rig g = rig_new((struct sw_relay_config){
		.upstream = ups, .nupstream = 2, .connect_timeout_ms = 60 });
	const uint64_t start = now_ms();
	const int client = new_client(&g);
	int server;

	UNTIL(&g, (server = accept4(door, NULL, NULL, SOCK_NONBLOCK)) >= 0);
	cr_expect(now_ms() - start >= 60, "gave up after %lu ms", now_ms() - start);
	cr_expect_eq(dial_failed(&g, SW_DIAL_TIMEOUT), 1, "not counted");
	put(server, "here");
	expect_text(&g, client, "here");
	close(client);
	close(server);
	close(door);
	close(full);
	close(filler[0]);
	close(filler[1]);
	rig_free(&g);
}

Test(relay, silent_upstream_resets_the_client)
{
	struct sockaddr_storage up;
	int filler[2];
	const int full = open_full_door(&up, filler);
	struct rig g = rig_new((struct sw_relay_config){
		.upstream = &up, .nupstream = 1, .connect_timeout_ms = 60 });
	const int client = new_client(&g);

	expect_reset(&g, client);
	cr_expect_eq(ended(&g, SW_END_CONNECT_FAILED), 1, "not counted");
	close(client);
	close(full);
	close(filler[0]);
	close(filler[1]);
	rig_free(&g);
}

Test(relay, client_reset_ends_the_dialing)
{
	struct sockaddr_storage up;
	int filler[2];
	const int full = open_full_door(&up, filler);
	struct rig g = rig_new((struct sw_relay_config){ .upstream = &up, .nupstream = 1 });
	const int client = new_client(&g);

	put(client, "x");
	turn(&g);
	sw_reset_close(client);
	UNTIL(&g, ended(&g, SW_END_CLIENT_RST) == 1);
	close(full);
	close(filler[0]);
	close(filler[1]);
	rig_free(&g);
}

Test(relay, proxy_header_comes_first)
{
	for (int v = SW_PROXY_V1; v <= SW_PROXY_V2; v++) {
		struct rig g =
			rig_new((struct sw_relay_config){ .proxy = (enum sw_proxy_version)v });
		int guest, server;
		const int client = connect_guest(&g, &guest);
		struct sockaddr_in src, dst;
		socklen_t len = sizeof(src);
		uint8_t want[SW_PROXYHDR_MAX], got[SW_PROXYHDR_MAX];
		struct sw_relay_stats s;
		size_t n, have = 0;

		getsockname(client, (void *)&src, &len);
		getpeername(client, (void *)&dst, &len);
		n = sw_proxyhdr_build(want, (enum sw_proxy_version)v, (void *)&src, (void *)&dst);
		put(client, "data");
		give(&g, guest);
		server = accept_server(&g);
		while (have < n) {
			const ssize_t more = get(&g, server, got + have, n - have);

			cr_assert(more > 0, "read %zd", more);
			have += (size_t)more;
		}
		cr_expect(memcmp(got, want, n) == 0, "v%d: header differs", v);
		expect_text(&g, server, "data");
		sw_relay_get_stats(g.relay, &s);
		cr_expect_eq(s.to_server, 4, "the header counts as payload: %lu", s.to_server);
		close(client);
		close(server);
		rig_free(&g);
	}
}

Test(relay, limit_resets_the_one_too_many)
{
	struct rig g = rig_new((struct sw_relay_config){ .max_connections = 1 });
	const int first = new_client(&g), server = accept_server(&g), second = new_client(&g);

	expect_reset(&g, second);
	cr_expect_eq(ended(&g, SW_END_LIMIT), 1, "not counted");
	put(first, "still here");
	expect_text(&g, server, "still here");
	close(first);
	close(second);
	close(server);
	rig_free(&g);
}

Test(relay, idle_pair_ends_busy_pair_stays)
{
	struct rig g = rig_new((struct sw_relay_config){ .idle_timeout_ms = 100 });
	const int idle = new_client(&g), idle_server = accept_server(&g);
	const int busy = new_client(&g), busy_server = accept_server(&g);

	while (ended(&g, SW_END_IDLE) == 0) {
		put(busy, "x");
		expect_text(&g, busy_server, "x");
		turn(&g);
	}
	expect_reset(&g, idle);
	expect_reset(&g, idle_server);
	cr_expect_eq(sw_relay_active(g.relay), 1, "the busy pair ended too");
	close(idle);
	close(idle_server);
	close(busy);
	close(busy_server);
	rig_free(&g);
}

static void on_drained(void *arg)
{
	*(int *)arg += 1;
}

Test(relay, drain_waits_for_the_last)
{
	struct rig g = rig_new((struct sw_relay_config){ 0 });
	const int client = new_client(&g), server = accept_server(&g);
	int drained = 0, late;

	sw_relay_drain(g.relay, on_drained, &drained);
	late = new_client(&g);
	expect_reset(&g, late);
	put(client, "on");
	expect_text(&g, server, "on");
	cr_expect_eq(drained, 0, "drained with a live connection");
	close(client);
	expect_eof(&g, server);
	close(server);
	UNTIL(&g, drained == 1);
	for (int i = 0; i < 5; i++)
		turn(&g);
	cr_expect_eq(drained, 1, "called %d times", drained);
	close(late);
	rig_free(&g);
}

Test(relay, drain_of_an_idle_relay_calls_back_from_the_loop)
{
	struct rig g = rig_new((struct sw_relay_config){ 0 });
	int drained = 0;

	sw_relay_drain(g.relay, on_drained, &drained);
	cr_expect_eq(drained, 0, "called from within sw_relay_drain()");
	UNTIL(&g, drained == 1);
	rig_free(&g);
}

Test(relay, kill_all_resets_both_sides)
{
	struct rig g = rig_new((struct sw_relay_config){ 0 });
	const int client = new_client(&g), server = accept_server(&g);

	UNTIL(&g, !TAILQ_EMPTY(&TAILQ_FIRST(&g.relay->eras)->live));
	sw_relay_kill_all(g.relay);
	expect_reset(&g, client);
	expect_reset(&g, server);
	cr_expect_eq(ended(&g, SW_END_DRAIN), 1, "not counted");
	close(client);
	close(server);
	rig_free(&g);
}

static int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* No number above the last guest's is left, and none below is free.  @return the old limit. */
static struct rlimit use_all_descriptors(int last)
{
	struct rlimit lim, tight;

	getrlimit(RLIMIT_NOFILE, &lim);
	tight = (struct rlimit){ (rlim_t)last + 1, lim.rlim_max };
	for (int fd = 0; fd < last; fd++) {
		if (fcntl(fd, F_GETFD) < 0)
			dup2(last, fd);
	}
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &tight), 0, "setrlimit: %s", strerror(errno));
	return lim;
}

Test(relay, out_of_descriptors_resets_in_the_end)
{
	struct log log = { 0 };
	struct rig g = rig_new((struct sw_relay_config){
		.log = on_log, .log_arg = &log, .connect_timeout_ms = 200 });
	int guest[2], client[2], server;
	struct rlimit lim;

	for (int i = 0; i < 2; i++)
		client[i] = connect_guest(&g, &guest[i]);
	lim = use_all_descriptors(guest[1]);
	give(&g, guest[0]); /* needs a descriptor, then frees one */
	expect_reset(&g, client[0]);
	cr_expect_eq(ended(&g, SW_END_NO_RESOURCES), 1, "not counted");
	cr_expect_eq(log.troubles, 1, "%d lines", log.troubles);
	setrlimit(RLIMIT_NOFILE, &lim);

	give(&g, guest[1]);
	server = accept_server(&g);
	put(client[1], "works again");
	expect_text(&g, server, "works again");
	rig_free(&g);
}

Test(relay, waits_for_a_descriptor)
{
	struct rig g = rig_new((struct sw_relay_config){ .connect_timeout_ms = 10000 });
	struct rlimit lim;
	int guest, client, server;

	client = connect_guest(&g, &guest);
	lim = use_all_descriptors(guest);
	give(&g, guest);
	put(client, "patience");
	setrlimit(RLIMIT_NOFILE, &lim);
	server = accept_server(&g);
	expect_text(&g, server, "patience");
	rig_free(&g);
}

Test(relay, a_thousand_connections_leave_nothing_behind)
{
	enum { N = 1000 };
	static int client[N], server[N];
	const struct rlimit lim = { 8192, 8192 };
	struct rig g;
	int before;

	if (setrlimit(RLIMIT_NOFILE, &lim) < 0)
		cr_skip_test("needs 8192 descriptors");
	g = rig_new((struct sw_relay_config){ .idle_timeout_ms = 60000 });
	before = count_fds();
	for (int i = 0; i < N; i++)
		client[i] = new_client(&g);
	for (int i = 0; i < N; i++)
		server[i] = accept_server(&g);
	cr_expect_eq(sw_relay_active(g.relay), N, "%zu active", sw_relay_active(g.relay));
	for (int i = 0; i < N; i++)
		put(server[i], "x");
	for (int i = 0; i < N; i++)
		expect_text(&g, client[i], "x");
	for (int i = 0; i < N; i++) {
		if (i % 3 == 0)
			sw_reset_close(client[i]);
		else
			close(client[i]);
		close(server[i]);
	}
	UNTIL(&g, sw_relay_active(g.relay) == 0);
	cr_expect_eq(count_fds(), before, "%d descriptors before, %d after", before, count_fds());
	rig_free(&g);
}

Test(relay, refuses_to_start_without_upstream_or_edges)
{
	struct event_config *cfg = event_config_new();
	struct event_base *plain, *base = event_base_new();
	struct sockaddr_storage up = closed_port();
	char error[128];
	struct sw_relay_config cf = { .error = error, .error_size = sizeof(error) };
	struct sw_relay *r = NULL;

	event_config_avoid_method(cfg, "epoll");
	plain = event_base_new_with_config(cfg);
	cr_expect_eq(sw_relay_new(base, &cf, &r), -EINVAL, "no upstream was accepted");
	cr_expect_str_eq(error, "0 servers in a pool; 1 to 64 would be right");
	cf.upstream = &up;
	cf.nupstream = 1;
	cr_expect_eq(sw_relay_new(plain, &cf, &r), -ENOTSUP, "poll(2) was accepted");
	cr_expect_null(r, "out was written on failure");
	sw_relay_free(NULL);
	event_base_free(base);
	event_base_free(plain);
	event_config_free(cfg);
}
