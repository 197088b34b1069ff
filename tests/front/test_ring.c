/* SPDX-License-Identifier: MIT */
/*
 *   the ring -- e0 ===veth=== e1 -- the test's packet socket
 */
#include "front/ring.h"
#include "front/net.h"

#define ETHERTYPE_TEST 0x88b5u /* IEEE 802: for experiments */

static struct sw_ring *ring;
static int peer;
static uint8_t buf[NET_FRAME_MAX], want[NET_FRAME_MAX];

static int packet_fd(void)
{
	const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	cr_assert(fd >= 0, "packet socket: %s", strerror(errno));
	return fd;
}

static struct sw_ring *open_ring(const char *name, unsigned frames, int fanout)
{
	struct sw_ring *r = NULL;
	const int rc = sw_ring_open(&r, packet_fd(), net_index(name), frames, fanout);

	cr_assert_eq(rc, 0, "open: %s", strerror(-rc));
	return r;
}

static void start(unsigned mtu, unsigned frames, bool vnet)
{
	net_enter();
	net_veth("e0", "e1", mtu);
	ring = open_ring("e0", frames, -1);
	peer = vnet ? net_packet_vnet("e1") : net_packet("e1");
}

static void stop(void)
{
	sw_ring_close(ring);
	close(peer);
}

/* A frame that says which one it is, with bytes that differ along the way. */
static void build(uint8_t *out, size_t len, unsigned number)
{
	memcpy(out, "\2\0\0\0\0\1\2\0\0\0\0\2", 12);
	frame_put16(out + 12, ETHERTYPE_TEST);
	frame_put32(out + 14, number);
	for (size_t i = 18; i < len; i++)
		out[i] = (uint8_t)(i * 7 + i / 256 + number);
}

static void send_numbered(size_t len, unsigned number)
{
	build(want, len, number);
	net_send(peer, want, len);
}

static void wait_ready(struct sw_ring *r)
{
	struct pollfd pfd = { .fd = sw_ring_fd(r), .events = POLLIN };

	cr_assert_eq(poll(&pfd, 1, NET_WAIT_MS), 1, "nothing came in");
}

static struct sw_rx take(void)
{
	struct sw_rx rx;

	wait_ready(ring);
	cr_assert(sw_ring_next(ring, &rx), "readable, but no frame");
	return rx;
}

static void expect_frame(const struct sw_rx *rx, size_t len, unsigned number)
{
	build(want, len, number);
	cr_assert(!rx->cut, "frame %u of %zu bytes is cut", number, len);
	cr_assert(rx->frame.len == len && rx->frame.wire_len == len,
		  "frame %u: %zu of %zu bytes, not %zu", number, rx->frame.len, rx->frame.wire_len,
		  len);
	cr_assert(memcmp(rx->frame.data, want, len) == 0, "frame %u of %zu bytes differs", number,
		  len);
}

static void expect_empty(void)
{
	struct sw_rx rx;

	cr_assert(!sw_ring_next(ring, &rx), "a frame of %zu bytes more", rx.frame.len);
}

/* Every length around the slot, where headers of the ring take their share, and large ones. */
Test(ring, every_length_comes_whole_and_goes_back_as_it_came)
{
	unsigned number = 0;

	start(9000, 128, false);
	expect_empty();
	for (size_t len = 60; len <= 9014; len += len < 1880 ? 91 : len < 2120 ? 1 : 431) {
		struct sw_rx rx;
		size_t n;

		send_numbered(len, ++number);
		rx = take();
		expect_frame(&rx, len, number);
		cr_assert_eq(sw_ring_give_back(ring, &rx), 0, "%zu bytes not taken back", len);
		n = net_recv(peer, buf, sizeof(buf), NET_WAIT_MS);
		build(want, len, number);
		cr_assert(n == len && memcmp(buf, want, len) == 0, "%zu bytes went back as %zu",
			  len, n);
		expect_empty();
	}
	cr_assert_eq(sw_ring_lost(ring), 0, "frames lost");
	stop();
}

Test(ring, the_largest_frames_an_ethernet_interface_sends)
{
	start(65535, 128, false);
	for (unsigned i = 0; i < 3; i++) {
		struct sw_rx rx;

		send_numbered(65535 + 14 - i, i);
		rx = take();
		expect_frame(&rx, 65535 + 14 - i, i);
		cr_assert_eq(sw_ring_give_back(ring, &rx), 0, "not taken back");
		build(want, 65535 + 14 - i, i);
		cr_assert_eq(net_recv(peer, buf, sizeof(buf), NET_WAIT_MS), 65535u + 14 - i,
			     "another length");
		cr_assert(memcmp(buf, want, 65535 + 14 - i) == 0, "other bytes");
	}
	stop();
}

