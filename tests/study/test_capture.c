/* SPDX-License-Identifier: MIT */
#include "study/capture.h"

#include "study/captures_link.h"
#include "study/captures.h"

#include <criterion/criterion.h>
#include <errno.h>

static struct frame syn(enum sw_family family)
{
	const struct frame_spec s = frame_syn_usual(family);

	return frame_make(&s);
}

/* Two packets of one link type, 1.5 s apart. */
static struct cap_file two_packets(uint32_t linktype, const void *head, size_t head_len,
				   const struct frame *f, size_t strip)
{
	struct cap_file c = { 0 };

	cap_head(&c, linktype);
	for (uint64_t i = 0; i < 2; i++)
		cap_packet(&c, FRAME_WALL_S * 1000000000u + i * 1500000001u, head, head_len,
			   f->b + strip, f->len - strip);
	return c;
}

static void expect_two_syns(const struct cap_file *file, enum sw_family family, const char *what)
{
	char err[SW_CAPTURE_ERR] = "";
	struct sw_capture *c;
	struct sw_packet p;

	cr_assert_eq(sw_capture_stream(&c, cap_open(file), what, NULL, err), 0, "%s: %s", what, err);
	cr_assert_eq(sw_capture_size(c), file->len, "%s: size %lu", what, sw_capture_size(c));
	cr_assert(!sw_capture_is_live(c), "%s: a file is live", what);
	for (uint64_t i = 0; i < 2; i++) {
		struct sw_seg seg;

		cr_assert_eq(sw_capture_next(c, &p, err), 1, "%s: %s", what, err);
		cr_assert_eq(p.number, i + 1, "%s: number %lu", what, p.number);
		cr_assert_eq(p.at.ns, FRAME_WALL_S * 1000000000u + i * 1500000001u, "%s: %lu", what,
			     p.at.ns);
		cr_assert_eq(sw_wire_parse(&seg, &p.frame), SW_WIRE_OK, "%s: not parsed", what);
		cr_assert(seg.family == family && seg.dport == 443 && seg.seq == 0x12345678 &&
			  seg.opt.ts && seg.opt.mss, "%s: other numbers", what);
		cr_assert(sw_wire_tcp_csum_ok(&p.frame, &seg), "%s: checksum", what);
	}
	cr_assert_eq(sw_capture_next(c, &p, err), 0, "%s: a third packet", what);
	cr_assert_eq(sw_capture_next(c, &p, err), 0, "%s: a fourth packet", what);
	sw_capture_close(c);
}

Test(capture, link_types)
{
	for (size_t i = 0; i < sizeof(link_heads) / sizeof(link_heads[0]); i++) {
		const struct link_head *l = &link_heads[i];
		const struct frame f = syn(l->family);
		struct cap_file file =
			two_packets(l->linktype, l->head, l->len, &f, l->ethernet ? 0 : f.l3);

		expect_two_syns(&file, l->family, l->name);
		free(file.b);
	}
}

/* Every prefix of a file ends in a packet less, or in a line that says where it is damaged. */
Test(capture, truncated)
{
	const struct frame f = syn(SW_IP4);
	struct cap_file file = two_packets(1, "", 0, &f, 0);

	for (size_t n = 24; n < file.len; n++) {
		const size_t one = 16 + f.len, whole = (n - 24) / one, rest = (n - 24) % one;
		struct cap_file part = { .len = n };
		char err[SW_CAPTURE_ERR] = "", where[64];
		struct sw_capture *c;
		struct sw_packet p;

		part.b = memcpy(malloc(n), file.b, n);
		cr_assert_eq(sw_capture_stream(&c, cap_open(&part), "cut.pcap", NULL, err), 0,
			     "cut at %zu: %s", n, err);
		for (size_t i = 0; i < whole; i++)
			cr_assert_eq(sw_capture_next(c, &p, err), 1, "cut at %zu: %s", n, err);
		cr_assert_eq(sw_capture_next(c, &p, err), rest ? -EBADMSG : 0, "cut at %zu", n);
		snprintf(where, sizeof(where), "cut.pcap: packet %zu, byte %zu: ", whole + 1,
			 24 + whole * one);
		if (rest)
			cr_assert_eq(strncmp(err, where, strlen(where)), 0, "'%s', not '%s'", err,
				     where);
		sw_capture_close(c);
		free(part.b);
	}
	free(file.b);
}

struct foreign {
	const char *bytes;
	size_t len;
	const char *says;
};

