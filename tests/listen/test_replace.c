/* SPDX-License-Identifier: MIT */
/* A listener that is drained, replaced by another, or given other keys, while it runs. */
#include "listen/rig.h"

#include <pthread.h>

static const char key_a[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
static const char key_b[] = "fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0efeeedecebeae9e8e7e6e5e4e3e2e1e0";
static char key_path[] = "/tmp/synward-replace-XXXXXX";

static void write_keys(const char *text)
{
	FILE *f = fopen(key_path, "we");

	cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0, "%s", strerror(errno));
}

static void make_key_file(const char *text)
{
	const int fd = mkstemp(key_path);

	cr_assert(fd >= 0, "%s", strerror(errno));
	close(fd);
	write_keys(text);
}

static void expect_key(unsigned i, const char *slot, const char *fingerprint)
{
	struct synward_key keys[SYNWARD_MAX_KEYS];

	cr_assert(synward_listener_get_keys(lev, keys) > i, "no key %u", i);
	cr_assert_str_eq(keys[i].slot, slot, "key %u is %s", i, keys[i].slot);
	cr_assert_str_eq(keys[i].fingerprint, fingerprint, "key %u is %s", i, keys[i].fingerprint);
}

static bool answered(uint16_t sport, int ms)
{
	struct frame_spec syn = frame_syn_usual(SW_IP4);
	struct sw_seg seg;

	syn.sport = sport;
	send_spec(&syn);
	while (net_recv_seg(p0, &seg, ms))
		if (seg.dport == sport)
			return seg.flags == (SW_TCP_SYN | SW_TCP_ACK);
	return false;
}

static struct synward_stats stats_of(const struct synward_listener *l)
{
	struct synward_stats st;

	synward_listener_get_stats(l, &st);
	return st;
}

static void wait_drained(struct synward_listener *l)
{
	const uint64_t deadline = net_now_ms() + NET_WAIT_MS;

	while (stats_of(l).queued && net_again(deadline))
		event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	cr_assert_eq(stats_of(l).queued, 0, "%lu queued", stats_of(l).queued);
}

static void expect_sums(const struct synward_stats *st, const char *what)
{
	uint64_t refused = 0, failed = 0;

	for (unsigned i = 0; i < SYNWARD_MAX_REASONS; i++)
		refused += st->syn_refused[i];
	for (unsigned i = 0; i < SYNWARD_MAX_STAGES; i++)
		failed += st->handoff_failed[i];
	cr_assert_eq(st->syns, st->reason[SW_WHY_SYN_ANSWERED] + refused, "%s: %lu SYNs", what,
		     st->syns);
	cr_assert_eq(st->proven, st->handed + st->settling + failed, "%s: %lu proven", what,
		     st->proven);
	cr_assert_eq(st->syns, st->syns_ip4 + st->syns_ip6, "%s: %lu + %lu SYNs", what,
		     st->syns_ip4, st->syns_ip6);
}

/* No answer and no reset; who was answered before completes; and it ends. */
Test(replace, drained)
{
	struct frame_spec ack, syn = frame_syn_usual(SW_IP4);
	struct synward_stats st;

	enter();
	start(0);
	ack = prove(SW_IP4, 40000);
	cr_assert_eq(synward_listener_is_draining(lev), 0, "from the start");
	cr_assert_eq(synward_listener_drain(lev, 1), 0, "%s", strerror(errno));
	cr_assert_eq(synward_listener_drain(lev, 1), 0, "twice");
	cr_assert_eq(synward_listener_is_draining(lev), 1, "not drained");
	wait_drained(lev);
	for (unsigned i = 0; i < 3; i++)
		send_spec(&syn);
	wait_reason(SW_WHY_DRAINING, 3);
	cr_assert(!answered(40009, 50), "an answer");
	send_spec(&ack);
	cr_assert(run_until(&seen.n, 1), "no connection");
	st = stats();
	cr_assert(st.syn_refused[SW_WHY_DRAINING] == 4 && st.syns == 5, "%lu SYNs", st.syns);
	expect_sums(&st, "drained");
	cr_assert_eq(synward_listener_drain(lev, 0), 0, "undrain");
	cr_assert_eq(synward_listener_is_draining(lev), 0, "still drained");
	open_connection(SW_IP4, 40001);
	cr_assert(run_until(&seen.n, 2), "no connection");
	stop();
}

