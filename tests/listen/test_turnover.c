/* SPDX-License-Identifier: MIT */
/*
 * Who guards what, told as a text: each turn of a listener appends "A+0" (listener A begins to
 * guard its guard 0) or "A-0" to the story, each succession "A>B" (B takes over from A).
 */
#include "listen/turnover.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct party {
	char name;
	struct sw_seat seat;
	struct sw_guard guard[3];
	int fails; /* what turn() and succeed() say */
};

static char story[512];

static void tell(const char *what)
{
	snprintf(story + strlen(story), sizeof(story) - strlen(story), "%s%s", story[0] ? " " : "",
		 what);
}

static void expect(const char *want)
{
	cr_assert_str_eq(story, want, "it was '%s', not '%s'", story, want);
	story[0] = '\0';
}

static int turn(void *arg, const struct sw_guard *g, bool on)
{
	struct party *p = arg;
	char what[8];

	if (p->fails)
		return p->fails;
	snprintf(what, sizeof(what), "%c%c%d", p->name, on ? '+' : '-', (int)(g - p->guard));
	tell(what);
	return 0;
}

static int succeed(void *arg, void *from)
{
	char what[8];

	snprintf(what, sizeof(what), "%c>%c", ((struct party *)from)->name,
		 ((struct party *)arg)->name);
	tell(what);
	return ((struct party *)arg)->fails;
}

/* @param addrs  The last byte of each address in 192.0.2.0/24, "*" for every address. */
static void make(struct party *p, char name, const char *addrs, uint16_t port)
{
	const size_t n = strlen(addrs);

	memset(p, 0, sizeof(*p));
	p->name = name;
	for (size_t i = 0; i < n; i++) {
		p->guard[i] = (struct sw_guard){ .family = SW_IP4, .port = port };
		p->guard[i].any = addrs[i] == '*';
		if (addrs[i] != '*')
			p->guard[i].addr = (struct sw_addr){ { 192, 0, 2, (uint8_t)addrs[i] } };
	}
	p->seat = (struct sw_seat){ .ifindex = 7,
				    .guard = p->guard,
				    .n = n,
				    .arg = p,
				    .turn = turn,
				    .succeed = succeed };
}

static void join(struct party *p, char name, const char *addrs)
{
	make(p, name, addrs, 443);
	cr_assert_eq(sw_seat_join(&p->seat), 0, "%c", name);
}

Test(turnover, alone)
{
	struct party a;

	join(&a, 'A', "12");
	expect("A+0 A+1");
	cr_assert_eq(sw_seat_close(&a.seat), 0, "close");
	expect("");
	cr_assert(!sw_seat_idle(&a.seat), "drained, it still guards");
	cr_assert_eq(sw_seat_open(&a.seat), 0, "open");
	sw_seat_leave(&a.seat);
	expect("A-0 A-1");
	sw_seat_leave(&a.seat);
	expect("");
}

/* The successor first. */
Test(turnover, a_successor_waits)
{
	struct party a, b;

	join(&a, 'A', "12");
	join(&b, 'B', "23");
	expect("A+0 A+1 B+1");
	cr_assert_eq(sw_seat_close(&a.seat), 0, "close");
	expect("A>B B+0 A-1");
	cr_assert_eq(sw_seat_open(&a.seat), -EBUSY, "what has passed is another's");
	sw_seat_leave(&a.seat);
	expect("A-0");
	sw_seat_leave(&b.seat);
	expect("B-0 B-1");
}

Test(turnover, freed_at_once)
{
	struct party a, b;

	join(&a, 'A', "12");
	join(&b, 'B', "12");
	sw_seat_leave(&a.seat);
	expect("A+0 A+1 A>B B+0 B+1 A-0 A-1");
	sw_seat_leave(&b.seat);
	expect("B-0 B-1");
}

/* A reload that is called off. */
Test(turnover, the_successor_goes_first)
{
	struct party a, b;

	join(&a, 'A', "1");
	join(&b, 'B', "1");
	sw_seat_leave(&b.seat);
	cr_assert_eq(sw_seat_close(&a.seat), 0, "close");
	cr_assert_eq(sw_seat_open(&a.seat), 0, "open");
	expect("A+0");
	sw_seat_leave(&a.seat);
}

/* One who is drained takes nothing back until it is opened. */
Test(turnover, and_back)
{
	struct party a, b;

	join(&a, 'A', "1");
	join(&b, 'B', "1");
	cr_assert_eq(sw_seat_close(&a.seat), 0, "close");
	cr_assert(sw_seat_idle(&a.seat) && !sw_seat_idle(&b.seat), "not passed");
	cr_assert_eq(sw_seat_close(&b.seat), 0, "close");
	expect("A+0 A>B B+0 A-0");
	sw_seat_leave(&b.seat);
	expect("B-0");
	cr_assert_eq(sw_seat_open(&a.seat), 0, "open");
	expect("A+0");
	sw_seat_leave(&a.seat);
}

