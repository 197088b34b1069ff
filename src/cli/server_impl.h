/* SPDX-License-Identifier: MIT */
/*
 * Inside the server.  Everything here runs on one event loop, so nothing is locked.
 *
 * What runs is a list of listeners and a list of pools, by name.  A reload makes new ones beside
 * them, switches over, and lets the old ones end by themselves: a listener when its queue is empty,
 * a pool when no listener that still delivers goes to it and its connections have ended.
 */
#ifndef SW_CLI_SERVER_IMPL_H
#define SW_CLI_SERVER_IMPL_H

#include "ops/command.h"
#include "ops/flood.h"
#include "ops/http.h"
#include "ops/log.h"
#include "ops/settings.h"
#include "ops/snapshot.h"
#include "relay/accesslog.h"
#include "relay/relay.h"

#include <event2/event.h>
#include <sys/queue.h>
#include <synward/listener.h>

struct sw_server;

/** A pool of the settings and its relay. */
struct sw_pool {
	LIST_ENTRY(sw_pool) link;
	struct sw_server *server;
	char name[SW_NAME_MAX + 1];
	struct sw_relay *relay; /* owned */
	struct sw_relay_change *next; /* owned; during a reload: what it will be */
	unsigned users;		/* listeners that deliver to it */
	bool leaving;		/* no longer in the settings */
	bool draining;		/* leaving and without users: sw_relay_drain() was called */
};

/** A listener of the settings, through all of its replacements. */
struct sw_guarded {
	LIST_ENTRY(sw_guarded) link;
	struct sw_server *server;
	char name[SW_NAME_MAX + 1];
	struct synward_listener *lev; /* owned; NULL when stopped */
	struct sw_pool *pool;	      /* NULL in transparent mode; counted in its users */
	struct sw_tag *tag;	      /* owned */
	struct sw_flood flood;
	struct sw_log_limit trouble_limit;
	struct synward_stats past;    /* of listeners that were replaced */
	uint64_t heartbeat;	      /* as last seen */
	bool unpool;		      /* let the pool go when nothing is outgoing */
	unsigned outgoing;	      /* replaced listeners whose queue is not empty yet */
	bool leaving;		      /* no longer in the settings */
	bool drained;		      /* by an operator */
	bool lost;		      /* its interface is gone */
	struct synward_listener *next; /* owned; during a reload: what will take lev's place */
	struct sw_pool *next_pool;     /* during a reload */
};

/** A listener that was replaced or removed, until nothing is left in its queue. */
struct sw_outgoing {
	LIST_ENTRY(sw_outgoing) link;
	struct synward_listener *lev; /* owned */
	struct sw_guarded *of;
	sw_mono since;
};

LIST_HEAD(sw_pool_list, sw_pool);
LIST_HEAD(sw_guarded_list, sw_guarded);
LIST_HEAD(sw_outgoing_list, sw_outgoing);

enum sw_phase { SW_PHASE_RUN, SW_PHASE_STOPPING, SW_PHASE_DRAINING };

struct sw_server {
	struct event_base *base;
	struct sw_settings *settings; /* owned; what runs; NULL until the start succeeded */
	struct sw_settings *starting; /* owned; until then */
	const char *path;	      /* NULL: from the command line */
	int level;		      /* of the command line, or -1 */
	struct sw_guarded_list listeners;
	struct sw_pool_list pools;
	struct sw_outgoing_list outgoing;
	struct sw_limits *limits;
	struct sw_accesslog *access; /* owned; NULL until it is first on */
	struct sw_accesslog *next_access; /* owned; during a reload */
	struct sw_http *http;	     /* NULL without a socket and an address */
	struct event *term, *intr, *usr1, *hup, *deadline, *tick, *retire;
	struct synward_stats past;   /* of listeners that were removed */
	struct sw_relay_stats past_relays; /* of pools that were removed */
	enum sw_phase phase;
	bool overdue;  /* the drain timeout is over */
	bool commands; /* programs may be executed: the filter of system calls says so */
	int rc; /* exit code of a loop that ended */
	sw_wall started, reloaded;
	uint64_t reloads;
	bool reload_ok;
	uint64_t watchdog_ms; /* how often systemd wants a sign of life; 0: never */
	sw_mono status_at;    /* when systemd was told the last status */
	struct sw_command *command;
	bool single;	      /* from the command line: lines of the log name no listener */
};

/* ---- server.c ---- */

