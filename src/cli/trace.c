/* SPDX-License-Identifier: MIT */
#include "cli/trace.h"

#include "cli/cli.h"
#include "listen/keyfile.h"
#include "listen/policy.h"
#include "study/claims.h"
#include "study/link.h"
#include "study/xdp.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <net/if.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SNAPLEN	   262 /* Ethernet and two tags, IPv6 with some extension headers, TCP with options */
#define GATHER_MS  50  /* packets come in batches of this long */
#define FLUSH_NS   100000000ull
#define SEARCHES   20u	 /* refused ACKs a second that are looked into, a millisecond or two each */
#define SEARCHES_MAX 10000u /* the same of a file, in all: its clock is whatever its writer says */
#define LOOKUPS	   2000u /* questions a second to the kernel, some 5 us each */
#define NOBODY	   65534

static const char help_text[] =
	"usage: synward trace [OPTION]... [FILTER]\n"
	"\n"
	"Show each packet of a handshake and what the core of synward decides about it, and\n"
	"why.  FILTER is tcpdump's.  Established connections are left out.\n"
	"\n"
	"  -i, --interface IF     listen there (default: the first one that is up; any: all)\n"
	"  -r, --read FILE        pcap or pcapng, - for standard input, in place of an interface\n"
	"  -l, --listen ADDR:PORT what is guarded (default: what a synward guards there), repeatable\n"
	"  -k, --key-file FILE    the key that guards it: cookies are proven\n"
	"  -m, --mac NAME         hmac-sha256 (default) or siphash-2-4\n"
	"  -c, --count N          end after N packets that were shown\n"
	"      --reason R[,R...]  show these reasons only, as in the metrics\n"
	"      --drop, --accept   show what is refused, what is answered or proven\n"
	"  -w, --write FILE       pcapng with the explanation of each packet; - to pipe it on\n"
	"  -n                     as ever here: addresses are not turned into names\n"
	"  -h, --help             this text\n"
	"\n"
	"example: synward trace -i eth0 -k secret.key -w - 'port 443' | wireshark -k -i -\n";

struct trace {
	const struct sw_trace_args *a;
	char iface[IF_NAMESIZE];
	struct sw_capture *cap; /* owned */
	struct sw_socks *socks; /* owned */
	struct sw_watch *watch; /* owned */
	struct sw_policy policy; /* what this host offers, and what is guarded */
	struct sw_trace_out out;
	uint64_t shown;
	sw_wall last; /* time of the last packet */
	uint64_t flushed_ns;
};

static struct sw_capture *listening; /* for the signal handler */

static void stop(int sig)
{
	(void)sig;
	sw_capture_break(listening);
}

static int complain(int rc, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int complain(int rc, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "synward trace: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	return rc;
}

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int exit_code(int rc)
{
	return rc == -EPERM ? SW_EXIT_CAPABILITY : SW_EXIT_FAILED;
}

/* Listen, or open the file. */
static int open_source(struct trace *t)
{
	const struct sw_trace_args *a = t->a;
	char err[SW_CAPTURE_ERR];
	struct sw_live live = { .filter = a->filter, .snaplen = SNAPLEN, .timeout_ms = GATHER_MS,
				.tcp_only = true };
	int rc;

	if (a->read) {
		rc = sw_capture_file(&t->cap, a->read, a->filter, err);
		return rc ? complain(exit_code(rc), "%s", err) : SW_EXIT_OK;
	}
	if (a->iface)
		snprintf(t->iface, sizeof(t->iface), "%s", a->iface);
	else if (!sw_capture_default(t->iface, sizeof(t->iface)))
		return complain(SW_EXIT_FAILED, "no interface is up: name one with --interface");
	live.iface = t->iface;
	rc = sw_capture_live(&t->cap, &live, err);
	if (rc != 0)
		return complain(exit_code(rc), "%s", err);
	if (sw_socks_open(&t->socks) != 0)
		t->socks = NULL; /* connections that are older than the trace look refused */
	return SW_EXIT_OK;
}

/* What this host offers shows in the cookie's form; a file may be from anywhere. */
static void fill_policy(struct sw_policy *p, bool live)
{
	struct sw_host_tcp host = { .wscale = true, .sack = true, .ts = true };

	if (live)
		sw_host_tcp_read(&host);
	p->mss4 = 1460;
	p->mss6 = 1440;
	p->window = 65535;
	p->wscale = 7;
	p->ttl = 64;
	p->wscale_on = host.wscale;
	p->sack_on = host.sack;
	p->ts_on = host.ts;
	p->loopback = true;
	p->refuse_rate = 1000;
}

static int open_watch(struct trace *t, struct sw_keyfile *keys)
{
	struct sw_watch_config cf = {
		.judge = { .masters = t->a->key_file ? &keys->masters : NULL, .alg = t->a->alg,
			   .policy = &t->policy, .searches = SEARCHES,
			   .searches_max = t->a->read ? SEARCHES_MAX : 0 },
		.socks = t->socks,
		.lookups = LOOKUPS,
	};
	char err[512];
	int rc;

	t->policy = t->a->policy;
	fill_policy(&t->policy, !t->a->read);
	if (!t->a->read && t->policy.nguard == 0)
		t->policy.nguard = sw_claims(t->iface, t->policy.guard, SW_MAX_GUARDS);
	if (t->a->key_file && sw_keyfile_load(t->a->key_file, keys, err, sizeof(err)) < 0)
		return complain(SW_EXIT_CONFIG, "%s", err);
	if (getrandom(&cf.seed, sizeof(cf.seed), 0) != (ssize_t)sizeof(cf.seed))
		return complain(SW_EXIT_FAILED, "getrandom: %s", strerror(errno));
	rc = sw_watch_new(&t->watch, &cf);
	return rc ? complain(SW_EXIT_FAILED, "cannot start: %s", strerror(-rc)) : SW_EXIT_OK;
}

static void catch_signals(struct sw_capture *cap)
{
	struct sigaction sa = { .sa_handler = stop };

	listening = cap;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	sa.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &sa, NULL);
}

