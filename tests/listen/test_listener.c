/* SPDX-License-Identifier: MIT */
#include "listen/rig.h"

Test(listener, connections_come_to_the_callback)
{
	for (unsigned mac = 0; mac < 2; mac++) {
		struct synward_config cf;
		struct sockaddr_in in4;
		struct sockaddr_in6 in6;
		struct sw_seg seg;

		enter();
		cf = usual();
		cf.mac = mac ? SYNWARD_MAC_SIPHASH_2_4 : SYNWARD_MAC_HMAC_SHA256;
		start_with(&cf, 0);
		cr_assert_eq(synward_listener_get_base(lev), base, "another base");
		cr_assert_eq(synward_listener_is_fallback(lev), 0, "it is a fallback");
		open_connection(SW_IP4, 40000);
		cr_assert(run_until(&seen.n, 1), "no connection");
		open_connection(SW_IP6, 40001);
		cr_assert(run_until(&seen.n, 2), "no second connection");
		cr_assert(seen.lev == lev && seen.arg == &seen, "other arguments");
		memcpy(&in4, &seen.peer[0], sizeof(in4));
		memcpy(&in6, &seen.peer[1], sizeof(in6));
		cr_assert(in4.sin_family == AF_INET && ntohs(in4.sin_port) == 40000 &&
				  in4.sin_addr.s_addr == inet_addr("192.0.2.1"),
			  "another IPv4 peer");
		cr_assert(in6.sin6_family == AF_INET6 && ntohs(in6.sin6_port) == 40001 &&
				  in6.sin6_addr.s6_addr[15] == 1,
			  "another IPv6 peer");
		for (unsigned i = 0; i < 2; i++) {
			cr_assert_eq(fcntl(seen.fd[i], F_GETFD), FD_CLOEXEC, "not close-on-exec");
			cr_assert(fcntl(seen.fd[i], F_GETFL) & O_NONBLOCK, "blocking");
			cr_assert_eq(write(seen.fd[i], "hello", 5), 5, "%s", strerror(errno));
			cr_assert(net_recv_seg(p0, &seg, NET_WAIT_MS) && seg.payload_len == 5 &&
					  seg.dport == 40000 + i,
				  "connection %u does not speak", i);
		}
		stop();
		close(p0);
	}
}

/* Connections that were handed over live on. */
Test(listener, free_leaves_connections_alone)
{
	struct frame_spec ack;
	char data[8];
	int fd;
	struct pollfd pfd;

	enter();
	start(0);
	ack = prove(SW_IP4, 40000);
	send_spec(&ack);
	cr_assert(run_until(&seen.n, 1), "no connection");
	fd = seen.fd[0];
	seen.n = 0;
	stop();
	ack.payload = 4;
	send_spec(&ack);
	pfd = (struct pollfd){ .fd = fd, .events = POLLIN };
	cr_assert(poll(&pfd, 1, NET_WAIT_MS) == 1 && read(fd, data, sizeof(data)) == 4,
		  "the connection is dead");
}

static const char many_text[] = "198.51.100.2:443";
static const char *many[65];
static const char *const bad_addr[] = { "198.51.100.2" };
static const char *const twice[] = { "198.51.100.2:443", "[::]:443", "198.51.100.2:0443" };

struct bad {
	const char *what;
	struct synward_config cf;
	int error;
	const char *part; /* of the message */
};

