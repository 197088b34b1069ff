/* SPDX-License-Identifier: MIT */
#include "listen/config.h"
#include "listen/keyfile.h"
#include "listen/policy.h"
#include "steer/addr.h"
#include "steer/secret.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define MAX_WORKERS 64
#define MAX_QUEUE 1048576
#define MAX_RING 1048576
#define MIN_MSS_MAX 88 /* TCP_MIN_MSS, include/net/tcp.h */
#define MAX_MSS_MAX 65495

int sw_config_fail(const struct synward_config *cf, int rc, const char *fmt, ...)
{
	va_list ap;

	if (cf->error && cf->error_size) {
		va_start(ap, fmt);
		vsnprintf(cf->error, cf->error_size, fmt, ap);
		va_end(ap);
	}
	return rc;
}

void sw_config_warn(const struct synward_config *cf, const char *fmt, ...)
{
	size_t used, left;
	va_list ap;
	int n;

	if (!cf->error || !cf->error_size)
		return;
	used = strlen(cf->error);
	left = cf->error_size - used;
	va_start(ap, fmt);
	n = vsnprintf(cf->error + used, left, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n + 1 >= left)
		cf->error[used] = '\0';
	else
		memcpy(cf->error + used + n, "\n", 2);
}

static void to_guard(struct sw_guard *g, const struct sockaddr_storage *ss)
{
	const struct sockaddr_in *in4 = (const struct sockaddr_in *)ss;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)ss;

	memset(g, 0, sizeof(*g));
	if (ss->ss_family == AF_INET) {
		g->family = SW_IP4;
		g->port = ntohs(in4->sin_port);
		g->any = in4->sin_addr.s_addr == htonl(INADDR_ANY);
		memcpy(g->addr.b, &in4->sin_addr, 4);
	} else {
		g->family = SW_IP6;
		g->port = ntohs(in6->sin6_port);
		g->any = IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr);
		memcpy(g->addr.b, &in6->sin6_addr, 16);
	}
}

static bool same_guard(const struct sw_guard *a, const struct sw_guard *b)
{
	return a->family == b->family && a->port == b->port && a->any == b->any &&
	       memcmp(&a->addr, &b->addr, sizeof(a->addr)) == 0;
}

int sw_config_guards(const struct synward_config *cf, struct sw_policy *out)
{
	if (cf->nlisten == 0 || cf->nlisten > SW_MAX_GUARDS)
		return sw_config_fail(cf, -EINVAL, "%zu listen addresses; give 1 to %d",
				      cf->nlisten, SW_MAX_GUARDS);
	for (size_t i = 0; i < cf->nlisten; i++) {
		struct sockaddr_storage ss;
		char err[200];

		if (sw_addr_parse(cf->listen[i], &ss, err, sizeof(err)))
			return sw_config_fail(cf, -EINVAL, "%s", err);
		to_guard(&out->guard[i], &ss);
		for (size_t j = 0; j < i; j++)
			if (same_guard(&out->guard[j], &out->guard[i]))
				return sw_config_fail(cf, -EINVAL, "%s is given twice",
						      cf->listen[i]);
		out->nguard = i + 1;
	}
	return 0;
}

static int find_link(const struct synward_config *cf, struct sw_link_info *link)
{
	const char *name = cf->interface;
	int rc;

	if (!name)
		return sw_config_fail(cf, -EINVAL,
				      "no interface given; name the one the SYNs come in on");
	rc = sw_link_info(name, link);
	if (rc == -ENODEV)
		return sw_config_fail(cf, rc, "no interface %s here; 'ip link' lists them", name);
	if (rc)
		return sw_config_fail(cf, rc, "cannot look at interface %s: %s", name,
				      strerror(-rc));
	if (!link->ethernet)
		return sw_config_fail(cf, -ENOTSUP,
				      "interface %s is not Ethernet; guard one that is", name);
	if (!link->up)
		return sw_config_fail(cf, -ENETDOWN, "interface %s is down; 'ip link set %s up'",
				      name, name);
	return 0;
}

struct sw_keyfile *sw_keys_new(void)
{
	return sw_secret_new(sizeof(struct sw_keyfile), sizeof(struct sw_keyfile));
}

void sw_keys_free(struct sw_keyfile *keys)
{
	sw_secret_free(keys, sizeof(*keys), sizeof(*keys));
}

static int read_keys(const struct synward_config *cf, struct sw_keyfile **out)
{
	struct sw_keyfile *keys = *out = sw_keys_new();
	char err[300];

	if (!keys)
		return sw_config_fail(cf, -ENOMEM, "out of memory");
	if (!cf->key_file) {
		keys->slot[0] = SW_KEY_ACTIVE;
		keys->masters.n = 1;
		if (getrandom(keys->masters.key[0], SW_KEY_LEN, 0) != SW_KEY_LEN)
			return sw_config_fail(cf, -EIO, "no random numbers from the kernel");
		return 0;
	}
	if (sw_keyfile_load(cf->key_file, keys, err, sizeof(err)))
		return sw_config_fail(cf, -EINVAL, "%s", err);
	return 0;
}

