/* SPDX-License-Identifier: MIT */
#include "ops/notify.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int listen_at(const char *name)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	memcpy(sun.sun_path, name, strlen(name));
	if (name[0] == '@')
		sun.sun_path[0] = '\0';
	cr_assert_eq(bind(fd, (void *)&sun,
			  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
		     0, "bind %s: %s", name, strerror(errno));
	return fd;
}

static void expect_message(const char *name)
{
	const int fd = listen_at(name);
	char got[64] = "";
	int rc;

	setenv("NOTIFY_SOCKET", name, 1);
	rc = sw_notify("READY=1");
	cr_expect_eq(rc, 1, "%s: %d", name, rc);
	cr_expect(recv(fd, got, sizeof(got) - 1, 0) > 0, "%s: nothing arrived", name);
	cr_expect_str_eq(got, "READY=1", "%s: got %s", name, got);
	close(fd);
}

Test(notify, by_path)
{
	char dir[] = "/tmp/synward-notify-XXXXXX", path[64];

	cr_assert_not_null(mkdtemp(dir), "mkdtemp: %s", strerror(errno));
	snprintf(path, sizeof(path), "%s/socket", dir);
	expect_message(path);
	unlink(path);
	rmdir(dir);
}

Test(notify, by_abstract_name)
{
	char name[64];

	snprintf(name, sizeof(name), "@synward-test-%d", getpid());
	expect_message(name);
}

Test(notify, nobody_asked)
{
	unsetenv("NOTIFY_SOCKET");
	cr_expect_eq(sw_notify("READY=1"), 0, "not set");
	setenv("NOTIFY_SOCKET", "", 1);
	cr_expect_eq(sw_notify("READY=1"), 0, "empty");
}

Test(notify, what_cannot_be_reached)
{
	char longer[200];

	setenv("NOTIFY_SOCKET", "relative/path", 1);
	cr_expect_eq(sw_notify("READY=1"), -EINVAL, "a relative path was tried");
	memset(longer, 'x', sizeof(longer) - 1);
	longer[0] = '/';
	longer[sizeof(longer) - 1] = '\0';
	setenv("NOTIFY_SOCKET", longer, 1);
	cr_expect_eq(sw_notify("READY=1"), -EINVAL, "too long a path was cut");
	setenv("NOTIFY_SOCKET", "/proc/self/synward", 1);
	cr_expect_eq(sw_notify("READY=1"), -ENOENT, "a missing socket took it");
}
