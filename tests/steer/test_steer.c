/* SPDX-License-Identifier: MIT */
/*
 *   the test -- p0 ===veth=== g0 -- the kernel
 *                              |
 *                              +--- the pair --- far, the worker's packet socket
 */
#include "steer/steer.h"
#include "bpf/abi.h"
#include "front/net.h"

#include <bpf/bpf.h>
#include <netinet/in.h>

#define TCX_INGRESS 46

static struct sw_steer *st;
static int p0, far;
static char err[256];
static uint8_t buf[NET_FRAME_MAX];

static struct sw_guard guard(const char *addr, uint16_t port)
{
	return (struct sw_guard){ .family = strchr(addr, ':') ? SW_IP6 : SW_IP4,
				  .any = !strcmp(addr, "0.0.0.0") || !strcmp(addr, "::"),
				  .addr = frame_addr(addr),
				  .port = port };
}

static int open_steer(struct sw_steer **out, const struct sw_guard *g, size_t n, bool clsact)
{
	const struct sw_steer_config cf = { .interface = "g0",
					    .ifindex = net_index("g0"),
					    .guard = g,
					    .nguard = n,
					    .workers = 1,
					    .clsact = clsact };

	int rc;

	err[0] = 0;
	rc = sw_steer_open(out, &cf, err, sizeof(err));
	for (size_t i = 0; i < n && !rc; i++)
		rc = sw_steer_guard(*out, &g[i], true);
	return rc;
}

static void enter(void)
{
	net_enter();
	net_guarded();
	p0 = net_packet("p0");
}

static int open_far(struct sw_steer *s)
{
	const int fd = sw_steer_take_socket(s, 0);

	cr_assert(fd >= 0, "took %d", fd);
	net_bind(fd, sw_steer_far_ifindex(s));
	return fd;
}

/* Guard the two addresses of g0. */
static void start(bool clsact)
{
	const struct sw_guard g[2] = { guard("198.51.100.2", 443), guard("2001:db8:ffff::2", 443) };
	const int rc = open_steer(&st, g, 2, clsact);

	cr_assert_eq(rc, 0, "%s: %s", strerror(-rc), err);
	cr_assert_str_eq(sw_steer_mode(st), clsact ? "clsact" : "tcx", "it is %s",
			 sw_steer_mode(st));
	far = open_far(st);
}

static uint64_t counter(enum sw_why why)
{
	uint64_t n[SW_NWHY] = { 0 };

	sw_steer_count(st, n);
	return n[why];
}

static void expect_count(enum sw_why why, uint64_t want, const char *what)
{
	const uint64_t n = counter(why);

	cr_assert_eq(n, want, "%s: %s is %lu, not %lu", what, sw_why_name(why), n, want);
}

static void expect_nothing(int fd, const char *what)
{
	struct sw_seg seg;

	cr_assert(!net_recv_seg(fd, &seg, 0), "%s: flags %#x from port %u to %u", what, seg.flags,
		  seg.sport, seg.dport);
}

static void expect_steered(const struct frame_spec *s, const char *what)
{
	const struct frame f = frame_make(s);
	size_t n;

	net_send_frame(p0, &f);
	n = net_recv(far, buf, sizeof(buf), NET_WAIT_MS);
	cr_assert(n == f.len && memcmp(buf, f.b, f.len) == 0, "%s: %zu bytes, not %zu", what, n,
		  f.len);
}

static struct frame_spec to_port(enum sw_family family, uint16_t port)
{
	struct frame_spec s = frame_syn(family);

	s.dport = port;
	return s;
}

static void expect_reset(const struct frame_spec *s, const char *what)
{
	const struct frame f = frame_make(s);
	struct sw_seg seg;

	net_send_frame(p0, &f);
	cr_assert(net_recv_seg(p0, &seg, NET_WAIT_MS), "%s: no answer", what);
	cr_assert(seg.flags & SW_TCP_RST && seg.sport == s->dport && seg.dport == s->sport,
		  "%s: flags %#x from port %u", what, seg.flags, seg.sport);
}

