/* SPDX-License-Identifier: MIT */
/* The parts of the HTTP server: http.c, http_bind.c, http_slots.c, http_serve.c, http_events.c. */
#ifndef SW_OPS_HTTP_INSIDE_H
#define SW_OPS_HTTP_INSIDE_H

#include "ops/http.h"

#include <event2/http.h>
#include <event2/listener.h>
#include <pthread.h>
#include <sys/un.h>

#define SW_HTTP_CLIENTS	    64
#define SW_HTTP_MAX_CLIENTS 256
#define SW_HTTP_SUBSCRIBERS 16 /* of /events, at each door */
#define SW_HTTP_WAITING	    (2 * SW_HTTP_MAX_CLIENTS)
#define SW_HTTP_HEADERS	    4096 /* bytes */
#define SW_HTTP_BODY	    256	 /* bytes, on the Unix socket; none on TCP */

/** What one thread asks of the other, or tells it. */
struct sw_job {
	struct sw_job *next;
	enum sw_job_kind {
		SW_JOB_SNAPSHOT, /* to the owner, and back with the answer */
		SW_JOB_RELOAD,
		SW_JOB_REKEY,
		SW_JOB_DRAIN,
		SW_JOB_UNDRAIN,
		SW_JOB_EVENT, /* to the HTTP thread: text is for the subscribers */
		SW_JOB_MOVE,  /* to the HTTP thread: listen on fd, or on nothing when it is -1 */
		SW_JOB_STOP,
	} kind;
	struct evhttp_request *req; /* waits for the answer; the HTTP thread's */
	char name[SW_SNAP_NAME];    /* of a listener */
	int rc, fd;
	struct sw_snapshot *snapshot; /* owned */
	char *text;		      /* owned; SW_CONTROL_TEXT bytes for an answer */
};

/** Jobs on their way to one thread. */
struct sw_mail {
	pthread_mutex_t lock;
	struct sw_job *first, **last; /* under the lock */
	int fd;			      /* eventfd, written when the box was empty */
};

/** One client connection, told by descriptor and inode: evhttp closes them without a word. */
struct sw_slot {
	enum { SW_SLOT_FREE, SW_SLOT_NEW, SW_SLOT_IDLE, SW_SLOT_BUSY, SW_SLOT_STREAM } state;
	struct bufferevent *bev; /* while SW_SLOT_NEW: referenced */
	int fd;
	uint64_t inode;
	uint64_t since_ms; /* in this state */
	uint64_t accepted_ms;
};

struct sw_subscriber {
	struct sw_door *door;
	struct evhttp_request *req; /* NULL: free */
	uint64_t number;	    /* a later one has a higher one */
	bool waits;		    /* for its first sample */
};

/** One of the two ways in. */
struct sw_door {
	struct sw_http *h;
	struct evhttp *http;
	struct evconnlistener *listener; /* borrowed from bound; NULL without an address */
	struct evhttp_bound_socket *bound;
	bool control; /* POST is allowed */
	struct event *learn, *sweep;
	unsigned nslot;
	struct sw_slot slot[SW_HTTP_MAX_CLIENTS];
	struct sw_subscriber subscriber[SW_HTTP_SUBSCRIBERS];
	unsigned nsubscriber;
	uint64_t subscribed; /* since the start */
};

/** A text that several responses send without copies.  The HTTP thread's. */
struct sw_blob {
	unsigned refs;
	size_t len;
	char *text; /* owned */
};

enum sw_view { SW_VIEW_METRICS, SW_VIEW_STATS, SW_VIEW_READY, SW_VIEW_HEALTH, SW_NVIEW };

struct sw_waiting {
	struct evhttp_request *req;
	enum sw_view view;
};

