/* SPDX-License-Identifier: MIT */
#include "ops/flood.h"
#include "ops/snapshot.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

Test(snapshot, is_one_allocation_for_all)
{
	struct sw_snapshot *s = sw_snapshot_new(3, 2);

	cr_assert_neq(s, NULL);
	cr_assert_eq(s->nlistener, 3);
	cr_assert_eq(s->nserver, 2);
	memset(s->listener, 0xff, 3 * sizeof(s->listener[0])); /* ASan sees a byte too far */
	memset(s->server, 0xff, 2 * sizeof(s->server[0]));
	sw_snapshot_free(s);
	sw_snapshot_free(NULL);
}

Test(snapshot, knows_the_process)
{
	struct sw_snapshot *before = sw_snapshot_new(0, 0), *after = sw_snapshot_new(0, 0);
	int fd[2];

	sw_snapshot_add_process(before);
	cr_assert_eq(pipe2(fd, O_CLOEXEC), 0);
	sw_snapshot_add_process(after);
	cr_assert_eq(after->process.open_fds, before->process.open_fds + 2, "%llu, then %llu",
		     (unsigned long long)before->process.open_fds,
		     (unsigned long long)after->process.open_fds);
	cr_assert_gt(after->process.rss_bytes, 100000);
	cr_assert_gt(after->process.max_fds, after->process.open_fds);
	cr_assert_geq(after->process.cpu_seconds, before->process.cpu_seconds);
	close(fd[0]);
	close(fd[1]);
	sw_snapshot_free(before);
	sw_snapshot_free(after);
}

Test(snapshot, tells_when_a_flood_began_by_the_wall_clock)
{
	const struct sw_flood f = { .active = true,
				    .floods = 1,
				    .began = { 5000 },
				    .rate = { 10, 9, 8, 7 },
				    .lasted_ns = 2000 };
	struct sw_snap_flood out;

	sw_snap_flood_set(&out, &f, (sw_wall){ 1000000 }, (sw_mono){ 7000 });
	cr_assert_eq(out.began.ns, 998000);
	cr_assert_eq(out.syn + out.synack + out.proven + out.refused, 34);
	cr_assert(out.active);
	sw_snap_flood_set(&out, &(struct sw_flood){ 0 }, (sw_wall){ 1000000 }, (sw_mono){ 7000 });
	cr_assert_eq(out.began.ns, 0, "none yet");
}

Test(snapshot, versions_are_never_null)
{
	const struct sw_build_info b = sw_build_info();

	cr_assert(b.version && b.revision && b.openssl && b.libbpf && b.libevent);
}