/* The kernel answers in order: with this reset, all that was sent before has had its answer. */
static void expect_no_answer_so_far(const char *what)
{
	const struct frame_spec s = to_port(SW_IP4, 9);

	expect_reset(&s, what);
	expect_nothing(p0, what);
}

static int listen_any(uint16_t port)
{
	const struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	const int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	cr_assert(fd >= 0 && !setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) &&
			  !bind(fd, (const struct sockaddr *)&any, sizeof(any)) && !listen(fd, 9),
		  "listen: %s", strerror(errno));
	return fd;
}

/* Send a SYN that the kernel's listener answers.  @return the ACK to send next. */
static struct frame_spec half_open(const struct frame_spec *syn)
{
	const struct frame f = frame_make(syn);
	struct sw_seg seg;

	net_send_frame(p0, &f);
	cr_assert(net_recv_seg(p0, &seg, NET_WAIT_MS), "no SYN-ACK");
	cr_assert_eq(seg.flags, SW_TCP_SYN | SW_TCP_ACK, "flags %#x", seg.flags);
	return frame_ack_of(syn, seg.seq, false, 0);
}

static int accept_one(int lfd)
{
	struct pollfd pfd = { .fd = lfd, .events = POLLIN };
	int fd;

	cr_assert_eq(poll(&pfd, 1, NET_WAIT_MS), 1, "nothing to accept");
	fd = accept4(lfd, NULL, NULL, SOCK_CLOEXEC);
	cr_assert(fd >= 0, "accept: %s", strerror(errno));
	return fd;
}

static int handshake(int lfd, const struct frame_spec *syn, struct frame_spec *ack)
{
	struct frame f;

	*ack = half_open(syn);
	f = frame_make(ack);
	net_send_frame(p0, &f);
	return accept_one(lfd);
}

static void expect_read(int fd, size_t len)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	char data[256];

	cr_assert_eq(poll(&pfd, 1, NET_WAIT_MS), 1, "nothing to read");
	cr_assert_eq(read(fd, data, sizeof(data)), (ssize_t)len, "not %zu bytes", len);
}

static void send_spec(const struct frame_spec *s)
{
	const struct frame f = frame_make(s);

	net_send_frame(p0, &f);
}

Test(steer, guarded_segments_go_to_the_front_end_and_not_to_the_kernel)
{
	for (unsigned c = 0; c < 4; c++) {
		const enum sw_family family = c & 1 ? SW_IP6 : SW_IP4;
		struct frame_spec s = frame_syn_usual(family), other = to_port(family, 80);
		char what[32];

		snprintf(what, sizeof(what), "IPv%d %s", family, c & 2 ? "clsact" : "tcx");
		enter();
		expect_reset(&s, "before");
		start(c & 2);
		expect_steered(&s, what);
		s.flags = SW_TCP_ACK;
		s.payload = 100;
		expect_steered(&s, what);
		s.flags = SW_TCP_RST;
		expect_steered(&s, what);
		expect_count(SW_WHY_STEERED, 3, what);
		expect_reset(&other, what);
		expect_nothing(p0, what);
		expect_nothing(far, what);
		expect_count(SW_WHY_STEERED, 3, what);
		expect_count(SW_WHY_HAS_SOCKET, 0, what);
		sw_steer_close(st);
		close(far);
		s.flags = SW_TCP_SYN;
		s.payload = 0;
		expect_reset(&s, "after");
		close(p0);
	}
}

Test(steer, only_the_guarded_address)
{
	struct frame_spec s = frame_syn(SW_IP4);

	enter();
	net_run("ip addr add 198.51.100.3/24 dev g0 && ip addr add 2001:db8:ffff::3 dev g0 nodad");
	start(false);
	s.dst = frame_addr("198.51.100.3");
	expect_reset(&s, "the other IPv4 address");
	s = frame_syn(SW_IP6);
	s.dst = frame_addr("2001:db8:ffff::3");
	expect_reset(&s, "the other IPv6 address");
	expect_count(SW_WHY_STEERED, 0, "others");
}