/* A second reload before the first has ended: who is drained is no candidate. */
Test(turnover, three_generations)
{
	struct party a, b, c;

	join(&a, 'A', "1");
	join(&b, 'B', "1");
	cr_assert_eq(sw_seat_close(&a.seat), 0, "close");
	join(&c, 'C', "1");
	story[0] = '\0';
	cr_assert_eq(sw_seat_close(&b.seat), 0, "close");
	expect("B>C C+0 B-0");
	sw_seat_leave(&a.seat);
	sw_seat_leave(&b.seat);
	expect("");
	sw_seat_leave(&c.seat);
}

/* Of two that wait, the first gets it, and the second after that. */
Test(turnover, two_wait)
{
	struct party a, b, c;

	join(&a, 'A', "1");
	join(&b, 'B', "1");
	join(&c, 'C', "1");
	story[0] = '\0';
	sw_seat_leave(&a.seat);
	expect("A>B B+0 A-0");
	sw_seat_leave(&b.seat);
	expect("B>C C+0 B-0");
	sw_seat_leave(&c.seat);
}

/* Addresses of one listener go to two, and those of two to one. */
Test(turnover, split_and_join)
{
	struct party a, b, c, d;

	join(&a, 'A', "12");
	join(&b, 'B', "1");
	join(&c, 'C', "2");
	story[0] = '\0';
	cr_assert_eq(sw_seat_close(&a.seat), 0, "close");
	expect("A>B B+0 A>C C+0 A-0 A-1");
	join(&d, 'D', "12");
	cr_assert_eq(sw_seat_close(&b.seat), 0, "close");
	expect("B>D D+0 B-0");
	cr_assert_eq(sw_seat_close(&c.seat), 0, "close");
	expect("C>D D+1 C-0");
}

/* A wildcard passes as a whole. */
Test(turnover, wildcards)
{
	struct party a, b, c, d;

	join(&a, 'A', "*");
	join(&b, 'B', "1");
	join(&c, 'C', "2");
	expect("A+0");
	cr_assert_eq(sw_seat_close(&a.seat), 0, "close");
	expect("A>B B+0 A>C C+0 A-0");
	sw_seat_leave(&a.seat);
	join(&d, 'D', "*"); /* and the other way round: when both close */
	cr_assert_eq(sw_seat_close(&b.seat), 0, "close");
	expect("");
	cr_assert_eq(sw_seat_close(&c.seat), 0, "close");
	expect("C>D D+0 B-0 C-0");
	sw_seat_leave(&b.seat);
	sw_seat_leave(&c.seat);
	expect("");
}

Test(turnover, other_interfaces_and_namespaces)
{
	struct party a, b, c;

	join(&a, 'A', "1");
	make(&b, 'B', "1", 443);
	b.seat.ifindex = 8;
	make(&c, 'C', "1", 443);
	c.seat.netns = 1;
	cr_assert(!sw_seat_join(&b.seat) && !sw_seat_join(&c.seat), "join");
	expect("A+0 B+0 C+0");
	sw_seat_leave(&a.seat);
	expect("A-0");
}

/* What cannot be taken over stays where it is. */
Test(turnover, a_successor_that_fails)
{
	struct party a, b;

	join(&a, 'A', "1");
	join(&b, 'B', "1");
	story[0] = '\0';
	b.fails = -ENOMEM;
	cr_assert_eq(sw_seat_close(&a.seat), -ENOMEM, "passed");
	expect("A>B");
	cr_assert(!sw_seat_idle(&a.seat), "it has gone");
	b.fails = 0;
	cr_assert_eq(sw_seat_close(&a.seat), 0, "close");
	expect("A>B B+0 A-0");
}

Test(turnover, one_that_cannot_begin)
{
	struct party a;

	make(&a, 'A', "12", 443);
	a.fails = -EIO;
	cr_assert_eq(sw_seat_join(&a.seat), -EIO, "joined");
	a.fails = 0;
	sw_seat_leave(&a.seat);
	expect("");
}

static void note(void *from, void *arg)
{
	*(char *)arg = ((struct party *)from)->name;
}

Test(turnover, the_predecessor)
{
	struct party a, b;
	char name = '?';

	join(&a, 'A', "12");
	make(&b, 'B', "32", 443);
	cr_assert(sw_seat_predecessor(&b.seat, note, &name) && name == 'A', "it is %c", name);
	make(&b, 'B', "3", 443);
	cr_assert(!sw_seat_predecessor(&b.seat, note, &name), "there is none");
}
