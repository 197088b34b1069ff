/* SPDX-License-Identifier: MIT */
#include "front/tx.h"
#include "front/net.h"

/* A frame that says which one it is, of a length of its own. */
static size_t build(uint8_t out[SW_REPLY_MAX], unsigned number)
{
	const size_t len = 60 + number % (SW_REPLY_MAX - 60 + 1);

	memset(out, (int)(number & 0xff), len);
	memcpy(out, "\2\0\0\0\0\1\2\0\0\0\0\2\x88\xb5", 14); /* an EtherType for experiments */
	frame_put16(out + 14, (uint16_t)number);
	return len;
}

static void push(struct sw_tx *tx, unsigned number)
{
	sw_tx_push(tx, build(sw_tx_slot(tx), number));
}

static void expect_arrival(int fd, unsigned number)
{
	uint8_t want[SW_REPLY_MAX], got[2048];
	const size_t len = build(want, number);
	const size_t n = net_recv(fd, got, sizeof(got), NET_WAIT_MS);

	cr_assert(n == len && memcmp(got, want, len) == 0,
		  "frame %u: %zu bytes of frame %u, not %zu", number, n, got[14] << 8 | got[15],
		  len);
}

static void expect_no_more(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	cr_assert_eq(poll(&pfd, 1, 0), 0, "one frame more than was sent");
}

static struct sw_tx *open_tx(const char *name, bool bypass)
{
	struct sw_tx *tx = NULL;
	const int rc = sw_tx_open(&tx, net_index(name), bypass);

	cr_assert_eq(rc, 0, "open: %s", strerror(-rc));
	return tx;
}

Test(tx, whole_batches_arrive_in_order)
{
	for (unsigned bypass = 0; bypass < 2; bypass++) {
		struct sw_tx *tx;
		int peer;

		net_enter();
		net_veth("e0", "e1", 1500);
		tx = open_tx("e0", bypass != 0);
		peer = net_packet("e1");
		for (unsigned batch = 0; batch < 3; batch++) {
			for (unsigned i = 0; i < SW_TX_BATCH; i++)
				push(tx, batch * SW_TX_BATCH + i);
			expect_no_more(peer);
			cr_assert_eq(sw_tx_flush(tx), 0, "batch %u: frames lost", batch);
			for (unsigned i = 0; i < SW_TX_BATCH; i++)
				expect_arrival(peer, batch * SW_TX_BATCH + i);
		}
		expect_no_more(peer);
		sw_tx_close(tx);
		close(peer);
	}
}

Test(tx, nothing_to_flush)
{
	struct sw_tx *tx;
	int peer;

	net_enter();
	net_veth("e0", "e1", 1500);
	tx = open_tx("e0", false);
	peer = net_packet("e1");
	cr_assert_eq(sw_tx_flush(tx), 0, "lost out of nothing");
	push(tx, 1);
	cr_assert_eq(sw_tx_flush(tx), 0, "lost");
	cr_assert_eq(sw_tx_flush(tx), 0, "lost out of nothing");
	expect_arrival(peer, 1);
	expect_no_more(peer);
	sw_tx_close(tx);
}

Test(tx, a_frame_at_fault_costs_no_other)
{
	struct sw_tx *tx;
	int peer;

	net_enter();
	net_veth("e0", "e1", 1500);
	tx = open_tx("e0", false);
	peer = net_packet("e1");
	for (unsigned i = 0; i < 10; i++) {
		if (i % 3 == 0)
			sw_tx_push(tx, 5); /* not even an Ethernet header */
		else
			push(tx, i);
	}
	cr_assert_eq(sw_tx_flush(tx), 4, "not four lost");
	for (unsigned i = 0; i < 10; i++)
		if (i % 3)
			expect_arrival(peer, i);
	expect_no_more(peer);
	sw_tx_close(tx);
}

Test(tx, an_interface_that_is_down_and_up_again)
{
	for (unsigned bypass = 0; bypass < 2; bypass++) {
		struct sw_tx *tx;
		int peer;

		net_enter();
		net_veth("e0", "e1", 1500);
		tx = open_tx("e0", bypass != 0);
		peer = net_packet("e1");
		net_run("ip link set e0 down");
		for (unsigned i = 0; i < SW_TX_BATCH; i++)
			push(tx, i);
		cr_assert_eq(sw_tx_flush(tx), SW_TX_BATCH, "bypass %u: sent while down", bypass);
		net_run("ip link set e0 up");
		push(tx, 77);
		cr_assert_eq(sw_tx_flush(tx), 0, "bypass %u: lost while up", bypass);
		expect_arrival(peer, 77);
		expect_no_more(peer);
		sw_tx_close(tx);
		close(peer);
	}
}

Test(tx, an_interface_that_goes_away)
{
	struct sw_tx *tx;

	net_enter();
	net_veth("e0", "e1", 1500);
	tx = open_tx("e0", false);
	net_run("ip link del e0");
	for (unsigned i = 0; i < 3; i++)
		push(tx, i);
	cr_assert_eq(sw_tx_flush(tx), 3, "sent on nothing");
	sw_tx_close(tx);
}

/* What qdisc_bypass costs, as the header says. */
Test(tx, captures_on_this_host_see_what_does_not_bypass)
{
	for (unsigned bypass = 0; bypass < 2; bypass++) {
		struct sw_tx *tx;
		int peer, own;
		const int off = 0;
		uint8_t buf[2048];

		net_enter();
		net_veth("e0", "e1", 1500);
		tx = open_tx("e0", bypass != 0);
		peer = net_packet("e1");
		own = net_packet("e0");
		cr_assert_eq(setsockopt(own, SOL_PACKET, PACKET_IGNORE_OUTGOING, &off, sizeof(off)),
			     0, "%s", strerror(errno));
		push(tx, 1);
		cr_assert_eq(sw_tx_flush(tx), 0, "lost");
		expect_arrival(peer, 1);
		cr_assert_eq(net_recv(own, buf, sizeof(buf), 0) != 0, bypass == 0,
			     "bypass %u: the capture says otherwise", bypass);
		sw_tx_close(tx);
		close(peer);
		close(own);
	}
}

Test(tx, no_such_interface)
{
	struct sw_tx *tx = NULL;
	unsigned fds;

	net_enter();
	fds = net_fds();
	cr_assert_eq(sw_tx_open(&tx, 12345, false), -ENODEV, "opened");
	cr_assert_null(tx, "written on failure");
	cr_assert_eq(net_fds(), fds, "%u descriptors, %u before", net_fds(), fds);
	sw_tx_close(NULL);
}