/* What TSO and GRO make: one frame larger than the MTU, to be cut up later, its checksum open. */
static size_t build_gso(struct virtio_net_hdr *vnet, enum sw_family family, size_t payload)
{
	struct frame_spec s = frame_syn(family);
	struct frame f;
	size_t hlen;

	s.flags = SW_TCP_ACK;
	f = frame_make(&s);
	hlen = f.l4 + 20;
	memcpy(want, f.b, hlen);
	for (size_t i = 0; i < payload; i++)
		want[hlen + i] = (uint8_t)(i * 13 + i / 256);
	if (family == SW_IP4) {
		frame_put16(want + f.l3 + 2, (uint16_t)(40 + payload));
		frame_put16(want + f.l3 + 10, 0);
		frame_put16(want + f.l3 + 10, frame_fold(frame_sum(0, want + f.l3, 20)));
	} else {
		frame_put16(want + f.l3 + 4, (uint16_t)(20 + payload));
	}
	*vnet = (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = family == SW_IP4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6,
		.hdr_len = (uint16_t)hlen,
		.gso_size = family == SW_IP4 ? 1460 : 1440,
		.csum_start = (uint16_t)f.l4,
		.csum_offset = 16,
	};
	return hlen + payload;
}

static void no_gso(struct virtio_net_hdr *vnet)
{
	vnet->gso_type = VIRTIO_NET_HDR_GSO_NONE;
	vnet->gso_size = 0;
}

static void expect_vnet(const struct virtio_net_hdr *got, const struct virtio_net_hdr *sent,
			unsigned moved, const char *where)
{
	cr_assert((got->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) ==
				  (sent->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) &&
			  got->gso_type == sent->gso_type && got->gso_size == sent->gso_size &&
			  got->csum_start == sent->csum_start + moved &&
			  got->csum_offset == sent->csum_offset,
		  "%s: flags %#x gso %u of %u, checksum at %u + %u", where, got->flags,
		  got->gso_type, got->gso_size, got->csum_start, got->csum_offset);
}

Test(ring, frames_for_segmentation_keep_their_state)
{
	start(1500, 128, true);
	net_run("ip link set e0 gso_max_size 65536 && ip link set e1 gso_max_size 65536");
	for (unsigned v = 4; v <= 6; v += 2) {
		for (size_t payload = 1000; payload <= 65000; payload += 8000) {
			struct virtio_net_hdr sent, got;
			const size_t len = build_gso(&sent, (enum sw_family)v, payload);
			struct sw_rx rx;

			if (payload <= sent.gso_size)
				no_gso(&sent);
			net_send_vnet(peer, &sent, want, len);
			rx = take();
			cr_assert(!rx.cut && rx.frame.len == len &&
					  memcmp(rx.frame.data, want, len) == 0,
				  "IPv%u, %zu bytes: %zu came, cut %d", v, len, rx.frame.len,
				  rx.cut);
			cr_assert(rx.frame.csum_partial, "IPv%u, %zu: checksum not open", v, len);
			memcpy(&got, rx.vnet, sizeof(got));
			expect_vnet(&got, &sent, 0, "in the ring");
			cr_assert_eq(sw_ring_give_back(ring, &rx), 0, "IPv%u, %zu: not taken back",
				     v, len);
			cr_assert_eq(net_recv_vnet(peer, &got, buf, sizeof(buf), NET_WAIT_MS), len,
				     "IPv%u, %zu: another length came back", v, len);
			cr_assert(memcmp(buf, want, len) == 0, "IPv%u, %zu: other bytes", v, len);
			expect_vnet(&got, &sent, 0, "given back");
		}
	}
	stop();
}

Test(ring, checksum_states)
{
	struct virtio_net_hdr sent;
	struct sw_rx rx;
	size_t len;

	start(1500, 128, true);
	len = build_gso(&sent, SW_IP4, 100);
	no_gso(&sent);
	net_send_vnet(peer, &sent, want, len);
	rx = take();
	cr_assert(rx.frame.csum_partial && !rx.frame.csum_checked, "open: partial %d, checked %d",
		  rx.frame.csum_partial, rx.frame.csum_checked);
	sent.flags = 0;
	net_send_vnet(peer, &sent, want, len);
	rx = take();
	cr_assert(!rx.frame.csum_partial && !rx.frame.csum_checked,
		  "unknown: partial %d, checked %d", rx.frame.csum_partial, rx.frame.csum_checked);
	stop();
}

struct tag_case {
	const char *name;
	struct sw_vlan vlan[2];
};

