/* SPDX-License-Identifier: MIT */
#include "study/claims.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <string.h>

/* "synward/IFINDEX/FAMILY/PORT/ADDRESS/" and a random number; '@' stands for the leading zero. */
static bool read_claim(const char *name, unsigned ifindex, struct sw_guard *out)
{
	struct sw_guard g = { .family = SW_IP4 };
	unsigned index, family, port;
	char addr[INET6_ADDRSTRLEN];

	if (sscanf(name, "@synward/%u/%u/%u/%45[0-9a-fA-F.:]/", &index, &family, &port, addr) != 4)
		return false;
	if ((ifindex && index != ifindex) || port > UINT16_MAX || (family != SW_IP4 && family != SW_IP6))
		return false;
	g.family = family == SW_IP4 ? SW_IP4 : SW_IP6;
	g.port = (uint16_t)port;
	g.any = strcmp(addr, family == SW_IP4 ? "0.0.0.0" : "::") == 0;
	if (inet_pton(family == SW_IP4 ? AF_INET : AF_INET6, addr, g.addr.b) != 1)
		return false;
	*out = g;
	return true;
}

static bool same(const struct sw_guard *a, const struct sw_guard *b)
{
	return a->family == b->family && a->port == b->port && a->any == b->any &&
	       memcmp(&a->addr, &b->addr, sizeof(a->addr)) == 0;
}

/* The same claim twice: an old owner and its successor. */
static bool is_new(const struct sw_guard *all, size_t n, const struct sw_guard *g)
{
	for (size_t i = 0; i < n; i++) {
		if (same(&all[i], g))
			return false;
	}
	return true;
}

size_t sw_claims_read(FILE *list, unsigned ifindex, struct sw_guard *out, size_t max)
{
	char line[512];
	size_t n = 0;

	while (n < max && fgets(line, sizeof(line), list)) {
		const char *name = strstr(line, "@synward/");
		struct sw_guard g;

		if (name && read_claim(name, ifindex, &g) && is_new(out, n, &g))
			out[n++] = g;
	}
	return n;
}

size_t sw_claims(const char *iface, struct sw_guard *out, size_t max)
{
	const bool all = strcmp(iface, "any") == 0;
	const unsigned ifindex = all ? 0 : if_nametoindex(iface);
	FILE *list = all || ifindex ? fopen("/proc/thread-self/net/unix", "re") : NULL;
	size_t n;

	if (!list)
		return 0;
	n = sw_claims_read(list, ifindex, out, max);
	fclose(list);
	return n;
}
