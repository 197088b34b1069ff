/* SPDX-License-Identifier: MIT */
#ifndef SW_CORE_TYPES_H
#define SW_CORE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SW_MUST __attribute__((warn_unused_result))

/** CLOCK_MONOTONIC in nanoseconds; budgets and ages.  Never mixed with sw_wall. */
typedef struct {
	uint64_t ns;
} sw_mono;

/** CLOCK_REALTIME in nanoseconds since 1970; cookie epochs only. */
typedef struct {
	uint64_t ns;
} sw_wall;

/** Number of a cookie epoch: floor(unix seconds / 32).  docs/cookie.md, "Time". */
typedef struct {
	uint32_t n;
} sw_epoch;

enum sw_family { SW_IP4 = 4, SW_IP6 = 6 };
enum sw_ethertype { SW_ETH_IP4 = 0x0800, SW_ETH_IP6 = 0x86dd, SW_ETH_VLAN = 0x8100,
		    SW_ETH_QINQ = 0x88a8 };
enum sw_ipproto { SW_IP_HOPOPT = 0, SW_IP_TCP = 6, SW_IP_ROUTING = 43, SW_IP_FRAG = 44,
		  SW_IP_DSTOPT = 60 };

/** TCP flags as in byte 13 of the header, RFC 9293 3.1. */
enum {
	SW_TCP_FIN = 0x01,
	SW_TCP_SYN = 0x02,
	SW_TCP_RST = 0x04,
	SW_TCP_PSH = 0x08,
	SW_TCP_ACK = 0x10,
	SW_TCP_URG = 0x20,
	SW_TCP_ECE = 0x40,
	SW_TCP_CWR = 0x80,
};

/** An address as on the wire.  IPv4 uses the first four bytes, the rest are zero. */
struct sw_addr {
	uint8_t b[16];
};

static inline size_t sw_addr_len(enum sw_family f)
{
	return f == SW_IP4 ? 4 : 16;
}

#endif
