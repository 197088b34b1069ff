/* SPDX-License-Identifier: MIT */
#include "listen/admitq.h"
#include "front/net.h"

#include <pthread.h>

static struct sw_admitq *q;

static void start(unsigned depth)
{
	const int rc = sw_admitq_new(&q, depth);

	cr_assert_eq(rc, 0, "%s", strerror(-rc));
}

/* Items that own no descriptor: every number but those of push_fd() is negative. */
static void push(int number)
{
	struct sw_admitted a = { .fd = -1 - number, .peerlen = (socklen_t)number };

	a.peer.ss_family = (sa_family_t)number;
	cr_assert(sw_admitq_reserve(q), "no room for %d", number);
	sw_admitq_push(q, &a);
}

static void expect_pop(int number)
{
	struct sw_admitted a;

	cr_assert(sw_admitq_pop(q, &a), "empty, not %d", number);
	cr_assert(a.fd == -1 - number && a.peerlen == (socklen_t)number &&
			  a.peer.ss_family == (sa_family_t)number,
		  "%d, not %d", -1 - a.fd, number);
}

static void expect_empty(void)
{
	struct sw_admitted a;

	cr_assert(!sw_admitq_pop(q, &a), "%d was left", -1 - a.fd);
	cr_assert_eq(sw_admitq_len(q), 0, "%u were left", sw_admitq_len(q));
}

static bool is_awake(void)
{
	struct pollfd pfd = { .fd = sw_admitq_fd(q), .events = POLLIN };

	return poll(&pfd, 1, 0) == 1;
}

Test(admitq, first_in_first_out_around_the_end)
{
	int in = 0, out = 0;

	start(5);
	expect_empty();
	for (unsigned round = 0; round < 100; round++) {
		for (unsigned k = 0; k < 1 + round % 5; k++)
			push(in++);
		cr_assert_eq(sw_admitq_len(q), (unsigned)(in - out), "%u queued", sw_admitq_len(q));
		while (out < in)
			expect_pop(out++);
		expect_empty();
	}
	sw_admitq_free(q);
}

Test(admitq, kept_places_count)
{
	start(3);
	cr_assert(sw_admitq_reserve(q) && sw_admitq_reserve(q) && sw_admitq_reserve(q), "room");
	cr_assert(!sw_admitq_reserve(q), "a fourth place of three");
	cr_assert_eq(sw_admitq_len(q), 0, "a kept place is no connection");
	expect_empty();
	sw_admitq_cancel(q);
	cr_assert(sw_admitq_reserve(q), "the place that was given back");
	cr_assert(!sw_admitq_reserve(q), "a fourth place of three");
	sw_admitq_cancel(q);
	sw_admitq_cancel(q);
	sw_admitq_cancel(q);
	push(1);
	push(2);
	cr_assert(sw_admitq_reserve(q), "the third place");
	cr_assert(!sw_admitq_reserve(q), "full of two and a kept one");
	expect_pop(1);
	cr_assert(sw_admitq_reserve(q), "the place of the one that was taken");
	cr_assert(!sw_admitq_reserve(q), "full of one and two kept ones");
	sw_admitq_cancel(q);
	sw_admitq_cancel(q);
	expect_pop(2);
	expect_empty();
	sw_admitq_free(q);
}

Test(admitq, a_queue_of_one)
{
	start(1);
	for (int i = 0; i < 10; i++) {
		push(i);
		cr_assert(!sw_admitq_reserve(q), "room for two");
		expect_pop(i);
	}
	expect_empty();
	sw_admitq_free(q);
}