/** Write log lines as the settings say. */
void sw_server_log(const struct sw_server *sv, const struct sw_log_settings *log);
/** A pool that was drained has no connection any more: it goes. */
void sw_server_pool_ended(struct sw_pool *pool);
sw_mono sw_server_mono(void);
sw_wall sw_server_wall(void);

/* ---- server_listener.c ---- */

/** The cf of a listener's settings.  Borrows from @s. */
struct synward_config sw_guarded_config(const struct sw_settings *s,
					const struct sw_listener_settings *l);
/** Must another listener take its place for a change from a to b? */
bool sw_guarded_differs(const struct sw_settings *from, const struct sw_listener_settings *a,
			const struct sw_settings *to, const struct sw_listener_settings *b);
/** @return a guarded without a listener, in no list; NULL when out of memory. */
struct sw_guarded *sw_guarded_new(struct sw_server *sv, const char *name);
void sw_guarded_free(struct sw_guarded *g);
/** Make what takes the place of g->lev into g->next.  @param err  A line, or warnings.
 *  @return 0 or errno. */
SW_MUST int sw_guarded_prepare(struct sw_guarded *g, const struct sw_settings *s,
			       const struct sw_listener_settings *l, char *err, size_t errlen);
/** Put g->next in the place of g->lev, which becomes outgoing. */
void sw_guarded_switch(struct sw_guarded *g);
/** Take it out of the settings: its listener, if any, becomes outgoing. */
void sw_guarded_leave(struct sw_guarded *g);
/** Its counters, those of its replaced listeners included. */
void sw_guarded_stats(const struct sw_guarded *g, struct synward_stats *out);
/** Let a listener end when its queue is empty. */
void sw_server_let_go(struct sw_guarded *g, struct synward_listener *lev);
/** Look after outgoing listeners and leaving pools.  @return whether some are left. */
bool sw_server_retire(struct sw_server *sv);
struct sw_guarded *sw_server_find(struct sw_server *sv, const char *name);

/* ---- server_pool.c ---- */

/** @return 0 or -errno with a line in @err.  The pool is in no list. */
SW_MUST int sw_pool_new(struct sw_server *sv, const struct sw_pool_settings *p,
			struct sw_pool **out, char *err, size_t errlen);
/** Make what other settings of a running pool need into pool->next.  @return as above. */
SW_MUST int sw_pool_prepare(struct sw_pool *pool, const struct sw_pool_settings *p, char *err,
			    size_t errlen);
/** Apply pool->next, if there is one. */
void sw_pool_switch(struct sw_pool *pool);
/** Forget pool->next, if there is one. */
void sw_pool_stay(struct sw_pool *pool);
void sw_pool_free(struct sw_pool *pool);
/** @return the pool of that name that is in the settings, or NULL. */
struct sw_pool *sw_server_pool(struct sw_server *sv, const char *name);
size_t sw_server_active(const struct sw_server *sv);
/** @return how many connections the limit of descriptors has room for, some of them kept free for
 *  all else: whoever is shut out by connections cannot end them. */
size_t sw_server_room(void);
/** The limits of the settings, never beyond sw_server_room(). */
struct sw_limits_config sw_server_limits(const struct sw_settings *s);
/** Make the access log that other settings need into sv->next_access.  @return 0 or -ENOMEM. */
SW_MUST int sw_server_access_prepare(struct sw_server *sv, const struct sw_log_settings *log);
/** Begin, end or change the access log as the settings say, which were prepared. */
void sw_server_access_switch(struct sw_server *sv);

/* ---- server_reload.c ---- */

/** Read the file again and apply it, all or nothing.  @param text  Out: what changed, or what is
 *  wrong; lines.  @return 0 or -errno. */
int sw_server_reload(struct sw_server *sv, char *text, size_t size);
/** Read the key file again. */
int sw_server_rekey(struct sw_server *sv, char *text, size_t size);

/* ---- server_control.c ---- */

struct sw_control_ops sw_server_ops(struct sw_server *sv);
/** Counters as lines of the log. */
void sw_server_print(struct sw_server *sv);
void sw_stats_add(struct synward_stats *to, const struct synward_stats *more);
void sw_relay_stats_add(struct sw_relay_stats *to, const struct sw_relay_stats *more);

/* ---- server_watch.c ---- */

/** Once a second, or more often. */
void sw_server_tick(struct sw_server *sv);

#endif
