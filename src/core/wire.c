/* SPDX-License-Identifier: MIT */
#include "core/wire.h"

#include "core/csum.h"
#include "core/cursor.h"

#include <string.h>

#define ETH_LEN		   14
#define IP4_LEN		   20 /* without options */
#define IP6_LEN		   40
#define TCP_LEN		   20 /* without options */
#define IP4_MORE_OR_OFFSET 0x3fff
#define IP6_MORE_OR_OFFSET 0xfff9
#define BIG_FRAME	   65535u

static size_t offset(const struct sw_frame *f, const struct sw_cur *c)
{
	return (size_t)(c->p - f->data);
}

static bool is_tag(uint16_t type)
{
	return type == SW_ETH_VLAN || type == SW_ETH_QINQ;
}

static enum sw_why parse_eth(struct sw_seg *out, struct sw_cur *c, const struct sw_frame *f,
			     uint16_t *type)
{
	const uint8_t *macs = sw_cur_take(c, sizeof(out->eth_dst) + sizeof(out->eth_src));

	if (!macs)
		return SW_WHY_SHORT;
	memcpy(out->eth_dst, macs, sizeof(out->eth_dst));
	memcpy(out->eth_src, macs + sizeof(out->eth_dst), sizeof(out->eth_src));
	if (f->vlan.tpid)
		out->vlan[out->nvlan++] = f->vlan;

	*type = sw_cur_u16(c);
	while (is_tag(*type)) {
		if (out->nvlan == SW_MAX_VLAN)
			return SW_WHY_NOT_IP;
		out->vlan[out->nvlan++] = (struct sw_vlan){ *type, sw_cur_u16(c) };
		*type = sw_cur_u16(c);
	}
	return c->bad ? SW_WHY_SHORT : SW_WIRE_OK;
}

/* RFC 9293 says nothing about frames: what IP claims must fit what the wire carried. */
static enum sw_why place_tcp(struct sw_seg *out, const struct sw_frame *f, size_t l4_off,
			     size_t end)
{
	if (end > f->wire_len || end < l4_off + TCP_LEN)
		return SW_WHY_BAD_IP_LENGTH;
	out->l4_off = (uint32_t)l4_off;
	out->l4_len = (uint32_t)(end - l4_off);
	return SW_WIRE_OK;
}

static enum sw_why parse_ip4(struct sw_seg *out, struct sw_cur *c, const struct sw_frame *f)
{
	const size_t l3_off = offset(f, c);
	const uint8_t *h = sw_cur_take(c, IP4_LEN);
	size_t hlen, total;

	if (!h)
		return SW_WHY_SHORT;
	if (h[0] >> 4 != 4)
		return SW_WHY_BAD_IP_VERSION;
	hlen = (h[0] & 0xfu) * 4;
	if (hlen < IP4_LEN)
		return SW_WHY_BAD_IHL;
	if (!sw_cur_take(c, hlen - IP4_LEN))
		return SW_WHY_SHORT;
	if (sw_csum_fold(sw_csum_add(0, h, hlen)) != 0)
		return SW_WHY_BAD_IP_CHECKSUM;
	if (h[9] != SW_IP_TCP)
		return SW_WHY_NOT_TCP;
	if ((h[6] << 8 | h[7]) & IP4_MORE_OR_OFFSET)
		return SW_WHY_FRAGMENT;

	out->tos = h[1];
	out->ttl = h[8];
	memcpy(out->src.b, h + 12, 4);
	memcpy(out->dst.b, h + 16, 4);
	total = (size_t)(h[2] << 8 | h[3]);
	if (total == 0 && f->wire_len > BIG_FRAME)
		total = f->wire_len - l3_off;
	return place_tcp(out, f, l3_off + hlen, l3_off + total);
}

/* Step over one extension header that starts with its successor's number. */
static enum sw_why skip_ext(struct sw_cur *c, uint8_t *next, bool first)
{
	const uint8_t kind = *next;
	const uint8_t *h = sw_cur_take(c, 8);

	if (!h)
		return SW_WHY_SHORT;
	*next = h[0];
	switch (kind) {
	case SW_IP_FRAG: /* RFC 6946: the atomic fragment is a whole packet */
		return (h[2] << 8 | h[3]) & IP6_MORE_OR_OFFSET ? SW_WHY_FRAGMENT : SW_WIRE_OK;
	case SW_IP_HOPOPT: /* RFC 8200 4.1: directly behind the IPv6 header or not at all */
		if (!first)
			return SW_WHY_EXT_HEADERS;
		break;
	case SW_IP_ROUTING: /* not at its destination yet */
		if (h[3] != 0)
			return SW_WHY_EXT_HEADERS;
		break;
	default:
		break;
	}
	return sw_cur_take(c, h[1] * 8u) ? SW_WIRE_OK : SW_WHY_SHORT;
}

