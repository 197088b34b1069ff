/* SPDX-License-Identifier: MIT */
/*
 * What synward offers in a SYN-ACK, compared with what a listening socket of this kernel offers
 * under the same settings: its SYN-ACK is captured and read.
 */
#include "listen/policy.h"
#include "front/net.h"

#include <netinet/in.h>

#define PORT 443

static int lfd = -1, p0 = -1;

static void enter(void)
{
	const struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(PORT) };

	net_enter();
	net_guarded();
	net_run("ip link set dev p0 mtu 65535"); /* it only has to take what g0 sends */
	p0 = net_packet("p0");
	lfd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert(lfd >= 0 && !bind(lfd, (const struct sockaddr *)&any, sizeof(any)) &&
			  !listen(lfd, 64),
		  "listen: %s", strerror(errno));
}

/* A listener's buffer has the size of the day it was made. */
static void listen_anew(void)
{
	const struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(PORT) };

	close(lfd);
	lfd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert(lfd >= 0 && !bind(lfd, (const struct sockaddr *)&any, sizeof(any)) &&
			  !listen(lfd, 64),
		  "listen: %s", strerror(errno));
}

static struct sw_seg kernels_answer(const struct frame_spec *syn)
{
	static uint16_t sport = 20000;
	struct frame_spec s = *syn;
	struct frame f;
	struct sw_seg seg;

	s.sport = sport++;
	f = frame_make(&s);
	net_send_frame(p0, &f);
	do
		cr_assert(net_recv_seg(p0, &seg, NET_WAIT_MS), "the kernel does not answer");
	while (seg.dport != s.sport); /* a SYN-ACK of before, once more */
	cr_assert_eq(seg.flags, SW_TCP_SYN | SW_TCP_ACK, "flags %#x", seg.flags);
	return seg;
}

static struct sw_policy policy_of(const char *name)
{
	struct sw_policy p = { 0 };
	struct sw_host_tcp host;
	struct sw_link_info link;

	cr_assert_eq(sw_link_info(name, &link), 0, "no %s", name);
	sw_host_tcp_read(&host);
	sw_policy_fill(&p, &host, &link);
	return p;
}

static unsigned distance(unsigned a, unsigned b)
{
	return a > b ? a - b : b - a;
}

/* The window may differ by the part of a segment: the kernel takes the options off the MSS that it
 * rounds with. */
static void compare(const struct sw_seg *kernel, const struct sw_policy *p, const char *what)
{
	const unsigned mss = kernel->family == SW_IP4 ? p->mss4 : p->mss6;

	cr_assert_eq(kernel->opt.mss, mss, "%s: MSS %u, the kernel's is %u", what, mss,
		     kernel->opt.mss);
	cr_assert_eq(kernel->opt.wscale_ok, p->wscale_on, "%s: window scaling %d", what,
		     p->wscale_on);
	if (kernel->opt.wscale_ok)
		cr_assert_eq(kernel->opt.wscale, p->wscale, "%s: shift count %u, the kernel's is %u",
			     what, p->wscale, kernel->opt.wscale);
	cr_assert_eq(kernel->opt.sack, p->sack_on, "%s: SACK %d", what, p->sack_on);
	cr_assert_eq(kernel->opt.ts, p->ts_on, "%s: timestamps %d", what, p->ts_on);
	cr_assert_lt(distance(kernel->window, p->window), mss, "%s: window %u, the kernel's is %u",
		     what, p->window, kernel->window);
	cr_assert_eq(kernel->ttl, p->ttl, "%s: TTL %u, the kernel's is %u", what, p->ttl,
		     kernel->ttl);
}

/* Without timestamps the kernel rounds with the same MSS. */
static void compare_window(const struct sw_policy *p, const char *what)
{
	struct frame_spec syn = frame_syn(SW_IP4);
	struct sw_seg kernel;

	frame_opt_mss(&syn, 1460);
	frame_opt_wscale(&syn, 7);
	kernel = kernels_answer(&syn);
	cr_assert_eq(kernel.window, p->window, "%s: window %u, the kernel's is %u", what, p->window,
		     kernel.window);
}

static void compare_both(const char *what)
{
	const struct sw_policy p = policy_of("g0");
	struct sw_link_info link;

	cr_assert_eq(sw_link_info("g0", &link), 0, "no g0");
	for (unsigned v = 4; v <= (link.mtu < 1280 ? 4u : 6u); v += 2) {
		const struct frame_spec syn = frame_syn_usual((enum sw_family)v);
		const struct sw_seg kernel = kernels_answer(&syn);
		char text[128];

		snprintf(text, sizeof(text), "IPv%u, %s", v, what);
		compare(&kernel, &p, text);
	}
	compare_window(&p, what);
}

Test(policy, as_the_kernel_for_every_mtu)
{
	static const unsigned mtus[] = { 65535, 9000, 1500, 1492, 1280, 1279, 576, 300 };

	enter();
	for (size_t i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++) {
		char what[32];

		net_run("ip link set dev g0 mtu %u", mtus[i]);
		snprintf(what, sizeof(what), "MTU %u", mtus[i]);
		compare_both(what);
	}
}