/* Proven connections that wait for the callback are delivered before it ends. */
Test(replace, nothing_proven_is_lost_at_the_end)
{
	enter();
	start(SYNWARD_OPT_DISABLED);
	for (uint16_t i = 0; i < 20; i++)
		open_connection(SW_IP4, (uint16_t)(40000 + i));
	cr_assert_eq(synward_listener_drain(lev, 1), 0, "drain");
	wait_queued(20);
	cr_assert_eq(synward_listener_enable(lev), 0, "enable");
	wait_drained(lev);
	cr_assert_eq(seen.n, 20, "%u calls", seen.n);
	stop();
}

/* The successor waits, then has everything at once; handshakes in flight complete. */
Test(replace, by_another)
{
	struct synward_config cf = usual();
	struct synward_listener *old;
	struct frame_spec ack[2];

	enter();
	for (unsigned mac = 0; mac < 2; mac++) {
		start(0);
		old = lev;
		ack[0] = prove(SW_IP4, 40000);
		cf.mac = mac ? SYNWARD_MAC_SIPHASH_2_4 : SYNWARD_MAC_HMAC_SHA256;
		cf.mss_max = 1000;
		cf.workers = 2;
		start_with(&cf, SYNWARD_OPT_REPLACE);
		/* Nothing has changed yet. */
		ack[1] = prove(SW_IP6, 40001);
		cr_assert(stats_of(old).syns == 2 && stats_of(lev).syns == 0, "passed already");
		cr_assert_eq(synward_listener_drain(old, 1), 0, "%s", strerror(errno));
		cr_assert(synward_listener_drain(old, 0) == -1 && errno == EBUSY, "taken back");
		cr_assert(answered(40002, NET_WAIT_MS), "no answer");
		send_spec(&ack[0]);
		send_spec(&ack[1]);
		cr_assert(run_until(&seen.n, 2), "%u handshakes of two completed", seen.n);
		cr_assert(seen.lev == lev && stats_of(lev).proven == 2, "by the old one");
		wait_drained(old);
		synward_listener_free(old);
		cr_assert(answered(40003, NET_WAIT_MS), "no answer");
		cr_assert(stats_of(lev).syns == 2 && stats_of(lev).reason[SW_WHY_RST] == 0,
			  "%lu SYNs", stats_of(lev).syns);
		synward_listener_free(lev);
		for (unsigned i = 0; i < seen.n; i++)
			close(seen.fd[i]);
		memset(&seen, 0, sizeof(seen));
		net_run("ss -K sport = 443 >/dev/null 2>&1 || true");
	}
	event_base_free(base);
}

/* A reload that is called off leaves the old one as it was. */
Test(replace, called_off)
{
	struct synward_config cf = usual();
	struct synward_listener *old, *another;
	unsigned fds;

	enter();
	start(0);
	old = lev;
	fds = net_fds();
	start_with(&cf, SYNWARD_OPT_REPLACE);
	synward_listener_free(lev);
	cf.interface = "nowhere";
	another = synward_listener_new(base, on_accept, &seen, SYNWARD_OPT_REPLACE, &cf);
	cr_assert(!another && errno == ENODEV, "%s", strerror(errno));
	cr_assert_eq(net_fds(), fds, "%u descriptors, not %u", net_fds(), fds);
	lev = old;
	open_connection(SW_IP4, 40000);
	cr_assert(run_until(&seen.n, 1), "no connection");
	stop();
}

/* Freed at once, without a drain: the successor has it all the same. */
Test(replace, freed_at_once)
{
	struct synward_config cf = usual();
	struct synward_listener *old;

	enter();
	start(0);
	old = lev;
	start_with(&cf, SYNWARD_OPT_REPLACE);
	synward_listener_free(old);
	open_connection(SW_IP4, 40000);
	open_connection(SW_IP6, 40001);
	cr_assert(run_until(&seen.n, 2), "%u connections", seen.n);
	stop();
}

/* Without the flag it is refused; and by another process in any case. */
Test(replace, only_on_request)
{
	struct synward_config cf = usual();
	int status;
	pid_t pid;

	enter();
	start(0);
	cr_assert(!synward_listener_new(base, on_accept, NULL, 0, &cf) && errno == EBUSY, "twice");
	cr_assert(strstr(err, "listener of this process"), "'%s'", err);
	pid = fork();
	if (pid == 0) {
		struct event_base *own = event_base_new();

		_exit(!synward_listener_new(own, on_accept, NULL, SYNWARD_OPT_REPLACE, &cf) &&
				      errno == EBUSY ?
			      0 :
			      1);
	}
	cr_assert(waitpid(pid, &status, 0) == pid && status == 0, "taken from another process");
	stop();
}