static bool is_ext(uint8_t next)
{
	return next == SW_IP_HOPOPT || next == SW_IP_ROUTING || next == SW_IP_DSTOPT ||
	       next == SW_IP_FRAG;
}

static enum sw_why parse_ip6(struct sw_seg *out, struct sw_cur *c, const struct sw_frame *f)
{
	const uint8_t *h = sw_cur_take(c, IP6_LEN);
	const size_t ext_off = offset(f, c);
	size_t payload;
	uint8_t next;

	if (!h)
		return SW_WHY_SHORT;
	if (h[0] >> 4 != 6)
		return SW_WHY_BAD_IP_VERSION;
	next = h[6];
	for (size_t n = 0; is_ext(next); n++) {
		enum sw_why why;

		if (n == SW_MAX_IP6_EXT)
			return SW_WHY_EXT_HEADERS;
		why = skip_ext(c, &next, n == 0);
		if (why != SW_WIRE_OK)
			return why;
	}
	if (next != SW_IP_TCP)
		return SW_WHY_NOT_TCP;

	out->tos = (uint8_t)(h[0] << 4 | h[1] >> 4);
	out->ttl = h[7];
	memcpy(out->src.b, h + 8, 16);
	memcpy(out->dst.b, h + 24, 16);
	payload = (size_t)(h[4] << 8 | h[5]);
	if (payload == 0 && f->wire_len > BIG_FRAME)
		payload = f->wire_len - ext_off;
	return place_tcp(out, f, offset(f, c), ext_off + payload);
}

static enum sw_why parse_tcp(struct sw_seg *out, struct sw_cur *c)
{
	const uint8_t *options;
	size_t hlen;

	out->sport = sw_cur_u16(c);
	out->dport = sw_cur_u16(c);
	out->seq = sw_cur_u32(c);
	out->ack = sw_cur_u32(c);
	hlen = (sw_cur_u8(c) >> 4) * 4u;
	out->flags = sw_cur_u8(c);
	out->window = sw_cur_u16(c);
	(void)sw_cur_u32(c); /* checksum, urgent pointer */
	if (c->bad)
		return SW_WHY_SHORT;
	if (hlen < TCP_LEN)
		return SW_WHY_BAD_DOFF;
	options = sw_cur_take(c, hlen - TCP_LEN);
	if (!options || hlen > out->l4_len)
		return SW_WHY_SHORT;
	out->payload_len = out->l4_len - (uint32_t)hlen;
	sw_tcpopt_parse(&out->opt, options, hlen - TCP_LEN);
	return SW_WIRE_OK;
}

enum sw_why sw_wire_parse(struct sw_seg *out, const struct sw_frame *f)
{
	struct sw_cur c = { f->data, f->data, false };
	enum sw_why why;
	uint16_t type;

	if (f->len < ETH_LEN)
		return SW_WHY_SHORT;
	c.end += f->len;
	memset(out, 0, sizeof(*out));
	why = parse_eth(out, &c, f, &type);
	if (why != SW_WIRE_OK)
		return why;

	out->l3_off = (uint32_t)offset(f, &c);
	if (type == SW_ETH_IP4) {
		out->family = SW_IP4;
		why = parse_ip4(out, &c, f);
	} else if (type == SW_ETH_IP6) {
		out->family = SW_IP6;
		why = parse_ip6(out, &c, f);
	} else {
		why = SW_WHY_NOT_IP;
	}
	return why == SW_WIRE_OK ? parse_tcp(out, &c) : why;
}

bool sw_wire_tcp_csum_ok(const struct sw_frame *f, const struct sw_seg *seg)
{
	uint64_t sum;

	if (f->csum_partial || f->csum_checked)
		return true;
	if ((size_t)seg->l4_off + seg->l4_len > f->len)
		return true;
	sum = sw_csum_pseudo(seg->family, &seg->src, &seg->dst, seg->l4_len);
	return sw_csum_fold(sw_csum_add(sum, f->data + seg->l4_off, seg->l4_len)) == 0;
}