Test(steer, other_traffic_is_left_alone)
{
	struct frame_spec s = frame_syn(SW_IP4);
	struct frame f = frame_make(&s);

	enter();
	start(false);
	/* Not for our MAC address. */
	s.eth_dst[5] = 9;
	send_spec(&s);
	s.eth_dst[0] = 0xff;
	memset(s.eth_dst, 0xff, 6);
	send_spec(&s);
	/* UDP to the guarded port, too short a header, another EtherType. */
	f.b[f.l3 + 9] = 17;
	frame_fix_ip4(&f);
	net_send_frame(p0, &f);
	s = frame_syn(SW_IP4);
	f = frame_make(&s);
	f.b[f.l3] = 0x44;
	net_send_frame(p0, &f);
	f.b[12] = 0x12;
	net_send_frame(p0, &f);
	f = frame_make(&s);
	net_send(p0, f.b, f.l4 + 13);
	expect_no_answer_so_far("left alone");
	expect_nothing(far, "left alone");
	expect_count(SW_WHY_STEERED, 0, "left alone");
}

Test(steer, connections_stay_with_the_kernel)
{
	for (unsigned v = 4; v <= 6; v += 2) {
		struct frame_spec syn = frame_syn((enum sw_family)v), ack, half, reset;
		struct sw_seg seg;
		int lfd, fd;

		enter();
		lfd = listen_any(443);
		fd = handshake(lfd, &syn, &ack);
		syn.sport = 40001;
		half = half_open(&syn);
		start(false);
		ack.payload = 10;
		send_spec(&ack);
		expect_read(fd, 10);
		expect_count(SW_WHY_HAS_SOCKET, 1, "established");
		cr_assert(net_recv_seg(p0, &seg, NET_WAIT_MS) && seg.flags == SW_TCP_ACK &&
				  seg.ack == ack.seq + 10,
			  "no acknowledgement");
		/* A handshake that the kernel's listener began ends there. */
		send_spec(&half);
		close(accept_one(lfd));
		expect_count(SW_WHY_HAS_SOCKET, 2, "half open");
		/* New ones are not the listener's any more. */
		syn.sport = 40002;
		expect_steered(&syn, "a listener is there");
		expect_count(SW_WHY_STEERED, 1, "a listener is there");
		/* And the end of the connection is its own as well. */
		reset = ack;
		reset.payload = 0;
		reset.seq += 10;
		reset.flags = SW_TCP_RST;
		send_spec(&reset);
		{
			struct pollfd pfd = { .fd = fd, .events = POLLIN };
			char b;

			cr_assert(poll(&pfd, 1, NET_WAIT_MS) == 1 && read(fd, &b, 1) == -1 &&
					  errno == ECONNRESET,
				  "IPv%u: no reset", v);
		}
		ack.payload = 0;
		expect_steered(&ack, "after its socket is gone");
		sw_steer_close(st);
		close(far);
		close(fd);
		close(lfd);
		close(p0);
	}
}

Test(steer, a_veiled_socket_gets_nothing_directly)
{
	struct frame_spec syn = frame_syn(SW_IP4), ack;
	const int veil = (int)SW_BPF_VEIL, none = 0;
	int lfd, fd;

	enter();
	lfd = listen_any(443);
	fd = handshake(lfd, &syn, &ack);
	start(false);
	ack.payload = 10;
	cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_PRIORITY, &veil, sizeof(veil)), 0, "%s",
		     strerror(errno));
	expect_steered(&ack, "veiled");
	cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_PRIORITY, &none, sizeof(none)), 0, "%s",
		     strerror(errno));
	send_spec(&ack);
	expect_read(fd, 10);
	expect_nothing(far, "unveiled");
	expect_count(SW_WHY_STEERED, 1, "unveiled");
	expect_count(SW_WHY_HAS_SOCKET, 1, "unveiled");
}

