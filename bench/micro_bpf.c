/* SPDX-License-Identifier: MIT */
/*
 * What a frame costs in the BPF programs, by BPF_PROG_TEST_RUN: no driver and nothing of the stack.
 * In a network namespace of its own, in which somebody listens and has one connection.  Its
 * loopback is the guarded interface: every namespace has one, with the address that test frames
 * are taken to be for.
 */
#include "micro.h"
#include "feed.h"
#include "lab.h"
#include "steer/answer.h"
#include "steer/bpfutil.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <sched.h>

#define LOOPBACK   1 /* its number, in every network namespace */
#define PORT	   80
#define SEED	   1
#define ACT_NEXT   UINT32_MAX /* TCX_NEXT */
#define TICK_NS	   (200 * NS_PER_MS)
#define MANY_TICKS 20 /* more than the map of known flows needs until it holds */

enum program { PASS, FEED_PASS, XDP, FEED_XDP, TC };
enum shape { ESTABLISHED, UNGUARDED, RANDOM_ACKS, SYNS, PROVING_ACK };

struct row {
	const char *name;
	enum program program;
	enum shape shape;
	uint32_t want;	 /* what the program returns */
	enum sw_why why; /* what it counts at each run; SW_NWHY: nothing */
};

/* The first two are what measuring costs: of any row, and of those with a frame of their own for
 * each run, which are the answered and the refused ones. */
static const struct row controls[] = {
	{ "bpf-pass", PASS, RANDOM_ACKS, XDP_PASS, SW_NWHY },
	{ "bpf-feed", FEED_PASS, RANDOM_ACKS, XDP_PASS, SW_NWHY },
}, not_known[] = {
	{ "xdp-not-known", XDP, ESTABLISHED, XDP_PASS, SW_NWHY },
}, established[] = {
	{ "xdp-known", XDP, ESTABLISHED, XDP_PASS, SW_NWHY },
	{ "xdp-unguarded", XDP, UNGUARDED, XDP_PASS, SW_NWHY },
	{ "tc-established", TC, ESTABLISHED, ACT_NEXT, SW_WHY_HAS_SOCKET },
}, siphash[] = {
	{ "xdp-syn-siphash-2-4", FEED_XDP, SYNS, XDP_TX, SW_WHY_SYN_ANSWERED },
	{ "xdp-ack-siphash-2-4", FEED_XDP, RANDOM_ACKS, XDP_DROP, SW_WHY_COOKIE_FORGED },
	{ "tc-ack-siphash-2-4", TC, PROVING_ACK, ACT_NEXT, SW_WHY_ACK_PROVEN },
}, hmac[] = {
	{ "xdp-syn-hmac-sha256", FEED_XDP, SYNS, XDP_TX, SW_WHY_SYN_ANSWERED },
	{ "xdp-ack-hmac-sha256", FEED_XDP, RANDOM_ACKS, XDP_DROP, SW_WHY_COOKIE_FORGED },
	{ "tc-ack-hmac-sha256", TC, PROVING_ACK, ACT_NEXT, SW_WHY_ACK_PROVEN },
};
#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static struct {
	struct bpf_object *pass_obj, *feed_obj;
	struct sw_answer *answer;
	int pass, feed, xdp, tc; /* programs */
	int frames, next;	 /* maps of the feeder */
	uint16_t client;	 /* port of the connection */
	uint8_t frame[FEED_LEN];
	sw_wall wall;
	sw_mono mono;
} t;

static void say(const char *what)
{
	fprintf(stderr, "bench_micro: %s\n", what);
	exit(1);
}

/* ---- the namespace ---- */

static int tcp_socket(void)
{
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket");
	return fd;
}

static void raise_loopback(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	const int fd = tcp_socket();

	if (ioctl(fd, SIOCSIFFLAGS, &ifr))
		die("loopback");
	close(fd);
}

/* A listener and a connection of it; they stay until this process ends. */
static void serve(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	const int listener = tcp_socket(), client = tcp_socket();
	socklen_t len = sizeof(sa);

	/* So short a queue has no memory of used cookies: one ACK can prove itself many times. */
	if (bind(listener, (struct sockaddr *)&sa, sizeof(sa)) || listen(listener, 8))
		die("listen");
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(client, (struct sockaddr *)&sa, sizeof(sa)) ||
	    getsockname(client, (struct sockaddr *)&sa, &len))
		die("connect");
	t.client = ntohs(sa.sin_port);
}

/* ---- the programs ---- */

static struct bpf_object *load(const char *file)
{
	char path[4096];
	struct bpf_object *obj;

	beside(path, sizeof(path), file);
	obj = bpf_object__open_file(path, NULL);
	if (!obj || bpf_object__load(obj))
		die(path);
	return obj;
}

