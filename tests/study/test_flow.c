/* SPDX-License-Identifier: MIT */
#include "study/flow.h"

#include "core/frames.h"

#include <criterion/criterion.h>

struct seen {
	uint64_t id[64];
	enum sw_leave why[64];
	size_t n;
};

static void note(const struct sw_flow *f, enum sw_leave why, void *arg)
{
	struct seen *s = arg;

	s->id[s->n] = f->id;
	s->why[s->n++] = why;
}

static struct sw_seg seg_of(const char *src, uint16_t sport, const char *dst, uint16_t dport,
			    uint8_t flags)
{
	return (struct sw_seg){ .family = strchr(src, ':') ? SW_IP6 : SW_IP4,
				.src = frame_addr(src), .dst = frame_addr(dst), .sport = sport,
				.dport = dport, .flags = flags, .seq = sport };
}

static struct sw_flow *feed(struct sw_flows *fs, const struct sw_seg *seg, uint64_t number,
			    enum sw_end *from)
{
	struct sw_flow *f = sw_flows_get(fs, seg, number, from);
	const struct sw_track_in in = { .seg = seg, .from = *from, .number = number };
	struct sw_track_out out;

	sw_track_segment(&f->track, &in, &out);
	sw_flows_touch(fs, f);
	return f;
}

/* A connection that is open, from @port. */
static void open_one(struct sw_flows *fs, uint16_t port)
{
	struct sw_seg there = seg_of("192.0.2.9", port, "192.0.2.1", 80, SW_TCP_SYN);
	struct sw_seg back = seg_of("192.0.2.1", 80, "192.0.2.9", port, SW_TCP_SYN | SW_TCP_ACK);
	enum sw_end from;

	(void)feed(fs, &there, 1, &from);
	back.ack = there.seq + 1;
	(void)feed(fs, &back, 2, &from);
	there.flags = SW_TCP_ACK;
	there.seq++;
	there.ack = back.seq + 1;
	(void)feed(fs, &there, 3, &from);
}

Test(flow, both_directions_are_one_connection)
{
	struct seen seen = { .n = 0 };
	struct sw_flows *fs;
	enum sw_end from;
	struct sw_seg a = seg_of("192.0.2.9", 4000, "192.0.2.1", 80, SW_TCP_SYN);
	struct sw_seg b = seg_of("192.0.2.1", 80, "192.0.2.9", 4000, SW_TCP_SYN | SW_TCP_ACK);
	struct sw_flow *f;

	cr_assert_eq(sw_flows_new(&fs, 16, 7, note, &seen), 0);
	f = feed(fs, &a, 1, &from);
	cr_assert_eq(from, SW_CLIENT);
	cr_assert_eq(feed(fs, &b, 2, &from), f);
	cr_assert_eq(from, SW_SERVER);
	b.sport = 81;
	cr_assert_neq(feed(fs, &b, 3, &from), f, "another port");
	b = seg_of("2001:db8::1", 80, "2001:db8::9", 4000, SW_TCP_SYN | SW_TCP_ACK);
	cr_assert_neq(feed(fs, &b, 4, &from), f, "another family");
	sw_flows_end(fs);
	cr_assert(seen.n == 3 && seen.id[0] == 1 && seen.id[2] == 3, "%zu left", seen.n);
	sw_flows_free(fs);
}

