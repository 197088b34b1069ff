/* SPDX-License-Identifier: MIT */
#include "relay/limits.h"

#include "core/mac.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS	131072 /* a power of two; at most three quarters are in use */
#define KEY_LEN (sizeof(((struct sw_limits_share *)0)->prefix) + 2)

_Static_assert(SW_LIMITS_SOURCES <= SLOTS / 4 * 3, "probing needs free slots");

/* 24 bytes; `count` 0 is a free slot. */
struct entry {
	uint8_t prefix[16];
	uint8_t family, bits;
	uint32_t count;
};

struct sw_limits {
	struct sw_limits_config cf;
	struct sw_mac mac;
	struct entry *slot; /* owned, SLOTS of them; NULL until sources are first limited */
	struct sw_limits_stats stats;
};

static struct sw_limits_config defaults(struct sw_limits_config cf)
{
	if (!cf.prefix4 || cf.prefix4 > 32)
		cf.prefix4 = 32;
	if (!cf.prefix6)
		cf.prefix6 = 64;
	if (cf.prefix6 > 128)
		cf.prefix6 = 128;
	return cf;
}

int sw_limits_prepare(struct sw_limits *l, const struct sw_limits_config *cf)
{
	if (cf->per_source && !l->slot)
		l->slot = calloc(SLOTS, sizeof(*l->slot));
	return cf->per_source && !l->slot ? -ENOMEM : 0;
}

void sw_limits_commit(struct sw_limits *l, const struct sw_limits_config *cf)
{
	assert(!cf->per_source || l->slot);
	l->cf = defaults(*cf);
}

struct sw_limits *sw_limits_new(const struct sw_limits_config *cf, const uint8_t key[16])
{
	struct sw_limits *l = calloc(1, sizeof(*l));
	uint8_t long_key[SW_KEY_LEN] = { 0 };

	if (!l)
		return NULL;
	memcpy(long_key, key, 16);
	if (!sw_mac_init(&l->mac, SW_MAC_SIPHASH24, long_key) || sw_limits_prepare(l, cf) < 0) {
		sw_limits_free(l);
		return NULL;
	}
	sw_limits_commit(l, cf);
	return l;
}

void sw_limits_free(struct sw_limits *l)
{
	if (!l)
		return;
	assert(l->stats.active == 0);
	sw_mac_wipe(&l->mac);
	free(l->slot);
	free(l);
}

/* The first bits of an address, the rest zero. */
static void cut(uint8_t *prefix, const uint8_t *addr, unsigned bits)
{
	memcpy(prefix, addr, bits / 8);
	if (bits % 8)
		prefix[bits / 8] = (uint8_t)(addr[bits / 8] & (0xff00u >> bits % 8));
}

static void cut4(const struct sw_limits *l, const uint8_t *addr, struct sw_limits_share *share)
{
	share->family = 4;
	share->bits = (uint8_t)l->cf.prefix4;
	cut(share->prefix, addr, share->bits);
}

static void source_of(const struct sw_limits *l, const struct sockaddr *client,
		      struct sw_limits_share *share)
{
	if (client->sa_family == AF_INET) {
		const struct sockaddr_in *in4 = (const void *)client;

		cut4(l, (const uint8_t *)&in4->sin_addr, share);
	} else if (client->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)client;

		if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
			cut4(l, in6->sin6_addr.s6_addr + 12, share);
			return;
		}
		share->family = 6;
		share->bits = (uint8_t)l->cf.prefix6;
		cut(share->prefix, in6->sin6_addr.s6_addr, share->bits);
	}
}

static size_t home_of(struct sw_limits *l, const uint8_t *prefix, uint8_t family, uint8_t bits)
{
	uint8_t msg[KEY_LEN];
	uint64_t h = 0;

	memcpy(msg, prefix, 16);
	msg[16] = family;
	msg[17] = bits;
	/* libcrypto failing would mean one long chain, not a wrong count. */
	(void)!sw_mac_tag(&l->mac, msg, sizeof(msg), &h);
	return (size_t)h & (SLOTS - 1);
}

static bool is_of(const struct entry *e, const struct sw_limits_share *share)
{
	return e->family == share->family && e->bits == share->bits &&
	       memcmp(e->prefix, share->prefix, sizeof(e->prefix)) == 0;
}

/* The entry of a source, or the free slot where it would be. */
static struct entry *find(struct sw_limits *l, const struct sw_limits_share *share)
{
	size_t i = home_of(l, share->prefix, share->family, share->bits);

	while (l->slot[i].count && !is_of(&l->slot[i], share))
		i = (i + 1) & (SLOTS - 1);
	return &l->slot[i];
}

/* Free a slot, and close the gap: whoever was pushed beyond it by a collision moves up. */
static void vanish(struct sw_limits *l, size_t gap)
{
	size_t i = gap;

	for (;;) {
		struct entry *e = &l->slot[i = (i + 1) & (SLOTS - 1)];
		size_t home;

		if (!e->count)
			break;
		home = home_of(l, e->prefix, e->family, e->bits);
		if (((i - home) & (SLOTS - 1)) < ((i - gap) & (SLOTS - 1)))
			continue; /* its home lies behind the gap */
		l->slot[gap] = *e;
		gap = i;
	}
	l->slot[gap] = (struct entry){ 0 };
	l->stats.sources--;
}

static enum sw_limits_rc take_source(struct sw_limits *l, struct sw_limits_share *share)
{
	struct entry *e = find(l, share);

	if (e->count >= l->cf.per_source) {
		l->stats.refused_source++;
		return SW_LIMITS_SOURCE;
	}
	if (!e->count && l->stats.sources >= SW_LIMITS_SOURCES) {
		l->stats.uncounted++;
		share->family = 0;
		return SW_LIMITS_OK;
	}
	if (e->count++ == 0) {
		memcpy(e->prefix, share->prefix, sizeof(e->prefix));
		e->family = share->family;
		e->bits = share->bits;
		l->stats.sources++;
	}
	return SW_LIMITS_OK;
}

enum sw_limits_rc sw_limits_take(struct sw_limits *l, const struct sockaddr *client,
				 struct sw_limits_share *share)
{
	enum sw_limits_rc rc = SW_LIMITS_OK;

	memset(share, 0, sizeof(*share));
	if (l->cf.connections && l->stats.active >= l->cf.connections) {
		l->stats.refused++;
		return SW_LIMITS_TOTAL;
	}
	if (l->cf.per_source)
		source_of(l, client, share);
	if (share->family)
		rc = take_source(l, share);
	if (rc == SW_LIMITS_OK) {
		share->taken = true;
		l->stats.active++;
	}
	return rc;
}

void sw_limits_give(struct sw_limits *l, struct sw_limits_share *share)
{
	struct entry *e;

	assert(share->taken);
	share->taken = false;
	l->stats.active--;
	if (!share->family)
		return;
	e = find(l, share);
	assert(e->count > 0);
	if (--e->count == 0)
		vanish(l, (size_t)(e - l->slot));
}

void sw_limits_get_stats(const struct sw_limits *l, struct sw_limits_stats *out)
{
	*out = l->stats;
}
