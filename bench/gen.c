/* SPDX-License-Identifier: MIT */
/*
 * The packet generator of the lab.  Sends the frames of flood.h out of a veth, and out of nothing
 * else, by a packet socket or by XDP live frames (gen.bpf.c, millions a second).  Ends by itself.
 *
 *   bench_gen --interface v0 --kind syn-linux --rate 200000 --seconds 5 --json
 */
#include "flood.h"
#include "gen/options.h"
#include "lab.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <inttypes.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>

#define BATCH 64

struct totals {
	uint64_t made; /* frames given to the interface */
	uint64_t lost; /* of them, refused because the far end was full */
};

struct gen {
	struct gen_options o;
	uint64_t begin_ns, end_ns;
	uint64_t lost_before; /* the interface's counter at the start, XDP only */
	struct flood_state_view {
		uint64_t made, start_ns, end_ns, over;
	} volatile *state; /* gen.bpf.c's, or our own */
	_Atomic uint64_t socket_lost;
	pthread_t sender;
	atomic_bool done;
	uint64_t per_second[GEN_MAX_SECONDS + 1];
	size_t nsecond;
};

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

/* ---- what was sent ---- */

/* Frames that the interface could not give to its far end, from /proc/net/dev. */
static uint64_t interface_lost(const char *name)
{
	char line[512];
	uint64_t lost = 0;
	FILE *f = fopen("/proc/thread-self/net/dev", "re");

	if (!f)
		die("/proc/net/dev");
	while (fgets(line, sizeof(line), f)) {
		const char *p = line + strspn(line, " ");
		const size_t n = strlen(name);

		if (strncmp(p, name, n) == 0 && p[n] == ':' &&
		    sscanf(p + n + 1, "%*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %" SCNu64,
			   &lost) != 1)
			lost = 0;
	}
	fclose(f);
	return lost;
}

static struct totals totals(const struct gen *g)
{
	struct totals t = { .made = g->state->made };

	t.lost = g->o.xdp ? interface_lost(g->o.interface) - g->lost_before : g->socket_lost;
	if (t.lost > t.made)
		t.lost = t.made;
	return t;
}

/* Says each second what was sent.  Wakes the sender when it is time to end. */
static void *reporter(void *arg)
{
	struct gen *g = arg;
	uint64_t next = g->begin_ns + NS_PER_S, before = 0;

	while (!g->done) {
		const struct timespec nap = { .tv_nsec = 5 * NS_PER_MS };

		nanosleep(&nap, NULL);
		const uint64_t now = now_ns();

		if (now >= next && g->nsecond < GEN_MAX_SECONDS) {
			const struct totals t = totals(g);
			uint64_t sent = t.made - t.lost;

			if (sent < before) /* the two counters are not read at one time */
				sent = before;
			g->per_second[g->nsecond++] = sent - before;
			fprintf(stderr, "bench_gen: second %zu: %" PRIu64 " sent\n", g->nsecond,
				sent - before);
			before = sent;
			next += NS_PER_S;
		}
		if (stop || g->state->over || now >= g->end_ns)
			pthread_kill(g->sender, SIGUSR1);
	}
	return NULL;
}

static void print_json(const struct gen *g, double seconds)
{
	const struct totals t = totals(g);
	const uint64_t sent = t.made - t.lost;

	printf("{\"kind\": \"%s\", \"family\": %d, \"engine\": \"%s\", \"interface\": \"%s\", "
	       "\"seed\": %" PRIu64 ", \"seconds\": %.3f, \"offered\": %" PRIu64
	       ", \"lost\": %" PRIu64 ", \"sent\": %" PRIu64
	       ", \"sent_per_second\": %.0f, \"each_second\": [",
	       gen_kind_name(g->o.cf.kind), g->o.cf.v6 ? 6 : 4, g->o.xdp ? "xdp" : "packet",
	       g->o.interface, (uint64_t)g->o.cf.seed, seconds, t.made, t.lost, sent,
	       seconds > 0 ? (double)sent / seconds : 0);
	for (size_t i = 0; i < g->nsecond; i++)
		printf("%s%" PRIu64, i ? ", " : "", g->per_second[i]);
	puts("]}");
}