Test(flow, who_asked)
{
	static const struct {
		uint16_t sport, dport;
		uint8_t flags;
		enum sw_end from;
		bool guessed;
	} cases[] = {
		{ 50000, 80, SW_TCP_SYN, SW_CLIENT, false },
		{ 80, 50000, SW_TCP_SYN, SW_CLIENT, false },
		{ 80, 50000, SW_TCP_SYN | SW_TCP_ACK, SW_SERVER, false },
		{ 80, 50000, SW_TCP_ACK, SW_SERVER, true },
		{ 50000, 80, SW_TCP_ACK, SW_CLIENT, true },
		{ 50000, 8080, SW_TCP_ACK, SW_CLIENT, true },
		{ 50000, 8080, SW_TCP_RST, SW_SERVER, true },
	};
	struct seen seen = { .n = 0 };
	struct sw_flows *fs;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sw_seg s = seg_of("192.0.2.9", cases[i].sport, "192.0.2.1", cases[i].dport,
					 cases[i].flags);
		enum sw_end from;

		cr_assert_eq(sw_flows_new(&fs, 16, i, note, &seen), 0);
		cr_assert_eq(feed(fs, &s, 1, &from)->guessed, cases[i].guessed, "case %zu", i);
		cr_assert_eq(from, cases[i].from, "case %zu", i);
		sw_flows_free(fs);
	}
}

Test(flow, a_new_syn_takes_the_ports)
{
	struct seen seen = { .n = 0 };
	struct sw_flows *fs;
	enum sw_end from;
	struct sw_seg a = seg_of("192.0.2.9", 4000, "192.0.2.1", 80, SW_TCP_SYN);

	cr_assert_eq(sw_flows_new(&fs, 16, 7, note, &seen), 0);
	(void)feed(fs, &a, 1, &from);
	cr_assert_eq(feed(fs, &a, 2, &from)->id, 1, "the same SYN again");
	a.seq = 99;
	cr_assert_eq(feed(fs, &a, 3, &from)->id, 2);
	cr_assert(seen.n == 1 && seen.id[0] == 1 && seen.why[0] == SW_LEAVE_REUSED);
	sw_flows_free(fs);
}

Test(flow, a_flood_does_not_push_out_what_is_alive)
{
	struct seen seen = { .n = 0 };
	struct sw_flows *fs;
	enum sw_end from;

	cr_assert_eq(sw_flows_new(&fs, 16, 7, note, &seen), 0);
	for (uint16_t i = 0; i < 8; i++)
		open_one(fs, (uint16_t)(4000 + i));
	for (uint16_t i = 0; i < 40; i++) {
		struct sw_seg s = seg_of("198.18.0.1", (uint16_t)(1000 + i), "192.0.2.1", 80,
					 SW_TCP_SYN);

		(void)feed(fs, &s, 100u + i, &from);
	}
	cr_assert_eq(seen.n, 32, "%zu left", seen.n);
	for (size_t i = 0; i < seen.n; i++) {
		cr_assert_eq(seen.why[i], SW_LEAVE_EVICTED);
		cr_assert_eq(seen.id[i], 9 + i, "the oldest SYN goes first");
	}
	sw_flows_end(fs);
	cr_assert_eq(seen.n, 48);
	cr_assert(seen.id[32] == 1 && seen.id[47] == 48);
	sw_flows_free(fs);
}

Test(flow, full_of_open_ones_the_oldest_goes)
{
	struct seen seen = { .n = 0 };
	struct sw_flows *fs;

	cr_assert_eq(sw_flows_new(&fs, 16, 7, note, &seen), 0);
	for (uint16_t i = 0; i < 20; i++)
		open_one(fs, (uint16_t)(4000 + i));
	cr_assert(seen.n == 4 && seen.id[0] == 1 && seen.id[3] == 4, "%zu left", seen.n);
	sw_flows_free(fs);
}

Test(flow, one_bucket_is_enough)
{
	struct seen seen = { .n = 0 };
	struct sw_flows *fs;
	enum sw_end from;

	cr_assert_eq(sw_flows_new(&fs, 64, 7, note, &seen), 0);
	for (unsigned round = 0; round < 2; round++) {
		for (uint16_t i = 0; i < 60; i++) {
			struct sw_seg s = seg_of("192.0.2.9", (uint16_t)(4000 + i), "192.0.2.1", 80,
						 SW_TCP_SYN);

			cr_assert_eq(feed(fs, &s, 1, &from)->id, i + 1u);
		}
	}
	cr_assert_eq(seen.n, 0);
	sw_flows_free(fs);
}
