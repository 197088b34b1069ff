/* SPDX-License-Identifier: MIT */
#include "steer/link.h"
#include "front/net.h"

#include <fcntl.h>

static int netns_fd(void)
{
	const int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	cr_assert(fd >= 0, "%s", strerror(errno));
	return fd;
}

static struct sw_link_info info(const char *name)
{
	struct sw_link_info li;
	const int rc = sw_link_info(name, &li);

	cr_assert_eq(rc, 0, "%s: %s", name, strerror(-rc));
	return li;
}

Test(link, a_pair_in_two_namespaces)
{
	struct sw_link_info li;
	int here, there, peer, far, rc;
	uint8_t buf[2048];

	net_enter();
	there = netns_fd();
	net_enter();
	here = netns_fd();
	rc = sw_link_veth("near", "far", there);
	cr_assert_eq(rc, 0, "%s", strerror(-rc));
	li = info("near");
	cr_assert(li.ifindex == net_index("near") && li.mtu == 65535 && !li.up && !li.loopback &&
			  li.ethernet,
		  "index %u, MTU %u, up %d, loopback %d, Ethernet %d", li.ifindex, li.mtu, li.up,
		  li.loopback, li.ethernet);
	cr_assert_eq(if_nametoindex("far"), 0, "both ends are here");
	cr_assert_eq(sw_link_up("near"), (int)li.ifindex, "up");
	cr_assert(info("near").up, "not up");
	peer = net_packet("near");

	cr_assert_eq(setns(there, CLONE_NEWNET), 0, "%s", strerror(errno));
	cr_assert_eq(if_nametoindex("near"), 0, "both ends are there");
	cr_assert(info("far").mtu == 65535 && !info("far").up, "far: MTU %u", info("far").mtu);
	cr_assert_gt(sw_link_up("far"), 0, "up");
	far = net_packet("far");
	net_send(far, "\xff\xff\xff\xff\xff\xff\2\0\0\0\0\1\x88\xb5" "0123456789", 24);
	do
		cr_assert(net_recv(peer, buf, sizeof(buf), NET_WAIT_MS), "nothing came across");
	while (memcmp(buf + 12, "\x88\xb5" "0123456789", 12) != 0);

	/* Removing one end removes both. */
	cr_assert_eq(setns(here, CLONE_NEWNET), 0, "%s", strerror(errno));
	cr_assert_eq(sw_link_delete(li.ifindex), 0, "delete");
	cr_assert(net_gone("near"), "near is still there");
	cr_assert_eq(setns(there, CLONE_NEWNET), 0, "%s", strerror(errno));
	cr_assert(net_gone("far"), "far is still there");
}

Test(link, a_name_that_is_taken)
{
	net_enter();
	net_veth("e0", "e1", 1500);
	cr_assert_eq(sw_link_veth("e0", "e2", netns_fd()), -EEXIST, "near");
	cr_assert_eq(sw_link_veth("e2", "e1", netns_fd()), -EEXIST, "far");
	cr_assert_eq(if_nametoindex("e2"), 0, "half a pair was left");
}

Test(link, a_silenced_interface_has_no_address)
{
	char out[4096];
	int rc;

	net_enter();
	cr_assert_eq(sw_link_veth("e0", "e1", netns_fd()), 0, "make");
	rc = sw_link_silence(net_index("e0"));
	cr_assert_eq(rc, 0, "%s", strerror(-rc));
	cr_assert(sw_link_up("e0") > 0 && sw_link_up("e1") > 0, "up");
	net_output(out, sizeof(out), "cat /proc/net/if_inet6");
	/* e1 was left alone, which shows that there was something to silence. */
	cr_assert(strstr(out, " e1\n"), "no link-local address at all: %s", out);
	cr_assert(!strstr(out, " e0\n"), "not silent: %s", out);
	cr_assert_eq(sw_link_silence(12345), -ENODEV, "no such interface");
}

Test(link, what_is_known_about_interfaces)
{
	struct sw_link_info li;

	net_enter();
	li = info("lo");
	cr_assert(li.ifindex == 1 && li.mtu == 65536 && li.up && li.loopback && li.ethernet,
		  "lo: index %u, MTU %u, up %d, loopback %d, Ethernet %d", li.ifindex, li.mtu,
		  li.up, li.loopback, li.ethernet);
	net_veth("e0", "e1", 1234);
	li = info("e0");
	cr_assert(li.mtu == 1234 && li.up && !li.loopback && li.ethernet,
		  "e0: MTU %u, up %d, loopback %d, Ethernet %d", li.mtu, li.up, li.loopback,
		  li.ethernet);
	net_run("ip link set dev e0 down");
	cr_assert(!info("e0").up, "e0 is down");
	net_run("ip tuntap add dev t0 mode tun && ip link set dev t0 up");
	li = info("t0");
	cr_assert(!li.ethernet && li.up, "t0: Ethernet %d, up %d", li.ethernet, li.up);
}

