/* SPDX-License-Identifier: MIT */
#include "study/pcapng.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Reads what was written, block by block, without any code of the writer. */
struct block {
	uint32_t type, len;
	const uint8_t *body;
};

struct out {
	char *b;
	size_t len;
	FILE *f;
	struct sw_pcapng w;
};

static uint32_t u32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint16_t u16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void begin(struct out *o, const char *comment)
{
	uint32_t iface = 99;

	memset(o, 0, sizeof(*o));
	o->f = open_memstream(&o->b, &o->len);
	cr_assert_eq(sw_pcapng_begin(&o->w, o->f, "synward 0.1.0", comment), 0, "no section");
	cr_assert_eq(sw_pcapng_iface(&o->w, 1, 262, "eth0", "tcp port 80", &iface), 0, "no iface");
	cr_assert_eq(iface, 0, "the first interface is %u", iface);
}

static void end(struct out *o)
{
	fclose(o->f);
}

static struct block block_at(const struct out *o, size_t *at)
{
	struct block b;

	cr_assert(*at + 12 <= o->len, "a block is cut at %zu of %zu", *at, o->len);
	b.type = u32((const uint8_t *)o->b + *at);
	b.len = u32((const uint8_t *)o->b + *at + 4);
	cr_assert(b.len % 4 == 0 && b.len >= 12 && *at + b.len <= o->len, "block length %u", b.len);
	b.body = (const uint8_t *)o->b + *at + 8;
	cr_assert_eq(u32((const uint8_t *)o->b + *at + b.len - 4), b.len, "the lengths differ");
	*at += b.len;
	return b;
}

/* The @nth option of a code.  @return its length, or -1. */
static int option(const struct block *b, size_t off, uint16_t code, unsigned nth,
		  const uint8_t **value)
{
	const size_t end_of_body = b->len - 12;

	while (off + 4 <= end_of_body) {
		const uint16_t c = u16(b->body + off), n = u16(b->body + off + 2);

		cr_assert(off + 4 + n <= end_of_body, "option %u runs over its block", c);
		if (c == 0) {
			cr_assert(n == 0 && off + 4 == end_of_body, "the end of options is not last");
			return -1;
		}
		*value = b->body + off + 4;
		if (c == code && nth-- == 0)
			return n;
		for (size_t i = n; i < ((n + 3u) & ~3u); i++)
			cr_assert_eq(b->body[off + 4 + i], 0, "padding of option %u", c);
		off += 4 + ((n + 3u) & ~3u);
	}
	cr_assert_fail("no end of options");
	return -1;
}

static void expect_text(const struct block *b, size_t off, uint16_t code, unsigned nth,
			const char *want)
{
	const uint8_t *value = NULL;
	const int n = option(b, off, code, nth, &value);

	cr_assert_eq(n, (int)strlen(want), "option %u: %d bytes, want '%s'", code, n, want);
	cr_assert_eq(memcmp(value, want, (size_t)n), 0, "option %u is not '%s'", code, want);
}

Test(pcapng, section_and_interface)
{
	const uint8_t *value;
	struct out o;
	struct block b;
	size_t at = 0;

	begin(&o, "about it");
	end(&o);
	b = block_at(&o, &at);
	cr_assert_eq(b.type, 0x0a0d0d0a, "%#x", b.type);
	cr_assert_eq(u32(b.body), 0x1a2b3c4d, "magic %#x", u32(b.body));
	cr_assert_eq(u16(b.body + 4), 1, "major");
	cr_assert_eq(u16(b.body + 6), 0, "minor");
	cr_assert_eq(memcmp(b.body + 8, "\xff\xff\xff\xff\xff\xff\xff\xff", 8), 0, "length");
	expect_text(&b, 16, 1, 0, "about it");
	expect_text(&b, 16, 4, 0, "synward 0.1.0");
	b = block_at(&o, &at);
	cr_assert_eq(b.type, 1, "%#x", b.type);
	cr_assert_eq(u16(b.body), 1, "linktype");
	cr_assert_eq(u32(b.body + 4), 262, "snaplen");
	expect_text(&b, 8, 2, 0, "eth0");
	cr_assert(option(&b, 8, 9, 0, &value) == 1 && value[0] == 9, "nanoseconds");
	cr_assert_eq(option(&b, 8, 11, 0, &value), 12, "filter");
	cr_assert_eq(memcmp(value, "\0tcp port 80", 12), 0, "filter");
	cr_assert_eq(at, o.len, "more than two blocks");
	free(o.b);
}