Test(admitq, wakes_when_something_was_pushed)
{
	start(4);
	cr_assert(!is_awake(), "awake when new");
	sw_admitq_wake(q);
	cr_assert(!is_awake(), "awake for nothing");
	cr_assert(sw_admitq_reserve(q), "room");
	sw_admitq_wake(q);
	cr_assert(!is_awake(), "awake for a kept place");
	sw_admitq_cancel(q);
	sw_admitq_wake(q);
	cr_assert(!is_awake(), "awake for a place given back");
	push(1);
	cr_assert(!is_awake(), "awake before it was told");
	sw_admitq_wake(q);
	cr_assert(is_awake(), "asleep");
	sw_admitq_ack(q);
	cr_assert(!is_awake(), "still awake");
	sw_admitq_wake(q);
	cr_assert(!is_awake(), "awake twice for one");
	sw_admitq_ack(q); /* of nothing: must not block */
	push(2);
	push(3);
	sw_admitq_wake(q);
	cr_assert(is_awake(), "asleep");
	for (int i = 1; i <= 3; i++)
		expect_pop(i);
	sw_admitq_free(q);
}

Test(admitq, free_closes_what_is_queued)
{
	unsigned fds;

	fds = net_fds();
	start(8);
	for (unsigned i = 0; i < 6; i++) {
		const struct sw_admitted a = { .fd = dup(0) };

		cr_assert(a.fd >= 0 && sw_admitq_reserve(q), "%s", strerror(errno));
		sw_admitq_push(q, &a);
	}
	cr_assert_eq(net_fds(), fds + 7, "%u descriptors, not %u", net_fds(), fds + 7);
	sw_admitq_free(q);
	cr_assert_eq(net_fds(), fds, "%u descriptors, not %u", net_fds(), fds);
	sw_admitq_free(NULL);
}

Test(admitq, no_descriptor)
{
	struct sw_admitq *none = NULL;

	net_use_up_fds();
	cr_assert_eq(sw_admitq_new(&none, 8), -EMFILE, "made");
	cr_assert_null(none, "written on failure");
}

#define ITEMS 100000

static void *produce(void *arg)
{
	const int first = *(const int *)arg;

	for (int i = 0; i < ITEMS; i++) {
		/* Of either producer 0, 2, 4, ... or 1, 3, 5, ...; no descriptors. */
		const struct sw_admitted a = { .fd = -1 - (first + 2 * i) };

		while (!sw_admitq_reserve(q))
			sched_yield();
		if (i % 7 == 3) { /* a socket that could not be made */
			sw_admitq_cancel(q);
			while (!sw_admitq_reserve(q))
				sched_yield();
		}
		sw_admitq_push(q, &a);
		if (i % 5 == 0 || i == ITEMS - 1)
			sw_admitq_wake(q);
	}
	return NULL;
}

/* The reader sleeps until it is woken, as an event loop does: a lost wake-up ends in a timeout. */
Test(admitq, two_producers_and_a_reader_lose_nothing)
{
	struct pollfd pfd = { .events = POLLIN };
	int first[2] = { 0, 1 }, next[2] = { 0, 1 }, got = 0;
	pthread_t t[2];

	start(64);
	pfd.fd = sw_admitq_fd(q);
	for (unsigned i = 0; i < 2; i++)
		cr_assert_eq(pthread_create(&t[i], NULL, produce, &first[i]), 0, "thread");
	while (got < 2 * ITEMS) {
		struct sw_admitted a;

		/* With the queue full nobody pushes, so the last wake-up was before: look again. */
		cr_assert(poll(&pfd, 1, sw_admitq_len(q) ? 0 : NET_WAIT_MS) >= 0, "%s",
			  strerror(errno));
		cr_assert(pfd.revents || sw_admitq_len(q), "asleep after %d", got);
		sw_admitq_ack(q);
		while (sw_admitq_pop(q, &a)) {
			const int number = -1 - a.fd, who = number & 1;

			cr_assert_eq(number, next[who], "producer %d: %d, not %d", who, number,
				     next[who]);
			next[who] += 2;
			got++;
		}
	}
	for (unsigned i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	expect_empty();
	cr_assert(next[0] == 2 * ITEMS && next[1] == 2 * ITEMS + 1, "%d and %d", next[0], next[1]);
	sw_admitq_free(q);
}
