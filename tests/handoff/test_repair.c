/* SPDX-License-Identifier: MIT */
/*
 * Both ends of a connection are made by sw_repair_connect() over lo, as mirror images: what one
 * end's SYN-ACK would have carried is what the other end's SYN-ACK answered.
 */
#include "handoff/repair.h"
#include "bpf/abi.h"
#include "front/net.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#define SERVER_PORT 443

static uint16_t client_port = 40000; /* another one for each connection */

/* One end as sw_repair_connect() wants to hear about it. */
struct end {
	struct sw_seg ack;
	struct sw_terms terms;
	struct sw_cookie cookie;
	struct sw_policy policy;
};

struct wish {
	enum sw_family family;
	bool wscale_ok, sack, ts;
	uint8_t wscale[2]; /* shift counts: the client's, the server's */
	uint16_t mss[2];   /* what they take */
};

static const struct wish usual = { SW_IP4, true, true, true, { 7, 9 }, { 1460, 1400 } };

static struct sw_addr addr(enum sw_family family, unsigned last)
{
	char text[32];

	snprintf(text, sizeof(text), family == SW_IP4 ? "127.0.0.%u" : "2001:db8::%u", last);
	return frame_addr(text);
}

/* End 0 is the server's; end 1 the client's.  An ACK of the other end proves an end. */
static struct end make_end(const struct wish *w, unsigned which)
{
	const uint32_t isn[2] = { 0xfffffff0, 0x7ffffffa }, tsval[2] = { 0xfffffff0, 1234 };
	const unsigned other = !which;
	struct end e = { 0 };

	e.ack.family = w->family;
	e.ack.src = addr(w->family, 1 + other);
	e.ack.dst = addr(w->family, 1 + which);
	e.ack.sport = other ? client_port : SERVER_PORT;
	e.ack.dport = which ? client_port : SERVER_PORT;
	e.ack.seq = isn[other] + 1;
	e.ack.ack = isn[which] + 1;
	e.ack.window = (uint16_t)(64000 >> (w->wscale_ok ? w->wscale[which] : 0));
	e.terms = (struct sw_terms){ .mss = w->mss[which], /* the other end's offer */
				     .wscale = w->wscale[which],
				     .wscale_ok = w->wscale_ok,
				     .sack = w->sack,
				     .ts = w->ts };
	e.cookie.isn = isn[which];
	e.cookie.tsval = tsval[which];
	e.policy.window = 64240;
	e.policy.wscale = w->wscale[other];
	e.policy.mss4 = e.policy.mss6 = w->mss[other];
	return e;
}

static int connect_end(const struct end *e, int *fd, enum sw_repair_stage *stage)
{
	return sw_repair_connect(&e->ack, &e->terms, &e->cookie, &e->policy, net_index("lo"), fd,
				 stage);
}

static void connect_both(const struct wish *w, int fd[2])
{
	client_port++;
	for (unsigned i = 0; i < 2; i++) {
		const struct end e = make_end(w, i);
		enum sw_repair_stage stage = SW_REPAIR_NSTAGE;
		int rc;

		fd[i] = -1;
		rc = connect_end(&e, &fd[i], &stage);
		cr_assert(rc == 0 && fd[i] >= 0, "end %u: %s at '%s'", i, strerror(-rc),
			  sw_repair_stage_name(stage));
		cr_assert_eq(stage, SW_REPAIR_DONE, "stage %d", stage);
	}
}

static void enter(void)
{
	net_enter();
	net_run("ip addr add 2001:db8::1/128 dev lo && ip addr add 2001:db8::2/128 dev lo");
}

