/* SPDX-License-Identifier: MIT */
/* The guarded interface and the addresses on it. */
#include "ops/checkup.h"
#include "handoff/repair.h"
#include "steer/addr.h"
#include "steer/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static bool ethtool(const char *interface, void *cmd)
{
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { 0 };
	bool ok;

	if (fd < 0)
		return false;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", interface);
	ifr.ifr_data = cmd;
	ok = ioctl(fd, SIOCETHTOOL, &ifr) == 0;
	close(fd);
	return ok;
}

static void check_offloads(struct sw_checkup *cx)
{
	const char *name = cx->cf->interface;
	struct ethtool_value flags = { .cmd = ETHTOOL_GFLAGS }, tx = { .cmd = ETHTOOL_GTXCSUM };
	struct ethtool_drvinfo drv = { .cmd = ETHTOOL_GDRVINFO };
	char fix[64];

	snprintf(fix, sizeof(fix), "ethtool -K %s lro off", name);
	if (!ethtool(name, &flags))
		sw_found(cx, SW_FOUND_OK, NULL, "%s has no offloads to ask for", name);
	else if (flags.data & ETH_FLAG_LRO)
		sw_found(cx, SW_FOUND_FAIL, fix, "%s merges frames beyond repair (LRO)", name);
	else
		sw_found(cx, SW_FOUND_OK, NULL, "LRO is off on %s", name);
	if (ethtool(name, &drv) && strcmp(drv.driver, "veth") == 0 && ethtool(name, &tx) && tx.data)
		sw_found(cx, SW_FOUND_OK, NULL,
			 "%s is a veth with checksum offload: captures show partial checksums",
			 name);
}

static bool filters_strictly(const char *interface)
{
	char path[96];
	long all = 0, own = 0;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/rp_filter", interface);
	if (!sw_read_number(path, &own))
		own = 0;
	if (!sw_read_number("/proc/sys/net/ipv4/conf/all/rp_filter", &all))
		all = 0;
	return (all > own ? all : own) == 1; /* the kernel takes the larger */
}

static void check_rp_filter(struct sw_checkup *cx)
{
	const char *name = cx->cf->interface;
	char fix[96];

	snprintf(fix, sizeof(fix), "sysctl net.ipv4.conf.%s.rp_filter=2 if routes are asymmetric",
		 name);
	if (filters_strictly(name))
		sw_found(cx, SW_FOUND_WARN, fix,
			 "rp_filter is strict on %s: clients whose route back leaves elsewhere are "
			 "dropped",
			 name);
	else
		sw_found(cx, SW_FOUND_OK, NULL, "rp_filter is not strict on %s", name);
}

void sw_check_interface(struct sw_checkup *cx)
{
	const char *name = cx->cf->interface;
	struct sw_link_info link;
	char fix[64];
	const int rc = sw_link_info(name, &link);

	if (rc < 0) {
		sw_found(cx, SW_FOUND_FAIL, "see: ip -br link", "interface %s: %s", name,
			 strerror(-rc));
		return;
	}
	cx->ifindex = link.ifindex;
	cx->loopback = link.loopback;
	snprintf(fix, sizeof(fix), "ip link set %s up", name);
	if (!link.ethernet && !link.loopback)
		sw_found(cx, SW_FOUND_FAIL, "guard the Ethernet interface below or above it",
			 "%s is neither Ethernet nor loopback", name);
	else if (!link.up)
		sw_found(cx, SW_FOUND_FAIL, fix, "%s is down", name);
	else
		sw_found(cx, SW_FOUND_OK, NULL, "%s is up, MTU %u", name, link.mtu);
	check_offloads(cx);
	check_rp_filter(cx);
}

/* Connecting a datagram socket looks a route up and sends nothing. */
static bool has_route(const struct sockaddr_storage *to)
{
	const int fd = socket(to->ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool ok;

	if (fd < 0)
		return false;
	ok = connect(fd, (const struct sockaddr *)to, sw_addr_socklen(to)) == 0;
	close(fd);
	return ok;
}

static void check_route(struct sw_checkup *cx, int family)
{
	struct sockaddr_storage client = { 0 };
	/* Documentation and benchmarking prefixes: no more special than any client. */
	const char *text = family == AF_INET ? "198.18.0.1:9" : "[2001:db8::1]:9";

	if (sw_addr_parse(text, &client, NULL, 0) < 0)
		return;
	if (has_route(&client))
		sw_found(cx, SW_FOUND_OK, NULL, "there is a route back to clients (%s)",
			 family == AF_INET ? "IPv4" : "IPv6");
	else
		sw_found(cx, SW_FOUND_WARN, "ip route add default via GATEWAY",
			 "no route to a client such as %s: its SYNs would not be answered", text);
}

static const void *ip_of(const struct sockaddr *sa, size_t *len)
{
	if (sa->sa_family == AF_INET) {
		*len = 4;
		return &((const struct sockaddr_in *)(const void *)sa)->sin_addr;
	}
	*len = 16;
	return &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;
}

static bool is_local(const struct ifaddrs *list, const struct sockaddr *sa)
{
	static const uint8_t any[16];
	size_t len, n;
	const void *ip = ip_of(sa, &len);

	if (memcmp(ip, any, len) == 0)
		return true;
	for (; list; list = list->ifa_next) {
		if (list->ifa_addr && list->ifa_addr->sa_family == sa->sa_family &&
		    memcmp(ip_of(list->ifa_addr, &n), ip, len) == 0)
			return true;
	}
	return false;
}

/* @return true when a socket of the kernel listens on @port. */
static bool kernel_listens(int family, unsigned port)
{
	FILE *f = fopen(family == AF_INET ? "/proc/net/tcp" : "/proc/net/tcp6", "re");
	char line[256];
	unsigned at, state;
	bool found = false;

	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f)) {
		found = sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x", &at, &state) ==
				2 &&
			state == 0x0a && at == port;
	}
	fclose(f);
	return found;
}

