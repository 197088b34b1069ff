/* SPDX-License-Identifier: MIT */
/*
 * A capture file through the whole of synward explain: flow table, tracker, core, and all four
 * outputs.  The first byte says how; the rest is the file.  Keys are those of
 * tests/core/vectors.py.
 */
#include "study/explain.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Bits of the first byte. */
enum { HOW_KEY = 1, HOW_ALL = 2, HOW_PAGE = 4, HOW_SIPHASH = 8, HOW_SMALL = 16 };

struct memory {
	FILE *f;
	char *b;
	size_t len;
};

static void must(bool fact)
{
	if (!fact)
		abort();
}

static FILE *open_memory(struct memory *m)
{
	m->f = open_memstream(&m->b, &m->len);
	must(m->f);
	return m->f;
}

static void close_memory(struct memory *m)
{
	fclose(m->f);
	free(m->b);
}

static void check(const struct sw_explain_result *r, struct memory *json, struct memory *html)
{
	json_t *j;

	must(r->segments <= r->packets && r->flows <= r->segments);
	must(r->drawn + r->undrawn + r->collapsed <= r->flows);
	fflush(json->f);
	j = json_loadb(json->b, json->len, 0, NULL);
	must(j != NULL);
	json_decref(j);
	if (!html->f)
		return;
	fflush(html->f);
	must(strstr(html->b, "</html>") != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct memory text = { 0 }, json = { 0 }, html = { 0 }, pcapng = { 0 };
	struct sw_masters masters = { .n = 1 };
	struct sw_explain_config cf = { .name = "fuzz", .seed = 1, .ladders = 20 };
	struct sw_explain_result result;
	char err[SW_CAPTURE_ERR];
	struct sw_capture *c;
	FILE *in;

	if (size < 2)
		return 0;
	for (size_t i = 0; i < SW_KEY_LEN; i++)
		masters.key[0][i] = (uint8_t)i;
	in = fmemopen((void *)(uintptr_t)(data + 1), size - 1, "rb");
	must(in);
	if (sw_capture_stream(&c, in, "fuzz", NULL, err) != 0)
		return 0;
	cf.masters = data[0] & HOW_KEY ? &masters : NULL;
	cf.alg = data[0] & HOW_SIPHASH ? SW_MAC_SIPHASH24 : SW_MAC_HMAC_SHA256;
	cf.all = data[0] & HOW_ALL;
	cf.flows = data[0] & HOW_SMALL ? SW_FLOWS_MIN : 256;
	cf.text = open_memory(&text);
	cf.json = open_memory(&json);
	cf.pcapng = open_memory(&pcapng);
	if (data[0] & HOW_PAGE)
		cf.html = open_memory(&html);
	must(sw_explain(c, &cf, &result) == 0);
	check(&result, &json, &html);
	sw_capture_close(c);
	close_memory(&text);
	close_memory(&json);
	close_memory(&pcapng);
	if (html.f)
		close_memory(&html);
	return 0;
}