/* Everything goes one way before anything is read the other way. */
static void transfer(int from, int to, size_t len, const char *what)
{
	static uint8_t out[1 << 20], in[1 << 20];
	size_t sent = 0, got = 0;
	const uint64_t deadline = net_now_ms() + NET_WAIT_MS;

	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(i * 31 + i / 256);
	while (got < len) {
		struct pollfd pfd[2] = { { .fd = to, .events = POLLIN },
					 { .fd = sent < len ? from : -1, .events = POLLOUT } };
		ssize_t n;

		cr_assert(poll(pfd, 2, NET_WAIT_MS) > 0 && net_now_ms() < deadline,
			  "%s: stuck after %zu sent, %zu read", what, sent, got);
		if (pfd[1].revents) {
			n = write(from, out + sent, len - sent);
			cr_assert(n > 0, "%s: write: %s", what, strerror(errno));
			sent += (size_t)n;
		}
		if (pfd[0].revents) {
			n = read(to, in + got, sizeof(in) - got);
			cr_assert(n > 0, "%s: read %zd: %s", what, n, strerror(errno));
			got += (size_t)n;
		}
	}
	cr_assert(got == len && memcmp(in, out, len) == 0, "%s: %zu bytes, not %zu, or others",
		  what, got, len);
}

static struct tcp_info info_of(int fd)
{
	struct tcp_info ti;
	socklen_t len = sizeof(ti);

	memset(&ti, 0, sizeof(ti));
	cr_assert_eq(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &ti, &len), 0, "TCP_INFO: %s",
		     strerror(errno));
	return ti;
}

static int get_int(int fd, int level, int opt)
{
	int v = -1;
	socklen_t len = sizeof(v);

	cr_assert_eq(getsockopt(fd, level, opt, &v, &len), 0, "getsockopt %d %d: %s", level, opt,
		     strerror(errno));
	return v;
}

static void expect_terms(int fd, const struct wish *w, unsigned which, const char *what)
{
	const struct tcp_info ti = info_of(fd);
	const unsigned mine = w->wscale_ok ? w->wscale[!which] : 0u,
		       theirs = w->wscale_ok ? w->wscale[which] : 0u;

	cr_assert_eq(ti.tcpi_state, TCP_ESTABLISHED, "%s: state %u", what, ti.tcpi_state);
	cr_assert_eq((ti.tcpi_options & TCPI_OPT_TIMESTAMPS) != 0, w->ts, "%s: ts", what);
	cr_assert_eq((ti.tcpi_options & TCPI_OPT_SACK) != 0, w->sack, "%s: sack", what);
	cr_assert_eq((ti.tcpi_options & TCPI_OPT_WSCALE) != 0, w->wscale_ok, "%s: wscale", what);
	cr_assert_eq(ti.tcpi_snd_wscale, theirs, "%s: sends with %u", what, ti.tcpi_snd_wscale);
	cr_assert_eq(ti.tcpi_rcv_wscale, mine, "%s: receives with %u", what, ti.tcpi_rcv_wscale);
	/* Without timestamps the segments are larger than it says: see segments_are_full. */
	cr_assert_eq(ti.tcpi_snd_mss, w->mss[which] - 12, "%s: segments of %u", what,
		     ti.tcpi_snd_mss);
	/* Otherwise it is the route's, which is where the SYN-ACK's comes from. */
	if (w->ts)
		cr_assert_eq(ti.tcpi_advmss, w->mss[!which] - 12, "%s: advertised %u", what,
			     ti.tcpi_advmss);
}

Test(repair, every_combination_of_terms_carries_data_both_ways)
{
	enter();
	for (unsigned c = 0; c < 16; c++) {
		const struct wish w = { c & 1 ? SW_IP6 : SW_IP4,
					(c & 2) != 0,
					(c & 4) != 0,
					(c & 8) != 0,
					{ 7, 9 },
					{ 1460, 1220 } };
		char what[64];
		int fd[2];

		snprintf(what, sizeof(what), "IPv%d wscale %d sack %d ts %d", w.family, w.wscale_ok,
			 w.sack, w.ts);
		connect_both(&w, fd);
		expect_terms(fd[0], &w, 0, what);
		expect_terms(fd[1], &w, 1, what);
		/* More than a window, so that scaling shows; then back. */
		transfer(fd[1], fd[0], 1 << 20, what);
		transfer(fd[0], fd[1], 1 << 20, what);
		transfer(fd[1], fd[0], 1, what);
		expect_terms(fd[0], &w, 0, what);
		/* And an orderly end. */
		cr_assert_eq(shutdown(fd[0], SHUT_WR), 0, "%s: shutdown: %s", what, strerror(errno));
		{
			struct pollfd pfd = { .fd = fd[1], .events = POLLIN };
			char b;

			cr_assert(poll(&pfd, 1, NET_WAIT_MS) == 1 && read(fd[1], &b, 1) == 0,
				  "%s: no end of file", what);
		}
		close(fd[1]);
		close(fd[0]);
	}
}