static void load_tools(void)
{
	t.pass_obj = load("pass.bpf.o");
	t.feed_obj = load("feed.bpf.o");
	t.pass = bpf_program__fd(bpf_object__find_program_by_name(t.pass_obj, "lab_pass"));
	t.feed = bpf_program__fd(bpf_object__find_program_by_name(t.feed_obj, "bench_feed"));
	t.frames = bpf_object__find_map_fd_by_name(t.feed_obj, "frames");
	t.next = bpf_object__find_map_fd_by_name(t.feed_obj, "next");
}

/* @return the only element of the host map, which the XDP program leads to. */
static struct sw_bpf_host read_host(void)
{
	__u32 id[64], len = sizeof(struct bpf_prog_info), zero = 0;
	struct bpf_prog_info info = { .nr_map_ids = 64, .map_ids = (uintptr_t)id };
	struct sw_bpf_host host = { 0 };

	if (bpf_obj_get_info_by_fd(t.xdp, &info, &len))
		die("maps of the program");
	for (__u32 i = 0; i < info.nr_map_ids; i++) {
		struct bpf_map_info map = { 0 };
		const int fd = bpf_map_get_fd_by_id(id[i]);

		len = sizeof(map);
		if (fd < 0 || bpf_obj_get_info_by_fd(fd, &map, &len))
			die("map");
		if (strcmp(map.name, "host") == 0) {
			if (bpf_map_lookup_elem(fd, &zero, &host))
				die("map");
			close(fd);
			return host;
		}
		close(fd);
	}
	say("the XDP program has no map called host");
	return host;
}

static void open_answer(enum sw_mac_alg alg)
{
	const struct sw_guard guard = { .family = SW_IP4,
					.port = PORT,
					.addr = { { 127, 0, 0, 1 } } };
	struct sw_masters masters = { .n = 1 };
	const struct sw_answer_config cf = { .policy = &micro_policy,
					     .masters = &masters,
					     .alg = alg,
					     .transparent = true,
					     .ifindex = LOOPBACK };
	LIBBPF_OPTS(bpf_prog_query_opts, q);
	__u32 id = 0;
	struct timespec ts;
	char err[256] = "";

	clock_gettime(CLOCK_REALTIME, &ts);
	t.wall.ns = (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
	t.mono.ns = now_ns();
	memset(masters.key[0], 0x42, SW_KEY_LEN);
	if (sw_answer_open(&t.answer, &cf, t.wall, t.mono, err, sizeof(err)) ||
	    sw_xdp_attach_tc(sw_answer_xdp(t.answer), err, sizeof(err)))
		say(err);
	if (sw_answer_guard(t.answer, &guard, true))
		say("the guard was not taken");
	q.prog_ids = &id;
	q.prog_cnt = 1;
	if (bpf_prog_query_opts(LOOPBACK, (enum bpf_attach_type)SW_TCX_INGRESS, &q) || !id)
		die("the TC program");
	t.tc = bpf_prog_get_fd_by_id(id);
	t.xdp = sw_answer_prog_fd(t.answer);
}

static void close_answer(void)
{
	close(t.tc);
	sw_answer_close(t.answer);
	t.answer = NULL;
}

/* Until the map of known flows holds: the connection is in it then, as the kernel lists it. */
static void know_flows(void)
{
	for (int i = 0; i < MANY_TICKS; i++) {
		if (read_host().known != SW_BPF_KNOWN_NONE)
			return;
		t.wall.ns += TICK_NS;
		t.mono.ns += TICK_NS;
		if (sw_answer_tick(t.answer, t.wall, t.mono))
			say("the clock of the programs was not set");
	}
	say("the map of known flows does not come to hold");
}

/* ---- frames ---- */

static struct flood_packet packet(uint32_t kind, uint64_t n)
{
	const struct flood_cfg cf = {
		.seed = SEED, .kind = kind, .daddr = INADDR_LOOPBACK, .dport = PORT
	};
	struct flood_packet p = { 0 };

	flood_make(&p, &cf, n);
	return p;
}

static void put(const struct flood_packet *p)
{
	uint8_t out[FLOOD_MAX] = { 0 };

	micro_frame(out, p);
	memcpy(t.frame, out, FEED_LEN);
}

/* Checksums anew, after words were changed. */
static void put_changed(struct flood_packet *p)
{
	__u64 ip = 0;

	p->ip[2] &= 0xffff0000;
	for (int i = 0; i < 5; i++)
		ip += p->ip[i];
	p->ip[2] |= flood_fold(ip);
	p->tcp[4] = 0;
	flood_checksum(p, (__u64)p->ip[3] + p->ip[4], p->ntcp * 4, 0);
	put(p);
}

static void feed_frames(uint32_t kind)
{
	for (__u32 i = 0; i < FEED_FRAMES; i++) {
		const struct flood_packet p = packet(kind, i);
		struct feed_frame f = { 0 };

		put(&p);
		memcpy(&f, t.frame, FEED_LEN);
		if (bpf_map_update_elem(t.frames, &i, &f, BPF_ANY))
			die("frames");
	}
}

/* @param each  Out, may be NULL: ns of a run by the kernel's own measure, which leaves out what it
 *              does once, and for XDP waits for, before the first. */
static uint32_t test_run(int prog, uint64_t repeat, uint8_t out[FLOOD_MAX], uint32_t *each)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = t.frame, .data_size_in = FEED_LEN,
		    .data_out = out, .data_size_out = out ? FLOOD_MAX : 0, .repeat = (int)repeat);

	if (bpf_prog_test_run_opts(prog, &opts))
		die("BPF_PROG_TEST_RUN");
	if (each)
		*each = opts.duration;
	return opts.retval;
}