/* ---- a packet socket ---- */

static size_t put_words(uint8_t *out, const uint32_t *word, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const uint32_t w = htonl(word[i]);

		memcpy(out + 4 * i, &w, 4);
	}
	return 4 * n;
}

static size_t frame_bytes(const struct flood_cfg *cf, uint64_t n, uint8_t out[FLOOD_MAX])
{
	struct flood_packet p = { 0 };
	const uint16_t type = htons(cf->v6 ? ETH_P_IPV6 : ETH_P_IP);
	size_t len = 14;

	flood_make(&p, cf, n);
	memcpy(out, cf->mac, 12);
	memcpy(out + 12, &type, 2);
	len += put_words(out + len, p.ip, p.nip);
	len += put_words(out + len, p.tcp, p.ntcp);
	if (cf->kind == FLOOD_SYN_DATA) {
		memset(out + len, 'X', FLOOD_PAYLOAD);
		len += FLOOD_PAYLOAD;
	}
	return len;
}

static int open_socket(const struct gen *g)
{
	const struct sockaddr_ll to = { .sll_family = AF_PACKET,
					.sll_ifindex = (int)g->o.cf.ifindex };
	const int one = 1, buf = 4 << 20;
	const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&to, sizeof(to)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buf, sizeof(buf)))
		die("packet socket");
	return fd;
}

/* How many frames may go now: at most @most.  Sleeps while there are none. */
static size_t allowance(struct gen *g, size_t most)
{
	const struct flood_cfg *cf = &g->o.cf;
	const uint64_t made = g->state->made;

	while (cf->rate && !stop) {
		const uint64_t now = now_ns();
		const uint64_t target =
			(uint64_t)((double)(now - g->state->start_ns) * (double)cf->rate / 1e9);

		if (now >= g->end_ns)
			return 0;
		if (target > made + BATCH) /* late: not made up for, as in gen.bpf.c */
			g->state->start_ns += (target - made - BATCH) * NS_PER_S / cf->rate;
		if (target > made)
			return target - made < most ? target - made : most;
		const struct timespec nap = { .tv_nsec = 50000 };

		nanosleep(&nap, NULL);
	}
	return most;
}

/* A frame that the far end had no room for is offered again until the time is over. */
static void send_all(struct gen *g, int fd, struct mmsghdr *msg, size_t n)
{
	size_t at = 0;

	while (at < n && !stop && now_ns() < g->end_ns) {
		const int rc = sendmmsg(fd, msg + at, (unsigned)(n - at), 0);

		if (rc > 0) {
			at += (size_t)rc;
			g->state->made += (uint64_t)rc;
		} else if (errno == ENOBUFS || errno == EAGAIN) {
			g->socket_lost++;
			g->state->made++;
		} else if (errno != EINTR) {
			die("sendmmsg");
		}
	}
}

static void run_socket(struct gen *g)
{
	static uint8_t frame[BATCH][FLOOD_MAX];
	static struct flood_state_view state;
	struct iovec iov[BATCH];
	struct mmsghdr msg[BATCH] = { 0 };
	const int fd = open_socket(g);
	uint64_t number = g->o.cf.first;

	state.start_ns = g->begin_ns;
	g->state = &state;
	for (size_t i = 0; i < BATCH; i++) {
		iov[i].iov_base = frame[i];
		msg[i].msg_hdr = (struct msghdr){ .msg_iov = &iov[i], .msg_iovlen = 1 };
	}
	while (!stop && now_ns() < g->end_ns) {
		const uint64_t sent = state.made - g->socket_lost;
		size_t n = allowance(g, BATCH);

		if (g->o.cf.count && g->o.cf.count - sent < n)
			n = g->o.cf.count - sent;
		if (n == 0)
			break;
		for (size_t i = 0; i < n; i++)
			iov[i].iov_len = frame_bytes(&g->o.cf, number++, frame[i]);
		send_all(g, fd, msg, n);
	}
	close(fd);
}