static const struct bad bads[] = {
	{ "no interface", { .listen = both, .nlisten = 2 }, EINVAL, "no interface" },
	{ "no such interface", { .interface = "nowhere", .listen = both, .nlisten = 2 }, ENODEV,
	  "nowhere" },
	{ "a name too long",
	  { .interface = "0123456789abcdef0", .listen = both, .nlisten = 2 },
	  ENODEV,
	  "0123456789abcdef0" },
	{ "an interface that is down",
	  { .interface = "down0", .listen = both, .nlisten = 2 },
	  ENETDOWN,
	  "ip link set down0 up" },
	{ "an interface without Ethernet",
	  { .interface = "tun0", .listen = both, .nlisten = 2 },
	  ENOTSUP,
	  "not Ethernet" },
	{ "no address", { .interface = "g0", .listen = both }, EINVAL, "0 listen addresses" },
	{ "too many", { .interface = "g0", .listen = many, .nlisten = 65 }, EINVAL,
	  "65 listen addresses" },
	{ "no port", { .interface = "g0", .listen = bad_addr, .nlisten = 1 }, EINVAL, "port" },
	{ "an address twice", { .interface = "g0", .listen = twice, .nlisten = 3 }, EINVAL,
	  "198.51.100.2:0443 is given twice" },
	{ "too many workers",
	  { .interface = "g0", .listen = both, .nlisten = 2, .workers = 65 },
	  EINVAL,
	  "65 workers" },
	{ "too long a queue",
	  { .interface = "g0", .listen = both, .nlisten = 2, .queue_depth = 1048577 },
	  EINVAL,
	  "1048577" },
	{ "too large a ring",
	  { .interface = "g0", .listen = both, .nlisten = 2, .ring_frames = 1048577 },
	  EINVAL,
	  "1048577" },
	{ "no such MAC",
	  { .interface = "g0", .listen = both, .nlisten = 2, .mac = (enum synward_mac)2 },
	  EINVAL,
	  "MAC" },
	{ "no key file",
	  { .interface = "g0", .listen = both, .nlisten = 2, .key_file = "/nowhere/key" },
	  EINVAL,
	  "/nowhere/key" },
};

static void expect_no_links(void)
{
	char out[4096];
	uint64_t deadline = net_now_ms() + NET_WAIT_MS;

	do
		net_output(out, sizeof(out), "ip -o link");
	while (strstr(out, "synward") && net_again(deadline));
	cr_assert(!strstr(out, "synward"), "left: %s", out);
}

Test(listener, a_bad_setting_is_named)
{
	unsigned fds;

	enter();
	net_run("ip link add name down0 type veth peer name down1");
	net_run("ip tuntap add dev tun0 mode tun && ip link set dev tun0 up");
	for (size_t i = 0; i < 65; i++)
		many[i] = many_text;
	fds = net_fds();
	for (size_t i = 0; i < sizeof(bads) / sizeof(bads[0]); i++) {
		struct synward_config cf = bads[i].cf;
		char tiny[9];

		cf.error = err;
		cf.error_size = sizeof(err);
		err[0] = 0;
		errno = 0;
		cr_assert_null(synward_listener_new(base, on_accept, NULL, 0, &cf), "%s: works",
			       bads[i].what);
		cr_assert_eq(errno, bads[i].error, "%s: %s", bads[i].what, strerror(errno));
		cr_assert(strstr(err, bads[i].part) && !strchr(err, '\n'), "%s: '%s'", bads[i].what,
			  err);
		/* A short buffer, and none. */
		memset(tiny, '#', sizeof(tiny));
		cf.error = tiny;
		cf.error_size = 8;
		cr_assert_null(synward_listener_new(base, on_accept, NULL, 0, &cf), "works");
		cr_assert(strlen(tiny) == 7 && tiny[8] == '#', "%s: the line is too long",
			  bads[i].what);
		cf.error = NULL;
		cr_assert_null(synward_listener_new(base, on_accept, NULL, 0, &cf), "works");
		cr_assert_eq(net_fds(), fds, "%s: %u descriptors, not %u", bads[i].what, net_fds(),
			     fds);
	}
	expect_no_links();
	event_base_free(base);
}

Test(listener, who_guards_already)
{
	const struct synward_config cf = usual();
	char pid[32];
	unsigned fds;

	enter();
	start(0);
	fds = net_fds();
	snprintf(pid, sizeof(pid), "process %d", getpid());
	cr_assert_null(synward_listener_new(base, on_accept, NULL, 0, &cf), "guarded twice");
	cr_assert(errno == EBUSY && strstr(err, pid), "%s, '%s'", strerror(errno), err);
	/* The first one's thread may look at the kernel's sockets just now: one descriptor more. */
	for (int i = 0; i < 200 && net_fds() > fds; i++)
		run_for(5);
	cr_assert_leq(net_fds(), fds, "%u descriptors, not %u", net_fds(), fds);
	/* The first one works on. */
	open_connection(SW_IP4, 40000);
	cr_assert(run_until(&seen.n, 1), "no connection");
	stop();
}

