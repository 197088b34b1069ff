/* SPDX-License-Identifier: MIT */
#include "listen/admitq.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct sw_admitq {
	pthread_mutex_t lock; /* protects all below but fd */
	unsigned depth, head, len, kept;
	bool pushed; /* since the last wake */
	int fd;      /* owned eventfd */
	struct sw_admitted slot[];
};

int sw_admitq_new(struct sw_admitq **out, unsigned depth)
{
	struct sw_admitq *q = calloc(1, sizeof(*q) + depth * sizeof(q->slot[0]));
	int rc;

	if (!q)
		return -ENOMEM;
	q->depth = depth;
	q->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->fd < 0) {
		rc = -errno;
		free(q);
		return rc;
	}
	pthread_mutex_init(&q->lock, NULL);
	*out = q;
	return 0;
}

void sw_admitq_free(struct sw_admitq *q)
{
	struct sw_admitted a;

	if (!q)
		return;
	while (sw_admitq_pop(q, &a))
		close(a.fd);
	close(q->fd);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

bool sw_admitq_reserve(struct sw_admitq *q)
{
	bool ok;

	pthread_mutex_lock(&q->lock);
	ok = q->len + q->kept < q->depth;
	q->kept += ok;
	pthread_mutex_unlock(&q->lock);
	return ok;
}

void sw_admitq_cancel(struct sw_admitq *q)
{
	pthread_mutex_lock(&q->lock);
	q->kept--;
	pthread_mutex_unlock(&q->lock);
}

void sw_admitq_push(struct sw_admitq *q, const struct sw_admitted *a)
{
	pthread_mutex_lock(&q->lock);
	q->kept--;
	q->slot[(q->head + q->len) % q->depth] = *a;
	q->len++;
	q->pushed = true;
	pthread_mutex_unlock(&q->lock);
}

void sw_admitq_wake(struct sw_admitq *q)
{
	const uint64_t one = 1;
	bool wake;

	pthread_mutex_lock(&q->lock);
	wake = q->pushed;
	q->pushed = false;
	pthread_mutex_unlock(&q->lock);
	/* A full counter is readable as well. */
	if (wake && write(q->fd, &one, sizeof(one)) < 0)
		return;
}

int sw_admitq_fd(const struct sw_admitq *q)
{
	return q->fd;
}

void sw_admitq_ack(struct sw_admitq *q)
{
	uint64_t n;

	if (read(q->fd, &n, sizeof(n)) < 0)
		return;
}

bool sw_admitq_pop(struct sw_admitq *q, struct sw_admitted *out)
{
	bool ok;

	pthread_mutex_lock(&q->lock);
	ok = q->len > 0;
	if (ok) {
		*out = q->slot[q->head];
		q->head = (q->head + 1) % q->depth;
		q->len--;
	}
	pthread_mutex_unlock(&q->lock);
	return ok;
}

unsigned sw_admitq_len(struct sw_admitq *q)
{
	unsigned n;

	pthread_mutex_lock(&q->lock);
	n = q->len;
	pthread_mutex_unlock(&q->lock);
	return n;
}

unsigned sw_admitq_held(struct sw_admitq *q)
{
	unsigned n;

	pthread_mutex_lock(&q->lock);
	n = q->len + q->kept;
	pthread_mutex_unlock(&q->lock);
	return n;
}
