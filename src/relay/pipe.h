/* SPDX-License-Identifier: MIT */
#ifndef SW_RELAY_PIPE_H
#define SW_RELAY_PIPE_H

#include "core/types.h"

/**
 * One direction between two sockets.
 *
 * Bytes pass through a scratch buffer that all pipes of a relay share; only what the destination
 * did not take is kept, and while something is kept nothing more is read.  So an idle or a fast
 * connection holds no buffer, and a slow one at most the scratch buffer's size.
 */
struct sw_pipe {
	uint8_t *kept;	/* owned; NULL while nothing waits */
	size_t at, len; /* kept[at .. at+len) waits */
	bool eof;	/* the source ended; nothing is kept then */
	bool done;	/* and the end was passed on */
};

/** Where bytes pass through.  Owned by the relay. */
struct sw_scratch {
	uint8_t *bytes;
	size_t size;
};

enum sw_pipe_rc {
	SW_PIPE_WAIT, /* one of the sockets has to move first */
	SW_PIPE_MORE, /* the turn is over; call again when others had theirs */
	SW_PIPE_DONE, /* the source's end was passed on; also on every later call */
	SW_PIPE_SRC_DEAD,
	SW_PIPE_DST_DEAD,
	SW_PIPE_NO_MEMORY,
};

/**
 * Move what can be moved from @src to @dst, at most a few scratch buffers in one call.  The
 * sockets are watched edge-triggered, so SW_PIPE_WAIT is only returned after one of them said
 * EAGAIN.
 *
 * @param moved  In and out: grows by the bytes that @dst took.
 */
SW_MUST enum sw_pipe_rc sw_pipe_pump(struct sw_pipe *p, int src, int dst,
				     const struct sw_scratch *scratch, uint64_t *moved);

/** @return true when a reset of the source would go unnoticed, because nothing reads it. */
static inline bool sw_pipe_is_deaf(const struct sw_pipe *p)
{
	return p->len > 0 || p->eof;
}

/** Forget what is kept. */
void sw_pipe_clear(struct sw_pipe *p);

#endif
