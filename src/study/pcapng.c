/* SPDX-License-Identifier: MIT */
#include "study/pcapng.h"

#include "study/utf8.h"

#include <errno.h>
#include <string.h>

/* Block types and option codes: draft-ietf-opsawg-pcapng, sections 4 and 3.5. */
enum { SHB = 0x0a0d0d0a, IDB = 1, NRB = 4, ISB = 5, EPB = 6 };
enum { OPT_END = 0, OPT_COMMENT = 1, SHB_USERAPPL = 4, IF_NAME = 2, IF_TSRESOL = 9,
       IF_FILTER = 11, EPB_FLAGS = 2, ISB_IFRECV = 4, ISB_IFDROP = 5 };

#define MAGIC		0x1a2b3c4du
#define VERSION_MAJOR	1
#define TSRESOL_NS	9 /* 10^-9 s */
#define BLOCK_FRAME	12u /* type and length in front, length behind */
#define OPT_HEAD	4u
#define NAME_MAX_LEN	255u /* a DNS name */

static uint32_t padded(uint32_t n)
{
	return (n + 3u) & ~3u;
}

/* Bytes of @s that are written: whole characters, at most @max bytes. */
static uint32_t text_len(const char *s, uint32_t max)
{
	uint32_t n = 0;

	if (!s)
		return 0;
	while (s[n]) {
		const size_t c = sw_utf8_len(s + n);
		const uint32_t step = c ? (uint32_t)c : 1;

		if (n + step > max)
			break;
		n += step;
	}
	return n;
}

/* Room that a text option takes; an empty text is left out. */
static uint32_t text_room(const char *s, uint32_t extra)
{
	const uint32_t n = text_len(s, SW_PCAPNG_TEXT_MAX - extra);

	return n ? OPT_HEAD + padded(n + extra) : 0;
}

static void put(FILE *f, const void *data, size_t n)
{
	if (n > 0)
		(void)fwrite(data, 1, n, f); /* the stream's error flag is looked at in done() */
}

static void put_u16(FILE *f, uint16_t v)
{
	put(f, &v, sizeof(v));
}

static void put_u32(FILE *f, uint32_t v)
{
	put(f, &v, sizeof(v));
}

static void put_pad(FILE *f, uint32_t n)
{
	static const uint8_t zero[4];

	put(f, zero, padded(n) - n);
}

static void put_text(FILE *f, const char *s, uint32_t len)
{
	for (uint32_t i = 0; i < len;) {
		const size_t c = sw_utf8_len(s + i);
		const bool fine = c > 1 || (c == 1 && (s[i] == '\n' || s[i] == '\t' ||
						       ((unsigned char)s[i] >= 0x20 && s[i] != 0x7f)));

		put(f, fine ? s + i : "?", fine ? c : 1);
		i += c ? (uint32_t)c : 1;
	}
}

static void put_opt(FILE *f, uint16_t code, const void *value, uint16_t len)
{
	put_u16(f, code);
	put_u16(f, len);
	put(f, value, len);
	put_pad(f, len);
}

static void put_opt_text(FILE *f, uint16_t code, const char *s)
{
	const uint32_t n = text_len(s, SW_PCAPNG_TEXT_MAX);

	if (n == 0)
		return;
	put_u16(f, code);
	put_u16(f, (uint16_t)n);
	put_text(f, s, n);
	put_pad(f, n);
}

static void block_begin(FILE *f, uint32_t type, uint32_t body)
{
	put_u32(f, type);
	put_u32(f, BLOCK_FRAME + body);
}

static void put_end_of_opts(FILE *f)
{
	put_u32(f, OPT_END);
}

static int done(FILE *f, uint32_t body)
{
	put_u32(f, BLOCK_FRAME + body);
	return ferror(f) ? (errno ? -errno : -EIO) : 0;
}

int sw_pcapng_begin(struct sw_pcapng *w, FILE *out, const char *app, const char *comment)
{
	const int64_t unknown = -1; /* the section's length: it grows */
	const uint32_t body = 16 + text_room(comment, 0) + text_room(app, 0) + OPT_HEAD;

	*w = (struct sw_pcapng){ .out = out };
	block_begin(out, SHB, body);
	put_u32(out, MAGIC);
	put_u16(out, VERSION_MAJOR);
	put_u16(out, 0);
	put(out, &unknown, sizeof(unknown));
	put_opt_text(out, OPT_COMMENT, comment);
	put_opt_text(out, SHB_USERAPPL, app);
	put_end_of_opts(out);
	return done(out, body);
}