Test(pcapng, packets)
{
	static const char data[] = "0123456789abcdef";

	for (uint32_t n = 0; n <= 16; n++) {
		struct sw_pcapng_packet p = { .at = { 1700000000123456789u },
					      .data = (const uint8_t *)data,
					      .caplen = n,
					      .origlen = n + 100,
					      .dir = SW_PCAPNG_IN,
					      .comment = { "for people", "synward: verdict=reply" } };
		const uint8_t *value;
		struct block b;
		struct out o;
		size_t at = 0;

		begin(&o, NULL);
		cr_assert_eq(sw_pcapng_packet(&o.w, &p), 0, "not written");
		end(&o);
		(void)block_at(&o, &at);
		(void)block_at(&o, &at);
		b = block_at(&o, &at);
		cr_assert_eq(b.type, 6, "%u bytes: type %u", n, b.type);
		cr_assert_eq(u32(b.body), 0, "interface");
		cr_assert_eq((uint64_t)u32(b.body + 4) << 32 | u32(b.body + 8), p.at.ns, "time");
		cr_assert_eq(u32(b.body + 12), n, "caplen");
		cr_assert_eq(u32(b.body + 16), n + 100, "origlen");
		cr_assert_eq(memcmp(b.body + 20, data, n), 0, "data");
		for (uint32_t i = n; i < ((n + 3) & ~3u); i++)
			cr_assert_eq(b.body[20 + i], 0, "padding of the data");
		expect_text(&b, 20 + ((n + 3) & ~3u), 1, 0, "for people");
		expect_text(&b, 20 + ((n + 3) & ~3u), 1, 1, "synward: verdict=reply");
		cr_assert(option(&b, 20 + ((n + 3) & ~3u), 2, 0, &value) == 4 && u32(value) == 1,
			  "flags");
		cr_assert_eq(at, o.len, "bytes behind the block");
		free(o.b);
	}
}

Test(pcapng, names_and_statistics)
{
	struct sw_pcapng_name names[2] = { { .family = SW_IP4, .name = "client" },
					   { .family = SW_IP6, .name = "server.example" } };
	const uint8_t *value;
	struct block b;
	struct out o;
	size_t at = 0;
	uint64_t count;

	memcpy(names[0].addr.b, "\xc0\x00\x02\x01", 4);
	names[1].addr.b[15] = 1;
	begin(&o, NULL);
	cr_assert_eq(sw_pcapng_names(&o.w, names, 0), 0, "none");
	cr_assert_eq(sw_pcapng_names(&o.w, names, 2), 0, "two");
	cr_assert_eq(sw_pcapng_stats(&o.w, 0, (sw_wall){ 5 }, 1000, 7), 0, "statistics");
	cr_assert_eq(sw_pcapng_flush(&o.w), 0, "flush");
	end(&o);
	(void)block_at(&o, &at);
	(void)block_at(&o, &at);
	b = block_at(&o, &at);
	cr_assert_eq(b.type, 4, "%u", b.type);
	cr_assert_eq(u16(b.body), 1, "IPv4");
	cr_assert_eq(u16(b.body + 2), 11, "length %u", u16(b.body + 2));
	cr_assert_eq(memcmp(b.body + 4, "\xc0\x00\x02\x01" "client\0\0", 12), 0, "record");
	cr_assert_eq(u16(b.body + 16), 2, "IPv6");
	cr_assert_eq(u16(b.body + 18), 31, "length %u", u16(b.body + 18));
	b = block_at(&o, &at);
	cr_assert_eq(b.type, 5, "%u", b.type);
	cr_assert_eq(option(&b, 12, 4, 0, &value), 8, "received");
	memcpy(&count, value, 8);
	cr_assert_eq(count, 1000, "%lu", count);
	cr_assert_eq(option(&b, 12, 5, 0, &value), 8, "dropped");
	memcpy(&count, value, 8);
	cr_assert_eq(count, 7, "%lu", count);
	free(o.b);
}

/* What is no UTF-8 or would disturb a terminal becomes '?', byte by byte. */
Test(pcapng, texts_are_clean)
{
	struct sw_pcapng_packet p = { .comment = { "a\x01\xff\xc3\xa9\xc3\tz\x7f\n", "" } };
	const uint8_t *value;
	struct block b;
	struct out o;
	size_t at = 0;

	begin(&o, NULL);
	cr_assert_eq(sw_pcapng_packet(&o.w, &p), 0, "not written");
	end(&o);
	(void)block_at(&o, &at);
	(void)block_at(&o, &at);
	b = block_at(&o, &at);
	expect_text(&b, 20, 1, 0, "a??\xc3\xa9?\tz?\n");
	cr_assert_eq(option(&b, 20, 1, 1, &value), -1, "an empty comment was written");
	free(o.b);
}

/* A comment has 16 bits of length: it is cut between two characters. */
Test(pcapng, long_texts_are_cut)
{
	const size_t n = 70000;
	char *text = malloc(n + 1);
	struct sw_pcapng_packet p = { .comment = { text, NULL } };
	const uint8_t *value;
	struct block b;
	struct out o;
	size_t at = 0;
	int len;

	for (size_t i = 0; i < n; i += 2)
		memcpy(text + i, "\xc3\xa9", 2);
	memmove(text + 1, text, n - 1);
	text[0] = 'x';
	text[n - 1] = '\0';
	begin(&o, NULL);
	cr_assert_eq(sw_pcapng_packet(&o.w, &p), 0, "not written");
	end(&o);
	(void)block_at(&o, &at);
	(void)block_at(&o, &at);
	b = block_at(&o, &at);
	len = option(&b, 20, 1, 0, &value);
	cr_assert(len > 65000 && len <= (int)SW_PCAPNG_TEXT_MAX, "%d bytes", len);
	cr_assert_eq(len % 2, 1, "cut inside a character: %d", len);
	cr_assert_eq(at, o.len, "bytes behind the block");
	free(o.b);
	free(text);
}

Test(pcapng, errors_are_told)
{
	FILE *full = fopen("/dev/full", "w");
	struct sw_pcapng w;
	int rc;

	cr_assert_not_null(full, "/dev/full");
	setvbuf(full, NULL, _IONBF, 0);
	rc = sw_pcapng_begin(&w, full, "x", NULL);
	cr_assert_eq(rc, -ENOSPC, "%d", rc);
	fclose(full);
}