/* Is user 0 that of a user namespace, and not the host's?  user_namespaces(7), uid_map. */
static bool in_user_namespace(void)
{
	FILE *fp = fopen("/proc/self/uid_map", "re");
	unsigned inside, outside, count;
	bool whole;

	if (!fp)
		return false;
	whole = fscanf(fp, "%u %u %u", &inside, &outside, &count) == 3 && inside == 0 &&
		outside == 0 && count == UINT32_MAX;
	fclose(fp);
	return !whole;
}

static bool become_nobody(void)
{
	return setgroups(0, NULL) == 0 && setresgid(NOBODY, NOBODY, NOBODY) == 0 &&
	       setresuid(NOBODY, NOBODY, NOBODY) == 0;
}

static bool drop_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

	return syscall(SYS_capset, &head, none) == 0;
}

/*
 * Everything is open: the packets of strangers are read as nobody.  A user namespace may have no
 * such user (EINVAL) or forbid setgroups() (EPERM); its root is a plain user outside, and without
 * capabilities inside as well.
 */
static int drop_root(void)
{
	if (geteuid() != 0)
		return SW_EXIT_OK;
	if (!become_nobody()) {
		const int error = errno;

		if ((error != EPERM && error != EINVAL) || !in_user_namespace())
			return complain(SW_EXIT_FAILED, "cannot become nobody: %s", strerror(error));
		if (!drop_capabilities())
			return complain(SW_EXIT_FAILED, "cannot drop the capabilities of this user "
					"namespace: %s", strerror(errno));
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return complain(SW_EXIT_FAILED, "cannot set no_new_privs: %s", strerror(errno));
	return SW_EXIT_OK;
}

static void greet_guards(const struct trace *t)
{
	char host[SW_HOST_TEXT];

	if (t->policy.nguard == 0) {
		fprintf(stderr, "synward trace: %s, so every server counts as guarded\n",
			t->a->read ? "no --listen" : "no synward guards anything there");
		return;
	}
	fprintf(stderr, "synward trace: guarded:");
	for (size_t i = 0; i < t->policy.nguard; i++) {
		const struct sw_guard *g = &t->policy.guard[i];

		fprintf(stderr, " %s", sw_host_text(g->family, &g->addr, g->port, host));
	}
	fprintf(stderr, "\n");
}

static void greet(const struct trace *t, const struct sw_keyfile *keys, char *comment, size_t len)
{
	const char *source = t->a->read ? t->a->read : t->iface;
	char print[SW_FINGERPRINT] = "";

	if (t->a->key_file) {
		sw_key_fingerprint(keys->masters.key[0], print);
		snprintf(comment, len, "%s, judged with the %s key %s, %s", source,
			 sw_key_slot_name(keys->slot[0]), print, sw_mac_name(t->a->alg));
	} else {
		snprintf(comment, len, "%s, judged without a key: no cookie is proven", source);
	}
	greet_guards(t);
	if (!t->a->read && sw_xdp_in_front(t->iface))
		fprintf(stderr, "synward trace: an XDP program stands in front of %s: what it answers "
				"or drops does not reach this trace; trace at the other end\n",
			t->iface);
	fprintf(stderr, "synward trace: %s (%s)\n", comment,
		sw_link_name(sw_capture_linktype(t->cap)));
}

static bool wanted(const struct sw_trace_args *a, const struct sw_judgement *jm)
{
	const bool decided = jm->finding == SW_FOUND_DECISION || jm->finding == SW_FOUND_MALFORMED;

	if (a->some_reasons && !(decided && a->reason[jm->decision.why]))
		return false;
	if (a->drop)
		return sw_judgement_refused(jm);
	return !a->accept || sw_judgement_accepted(jm);
}

/* A reader that goes away is not an error.  @return SW_EXIT_OK with *ended set, or a failure. */
static int write_failed(const struct trace *t, int rc, bool *ended)
{
	*ended = true;
	if (rc == -EPIPE)
		return SW_EXIT_OK;
	return complain(SW_EXIT_FAILED, "%s: %s", t->out.path, strerror(-rc));
}

static int flush(struct trace *t, bool *ended)
{
	const int rc = sw_trace_out_flush(&t->out);

	t->flushed_ns = clock_ns(CLOCK_MONOTONIC);
	return rc ? write_failed(t, rc, ended) : SW_EXIT_OK;
}

static int show(struct trace *t, const struct sw_packet *p, bool *ended)
{
	struct sw_judgement jm;
	enum sw_way way;
	int rc;

	t->last = p->at;
	if (!sw_watch_packet(t->watch, p, &jm, &way) || !wanted(t->a, &jm))
		return SW_EXIT_OK;
	rc = sw_trace_out_packet(&t->out, p, &jm, way);
	if (rc != 0)
		return write_failed(t, rc, ended);
	t->shown++;
	*ended = t->shown == t->a->count;
	if (clock_ns(CLOCK_MONOTONIC) - t->flushed_ns > FLUSH_NS)
		return flush(t, ended);
	return SW_EXIT_OK;
}

static int loop(struct trace *t)
{
	char err[SW_CAPTURE_ERR];
	struct sw_packet p;
	bool ended = false;
	int code = SW_EXIT_OK;

	while (!ended && code == SW_EXIT_OK) {
		const int rc = sw_capture_next(t->cap, &p, err);

		if (rc == 1) {
			code = show(t, &p, &ended);
		} else if (rc == 0 && sw_capture_is_live(t->cap)) {
			code = flush(t, &ended);
			sw_capture_wait(t->cap, 1000);
		} else {
			ended = true;
			if (rc < 0 && rc != -EINTR)
				code = complain(SW_EXIT_FAILED, "%s", err);
		}
	}
	return code;
}

static void tell_unsearched(const struct trace *t)
{
	const uint64_t n = sw_watch_unsearched(t->watch);
	char in_all[32] = "";

	if (n == 0)
		return;
	if (t->a->read)
		snprintf(in_all, sizeof(in_all), " and %u in all", SEARCHES_MAX);
	fprintf(stderr, "synward trace: %llu refused packets have the plain reason: at most %u a second"
			"%s are compared with other ports, times and numbers\n",
		(unsigned long long)n, SEARCHES, in_all);
}

static int finish(struct trace *t, int code)
{
	struct sw_capture_stats st;
	int rc;

	sw_capture_stats(t->cap, &st);
	rc = sw_trace_out_end(&t->out, &st, t->last);
	if (rc != 0 && rc != -EPIPE && code == SW_EXIT_OK)
		code = complain(SW_EXIT_FAILED, "%s: %s", t->out.path, strerror(-rc));
	fprintf(stderr, "synward trace: %llu packets seen, %llu shown, %llu lost by the kernel\n",
		(unsigned long long)st.seen, (unsigned long long)t->shown,
		(unsigned long long)st.dropped);
	tell_unsearched(t);
	return code;
}

static int run(struct trace *t, struct sw_keyfile *keys)
{
	char comment[512];
	int rc;

	if (t->a->read && t->a->write && sw_is_input(t->a->read, t->a->write))
		return sw_usage("trace", "%s is the file that is read; write another one",
				t->a->write);
	rc = open_source(t);
	if (rc == SW_EXIT_OK)
		rc = open_watch(t, keys);
	if (rc != SW_EXIT_OK)
		return rc;
	rc = sw_trace_out_open(&t->out, t->a->write);
	if (rc != 0)
		return complain(SW_EXIT_FAILED, "%s: %s", t->out.path, strerror(-rc));
	catch_signals(t->cap);
	greet(t, keys, comment, sizeof(comment));
	explicit_bzero(keys, sizeof(*keys));
	rc = drop_root();
	if (rc != SW_EXIT_OK)
		return rc;
	rc = sw_trace_out_begin(&t->out, t->cap, t->a->read ? t->a->read : t->iface, t->a->filter,
				comment);
	return finish(t, rc ? complain(SW_EXIT_FAILED, "%s: %s", t->out.path, strerror(-rc)) : loop(t));
}

int sw_cmd_trace(int argc, char **argv)
{
	static struct sw_trace_args a; /* zero; too large for comfort on the stack */
	struct trace t = { .a = &a };
	struct sw_keyfile keys = { 0 };
	int rc = sw_trace_args_read(&a, argc, argv);

	if (rc != SW_EXIT_OK)
		return rc;
	if (a.help) {
		fputs(help_text, stdout);
		return SW_EXIT_OK;
	}
	rc = run(&t, &keys);
	explicit_bzero(&keys, sizeof(keys));
	sw_watch_free(t.watch);
	sw_socks_close(t.socks);
	sw_capture_close(t.cap);
	return rc;
}