struct shape {
	uint16_t mss[2];
	uint8_t wscale[2];
};

Test(repair, segment_sizes_and_shift_counts)
{
	static const struct shape shapes[] = {
		{ { 536, 536 }, { 0, 0 } },	{ { 1220, 1460 }, { 1, 14 } },
		{ { 1460, 1220 }, { 14, 1 } },	{ { 8960, 8940 }, { 7, 7 } },
		{ { 1440, 65495 }, { 2, 3 } }, { { 90, 1460 }, { 10, 9 } },
	};

	enter();
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		struct wish w = usual;
		struct tcp_info ti;
		char what[64];
		int fd[2];

		memcpy(w.mss, shapes[i].mss, sizeof(w.mss));
		memcpy(w.wscale, shapes[i].wscale, sizeof(w.wscale));
		snprintf(what, sizeof(what), "MSS %u and %u", w.mss[0], w.mss[1]);
		connect_both(&w, fd);
		ti = info_of(fd[0]);
		cr_assert_eq(ti.tcpi_snd_mss, w.mss[0] - 12, "%s: segments of %u", what,
			     ti.tcpi_snd_mss);
		cr_assert(ti.tcpi_snd_wscale == w.wscale[0] && ti.tcpi_rcv_wscale == w.wscale[1],
			  "%s: shifts %u and %u", what, ti.tcpi_snd_wscale, ti.tcpi_rcv_wscale);
		transfer(fd[1], fd[0], 200000, what);
		transfer(fd[0], fd[1], 200000, what);
		close(fd[0]);
		close(fd[1]);
	}
}

/* The first segment continues the sequence numbers and the timestamps of the SYN-ACK. */
Test(repair, what_goes_out_continues_the_synack)
{
	struct end e;
	struct sw_seg seg;
	int cap, fd = -1;

	net_enter();
	net_guarded();
	cap = net_packet("p0");
	e = make_end(&usual, 0);
	e.ack.src = frame_addr("192.0.2.1");
	e.ack.dst = frame_addr("198.51.100.2");
	e.cookie.tsval = 0xfffffff1;
	cr_assert_eq(connect_end(&e, &fd, NULL), 0, "connect");
	cr_assert(!net_recv_seg(cap, &seg, 0), "spoke before it was spoken to: flags %#x",
		  seg.flags);
	cr_assert_eq(write(fd, "hello", 5), 5, "write: %s", strerror(errno));
	cr_assert(net_recv_seg(cap, &seg, NET_WAIT_MS), "no segment");
	cr_assert(seg.seq == e.cookie.isn + 1 && seg.ack == e.ack.seq && seg.payload_len == 5,
		  "seq %#x, ack %#x, %u bytes", seg.seq, seg.ack, seg.payload_len);
	cr_assert(seg.opt.ts && seg.opt.tsval - e.cookie.tsval < 1000,
		  "timestamp %#x after the SYN-ACK's %#x", seg.opt.tsval, e.cookie.tsval);
	cr_assert(seg.window == e.policy.window >> 9 || seg.window == (e.policy.window >> 9) + 1,
		  "window %u", seg.window);
}