/* The server closed first.  A SYN may open the connection anew, a FIN belongs to the old one. */
Test(steer, time_wait)
{
	struct frame_spec syn = frame_syn(SW_IP4), ack, fin;
	struct sw_seg seg;
	int lfd, fd;

	enter();
	lfd = listen_any(443);
	fd = handshake(lfd, &syn, &ack);
	start(false);
	close(fd);
	cr_assert(net_recv_seg(p0, &seg, NET_WAIT_MS) && seg.flags & SW_TCP_FIN, "no FIN");
	fin = ack;
	fin.flags = SW_TCP_FIN | SW_TCP_ACK;
	fin.ack++;
	send_spec(&fin);
	cr_assert(net_recv_seg(p0, &seg, NET_WAIT_MS) && seg.ack == fin.seq + 1, "no ACK");
	expect_count(SW_WHY_HAS_SOCKET, 1, "the FIN");
	send_spec(&fin);
	cr_assert(net_recv_seg(p0, &seg, NET_WAIT_MS) && seg.ack == fin.seq + 1,
		  "the FIN again: no ACK");
	expect_count(SW_WHY_HAS_SOCKET, 2, "the FIN again");
	syn.seq += 100000;
	expect_steered(&syn, "a SYN in TIME_WAIT");
	ack.seq += 100000;
	expect_steered(&ack, "an ACK in TIME_WAIT");
	expect_count(SW_WHY_HAS_SOCKET, 2, "not the FIN");
}

/*
 *   p0 ===veth=== g0 -- the kernel forwards -- g1 ===veth=== p1
 */
Test(steer, a_guard_for_every_address_leaves_what_passes_through)
{
	const struct sw_guard g[2] = { guard("0.0.0.0", 443), guard("::", 443) };
	struct sw_seg seg;
	int p1;

	enter();
	net_run("ip addr add 198.51.100.3/24 dev g0");
	net_run("ip link add name g1 type veth peer name p1");
	net_sysctl("net/ipv6/conf/p1/disable_ipv6", "1");
	net_run("ip link set dev g1 up && ip link set dev p1 up");
	net_settle("g1");
	net_run("ip addr add 203.0.113.1/24 dev g1 && ip addr add 2001:db8:1::1/64 dev g1 nodad");
	net_run("ip neigh add 203.0.113.9 lladdr 02:00:00:00:00:09 dev g1 nud permanent");
	net_run("ip neigh add 2001:db8:1::9 lladdr 02:00:00:00:00:09 dev g1 nud permanent");
	net_sysctl("net/ipv4/ip_forward", "1");
	net_sysctl("net/ipv6/conf/all/forwarding", "1");
	p1 = net_packet("p1");
	cr_assert_eq(open_steer(&st, g, 2, false), 0, "%s", err);
	far = open_far(st);
	for (unsigned v = 4; v <= 6; v += 2) {
		struct frame_spec s = frame_syn_usual((enum sw_family)v);
		const uint64_t before = counter(SW_WHY_STEERED);

		s.dst = frame_addr(v == 4 ? "203.0.113.9" : "2001:db8:1::9");
		send_spec(&s);
		cr_assert(net_recv_seg(p1, &seg, NET_WAIT_MS), "IPv%u: not forwarded", v);
		cr_assert_eq(memcmp(&seg.dst, &s.dst, sizeof(s.dst)), 0, "another packet");
		/* On the link but without a neighbour entry, and where no route leads. */
		s.dst = frame_addr(v == 4 ? "203.0.113.77" : "2001:db8:1::77");
		send_spec(&s);
		expect_no_answer_so_far("no neighbour");
		expect_count(SW_WHY_STEERED, before, "passes through");
		/* The addresses of this host, wherever they are. */
		s = frame_syn_usual((enum sw_family)v);
		expect_steered(&s, "the address of g0");
		s.dst = frame_addr(v == 4 ? "203.0.113.1" : "2001:db8:1::1");
		expect_steered(&s, "the address of g1");
		s.dport = 80;
		expect_reset(&s, "another port");
	}
}

Test(steer, a_guard_for_every_address_without_forwarding)
{
	const struct sw_guard g[2] = { guard("0.0.0.0", 443), guard("::", 443) };
	struct frame_spec s4 = frame_syn(SW_IP4), s6 = frame_syn(SW_IP6);

	enter();
	cr_assert_eq(open_steer(&st, g, 2, false), 0, "%s", err);
	far = open_far(st);
	expect_steered(&s4, "IPv4");
	expect_steered(&s6, "IPv6");
	s4.dport = s6.dport = 444;
	expect_reset(&s4, "IPv4, another port");
	expect_reset(&s6, "IPv6, another port");
}

