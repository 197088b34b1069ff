/* SPDX-License-Identifier: MIT */
#include "listen/worker.h"
#include "handoff/repair.h"
#include "handoff/timewait.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

_Static_assert(SW_BURST <= SW_TX_BATCH, "a turn's answers fit one batch");

#define SETTLE_POLL_MS 1
#define TICK_NS 1000000000ull
#define NICE -10
#define SLICE_NS 100000
#define LOST_EVERY_NS 100000000ull /* how often the ring's losses are asked for */

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

sw_mono sw_clock_mono(void)
{
	return (sw_mono){ clock_ns(CLOCK_MONOTONIC) };
}

sw_wall sw_clock_wall(void)
{
	return (sw_wall){ clock_ns(CLOCK_REALTIME) };
}

/* struct sched_attr of linux/sched/types.h, which glibc's headers do not go together with. */
struct sched_request {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

void sw_thread_prefer(void)
{
	struct sched_request rq = { .size = sizeof(rq), .nice = NICE, .runtime = SLICE_NS };

	if (syscall(SYS_sched_setattr, 0, &rq, 0) == 0)
		return;
	errno = 0;
	rq.nice = getpriority(PRIO_PROCESS, 0);
	if (errno == 0)
		(void)!syscall(SYS_sched_setattr, 0, &rq, 0);
}

static socklen_t peer_of(struct sockaddr_storage *out, const struct sw_seg *seg, unsigned ifindex)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
	struct sockaddr_in *in4 = (struct sockaddr_in *)out;

	memset(out, 0, sizeof(*out));
	if (seg->family == SW_IP4) {
		in4->sin_family = AF_INET;
		in4->sin_port = htons(seg->sport);
		memcpy(&in4->sin_addr, seg->src.b, 4);
		return sizeof(*in4);
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(seg->sport);
	memcpy(&in6->sin6_addr, seg->src.b, 16);
	if (IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr))
		in6->sin6_scope_id = ifindex;
	return sizeof(*in6);
}

static enum sw_why why_failed(struct sw_worker *w, int rc)
{
	switch (rc) {
	case -EADDRNOTAVAIL:
		return SW_WHY_DUPLICATE;
	case -EMFILE:
	case -ENFILE:
	case -ENOMEM:
	case -ENOBUFS:
		atomic_store_explicit(&w->trouble, -rc, memory_order_relaxed);
		return SW_WHY_NO_DESCRIPTOR;
	default:
		atomic_store_explicit(&w->trouble, -rc, memory_order_relaxed);
		return SW_WHY_HANDOFF_FAILED;
	}
}

static int make_socket(struct sw_worker *w, const struct sw_seg *seg, const struct sw_decision *d,
		       int *fd)
{
	const int rc = sw_repair_connect(seg, &d->terms, &d->cookie, &w->cx->policy, w->ifindex, fd,
					 NULL);

	/* The client opens a connection anew that this host has just closed. */
	if (rc != -EADDRNOTAVAIL || sw_timewait_end(seg, w->ifindex))
		return rc;
	return sw_repair_connect(seg, &d->terms, &d->cookie, &w->cx->policy, w->ifindex, fd, NULL);
}

static enum sw_why admit(void *arg, const struct sw_seg *seg, const struct sw_decision *d)
{
	struct sw_worker *w = arg;
	struct sw_admitted *a = &w->made[w->nmade].a;
	int rc;

	if (w->nmade == SW_MAX_MADE || !sw_admitq_reserve(w->queue)) {
		atomic_store_explicit(&w->trouble, EAGAIN, memory_order_relaxed);
		return SW_WHY_QUEUE_FULL;
	}
	rc = make_socket(w, seg, d, &a->fd);
	if (rc) {
		sw_admitq_cancel(w->queue);
		return why_failed(w, rc);
	}
	a->peerlen = peer_of(&a->peer, seg, w->ifindex);
	w->made[w->nmade++].since = sw_clock_mono();
	return SW_WHY_ACK_PROVEN;
}

/* The kernel has delivered, and what was queued behind the ACK has been given back: from here on it
 * delivers directly, and the application has the socket. */
static void publish(struct sw_worker *w, const struct sw_made *m)
{
	if (sw_repair_unveil(m->a.fd))
		sw_count(&w->n.why[SW_WHY_HANDOFF_FAILED], 1);
	sw_admitq_push(w->queue, &m->a);
}

/* At the end of a turn.  @return whether sockets are still waiting for their first segment. */
static bool settle(struct sw_worker *w, sw_mono now)
{
	unsigned kept = 0, published = 0;

	for (unsigned i = 0; i < w->nmade; i++) {
		const struct sw_made m = w->made[i];

		if (!w->settle_ns || sw_repair_heard(m.a.fd)) {
			publish(w, &m);
			published++;
		} else if (now.ns < m.since.ns + w->settle_ns) {
			w->made[kept++] = m;
		} else {
			sw_repair_discard(m.a.fd);
			sw_admitq_cancel(w->queue);
			sw_count(&w->n.why[SW_WHY_FILTERED], 1);
		}
	}
	w->nmade = kept;
	if (published)
		sw_admitq_wake(w->queue);
	return kept > 0;
}

