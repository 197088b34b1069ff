/* SPDX-License-Identifier: MIT */
/*
 * One worker between two veth pairs.  The test plays steering: what it sends into e1 is what the
 * worker gets, and what the worker gives back comes out there.
 *
 *   the test -- e1 ===veth=== e0 -- the worker -- g0 ===veth=== p0 -- the test
 */
#include "listen/worker.h"
#include "bpf/abi.h"
#include "front/net.h"
#include "listen/policy.h"

#include <netinet/in.h>

static struct sw_worker w;
static struct sw_admitq *q;
static struct sw_policy policy;
static int e1, p0;

static void enter(unsigned depth)
{
	net_enter();
	net_guarded();
	net_veth("e0", "e1", 65535);
	e1 = net_packet("e1");
	p0 = net_packet("p0");
	cr_assert_eq(sw_admitq_new(&q, depth), 0, "no queue");
}

static int init(unsigned ring_frames, const char *ring, const char *out)
{
	static struct sw_keyfile keys = { .masters.n = 1 };
	struct sw_host_tcp host;
	struct sw_link_info link;
	const struct sw_worker_config cf = {
		.ifindex = out ? net_index(out) : 12345,
		.far_ifindex = ring ? net_index(ring) : 12345,
		.ring_frames = ring_frames,
		.fanout = -1,
		.policy = &policy,
		.keys = &keys,
		.alg = SW_MAC_HMAC_SHA256,
	};

	memset(keys.masters.key[0], 0x42, SW_KEY_LEN);
	policy = (struct sw_policy){ .nguard = 2, .refuse_rate = 1000 };
	policy.guard[0] = (struct sw_guard){ .family = SW_IP4, .any = true, .port = 443 };
	policy.guard[1] = (struct sw_guard){ .family = SW_IP6, .any = true, .port = 443 };
	cr_assert_eq(sw_link_info("g0", &link), 0, "no g0");
	sw_host_tcp_read(&host);
	sw_policy_fill(&policy, &host, &link);
	return sw_worker_init(&w, socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), q,
			      &cf);
}

static void start(void)
{
	cr_assert_eq(init(512, "e0", "g0"), 0, "init");
	cr_assert_eq(sw_worker_start(&w), 0, "start");
}

static uint64_t load(_Atomic uint64_t *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}

static void wait_for(_Atomic uint64_t *c, uint64_t want, const char *what)
{
	const uint64_t deadline = net_now_ms() + NET_WAIT_MS;

	while (load(c) < want && net_again(deadline))
		;
	cr_assert_eq(load(c), want, "%s: %lu, not %lu", what, load(c), want);
}

/* Send a SYN, take the SYN-ACK.  @return the ACK that proves it. */
static struct frame_spec prove(enum sw_family family, uint16_t sport)
{
	struct frame_spec syn = frame_syn_usual(family);
	struct frame f;
	struct sw_seg seg;

	syn.sport = sport;
	f = frame_make(&syn);
	net_send_frame(e1, &f);
	cr_assert(net_recv_seg(p0, &seg, NET_WAIT_MS), "no SYN-ACK");
	cr_assert(seg.flags == (SW_TCP_SYN | SW_TCP_ACK) && seg.ack == syn.seq + 1 &&
			  seg.dport == sport && seg.opt.ts && seg.opt.tsecr == 1000,
		  "flags %#x, ack %#x", seg.flags, seg.ack);
	return frame_ack_of(&syn, seg.seq, true, seg.opt.tsval);
}

static void send_spec(const struct frame_spec *s)
{
	const struct frame f = frame_make(s);

	net_send_frame(e1, &f);
}

static struct sw_admitted take(void)
{
	struct pollfd pfd = { .fd = sw_admitq_fd(q), .events = POLLIN };
	struct sw_admitted a;

	cr_assert_eq(poll(&pfd, 1, NET_WAIT_MS), 1, "nothing was queued");
	sw_admitq_ack(q);
	cr_assert(sw_admitq_pop(q, &a), "woken for nothing");
	return a;
}

static void expect_given_back(const struct frame_spec *s)
{
	const struct frame f = frame_make(s);
	uint8_t buf[2048];
	const size_t n = net_recv(e1, buf, sizeof(buf), NET_WAIT_MS);

	cr_assert(n == f.len && memcmp(buf, f.b, n) == 0, "%zu bytes, not %zu", n, f.len);
}