static const struct tag_case tag_cases[] = {
	{ "802.1Q", { { 0x8100, 0x2064 } } },
	{ "802.1ad", { { 0x88a8, 0x0005 } } },
	{ "priority only", { { 0x8100, 0xe000 } } },
	{ "two tags", { { 0x88a8, 0x0064 }, { 0x8100, 0x0065 } } },
};

/* The kernel hands the outermost tag over beside the frame. */
Test(ring, tags_are_put_back)
{
	start(9000, 128, false);
	for (size_t i = 0; i < sizeof(tag_cases) / sizeof(tag_cases[0]); i++) {
		const struct tag_case *t = &tag_cases[i];

		for (size_t payload = 100; payload <= 8100; payload += 4000) {
			struct frame_spec s = frame_syn(SW_IP4);
			struct frame f;
			struct sw_rx rx;
			size_t len, n;

			memcpy(s.vlan, t->vlan, sizeof(t->vlan));
			f = frame_make(&s);
			memcpy(want, f.b, f.len);
			memset(want + f.len, 'y', payload);
			len = f.len + payload;
			net_send(peer, want, len);
			rx = take();
			cr_assert(rx.frame.vlan.tpid == t->vlan[0].tpid &&
					  rx.frame.vlan.tci == t->vlan[0].tci,
				  "%s: tag %#x %#x beside the frame", t->name, rx.frame.vlan.tpid,
				  rx.frame.vlan.tci);
			cr_assert(!rx.cut && rx.frame.len == len - 4 &&
					  memcmp(rx.frame.data, want, 12) == 0 &&
					  memcmp(rx.frame.data + 12, want + 16, len - 16) == 0,
				  "%s, %zu: the frame without its tag differs", t->name, len);
			cr_assert_eq(sw_ring_give_back(ring, &rx), 0, "%s: not taken back",
				     t->name);
			n = net_recv(peer, buf, sizeof(buf), NET_WAIT_MS);
			cr_assert(n == len && memcmp(buf, want, len) == 0, "%s: %zu bytes of %zu",
				  t->name, n, len);
		}
	}
	stop();
}

/* With a tag put back, the place of the open checksum moves along. */
Test(ring, a_tagged_frame_keeps_its_open_checksum)
{
	struct virtio_net_hdr sent, got;
	struct sw_rx rx;
	size_t len;

	start(1500, 128, true);
	len = build_gso(&sent, SW_IP4, 20000);
	memmove(want + 16, want + 12, len - 12);
	memcpy(want + 12, "\x81\x00\x20\x64", 4);
	sent.csum_start = (uint16_t)(sent.csum_start + 4);
	sent.hdr_len = (uint16_t)(sent.hdr_len + 4);
	net_send_vnet(peer, &sent, want, len + 4);
	rx = take();
	cr_assert(!rx.cut && rx.frame.vlan.tci == 0x2064 && rx.frame.len == len,
		  "%zu bytes, tag %#x", rx.frame.len, rx.frame.vlan.tci);
	cr_assert_eq(sw_ring_give_back(ring, &rx), 0, "not taken back");
	cr_assert_eq(net_recv_vnet(peer, &got, buf, sizeof(buf), NET_WAIT_MS), len + 4,
		     "another length came back");
	cr_assert(memcmp(buf, want, len + 4) == 0, "other bytes");
	/* The peer's kernel took the tag out once more and says where the checksum is without. */
	cr_assert(got.csum_start + 4 == sent.csum_start && got.csum_offset == 16 &&
			  got.gso_type == sent.gso_type && got.gso_size == sent.gso_size,
		  "gso %u of %u, checksum at %u + %u", got.gso_type, got.gso_size, got.csum_start,
		  got.csum_offset);
	stop();
}

Test(ring, order_is_kept_between_small_and_large)
{
	static const size_t lens[] = { 60, 5000, 1971, 1972, 1973, 9014, 200, 2048, 8000, 64 };
	const unsigned k = sizeof(lens) / sizeof(lens[0]);

	start(9000, 128, false);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 120; i++)
			send_numbered(lens[i % k], round * 1000 + i);
		for (unsigned i = 0; i < 120; i++) {
			const struct sw_rx rx = take();

			expect_frame(&rx, lens[i % k], round * 1000 + i);
		}
		expect_empty();
	}
	cr_assert_eq(sw_ring_lost(ring), 0, "frames lost");
	stop();
}