Test(listener, disabled_and_enabled)
{
	enter();
	start(SYNWARD_OPT_DISABLED);
	for (uint16_t i = 0; i < 3; i++)
		open_connection(SW_IP4, (uint16_t)(40000 + i));
	wait_queued(3);
	run_for(20);
	cr_assert_eq(seen.n, 0, "called while disabled");
	cr_assert_eq(synward_listener_enable(lev), 0, "enable");
	cr_assert(run_until(&seen.n, 3), "%u of what was queued", seen.n);
	for (unsigned i = 0; i < 3; i++) {
		struct sockaddr_in in4;

		memcpy(&in4, &seen.peer[i], sizeof(in4));
		cr_assert_eq(ntohs(in4.sin_port), 40000 + i, "number %u is from port %u", i,
			     ntohs(in4.sin_port));
	}
	cr_assert_eq(stats().queued, 0, "%lu queued", stats().queued);
	/* Disabled by the callback: the rest stays. */
	cr_assert_eq(synward_listener_disable(lev), 0, "disable");
	cr_assert_eq(synward_listener_disable(lev), 0, "disable twice");
	for (uint16_t i = 3; i < 6; i++)
		open_connection(SW_IP4, (uint16_t)(40000 + i));
	wait_queued(3);
	seen.disable_after = 4;
	cr_assert_eq(synward_listener_enable(lev), 0, "enable");
	run_for(20);
	cr_assert_eq(seen.n, 4, "%u calls", seen.n);
	cr_assert_eq(stats().queued, 2, "%lu queued", stats().queued);
	cr_assert_eq(synward_listener_enable(lev), 0, "enable");
	cr_assert_eq(synward_listener_enable(lev), 0, "enable twice");
	cr_assert(run_until(&seen.n, 6), "%u of the rest", seen.n);
	stop();
}

Test(listener, free_in_the_callback)
{
	unsigned fds;

	enter();
	start(0);
	synward_listener_free(lev); /* so that libbpf has opened what it keeps */
	fds = net_fds();
	start(SYNWARD_OPT_DISABLED);
	for (uint16_t i = 0; i < 5; i++)
		open_connection(SW_IP4, (uint16_t)(40000 + i));
	wait_queued(5);
	seen.free_after = 2;
	cr_assert_eq(synward_listener_enable(lev), 0, "enable");
	run_for(50);
	cr_assert_eq(seen.n, 2, "%u calls", seen.n);
	close(seen.fd[0]);
	close(seen.fd[1]);
	cr_assert_eq(net_fds(), fds, "%u descriptors, not %u", net_fds(), fds);
	expect_no_links();
	event_base_free(base);
}

static unsigned others;

static void on_other(struct synward_listener *l, evutil_socket_t fd, struct sockaddr *peer,
		     int socklen, void *arg)
{
	(void)l;
	(void)peer;
	(void)socklen;
	cr_assert_eq(arg, &others, "another argument");
	others++;
	close((int)fd);
}

Test(listener, another_callback)
{
	enter();
	start(0);
	synward_listener_set_cb(lev, on_other, &others);
	open_connection(SW_IP6, 40000);
	cr_assert(run_until(&others, 1), "not called");
	cr_assert_eq(seen.n, 0, "the first one was called");
	stop();
}

