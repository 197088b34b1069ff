/* SPDX-License-Identifier: MIT */
/* https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt, sections 2.1 and 2.2 */
#include "relay/proxyhdr.h"

#include <arpa/inet.h>
#include <assert.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

enum { V2_LOCAL = 0x20, V2_PROXY = 0x21, V2_TCP4 = 0x11, V2_TCP6 = 0x21, V2_UNSPEC = 0x00 };
enum { V2_HEAD = 16, V2_TYPE_UNIQUE_ID = 0x05, V2_TLV_HEAD = 3 };

static const uint8_t v2_signature[12] = { 0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
					  0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a };

/* One side of the connection, read out of a sockaddr. */
struct side {
	int family; /* AF_INET, AF_INET6, or AF_UNSPEC for anything else */
	uint8_t ip[16];
	uint16_t port; /* host order */
};

static struct side side_of(const struct sockaddr *sa)
{
	struct side s = { .family = AF_UNSPEC };

	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *sin = (const void *)sa;

		s.family = AF_INET;
		s.port = ntohs(sin->sin_port);
		memcpy(s.ip, &sin->sin_addr, 4);
	} else if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *sin6 = (const void *)sa;

		s.family = AF_INET6;
		s.port = ntohs(sin6->sin6_port);
		memcpy(s.ip, &sin6->sin6_addr, 16);
	}
	return s;
}

static bool is_mapped(const struct side *s)
{
	static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

	return s->family == AF_INET6 && memcmp(s->ip, prefix, sizeof(prefix)) == 0;
}

static void unmap(struct side *s)
{
	s->family = AF_INET;
	memmove(s->ip, s->ip + 12, 4);
}

static size_t build_v1(uint8_t *out, const struct side *src, const struct side *dst)
{
	char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN], line[SW_PROXYHDR_MAX + 1];
	int len;

	if (src->family == AF_UNSPEC) {
		len = snprintf(line, sizeof(line), "PROXY UNKNOWN\r\n");
	} else {
		inet_ntop(src->family, src->ip, from, sizeof(from));
		inet_ntop(dst->family, dst->ip, to, sizeof(to));
		len = snprintf(line, sizeof(line), "PROXY TCP%c %s %s %u %u\r\n",
			       src->family == AF_INET ? '4' : '6', from, to, src->port, dst->port);
	}
	assert(len > 0 && len <= SW_PROXYHDR_MAX);
	memcpy(out, line, (size_t)len);
	return (size_t)len;
}

static uint8_t *put(uint8_t *p, const void *bytes, size_t n)
{
	memcpy(p, bytes, n);
	return p + n;
}

static size_t build_v2(uint8_t *out, const struct side *src, const struct side *dst)
{
	const size_t iplen = src->family == AF_INET ? 4 : src->family == AF_INET6 ? 16 : 0;
	const size_t len = iplen ? 2 * iplen + 4 : 0;
	const uint16_t sport = htons(src->port), dport = htons(dst->port);
	uint8_t *p = put(out, v2_signature, sizeof(v2_signature));

	*p++ = V2_PROXY;
	*p++ = iplen == 4 ? V2_TCP4 : iplen == 16 ? V2_TCP6 : V2_UNSPEC;
	*p++ = 0;
	*p++ = (uint8_t)len;
	if (len) {
		p = put(p, src->ip, iplen);
		p = put(p, dst->ip, iplen);
		p = put(p, &sport, 2);
		put(p, &dport, 2);
	}
	return V2_HEAD + len;
}

size_t sw_proxyhdr_build(uint8_t out[SW_PROXYHDR_MAX], enum sw_proxy_version version,
			 const struct sockaddr *src_sa, const struct sockaddr *dst_sa)
{
	struct side src = side_of(src_sa), dst = side_of(dst_sa);

	/* A socket of one family may report the other's addresses in mapped form. */
	if (is_mapped(&src) && (is_mapped(&dst) || dst.family == AF_INET))
		unmap(&src);
	if (is_mapped(&dst) && src.family == AF_INET)
		unmap(&dst);
	if (src.family != dst.family)
		src.family = dst.family = AF_UNSPEC;

	switch (version) {
	case SW_PROXY_NONE:
		return 0;
	case SW_PROXY_V1:
		return build_v1(out, &src, &dst);
	case SW_PROXY_V2:
		return build_v2(out, &src, &dst);
	}
	return 0;
}

size_t sw_proxyhdr_local(uint8_t out[SW_PROXYHDR_MAX], enum sw_proxy_version version)
{
	static const struct side unknown = { .family = AF_UNSPEC };
	size_t len;

	switch (version) {
	case SW_PROXY_NONE:
		return 0;
	case SW_PROXY_V1:
		return build_v1(out, &unknown, &unknown);
	case SW_PROXY_V2:
		len = build_v2(out, &unknown, &unknown);
		out[sizeof(v2_signature)] = V2_LOCAL;
		return len;
	}
	return 0;
}

size_t sw_proxyhdr_add_id(uint8_t hdr[SW_PROXYHDR_MAX], size_t len, uint64_t id)
{
	const size_t total = len - V2_HEAD + V2_TLV_HEAD + SW_PROXYHDR_ID_LEN;
	char text[SW_PROXYHDR_ID_LEN + 1];
	uint8_t *p = hdr + len;

	assert(len >= V2_HEAD && V2_HEAD + total <= SW_PROXYHDR_MAX);
	snprintf(text, sizeof(text), "%016" PRIx64, id);
	*p++ = V2_TYPE_UNIQUE_ID;
	*p++ = 0;
	*p++ = SW_PROXYHDR_ID_LEN;
	put(p, text, SW_PROXYHDR_ID_LEN);
	hdr[V2_HEAD - 1] = (uint8_t)total;
	return V2_HEAD + total;
}