int sw_pcapng_iface(struct sw_pcapng *w, uint16_t linktype, uint32_t snaplen, const char *name,
		    const char *filter, uint32_t *iface)
{
	const uint8_t resolution = TSRESOL_NS, is_text = 0;
	const uint32_t filter_len = text_len(filter, SW_PCAPNG_TEXT_MAX - 1);
	const uint32_t body = 8 + text_room(name, 0) + text_room(filter, 1) +
			      OPT_HEAD + padded(sizeof(resolution)) + OPT_HEAD;
	int rc;

	block_begin(w->out, IDB, body);
	put_u16(w->out, linktype);
	put_u16(w->out, 0);
	put_u32(w->out, snaplen);
	put_opt_text(w->out, IF_NAME, name);
	put_opt(w->out, IF_TSRESOL, &resolution, sizeof(resolution));
	if (filter_len) {
		put_u16(w->out, IF_FILTER);
		put_u16(w->out, (uint16_t)(filter_len + 1));
		put(w->out, &is_text, 1);
		put_text(w->out, filter, filter_len);
		put_pad(w->out, filter_len + 1);
	}
	put_end_of_opts(w->out);
	rc = done(w->out, body);
	if (rc == 0)
		*iface = w->ifaces++;
	return rc;
}

int sw_pcapng_names(struct sw_pcapng *w, const struct sw_pcapng_name *names, size_t n)
{
	uint32_t body = OPT_HEAD;

	if (n == 0)
		return 0;
	for (size_t i = 0; i < n; i++)
		body += OPT_HEAD + padded((uint32_t)sw_addr_len(names[i].family) +
					  text_len(names[i].name, NAME_MAX_LEN) + 1);
	block_begin(w->out, NRB, body);
	for (size_t i = 0; i < n; i++) {
		const uint32_t alen = (uint32_t)sw_addr_len(names[i].family);
		const uint32_t nlen = text_len(names[i].name, NAME_MAX_LEN);

		put_u16(w->out, names[i].family == SW_IP4 ? 1 : 2);
		put_u16(w->out, (uint16_t)(alen + nlen + 1));
		put(w->out, names[i].addr.b, alen);
		put_text(w->out, names[i].name, nlen);
		put(w->out, "", 1);
		put_pad(w->out, alen + nlen + 1);
	}
	put_end_of_opts(w->out);
	return done(w->out, body);
}

static void put_time(FILE *f, sw_wall at)
{
	put_u32(f, (uint32_t)(at.ns >> 32));
	put_u32(f, (uint32_t)at.ns);
}

int sw_pcapng_packet(struct sw_pcapng *w, const struct sw_pcapng_packet *p)
{
	const uint32_t flags = p->dir; /* bits 0-1: 1 inbound, 2 outbound */
	uint32_t body = 20 + padded(p->caplen) + OPT_HEAD + OPT_HEAD + sizeof(flags);

	for (size_t i = 0; i < SW_PCAPNG_COMMENTS; i++)
		body += text_room(p->comment[i], 0);
	block_begin(w->out, EPB, body);
	put_u32(w->out, p->iface);
	put_time(w->out, p->at);
	put_u32(w->out, p->caplen);
	put_u32(w->out, p->origlen);
	put(w->out, p->data, p->caplen);
	put_pad(w->out, p->caplen);
	for (size_t i = 0; i < SW_PCAPNG_COMMENTS; i++)
		put_opt_text(w->out, OPT_COMMENT, p->comment[i]);
	put_opt(w->out, EPB_FLAGS, &flags, sizeof(flags));
	put_end_of_opts(w->out);
	return done(w->out, body);
}

int sw_pcapng_stats(struct sw_pcapng *w, uint32_t iface, sw_wall at, uint64_t received,
		    uint64_t dropped)
{
	const uint32_t body = 12 + 2 * (OPT_HEAD + 8) + OPT_HEAD;

	block_begin(w->out, ISB, body);
	put_u32(w->out, iface);
	put_time(w->out, at);
	put_opt(w->out, ISB_IFRECV, &received, sizeof(received));
	put_opt(w->out, ISB_IFDROP, &dropped, sizeof(dropped));
	put_end_of_opts(w->out);
	return done(w->out, body);
}

int sw_pcapng_flush(struct sw_pcapng *w)
{
	return fflush(w->out) == 0 ? 0 : -errno;
}
