/* SPDX-License-Identifier: MIT */
#include "ops/mistakes.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD_MAX 40 /* longer words have no near ones */

void sw_mistake_add(struct sw_mistakes *m, unsigned line, unsigned column, const char *fmt, ...)
{
	struct sw_mistake *more;
	va_list ap;

	more = m->n < SW_MISTAKES_MAX ? realloc(m->at, (m->n + 1) * sizeof(*more)) : NULL;
	if (!more) {
		m->more++;
		return;
	}
	m->at = more;
	m->at[m->n] = (struct sw_mistake){ .line = line, .column = column };
	va_start(ap, fmt);
	vsnprintf(m->at[m->n].text, SW_MISTAKE_LEN, fmt, ap);
	va_end(ap);
	/* A value from the file is repeated in it: one mistake stays one line. */
	for (unsigned char *p = (unsigned char *)m->at[m->n].text; *p; p++)
		if (*p < 0x20 || *p == 0x7f)
			*p = '?';
	m->n++;
}

static bool comes_after(const struct sw_mistake *a, const struct sw_mistake *b)
{
	return a->line != b->line ? a->line > b->line : a->column > b->column;
}

/* By insertion: there are few, and those of one place keep their order. */
void sw_mistakes_sort(struct sw_mistakes *m)
{
	for (size_t i = 1; i < m->n; i++) {
		const struct sw_mistake moved = m->at[i];
		size_t j = i;

		for (; j > 0 && comes_after(&m->at[j - 1], &moved); j--)
			m->at[j] = m->at[j - 1];
		m->at[j] = moved;
	}
}

const char *sw_mistake_str(const struct sw_mistakes *m, size_t i, char *out, size_t size)
{
	const struct sw_mistake *w = &m->at[i];

	if (w->line)
		snprintf(out, size, "%s:%u:%u: %s", m->path, w->line, w->column, w->text);
	else
		snprintf(out, size, "%s: %s", m->path, w->text);
	return out;
}

void sw_mistakes_free(struct sw_mistakes *m)
{
	free(m->at);
	m->at = NULL;
	m->n = m->more = 0;
}

static char folded(char c)
{
	return c == '-' ? '_' : (char)tolower((unsigned char)c);
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Edits between two words: letters put in, left out, changed, or swapped with their neighbour. */
static unsigned distance(const char *a, size_t na, const char *b, size_t nb)
{
	unsigned row[3][WORD_MAX + 1]; /* of the last three letters of a */

	for (size_t j = 0; j <= nb; j++)
		row[0][j] = (unsigned)j;
	for (size_t i = 1; i <= na; i++) {
		unsigned *const now = row[i % 3], *const up = row[(i + 2) % 3];
		const unsigned *const upup = row[(i + 1) % 3];

		now[0] = (unsigned)i;
		for (size_t j = 1; j <= nb; j++) {
			const bool same = folded(a[i - 1]) == folded(b[j - 1]);

			now[j] = least(least(up[j], now[j - 1]) + 1, up[j - 1] + !same);
			if (i > 1 && j > 1 && folded(a[i - 1]) == folded(b[j - 2]) &&
			    folded(a[i - 2]) == folded(b[j - 1]))
				now[j] = least(now[j], upup[j - 2] + 1);
		}
	}
	return row[na % 3][nb];
}

const char *sw_nearest(const char *word, const char *const *candidates, size_t n)
{
	const size_t len = strlen(word);
	const char *best = NULL;
	unsigned best_edits = 0;

	if (len == 0 || len > WORD_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		const size_t other = strlen(candidates[i]);
		unsigned edits;

		if (other > WORD_MAX)
			continue;
		edits = distance(word, len, candidates[i], other);
		if (edits <= (len > other ? len : other) / 3 && (!best || edits < best_edits)) {
			best = candidates[i];
			best_edits = edits;
		}
	}
	return best;
}