Test(listener, what_is_counted)
{
	struct frame_spec ack, forged, small = frame_syn(SW_IP4);
	struct synward_stats st;

	enter();
	start(0);
	ack = prove(SW_IP4, 40000);
	send_spec(&ack);
	cr_assert(run_until(&seen.n, 1), "no connection");
	forged = ack;
	forged.sport = 40001;
	send_spec(&forged);
	wait_reason(SW_WHY_COOKIE_FORGED, 1);
	small.flags = SW_TCP_RST;
	small.sport = 40002;
	send_spec(&small);
	wait_reason(SW_WHY_RST, 1);
	ack.payload = 1;
	send_spec(&ack); /* the kernel's: it has the socket */
	wait_reason(SW_WHY_HAS_SOCKET, 1);
	st = stats();
	cr_assert(st.frames == 4 && st.syns == 1 && st.synacks == 1 && st.proven == 1 &&
			  st.handed == 1 && st.passed == 2 && st.dropped == 1 &&
			  st.ring_lost == 0 && st.queued == 0,
		  "frames %lu syns %lu synacks %lu proven %lu handed %lu passed %lu dropped %lu "
		  "lost %lu queued %lu",
		  st.frames, st.syns, st.synacks, st.proven, st.handed, st.passed, st.dropped,
		  st.ring_lost, st.queued);
	cr_assert(st.reason[SW_WHY_STEERED] == 4 && st.reason[SW_WHY_REINJECTED] == 2 &&
			  st.reason[SW_WHY_SYN_ANSWERED] == 1 && st.reason[SW_WHY_ACK_PROVEN] == 1,
		  "steered %lu, given back %lu", st.reason[SW_WHY_STEERED],
		  st.reason[SW_WHY_REINJECTED]);
	for (unsigned i = SW_NWHY; i < SYNWARD_MAX_REASONS; i++)
		cr_assert_eq(st.reason[i], 0, "reason %u", i);
	stop();
}

Test(listener, a_queue_that_is_full)
{
	struct synward_config cf = usual();
	struct frame_spec third;

	enter();
	cf.queue_depth = 2;
	start_with(&cf, SYNWARD_OPT_DISABLED);
	open_connection(SW_IP4, 40000);
	open_connection(SW_IP4, 40001);
	wait_queued(2);
	third = prove(SW_IP4, 40002);
	send_spec(&third);
	wait_reason(SW_WHY_QUEUE_FULL, 1);
	cr_assert_eq(synward_listener_enable(lev), 0, "enable");
	cr_assert(run_until(&seen.n, 2), "%u connections", seen.n);
	send_spec(&third);
	cr_assert(run_until(&seen.n, 3), "%u connections", seen.n);
	stop();
}

Test(listener, several_workers)
{
	struct synward_config cf = usual();

	enter();
	cf.workers = 4;
	start_with(&cf, 0);
	for (uint16_t i = 0; i < 40; i++)
		open_connection(i & 1 ? SW_IP6 : SW_IP4, (uint16_t)(40000 + i));
	cr_assert(run_until(&seen.n, 40), "%u connections", seen.n);
	cr_assert_eq(stats().handed, 40, "%lu handed", stats().handed);
	stop();
}

/* With a key file, the next process proves what this one answered. */
Test(listener, a_key_outlives_its_process)
{
	static const char text[] =
		"active 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";
	char path[] = "/tmp/synward-listener-XXXXXX";
	const int fd = mkstemp(path);
	struct synward_config cf = usual();
	struct frame_spec ack[2];

	cr_assert(fd >= 0 && write(fd, text, sizeof(text) - 1) == sizeof(text) - 1, "%s",
		  strerror(errno));
	close(fd);
	enter();
	for (unsigned with_key = 0; with_key < 2; with_key++) {
		cf.key_file = with_key ? path : NULL;
		start_with(&cf, 0);
		ack[with_key] = prove(SW_IP4, (uint16_t)(40000 + with_key));
		synward_listener_free(lev);
		start_with(&cf, 0);
		send_spec(&ack[with_key]);
		if (with_key)
			cr_assert(run_until(&seen.n, 1), "the key is another");
		else
			wait_reason(SW_WHY_COOKIE_FORGED, 1);
		if (!with_key)
			synward_listener_free(lev);
	}
	unlink(path);
	cr_assert_eq(seen.n, 1, "%u connections", seen.n);
	stop();
}

