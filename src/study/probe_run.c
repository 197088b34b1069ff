/* SPDX-License-Identifier: MIT */
#include "study/probe_run.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define NS_PER_MS     1000000ull
#define SEND_ATTEMPTS 5
#define RESETS_NS     (1000 * NS_PER_MS) /* for the last resets of a run that ends early */
#define HEAR_MAX      256 /* packets between two looks at the clock */

/* What a port waits for. */
enum wait { TO_SEND, FOR_ANSWER, HELD, TO_RESET, DONE };

struct progress {
	enum wait wait;
	uint64_t due_ns; /* CLOCK_MONOTONIC */
};

struct run {
	struct sw_probe_net *net;
	const struct sw_probe_config *cf;
	struct sw_probe_port *ports;
	unsigned nports;
	struct progress *prog; /* one a port */
	struct sw_probe_base base;
	uint64_t pace_ns; /* no packet before this, CLOCK_MONOTONIC */
	char *err;
	char unsaid[SW_PROBE_ERR]; /* errors behind the one that ended the run */
};

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	(void)clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static struct sw_probe_sample *current(struct run *r, unsigned i)
{
	return &r->ports[i].s[r->ports[i].n];
}

static bool samples_more(const struct run *r, unsigned i)
{
	return r->ports[i].n < r->cf->samples && r->ports[i].s[0].heard == SW_PROBE_SYNACK;
}

/* The sample is complete: on to the next one, or done with the port. */
static void complete(struct run *r, unsigned i, uint64_t now)
{
	struct sw_probe_port *p = &r->ports[i];

	p->n++;
	r->prog[i] = (struct progress){ DONE, UINT64_MAX };
	if (!samples_more(r, i))
		return;
	memset(current(r, i), 0, sizeof(*p->s));
	sw_probe_plan(&r->base, p->port, p->n, &current(r, i)->syn);
	r->prog[i] = (struct progress){ TO_SEND, now + r->cf->gap_ns };
}

/* An error may be left over from an ICMP message that came this instant: try again. */
static int send_segment(struct run *r, const struct sw_probe_syn *syn, const uint8_t *tcp,
			size_t len)
{
	int rc = -EIO;

	for (unsigned n = 0; n < SEND_ATTEMPTS && rc != 0; n++) {
		rc = sw_probe_net_send(r->net, tcp, len);
		if (rc == -EPERM || rc == -EACCES)
			break;
	}
	if (rc == 0)
		return 0;
	(void)snprintf(r->err, SW_PROBE_ERR, "cannot send to port %u: %s%s", syn->dport,
		       strerror(-rc), rc == -EPERM ? ": a firewall of this host forbids it" : "");
	return rc;
}

static int send_syn(struct run *r, unsigned i, uint64_t now)
{
	struct sw_probe_sample *s = current(r, i);
	uint8_t tcp[SW_PROBE_SYN_MAX];
	const size_t len =
		sw_probe_write_syn(tcp, r->net->family, &r->net->src, &r->net->dst, &s->syn);

	s->tries++;
	s->sent_ns = clock_ns(CLOCK_REALTIME);
	r->prog[i] = (struct progress){ FOR_ANSWER, now + r->cf->timeout_ns };
	return send_segment(r, &s->syn, tcp, len);
}

static int send_rst(struct run *r, unsigned i, uint64_t now)
{
	const struct sw_probe_syn syn = current(r, i)->syn;
	uint8_t tcp[SW_PROBE_SYN_MAX];
	const size_t len =
		sw_probe_write_rst(tcp, r->net->family, &r->net->src, &r->net->dst, &syn);

	complete(r, i, now);
	return send_segment(r, &syn, tcp, len);
}

/* A time has come.  @return 1 when a packet went out, 0, or a negative errno. */
static int act(struct run *r, unsigned i, uint64_t now)
{
	struct sw_probe_sample *s = current(r, i);
	int rc;

	switch (r->prog[i].wait) {
	case TO_SEND:
		rc = send_syn(r, i, now);
		return rc < 0 ? rc : 1;
	case TO_RESET:
		rc = send_rst(r, i, now);
		return rc < 0 ? rc : 1;
	case FOR_ANSWER:
		if (s->tries <= r->cf->retries)
			r->prog[i] = (struct progress){ TO_SEND, now };
		else
			complete(r, i, now);
		return 0;
	case HELD:
		s->held_ns = r->cf->hold_ns;
		r->prog[i] = (struct progress){ TO_RESET, now };
		return 0;
	default:
		return 0;
	}
}

