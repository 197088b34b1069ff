/* SPDX-License-Identifier: MIT */
#include "listen/worker.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NICE -10
#define POLICY_FIFO 1 /* SCHED_FIFO; <sched.h> goes with sched_setattr() as badly as the kernel's */
#define SLICE_NS 100000
#define RESET_ON_FORK 1 /* SCHED_FLAG_RESET_ON_FORK: a thread or program begun by this one gets none */

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

sw_mono sw_clock_mono(void)
{
	return (sw_mono){ clock_ns(CLOCK_MONOTONIC) };
}

sw_wall sw_clock_wall(void)
{
	return (sw_wall){ clock_ns(CLOCK_REALTIME) };
}

/* struct sched_attr of linux/sched/types.h, which glibc's headers do not go together with. */
struct sched_request {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

void sw_thread_may_be_first(void)
{
	const struct rlimit one = { 1, 1 };

	(void)setrlimit(RLIMIT_RTPRIO, &one);
}

void sw_thread_first(void)
{
	struct sched_request rq = { .size = sizeof(rq),
				    .policy = POLICY_FIFO,
				    .flags = RESET_ON_FORK,
				    .priority = 1 };

	if (syscall(SYS_sched_setattr, 0, &rq, 0))
		sw_thread_prefer();
}

void sw_thread_prefer(void)
{
	struct sched_request rq = { .size = sizeof(rq),
				    .flags = RESET_ON_FORK,
				    .nice = NICE,
				    .runtime = SLICE_NS };

	if (syscall(SYS_sched_setattr, 0, &rq, 0) == 0)
		return;
	errno = 0;
	rq.nice = getpriority(PRIO_PROCESS, 0);
	if (errno == 0)
		(void)!syscall(SYS_sched_setattr, 0, &rq, 0);
}