/* Neither too large for the client nor smaller than it asked for. */
Test(repair, segments_are_full)
{
	net_enter();
	net_guarded();
	net_run("ip link set dev g0 gso_max_segs 1");
	for (unsigned c = 0; c < 4; c++) {
		static uint8_t data[10000];
		struct wish w = usual;
		unsigned largest = 0;
		struct sw_seg seg;
		struct end e;
		int cap = net_packet("p0"), fd = -1;

		w.family = c & 1 ? SW_IP6 : SW_IP4;
		w.ts = (c & 2) != 0;
		w.mss[0] = 1300;
		client_port++;
		e = make_end(&w, 0);
		e.ack.src = frame_addr(c & 1 ? "2001:db8::1" : "192.0.2.1");
		e.ack.dst = frame_addr(c & 1 ? "2001:db8:ffff::2" : "198.51.100.2");
		cr_assert_eq(connect_end(&e, &fd, NULL), 0, "case %u: connect", c);
		cr_assert_eq(write(fd, data, sizeof(data)), sizeof(data), "write: %s",
			     strerror(errno));
		cr_assert(net_recv_seg(cap, &seg, NET_WAIT_MS), "case %u: no segment", c);
		do
			largest = seg.payload_len > largest ? seg.payload_len : largest;
		while (net_recv_seg(cap, &seg, 0));
		cr_assert_eq(largest, w.ts ? 1300 - 12 : 1300, "case %u: %u bytes", c, largest);
		close(cap);
		close(fd);
	}
}

Test(repair, the_same_connection_twice)
{
	for (unsigned v = 4; v <= 6; v += 2) {
		struct wish w = usual;
		enum sw_repair_stage stage;
		struct end e;
		int fd = -1, second = -77;
		unsigned fds;

		w.family = (enum sw_family)v;
		e = make_end(&w, 0);
		enter();
		cr_assert_eq(connect_end(&e, &fd, NULL), 0, "IPv%u: connect", v);
		fds = net_fds();
		cr_assert_eq(connect_end(&e, &second, &stage), -EADDRNOTAVAIL, "IPv%u: again", v);
		cr_assert(second == -77 && stage == SW_REPAIR_CONNECT, "IPv%u: fd %d, stage '%s'",
			  v, second, sw_repair_stage_name(stage));
		cr_assert_eq(net_fds(), fds, "IPv%u: %u descriptors, not %u", v, net_fds(), fds);
		e.ack.sport++;
		cr_assert_eq(connect_end(&e, &second, NULL), 0, "IPv%u: the next port", v);
		close(second);
		close(fd);
	}
}

static int listen_on(enum sw_family family, uint16_t port)
{
	const struct sockaddr_in in4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	const struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	const int fd = socket(family == SW_IP4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const int on = 1;
	int rc;

	cr_assert(fd >= 0 && !setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), "socket");
	rc = family == SW_IP4 ? bind(fd, (const struct sockaddr *)&in4, sizeof(in4)) :
				bind(fd, (const struct sockaddr *)&in6, sizeof(in6));
	cr_assert_eq(rc, 0, "IPv%d: bind beside the connection: %s", family, strerror(errno));
	cr_assert_eq(listen(fd, 1), 0, "IPv%d: listen: %s", family, strerror(errno));
	return fd;
}

/* A server that is restarted binds its port while connections live on. */
Test(repair, a_listener_binds_beside_it_and_it_beside_a_listener)
{
	for (unsigned v = 4; v <= 6; v += 2) {
		struct wish w = usual;
		struct end e;
		int fd = -1, lfd;

		enter();
		w.family = (enum sw_family)v;
		e = make_end(&w, 0);
		cr_assert_eq(connect_end(&e, &fd, NULL), 0, "IPv%u: connect", v);
		lfd = listen_on(w.family, SERVER_PORT);
		cr_assert_eq(get_int(fd, SOL_SOCKET, SO_REUSEADDR), 1, "IPv%u: SO_REUSEADDR", v);
		e.ack.sport++;
		cr_assert_eq(connect_end(&e, &fd, NULL), 0, "IPv%u: beside a listener", v);
		close(lfd);
	}
}

