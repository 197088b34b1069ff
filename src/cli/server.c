/* SPDX-License-Identifier: MIT */
/* The server's life: start, signals, the way out. */
#include "cli/server.h"

#include "cli/cli.h"
#include "cli/server_change.h"
#include "listen/worker.h"
#include "ops/notify.h"
#include "ops/privs.h"
#include "steer/addr.h"

#include <errno.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define WANTED_FILES 1048576 /* two descriptors a connection: half a million of them */
#define TICK_MS	     1000
#define RETIRE_MS    10
#define RUN_DIR	     "/run/synward"

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

sw_mono sw_server_mono(void)
{
	return (sw_mono){ clock_ns(CLOCK_MONOTONIC) };
}

sw_wall sw_server_wall(void)
{
	return (sw_wall){ clock_ns(CLOCK_REALTIME) };
}

void sw_server_log(const struct sw_server *sv, const struct sw_log_settings *log)
{
	/* The levels of the settings begin with error. */
	sw_log_format((enum sw_log_form)log->format);
	sw_log_open((enum sw_log_level)(sv->level >= 0 ? sv->level :
							 (int)SW_LOG_ERROR + (int)log->level));
}

static int exit_code_of(int err)
{
	switch (err) {
	case EPERM:
		return SW_EXIT_CAPABILITY;
	case ENOTSUP:
		return SW_EXIT_KERNEL;
	case EINVAL:
	case ENOENT: /* the key file is the only file */
	case EACCES:
		return SW_EXIT_CONFIG;
	default:
		return SW_EXIT_FAILED;
	}
}

static struct timeval after_ms(uint64_t ms)
{
	return (struct timeval){ (time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000 };
}

/* ---- the way out ---- */

static void kill_all(struct sw_server *sv)
{
	struct sw_pool *pool;

	LIST_FOREACH(pool, &sv->pools, link)
		sw_relay_kill_all(pool->relay);
}

static void end_when_empty(struct sw_server *sv)
{
	if (LIST_EMPTY(&sv->pools))
		event_base_loopbreak(sv->base);
}

void sw_server_pool_ended(struct sw_pool *pool)
{
	struct sw_server *sv = pool->server;

	LIST_REMOVE(pool, link);
	sw_pool_free(pool);
	if (sv->phase == SW_PHASE_DRAINING)
		end_when_empty(sv);
}

static void on_pool_drained(void *arg)
{
	sw_server_pool_ended(arg);
}

/* Nothing comes in any more: the connections may end. */
static void drain_pools(struct sw_server *sv)
{
	struct sw_pool *pool;

	sv->phase = SW_PHASE_DRAINING;
	LIST_FOREACH(pool, &sv->pools, link) {
		if (pool->draining)
			continue;
		pool->draining = true;
		sw_relay_drain(pool->relay, on_pool_drained, pool);
	}
	if (sv->overdue)
		kill_all(sv);
	end_when_empty(sv);
}

static void on_retire(evutil_socket_t fd, short what, void *arg)
{
	struct sw_server *sv = arg;
	const struct timeval soon = after_ms(RETIRE_MS);

	(void)fd, (void)what;
	if (sw_server_retire(sv))
		(void)event_add(sv->retire, &soon);
	else if (sv->phase == SW_PHASE_STOPPING)
		drain_pools(sv);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct sw_server *sv = arg;

	(void)fd, (void)what;
	sv->overdue = true;
	if (sw_server_active(sv))
		sw_warn("the drain timeout is over: connections that are reset: %zu",
			sw_server_active(sv));
	kill_all(sv);
}

static void begin_stop(struct sw_server *sv, int signo)
{
	const struct timeval deadline = after_ms(sv->settings->drain_timeout);
	const struct timeval soon = after_ms(RETIRE_MS);
	struct sw_guarded *g;

	(void)sw_notify("STOPPING=1");
	sw_info("%s: no new connections; still live: %zu", strsignal(signo), sw_server_active(sv));
	sv->phase = SW_PHASE_STOPPING;
	LIST_FOREACH(g, &sv->listeners, link) {
		struct synward_listener *const lev = g->lev;

		g->lev = NULL;
		if (lev)
			sw_server_let_go(g, lev);
	}
	if (event_add(sv->deadline, &deadline) < 0 || event_add(sv->retire, &soon) < 0)
		event_base_loopbreak(sv->base);
}

static void on_stop(evutil_socket_t signo, short what, void *arg)
{
	struct sw_server *sv = arg;

	(void)what;
	if (sv->phase == SW_PHASE_RUN) {
		begin_stop(sv, (int)signo);
		return;
	}
	kill_all(sv);
	event_base_loopbreak(sv->base);
}

/* ---- other events ---- */

static void on_usr1(evutil_socket_t signo, short what, void *arg)
{
	(void)signo, (void)what;
	sw_server_print(arg);
}

static void on_hup(evutil_socket_t signo, short what, void *arg)
{
	char text[SW_CONTROL_TEXT];

	(void)signo, (void)what;
	(void)sw_server_reload(arg, text, sizeof(text));
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	sw_server_tick(arg);
}

static struct event *new_signal(struct sw_server *sv, int signo, event_callback_fn fn, bool *ok)
{
	struct event *ev = evsignal_new(sv->base, signo, fn, sv);

