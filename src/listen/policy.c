/* SPDX-License-Identifier: MIT */
#include "listen/policy.h"

#include <stdio.h>
#include <stdlib.h>

#define MIN_MSS 88u /* TCP_MIN_MSS, include/net/tcp.h */

/* Up to three numbers of a file under /proc/sys.  @return how many there were. */
static int read_numbers(const char *path, unsigned long out[3])
{
	FILE *f = fopen(path, "re");
	int n;

	if (!f)
		return 0;
	n = fscanf(f, "%lu %lu %lu", &out[0], &out[1], &out[2]);
	fclose(f);
	return n < 0 ? 0 : n;
}

static bool read_switch(const char *path)
{
	unsigned long v[3];

	return read_numbers(path, v) < 1 || v[0] != 0;
}

void sw_host_tcp_read(struct sw_host_tcp *out)
{
	unsigned long v[3];

	*out = (struct sw_host_tcp){ .rmem_default = 131072,
				     .rmem_max = 6291456,
				     .core_rmem_max = 212992,
				     .syncookies = 1,
				     .ecn = 2 };
	out->wscale = read_switch("/proc/sys/net/ipv4/tcp_window_scaling");
	out->sack = read_switch("/proc/sys/net/ipv4/tcp_sack");
	out->ts = read_switch("/proc/sys/net/ipv4/tcp_timestamps");
	if (read_numbers("/proc/sys/net/ipv4/tcp_syncookies", v) >= 1)
		out->syncookies = (uint32_t)v[0];
	if (read_numbers("/proc/sys/net/ipv4/tcp_ecn", v) >= 1)
		out->ecn = (uint32_t)v[0];
	if (read_numbers("/proc/sys/net/ipv4/tcp_rmem", v) == 3) {
		out->rmem_default = (uint32_t)v[1];
		out->rmem_max = (uint32_t)v[2];
	}
	if (read_numbers("/proc/sys/net/core/rmem_max", v) >= 1)
		out->core_rmem_max = (uint32_t)v[0];
}

/* @param most  What the family's length field leaves for the TCP payload. */
static uint16_t mss_for(unsigned mtu, unsigned headers, unsigned most)
{
	const unsigned mss = mtu > headers + MIN_MSS ? mtu - headers : MIN_MSS;

	return (uint16_t)(mss > most ? most : mss);
}

static unsigned log2_of(uint32_t v)
{
	return v ? 31u - (unsigned)__builtin_clz(v) : 0;
}

void sw_policy_fill(struct sw_policy *p, const struct sw_host_tcp *host,
		    const struct sw_link_info *link)
{
	const uint32_t space = host->rmem_max > host->core_rmem_max ? host->rmem_max :
								      host->core_rmem_max;
	const unsigned bits = log2_of(space);
	uint32_t window = host->rmem_default / 2;

	p->mss4 = mss_for(link->mtu, 40, 65535 - 40);
	p->mss6 = mss_for(link->mtu, 60, 65535 - 20); /* the IPv6 header does not count */
	p->wscale = (uint8_t)(bits <= 15 ? 0 : bits - 15 > 14 ? 14 : bits - 15);
	/* A whole number of segments, as the kernel has it. */
	if (window > p->mss4)
		window -= window % p->mss4;
	p->window = (uint16_t)(window > 65535 ? 65535 : window);
	p->ttl = 64;
	p->wscale_on = host->wscale;
	p->sack_on = host->sack;
	p->ts_on = host->ts;
	p->ecn_on = false; /* TCP_REPAIR cannot make an ECN connection */
	p->loopback = link->loopback;
	p->diagnose_rate = 1000;
}
