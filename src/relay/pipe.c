/* SPDX-License-Identifier: MIT */
#include "relay/pipe.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Scratch buffers a direction may move before another connection gets its turn. */
#define TURN 8

void sw_pipe_clear(struct sw_pipe *p)
{
	free(p->kept);
	p->kept = NULL;
	p->at = p->len = 0;
}

static bool keep(struct sw_pipe *p, const uint8_t *bytes, size_t len)
{
	assert(!p->kept);
	p->kept = malloc(len);
	if (!p->kept)
		return false;
	memcpy(p->kept, bytes, len);
	p->at = 0;
	p->len = len;
	return true;
}

/* @return the bytes taken, 0 when the socket is full, -1 when it is dead. */
static ssize_t push(int dst, const uint8_t *bytes, size_t len)
{
	for (;;) {
		const ssize_t n = send(dst, bytes, len, MSG_NOSIGNAL);

		if (n >= 0)
			return n;
		if (errno == EAGAIN)
			return 0;
		if (errno != EINTR)
			return -1;
	}
}

/* Everything, or until the socket is full.  @return the bytes taken, or -1. */
static ssize_t push_all(int dst, const uint8_t *bytes, size_t len)
{
	size_t sent = 0;

	while (sent < len) {
		const ssize_t n = push(dst, bytes + sent, len - sent);

		if (n < 0)
			return -1;
		if (n == 0)
			break;
		sent += (size_t)n;
	}
	return (ssize_t)sent;
}

static enum sw_pipe_rc flush_kept(struct sw_pipe *p, int dst, uint64_t *moved)
{
	const ssize_t n = push_all(dst, p->kept + p->at, p->len);

	if (n < 0)
		return SW_PIPE_DST_DEAD;
	p->at += (size_t)n;
	p->len -= (size_t)n;
	*moved += (uint64_t)n;
	if (p->len)
		return SW_PIPE_WAIT;
	sw_pipe_clear(p);
	return SW_PIPE_MORE;
}

static enum sw_pipe_rc pass_on(struct sw_pipe *p, int dst, const uint8_t *bytes, size_t len,
			       uint64_t *moved)
{
	const ssize_t n = push_all(dst, bytes, len);

	if (n < 0)
		return SW_PIPE_DST_DEAD;
	*moved += (uint64_t)n;
	if ((size_t)n == len)
		return SW_PIPE_MORE;
	if (!keep(p, bytes + n, len - (size_t)n))
		return SW_PIPE_NO_MEMORY;
	return SW_PIPE_WAIT;
}

static enum sw_pipe_rc read_once(struct sw_pipe *p, int src, int dst,
				 const struct sw_scratch *scratch, uint64_t *moved)
{
	const ssize_t n = recv(src, scratch->bytes, scratch->size, 0);

	if (n > 0)
		return pass_on(p, dst, scratch->bytes, (size_t)n, moved);
	if (n < 0 && errno == EAGAIN)
		return SW_PIPE_WAIT;
	if (n < 0)
		return errno == EINTR ? SW_PIPE_MORE : SW_PIPE_SRC_DEAD;
	p->eof = true;
	return SW_PIPE_MORE;
}

enum sw_pipe_rc sw_pipe_pump(struct sw_pipe *p, int src, int dst, const struct sw_scratch *scratch,
			     uint64_t *moved)
{
	enum sw_pipe_rc rc = SW_PIPE_MORE;

	for (int turn = 0; turn < TURN && rc == SW_PIPE_MORE; turn++) {
		if (p->done)
			return SW_PIPE_DONE;
		if (p->len) {
			rc = flush_kept(p, dst, moved);
		} else if (!p->eof) {
			rc = read_once(p, src, dst, scratch, moved);
		} else {
			p->done = true;
			if (shutdown(dst, SHUT_WR) < 0)
				return SW_PIPE_DST_DEAD; /* ENOTCONN: reset meanwhile */
		}
	}
	return p->done ? SW_PIPE_DONE : rc;
}