/* The largest MSS is a ceiling, not a wish. */
Test(replace, mss_max)
{
	static const struct {
		unsigned max;
		uint16_t mss4, mss6;
	} rows[] = { { 0, 1460, 1440 }, { 1450, 1450, 1440 }, { 536, 536, 536 },
		     { 65495, 1460, 1440 } };
	struct synward_config cf = usual();

	enter();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cf.mss_max = rows[i].max;
		start_with(&cf, 0);
		for (unsigned v6 = 0; v6 < 2; v6++) {
			struct frame_spec syn = frame_syn_usual(v6 ? SW_IP6 : SW_IP4);
			struct sw_seg seg;

			send_spec(&syn);
			cr_assert(net_recv_seg(p0, &seg, NET_WAIT_MS), "no answer");
			cr_assert_eq(seg.opt.mss, v6 ? rows[i].mss6 : rows[i].mss4,
				     "%u: MSS %u (IPv6 %u)", rows[i].max, seg.opt.mss, v6);
		}
		synward_listener_free(lev);
	}
	cf.mss_max = 87;
	lev = synward_listener_new(base, on_accept, NULL, 0, &cf);
	cr_assert(!lev && errno == EINVAL && strstr(err, "88 to 65495"), "'%s'", err);
	stop();
}

/* Rotation: staged, active, retired; what is in flight completes at each step. */
Test(replace, other_keys)
{
	struct synward_config cf = usual();
	struct frame_spec ack;
	char text[256], error[256] = "";

	enter();
	snprintf(text, sizeof(text), "active %s\n", key_a);
	make_key_file(text);
	cf.key_file = key_path;
	cf.workers = 2;
	start_with(&cf, 0);
	expect_key(0, "active", "d922befc");
	ack = prove(SW_IP4, 40000);
	snprintf(text, sizeof(text), "staged %s\nactive %s\n", key_b, key_a);
	write_keys(text);
	cr_assert_eq(synward_listener_reload_key(lev, error, sizeof(error)), 0, "%s", error);
	expect_key(0, "active", "d922befc");
	expect_key(1, "staged", "af3711cd");
	send_spec(&ack);
	cr_assert(run_until(&seen.n, 1), "lost when another was staged");
	ack = prove(SW_IP4, 40001);
	snprintf(text, sizeof(text), "active %s\nretired %s\n", key_b, key_a);
	write_keys(text);
	cr_assert_eq(synward_listener_reload_key(lev, error, sizeof(error)), 0, "%s", error);
	expect_key(0, "active", "af3711cd");
	expect_key(1, "retired", "d922befc");
	send_spec(&ack);
	cr_assert(run_until(&seen.n, 2), "lost when another became active");
	cr_assert(stats().proven_key[2] == 1, "not by the retired key");
	ack = prove(SW_IP4, 40002);
	snprintf(text, sizeof(text), "active %s\n", key_b);
	write_keys(text);
	cr_assert_eq(synward_listener_reload_key(lev, error, sizeof(error)), 0, "%s", error);
	send_spec(&ack);
	cr_assert(run_until(&seen.n, 3), "lost when the retired key went");
	cr_assert(stats().proven_key[0] == 2, "%lu by the active key", stats().proven_key[0]);
	unlink(key_path);
	stop();
}

/* A bad file changes nothing and is named. */
Test(replace, a_bad_key_file)
{
	struct synward_config cf = usual();
	char text[256], error[256] = "", tiny[8];
	struct frame_spec ack;

	enter();
	snprintf(text, sizeof(text), "active %s\n", key_a);
	make_key_file(text);
	cf.key_file = key_path;
	start_with(&cf, 0);
	ack = prove(SW_IP4, 40000);
	write_keys("# nothing yet\nactive zz\n");
	cr_assert(synward_listener_reload_key(lev, error, sizeof(error)) == -1 && errno == EINVAL,
		  "%s", strerror(errno));
	snprintf(text, sizeof(text), "%s:2:8: not a hex digit", key_path);
	cr_assert(strstr(error, text) == error, "'%s'", error);
	cr_assert_eq(synward_listener_reload_key(lev, NULL, 0), -1, "a bad file");
	cr_assert_eq(synward_listener_reload_key(lev, tiny, sizeof(tiny)), -1, "a bad file");
	cr_assert_eq(strlen(tiny), sizeof(tiny) - 1, "'%s'", tiny);
	chmod(key_path, 0644);
	cr_assert(synward_listener_reload_key(lev, error, sizeof(error)) == -1 && errno == EINVAL &&
			  strstr(error, "chmod 0600"),
		  "'%s'", error);
	unlink(key_path);
	cr_assert(synward_listener_reload_key(lev, error, sizeof(error)) == -1 && errno == ENOENT,
		  "%s", strerror(errno));
	expect_key(0, "active", "d922befc");
	send_spec(&ack);
	cr_assert(run_until(&seen.n, 1), "the key has gone");
	stop();
}

