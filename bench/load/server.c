/* SPDX-License-Identifier: MIT */
/* The server: every so many bytes of a connection are answered with so many. */
#include "../tool.h"
#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

struct peer {
	LIST_ENTRY(peer) link;
	int fd;
	size_t got;	/* bytes of a request that is not complete yet */
	size_t pending; /* bytes still to be sent */
	bool eof;
};

static void peer_free(struct peer *p)
{
	LIST_REMOVE(p, link);
	close(p->fd);
	free(p);
}

/* @return false when the connection broke. */
static bool peer_write(struct peer *p)
{
	static const char zeros[65536];

	while (p->pending) {
		const size_t want = p->pending < sizeof(zeros) ? p->pending : sizeof(zeros);
		const ssize_t n = send(p->fd, zeros, want, MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN;
		p->pending -= (size_t)n;
	}
	return true;
}

static bool peer_read(const struct options *o, struct peer *p)
{
	static char buf[65536];

	while (!p->eof) {
		const ssize_t n = recv(p->fd, buf, sizeof(buf), 0);

		if (n < 0)
			return errno == EAGAIN;
		p->eof = n == 0;
		p->got += (size_t)n;
		for (; o->request_len && p->got >= o->request_len; p->got -= o->request_len)
			p->pending += o->reply;
	}
	return true;
}

static void peer_event(const struct options *o, struct peer *p)
{
	if (!peer_read(o, p) || !peer_write(p) || (p->eof && !p->pending))
		peer_free(p);
}

void peers_open(struct peers *s, const struct options *o)
{
	*s = (struct peers){ .o = o, .epfd = epoll_create1(EPOLL_CLOEXEC), .lfd = -1 };
	LIST_INIT(&s->all);
	if (s->epfd < 0)
		die("epoll");
}

void peers_add(struct peers *s, int fd)
{
	const char *banner = s->o->banner;
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLET };
	struct peer *p;

	if (banner && send(fd, banner, strlen(banner), MSG_NOSIGNAL) < 0) {
		close(fd);
		return;
	}
	p = must_calloc(1, sizeof(*p));
	p->fd = fd;
	LIST_INSERT_HEAD(&s->all, p, link);
	ev.data.ptr = p;
	if (epoll_ctl(s->epfd, EPOLL_CTL_ADD, fd, &ev))
		peer_free(p);
}

static void accept_all(struct peers *s)
{
	int fd;

	while ((fd = accept4(s->lfd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
		peers_add(s, fd);
}

void peers_turn(struct peers *s, int timeout_ms)
{
	struct epoll_event ev[LOAD_NEVENTS];
	const int n = epoll_wait(s->epfd, ev, LOAD_NEVENTS, timeout_ms);

	for (int i = 0; i < n; i++) {
		if (ev[i].data.ptr)
			peer_event(s->o, ev[i].data.ptr);
		else
			accept_all(s);
	}
}

void peers_close(struct peers *s)
{
	while (!LIST_EMPTY(&s->all))
		peer_free(LIST_FIRST(&s->all));
	if (s->lfd >= 0)
		close(s->lfd);
	close(s->epfd);
}

_Noreturn void serve_plain(const struct options *o)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct peers s;
	const int one = 1;

	peers_open(&s, o);
	s.lfd = socket(o->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s.lfd < 0)
		die("socket");
	setsockopt(s.lfd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(s.lfd, (const struct sockaddr *)&o->addr, o->addrlen) ||
	    listen(s.lfd, (int)o->backlog) || epoll_ctl(s.epfd, EPOLL_CTL_ADD, s.lfd, &ev))
		die("listen");
	fprintf(stderr, "bench_load: ready\n");
	for (;;)
		peers_turn(&s, -1);
}