static unsigned or_default(unsigned value, unsigned dflt)
{
	return value ? value : dflt;
}

static int check_numbers(const struct synward_config *cf)
{
	if (cf->workers > MAX_WORKERS)
		return sw_config_fail(cf, -EINVAL, "%u workers; give 1 to %d", cf->workers,
				      MAX_WORKERS);
	if (cf->queue_depth > MAX_QUEUE)
		return sw_config_fail(cf, -EINVAL, "queue depth %u; give 1 to %d", cf->queue_depth,
				      MAX_QUEUE);
	if (cf->ring_frames > MAX_RING)
		return sw_config_fail(cf, -EINVAL, "%u ring frames; give 1 to %d", cf->ring_frames,
				      MAX_RING);
	if (cf->mss_max && (cf->mss_max < MIN_MSS_MAX || cf->mss_max > MAX_MSS_MAX))
		return sw_config_fail(cf, -EINVAL, "largest MSS %u; give %d to %d, or 0", cf->mss_max,
				      MIN_MSS_MAX, MAX_MSS_MAX);
	if (cf->mac != SYNWARD_MAC_HMAC_SHA256 && cf->mac != SYNWARD_MAC_SIPHASH_2_4)
		return sw_config_fail(cf, -EINVAL, "no such MAC: %d", (int)cf->mac);
	if (cf->offload != SYNWARD_OFFLOAD_NONE && cf->offload != SYNWARD_OFFLOAD_XDP)
		return sw_config_fail(cf, -EINVAL, "no such offload: %d", (int)cf->offload);
	return 0;
}

/* The sockets that are to take the connections.  A service may start later. */
static int check_service(const struct synward_config *cf, const struct sw_guard *g,
			 const char *text)
{
	enum sw_service found;
	const int rc = sw_service_find(g, &found);

	if (rc) {
		sw_config_warn(cf, "cannot ask what listens on %s: %s", text, strerror(-rc));
		return 0;
	}
	if (found == SW_SERVICE_MPTCP)
		return sw_config_fail(cf, -EINVAL,
				      "an MPTCP socket listens on %s: the kernel gives it no proven "
				      "handshakes; make the service use plain TCP (Go: "
				      "GODEBUG=multipathtcp=0) or use --upstream",
				      text);
	if (found == SW_SERVICE_NONE)
		sw_config_warn(cf,
			       "nothing listens on %s in this network namespace: connections are "
			       "refused until a service does",
			       text);
	return 0;
}

/* What the kernel itself needs to take a handshake from BPF. */
static int check_transparent(const struct synward_config *cf, const struct sw_policy *policy,
			     const struct sw_host_tcp *host)
{
	int rc = 0;

	if (!cf->transparent)
		return 0;
	if (host->syncookies == 0)
		return sw_config_fail(cf, -EINVAL,
				      "net.ipv4.tcp_syncookies is 0: the kernel would reset proven "
				      "handshakes; 'sysctl -w net.ipv4.tcp_syncookies=1'");
	for (size_t i = 0; i < policy->nguard && !rc; i++)
		rc = check_service(cf, &policy->guard[i], cf->listen[i]);
	return rc;
}

static void limit_mss(struct sw_policy *p, unsigned most)
{
	if (most && most < p->mss4)
		p->mss4 = (uint16_t)most;
	if (most && most < p->mss6)
		p->mss6 = (uint16_t)most;
}

int sw_plan_make(struct sw_plan *out, const struct synward_config *cf)
{
	struct sw_host_tcp host;
	int rc;

	if (cf->error && cf->error_size)
		cf->error[0] = '\0';
	memset(out, 0, sizeof(*out));
	sw_host_tcp_read(&host);
	rc = check_numbers(cf);
	if (!rc)
		rc = sw_config_guards(cf, &out->policy);
	if (!rc)
		rc = find_link(cf, &out->link);
	if (!rc)
		rc = check_transparent(cf, &out->policy, &host);
	if (!rc)
		rc = read_keys(cf, &out->keys);
	if (rc) {
		sw_plan_wipe(out);
		return rc;
	}
	sw_policy_fill(&out->policy, &host, &out->link);
	limit_mss(&out->policy, cf->mss_max);
	/* The kernel's listener can have ECN, a repaired socket cannot. */
	out->policy.ecn_on = cf->transparent && host.ecn != 0;
	out->policy.refuse_rate = or_default(cf->refuse_rate, 1000);
	if (cf->refuse_rate == SYNWARD_REFUSE_NONE)
		out->policy.refuse_rate = 0;
	out->alg = cf->mac == SYNWARD_MAC_SIPHASH_2_4 ? SW_MAC_SIPHASH24 : SW_MAC_HMAC_SHA256;
	out->workers = or_default(cf->workers, 1);
	out->queue_depth = or_default(cf->queue_depth, 4096);
	out->ring_frames = or_default(cf->ring_frames, 8192);
	return 0;
}

void sw_plan_wipe(struct sw_plan *plan)
{
	sw_keys_free(plan->keys);
	plan->keys = NULL;
}
