/* SPDX-License-Identifier: MIT */
/*
 * A capture file: read, judged, written as pcapng with comments, and read again.  Key and time of
 * the corpus are those of tests/core/vectors.py, so that it can hold genuine cookies.
 */
#include "study/capture.h"
#include "study/pcapng.h"
#include "study/watch.h"

#include <stdlib.h>
#include <string.h>

#define PACKETS_MAX 64 /* enough for every state, and fast */
#define DATA_MAX    (1u << 16)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct written {
	char *b;
	size_t len;
	FILE *f;
	struct sw_pcapng w;
	unsigned n;
	uint32_t caplen[PACKETS_MAX];
};

static void must(bool fact)
{
	if (!fact)
		abort();
}

static struct sw_watch *watch_new(void)
{
	struct sw_masters masters = { .n = 1 };
	const struct sw_watch_config cf = {
		.judge = { .masters = &masters, .alg = SW_MAC_SIPHASH24, .searches = 1 },
		.seed = 1,
	};
	struct sw_watch *w;

	for (size_t i = 0; i < SW_KEY_LEN; i++)
		masters.key[0][i] = (uint8_t)i;
	must(sw_watch_new(&w, &cf) == 0);
	return w;
}

static void begin(struct written *out, const struct sw_capture *c)
{
	uint32_t iface;

	memset(out, 0, sizeof(*out));
	out->f = open_memstream(&out->b, &out->len);
	must(out->f);
	must(sw_pcapng_begin(&out->w, out->f, "fuzz", NULL) == 0);
	must(sw_pcapng_iface(&out->w, sw_capture_linktype(c), 0, "fuzz", NULL, &iface) == 0);
}

static void check_texts(const struct sw_judgement *jm)
{
	must(memchr(jm->sentence, '\0', sizeof(jm->sentence)) && jm->sentence[0]);
	must(memchr(jm->facts, '\0', sizeof(jm->facts)));
	must(strncmp(jm->facts, "synward: verdict=", 17) == 0);
	must(jm->finding < SW_NFOUND && jm->decision.why < SW_NWHY);
	must(!(sw_judgement_refused(jm) && sw_judgement_accepted(jm)));
}

static void take(struct written *out, struct sw_watch *w, const struct sw_packet *p)
{
	struct sw_pcapng_packet o = { .at = p->at, .data = p->data, .caplen = p->caplen,
				      .origlen = p->origlen };
	struct sw_judgement jm;
	enum sw_way way;

	must(p->frame.wire_len >= p->frame.len);
	if (!sw_watch_packet(w, p, &jm, &way))
		return;
	check_texts(&jm);
	if (p->caplen > DATA_MAX)
		return;
	o.comment[0] = jm.sentence;
	o.comment[1] = jm.facts;
	must(sw_pcapng_packet(&out->w, &o) == 0);
	out->caplen[out->n++] = p->caplen;
}

/* What was written is a capture with the same packets. */
static void read_again(const struct written *out)
{
	char err[SW_CAPTURE_ERR];
	struct sw_capture *c;
	struct sw_packet p;
	FILE *fp = fmemopen(out->b, out->len, "rb");

	must(fp && sw_capture_stream(&c, fp, "again", NULL, err) == 0);
	for (unsigned i = 0; i < out->n; i++)
		must(sw_capture_next(c, &p, err) == 1 && p.caplen == out->caplen[i]);
	must(sw_capture_next(c, &p, err) == 0);
	sw_capture_close(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FILE *fp = size ? fmemopen((void *)(uintptr_t)data, size, "rb") : NULL;
	char err[SW_CAPTURE_ERR] = "";
	struct sw_watch *w;
	struct sw_capture *c;
	struct sw_packet p;
	struct written out;

	if (!fp)
		return 0;
	if (sw_capture_stream(&c, fp, "f", NULL, err) != 0) {
		must(err[0] == 'f' && err[1] == ':');
		return 0;
	}
	w = watch_new();
	begin(&out, c);
	for (unsigned i = 0; i < PACKETS_MAX; i++) {
		const int rc = sw_capture_next(c, &p, err);

		must(rc == 1 || rc == 0 || strncmp(err, "f: packet ", 10) == 0);
		if (rc != 1)
			break;
		take(&out, w, &p);
	}
	must(fclose(out.f) == 0);
	read_again(&out);
	free(out.b);
	sw_watch_free(w);
	sw_capture_close(c);
	return 0;
}