/* ---- XDP live frames ---- */

static void *must_map(const struct bpf_object *obj, const char *name, const void *init, size_t n)
{
	struct bpf_map *map = bpf_object__find_map_by_name(obj, name);

	if (!map || bpf_map__set_initial_value(map, init, n))
		die(name);
	return map;
}

static int load_program(struct gen *g, struct bpf_object **objp)
{
	char path[4096];
	const struct flood_state_view first = { .end_ns = g->end_ns };
	struct bpf_map *bss;
	struct bpf_object *obj;
	void *view;

	beside(path, sizeof(path), "gen.bpf.o");
	obj = bpf_object__open_file(path, NULL);
	if (!obj)
		die(path);
	must_map(obj, ".rodata", &g->o.cf, sizeof(g->o.cf));
	bss = must_map(obj, ".bss", &first, sizeof(first));
	if (bpf_object__load(obj))
		die("loading gen.bpf.o");
	view = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED,
		    bpf_map__fd(bss), 0);
	if (view == MAP_FAILED)
		die("mapping the state of gen.bpf.o");
	g->state = view;
	*objp = obj;
	return bpf_program__fd(bpf_object__find_program_by_name(obj, "bench_gen"));
}

static void run_xdp(struct gen *g, int fd)
{
	uint8_t frame[FLOOD_MAX + FLOOD_SPARE] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame,
		    .data_size_in = g->o.cf.len + FLOOD_SPARE,
		    .repeat = 1 << 30, .flags = BPF_F_TEST_XDP_LIVE_FRAMES);

	/* Each call takes 20 ms to set up; a signal of the reporter ends it. */
	while (!stop && !g->state->over && now_ns() < g->end_ns)
		if (bpf_prog_test_run_opts(fd, &opts) && errno != EINTR)
			die("running gen.bpf.o with live frames");
}

/* ---- running ---- */

static void catch_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
}

static void wake(int sig)
{
	(void)sig;
}

int main(int argc, char **argv)
{
	static struct gen g = {
		.o = { .seconds = 5,
		       .cf = { .seed = 1,
			       .kind = FLOOD_SYN_LINUX,
			       .daddr = 0xc6336401, /* the lab's victim, 198.51.100.1 */
			       .daddr6 = { 0x20010db8, 0, 0, 1 },
			       .dport = 80,
			       .mac = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0x66 } } }
	};
	struct sigaction sa = { .sa_handler = wake };
	struct flood_state_view none = { 0 };
	struct bpf_object *obj = NULL;
	pthread_t thread;
	int fd = -1;

	gen_options_parse(&g.o, argc, argv);
	g.o.cf.ifindex = must_be_veth(g.o.interface);
	catch_signals();
	g.begin_ns = now_ns();
	g.end_ns = g.begin_ns + g.o.seconds * NS_PER_S;
	g.state = &none;
	if (g.o.xdp) {
		g.lost_before = interface_lost(g.o.interface);
		fd = load_program(&g, &obj);
	}
	g.begin_ns = now_ns();
	g.sender = pthread_self();
	sigaction(SIGUSR1, &sa, NULL);
	if (pthread_create(&thread, NULL, reporter, &g))
		die("thread");
	if (g.o.xdp)
		run_xdp(&g, fd);
	else
		run_socket(&g);
	const double seconds = (double)(now_ns() - g.begin_ns) / 1e9;

	g.done = true;
	pthread_join(thread, NULL);
	if (g.o.json)
		print_json(&g, seconds);
	bpf_object__close(obj);
	return 0;
}
