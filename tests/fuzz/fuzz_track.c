/* SPDX-License-Identifier: MIT */
/*
 * Segments of one connection in any order and with any numbers: twelve bytes each, of which the
 * sequence numbers are small so that they meet.  Whatever comes, the books must balance.
 */
#include "study/trackseq.h"

#include <stdlib.h>

#define STEP 12

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool fact)
{
	if (!fact)
		abort();
}

static void check_side(const struct sw_side *s)
{
	must(s->nhole <= SW_TRACK_HOLES);
	for (size_t i = 0; i < s->nhole; i++) {
		must(sw_seq_before(s->hole[i].from, s->hole[i].to));
		must(!sw_seq_before(s->next, s->hole[i].to));
	}
	must(s->retransmissions + s->reordered + s->copies + s->resets <= s->packets);
	must(s->rtt >= 0);
}

static void check(const struct sw_track *t, const struct sw_track_out *out)
{
	const enum sw_outcome o = sw_track_outcome(t);

	must(o < SW_NOUTCOME && t->rst < SW_NRST && sw_track_close(t) < SW_NCLOSE);
	must(sw_track_time_wait(t) <= 3);
	must(out->marks < 1u << SW_NMARK && t->findings < 1u << SW_NFIND);
	must(!t->opened || !sw_outcome_incomplete(o));
	check_side(&t->side[SW_CLIENT]);
	check_side(&t->side[SW_SERVER]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sw_track t = { 0 };
	sw_wall at = { 1000000000 };

	for (uint64_t n = 1; size >= STEP; n++, data += STEP, size -= STEP) {
		struct sw_seg seg = {
			.family = SW_IP4, .flags = data[0], .seq = (uint32_t)(data[1] << 8 | data[2]),
			.ack = (uint32_t)(data[3] << 8 | data[4]), .window = data[5],
			.payload_len = data[6], .l4_len = 20u + data[6], .ttl = data[7],
			.opt = { .ts = data[8] & 1, .tsval = data[8] },
		};
		const struct sw_track_in in = {
			.seg = &seg, .from = data[9] & 1 ? SW_SERVER : SW_CLIENT, .number = n,
			.at = at, .ip_id = data[10], .bad_checksum = data[9] >= 0xfe,
		};
		struct sw_track_out out;

		if (data[9] & 2) /* numbers around zero */
			seg.seq -= 0x8000;
		at.ns += (uint64_t)data[11] * data[11] * 100000;
		sw_track_segment(&t, &in, &out);
		check(&t, &out);
	}
	return 0;
}