struct setting {
	const char *name, *value;
};

Test(policy, as_the_kernel_for_every_setting)
{
	static const struct setting settings[] = {
		{ "tcp_rmem", "4096 131072 6291456" },	 { "tcp_rmem", "4096 87380 33554432" },
		{ "tcp_rmem", "4096 1048576 8388608" },	 { "tcp_rmem", "4096 40000 40000" },
		{ "tcp_rmem", "4096 8192 16384" },	 { "tcp_rmem", "4096 131072 2147483647" },
		{ "tcp_rmem", "4096 16777216 16777215" }, { "tcp_rmem", "4096 131072 4194303" },
		{ "tcp_rmem", "4096 131072 8388607" },	 { "tcp_rmem", "4096 131072 33554432" },
		{ "tcp_sack", "0" },			 { "tcp_timestamps", "0" },
		{ "tcp_window_scaling", "0" },		 { "tcp_sack", "1" },
		{ "tcp_timestamps", "2" },		 { "tcp_window_scaling", "1" },
		{ "tcp_timestamps", "1" },
	};

	enter();
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		char path[64], what[96];

		snprintf(path, sizeof(path), "net/ipv4/%s", settings[i].name);
		snprintf(what, sizeof(what), "%s = %s", settings[i].name, settings[i].value);
		net_sysctl(path, settings[i].value);
		listen_anew();
		compare_both(what);
	}
}

/* The loopback's MTU is above what an IP packet can be. */
Test(policy, as_the_kernel_on_the_loopback)
{
	struct sw_policy p;
	int cap;

	enter();
	p = policy_of("lo");
	cr_assert(p.loopback && !policy_of("g0").loopback, "loopback");
	cap = net_packet("lo");
	for (unsigned v = 4; v <= 6; v += 2) {
		const struct sockaddr_in in4 = { .sin_family = AF_INET,
						 .sin_port = htons(PORT),
						 .sin_addr = { htonl(INADDR_LOOPBACK) } };
		const struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
						  .sin6_port = htons(PORT),
						  .sin6_addr = IN6ADDR_LOOPBACK_INIT };
		const int fd = socket(v == 4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
		struct sw_seg seg;

		cr_assert_eq(v == 4 ? connect(fd, (const struct sockaddr *)&in4, sizeof(in4)) :
				      connect(fd, (const struct sockaddr *)&in6, sizeof(in6)),
			     0, "IPv%u: %s", v, strerror(errno));
		do
			cr_assert(net_recv_seg(cap, &seg, NET_WAIT_MS), "no SYN-ACK");
		while (seg.flags != (SW_TCP_SYN | SW_TCP_ACK));
		compare(&seg, &p, v == 4 ? "lo, IPv4" : "lo, IPv6");
		close(fd);
	}
}

/* Where nothing can be read, what the kernel has of its own accord. */
Test(policy, without_proc)
{
	struct sw_host_tcp host;

	enter();
	cr_assert_eq(mount("tmpfs", "/proc/sys", "tmpfs", 0, NULL), 0, "%s", strerror(errno));
	memset(&host, 0x5a, sizeof(host));
	sw_host_tcp_read(&host);
	cr_assert(host.wscale && host.sack && host.ts && host.rmem_default == 131072 &&
			  host.rmem_max == 6291456 && host.core_rmem_max == 212992,
		  "%d %d %d %u %u %u", host.wscale, host.sack, host.ts, host.rmem_default,
		  host.rmem_max, host.core_rmem_max);
}

/* Whatever the numbers, nothing that cannot be put on the wire. */
Test(policy, extremes)
{
	static const uint32_t numbers[] = { 0, 1, 2, 87, 1000, 65535, 65536, 1u << 30, 0xffffffff };
	static const unsigned mtus[] = { 0, 40, 68, 127, 128, 129, 148, 1500, 65535, 65536,
					 0xffffffff };
	const size_t k = sizeof(numbers) / sizeof(numbers[0]);

	for (size_t m = 0; m < sizeof(mtus) / sizeof(mtus[0]); m++) {
		for (size_t i = 0; i < k * k * k; i++) {
			const struct sw_host_tcp host = { .rmem_default = numbers[i % k],
							  .rmem_max = numbers[i / k % k],
							  .core_rmem_max = numbers[i / k / k] };
			const struct sw_link_info link = { .mtu = mtus[m] };
			struct sw_policy p = { 0 };

			sw_policy_fill(&p, &host, &link);
			cr_assert(p.mss4 >= 88 && p.mss6 >= 88 && p.mss4 <= 65495 &&
					  p.mss6 <= 65515,
				  "MTU %u: MSS %u and %u", mtus[m], p.mss4, p.mss6);
			cr_assert_leq(p.wscale, 14, "shift count %u", p.wscale);
			cr_assert_leq(p.window, host.rmem_default / 2, "window %u of %u", p.window,
				      host.rmem_default);
		}
	}
}