Test(repair, what_kind_of_descriptor)
{
	struct end e = make_end(&usual, 0);
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);
	char b;
	int fd = -1;

	enter();
	cr_assert_eq(connect_end(&e, &fd, NULL), 0, "connect");
	cr_assert(read(fd, &b, 1) == -1 && errno == EAGAIN, "blocks or fails: %s", strerror(errno));
	net_run("test ! -e /proc/%d/fd/%d || grep -q '^flags:.*02[0-9]*$' /proc/%d/fdinfo/%d",
		getpid(), fd, getpid(), fd);
	cr_assert(!getpeername(fd, (struct sockaddr *)&sin, &len) &&
			  ntohs(sin.sin_port) == client_port &&
			  ntohl(sin.sin_addr.s_addr) == 0x7f000002,
		  "another peer");
	cr_assert_eq(get_int(fd, SOL_SOCKET, SO_ERROR), 0, "an error is pending");
}

Test(repair, veiled_until_unveiled)
{
	struct end e = make_end(&usual, 0);
	int fd = -1;

	enter();
	cr_assert_eq(connect_end(&e, &fd, NULL), 0, "connect");
	cr_assert_eq((unsigned)get_int(fd, SOL_SOCKET, SO_PRIORITY), SW_BPF_VEIL, "not veiled");
	cr_assert_eq(sw_repair_unveil(fd), 0, "unveil: %s", strerror(errno));
	cr_assert_eq(get_int(fd, SOL_SOCKET, SO_PRIORITY), 0, "still veiled");
	cr_assert_eq(sw_repair_unveil(-1), -EBADF, "no descriptor");
}

/* A prefix that is local as a whole: no interface has the address. */
Test(repair, anycast_addresses)
{
	enter();
	net_run("ip route add local 203.0.113.0/24 dev lo && "
		"ip route add local 2001:db8:7::/64 dev lo");
	for (unsigned v = 4; v <= 6; v += 2) {
		struct wish w = usual;
		enum sw_repair_stage stage;
		struct end e;
		int fd = -1, rc;

		w.family = (enum sw_family)v;
		e = make_end(&w, 0);
		e.ack.dst = frame_addr(v == 4 ? "203.0.113.5" : "2001:db8:7::5");
		rc = connect_end(&e, &fd, &stage);
		cr_assert_eq(rc, 0, "IPv%u: %s at '%s'", v, strerror(-rc),
			     sw_repair_stage_name(stage));
	}
}

Test(repair, link_local_addresses_have_a_scope)
{
	struct wish w = usual;
	struct sockaddr_in6 peer;
	socklen_t len = sizeof(peer);
	struct end e;
	int fd = -1;

	net_enter();
	net_guarded();
	net_run("ip addr add fe80::2/64 dev g0 nodad");
	w.family = SW_IP6;
	e = make_end(&w, 0);
	e.ack.src = frame_addr("fe80::1");
	e.ack.dst = frame_addr("fe80::2");
	cr_assert_eq(sw_repair_connect(&e.ack, &e.terms, &e.cookie, &e.policy, net_index("g0"), &fd,
				       NULL),
		     0, "connect");
	cr_assert_eq(getpeername(fd, (struct sockaddr *)&peer, &len), 0, "getpeername");
	cr_assert_eq(peer.sin6_scope_id, net_index("g0"), "scope %u", peer.sin6_scope_id);
}