/* IPv4: flags and offset in words 3 and 4 of the header. */
static struct frame fragment4(unsigned offset8, bool more, size_t len)
{
	struct frame_spec s = frame_syn(SW_IP4);
	struct frame f;

	s.payload = 60;
	f = frame_make(&s);
	frame_put16(f.b + f.l3 + 2, (uint16_t)(20 + len));
	frame_put16(f.b + f.l3 + 6, (uint16_t)((more ? 0x2000u : 0) | offset8));
	frame_fix_ip4(&f);
	f.len = f.l4 + len;
	return f;
}

static struct frame fragment6(unsigned offset8, bool more, size_t len)
{
	struct frame_spec s = frame_syn(SW_IP6);
	struct frame f;

	s.ext[0] = SW_IP_FRAG;
	s.n_ext = 1;
	s.payload = 60;
	f = frame_make(&s);
	frame_put16(f.b + f.l3 + 4, (uint16_t)(8 + len));
	frame_put16(f.b + f.l3 + 40 + 2, (uint16_t)(offset8 << 3 | more));
	f.len = f.l4 + len;
	return f;
}

Test(steer, first_fragments_are_dropped_and_counted)
{
	struct frame f;

	enter();
	start(false);
	for (unsigned v = 4; v <= 6; v += 2) {
		struct frame (*const make)(unsigned, bool, size_t) = v == 4 ? fragment4 : fragment6;
		const uint64_t before = counter(SW_WHY_FRAGMENT);

		f = make(0, true, 40);
		net_send_frame(p0, &f);
		f = make(0, true, 8); /* as much as names the ports */
		net_send_frame(p0, &f);
		expect_count(SW_WHY_FRAGMENT, before + 2, "first fragments");
		f = make(5, false, 40); /* has no ports: the kernel's, which drops it in time */
		net_send_frame(p0, &f);
		expect_no_answer_so_far("fragments");
		expect_count(SW_WHY_FRAGMENT, before + 2, "a later fragment");
	}
	expect_nothing(far, "fragments");
	expect_count(SW_WHY_STEERED, 0, "fragments");
	/* To a port that is not guarded they are the kernel's: both arrive and make one segment. */
	f = fragment4(0, true, 40);
	frame_put16(f.b + f.l4 + 2, 80);
	net_send_frame(p0, &f);
	f = fragment4(5, false, 40);
	memset(f.b + f.l4, 'x', 40);
	net_send_frame(p0, &f);
	expect_count(SW_WHY_FRAGMENT, 4, "not guarded");
}

Test(steer, tagged_frames)
{
	struct frame_spec s = frame_syn(SW_IP4);

	enter();
	start(false);
	for (unsigned v = 4; v <= 6; v += 2) {
		s = frame_syn((enum sw_family)v);
		s.vlan[0] = (struct sw_vlan){ 0x8100, 0x2064 };
		expect_steered(&s, "802.1Q");
		s.vlan[0] = (struct sw_vlan){ 0x88a8, 5 };
		expect_steered(&s, "802.1ad");
		s.vlan[1] = (struct sw_vlan){ 0x8100, 6 };
		expect_steered(&s, "two tags");
	}
	expect_count(SW_WHY_STEERED, 6, "tagged");
}

Test(steer, headers_between)
{
	static const uint8_t exts[][7] = {
		{ SW_IP_HOPOPT },
		{ SW_IP_ROUTING },
		{ SW_IP_DSTOPT },
		{ SW_IP_FRAG }, /* an atomic fragment, RFC 6946 */
		{ SW_IP_HOPOPT, SW_IP_DSTOPT, SW_IP_ROUTING, SW_IP_FRAG, SW_IP_DSTOPT,
		  SW_IP_DSTOPT },
	};
	struct frame_spec s = frame_syn_usual(SW_IP4);

	enter();
	start(false);
	for (unsigned n = 4; n <= 40; n += 4) {
		s.ip4_opt_len = (uint8_t)n;
		expect_steered(&s, "IPv4 options");
	}
	for (size_t i = 0; i < sizeof(exts) / sizeof(exts[0]); i++) {
		s = frame_syn_usual(SW_IP6);
		/* Hop-by-hop options have the number 0: it may only be the first. */
		while (s.n_ext < 6 && (exts[i][s.n_ext] || !s.n_ext)) {
			s.ext[s.n_ext] = exts[i][s.n_ext];
			s.n_ext++;
		}
		expect_steered(&s, "IPv6 extension headers");
	}
	expect_count(SW_WHY_STEERED, 15, "headers between");
}