static bool next(void *arg, struct sw_rx *rx)
{
	return sw_ring_next(((struct sw_worker *)arg)->ring, rx);
}

static uint8_t *slot(void *arg)
{
	return sw_tx_slot(((struct sw_worker *)arg)->tx);
}

static void send_frame(void *arg, size_t len)
{
	sw_tx_push(((struct sw_worker *)arg)->tx, len);
}

static unsigned flush(void *arg)
{
	return sw_tx_flush(((struct sw_worker *)arg)->tx);
}

static int give_back(void *arg, const struct sw_rx *rx)
{
	return sw_ring_give_back(((struct sw_worker *)arg)->ring, rx);
}

/* An interface that went down is an error that poll() tells until somebody asks for it. */
static void clear_error(int fd)
{
	int error;
	socklen_t len = sizeof(error);

	(void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
}

static void *run(void *arg)
{
	struct sw_worker *w = arg;
	const struct sw_io io = { w, next, slot, send_frame, flush, give_back, admit };
	struct pollfd pfd[2] = { { .fd = sw_ring_fd(w->ring), .events = POLLIN },
				 { .fd = w->stop_fd, .events = POLLIN } };

	sw_mono asked = { 0 }, ticked = { 0 };

	sw_thread_prefer();
	for (;;) {
		const sw_wall wall = sw_clock_wall();
		const sw_mono mono = sw_clock_mono();
		bool waiting;
		unsigned n;

		if (w->tick && mono.ns - ticked.ns >= TICK_NS) {
			w->tick(w->tick_arg);
			ticked = mono;
		}
		if (!sw_keyring_advance(&w->cx->keys, wall))
			sw_count(&w->n.why[SW_WHY_NO_KEY], 1);
		n = sw_turn(w->cx, &w->n, &io, wall, mono);
		waiting = settle(w, mono);
		if (poll(pfd, 2, n == SW_BURST ? 0 : waiting ? SETTLE_POLL_MS : 1000) < 0 &&
		    errno != EINTR)
			break;
		if (pfd[1].revents)
			break;
		if (pfd[0].revents & POLLERR)
			clear_error(pfd[0].fd);
		if (mono.ns - asked.ns >= LOST_EVERY_NS) {
			sw_count(&w->ring_lost, sw_ring_lost(w->ring));
			asked = mono;
		}
	}
	for (unsigned i = 0; i < w->nmade; i++)
		sw_admitq_push(w->queue, &w->made[i].a);
	return NULL;
}

static int new_context(struct sw_ctx **out, const struct sw_worker_config *cf)
{
	struct sw_ctx *cx = calloc(1, sizeof(*cx));
	uint64_t seed;

	if (!cx)
		return -ENOMEM;
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed) ||
	    !sw_ctx_init(cx, cf->policy, cf->alg, cf->masters, seed, sw_clock_wall(),
			 sw_clock_mono())) {
		free(cx);
		return -ENOTSUP;
	}
	*out = cx;
	return 0;
}

int sw_worker_init(struct sw_worker *w, int fd, struct sw_admitq *queue,
		   const struct sw_worker_config *cf)
{
	int rc;

	memset(w, 0, sizeof(*w));
	w->queue = queue;
	w->ifindex = cf->ifindex;
	w->settle_ns = cf->settle_ns;
	w->tick = cf->tick;
	w->tick_arg = cf->tick_arg;
	rc = sw_ring_open(&w->ring, fd, cf->far_ifindex, cf->ring_frames, cf->fanout);
	if (rc) {
		close(fd);
		return rc;
	}
	rc = sw_tx_open(&w->tx, cf->ifindex, cf->qdisc_bypass);
	if (rc)
		goto close_ring;
	rc = new_context(&w->cx, cf);
	if (rc)
		goto close_tx;
	w->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->stop_fd < 0) {
		rc = -errno;
		goto free_context;
	}
	return 0;

free_context:
	sw_ctx_wipe(w->cx);
	free(w->cx);
close_tx:
	sw_tx_close(w->tx);
close_ring:
	sw_ring_close(w->ring);
	memset(w, 0, sizeof(*w));
	return rc;
}

int sw_worker_start(struct sw_worker *w)
{
	sigset_t all, old;
	int rc;

	/* Signals are the application's. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	rc = pthread_create(&w->thread, NULL, run, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	w->running = rc == 0;
	return -rc;
}

void sw_worker_stop(struct sw_worker *w)
{
	const uint64_t one = 1;

	if (!w->ring)
		return;
	if (w->running && write(w->stop_fd, &one, sizeof(one)) == sizeof(one))
		pthread_join(w->thread, NULL);
	close(w->stop_fd);
	sw_ctx_wipe(w->cx);
	free(w->cx);
	sw_tx_close(w->tx);
	sw_ring_close(w->ring);
	w->ring = NULL;
	w->running = false;
}