/* ---- hearing ---- */

static void heard_first(struct run *r, unsigned i, const struct sw_probe_packet *p, uint64_t now)
{
	struct sw_probe_sample *s = current(r, i);

	s->heard_ns = p->at_ns > s->sent_ns ? p->at_ns : s->sent_ns;
	s->answer = p->seg;
	if (s->heard != SW_PROBE_SYNACK) {
		complete(r, i, now);
		return;
	}
	if (r->cf->samples > 1 && r->ports[i].n == 0)
		r->prog[i] = (struct progress){ HELD, now + r->cf->hold_ns };
	else
		r->prog[i] = (struct progress){ TO_RESET, now };
}

static void heard_again(struct run *r, unsigned i, const struct sw_probe_packet *p, uint64_t now)
{
	struct sw_probe_sample *s = current(r, i);
	const uint64_t after = p->at_ns > s->heard_ns ? p->at_ns - s->heard_ns : 0;

	/* Both copies of a frame that the network doubled come at once; a timer takes longer. */
	if (after < 100 * NS_PER_MS || p->seg.seq != s->answer.seq)
		return;
	s->again++;
	s->again_ns = after;
	s->held_ns = after;
	r->prog[i] = (struct progress){ TO_RESET, now };
}

/* A SYN-ACK for a port that was given up: it counts after all. */
static bool late(struct run *r, unsigned i, const struct sw_probe_packet *p, uint64_t now)
{
	struct sw_probe_port *port = &r->ports[i];
	enum sw_probe_heard heard;

	if (r->prog[i].wait != DONE || port->n != 1 || port->s[0].heard != SW_PROBE_SILENCE ||
	    p->icmp || !sw_probe_matches(&port->s[0].syn, &p->seg, &heard))
		return false;
	port->n = 0;
	port->s[0].heard = heard;
	heard_first(r, i, p, now);
	return true;
}

static bool is_about(const struct sw_probe_packet *p, const struct sw_probe_syn *syn)
{
	return p->seg.sport == syn->sport && p->seg.dport == syn->dport && p->seg.seq == syn->isn;
}

static void hear(struct run *r, unsigned i, const struct sw_probe_packet *p, uint64_t now)
{
	struct sw_probe_sample *s = current(r, i);
	enum sw_probe_heard heard;

	if (late(r, i, p, now) || (r->prog[i].wait != FOR_ANSWER && r->prog[i].wait != HELD))
		return;
	if (p->icmp) {
		if (r->prog[i].wait != FOR_ANSWER || !is_about(p, &s->syn))
			return;
		s->heard = SW_PROBE_ICMP;
		s->icmp_type = p->icmp_type;
		s->icmp_code = p->icmp_code;
		s->icmp_from = p->icmp_from;
		heard_first(r, i, p, now);
	} else if (sw_probe_matches(&s->syn, &p->seg, &heard)) {
		if (r->prog[i].wait == HELD) {
			if (heard == SW_PROBE_SYNACK)
				heard_again(r, i, p, now);
			return;
		}
		s->heard = heard;
		heard_first(r, i, p, now);
	}
}

static void hear_all(struct run *r)
{
	struct sw_probe_packet p;

	/* A host that sends without end shall not keep us from our own times. */
	for (unsigned n = 0; n < HEAR_MAX && sw_probe_net_recv(r->net, &p); n++) {
		const uint16_t port = p.icmp ? p.seg.dport : p.seg.sport;
		const uint64_t now = clock_ns(CLOCK_MONOTONIC);

		for (unsigned i = 0; i < r->nports; i++) {
			if (r->ports[i].port == port)
				hear(r, i, &p, now);
		}
	}
}

/* ---- the loop ---- */

static bool sends(enum wait w)
{
	return w == TO_SEND || w == TO_RESET;
}