Test(link, no_such_interface)
{
	static const char *const names[] = { "nowhere", "", "0123456789abcde",
					     "0123456789abcdef", "0123456789abcdef0" };
	struct sw_link_info li, before;

	net_enter();
	memset(&li, 0x5a, sizeof(li));
	before = li;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		cr_assert_eq(sw_link_info(names[i], &li), -ENODEV, "info '%s'", names[i]);
		cr_assert(!memcmp(&li, &before, sizeof(li)), "info '%s' was written", names[i]);
		cr_assert_eq(sw_link_up(names[i]), -ENODEV, "up '%s'", names[i]);
	}
	cr_assert_eq(sw_link_delete(12345), -ENODEV, "delete");
}

Test(link, when_it_sends)
{
	const uint64_t deadline = net_now_ms() + NET_WAIT_MS;

	net_enter();
	net_run("ip link add name e0 type veth peer name e1");
	cr_assert_eq(sw_link_sends(net_index("e0")), 0, "down, it sends");
	cr_assert_gt(sw_link_up("e0"), 0, "up");
	cr_assert_eq(sw_link_sends(net_index("e0")), 0, "without carrier, it sends");
	cr_assert_gt(sw_link_up("e1"), 0, "up");
	while (!sw_link_sends(net_index("e0")) && net_again(deadline))
		;
	cr_assert_eq(sw_link_sends(net_index("e0")), 1, "it never sends");
	cr_assert_eq(sw_link_sends(12345), -ENODEV, "no such interface");
}

Test(link, filters_on_either_hook)
{
	static const char *const hooks[] = { "ingress", "egress" };
	const unsigned missing = 12345;
	unsigned e0;

	net_enter();
	net_veth("e0", "e1", 1500);
	e0 = net_index("e0");
	cr_assert_eq(sw_link_has_filters(e0), 0, "without a qdisc");
	net_run("tc qdisc add dev e0 clsact");
	cr_assert_eq(sw_link_has_filters(e0), 0, "an empty qdisc");
	for (size_t i = 0; i < 2; i++) {
		for (unsigned k = 1; k < 4; k++)
			net_run("tc filter add dev e0 %s prio %u protocol all bpf bytecode "
				"'1,6 0 0 0,'", hooks[i], k);
		cr_assert_eq(sw_link_has_filters(e0), 1, "%s", hooks[i]);
		cr_assert_eq(sw_link_has_filters(net_index("e1")), 0, "the other interface");
		net_run("tc filter del dev e0 %s", hooks[i]);
		cr_assert_eq(sw_link_has_filters(e0), 0, "%s, deleted", hooks[i]);
	}
	cr_assert_lt(sw_link_has_filters(missing), 1, "no such interface");
}

Test(link, without_capability)
{
	int ns;

	net_enter();
	net_veth("e0", "e1", 1500);
	ns = netns_fd();
	cr_assert_eq(setresuid(65534, 65534, 65534), 0, "%s", strerror(errno));
	cr_assert_eq(sw_link_veth("e2", "e3", ns), -EPERM, "make");
	cr_assert_eq(sw_link_silence(net_index("e0")), -EPERM, "silence");
	cr_assert_eq(sw_link_delete(net_index("e0")), -EPERM, "delete");
	cr_assert_eq(sw_link_up("e0"), -EPERM, "up");
	cr_assert_eq(info("e0").mtu, 1500, "everybody may look");
}

Test(link, no_descriptor_is_lost)
{
	unsigned fds;
	int ns;

	net_enter();
	ns = netns_fd();
	fds = net_fds();
	for (unsigned i = 0; i < 20; i++) {
		struct sw_link_info li;

		cr_assert_eq(sw_link_veth("e0", "e1", ns), 0, "make");
		cr_assert_eq(sw_link_info("e0", &li), 0, "info");
		cr_assert_neq(sw_link_info("e2", &li), 0, "info");
		cr_assert_gt(sw_link_up("e0"), 0, "up");
		cr_assert_eq(sw_link_delete(li.ifindex), 0, "delete");
	}
	cr_assert_eq(net_fds(), fds, "%u descriptors, not %u", net_fds(), fds);
}