static unsigned port_of(const struct sockaddr_storage *sa)
{
	return ntohs(sa->ss_family == AF_INET6
			     ? ((const struct sockaddr_in6 *)(const void *)sa)->sin6_port
			     : ((const struct sockaddr_in *)(const void *)sa)->sin_port);
}

static bool is_set(const char *name)
{
	static const char *const scopes[] = { "all", "lo" };
	char path[96];
	long value;

	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/%s", scopes[i], name);
		if (sw_read_number(path, &value) && value)
			return true;
	}
	return false;
}

/* SYN-ACKs come back in through lo as if from a wire, and IPv4 takes its own addresses from
 * there on request only.  IPv6 does not mind. */
static void check_loopback(struct sw_checkup *cx, const struct sockaddr_storage *ss)
{
	const struct sockaddr_in *sin = (const void *)ss;

	if (ss->ss_family != AF_INET)
		return;
	if (!is_set("accept_local"))
		sw_found(cx, SW_FOUND_FAIL, "sysctl net.ipv4.conf.lo.accept_local=1",
			 "IPv4 over lo drops the SYN-ACKs");
	if (ntohl(sin->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET && !is_set("route_localnet"))
		sw_found(cx, SW_FOUND_FAIL, "sysctl net.ipv4.conf.lo.route_localnet=1",
			 "IPv4 over lo drops SYN-ACKs from 127.0.0.0/8");
}

static void check_listen(struct sw_checkup *cx, const struct ifaddrs *list,
			 const struct sockaddr_storage *ss)
{
	const struct sockaddr *sa = (const struct sockaddr *)ss;
	char text[SW_ADDR_STRLEN];

	sw_addr_str(sa, text);
	if (is_local(list, sa))
		sw_found(cx, SW_FOUND_OK, NULL, "%s is an address of this host", text);
	else
		sw_found(cx, SW_FOUND_FAIL, "ip addr add it, or guard another address",
			 "%s is not an address of this host: nothing would arrive", text);
	if (cx->loopback)
		check_loopback(cx, ss);
	if (kernel_listens(sa->sa_family, port_of(ss)))
		sw_found(cx, SW_FOUND_OK, NULL,
			 "another program listens on port %u; while synward guards it, it gets no "
			 "connections from outside",
			 port_of(ss));
}

/* A handed-over socket is bound to the guarded port, as a listener's connections are. */
static void check_port(struct sw_checkup *cx, const struct sockaddr_storage *ss)
{
	const bool v6 = ss->ss_family == AF_INET6;
	const unsigned port = ntohs(v6 ? ((const struct sockaddr_in6 *)ss)->sin6_port :
					 ((const struct sockaddr_in *)ss)->sin_port);

	if (sw_repair_probe(v6 ? SW_IP6 : SW_IP4, (uint16_t)port) == -EACCES)
		sw_found(cx, SW_FOUND_CAPABILITY, "give CAP_NET_BIND_SERVICE",
			 "port %u is privileged", port);
}

void sw_check_addresses(struct sw_checkup *cx)
{
	struct ifaddrs *list = NULL;
	bool seen[2] = { false, false };

	if (getifaddrs(&list) < 0) {
		sw_found(cx, SW_FOUND_WARN, "see: ip addr", "addresses cannot be listed: %s",
			 strerror(errno));
		return;
	}
	for (size_t i = 0; i < cx->cf->nlisten; i++) {
		const struct sockaddr_storage *ss = &cx->cf->listen[i];

		seen[ss->ss_family == AF_INET6] = true;
		check_listen(cx, list, ss);
		check_port(cx, ss);
	}
	freeifaddrs(list);
	if (cx->loopback)
		return; /* clients are on this host */
	if (seen[0] || !seen[1])
		check_route(cx, AF_INET);
	if (seen[1])
		check_route(cx, AF_INET6);
}
