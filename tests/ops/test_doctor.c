/* SPDX-License-Identifier: MIT */
#include "ops/checkup.h"
#include "steer/addr.h"

#include <criterion/criterion.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

Test(doctor, effective_capabilities)
{
	uint64_t caps = 7;

	cr_expect(sw_caps_parse("Name:\tx\nCapPrm:\t1\nCapEff:\t000001ffffffffff\nX:\n", &caps),
		  "not found");
	cr_expect_eq(caps, 0x1ffffffffff, "%lx", caps);
	cr_expect(sw_caps_parse("\nCapEff:\t0000000000000000\n", &caps), "not found");
	cr_expect_eq(caps, 0, "%lx", caps);
	caps = 7;
	cr_expect_not(sw_caps_parse("", &caps), "found in nothing");
	cr_expect_not(sw_caps_parse("CapPrm:\t1\n", &caps), "found the wrong line");
	cr_expect_not(sw_caps_parse("\nCapEff:\txyz\n", &caps), "found no number");
	cr_expect_not(sw_caps_parse("\nCapEff:\t12", &caps), "cut short");
	cr_expect_eq(caps, 7, "written on failure");
}

Test(doctor, kernel_releases)
{
	unsigned major, minor;

	cr_expect(sw_release_parse("6.1.0-18-amd64", &major, &minor), "refused");
	cr_expect(major == 6 && minor == 1, "%u.%u", major, minor);
	cr_expect(sw_release_parse("5.10", &major, &minor), "refused");
	cr_expect(major == 5 && minor == 10, "%u.%u", major, minor);
	cr_expect_not(sw_release_parse("", &major, &minor), "read nothing");
	cr_expect_not(sw_release_parse("linux", &major, &minor), "read a word");
}

struct heard {
	int n[SW_FOUND_CAPABILITY + 1];
	char text[16384];
};

static void say(void *arg, enum sw_finding found, const char *what, const char *fix)
{
	struct heard *h = arg;
	const size_t len = strlen(h->text);

	h->n[found]++;
	if (found != SW_FOUND_OK)
		cr_expect(fix && *fix, "'%s' does not say what to do", what);
	snprintf(h->text + len, sizeof(h->text) - len, "%d %s\n", (int)found, what);
}

static void expect_heard(const struct heard *h, const char *part)
{
	cr_expect(strstr(h->text, part), "'%s' is missing in:\n%s", part, h->text);
}

Test(doctor, interface_that_is_not_there)
{
	static struct heard h;
	const struct sw_doctor_config cf = { .interface = "sw-no-such", .say = say, .arg = &h };
	const enum sw_finding worst = sw_doctor(&cf);

	cr_expect(worst >= SW_FOUND_FAIL, "worst is %d", (int)worst);
	expect_heard(&h, "2 interface sw-no-such: No such device\n");
}

Test(doctor, empty_network_namespace)
{
	static struct heard h;
	struct sockaddr_storage listen[2];
	const struct sw_doctor_config cf = {
		.interface = "lo", .listen = listen, .nlisten = 2, .say = say, .arg = &h
	};

	if (unshare(CLONE_NEWNET) < 0)
		cr_skip_test("needs root");
	cr_assert(sw_addr_parse("192.0.2.1:80", &listen[0], NULL, 0) == 0 &&
			  sw_addr_parse("0.0.0.0:81", &listen[1], NULL, 0) == 0,
		  "sw_addr_parse failed");
	cr_expect(sw_doctor(&cf) >= SW_FOUND_FAIL, "nothing was found");
	expect_heard(&h, "2 lo is down\n");
	expect_heard(&h, "2 192.0.2.1:80 is not an address of this host");
	expect_heard(&h, "0 0.0.0.0:81 is an address of this host\n");
	expect_heard(&h, "2 IPv4 over lo drops the SYN-ACKs\n");
}

Test(doctor, without_privileges)
{
	static struct heard h;
	const struct sw_doctor_config cf = { .say = say, .arg = &h };

	if (geteuid() != 0)
		cr_skip_test("needs root, to give it up");
	cr_assert_eq(setuid(65534), 0, "setuid failed");
	cr_expect_eq(sw_doctor(&cf), SW_FOUND_CAPABILITY, "a missing capability is the worst");
	expect_heard(&h, "4 CAP_NET_RAW is missing\n");
	expect_heard(&h, "4 CAP_NET_ADMIN is missing\n");
	expect_heard(&h, "4 CAP_BPF is missing\n");
	expect_heard(&h, "4 TCP_REPAIR is refused\n");
	expect_heard(&h, "4 packet sockets are refused\n");
}