Test(replace, without_a_key_file_the_key_stays)
{
	struct synward_key before[SYNWARD_MAX_KEYS], after[SYNWARD_MAX_KEYS];
	char error[64] = "?";

	enter();
	start(0);
	cr_assert_eq(synward_listener_get_keys(lev, before), 1, "keys");
	cr_assert_eq(synward_listener_reload_key(lev, error, sizeof(error)), 0, "%s", error);
	cr_assert_eq(synward_listener_get_keys(lev, after), 1, "keys");
	cr_assert(!memcmp(before, after, sizeof(before[0])) && !error[0], "another key, '%s'", error);
	stop();
}

/* Is @len bytes of @what anywhere in this process?  The needle itself is kept inverted. */
static unsigned find_in_memory(const uint8_t *inverted, size_t len)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	const int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	unsigned found = 0;
	char line[512];

	cr_assert(maps && mem >= 0, "%s", strerror(errno));
	while (fgets(line, sizeof(line), maps)) {
		static uint8_t buf[1 << 16];
		unsigned long from, to;
		char perms[8];

		/* Nothing of ours is as large as the shadow memory of a sanitizer. */
		if (sscanf(line, "%lx-%lx %7s", &from, &to, perms) != 3 || perms[0] != 'r' ||
		    perms[1] != 'w' || to - from > 1ul << 28)
			continue;
		for (; from < to; from += sizeof(buf) - len) {
			const size_t n = to - from < sizeof(buf) ? to - from : sizeof(buf);
			const ssize_t got = pread(mem, buf, n, (off_t)from);

			for (ssize_t i = 0; i + (ssize_t)len <= got; i++) {
				size_t k = 0;

				while (k < len && (inverted[k] ^ buf[i + (ssize_t)k]) == 0xff)
					k++;
				found += k == len;
			}
			memset(buf, 0, sizeof(buf));
		}
	}
	fclose(maps);
	close(mem);
	return found;
}

/* While it runs the master key is in memory that is neither swapped nor dumped; afterwards nowhere. */
Test(replace, keys_are_wiped)
{
	struct synward_config cf = usual();
	uint8_t inverted[32];
	char text[256];
	unsigned n;

	enter();
	for (unsigned i = 0; i < 32; i++)
		inverted[i] = (uint8_t)~(0x80 + i * 3);
	snprintf(text, sizeof(text), "active ");
	for (unsigned i = 0; i < 32; i++)
		snprintf(text + 7 + 2 * i, 3, "%02x", (uint8_t)~inverted[i]);
	make_key_file(text);
	memset(text, 0, sizeof(text));
	cf.key_file = key_path;
	cf.workers = 2;
	start_with(&cf, 0);
	n = find_in_memory(inverted, sizeof(inverted));
	cr_assert(n >= 3, "the search does not find the key: %u", n);
	cr_assert_eq(synward_listener_reload_key(lev, NULL, 0), 0, "reload");
	synward_listener_free(lev);
	n = find_in_memory(inverted, sizeof(inverted));
	cr_assert_eq(n, 0, "the key is still there %u times", n);
	unlink(key_path);
	event_base_free(base);
}

/* It grows while the packet threads run, and each of them is seen. */
Test(replace, heartbeat)
{
	struct synward_worker_stats workers[4];
	struct synward_config cf = usual();
	uint64_t deadline, before;

	enter();
	cf.workers = 3;
	start_with(&cf, 0);
	deadline = net_now_ms() + NET_WAIT_MS;
	before = synward_listener_heartbeat(lev);
	while (synward_listener_heartbeat(lev) < before + 2 && net_again(deadline))
		;
	cr_assert(synward_listener_heartbeat(lev) >= before + 2, "it stands still");
	cr_assert_eq(synward_listener_get_workers(lev, workers, 4), 3, "workers");
	for (unsigned i = 0; i < 3; i++)
		cr_assert(workers[i].beats >= 2 && workers[i].ring_lost == 0, "worker %u: %lu", i,
			  workers[i].beats);
	cr_assert_null(synward_listener_xdp_mode(lev), "XDP");
	stop();
}