Test(worker, from_syn_to_socket)
{
	enter(8);
	start();
	for (unsigned v = 4; v <= 6; v += 2) {
		struct frame_spec ack = prove((enum sw_family)v, 40000);
		struct sw_admitted a;
		struct sockaddr_storage peer;
		socklen_t len = sizeof(peer), intlen = sizeof(int);
		int prio = -1;
		struct sw_seg seg;

		ack.payload = 5;
		send_spec(&ack);
		a = take();
		expect_given_back(&ack);
		cr_assert(getpeername(a.fd, (struct sockaddr *)&peer, &len) == 0 &&
				  len == a.peerlen && memcmp(&peer, &a.peer, len) == 0,
			  "IPv%u: the peer is another: %s", v, strerror(errno));
		cr_assert(getsockopt(a.fd, SOL_SOCKET, SO_PRIORITY, &prio, &intlen) == 0 &&
				  prio == 0,
			  "IPv%u: still veiled, %#x", v, (unsigned)prio);
		cr_assert_eq(write(a.fd, "hello", 5), 5, "IPv%u: %s", v, strerror(errno));
		cr_assert(net_recv_seg(p0, &seg, NET_WAIT_MS) && seg.seq == ack.ack &&
				  seg.payload_len == 5,
			  "IPv%u: seq %#x, %u bytes", v, seg.seq, seg.payload_len);
		close(a.fd);
		cr_assert(net_recv_seg(p0, &seg, NET_WAIT_MS), "no FIN");
	}
	wait_for(&w.n.frames, 4, "frames");
	cr_assert(load(&w.n.synacks) == 2 && load(&w.n.made) == 2 && load(&w.n.passed) == 2 &&
			  load(&w.n.dropped) == 0,
		  "synacks %lu handed %lu passed %lu dropped %lu", load(&w.n.synacks),
		  load(&w.n.made), load(&w.n.passed), load(&w.n.dropped));
	sw_worker_stop(&w);
	sw_admitq_free(q);
}

Test(worker, a_full_queue_and_room_again)
{
	struct frame_spec ack[3];

	enter(2);
	start();
	for (unsigned i = 0; i < 3; i++) {
		ack[i] = prove(SW_IP4, (uint16_t)(40000 + i));
		send_spec(&ack[i]);
	}
	wait_for(&w.n.why[SW_WHY_QUEUE_FULL], 1, "queue full");
	cr_assert_eq(sw_admitq_len(q), 2, "%u queued", sw_admitq_len(q));
	close(take().fd);
	send_spec(&ack[2]);
	wait_for(&w.n.made, 3, "handed");
	wait_for(&w.n.why[SW_WHY_QUEUE_FULL], 1, "queue full");
	sw_worker_stop(&w);
	sw_admitq_free(q); /* closes the other two */
}

/* A worker that has forgotten, as after a restart with the same key. */
Test(worker, a_connection_that_exists)
{
	struct frame_spec ack;
	struct sw_admitted a;

	enter(8);
	start();
	ack = prove(SW_IP4, 40000);
	send_spec(&ack);
	a = take();
	expect_given_back(&ack);
	sw_worker_stop(&w);
	start();
	send_spec(&ack);
	wait_for(&w.n.why[SW_WHY_DUPLICATE], 1, "duplicate");
	expect_given_back(&ack);
	cr_assert(load(&w.n.made) == 0 && sw_admitq_len(q) == 0, "a second socket");
	cr_assert_eq(atomic_load(&w.ad.trouble), 0, "that is no trouble: %d", atomic_load(&w.ad.trouble));
	close(a.fd);
	sw_worker_stop(&w);
	sw_admitq_free(q);
}

Test(worker, no_descriptor_and_one_again)
{
	struct frame_spec ack;
	int last;

	enter(8);
	start();
	ack = prove(SW_IP4, 40000);
	last = net_use_up_fds();
	send_spec(&ack);
	wait_for(&w.n.why[SW_WHY_NO_DESCRIPTOR], 1, "no descriptor");
	cr_assert_eq(atomic_load(&w.ad.trouble), EMFILE, "trouble %d", atomic_load(&w.ad.trouble));
	cr_assert_eq(sw_admitq_len(q), 0, "queued nevertheless");
	/* Every place of the queue is still there. */
	for (unsigned i = 0; i < 8; i++)
		cr_assert(sw_admitq_reserve(q), "place %u is gone", i);
	for (unsigned i = 0; i < 8; i++)
		sw_admitq_cancel(q);
	close(last);
	send_spec(&ack);
	wait_for(&w.n.made, 1, "handed");
	cr_assert_eq(take().fd, last, "another descriptor");
	sw_worker_stop(&w);
	sw_admitq_free(q);
}

