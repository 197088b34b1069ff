/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"
#include "cli/top.h"
#include "ops/human.h"

#include <curses.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LISTENERS 64
#define REFUSALS  6

/* Where colours are, they are these pairs. */
enum { PLAIN, GOOD, WARN, BAD, DIM };

struct screen {
	SCREEN *term;
	unsigned long past[LISTENERS][SW_TOP_HISTORY]; /* SYN/s, the newest last */
	unsigned filled;
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ncurses' own printw() reads its arguments twice when the text is larger than the screen.  What
 * does not fit the line is cut. */
static void __attribute__((format(printf, 1, 2))) put(const char *fmt, ...)
{
	const int room = COLS - getcurx(stdscr);
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (room > 0)
		(void)addnstr(text, room);
}

#define put_at(y, x, ...)                                                                          \
	do {                                                                                       \
		if (move(y, x) == OK)                                                              \
			put(__VA_ARGS__);                                                          \
	} while (0)

/* All columns fit a terminal of 80. */
static int name_width(void)
{
	return COLS >= 92 ? 22 : 10;
}

static void begin_color(int pair)
{
	const char *no_color = getenv("NO_COLOR");

	if (has_colors() && !(no_color && *no_color))
		attron(COLOR_PAIR(pair));
	else if (pair == BAD || pair == WARN)
		attron(A_BOLD);
}

static void end_color(int pair)
{
	attroff(COLOR_PAIR(pair) | A_BOLD);
}

static void remember(struct screen *sc, const json_t *stats)
{
	const json_t *l;
	size_t i;

	json_array_foreach(sw_json_at(stats, "listeners"), i, l)
	{
		if (i == LISTENERS)
			break;
		memmove(&sc->past[i][0], &sc->past[i][1],
			sizeof(sc->past[i]) - sizeof(sc->past[i][0]));
		sc->past[i][SW_TOP_HISTORY - 1] = (unsigned long)sw_json_count(l, "flood.syn_rate");
	}
	if (sc->filled < SW_TOP_HISTORY)
		sc->filled++;
}

static void draw_head(const struct sw_top *t)
{
	const bool ready = sw_json_true(t->now, "ready");
	const json_t *keys = sw_json_at(t->now, "keys");
	char up[16];

	sw_short_time((uint64_t)(sw_json_number(t->now, "process.uptime_seconds") * 1e9), up);
	put_at(0, 0, "synward %s  up %s  ", sw_json_text(t->now, "process.version"), up);
	begin_color(ready ? GOOD : BAD);
	put("%s %s", ready ? "ready" : "not ready:", sw_json_text(t->now, "why_not_ready"));
	end_color(ready ? GOOD : BAD);
	if (json_array_size(keys))
		put("  key %s", sw_json_text(json_array_get(keys, 0), "fingerprint"));
	attron(A_REVERSE);
	put_at(2, 0, "%-*s %-9s %6s %8s %8s %9s %6s %7s %-8s", name_width(), "LISTENER", "MODE",
	       "SYN/s", "ANSWER/s", "PROVEN/s", "REFUSED/s", "LIVE", "P99", "STATE");
	attroff(A_REVERSE);
}

static const char *state_of(const json_t *l, int *color)
{
	*color = BAD;
	if (sw_json_true(l, "flood.active"))
		return "FLOOD";
	*color = WARN;
	if (sw_json_true(l, "draining"))
		return "draining";
	*color = GOOD;
	return "ok";
}

static void draw_row(const struct sw_top *t, const json_t *l, int y)
{
	char a[16], b[16], c[16], d[16], e[16], p99[16];
	const char *xdp = sw_json_text(l, "xdp");
	const char *mode = strcmp(sw_json_text(l, "mode"), "relay") ? "transp"
			   : strcmp(xdp, "none")		    ? "relay xdp"
								    : "relay";
	int color;
	const char *state = state_of(l, &color);

	put_at(y, 0, "%-*.*s %-9s %6s %8s %8s %9s %6s %7s ", name_width(), name_width(),
	       sw_json_text(l, "name"), mode,
	       sw_short_number(sw_json_count(l, "flood.syn_rate"), a),
	       sw_short_number(sw_json_count(l, "flood.synack_rate"), b),
	       sw_short_number(sw_json_count(l, "flood.proven_rate"), c),
	       sw_short_number(sw_json_count(l, "flood.refused_rate"), d),
	       sw_short_number(sw_json_count(l, "connections.active"), e),
	       sw_short_latency(sw_top_latency(t, sw_json_text(l, "pool"), 0.99), p99));
	begin_color(color);
	put("%-8s", state);
	end_color(color);
}

static void draw_past(const struct screen *sc, size_t i, int y)
{
	static const char *const block[] = { " ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
	unsigned long most = 1;
	const int room = COLS - name_width() - 2;

	if (room < 10 || y >= LINES)
		return;
	for (unsigned k = 0; k < SW_TOP_HISTORY; k++)
		if (sc->past[i][k] > most)
			most = sc->past[i][k];
	begin_color(DIM);
	put_at(y, 0, "%*s ", name_width(), "");
	for (unsigned k =
		     SW_TOP_HISTORY - (unsigned)(room < SW_TOP_HISTORY ? room : SW_TOP_HISTORY);
	     k < SW_TOP_HISTORY; k++)
		addstr(block[(sc->past[i][k] * 8 + most - 1) / most]);
	end_color(DIM);
}

static int draw_refusals(const struct sw_top *t, int y)
{
	const json_t *l;
	size_t i;

	put_at(y++, 0, "refused since the last look:");
	json_array_foreach(sw_json_at(t->now, "listeners"), i, l)
	{
		struct sw_refusal top[REFUSALS];
		const json_t *before = sw_top_before(t, l);
		const size_t n = before ? sw_remote_refusals(l, before, top, REFUSALS) : 0;
		char count[16];

		if (!n || y >= LINES)
			continue;
		put_at(y++, 2, "%-16.16s", sw_json_text(l, "name"));
		for (size_t k = 0; k < n; k++)
			put("%s%s %s", k ? ", " : "", top[k].reason,
			    sw_short_number(top[k].n, count));
	}
	return y + 1;
}

static void draw_servers(const json_t *stats, int y)
{
	const json_t *server;
	size_t i;

	json_array_foreach(sw_json_at(stats, "servers"), i, server)
	{
		const bool up = sw_json_true(server, "up");
		char live[16], p99[16];

		if (y >= LINES)
			return;
		put_at(y++, 0, "%-16.16s %-22.22s ", sw_json_text(server, "pool"),
		       sw_json_text(server, "name"));
		begin_color(up ? GOOD : BAD);
		put("%-5s", up ? "up" : "DOWN");
		end_color(up ? GOOD : BAD);
		put("%8s live  p99 %s", sw_short_number(sw_json_count(server, "active"), live),
		    sw_short_latency(sw_json_number(server, "connect.p99_seconds"), p99));
	}
}

static void draw(const struct sw_top *t, const struct screen *sc)
{
	const json_t *l;
	int y = 3;
	size_t i;

	erase();
	draw_head(t);
	json_array_foreach(sw_json_at(t->now, "listeners"), i, l)
	{
		if (y + 1 >= LINES || i >= LISTENERS)
			break;
		draw_row(t, l, y++);
		draw_past(sc, i, y++);
	}
	if (y + 1 < LINES)
		y = draw_refusals(t, y + 1);
	draw_servers(t->now, y);
	move(LINES - 1, 0);
	refresh();
}

/* Wait for the next look.  @return false when it is to end. */
static bool wait_key(unsigned ms)
{
	const uint64_t end = now_ms() + ms;

	for (uint64_t now = now_ms(); now < end; now = now_ms()) {
		int key;

		timeout((int)(end - now));
		key = getch();
		if (key == 'q' || key == 'Q' || key == 3)
			return false;
		if (key == ' ' || key == KEY_RESIZE)
			return true;
		if (key == ERR && now_ms() - now < 5 && end - now > 50) {
			napms(50); /* the terminal is gone: no busy loop */
			if (feof(stdin) || ferror(stdin))
				return false;
		}
	}
	return true;
}

static bool begin(struct screen *sc)
{
	setlocale(LC_CTYPE, "");
	sc->term = newterm(NULL, stdout, stdin);
	if (!sc->term)
		return false;
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	curs_set(0);
	if (has_colors()) {
		start_color();
		use_default_colors();
		init_pair(GOOD, COLOR_GREEN, -1);
		init_pair(WARN, COLOR_YELLOW, -1);
		init_pair(BAD, COLOR_RED, -1);
		init_pair(DIM, COLOR_CYAN, -1);
	}
	return true;
}

int sw_top_screen(struct sw_top *t)
{
	struct screen *sc = calloc(1, sizeof(*sc));
	char err[256] = "";
	int rc = sw_top_ask(t, err, sizeof(err));

	if (rc == SW_EXIT_OK && sc && !begin(sc)) {
		snprintf(err, sizeof(err), "no such terminal: TERM=%s",
			 getenv("TERM") ? getenv("TERM") : "");
		rc = SW_EXIT_FAILED;
	} else if (rc == SW_EXIT_OK && sc) {
		for (unsigned i = 1; rc == SW_EXIT_OK; i++) {
			remember(sc, t->now);
			draw(t, sc);
			if (i == t->rounds || !wait_key(t->every_ms))
				break;
			rc = sw_top_ask(t, err, sizeof(err));
		}
		endwin();
		delscreen(sc->term);
	}
	free(sc);
	if (rc != SW_EXIT_OK)
		fprintf(stderr, "synward top: %s\n", err);
	return rc;
}