Test(steer, what_is_given_back_reaches_the_kernel)
{
	for (unsigned c = 0; c < 2; c++) {
		struct frame_spec syn = frame_syn(SW_IP4);
		const struct frame f = frame_make(&syn);
		struct sw_seg seg;

		enter();
		start(c != 0);
		expect_steered(&syn, "there");
		net_send_frame(far, &f);
		cr_assert(net_recv_seg(p0, &seg, NET_WAIT_MS) && seg.flags & SW_TCP_RST,
			  "nobody answered what was given back");
		expect_nothing(far, "given back");
		expect_count(SW_WHY_REINJECTED, 1, "given back");
		expect_count(SW_WHY_STEERED, 1, "given back");
		sw_steer_close(st);
		close(far);
		close(p0);
	}
}

static void expect_bare(const char *what)
{
	__u32 ids[4], n = 4, flags;
	char out[4096];

	net_output(out, sizeof(out), "tc qdisc show dev g0; tc filter show dev g0 ingress");
	cr_assert(!strstr(out, "clsact") && !strstr(out, "sw_steer"), "%s: %s", what, out);
	if (!bpf_prog_query((int)net_index("g0"), (enum bpf_attach_type)TCX_INGRESS, 0, &flags, ids,
			    &n))
		cr_assert_eq(n, 0, "%s: %u programs at TCX", what, n);
}

static void expect_no_programs(const char *what)
{
	char out[4096];

	net_output(out, sizeof(out), "tc filter show dev g0 ingress");
	cr_assert_eq(out[0], 0, "%s: %s", what, out);
}

Test(steer, close_removes_everything)
{
	for (unsigned c = 0; c < 2; c++) {
		struct frame_spec s = frame_syn(SW_IP4);
		char out[4096];
		unsigned fds;

		enter();
		start(c != 0); /* once, so that libbpf has opened what it keeps */
		sw_steer_close(st);
		close(far);
		fds = net_fds();
		for (unsigned i = 0; i < 5; i++) {
			start(c != 0);
			if (c) {
				net_output(out, sizeof(out),
					   "tc -s filter show dev g0 ingress; tc qdisc show dev g0");
				cr_assert(strstr(out, "sw_steer") && strstr(out, "clsact"), "%s",
					  out);
			}
			expect_steered(&s, "open");
			sw_steer_close(st);
			close(far);
			expect_bare("closed");
			expect_reset(&s, "closed");
		}
		cr_assert_eq(net_fds(), fds, "%u descriptors, not %u", net_fds(), fds);
		net_output(out, sizeof(out), "ip -o link");
		cr_assert(!strstr(out, "synward"), "left: %s", out);
		close(p0);
	}
	sw_steer_close(NULL);
}

/* A child that guards and goes without a word.  No assertion in it. */
static void die_guarding(bool clsact, bool renew)
{
	const struct sw_guard g[1] = { guard("198.51.100.2", 443) };
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct sw_steer *mine;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (open_steer(&mine, g, 1, clsact))
			_exit(1);
		if (!renew)
			sw_steer_renew(mine, (sw_mono){ 0 }); /* a lease of long ago */
		_exit(0);
	}
	cr_assert(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0,
		  "the child ended with %#x", (unsigned)status);
}

Test(steer, goes_with_its_owner)
{
	const struct frame_spec s = frame_syn(SW_IP4);

	enter();
	die_guarding(false, true);
	expect_reset(&s, "after death");
	expect_bare("after death");
	start(false);
	expect_steered(&s, "the next owner");
}

