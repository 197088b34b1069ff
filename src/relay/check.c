/* SPDX-License-Identifier: MIT */
#include "relay/check.h"

#include "relay/conn.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SOON_MS	      100 /* between two checks that failed connections asked for */
#define SAY_EVERY_MS  10000
#define LOST_EVERY_MS 60000
#define FAREWELL      16 /* reads of what a server says, before it is cut off */

static struct timeval tv_of(uint64_t ms)
{
	return (struct timeval){ (time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000 };
}

/* One that flaps must not fill the log: two lines in ten seconds, down and up, will do. */
static bool may_say(struct sw_server *s)
{
	const uint64_t now = sw_relay_now_ms();

	if (now - s->said_since_ms >= SAY_EVERY_MS) {
		s->said_since_ms = now;
		s->said = 0;
	}
	return s->said++ < 2;
}

static void tell(struct sw_server *s, enum sw_server_change change, const char *why)
{
	const struct sw_relay *r = s->relay;
	const struct sw_server_event ev = { .pool = r->name,
					    .server = s->stats.name,
					    .change = change,
					    .why = why,
					    .up = sw_pool_up(&r->pool),
					    .servers = (unsigned)r->pool.n };

	if (r->cf.server)
		r->cf.server(r->cf.server_arg, &ev);
}

void sw_server_tell_config(struct sw_server *s, enum sw_server_change change)
{
	tell(s, change, "");
}

void sw_server_tell(struct sw_server *s, enum sw_health_change change, const char *why)
{
	struct sw_relay *r = s->relay;
	const unsigned up = sw_pool_up(&r->pool);
	char name[SW_FULL_NAME];

	if (change == SW_HEALTH_SAME)
		return;
	s->stats.transitions++;
	if (s->leaving)
		return;
	tell(s, change == SW_HEALTH_FELL ? SW_SERVER_DOWN : SW_SERVER_UP, why);
	if (!may_say(s))
		return;
	sw_relay_full_name(r, s, name);
	if (change == SW_HEALTH_ROSE)
		sw_relay_logf(r, false, "upstream %s is up again; up: %u of %zu", name, up,
			      r->pool.n);
	else
		sw_relay_logf(r, true, "upstream %s is down: %s; up: %u of %zu%s", name, why, up,
			      r->pool.n, up ? "" : ", so all are tried");
}

void sw_server_tell_lost(struct sw_server *s)
{
	struct sw_relay *r = s->relay;
	const uint64_t now = sw_relay_now_ms();
	char name[SW_FULL_NAME];

	if (r->told_lost_ms && now - r->told_lost_ms < LOST_EVERY_MS)
		return;
	r->told_lost_ms = now;
	sw_relay_full_name(r, s, name);
	sw_relay_logf(r, true,
		      "upstream %s did not answer a connection from the client's address (source: "
		      "client): do its answers come back to this host? 'ip rule', 'ip route show "
		      "table 100'",
		      name);
}

static void hang_up(struct sw_check *c)
{
	if (c->fd < 0)
		return;
	event_del(&c->io);
	close(c->fd);
	c->fd = -1;
}

static void schedule(struct sw_server *s, uint64_t ms)
{
	const struct timeval tv = tv_of(ms);

	/* Out of memory: the next failed connection tries again. */
	(void)event_add(&s->check.timer, &tv);
}

static void finish(struct sw_server *s, int err)
{
	const struct sw_health_config *cf = &s->relay->cf.health;
	enum sw_health_change change;
	char why[128];

	s->check.running = false;
	schedule(s, cf->interval_ms);
	s->stats.checks++;
	s->stats.checks_failed += err != 0;
	change = sw_health_checked(&s->health, cf, err == 0);
	snprintf(why, sizeof(why), "%u check%s failed, the last by '%s'", cf->fall,
		 cf->fall == 1 ? "" : "s", strerror(err));
	sw_server_tell(s, change, err ? why : "");
}

/* Want of descriptors or ports is ours: it says nothing about the server. */
static bool is_ours(enum sw_relay_dial_fail why)
{
	return why == SW_DIAL_NO_RESOURCES || why == SW_DIAL_NO_PORT;
}

static void fail(struct sw_server *s, int err)
{
	hang_up(&s->check);
	if (is_ours(sw_dial_fail_of(err))) {
		s->check.running = false;
		schedule(s, s->relay->cf.health.interval_ms);
		return;
	}
	finish(s, err);
}

/* The server has its FIN, and perhaps something to say.  Reading it spares the server a reset, and
 * its log a line. */
static void on_farewell(evutil_socket_t fd, short what, void *arg)
{
	struct sw_server *s = arg;
	char bytes[1024];
	ssize_t n = 1;

	for (int i = 0; i < FAREWELL && n > 0 && !(what & EV_TIMEOUT); i++)
		n = recv(fd, bytes, sizeof(bytes), 0);
	if (n >= 0 || errno != EAGAIN)
		hang_up(&s->check);
}

static void on_connected(evutil_socket_t fd, short what, void *arg)
{
	struct sw_server *s = arg;
	struct sw_relay *r = s->relay;
	const struct timeval tv = tv_of(r->cf.health.timeout_ms);
	uint8_t hdr[SW_PROXYHDR_MAX];
	const size_t len = sw_proxyhdr_local(hdr, r->cf.proxy);
	int err = what & EV_TIMEOUT ? ETIMEDOUT : 0;
	socklen_t size = sizeof(err);

	if (!err && getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &size) < 0)
		err = errno;
	if (!err && len && send(fd, hdr, len, MSG_NOSIGNAL) != (ssize_t)len)
		err = errno;
	if (err) {
		fail(s, err);
		return;
	}
	event_del(&s->check.io);
	event_assign(&s->check.io, r->base, fd, EV_READ | EV_PERSIST, on_farewell, s);
	if (shutdown(fd, SHUT_WR) < 0 || event_add(&s->check.io, &tv) < 0)
		hang_up(&s->check);
	finish(s, 0);
}

static void begin(evutil_socket_t fd, short what, void *arg)
{
	struct sw_server *s = arg;
	struct sw_relay *r = s->relay;
	const struct timeval tv = tv_of(r->cf.health.timeout_ms);
	struct sw_dialled to;
	int rc;

	(void)fd, (void)what;
	hang_up(&s->check); /* of the last check, when the server never closed it */
	s->check.running = true;
	s->check.began_ms = sw_relay_now_ms();
	rc = sw_dial(s, NULL, &to);
	if (rc < 0) {
		fail(s, -rc);
		return;
	}
	s->check.fd = to.fd;
	event_assign(&s->check.io, r->base, to.fd, EV_WRITE, on_connected, s);
	if (event_add(&s->check.io, &tv) < 0)
		fail(s, ENOMEM);
}

void sw_check_start(struct sw_server *s, unsigned delay_ms)
{
	if (!s->relay->cf.health.interval_ms)
		return;
	evtimer_assign(&s->check.timer, s->relay->base, begin, s);
	schedule(s, delay_ms);
}

void sw_check_stop(struct sw_server *s)
{
	if (!event_initialized(&s->check.timer))
		return;
	hang_up(&s->check);
	event_del(&s->check.timer);
	s->check.running = false;
}

void sw_check_soon(struct sw_server *s)
{
	const uint64_t now = sw_relay_now_ms(), since = now - s->check.began_ms;

	if (!s->relay->cf.health.interval_ms || s->leaving || s->check.running)
		return;
	schedule(s, since < SOON_MS ? SOON_MS - since : 0);
}