/* What is handed over is accounted for, by cookie and by time; what is not, by stage. */
Test(replace, sums)
{
	struct frame_spec ack, small = frame_syn(SW_IP4);
	struct synward_config cf = usual();
	struct synward_stats st;
	uint64_t timed = 0;

	enter();
	cf.queue_depth = 3;
	start_with(&cf, SYNWARD_OPT_DISABLED);
	for (uint16_t i = 0; i < 3; i++)
		open_connection(i == 2 ? SW_IP6 : SW_IP4, (uint16_t)(40000 + i));
	wait_queued(3);
	ack = prove(SW_IP4, 40003);
	send_spec(&ack);
	wait_reason(SW_WHY_QUEUE_FULL, 1);
	small.sport = 41000;
	small.flags = SW_TCP_SYN | SW_TCP_FIN;
	send_spec(&small);
	wait_reason(SW_WHY_BAD_FLAGS, 1);
	frame_opt_mss(&small, 100);
	small.flags = SW_TCP_SYN;
	send_spec(&small);
	wait_reason(SW_WHY_MSS_SMALL, 1);
	st = stats();
	expect_sums(&st, "a full queue");
	for (unsigned i = 0; i < SYNWARD_HANDOFF_BUCKETS; i++)
		timed += st.handoff_ns[i];
	cr_assert(st.syns == 6 && st.syns_ip6 == 1 && st.proven == 4 && st.handed == 3 &&
			  st.handoff_failed[0] == 1,
		  "syns %lu IPv6 %lu proven %lu handed %lu", st.syns, st.syns_ip6, st.proven,
		  st.handed);
	cr_assert(timed == 3 && st.handoff_sum_ns > 1000 && st.handoff_sum_ns < 3000000000ull,
		  "%lu timed, %lu ns", timed, st.handoff_sum_ns);
	cr_assert(st.proven_epoch[0] + st.proven_epoch[1] == 4 && st.proven_key[0] == 4,
		  "epochs %lu %lu, active key %lu", st.proven_epoch[0], st.proven_epoch[1],
		  st.proven_key[0]);
	stop();
}

Test(replace, stage_names)
{
	unsigned n = 0;

	while (synward_stage_name(n))
		cr_assert(synward_stage_name(n++)[0], "no name");
	cr_assert(n >= 8 && n <= SYNWARD_MAX_STAGES, "%u stages", n);
	cr_assert_null(synward_stage_name(~0u), "past the last one");
	cr_assert_str_eq(synward_stage_name(0), "queue", "%s", synward_stage_name(0));
}

static _Atomic bool sending = true;

/* A SYN each half millisecond, from one port after the other. */
static void *send_syns(void *arg)
{
	const struct timespec pause = { .tv_nsec = 500000 };
	struct frame_spec syn = frame_syn_usual(SW_IP4);
	unsigned *sent = arg;

	while (sending && *sent < 20000) {
		syn.sport = (uint16_t)(20000 + *sent);
		send_spec(&syn);
		++*sent;
		nanosleep(&pause, NULL);
	}
	return NULL;
}

/* Each SYN gets an answer: the kernel's reset before the guard is up, and a SYN-ACK from then on.
 * None falls into the time between the two, nor into the one at the end. */
Test(replace, no_syn_is_lost_at_the_start_or_the_end)
{
	static uint8_t flags[65536];
	unsigned sent = 0, resets = 0, synacks = 0, lost = 0;
	const int room = 1 << 26;
	struct sw_seg seg;
	pthread_t thread;

	enter();
	net_run("sysctl -qw net.ipv4.icmp_ratelimit=0");
	cr_assert_eq(setsockopt(p0, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)), 0, "room");
	cr_assert_eq(pthread_create(&thread, NULL, send_syns, &sent), 0, "thread");
	for (unsigned i = 0; i < 5; i++) {
		start(0);
		run_for(20);
		synward_listener_free(lev);
	}
	sending = false;
	pthread_join(thread, NULL);
	while (net_recv_seg(p0, &seg, 200))
		flags[seg.dport] = seg.flags;
	for (unsigned i = 0; i < sent; i++) {
		resets += flags[20000 + i] == (SW_TCP_RST | SW_TCP_ACK);
		synacks += flags[20000 + i] == (SW_TCP_SYN | SW_TCP_ACK);
		lost += !flags[20000 + i];
	}
	cr_assert(resets > 10 && synacks > 50, "%u resets, %u answers", resets, synacks);
	cr_assert_eq(lost, 0, "%u of %u have no answer", lost, sent);
	event_base_free(base);
}