/* The client's SYN came by a way that does not lead back. */
Test(worker, a_socket_that_cannot_be_made)
{
	struct frame_spec ack;

	enter(8);
	start();
	ack = prove(SW_IP4, 40000);
	net_run("ip route del 192.0.2.0/24 dev g0");
	send_spec(&ack);
	wait_for(&w.n.why[SW_WHY_HANDOFF_FAILED], 1, "handoff failed");
	cr_assert_eq(atomic_load(&w.ad.trouble), ENETUNREACH, "trouble %d", atomic_load(&w.ad.trouble));
	net_run("ip route add 192.0.2.0/24 dev g0");
	send_spec(&ack);
	wait_for(&w.n.made, 1, "handed");
	sw_worker_stop(&w);
	sw_admitq_free(q);
}

Test(worker, what_the_ring_lost)
{
	struct frame_spec syn = frame_syn(SW_IP4);

	enter(8);
	cr_assert_eq(init(128, "e0", "g0"), 0, "init");
	for (unsigned i = 0; i < 300; i++, syn.sport++)
		send_spec(&syn);
	cr_assert_eq(sw_worker_start(&w), 0, "start");
	wait_for(&w.ring_lost, 300 - 128, "lost");
	wait_for(&w.n.synacks, 128, "answered");
	sw_worker_stop(&w);
	sw_admitq_free(q);
}

Test(worker, stop_releases_everything)
{
	unsigned fds;

	enter(8);
	fds = net_fds();
	for (unsigned i = 0; i < 20; i++) {
		start();
		if (i % 3 == 0)
			(void)prove(SW_IP4, (uint16_t)(40000 + i));
		sw_worker_stop(&w);
		sw_worker_stop(&w); /* once more is allowed */
	}
	cr_assert_eq(init(128, "e0", "g0"), 0, "init");
	sw_worker_stop(&w); /* never started */
	cr_assert_eq(net_fds(), fds, "%u descriptors, not %u", net_fds(), fds);
	memset(&w, 0, sizeof(w));
	sw_worker_stop(&w);
	sw_admitq_free(q);
}

Test(worker, failures_hold_nothing)
{
	unsigned fds;

	enter(8);
	fds = net_fds();
	cr_assert_eq(init(128, NULL, "g0"), -ENODEV, "no interface for the ring");
	cr_assert_eq(net_fds(), fds, "%u descriptors, not %u", net_fds(), fds);
	cr_assert_eq(init(128, "e0", NULL), -ENODEV, "no interface to guard");
	cr_assert_eq(net_fds(), fds, "%u descriptors, not %u", net_fds(), fds);
	sw_worker_stop(&w);
	sw_admitq_free(q);
}

/* @return milliseconds of processor time that the thread used while this one waited. */
static uint64_t busy_ms(int wait_ms)
{
	struct timespec a, b;
	clockid_t clock;

	cr_assert_eq(pthread_getcpuclockid(w.thread, &clock), 0, "no clock");
	clock_gettime(clock, &a);
	poll(NULL, 0, wait_ms);
	clock_gettime(clock, &b);
	return (uint64_t)(b.tv_sec - a.tv_sec) * 1000u + (uint64_t)b.tv_nsec / 1000000u -
	       (uint64_t)a.tv_nsec / 1000000u;
}

/* An interface that goes down is an error on the socket, which poll() tells again and again. */
Test(worker, an_interface_that_goes_does_not_keep_it_busy)
{
	uint64_t ms;

	enter(8);
	start();
	(void)prove(SW_IP4, 40000);
	net_run("ip link set dev e0 down");
	ms = busy_ms(400);
	cr_assert_lt(ms, 60, "down: busy for %lu of 400 ms", ms);
	net_run("ip link set dev e0 up");
	net_settle("e1");
	(void)prove(SW_IP4, 40001);
	net_run("ip link del dev e0");
	ms = busy_ms(400);
	cr_assert_lt(ms, 60, "gone: busy for %lu of 400 ms", ms);
	sw_worker_stop(&w);
	sw_admitq_free(q);
}
