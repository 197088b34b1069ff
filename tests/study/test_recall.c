/* SPDX-License-Identifier: MIT */
#include "study/recall.h"

#include "core/frames.h"

#include <criterion/criterion.h>

static struct sw_seg segment(enum sw_family family, uint16_t port, bool back)
{
	struct frame_spec s = frame_syn(family);
	const struct sw_addr src = s.src;

	s.sport = port;
	if (back) {
		s.src = s.dst;
		s.dst = src;
		s.sport = s.dport;
		s.dport = port;
	}
	return frame_seg(&s);
}

Test(recall, both_directions)
{
	for (int family = 4; family <= 6; family += 2) {
		struct sw_recall *r = sw_recall_new(1);
		const struct sw_seg in = segment((enum sw_family)family, 40000, false);
		const struct sw_seg out = segment((enum sw_family)family, 40000, true);
		const struct sw_seg other = segment((enum sw_family)family, 40001, false);
		struct sw_recall_flow *f;
		enum sw_way way;

		cr_assert_null(sw_recall_find(r, &in, &way), "found before it was added");
		f = sw_recall_add(r, &out, SW_WAY_OUT, (sw_wall){ 5 });
		cr_assert(f->cport == 40000 && f->sport == 443 && f->last.ns == 5, "names");
		f->open = true;
		cr_assert_eq(sw_recall_find(r, &in, &way), f, "not found by the client's segment");
		cr_assert_eq(way, SW_WAY_IN, "way in");
		cr_assert_eq(sw_recall_find(r, &out, &way), f, "not found by the server's segment");
		cr_assert_eq(way, SW_WAY_OUT, "way out");
		cr_assert_null(sw_recall_find(r, &other, &way), "another port");
		f = sw_recall_add(r, &in, SW_WAY_IN, (sw_wall){ 6 });
		cr_assert(!f->open, "a new handshake is not open");
		sw_recall_free(r);
	}
	sw_recall_free(NULL);
}

/* A flood takes the places of handshakes, never of connections. */
Test(recall, connections_outlive_a_flood)
{
	struct sw_recall *r = sw_recall_new(7);
	struct frame_spec s = frame_syn(SW_IP4);
	enum sw_way way;
	unsigned lost = 0;

	for (uint16_t port = 1; port <= 100; port++) {
		const struct sw_seg seg = segment(SW_IP4, port, false);

		sw_recall_add(r, &seg, SW_WAY_IN, (sw_wall){ port })->open = true;
	}
	for (uint32_t i = 0; i < 200000; i++) {
		struct sw_seg seg = frame_seg(&s);

		memcpy(seg.src.b, &i, sizeof(i));
		seg.src.b[0] = 10;
		seg.sport = (uint16_t)(i * 7);
		(void)sw_recall_add(r, &seg, SW_WAY_IN, (sw_wall){ 1000 + i });
	}
	for (uint16_t port = 1; port <= 100; port++) {
		const struct sw_seg seg = segment(SW_IP4, port, false);

		lost += !sw_recall_find(r, &seg, &way);
	}
	cr_assert_eq(lost, 0, "%u of 100 were pushed out", lost);
	sw_recall_free(r);
}