/* The ACK of a client that got the XDP program's answer. */
static void make_proving_ack(void)
{
	struct flood_packet p = packet(FLOOD_SYN_LINUX, 0);
	uint8_t answer[FLOOD_MAX];
	const struct sw_frame view = { .data = answer, .len = FEED_LEN, .wire_len = FEED_LEN };
	struct sw_seg seg;

	put(&p);
	if (test_run(t.xdp, 1, answer, NULL) != XDP_TX || sw_wire_parse(&seg, &view) != SW_WIRE_OK)
		say("no SYN-ACK");
	p = packet(FLOOD_ACK_TS, 0);
	p.tcp[1] += 1;
	p.tcp[2] = seg.seq + 1;
	p.tcp[6] = seg.opt.tsecr + 1;
	p.tcp[7] = seg.opt.tsval;
	put_changed(&p);
}

static void make_frame(enum shape shape)
{
	struct flood_packet p = packet(FLOOD_ACK_TS, 0);

	switch (shape) {
	case ESTABLISHED:
		p.ip[3] = INADDR_LOOPBACK;
		p.tcp[0] = (uint32_t)t.client << 16 | PORT;
		break;
	case UNGUARDED:
		p.tcp[0] += 1;
		break;
	case RANDOM_ACKS:
		feed_frames(FLOOD_ACK_TS);
		break;
	case SYNS:
		feed_frames(FLOOD_SYN_LINUX);
		break;
	case PROVING_ACK:
		make_proving_ack();
		return;
	}
	put_changed(&p);
}

/* ---- measuring ---- */

static int fd_of(const struct row *r)
{
	const int next = r->program == FEED_XDP ? t.xdp : t.pass;
	const __u32 zero = 0;

	switch (r->program) {
	case PASS:
		return t.pass;
	case XDP:
		return t.xdp;
	case TC:
		return t.tc;
	case FEED_PASS:
	case FEED_XDP:
		break;
	}
	if (bpf_map_update_elem(t.next, &zero, &next, BPF_ANY))
		die("the feeder does not take the program");
	return t.feed;
}

/* @return how often the program of @r counted what it should, or anything when that is nothing. */
static uint64_t counted(const struct row *r)
{
	uint64_t why[SW_NWHY] = { 0 }, sum = 0;

	if (!t.answer)
		return 0;
	if (r->program == TC)
		sw_answer_count_tc(t.answer, why);
	else
		sw_answer_count(t.answer, why);
	if (r->why != SW_NWHY)
		return why[r->why];
	for (size_t i = 0; i < SW_NWHY; i++)
		sum += why[i];
	return sum;
}

/* A round in which the program did something else than the row says is worth nothing. */
static uint64_t bpf_round(const void *row, uint64_t n)
{
	const struct row *r = row;
	const int fd = fd_of(r);
	const uint64_t before = counted(r);
	uint32_t each;
	const uint32_t got = test_run(fd, n, NULL, &each);
	const uint64_t more = counted(r) - before;

	if (got != r->want || more != (r->why == SW_NWHY ? 0 : n)) {
		fprintf(stderr,
			"bench_micro: %s: the last of %llu runs returned %d, %llu were counted\n",
			r->name, (unsigned long long)n, (int)got, (unsigned long long)more);
		exit(1);
	}
	return each * n;
}

static void measure(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		make_frame(rows[i].shape);
		micro_print(rows[i].name, micro_measure(bpf_round, &rows[i]));
	}
}

void micro_bpf(void)
{
	if (unshare(CLONE_NEWNET))
		say(errno == EPERM ? "--bpf needs root: a network namespace and BPF programs" :
				     strerror(errno));
	sw_bpf_quiet();
	raise_loopback();
	serve();
	load_tools();
	measure(controls, COUNT(controls));
	open_answer(SW_MAC_SIPHASH24);
	measure(not_known, COUNT(not_known));
	know_flows();
	measure(established, COUNT(established));
	measure(siphash, COUNT(siphash));
	close_answer();
	open_answer(SW_MAC_HMAC_SHA256);
	know_flows();
	measure(hmac, COUNT(hmac));
	close_answer();
	bpf_object__close(t.feed_obj);
	bpf_object__close(t.pass_obj);
}
