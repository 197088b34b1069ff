/* SPDX-License-Identifier: MIT */
#include "core/reply.h"

#include "core/csum.h"
#include "core/cursor.h"

#include <string.h>

#define IP4_LEN	 20
#define IP6_LEN	 40
#define TCP_LEN	 20
#define TCP_CSUM 16 /* where the checksum stands in the TCP header */

static uint8_t *put_eth(uint8_t *p, const struct sw_seg *syn)
{
	memcpy(p, syn->eth_src, sizeof(syn->eth_src));
	memcpy(p + 6, syn->eth_dst, sizeof(syn->eth_dst));
	p += 12;
	for (size_t i = 0; i < syn->nvlan; i++, p += 4) {
		sw_put_u16(p, syn->vlan[i].tpid);
		sw_put_u16(p + 2, syn->vlan[i].tci);
	}
	sw_put_u16(p, syn->family == SW_IP4 ? SW_ETH_IP4 : SW_ETH_IP6);
	return p + 2;
}

static uint8_t *put_ip4(uint8_t *p, const struct sw_seg *syn, uint8_t ttl, size_t tcp_len)
{
	memset(p, 0, IP4_LEN);
	p[0] = 4 << 4 | IP4_LEN / 4;
	sw_put_u16(p + 2, (uint16_t)(IP4_LEN + tcp_len));
	p[6] = 0x40; /* DF */
	p[8] = ttl;
	p[9] = SW_IP_TCP;
	memcpy(p + 12, syn->dst.b, 4);
	memcpy(p + 16, syn->src.b, 4);
	sw_put_u16(p + 10, sw_csum_fold(sw_csum_add(0, p, IP4_LEN)));
	return p + IP4_LEN;
}

static uint8_t *put_ip6(uint8_t *p, const struct sw_seg *syn, uint8_t ttl, size_t tcp_len)
{
	memset(p, 0, 4);
	p[0] = 6 << 4;
	sw_put_u16(p + 4, (uint16_t)tcp_len);
	p[6] = SW_IP_TCP;
	p[7] = ttl;
	memcpy(p + 8, syn->dst.b, 16);
	memcpy(p + 24, syn->src.b, 16);
	return p + IP6_LEN;
}

/* @return the end of the list, a multiple of four from @p. */
static uint8_t *put_options(uint8_t *p, const struct sw_synack *sa)
{
	*p++ = SW_OPT_MSS;
	*p++ = 4;
	sw_put_u16(p, sa->mss);
	p += 2;
	if (sa->ts || sa->sack) {
		if (!sa->ts || !sa->sack) {
			*p++ = SW_OPT_NOP;
			*p++ = SW_OPT_NOP;
		}
		if (sa->sack) {
			*p++ = SW_OPT_SACK_OK;
			*p++ = 2;
		}
	}
	if (sa->ts) {
		*p++ = SW_OPT_TS;
		*p++ = 10;
		sw_put_u32(p, sa->tsval);
		sw_put_u32(p + 4, sa->tsecr);
		p += 8;
	}
	if (sa->wscale_ok) {
		*p++ = SW_OPT_NOP;
		*p++ = SW_OPT_WSCALE;
		*p++ = 3;
		*p++ = sa->wscale;
	}
	return p;
}

static size_t options_len(const struct sw_synack *sa)
{
	return 4u + (sa->ts ? 12u : sa->sack ? 4u : 0u) + (sa->wscale_ok ? 4u : 0u);
}

static uint8_t *put_tcp(uint8_t *tcp, const struct sw_seg *syn, const struct sw_synack *sa,
			size_t len)
{
	uint64_t sum;

	sw_put_u16(tcp, syn->dport);
	sw_put_u16(tcp + 2, syn->sport);
	sw_put_u32(tcp + 4, sa->isn);
	sw_put_u32(tcp + 8, syn->seq + 1);
	tcp[12] = (uint8_t)(len / 4 << 4);
	tcp[13] = SW_TCP_SYN | SW_TCP_ACK | (sa->ecn ? SW_TCP_ECE : 0);
	sw_put_u16(tcp + 14, sa->window);
	sw_put_u32(tcp + TCP_CSUM, 0); /* and no urgent pointer */
	put_options(tcp + TCP_LEN, sa);
	sum = sw_csum_pseudo(syn->family, &syn->dst, &syn->src, (uint32_t)len);
	sw_put_u16(tcp + TCP_CSUM, sw_csum_fold(sw_csum_add(sum, tcp, len)));
	return tcp + len;
}

size_t sw_reply_synack(uint8_t out[SW_REPLY_MAX], const struct sw_seg *syn,
		       const struct sw_synack *sa)
{
	const size_t tcp_len = TCP_LEN + options_len(sa);
	uint8_t *p = put_eth(out, syn);

	p = syn->family == SW_IP4 ? put_ip4(p, syn, sa->ttl, tcp_len)
				  : put_ip6(p, syn, sa->ttl, tcp_len);
	p = put_tcp(p, syn, sa, tcp_len);
	return (size_t)(p - out);
}