	*ok = *ok && ev && event_add(ev, NULL) == 0;
	return ev;
}

/* systemd.service(5), WatchdogSec=; sd_watchdog_enabled(3). */
static uint64_t watchdog_ms(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

	if (!usec || (pid && strtoul(pid, NULL, 10) != (unsigned long)getpid()))
		return 0;
	return strtoull(usec, NULL, 10) / 1000;
}

static bool add_events(struct sw_server *sv)
{
	struct timeval tick = after_ms(TICK_MS);
	bool ok = true;

	sv->watchdog_ms = watchdog_ms();
	if (sv->watchdog_ms && sv->watchdog_ms / 3 < TICK_MS)
		tick = after_ms(sv->watchdog_ms / 3 + 1);
	sv->term = new_signal(sv, SIGTERM, on_stop, &ok);
	sv->intr = new_signal(sv, SIGINT, on_stop, &ok);
	sv->usr1 = new_signal(sv, SIGUSR1, on_usr1, &ok);
	sv->hup = new_signal(sv, SIGHUP, on_hup, &ok);
	sv->deadline = evtimer_new(sv->base, on_deadline, sv);
	sv->retire = evtimer_new(sv->base, on_retire, sv);
	sv->tick = event_new(sv->base, -1, EV_PERSIST, on_tick, sv);
	return ok && sv->deadline && sv->retire && sv->tick && event_add(sv->tick, &tick) == 0;
}

static void free_events(struct sw_server *sv)
{
	struct event *const all[] = { sv->deadline, sv->retire, sv->tick, sv->usr1,
				      sv->hup,	    sv->intr,	sv->term };
	sigset_t late;

	/* A signal that comes now must not end us by its default, which libevent restores. */
	sigemptyset(&late);
	sigaddset(&late, SIGTERM);
	sigaddset(&late, SIGINT);
	sigaddset(&late, SIGHUP);
	sigaddset(&late, SIGUSR1);
	sigprocmask(SIG_BLOCK, &late, NULL);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i])
			event_free(all[i]);
}

/* ---- the start ---- */

/* As many descriptors as the system lets us have.  Fewer still work. */
static void raise_file_limit(void)
{
	struct rlimit now, more = { WANTED_FILES, WANTED_FILES };

	if (getrlimit(RLIMIT_NOFILE, &now) < 0)
		return;
	if (now.rlim_max < WANTED_FILES && setrlimit(RLIMIT_NOFILE, &more) == 0)
		return;
	now.rlim_cur = now.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &now);
}

static bool is_low(const char *address)
{
	struct sockaddr_storage ss;

	if (sw_addr_parse(address, &ss, NULL, 0) < 0)
		return false;
	/* The port is at the same place in both families. */
	return ntohs(((const struct sockaddr_in *)&ss)->sin_port) < 1024;
}

static struct sw_privs_config privs_of(const struct sw_server *sv)
{
	const struct sw_settings *s = sv->settings ? sv->settings : sv->starting;
	struct sw_privs_config pc = {
		.user = *s->user ? s->user : NULL,
		.reload = sv->path != NULL,
		.commands = s->flood.ncommand > 0,
	};

