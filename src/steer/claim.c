/* SPDX-License-Identifier: MIT */
#include "steer/claim.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define NAME_MAX_LEN 100

static void print_addr(char out[INET6_ADDRSTRLEN], const struct sw_guard *g)
{
	if (g->any)
		snprintf(out, INET6_ADDRSTRLEN, "%s", g->family == SW_IP4 ? "0.0.0.0" : "::");
	else
		inet_ntop(g->family == SW_IP4 ? AF_INET : AF_INET6, g->addr.b, out,
			  INET6_ADDRSTRLEN);
}

/* "synward/IFINDEX/FAMILY/PORT/ADDRESS/" and then a random number, so that nobody can take the name
 * before us.  Without the address it is what all claims of a port begin with. */
static size_t claim_prefix(char out[NAME_MAX_LEN], unsigned ifindex, const struct sw_guard *g,
			   bool with_addr)
{
	char addr[INET6_ADDRSTRLEN];

	if (!with_addr)
		return (size_t)snprintf(out, NAME_MAX_LEN, "synward/%u/%d/%u/", ifindex,
					(int)g->family, g->port);
	print_addr(addr, g);
	return (size_t)snprintf(out, NAME_MAX_LEN, "synward/%u/%d/%u/%s/", ifindex, (int)g->family,
				g->port, addr);
}

static socklen_t abstract(struct sockaddr_un *sun, const char *name)
{
	const size_t len = strlen(name);

	memset(sun, 0, sizeof(*sun));
	sun->sun_family = AF_UNIX;
	memcpy(sun->sun_path + 1, name, len);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len);
}

/* Any user can take a name of our kind.  Whom to believe: root, our own user, and who may guard. */
static bool may_guard(const struct ucred *cred)
{
	unsigned long long caps = 0;
	char path[40], line[128];
	FILE *f;

	if (cred->uid == 0 || cred->uid == geteuid())
		return true;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)cred->pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f) && sscanf(line, "CapEff: %llx", &caps) != 1)
		;
	if (f)
		fclose(f);
	return caps >> CAP_NET_ADMIN & 1;
}

/* Who listens under this name, when it is one who may guard?  0 for nobody. */
static pid_t owner(const char *name)
{
	struct sockaddr_un sun;
	const socklen_t sunlen = abstract(&sun, name);
	struct ucred cred = { 0 };
	socklen_t credlen = sizeof(cred);
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return 0;
	if (connect(fd, (struct sockaddr *)&sun, sunlen) ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &credlen) || !may_guard(&cred))
		cred.pid = 0;
	close(fd);
	return cred.pid;
}

/* Is @name a claim of the same port that catches packets of @g's? */
static bool overlaps(unsigned ifindex, const struct sw_guard *g, const char *name)
{
	char port[NAME_MAX_LEN], mine[NAME_MAX_LEN], every[NAME_MAX_LEN];
	struct sw_guard any = *g;

	any.any = true;
	if (strncmp(name, port, claim_prefix(port, ifindex, g, false)) != 0)
		return false;
	return g->any || strncmp(name, mine, claim_prefix(mine, ifindex, g, true)) == 0 ||
	       strncmp(name, every, claim_prefix(every, ifindex, &any, true)) == 0;
}

static bool same(const struct sw_guard *a, const struct sw_guard *b)
{
	return a->family == b->family && a->port == b->port && a->any == b->any &&
	       !memcmp(&a->addr, &b->addr, sizeof(a->addr));
}

struct claims {
	unsigned ifindex;
	const struct sw_guard *guard;
	size_t n;
	bool share;
	char (*name)[NAME_MAX_LEN]; /* our own, n of them */
};

/* The guard that somebody else's claim @name stands against, or NULL. */
static const struct sw_guard *against(const struct claims *c, const char *name)
{
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(name, c->name[i]) == 0)
			return NULL;
	for (size_t i = 0; i < c->n; i++)
		if (overlaps(c->ifindex, &c->guard[i], name))
			return &c->guard[i];
	return NULL;
}

static int busy(const struct sw_guard *g, pid_t pid, char *err, size_t errlen)
{
	const bool ours = pid == getpid();
	char addr[INET6_ADDRSTRLEN];

	print_addr(addr, g);
	snprintf(err, errlen, "%s%s%s:%u is guarded by another %s (process %d); %s or guard another "
			      "port",
		 g->family == SW_IP4 ? "" : "[", addr, g->family == SW_IP4 ? "" : "]", g->port,
		 ours ? "listener of this process" : "synward", (int)pid,
		 ours ? "end that one" : "stop it");
	return -EBUSY;
}

/* Look after claiming: of two that start at once, each then sees the other. */
static int look_for_others(const struct claims *c, char *err, size_t errlen)
{
	/* The thread's own namespace; the last column begins with @ for abstract names. */
	FILE *f = fopen("/proc/thread-self/net/unix", "re");
	char line[512], name[NAME_MAX_LEN];
	int rc = 0;

	if (!f)
		return 0;
	while (!rc && fgets(line, sizeof(line), f)) {
		const struct sw_guard *g;
		pid_t pid;

		if (sscanf(line, "%*s %*s %*s %*s %*s %*s %*s @%99s", name) != 1)
			continue;
		g = against(c, name);
		pid = g ? owner(name) : 0;
		if (pid && !(c->share && pid == getpid()))
			rc = busy(g, pid, err, errlen);
	}
	fclose(f);
	return rc;
}

static int claim_one(const struct claims *c, size_t i, char *err, size_t errlen)
{
	const size_t len = claim_prefix(c->name[i], c->ifindex, &c->guard[i], true);
	struct sockaddr_un sun;
	uint64_t random;
	socklen_t sunlen;
	int fd, rc;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	snprintf(c->name[i] + len, NAME_MAX_LEN - len, "%016llx", (unsigned long long)random);
	sunlen = abstract(&sun, c->name[i]);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && !bind(fd, (struct sockaddr *)&sun, sunlen) && !listen(fd, SOMAXCONN))
		return fd;
	rc = -errno;
	snprintf(err, errlen, "cannot claim the port with a Unix socket: %s", strerror(-rc));
	if (fd >= 0)
		close(fd);
	return rc;
}

int sw_claim(unsigned ifindex, const struct sw_guard *guard, size_t n, bool share, int *fd,
	     char *err, size_t errlen)
{
	char name[SW_MAX_GUARDS][NAME_MAX_LEN] = { { 0 } };
	const struct claims c = { ifindex, guard, n, share, name };
	int rc = 0;

	for (size_t i = 0; i < n; i++)
		fd[i] = -1;
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < i; j++)
			if (same(&guard[i], &guard[j]))
				return busy(&guard[i], getpid(), err, errlen);
	for (size_t i = 0; i < n && rc >= 0; i++)
		rc = fd[i] = claim_one(&c, i, err, errlen);
	if (rc >= 0)
		rc = look_for_others(&c, err, errlen);
	if (rc >= 0)
		return 0;
	for (size_t i = 0; i < n; i++) {
		if (fd[i] >= 0)
			close(fd[i]);
		fd[i] = -1;
	}
	return rc;
}
