/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What bench/feed.bpf.c shares with bench_micro. */
#ifndef BENCH_FEED_H
#define BENCH_FEED_H

#include <linux/types.h>

#define FEED_FRAMES 1024
#define FEED_LEN    74 /* of each frame: a SYN as Linux sends it; shorter ones are padded */

struct feed_frame {
	__u64 word[9];
	__u16 last, pad[3];
};
_Static_assert(sizeof(struct feed_frame) == 80, "map value: no hidden padding");

#endif