/* Shortage is reported when it appears, not with every connection that fails of it. */
Test(listener, no_descriptors)
{
	struct frame_spec ack;
	uint64_t until;
	int last;

	enter();
	start(0);
	ack = prove(SW_IP4, 40000);
	last = net_use_up_fds();
	until = net_now_ms() + 3500; /* three ticks or more */
	while (net_now_ms() < until) {
		send_spec(&ack);
		run_for(50);
	}
	cr_assert(seen.errors == 1 && seen.last_errno == EMFILE, "%u reports, the last %s",
		  seen.errors, strerror(seen.last_errno));
	cr_assert(seen.lev == lev && seen.arg == &seen, "other arguments");
	cr_assert_eq(seen.n, 0, "a connection without a descriptor");
	/* It goes, and comes again. */
	close(last);
	send_spec(&ack);
	cr_assert(run_until(&seen.n, 1), "no connection");
	run_for(2500);
	cr_assert_eq(seen.errors, 1, "%u reports", seen.errors);
	ack = prove(SW_IP4, 40001);
	send_spec(&ack);
	cr_assert(run_until(&seen.errors, 2), "%u reports", seen.errors);
	stop();
}

Test(listener, free_in_the_error_callback)
{
	struct frame_spec ack;
	int last;

	enter();
	start(0);
	ack = prove(SW_IP4, 40000);
	last = net_use_up_fds();
	seen.free_on_error = true;
	send_spec(&ack);
	cr_assert(run_until(&seen.errors, 1), "no report");
	run_for(20);
	cr_assert_null(lev, "not freed");
	close(last);
	event_base_free(base);
}

Test(listener, nothing_is_left_behind)
{
	struct frame_spec syn = frame_syn(SW_IP4);
	struct sw_seg seg;
	unsigned fds;

	enter();
	start(0);
	synward_listener_free(lev); /* so that libbpf has opened what it keeps */
	fds = net_fds();
	for (unsigned i = 0; i < 20; i++) {
		start(i & 1 ? SYNWARD_OPT_DISABLED : 0);
		if (i % 4 == 0)
			open_connection(SW_IP4, (uint16_t)(40000 + i));
		synward_listener_free(lev);
	}
	cr_assert_eq(net_fds(), fds, "%u descriptors, not %u", net_fds(), fds);
	expect_no_links();
	/* From here on the kernel answers. */
	syn.sport = 50000;
	send_spec(&syn);
	do
		cr_assert(net_recv_seg(p0, &seg, NET_WAIT_MS), "no answer");
	while (seg.dport != 50000);
	cr_assert(seg.flags & SW_TCP_RST, "flags %#x", seg.flags);
	synward_listener_free(NULL);
	event_base_free(base);
}

Test(listener, without_privileges)
{
	const struct synward_config cf = usual();
	unsigned fds;

	enter();
	cr_assert_eq(setresuid(65534, 65534, 65534), 0, "%s", strerror(errno));
	fds = net_fds();
	cr_assert_null(synward_listener_new(base, on_accept, NULL, 0, &cf), "works");
	cr_assert(errno == EPERM && strstr(err, "CAP_"), "%s, '%s'", strerror(errno), err);
	cr_assert_eq(net_fds(), fds, "%u descriptors, not %u", net_fds(), fds);
	event_base_free(base);
}

Test(listener, reasons_and_version)
{
	unsigned n = 0;

	while (synward_reason_name(n)) {
		cr_assert(synward_reason_name(n)[0] && synward_reason_text(n) &&
				  synward_reason_text(n)[0],
			  "reason %u", n);
		n++;
	}
	cr_assert(n == SW_NWHY && n <= SYNWARD_MAX_REASONS, "%u reasons", n);
	cr_assert(!synward_reason_text(n) && !synward_reason_name(~0u) && !synward_reason_text(~0u),
		  "past the last one");
	cr_assert_str_eq(synward_version(), SYNWARD_VERSION, "%s", synward_version());
}
