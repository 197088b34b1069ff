/* SPDX-License-Identifier: MIT */
#include "listen/worker.h"
#include "listen/shed.h"
#include "steer/secret.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

_Static_assert(SW_BURST <= SW_TX_BATCH, "a turn's answers fit one batch");

#define SETTLE_POLL_MS 1
#define IDLE_POLL_MS 500 /* a sign of life twice a second */
#define FULL_NS 20000000    /* without an empty ring, then the thread comes first */
#define CALM_NS 1000000000  /* without that, then no longer */
#define BUSY_NS 4000000	    /* without an empty ring, then it rests */
#define REST_NS 200000
#define TICK_NS 1000000000ull
#define LOST_EVERY_NS 100000000ull /* how often the ring's losses are asked for */
#define SECRET_LEN offsetof(struct sw_ctx, policy)

static enum sw_why admit(void *arg, const struct sw_seg *seg, const struct sw_decision *d)
{
	return sw_admit(&((struct sw_worker *)arg)->ad, seg, d, sw_clock_mono);
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

static void take_keys(struct sw_worker *w, sw_mono now)
{
	struct sw_rekey *rk;

	if (atomic_load_explicit(&w->orders.succeed, memory_order_relaxed)) {
		rk = atomic_exchange(&w->orders.succeed, NULL);
		sw_ctx_succeed(w->cx, rk->any ? &rk->keys : NULL, now);
		sw_rekey_free(rk);
	}
	if (atomic_load_explicit(&w->orders.rekey, memory_order_relaxed)) {
		rk = atomic_exchange(&w->orders.rekey, NULL);
		sw_ctx_rekey(w->cx, &rk->keys);
		memcpy(w->ad.slot, rk->slot, sizeof(rk->slot));
		sw_rekey_free(rk);
	}
}

static bool is_to_drain(struct sw_worker *w)
{
	return atomic_load_explicit(&w->orders.drain, memory_order_acquire);
}

/* Before a turn: SYNs that come behind the order to go on are answered. */
static void go_on(struct sw_worker *w)
{
	if (is_to_drain(w))
		return;
	w->to_see = w->ring_frames;
	w->cx->draining = false;
}

/* Behind a turn of @n frames.  SYNs that were in the ring when the drain began are still answered:
 * whoever takes over has not seen them. */
static void drain(struct sw_worker *w, unsigned n)
{
	if (!is_to_drain(w))
		return;
	w->to_see = n < SW_BURST || w->to_see <= n ? 0 : w->to_see - n; /* it was empty at the end */
	if (w->to_see)
		return;
	w->cx->draining = true;
	atomic_store_explicit(&w->quiet, true, memory_order_release);
}

/* One turn of the loop.  @return how long to wait for the next, in milliseconds. */
static int turn(struct sw_worker *w, const struct sw_io *io, sw_mono mono)
{
	const sw_wall wall = sw_clock_wall();
	unsigned n;
	bool waiting;

	take_keys(w, mono);
	if (!sw_ctx_advance(w->cx, wall, mono))
		sw_count(&w->n.why[SW_WHY_NO_KEY], 1);
	go_on(w);
	n = sw_turn(w->cx, &w->n, io, wall, mono);
	waiting = sw_admit_settle(&w->ad, mono);
	drain(w, n);
	sw_count(&w->beats, 1);
	return n == SW_BURST ? 0 : waiting ? SETTLE_POLL_MS : IDLE_POLL_MS;
}

static bool await(struct sw_worker *w, int timeout)
{
	struct pollfd pfd[2] = { { .fd = sw_ring_fd(w->ring), .events = POLLIN },
				 { .fd = w->bell_fd, .events = POLLIN } };
	uint64_t rung;

	if (poll(pfd, 2, timeout) < 0 && errno != EINTR)
		return false;
	if (pfd[1].revents && read(w->bell_fd, &rung, sizeof(rung)) < 0 && errno != EAGAIN)
		return false;
	if (pfd[0].revents & POLLERR)
		clear_error(pfd[0].fd);
	return !atomic_load_explicit(&w->orders.stop, memory_order_acquire);
}

static void come_first(struct sw_worker *w)
{
	if (w->first)
		return;
	sw_thread_first();
	w->first = true;
}

/* A small ring overflows before it is seen not to get empty. */
static void ask_lost(struct sw_worker *w, sw_mono now)
{
	const uint64_t lost = sw_ring_lost(w->ring);

	sw_count(&w->ring_lost, lost);
	if (!lost)
		return;
	w->calm_since = now;
	come_first(w);
}

/*
 * A ring that does not get empty: first on its core, but not for ever.  Kernel threads that are bound
 * to the core must have their turn; the ring holds what comes meanwhile.
 */
static void hold_up(struct sw_worker *w, sw_mono now)
{
	const struct timespec nap = { .tv_nsec = REST_NS };

	w->calm_since = now;
	if (!w->busy_since.ns) {
		w->busy_since = now;
	} else if (!w->first && now.ns - w->busy_since.ns > FULL_NS) {
		come_first(w);
	} else if (w->first && now.ns - w->busy_since.ns > BUSY_NS) {
		nanosleep(&nap, NULL);
		w->busy_since = now;
	}
}

static void pace(struct sw_worker *w, bool busy, sw_mono now)
{
	if (busy) {
		hold_up(w, now);
		return;
	}
	w->busy_since.ns = 0;
	if (w->first && now.ns - w->calm_since.ns > CALM_NS) {
		sw_thread_prefer();
		w->first = false;
	}
}

static void *run(void *arg)
{
	struct sw_worker *w = arg;
	const struct sw_io io = { w, next, slot, send_frame, flush, give_back, admit };
	sw_mono asked = { 0 }, ticked = { 0 }, mono;
	int wait;

	sw_thread_may_be_first();
	sw_thread_prefer();
	sw_shed();
	do {
		mono = sw_clock_mono();
		if (w->tick && mono.ns - ticked.ns >= TICK_NS) {
			w->tick(w->tick_arg);
			ticked = mono;
		}
		if (mono.ns - asked.ns >= LOST_EVERY_NS) {
			ask_lost(w, mono);
			asked = mono;
		}
		wait = turn(w, &io, mono);
		pace(w, wait == 0, mono);
	} while (await(w, wait));
	/* Nothing is steered here any more, but the ring may hold what was. */
	for (uint64_t left = w->ring_frames; left > SW_BURST; left -= SW_BURST)
		if (turn(w, &io, sw_clock_mono()) != 0)
			break;
	sw_admit_finish(&w->ad);
	return NULL;
}

static int new_context(struct sw_ctx **out, const struct sw_worker_config *cf)
{
	struct sw_ctx *cx = sw_secret_new(sizeof(*cx), SECRET_LEN);
	uint64_t seed;

	if (!cx)
		return -ENOMEM;
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed) ||
	    !sw_ctx_init(cx, cf->policy, cf->alg, &cf->keys->masters, seed, sw_clock_wall(),
			 sw_clock_mono())) {
		sw_secret_free(cx, sizeof(*cx), SECRET_LEN);
		return -ENOTSUP;
	}
	*out = cx;
	return 0;
}