	for (uint32_t i = 0; i < s->nlisteners; i++) {
		const struct sw_listener_settings *l = &s->listeners[i];

		if (l->transparent)
			continue;
		pc.relay = true;
		for (uint32_t k = 0; k < l->nlisten; k++)
			pc.low_port = pc.low_port || is_low(l->listen[k]);
	}
	return pc;
}

/* @return 0 or an exit code, and says the line that belongs to it. */
static int said(int rc, const char *line)
{
	if (rc < 0)
		sw_error("%s", line[0] ? line : strerror(-rc));
	else if (line[0])
		sw_warn("%s", line);
	return rc < 0 ? exit_code_of(-rc) : 0;
}

static int start_loop(struct sw_server *sv)
{
	uint8_t key[16];
	const struct sw_limits_config limits = sw_server_limits(sv->starting);

	sv->base = event_base_new();
	if (!sv->base || !add_events(sv)) {
		sw_error("no event loop: %s", strerror(errno));
		return SW_EXIT_FAILED;
	}
	if (getrandom(key, sizeof(key), 0) != (ssize_t)sizeof(key)) {
		sw_error("no random numbers from the kernel: %s", strerror(errno));
		return SW_EXIT_FAILED;
	}
	sv->limits = sw_limits_new(&limits, key);
	sv->command = sw_command_new(sv->base);
	if (sv->limits && sv->command)
		return 0;
	sw_error("out of memory");
	return SW_EXIT_FAILED;
}

static int start_guards(struct sw_server *sv)
{
	char text[4096] = "";
	struct sw_lines lines = { .text = text, .size = sizeof(text) };
	const int err = sw_server_change(sv, sv->starting, &lines);

	if (err == 0) {
		sv->starting = NULL;
		return 0;
	}
	text[strcspn(text, "\n")] = '\0';
	sw_error("%s", text);
	return exit_code_of(err);
}

static bool is_run_dir(const char *socket)
{
	const size_t n = strlen(RUN_DIR);

	return strncmp(socket, RUN_DIR, n) == 0 && socket[n] == '/' && !strchr(socket + n + 1, '/');
}

static int start_http(struct sw_server *sv)
{
	const struct sw_settings *s = sv->settings;
	const struct sw_http_config cf = {
		.socket = *s->control.socket ? s->control.socket : NULL,
		.address = *s->metrics.address ? s->metrics.address : NULL,
		.ops = sw_server_ops(sv),
	};
	char err[300] = "";
	int rc;

	if (!cf.socket && !cf.address)
		return 0;
	/* Under systemd it is there: RuntimeDirectory=. */
	if (cf.socket && is_run_dir(cf.socket) && mkdir(RUN_DIR, 0755) < 0 && errno != EEXIST)
		sw_warn("cannot make %s: %s", RUN_DIR, strerror(errno));
	rc = sw_http_new(sv->base, &cf, &sv->http, err, sizeof(err));
	return said(rc, err);
}

static int own(const struct sw_privs_config *pc, const char *path)
{
	char err[300] = "";
	const int rc = sw_privs_own(pc, path, err, sizeof(err));

	return said(rc, err);
}

static void warn_unreadable(const struct sw_server *sv, const char *path)
{
	const struct passwd *pw = getpwuid(geteuid());
	const char *user = sv->settings->user;
	char number[24];

	if (!path || !*path || sw_privs_can_read(path))
		return;
	snprintf(number, sizeof(number), "%u", (unsigned)geteuid());
	if (!*user)
		user = pw ? pw->pw_name : number;
	sw_warn("%s cannot be read by %s: a reload will fail; run: chown %s %s", path, user, user,
		path);
}

