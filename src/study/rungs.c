/* SPDX-License-Identifier: MIT */
#include "study/rungs.h"

#include <stdlib.h>
#include <string.h>

/* Marks that come in crowds and say little one by one. */
#define CROWD (SW_MARK_DUP_ACK | SW_MARK_ACK_UNSEEN | SW_MARK_AFTER_PEER_FIN | SW_MARK_BAD_CHECKSUM)

/* The last place is for a fold: what comes after it must go somewhere. */
static bool is_kept(const struct sw_rungs *r, const struct sw_rung *row)
{
	if ((row->flags & (SW_TCP_SYN | SW_TCP_FIN | SW_TCP_RST)) ||
	    (row->marks & (SW_MARK_OPENS | SW_MARK_FIN_ACKED)))
		return r->n < SW_RUNGS_MAX - 1;
	return r->n < (row->marks & ~(uint32_t)CROWD ? SW_RUNGS_MARKED : SW_RUNGS_PLAIN);
}

static struct sw_rung *append(struct sw_rungs *r)
{
	if (r->n == r->room) {
		const uint16_t room = r->room ? (uint16_t)(r->room * 2) : 4;
		struct sw_rung *more = realloc(r->rung, room * sizeof(*more));

		if (!more) {
			r->lost = true;
			return NULL;
		}
		r->rung = more;
		r->room = room;
	}
	return &r->rung[r->n++];
}

static void fold(struct sw_rungs *r, const struct sw_rung *row)
{
	struct sw_rung *last = r->n ? &r->rung[r->n - 1] : NULL;

	if (!last || !sw_rung_is_fold(last)) {
		last = append(r);
		if (!last)
			return;
		*last = (struct sw_rung){ .number = row->number, .at = row->at };
	}
	last->folded[row->from]++;
	last->bytes[row->from] += row->len;
	last->marks |= row->marks;
}

static char *copy_of(const char *note)
{
	const size_t n = strnlen(note, SW_RUNG_NOTE_MAX - 1);
	char *copy = malloc(n + 1);

	if (copy) {
		memcpy(copy, note, n);
		copy[n] = '\0';
	}
	return copy;
}

void sw_rungs_add(struct sw_rungs *r, const struct sw_rung *row, const char *note)
{
	struct sw_rung *kept;

	if (!is_kept(r, row)) {
		fold(r, row);
		return;
	}
	kept = append(r);
	if (!kept)
		return;
	*kept = *row;
	kept->note = NULL;
	if (note && *note && r->notes < SW_RUNG_NOTES) {
		kept->note = copy_of(note);
		r->notes++;
	}
}

void sw_rungs_clear(struct sw_rungs *r)
{
	for (size_t i = 0; i < r->n; i++)
		free(r->rung[i].note);
	free(r->rung);
	*r = (struct sw_rungs){ 0 };
}