static void free_context(struct sw_ctx *cx)
{
	sw_ctx_wipe(cx);
	sw_secret_free(cx, sizeof(*cx), SECRET_LEN);
}

static void set_up(struct sw_worker *w, struct sw_admitq *queue, const struct sw_worker_config *cf)
{
	memset(w, 0, sizeof(*w));
	w->ring_frames = cf->ring_frames;
	w->tick = cf->tick;
	w->tick_arg = cf->tick_arg;
	w->ad.n = &w->n;
	w->ad.queue = queue;
	w->ad.ifindex = cf->ifindex;
	w->ad.settle_ns = cf->settle_ns;
	memcpy(w->ad.slot, cf->keys->slot, sizeof(w->ad.slot));
}

int sw_worker_init(struct sw_worker *w, int fd, struct sw_admitq *queue,
		   const struct sw_worker_config *cf)
{
	int rc;

	set_up(w, queue, cf);
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
	w->ad.cx = w->cx;
	w->bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->bell_fd < 0) {
		rc = -errno;
		goto free_cx;
	}
	return 0;

free_cx:
	free_context(w->cx);
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

static void ring_bell(struct sw_worker *w)
{
	const uint64_t one = 1;

	/* A full counter wakes as well. */
	if (write(w->bell_fd, &one, sizeof(one)) < 0)
		return;
}

void sw_worker_stop(struct sw_worker *w)
{
	if (!w->ring)
		return;
	if (w->running) {
		atomic_store_explicit(&w->orders.stop, true, memory_order_release);
		ring_bell(w);
		pthread_join(w->thread, NULL);
	}
	sw_rekey_free(atomic_exchange(&w->orders.rekey, NULL));
	sw_rekey_free(atomic_exchange(&w->orders.succeed, NULL));
	close(w->bell_fd);
	free_context(w->cx);
	sw_tx_close(w->tx);
	sw_ring_close(w->ring);
	w->ring = NULL;
	w->running = false;
}

void sw_worker_drain(struct sw_worker *w, bool on)
{
	if (atomic_load_explicit(&w->orders.drain, memory_order_relaxed) == on)
		return;
	atomic_store_explicit(&w->quiet, false, memory_order_relaxed);
	atomic_store_explicit(&w->orders.drain, on, memory_order_release);
	ring_bell(w);
}

int sw_rekey_new(struct sw_rekey **out, const struct sw_keyfile *keys, enum sw_mac_alg alg)
{
	struct sw_rekey *rk = sw_secret_new(sizeof(*rk), sizeof(*rk));

	if (!rk)
		return -ENOMEM;
	if (keys && !sw_keyring_init(&rk->keys, alg, &keys->masters, sw_clock_wall())) {
		sw_rekey_free(rk);
		return -ENOTSUP;
	}
	if (keys)
		memcpy(rk->slot, keys->slot, sizeof(rk->slot));
	rk->any = keys != NULL;
	*out = rk;
	return 0;
}

void sw_rekey_free(struct sw_rekey *rk)
{
	if (!rk)
		return;
	sw_keyring_wipe(&rk->keys); /* nothing where it was moved */
	sw_secret_free(rk, sizeof(*rk), sizeof(*rk));
}

void sw_worker_rekey(struct sw_worker *w, struct sw_rekey *rk)
{
	sw_rekey_free(atomic_exchange(&w->orders.rekey, rk));
	ring_bell(w);
}

void sw_worker_succeed(struct sw_worker *w, struct sw_rekey *rk)
{
	/* One that brings no keys must not push another aside that does. */
	if (!rk->any && atomic_load(&w->orders.succeed)) {
		sw_rekey_free(rk);
		return;
	}
	sw_rekey_free(atomic_exchange(&w->orders.succeed, rk));
	ring_bell(w);
}