struct sw_http {
	/* the owner's */
	struct event *owner_wake;
	struct sw_control_ops ops;
	char socket[sizeof(((struct sockaddr_un *)0)->sun_path)];
	dev_t socket_dev; /* the socket file that is ours to unlink */
	ino_t socket_ino;
	char address[64];
	int tcp_fd; /* duplicate of the bound one, or -1 */
	pthread_t thread;
	bool running;
	/* shared */
	struct sw_mail to_owner, to_http;
	/* the HTTP thread's, from its start to its end */
	struct event_base *base;
	struct event *wake, *second, *late;
	struct sw_door unix_door, tcp_door;
	struct sw_snapshot *snapshot;	  /* the last one; NULL before */
	uint64_t snapshot_ms, sampled_ms; /* when it came, when one was sent to subscribers */
	struct sw_blob *blob[SW_NVIEW];	  /* renderings of it; NULL until asked for */
	bool asked;			  /* a snapshot is on its way */
	struct sw_waiting waiting[SW_HTTP_WAITING];
	unsigned nwaiting;
};

/* ---- http.c ---- */
uint64_t sw_http_now_ms(void);
/** Takes the job over, also when it cannot be sent. */
void sw_mail_send(struct sw_mail *m, struct sw_job *job);
void sw_job_free(struct sw_job *job);

/* ---- http_bind.c ---- */
/** Bind and listen on h->socket.  @param fd  Out, on success. */
SW_MUST int sw_http_bind_unix(struct sw_http *h, int *fd, char *err, size_t errlen);
/** Unlink the socket if it is still ours. */
void sw_http_unbind_unix(const struct sw_http *h);
/** @param old  A listening socket whose port may be taken over, or -1. */
SW_MUST int sw_http_bind_tcp(const char *address, int old, int *fd, char *err, size_t errlen);

/* ---- http_slots.c: limits for each connection ---- */
SW_MUST int sw_door_init(struct sw_door *d, struct sw_http *h, unsigned nslot, bool control);
/** @param fd  Bound and listening; the door's from here on.  -1 closes the door. */
SW_MUST int sw_door_open(struct sw_door *d, int fd);
void sw_door_free(struct sw_door *d);
/** @return the client that makes room for the next one when all slots are taken, or NULL: nobody
 *  has been here for long enough. */
SW_MUST struct sw_slot *sw_door_next_to_go(struct sw_door *d, uint64_t now_ms);
/** Note what a connection is at, so that it gets the time that this may take. */
void sw_door_mark(struct sw_door *d, struct evhttp_request *req, int state);
/** Cut a connection off; evhttp then frees it. */
void sw_http_cut(struct evhttp_connection *evcon);

/* ---- http_serve.c: from a request to its answer ---- */
void sw_http_request(struct evhttp_request *req, void *door);
/** Answer all who wait for a snapshot.  @param s  Taken over; NULL answers that there is none. */
void sw_http_snapshot(struct sw_http *h, struct sw_snapshot *s);
/** Answer the request that a control operation was for. */
void sw_http_done(struct sw_http *h, struct sw_job *job);
/** Ask for a snapshot unless one is on its way. */
void sw_http_ask(struct sw_http *h);
/** @return a rendering of the last snapshot, with a reference for the caller, or NULL. */
struct sw_blob *sw_http_render(struct sw_http *h, enum sw_view view);
void sw_http_forget(struct sw_http *h); /**< Free the last snapshot and its renderings. */
/** Append all of it to @out without a copy. */
void sw_blob_add(struct sw_blob *b, struct evbuffer *out);
void sw_blob_unref(struct sw_blob *b);

/* ---- http_events.c ---- */
void sw_http_subscribe(struct sw_door *d, struct evhttp_request *req);
/** @return whether /events has subscribers. */
SW_MUST bool sw_http_is_heard(const struct sw_http *h);
void sw_http_publish(struct sw_http *h, const char *text);
/** Send the last snapshot to the subscribers for which one is due. */
void sw_http_sample(struct sw_http *h);

/* ---- dashboard.c, made from dashboard.{html,js,css} ---- */
struct sw_page {
	const char *path, *type;
	const unsigned char *text;
	size_t len;
};
extern const struct sw_page sw_dashboard_pages[];
extern const size_t sw_ndashboard_pages;

#endif