/* clsact keeps the program of a dead owner, but its lease ends after three seconds. */
Test(steer, a_lease_that_is_not_renewed)
{
	const struct frame_spec s = frame_syn(SW_IP4);
	const struct frame f = frame_make(&s);
	struct sw_seg seg;
	uint64_t begin, took;

	enter();
	begin = net_now_ms();
	start(true);
	expect_steered(&s, "the lease is good");
	do {
		net_send_frame(p0, &f);
		took = net_now_ms() - begin;
	} while (!net_recv_seg(p0, &seg, 20) && took < 10000);
	cr_assert(seg.flags & SW_TCP_RST && took > 2500 && took < 5000, "answered after %lu ms",
		  took);
	expect_reset(&s, "the lease is over");
	sw_steer_renew(st, (sw_mono){ net_now_ms() * 1000000u });
	while (net_recv(far, buf, sizeof(buf), 0))
		; /* of the first three seconds */
	expect_steered(&s, "renewed");
}

Test(steer, no_lease_with_tcx)
{
	const struct frame_spec s = frame_syn(SW_IP4);

	enter();
	start(false);
	sw_steer_renew(st, (sw_mono){ 0 });
	expect_steered(&s, "TCX");
}

static unsigned count_in(const char *text, const char *part)
{
	unsigned n = 0;

	for (; (text = strstr(text, part)); text += strlen(part))
		n++;
	return n;
}

Test(steer, the_program_of_a_dead_owner_is_replaced)
{
	const struct frame_spec s = frame_syn(SW_IP4);
	char before[4096], after[4096];

	enter();
	die_guarding(true, false);
	net_output(before, sizeof(before), "tc filter show dev g0 ingress");
	cr_assert_eq(count_in(before, "name sw_steer"), 1, "nothing was left: %s", before);
	expect_reset(&s, "after death");
	start(true);
	net_output(after, sizeof(after), "tc filter show dev g0 ingress");
	cr_assert_eq(count_in(after, "name sw_steer"), 1, "not one program: %s", after);
	cr_assert_str_neq(before, after, "the same program: %s", after);
	expect_steered(&s, "the next owner");
	sw_steer_close(st);
	net_output(after, sizeof(after), "tc filter show dev g0 ingress");
	cr_assert_eq(count_in(after, "name sw_steer"), 0, "left: %s", after);
	expect_reset(&s, "closed");
}

Test(steer, the_program_of_a_living_owner_is_not_replaced)
{
	char out[4096];

	enter();
	die_guarding(true, true); /* just now: who knows whether it lives */
	start(true);
	net_output(out, sizeof(out), "tc filter show dev g0 ingress");
	cr_assert_eq(count_in(out, "name sw_steer"), 2, "not two programs: %s", out);
}

/* Two owners, two ports, one interface. */
Test(steer, owners_share_an_interface)
{
	for (unsigned c = 0; c < 4; c++) {
		const bool clsact = c & 1, second_goes_first = c & 2;
		const struct sw_guard g[2] = { guard("198.51.100.2", 443),
					       guard("198.51.100.2", 444) };
		struct frame_spec s[2] = { to_port(SW_IP4, 443), to_port(SW_IP4, 444) };
		struct sw_steer *owner[2];
		int socks[2];
		char what[64];

		snprintf(what, sizeof(what), "%s, owner %d goes first", clsact ? "clsact" : "tcx",
			 second_goes_first);
		enter();
		for (unsigned i = 0; i < 2; i++) {
			cr_assert_eq(open_steer(&owner[i], &g[i], 1, clsact), 0, "%s: %s", what,
				     err);
			socks[i] = open_far(owner[i]);
		}
		for (unsigned i = 0; i < 2; i++) {
			far = socks[i];
			expect_steered(&s[i], what);
		}
		expect_no_answer_so_far(what);
		sw_steer_close(owner[second_goes_first]);
		expect_reset(&s[second_goes_first], what);
		far = socks[!second_goes_first];
		expect_steered(&s[!second_goes_first], what);
		sw_steer_close(owner[!second_goes_first]);
		expect_reset(&s[!second_goes_first], what);
		if (clsact && !second_goes_first)
			expect_no_programs(what); /* the qdisc was the first one's */
		else
			expect_bare(what);
		close(socks[0]);
		close(socks[1]);
		close(p0);
	}
}