Test(capture, foreign_files)
{
	static const struct foreign rows[] = {
		{ "\x1f\x8b\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24, "gzip" },
		{ "\x28\xb5\x2f\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24, "zstd" },
		{ "\xfd" "7zXZ\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24, "xz" },
		{ "BZh91AY&SY\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24, "bzip2" },
		{ "snoop\0\0\0\0\0\0\2\0\0\0\4\0\0\0\0\0\0\0\0\0", 24, "snoop" },
		{ "#!/bin/sh\necho a script\nexit 0\n", 24, "expected pcap or pcapng" },
		{ "x", 1, "expected pcap or pcapng" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		FILE *fp = fmemopen((void *)(uintptr_t)rows[i].bytes, rows[i].len, "rb");
		char err[SW_CAPTURE_ERR] = "";
		struct sw_capture *c = NULL;

		cr_assert_eq(sw_capture_stream(&c, fp, "thing", NULL, err), -EINVAL, "row %zu", i);
		cr_assert_null(c, "row %zu: something was made", i);
		cr_assert(strncmp(err, "thing: ", 7) == 0 && strstr(err, rows[i].says), "row %zu: %s",
			  i, err);
	}
}

Test(capture, files_that_are_not_there)
{
	char err[SW_CAPTURE_ERR] = "";
	struct sw_capture *c;

	cr_assert_eq(sw_capture_file(&c, "/proc/nonexistent.pcap", NULL, err), -ENOENT, "missing");
	cr_assert(strstr(err, "/proc/nonexistent.pcap"), "%s", err);
	cr_assert_eq(sw_capture_file(&c, "/dev/null", NULL, err), -EINVAL, "empty");
	cr_assert(strstr(err, "/dev/null") && strstr(err, "empty"), "%s", err);
	cr_assert_eq(sw_capture_file(&c, "/", NULL, err), -EINVAL, "directory");
	cr_assert(strstr(err, "directory"), "%s", err);
}

Test(capture, unknown_link_type)
{
	struct cap_file file = { 0 };
	char err[SW_CAPTURE_ERR] = "";
	struct sw_capture *c;

	cap_head(&file, 105); /* IEEE 802.11 */
	cr_assert_eq(sw_capture_stream(&c, cap_open(&file), "wifi", NULL, err), -EINVAL, "taken");
	cr_assert(strstr(err, "wifi: link type IEEE802_11 (105)") && strstr(err, "Ethernet"), "%s",
		  err);
	free(file.b);
}

/* Packets keep the numbers of the file, as Wireshark shows them. */
Test(capture, filter)
{
	struct cap_file file = { 0 };
	char err[SW_CAPTURE_ERR] = "";
	struct sw_capture_stats st;
	struct sw_capture *c;
	struct sw_packet p;

	cap_head(&file, 1);
	for (uint16_t i = 0; i < 10; i++) {
		struct frame_spec s = frame_syn(i % 2 ? SW_IP4 : SW_IP6);
		struct frame f;

		s.dport = (uint16_t)(80 + i);
		f = frame_make(&s);
		cap_packet(&file, FRAME_WALL_S * 1000000000u, "", 0, f.b, f.len);
	}
	cr_assert_eq(sw_capture_stream(&c, cap_open(&file), "f", "ip and port 85 or port 88", err),
		     0, "%s", err);
	cr_assert_eq(sw_capture_next(c, &p, err), 1, "%s", err);
	cr_assert_eq(p.number, 6, "%lu", p.number);
	cr_assert_eq(sw_capture_next(c, &p, err), 1, "%s", err);
	cr_assert_eq(p.number, 9, "%lu", p.number);
	cr_assert_eq(sw_capture_next(c, &p, err), 0, "more");
	sw_capture_stats(c, &st);
	cr_assert(st.seen == 2 && st.dropped == 0, "%lu seen, %lu dropped", st.seen, st.dropped);
	sw_capture_close(c);
	cr_assert_eq(sw_capture_stream(&c, cap_open(&file), "f", "prot 85", err), -EINVAL, "taken");
	cr_assert(strstr(err, "filter \"prot 85\""), "%s", err);
	free(file.b);
}

Test(capture, break_ends_it)
{
	const struct frame f = syn(SW_IP4);
	struct cap_file file = two_packets(1, "", 0, &f, 0);
	char err[SW_CAPTURE_ERR] = "";
	struct sw_capture *c;
	struct sw_packet p;

	cr_assert_eq(sw_capture_stream(&c, cap_open(&file), "f", NULL, err), 0, "%s", err);
	cr_assert_eq(sw_capture_next(c, &p, err), 1, "%s", err);
	sw_capture_break(c);
	cr_assert_eq(sw_capture_next(c, &p, err), -EINTR, "it went on");
	sw_capture_close(c);
	sw_capture_close(NULL);
	free(file.b);
}

/* Times that no clock shows: before 1970 is not known, after 2554 is the end. */
Test(capture, odd_lengths_and_times)
{
	const struct frame f = syn(SW_IP4);
	struct cap_file file = { 0 };
	char err[SW_CAPTURE_ERR] = "";
	struct sw_capture *c;
	struct sw_packet p;

	cap_head(&file, 1);
	cap_u32(&file, 0xffffffff);
	cap_u32(&file, 0xffffffff);
	cap_u32(&file, (uint32_t)f.len);
	cap_u32(&file, 0); /* shorter on the wire than what was captured */
	cap_add(&file, f.b, f.len);
	cr_assert_eq(sw_capture_stream(&c, cap_open(&file), "f", NULL, err), 0, "%s", err);
	cr_assert_eq(sw_capture_next(c, &p, err), 1, "%s", err);
	cr_assert_eq(p.frame.wire_len, f.len, "%zu on the wire", p.frame.wire_len);
	cr_assert_leq(p.at.ns / 1000000000u, 0xffffffffu, "%lu", p.at.ns);
	sw_capture_close(c);
	free(file.b);
}