/* Everything whose time has come.  Resets first, then SYNs, one packet at most. */
static int act_all(struct run *r, uint64_t now)
{
	static const enum wait order[] = { FOR_ANSWER, HELD, TO_RESET, TO_SEND };

	for (size_t k = 0; k < sizeof(order) / sizeof(order[0]); k++) {
		for (unsigned i = 0; i < r->nports; i++) {
			int rc;

			if (r->prog[i].wait != order[k] || r->prog[i].due_ns > now)
				continue;
			if (sends(order[k]) && r->pace_ns > now)
				return 0;
			rc = act(r, i, now);
			if (rc < 0)
				return rc;
			if (rc > 0) {
				r->pace_ns = now + SW_PROBE_PACKET_NS;
				return 0;
			}
		}
	}
	return 0;
}

/* @return when something is due next; UINT64_MAX when all is done. */
static uint64_t next_due(const struct run *r)
{
	uint64_t due = UINT64_MAX;

	for (unsigned i = 0; i < r->nports; i++) {
		uint64_t at = r->prog[i].due_ns;

		if (r->prog[i].wait == DONE)
			continue;
		if (sends(r->prog[i].wait) && at < r->pace_ns)
			at = r->pace_ns;
		if (at < due)
			due = at;
	}
	return due;
}

static void wait_until(const struct run *r, uint64_t due)
{
	struct pollfd pfd = { r->net->raw, POLLIN, 0 };
	const uint64_t now = clock_ns(CLOCK_MONOTONIC);
	const uint64_t left = due > now ? due - now : 0;
	const struct timespec ts = { (time_t)(left / 1000000000u), (long)(left % 1000000000u) };

	sigset_t none;

	sigemptyset(&none);
	(void)ppoll(&pfd, 1, &ts, &none); /* a signal ends it, and the caller looks at stop */
}

static void sleep_until(uint64_t at)
{
	const struct timespec ts = { (time_t)(at / 1000000000u), (long)(at % 1000000000u) };

	(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

/*
 * Take back what is open before leaving early, at the pace of all packets, and for RESETS_NS at
 * most: whatever is left the kernel resets once the quiet sockets are gone (docs/probe.md).
 */
static void reset_all(struct run *r)
{
	const uint64_t end = clock_ns(CLOCK_MONOTONIC) + RESETS_NS;

	r->err = r->unsaid;
	for (unsigned i = 0; i < r->nports && r->pace_ns < end; i++) {
		if (r->prog[i].wait != HELD && r->prog[i].wait != TO_RESET)
			continue;
		sleep_until(r->pace_ns);
		(void)send_rst(r, i, 0);
		r->pace_ns = clock_ns(CLOCK_MONOTONIC) + SW_PROBE_PACKET_NS;
	}
}

static bool begin(struct run *r, char err[SW_PROBE_ERR])
{
	r->err = err;
	r->base.family = r->net->family;
	r->base.ts = r->cf->ts;
	memcpy(r->base.sport, r->net->sport, sizeof(r->base.sport));
	r->prog = calloc(r->nports, sizeof(*r->prog));
	if (!r->prog ||
	    getrandom(&r->base.isn, sizeof(r->base.isn), 0) != (ssize_t)sizeof(r->base.isn) ||
	    getrandom(&r->base.tsval, sizeof(r->base.tsval), 0) != (ssize_t)sizeof(r->base.tsval)) {
		(void)snprintf(err, SW_PROBE_ERR, "no memory, or no random numbers");
		free(r->prog);
		return false;
	}
	for (unsigned i = 0; i < r->nports; i++) {
		r->ports[i].n = 0;
		memset(r->ports[i].s, 0, sizeof(*r->ports[i].s));
		sw_probe_plan(&r->base, r->ports[i].port, 0, &r->ports[i].s[0].syn);
	}
	return true;
}

int sw_probe_run(struct sw_probe_net *net, const struct sw_probe_config *cf,
		 struct sw_probe_port *ports, unsigned nports, const volatile sig_atomic_t *stop,
		 char err[SW_PROBE_ERR])
{
	struct run r = { .net = net, .cf = cf, .ports = ports, .nports = nports };
	int rc = 0;

	if (!begin(&r, err))
		return -ENOMEM;
	for (uint64_t due = 0; due != UINT64_MAX && rc == 0 && !*stop; due = next_due(&r)) {
		wait_until(&r, due);
		hear_all(&r);
		rc = act_all(&r, clock_ns(CLOCK_MONOTONIC));
	}
	reset_all(&r);
	free(r.prog);
	return rc;
}