/* Somebody else's filter on the hook: it stays, and so does the qdisc. */
Test(steer, the_filter_of_somebody_else)
{
	char out[4096];

	enter();
	net_run("tc qdisc add dev g0 clsact && tc filter add dev g0 egress prio 7 protocol all "
		"bpf bytecode '1,6 0 0 0,'");
	start(true);
	sw_steer_close(st);
	net_output(out, sizeof(out), "tc filter show dev g0 egress; tc filter show dev g0 ingress");
	cr_assert(strstr(out, "bytecode") && !strstr(out, "sw_steer"), "there before: %s", out);
	net_run("tc qdisc del dev g0 clsact");
	start(true);
	net_run("tc filter add dev g0 egress prio 7 protocol all bpf bytecode '1,6 0 0 0,'");
	sw_steer_close(st);
	net_output(out, sizeof(out), "tc filter show dev g0 egress; tc filter show dev g0 ingress");
	cr_assert(strstr(out, "bytecode") && !strstr(out, "sw_steer"), "joined since: %s", out);
}

/* A guard is steered from the moment it is on until it is off, and the others do not notice. */
Test(steer, guards_are_turned_on_and_off)
{
	const struct sw_guard v4 = guard("198.51.100.2", 443), v6 = guard("2001:db8:ffff::2", 443);
	const struct frame_spec syn4 = to_port(SW_IP4, 443), syn6 = to_port(SW_IP6, 443);

	enter();
	start(false);
	cr_assert_eq(sw_steer_guard(st, &v4, false), 0, "off");
	cr_assert_eq(sw_steer_guard(st, &v4, false), 0, "off twice");
	expect_reset(&syn4, "off");
	expect_steered(&syn6, "the other");
	cr_assert_eq(sw_steer_guard(st, &v4, true), 0, "on");
	cr_assert_eq(sw_steer_guard(st, &v4, true), 0, "on twice");
	expect_steered(&syn4, "on again");
	cr_assert_eq(sw_steer_guard(st, &v6, false), 0, "the other");
	expect_reset(&syn6, "the other is off");
	expect_steered(&syn4, "still on");
	expect_count(SW_WHY_STEERED, 3, "in all");
	sw_steer_close(st);
}

Test(steer, without_capability)
{
	const struct sw_guard g[1] = { guard("198.51.100.2", 443) };
	char out[4096];
	unsigned fds;
	int rc;

	enter();
	cr_assert_eq(setresuid(65534, 65534, 65534), 0, "%s", strerror(errno));
	fds = net_fds();
	rc = open_steer(&st, g, 1, false);
	cr_assert(rc == -EPERM && !st && strstr(err, "CAP_"), "%d, '%s'", rc, err);
	cr_assert_eq(net_fds(), fds, "%u descriptors, not %u", net_fds(), fds);
	net_output(out, sizeof(out), "ip -o link");
	cr_assert(!strstr(out, "synward"), "left: %s", out);
}

Test(steer, an_interface_that_went_away)
{
	const struct sw_guard g[1] = { guard("198.51.100.2", 443) };
	struct sw_steer_config cf = { "g0", 12345, g, 1, 1, false };
	char out[4096];
	unsigned fds;

	enter();
	start(false);
	sw_steer_close(st);
	close(far);
	fds = net_fds();
	for (unsigned c = 0; c < 2; c++) {
		struct sw_steer *s = NULL;

		cf.clsact = c != 0;
		err[0] = 0;
		cr_assert_lt(sw_steer_open(&s, &cf, err, sizeof(err)), 0, "opened on nothing");
		cr_assert(!s && err[0], "no line");
	}
	cr_assert_eq(net_fds(), fds, "%u descriptors, not %u", net_fds(), fds);
	net_output(out, sizeof(out), "ip -o link");
	cr_assert(!strstr(out, "synward"), "left: %s", out);
	/* And one that goes while it is guarded. */
	start(true);
	net_run("ip link del g0");
	sw_steer_close(st);
	net_output(out, sizeof(out), "ip -o link");
	cr_assert(!strstr(out, "synward"), "left: %s", out);
}
