/* SPDX-License-Identifier: MIT */
/* Timeouts: one timer for all connections of a relay. */
#include "relay/conn.h"

#include <stdlib.h>
#include <time.h>

uint64_t sw_relay_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000 + 1;
}

uint64_t sw_relay_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static struct sw_era *current(const struct sw_relay *r)
{
	return TAILQ_LAST(&r->eras, sw_era_list);
}

struct sw_era *sw_era_hold(struct sw_relay *r)
{
	struct sw_era *era = current(r);

	era->holds++;
	return era;
}

void sw_era_drop(struct sw_relay *r, struct sw_era *era)
{
	if (--era->holds || era == current(r))
		return;
	TAILQ_REMOVE(&r->eras, era, link);
	free(era);
}

struct sw_era *sw_era_new(unsigned connect_timeout_ms, unsigned idle_timeout_ms)
{
	struct sw_era *era = calloc(1, sizeof(*era));

	if (!era)
		return NULL;
	era->connect_timeout_ms = connect_timeout_ms;
	era->idle_timeout_ms = idle_timeout_ms;
	TAILQ_INIT(&era->dialing);
	TAILQ_INIT(&era->live);
	return era;
}

void sw_era_begin(struct sw_relay *r, struct sw_era *era)
{
	struct sw_era *old = current(r);

	if (old && old->connect_timeout_ms == era->connect_timeout_ms &&
	    old->idle_timeout_ms == era->idle_timeout_ms) {
		free(era);
		return;
	}
	TAILQ_INSERT_TAIL(&r->eras, era, link);
	if (old) {
		old->holds++;
		sw_era_drop(r, old); /* it may have no connection */
	}
}

/* The time at which the head of a list is due, 0 for never. */
static uint64_t due(const struct sw_conn_list *list, unsigned timeout_ms)
{
	const struct sw_conn *head = TAILQ_FIRST(list);

	return head && timeout_ms ? head->since_ms + timeout_ms : 0;
}

static void sooner(uint64_t *next, uint64_t at)
{
	if (at && (!*next || at < *next))
		*next = at;
}

void sw_relay_arm(struct sw_relay *r)
{
	const uint64_t now = sw_relay_now_ms();
	const struct sw_era *era;
	struct timeval tv;
	uint64_t next = 0, wait;

	TAILQ_FOREACH(era, &r->eras, link)
	{
		sooner(&next, due(&era->dialing, era->connect_timeout_ms));
		sooner(&next, due(&era->live, era->idle_timeout_ms));
	}
	if (!next || (r->timer_at_ms && r->timer_at_ms <= next))
		return;
	wait = next > now ? next - now : 0;
	tv = (struct timeval){ (time_t)(wait / 1000), (suseconds_t)(wait % 1000) * 1000 };
	/* Out of memory: the next connection tries again. */
	r->timer_at_ms = event_add(&r->timer, &tv) == 0 ? next : 0;
}

void sw_relay_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct sw_relay *r = arg;
	const uint64_t now = sw_relay_now_ms();
	struct sw_era *era = TAILQ_FIRST(&r->eras), *next;
	uint64_t at;

	(void)fd, (void)what;
	r->timer_at_ms = 0;
	for (; era; era = next) {
		era->holds++;
		while ((at = due(&era->dialing, era->connect_timeout_ms)) && at <= now)
			sw_attempt_timeout(TAILQ_FIRST(&era->dialing));
		while ((at = due(&era->live, era->idle_timeout_ms)) && at <= now)
			sw_conn_end(TAILQ_FIRST(&era->live), SW_END_IDLE);
		next = TAILQ_NEXT(era, link);
		sw_era_drop(r, era);
	}
	sw_relay_arm(r);
}
