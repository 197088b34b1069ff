/* SPDX-License-Identifier: MIT */
/* Inside the doctor: what its checks share. */
#ifndef SW_OPS_CHECKUP_H
#define SW_OPS_CHECKUP_H

#include "ops/doctor.h"

#define SW_CAP_NET_ADMIN    12 /* linux/capability.h */
#define SW_CAP_NET_RAW	    13
#define SW_CAP_SYS_ADMIN    21
#define SW_CAP_SYS_RESOURCE 24
#define SW_CAP_PERFMON	    38
#define SW_CAP_BPF	    39

struct sw_checkup {
	const struct sw_doctor_config *cf; /* borrowed */
	enum sw_finding worst;
	uint64_t caps;	       /* effective, a bit each */
	unsigned major, minor; /* of the kernel; 0.0 while unknown */
	unsigned ifindex;      /* of cf->interface; 0 without one */
	bool loopback;
};

/** Report.  @param fix  What to do, NULL when nothing is. */
void sw_found(struct sw_checkup *cx, enum sw_finding found, const char *fix, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/** Read a number from a file of /proc.  @return false when there is none. */
SW_MUST bool sw_read_number(const char *path, long *out);

SW_MUST bool sw_has_cap(const struct sw_checkup *cx, unsigned cap);

/** Read "CapEff:\t000001ffffffffff" out of the text of /proc/self/status.  @return false when it
 *  is not there. */
SW_MUST bool sw_caps_parse(const char *status, uint64_t *caps);

/** Read the first two numbers of "6.1.0-18-amd64".  @return false when it does not start so. */
SW_MUST bool sw_release_parse(const char *release, unsigned *major, unsigned *minor);

/* In the order of running: later checks rely on what earlier ones found. */
void sw_check_privileges(struct sw_checkup *cx);
void sw_check_kernel(struct sw_checkup *cx);
void sw_check_settings(struct sw_checkup *cx);
void sw_check_bpf(struct sw_checkup *cx);
void sw_check_interface(struct sw_checkup *cx);
void sw_check_hooks(struct sw_checkup *cx);
void sw_check_addresses(struct sw_checkup *cx);

#endif