/* Everything is open. */
static int drop_privileges(struct sw_server *sv)
{
	const struct sw_privs_config pc = privs_of(sv);
	const char *socket = sv->settings->control.socket;
	char err[300] = "";
	int rc = 0;

	sv->commands = pc.commands;
	if (pc.user && sv->http && *socket) {
		rc = own(&pc, socket);
		if (rc == 0 && is_run_dir(socket))
			rc = own(&pc, RUN_DIR);
	}
	if (rc)
		return rc;
	rc = said(sw_privs_drop(&pc, err, sizeof(err)), err);
	if (rc)
		return rc;
	warn_unreadable(sv, sv->path);
	warn_unreadable(sv, sv->settings->key_file);
	return 0;
}

static int start(struct sw_server *sv)
{
	const struct sw_privs_config pc = privs_of(sv);
	char err[300] = "";
	int rc;

	raise_file_limit();
	sw_thread_prefer();
	rc = sw_privs_prepare(&pc, err, sizeof(err));
	rc = said(rc, err);
	if (rc == 0)
		rc = start_loop(sv);
	if (rc == 0)
		rc = start_guards(sv);
	if (rc == 0)
		rc = start_http(sv);
	return rc ? rc : drop_privileges(sv);
}

static void announce_listener(struct sw_server *sv, const struct sw_listener_settings *l)
{
	const struct sw_pool_settings *p = sw_settings_pool(sv->settings, l->upstreams);
	const struct sw_guarded *g = sw_server_find(sv, l->name);
	const char *xdp = g && g->lev ? synward_listener_xdp_mode(g->lev) : NULL;

	for (uint32_t i = 0; i < l->nlisten; i++)
		sw_info("guarding %s on %s%s%s", l->listen[i], l->interface,
			sv->single ? "" : " for ", sv->single ? "" : l->name);
	if (xdp)
		sw_info("SYNs are answered at XDP on %s, %s mode", l->interface, xdp);
	if (l->transparent)
		sw_info("connections go to the services that listen there");
	for (uint32_t i = 0; p && i < p->nservers; i++)
		sw_info("relaying to %s", p->servers[i]);
}

static void announce(struct sw_server *sv)
{
	const struct sw_settings *s = sv->settings;

	if (!*s->key_file)
		sw_info("no %s: the key is for this run only, and handshakes open at its end are "
			"lost",
			sv->single ? "--key-file" : "key_file");
	for (uint32_t i = 0; i < s->nlisteners; i++)
		announce_listener(sv, &s->listeners[i]);
	/* Scripts wait for this line: -q does not take it away. */
	sw_logf(SW_LOG_ALWAYS, "ready");
	(void)sw_notify("READY=1");
}

/* ---- the end ---- */

static void clean_up(struct sw_server *sv)
{
	struct sw_outgoing *o;
	struct sw_guarded *g;
	struct sw_pool *pool;

	sw_http_free(sv->http);
	while ((o = LIST_FIRST(&sv->outgoing))) {
		LIST_REMOVE(o, link);
		synward_listener_free(o->lev);
		free(o);
	}
	while ((g = LIST_FIRST(&sv->listeners))) {
		LIST_REMOVE(g, link);
		sw_guarded_free(g);
	}
	while ((pool = LIST_FIRST(&sv->pools))) {
		LIST_REMOVE(pool, link);
		sw_pool_free(pool);
	}
	sw_accesslog_free(sv->access);
	sw_limits_free(sv->limits);
	sw_command_free(sv->command);
	free_events(sv);
	if (sv->base)
		event_base_free(sv->base);
	sw_settings_free(sv->settings);
	sw_settings_free(sv->starting);
	libevent_global_shutdown();
}

int sw_server_run(struct sw_settings *settings, const char *path, int level)
{
	struct sw_server sv = {
		.starting = settings,
		.path = path,
		.level = level,
		.single = path == NULL,
		.reload_ok = true,
		.started = sw_server_wall(),
	};
	int rc;

	sv.reloaded = sv.started;
	LIST_INIT(&sv.listeners);
	LIST_INIT(&sv.pools);
	LIST_INIT(&sv.outgoing);
	signal(SIGPIPE, SIG_IGN);
	sw_server_log(&sv, &settings->log);
	rc = start(&sv);
	if (rc == 0) {
		announce(&sv);
		event_base_dispatch(sv.base);
		sw_server_print(&sv);
		rc = sv.rc;
	}
	clean_up(&sv);
	return rc;
}
