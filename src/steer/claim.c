/* SPDX-License-Identifier: MIT */
#include "steer/claim.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
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

/* "synward/IFINDEX/FAMILY/PORT/" and then the address. */
static size_t claim_name(char out[NAME_MAX_LEN], unsigned ifindex, const struct sw_guard *g,
			 bool with_addr)
{
	char addr[INET6_ADDRSTRLEN] = "";

	if (with_addr)
		print_addr(addr, g);
	return (size_t)snprintf(out, NAME_MAX_LEN, "synward/%u/%d/%u/%s", ifindex, (int)g->family,
				g->port, addr);
}

static socklen_t abstract(struct sockaddr_un *sun, const char *name, size_t len)
{
	memset(sun, 0, sizeof(*sun));
	sun->sun_family = AF_UNIX;
	memcpy(sun->sun_path + 1, name, len);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len);
}

/* Who listens under this name?  0 when nobody can tell. */
static pid_t owner(const char *name, size_t len)
{
	struct sockaddr_un sun;
	const socklen_t sunlen = abstract(&sun, name, len);
	struct ucred cred = { 0 };
	socklen_t credlen = sizeof(cred);
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return 0;
	if (connect(fd, (struct sockaddr *)&sun, sunlen) ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &credlen))
		cred.pid = 0;
	close(fd);
	return cred.pid;
}

/* A guard for every address overlaps every other one of its port.  @return true and the name. */
static bool overlaps(unsigned ifindex, const struct sw_guard *g, char found[NAME_MAX_LEN])
{
	char prefix[NAME_MAX_LEN], mine[NAME_MAX_LEN], line[512];
	const size_t plen = claim_name(prefix, ifindex, g, false);
	struct sw_guard any = *g;
	bool hit = false;
	FILE *f = fopen("/proc/thread-self/net/unix", "re");

	if (!f)
		return false;
	claim_name(mine, ifindex, g, true);
	any.any = true;
	while (!hit && fgets(line, sizeof(line), f)) {
		const char *at = strchr(line, '@');
		char every[NAME_MAX_LEN];

		if (!at || strncmp(at + 1, prefix, plen) != 0)
			continue;
		snprintf(found, NAME_MAX_LEN, "%.*s", (int)strcspn(at + 1, "\n"), at + 1);
		claim_name(every, ifindex, &any, true);
		hit = strcmp(found, mine) == 0 || g->any || strcmp(found, every) == 0;
	}
	fclose(f);
	return hit;
}

static int busy(const struct sw_guard *g, const char *name, char *err, size_t errlen)
{
	char addr[INET6_ADDRSTRLEN];
	const pid_t pid = owner(name, strlen(name));

	print_addr(addr, g);
	snprintf(err, errlen,
		 g->family == SW_IP4 ? "%s:%u is guarded by another synward (process %d); stop it "
				       "or guard another port" :
				       "[%s]:%u is guarded by another synward (process %d); stop it "
				       "or guard another port",
		 addr, g->port, (int)pid);
	return -EBUSY;
}

static int claim_one(unsigned ifindex, const struct sw_guard *g, char *err, size_t errlen)
{
	char name[NAME_MAX_LEN];
	const size_t len = claim_name(name, ifindex, g, true);
	struct sockaddr_un sun;
	const socklen_t sunlen = abstract(&sun, name, len);
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0) {
		const int rc = -errno;

		snprintf(err, errlen, "cannot make a Unix socket: %s", strerror(-rc));
		return rc;
	}
	if (bind(fd, (struct sockaddr *)&sun, sunlen) || listen(fd, 8)) {
		close(fd);
		return busy(g, name, err, errlen);
	}
	return fd;
}

int sw_claim(unsigned ifindex, const struct sw_guard *guard, size_t n, int *fd, char *err,
	     size_t errlen)
{
	char found[NAME_MAX_LEN];

	for (size_t i = 0; i < n; i++)
		fd[i] = -1;
	/* Look before the first claim: one's own guards may overlap. */
	for (size_t i = 0; i < n; i++)
		if (overlaps(ifindex, &guard[i], found))
			return busy(&guard[i], found, err, errlen);
	for (size_t i = 0; i < n; i++) {
		fd[i] = claim_one(ifindex, &guard[i], err, errlen);
		if (fd[i] < 0) {
			const int rc = fd[i];

			for (fd[i] = -1; i-- > 0; fd[i] = -1)
				close(fd[i]);
			return rc;
		}
	}
	return 0;
}
