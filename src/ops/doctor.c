/* SPDX-License-Identifier: MIT */
#include "ops/doctor.h"

#include "ops/checkup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void sw_found(struct sw_checkup *cx, enum sw_finding found, const char *fix, const char *fmt, ...)
{
	char what[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (found > cx->worst)
		cx->worst = found;
	cx->cf->say(cx->cf->arg, found, what, fix);
}

bool sw_has_cap(const struct sw_checkup *cx, unsigned cap)
{
	return cx->caps >> cap & 1;
}

static bool read_text(const char *path, char *buf, size_t size)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, buf, size - 1);
	close(fd);
	if (n < 0)
		return false;
	buf[n] = '\0';
	return true;
}

bool sw_read_number(const char *path, long *out)
{
	char buf[32], *end;
	long value;

	if (!read_text(path, buf, sizeof(buf)))
		return false;
	value = strtol(buf, &end, 10);
	if (end == buf)
		return false;
	*out = value;
	return true;
}

bool sw_caps_parse(const char *status, uint64_t *caps)
{
	const char *line = strstr(status, "\nCapEff:");
	char *end;
	unsigned long long value;

	if (!line)
		return false;
	line += strlen("\nCapEff:");
	value = strtoull(line, &end, 16);
	if (end == line || *end != '\n')
		return false;
	*caps = value;
	return true;
}

enum sw_finding sw_doctor(const struct sw_doctor_config *cf)
{
	struct sw_checkup cx = { .cf = cf, .worst = SW_FOUND_OK };
	char status[8192];

	if (!read_text("/proc/self/status", status, sizeof(status)) ||
	    !sw_caps_parse(status, &cx.caps))
		sw_found(&cx, SW_FOUND_WARN, "mount /proc", "capabilities cannot be read");
	sw_check_privileges(&cx);
	sw_check_kernel(&cx);
	sw_check_bpf(&cx);
	if (cf->interface) {
		sw_check_interface(&cx);
		sw_check_hooks(&cx);
	}
	sw_check_addresses(&cx);
	sw_check_settings(&cx);
	return cx.worst;
}