Test(ring, a_full_ring_loses_and_counts)
{
	struct pollfd pfd;

	start(1500, 1, false); /* rounded up to 128 */
	pfd = (struct pollfd){ .fd = sw_ring_fd(ring), .events = POLLIN };
	for (unsigned i = 0; i < 300; i++)
		send_numbered(60 + i % 100, i);
	cr_assert_eq(sw_ring_lost(ring), 300 - 128, "the count is wrong");
	cr_assert_eq(sw_ring_lost(ring), 0, "counted twice");
	for (unsigned i = 0; i < 128; i++) {
		const struct sw_rx rx = take();

		expect_frame(&rx, 60 + i % 100, i);
	}
	expect_empty();
	/* The last frame was released by that look: all slots are free again. */
	cr_assert_eq(poll(&pfd, 1, 0), 0, "an empty ring is readable");
	for (unsigned i = 0; i < 128; i++)
		send_numbered(60, 1000 + i);
	for (unsigned i = 0; i < 128; i++) {
		const struct sw_rx rx = take();

		expect_frame(&rx, 60, 1000 + i);
	}
	cr_assert_eq(sw_ring_lost(ring), 0, "lost with room");
	stop();
}

/* More large frames than the socket's queue takes: some are cut, and say so, none mix. */
Test(ring, large_frames_beyond_the_queue_are_cut)
{
	unsigned whole = 0, cut = 0;

	start(65535, 512, false);
	for (unsigned i = 0; i < 450; i++)
		send_numbered(65000, i);
	for (unsigned i = 0; i < 450; i++) {
		const struct sw_rx rx = take();

		if (!rx.cut) {
			expect_frame(&rx, 65000, i);
			whole++;
			continue;
		}
		build(want, 65000, i);
		cr_assert(rx.frame.len < 65000 && rx.frame.wire_len == 65000 &&
				  memcmp(rx.frame.data, want, rx.frame.len) == 0,
			  "frame %u: %zu of %zu bytes", i, rx.frame.len, rx.frame.wire_len);
		cr_assert_eq(sw_ring_give_back(ring, &rx), -EMSGSIZE, "a cut frame goes back");
		cut++;
	}
	expect_empty();
	cr_assert(whole >= 100 && cut >= 10, "%u whole, %u cut", whole, cut);
	/* And afterwards all is as before. */
	send_numbered(65000, 1000);
	{
		const struct sw_rx rx = take();

		expect_frame(&rx, 65000, 1000);
	}
	stop();
}

Test(ring, rings_of_one_group_share_the_frames)
{
	bool seen[256] = { false };
	unsigned got[2] = { 0, 0 }, total = 0;
	struct sw_ring *r[2];
	struct frame_spec s = frame_syn(SW_IP4);

	net_enter();
	net_veth("e0", "e1", 1500);
	r[0] = open_ring("e0", 512, 7);
	r[1] = open_ring("e0", 512, 7);
	peer = net_packet("e1");
	for (unsigned i = 0; i < 256; i++) {
		struct frame f;

		s.sport = (uint16_t)(10000 + i);
		f = frame_make(&s);
		net_send_frame(peer, &f);
	}
	for (unsigned i = 0; i < 2; i++) {
		struct sw_rx rx;

		while (sw_ring_next(r[i], &rx)) {
			const unsigned k = (unsigned)(rx.frame.data[34] << 8 | rx.frame.data[35]) -
					   10000;

			cr_assert(k < 256 && !seen[k], "frame %u twice", k);
			seen[k] = true;
			got[i]++;
			total++;
		}
	}
	cr_assert(total == 256 && got[0] > 32 && got[1] > 32, "%u and %u", got[0], got[1]);
	sw_ring_close(r[0]);
	sw_ring_close(r[1]);
}

Test(ring, what_cannot_be_given_back)
{
	struct sw_rx rx = { .frame = { .data = buf, .len = 13 } };

	start(1500, 128, false);
	cr_assert_eq(sw_ring_give_back(ring, &rx), -EMSGSIZE, "13 bytes were taken");
	rx.frame.len = 60;
	rx.cut = true;
	cr_assert_eq(sw_ring_give_back(ring, &rx), -EMSGSIZE, "a cut frame was taken");
	rx.cut = false;
	net_run("ip link set e0 down");
	cr_assert_eq(sw_ring_give_back(ring, &rx), -ENETDOWN, "taken while down");
	stop();
}

Test(ring, the_socket_stays_the_callers_on_failure)
{
	struct sw_ring *r = NULL;
	unsigned fds;
	int fd, sv[2];

	net_enter();
	fd = packet_fd();
	fds = net_fds();
	cr_assert_eq(sw_ring_open(&r, fd, 12345, 128, -1), -ENODEV, "no such interface");
	cr_assert(!r && net_fds() == fds && !close(fd), "%u descriptors, not %u", net_fds(), fds);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, sv), 0, "socketpair");
	fds = net_fds();
	cr_assert(sw_ring_open(&r, sv[0], net_index("lo"), 128, -1) < 0, "no packet socket");
	cr_assert(!r && net_fds() == fds && !close(sv[0]), "%u descriptors, not %u", net_fds(),
		  fds);
	sw_ring_close(NULL);
}
