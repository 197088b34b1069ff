/* SPDX-License-Identifier: MIT */
#include "steer/known.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PORT 4433

static struct sw_known known;
static struct sw_bpf_host host;
static sw_mono now = { 1000000000u };
static int map_fd;

static void open_map(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);

	cr_assert_eq(unshare(CLONE_NEWNET), 0, "needs root");
	cr_assert_eq(system("ip link set lo up"), 0, "lo");
	map_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "known", 4, 8, 2 * SW_BPF_KNOWN_WORDS, &opts);
	cr_assert(map_fd >= 0, "map: %d", map_fd);
	cr_assert_eq(sw_known_open(&known, map_fd), 0, "mapped");
	sw_known_add_port(&known, htons(PORT), now);
}

static void close_map(void)
{
	sw_known_close(&known);
	close(map_fd);
}

TestSuite(known, .init = open_map, .fini = close_map, .timeout = 20);

/* Both ends of a connection on loopback; the client's address goes to @client. */
static void connect_to(int family, const char *addr, bool mapped, struct sockaddr_in6 *client,
		       int fds[3])
{
	struct sockaddr_in6 to = { .sin6_family = (sa_family_t)family, .sin6_port = htons(PORT) };
	struct sockaddr_in to4 = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	struct sockaddr *peer = family == AF_INET ? (void *)&to4 : (void *)&to;
	socklen_t len = family == AF_INET ? sizeof(to4) : sizeof(to), clen = sizeof(*client);
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(PORT) };
	const int one = 1;

	inet_pton(AF_INET6, addr, &to.sin6_addr);
	inet_pton(AF_INET, addr, &to4.sin_addr);
	fds[0] = socket(mapped ? AF_INET6 : family, SOCK_STREAM, 0);
	setsockopt(fds[0], SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	cr_assert_eq(bind(fds[0], mapped ? (void *)&any : peer, mapped ? sizeof(any) : len), 0, "bind");
	cr_assert_eq(listen(fds[0], 5), 0, "listen");
	fds[1] = socket(family, SOCK_STREAM, 0);
	cr_assert_eq(connect(fds[1], peer, len), 0, "connect: %s", strerror(errno));
	fds[2] = accept(fds[0], NULL, NULL);
	cr_assert_eq(getsockname(fds[1], (void *)client, &clen), 0, "name");
}

static bool has(uint32_t half, const uint8_t src[16], const uint8_t dst[16], __be16 sport)
{
	const uint32_t bit = sw_bpf_known_bit(src, dst, sport, htons(PORT));

	return known.words[half * SW_BPF_KNOWN_WORDS + (bit >> 6)] >> (bit & 63) & 1;
}

static void tick(void)
{
	now.ns += 1000000000u;
	sw_known_tick(&known, &host, now);
}

static void expect_noted(int family, bool mapped)
{
	_Alignas(8) uint8_t src[16] = { 0 };
	struct sockaddr_in6 client;
	int fds[3];

	connect_to(family, family == AF_INET ? "127.0.0.1" : "::1", mapped, &client, fds);
	tick();
	cr_assert_eq(host.known, 0, "the first half holds after one tick: %u", host.known);
	if (family == AF_INET)
		memcpy(src, &((struct sockaddr_in *)&client)->sin_addr, 4);
	else
		memcpy(src, &client.sin6_addr, 16);
	cr_assert(has(0, src, src, client.sin6_port), "the connection is noted");
	cr_assert(!has(0, src, src, (__be16)(client.sin6_port ^ 1)), "its neighbour is not");
	for (int i = 0; i < 3; i++)
		close(fds[i]);
}

Test(known, ipv4)
{
	expect_noted(AF_INET, false);
}

Test(known, ipv6)
{
	expect_noted(AF_INET6, false);
}

/* What a socket of IPv6 speaks as IPv4 comes as IPv4. */
Test(known, ipv4_at_a_socket_of_ipv6)
{
	expect_noted(AF_INET, true);
}

/* Nothing holds until a dump was made; programs mark in both halves meanwhile. */
Test(known, a_new_port_begins_anew)
{
	tick();
	tick();
	cr_assert_eq(host.known, 0, "holds");
	cr_assert_eq(host.known_both, 0, "marked in one half");
	sw_known_add_port(&known, htons(80), now);
	cr_assert_eq(known.half, SW_BPF_KNOWN_NONE, "nothing holds");
	tick();
	cr_assert_eq(host.known, 0, "holds again");
}

/* Several listeners of an interface tick the same map: a phase lasts all the same. */
Test(known, ticks_in_a_row)
{
	for (int i = 0; i < 5; i++)
		sw_known_tick(&known, &host, now);
	cr_assert_eq(host.known, SW_BPF_KNOWN_NONE, "no time has passed");
	tick();
	cr_assert_eq(host.known, 0, "holds");
	known.words[SW_BPF_KNOWN_WORDS] = 1;
	for (int i = 0; i < 5; i++)
		sw_known_tick(&known, &host, now);
	cr_assert_eq(sw_known_fill(&known, 1), 1, "the half that was read is not wiped yet");
	tick();
	cr_assert_eq(sw_known_fill(&known, 1), 0, "wiped");
}

/* Too many bits: the other half is made, then the halves change places. */
Test(known, a_full_half_is_made_anew)
{
	bool both = false;

	tick();
	tick();
	memset(known.words, 0x55, SW_BPF_KNOWN_WORDS * 8);
	for (int i = 0; i < 60 && host.known == 0; i++) {
		tick();
		if (host.known_both) {
			known.words[SW_BPF_KNOWN_WORDS + 7] |= 1; /* as a program marks */
			both = true;
		}
	}
	cr_assert_eq(host.known, 1, "the second half holds");
	cr_assert(both, "programs marked in both halves for a time");
	cr_assert_eq(sw_known_fill(&known, 1), 1, "only what was marked meanwhile: %u",
		     sw_known_fill(&known, 1));
	tick();
	cr_assert_eq(sw_known_fill(&known, 0), 0, "the first half is wiped");
	cr_assert_eq(host.known_both, 0, "marked in one half");
}

/* A half that is nearly empty stays. */
Test(known, nothing_to_do)
{
	tick();
	known.words[3] = 1;
	for (int i = 0; i < 100; i++)
		tick();
	cr_assert_eq(host.known, 0, "holds");
	cr_assert_eq(sw_known_fill(&known, 0), 1, "kept");
}

Test(known, without_a_map)
{
	struct sw_known none;

	cr_assert_eq(sw_known_open(&none, -1), -EBADF, "no such map");
	sw_known_add_port(&none, htons(80), now);
	sw_known_tick(&none, &host, now);
	cr_assert_eq(host.known, SW_BPF_KNOWN_NONE, "nothing holds");
	cr_assert_eq(host.known_both, 0, "nothing is marked");
	sw_known_close(&none);
}
