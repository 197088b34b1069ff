/* SPDX-License-Identifier: MIT */
/*
 * A program with several listeners, told what to do line by line.  Each line is answered by one
 * that begins with "ok" or "error".
 *
 *   new NAME INTERFACE ADDR[,ADDR] [transparent] [xdp] [siphash] [replace] [key=FILE] [workers=N]
 *   drain NAME | undrain NAME | free NAME | rekey NAME | beat NAME
 *   stats NAME    the counters as "name=value", reasons as "reason.NAME=value"
 *
 * Its connections get the listener's name and then what they send.
 */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <synward/listener.h>

#define MAX 16

struct one {
	char name[16];
	struct synward_listener *lev;
};

static struct event_base *base;
static struct one all[MAX];

static void on_read(struct bufferevent *bev, void *arg)
{
	(void)arg;
	bufferevent_write_buffer(bev, bufferevent_get_input(bev));
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	(void)arg;
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		bufferevent_free(bev);
}

static void on_accept(struct synward_listener *lev, evutil_socket_t fd, struct sockaddr *peer,
		      int len, void *arg)
{
	const struct one *o = arg;
	struct bufferevent *bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);

	(void)lev, (void)peer, (void)len;
	if (!bev)
		abort();
	bufferevent_setcb(bev, on_read, NULL, on_event, NULL);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
	bufferevent_write(bev, o->name, 1);
}

static struct one *find(const char *name)
{
	for (size_t i = 0; i < MAX; i++)
		if (all[i].lev ? !strcmp(all[i].name, name) : !name[0])
			return &all[i];
	return NULL;
}

static void answer(const char *error)
{
	if (error)
		printf("error %s\n", error);
	else
		printf("ok\n");
}

static void make(char *words)
{
	const char *listen[8];
	char error[512] = "", *rest = NULL, *addrs, *word;
	struct synward_config cf = { .listen = listen, .error = error, .error_size = sizeof(error) };
	const char *name = strtok_r(words, " ", &rest);
	struct one *o = find("");
	unsigned flags = 0;

	cf.interface = strtok_r(NULL, " ", &rest);
	addrs = strtok_r(NULL, " ", &rest);
	while ((word = strsep(&addrs, ",")) && cf.nlisten < 8)
		listen[cf.nlisten++] = word;
	while ((word = strtok_r(NULL, " ", &rest))) {
		cf.transparent |= !strcmp(word, "transparent");
		if (!strcmp(word, "xdp"))
			cf.offload = SYNWARD_OFFLOAD_XDP;
		if (!strcmp(word, "siphash"))
			cf.mac = SYNWARD_MAC_SIPHASH_2_4;
		if (!strcmp(word, "replace"))
			flags |= SYNWARD_OPT_REPLACE;
		if (!strncmp(word, "key=", 4))
			cf.key_file = word + 4;
		if (!strncmp(word, "workers=", 8))
			cf.workers = (unsigned)strtoul(word + 8, NULL, 10);
	}
	if (!o || !name) {
		answer("too many");
		return;
	}
	snprintf(o->name, sizeof(o->name), "%s", name);
	o->lev = synward_listener_new(base, on_accept, o, flags, &cf);
	answer(o->lev ? NULL : error);
}

static void print_stats(const struct one *o)
{
	struct synward_stats st;

	synward_listener_get_stats(o->lev, &st);
	printf("ok syns=%" PRIu64 " synacks=%" PRIu64 " proven=%" PRIu64 " handed=%" PRIu64
	       " queued=%" PRIu64 " settling=%" PRIu64 " xdp_answered=%" PRIu64,
	       st.syns, st.synacks, st.proven, st.handed, st.queued, st.settling, st.xdp_answered);
	for (unsigned i = 0; i < SYNWARD_MAX_REASONS && synward_reason_name(i); i++)
		printf(" reason.%s=%" PRIu64 " refused.%s=%" PRIu64, synward_reason_name(i), st.reason[i],
		       synward_reason_name(i), st.syn_refused[i]);
	for (unsigned i = 0; synward_stage_name(i); i++)
		printf(" failed.%s=%" PRIu64, synward_stage_name(i), st.handoff_failed[i]);
	printf("\n");
}

static void do_line(char *line)
{
	char *rest = line;
	const char *verb = strsep(&rest, " ");
	struct one *o;
	char error[300] = "";

	o = rest ? find(rest) : NULL;
	if (!strcmp(verb, "new")) {
		make(rest);
	} else if (!o || !o->lev) {
		answer("no such listener");
	} else if (!strcmp(verb, "drain") || !strcmp(verb, "undrain")) {
		answer(synward_listener_drain(o->lev, verb[0] == 'd') ? strerror(errno) : NULL);
	} else if (!strcmp(verb, "free")) {
		synward_listener_free(o->lev);
		o->lev = NULL;
		answer(NULL);
	} else if (!strcmp(verb, "rekey")) {
		answer(synward_listener_reload_key(o->lev, error, sizeof(error)) ? error : NULL);
	} else if (!strcmp(verb, "beat")) {
		printf("ok beat=%" PRIu64 "\n", synward_listener_heartbeat(o->lev));
	} else if (!strcmp(verb, "stats")) {
		print_stats(o);
	} else {
		answer("no such verb");
	}
}

static void on_input(struct bufferevent *bev, void *arg)
{
	char *line;

	(void)arg;
	while ((line = evbuffer_readln(bufferevent_get_input(bev), NULL, EVBUFFER_EOL_LF))) {
		do_line(line);
		fflush(stdout);
		free(line);
	}
}

static void on_input_end(struct bufferevent *bev, short what, void *arg)
{
	(void)bev, (void)what, (void)arg;
	event_base_loopbreak(base);
}

int main(void)
{
	struct bufferevent *in;

	base = event_base_new();
	in = base ? bufferevent_socket_new(base, 0, 0) : NULL;
	if (!in)
		return 1;
	bufferevent_setcb(in, on_input, NULL, on_input_end, NULL);
	bufferevent_enable(in, EV_READ);
	event_base_dispatch(base);
	for (size_t i = 0; i < MAX; i++)
		synward_listener_free(all[i].lev);
	bufferevent_free(in);
	event_base_free(base);
	libevent_global_shutdown();
	return 0;
}