/* Each failure names its stage, and leaves neither a descriptor nor a packet. */
Test(repair, failures_leave_nothing)
{
	struct end e = make_end(&usual, 0);
	enum sw_repair_stage stage = SW_REPAIR_DONE;
	struct sw_seg seg;
	unsigned fds;
	int fd = -77, cap, rc;

	net_enter();
	net_guarded();
	cap = net_packet("p0");
	fds = net_fds();
	e.ack.src = frame_addr("8.8.8.8"); /* no route */
	e.ack.dst = frame_addr("198.51.100.2");
	rc = connect_end(&e, &fd, &stage);
	cr_assert(rc == -ENETUNREACH && stage == SW_REPAIR_CONNECT, "no route: %s at '%s'",
		  strerror(-rc), sw_repair_stage_name(stage));
	e.ack.src = frame_addr("192.0.2.1");
	e.terms.wscale = 15; /* RFC 7323 2.3: at most 14 */
	rc = connect_end(&e, &fd, &stage);
	cr_assert(rc == -EFBIG && stage == SW_REPAIR_OPTIONS, "shift count 15: %s at '%s'",
		  strerror(-rc), sw_repair_stage_name(stage));
	e.terms.wscale = 7;
	cr_assert_eq(fd, -77, "written on failure");
	cr_assert_eq(net_fds(), fds, "%u descriptors, not %u", net_fds(), fds);
	cr_assert(!net_recv_seg(cap, &seg, 0), "a segment with flags %#x", seg.flags);
	/* The half-made socket of the second failure does not block the address. */
	rc = connect_end(&e, &fd, &stage);
	cr_assert_eq(rc, 0, "after the failures: %s at '%s'", strerror(-rc),
		     sw_repair_stage_name(stage));
}

Test(repair, no_descriptor_left)
{
	struct end e = make_end(&usual, 0);
	enum sw_repair_stage stage = SW_REPAIR_DONE;
	int fd = -77;

	enter();
	net_use_up_fds();
	cr_assert_eq(sw_repair_connect(&e.ack, &e.terms, &e.cookie, &e.policy, 1, &fd, &stage),
		     -EMFILE, "connected");
	cr_assert(stage == SW_REPAIR_SOCKET && fd == -77, "stage '%s', fd %d",
		  sw_repair_stage_name(stage), fd);
	cr_assert_eq(sw_repair_probe(SW_IP4, 8080), -EMFILE, "the probe");
}

Test(repair, without_capability)
{
	struct end e = make_end(&usual, 0);
	enum sw_repair_stage stage = SW_REPAIR_DONE;
	int fd = -77;
	unsigned fds;

	enter();
	cr_assert_eq(sw_repair_probe(SW_IP4, 8080), 0, "root may not");
	cr_assert_eq(setresuid(65534, 65534, 65534), 0, "setresuid: %s", strerror(errno));
	fds = net_fds();
	cr_assert_eq(sw_repair_probe(SW_IP4, 8080), -EPERM, "anybody may");
	cr_assert_eq(connect_end(&e, &fd, &stage), -EPERM, "anybody may");
	cr_assert(stage == SW_REPAIR_ENTER && fd == -77, "stage '%s'", sw_repair_stage_name(stage));
	cr_assert_eq(net_fds(), fds, "%u descriptors, not %u", net_fds(), fds);
}

Test(repair, stage_names)
{
	const char *seen[SW_REPAIR_NSTAGE];

	for (int i = 0; i < SW_REPAIR_NSTAGE; i++) {
		seen[i] = sw_repair_stage_name((enum sw_repair_stage)i);
		cr_assert(seen[i] && seen[i][0] >= 'a' && seen[i][0] <= 'z', "stage %d", i);
		for (int j = 0; j < i; j++)
			cr_assert_str_neq(seen[i], seen[j], "stages %d and %d", i, j);
	}
	cr_assert_str_eq(seen[SW_REPAIR_DONE], "done", "%s", seen[SW_REPAIR_DONE]);
	cr_assert_str_eq(seen[SW_REPAIR_SOCKET], "socket", "%s", seen[SW_REPAIR_SOCKET]);
	cr_assert_str_eq(seen[SW_REPAIR_LEAVE], "leave", "%s", seen[SW_REPAIR_LEAVE]);
	cr_assert_str_eq(sw_repair_stage_name(SW_REPAIR_NSTAGE), "?", "past the end");
	cr_assert_str_eq(sw_repair_stage_name((enum sw_repair_stage)-1), "?", "before the start");
}
