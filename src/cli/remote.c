/* SPDX-License-Identifier: MIT */
#include "cli/remote.h"
#include "cli/cli.h"
#include "ops/client.h"
#include "ops/reasons.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <synward/listener.h>

int sw_remote_stats(const char *cmd, const char *socket, json_t **out, char **raw)
{
	struct sw_reply reply;
	json_error_t error;
	char err[256];
	json_t *object;

	if (sw_client_request(socket, "GET", "/stats", SW_REMOTE_TIMEOUT_MS, &reply, err,
			      sizeof(err))) {
		fprintf(stderr, "synward %s: %s\n", cmd, err);
		return SW_EXIT_UNREACHABLE;
	}
	object = reply.status == 200 ? json_loadb(reply.body, reply.len, 0, &error) : NULL;
	if (!object) {
		fprintf(stderr, "synward %s: %s: %s\n", cmd, socket,
			reply.status == 200 ? error.text : reply.body);
		sw_reply_free(&reply);
		return SW_EXIT_UNREACHABLE;
	}
	if (raw)
		*raw = reply.body;
	else
		sw_reply_free(&reply);
	*out = object;
	return SW_EXIT_OK;
}

json_t *sw_json_at(const json_t *object, const char *path)
{
	json_t *at = NULL;

	while (object && *path) {
		const size_t n = strcspn(path, ".");
		char key[64];

		if (n >= sizeof(key))
			return NULL;
		memcpy(key, path, n);
		key[n] = '\0';
		at = json_object_get(object, key);
		object = at;
		path += n + (path[n] == '.');
	}
	return at;
}

double sw_json_number(const json_t *object, const char *path)
{
	return json_number_value(sw_json_at(object, path));
}

uint64_t sw_json_count(const json_t *object, const char *path)
{
	const json_int_t n = json_integer_value(sw_json_at(object, path));

	return n < 0 ? 0 : (uint64_t)n;
}

const char *sw_json_text(const json_t *object, const char *path)
{
	const char *text = json_string_value(sw_json_at(object, path));

	return text ? text : "";
}

bool sw_json_true(const json_t *object, const char *path)
{
	return json_is_true(sw_json_at(object, path));
}

static int larger_first(const void *a, const void *b)
{
	const struct sw_refusal *x = a, *y = b;

	return x->n < y->n ? 1 : x->n > y->n ? -1 : 0;
}

size_t sw_remote_refusals(const json_t *listener, const json_t *before, struct sw_refusal *out,
			  size_t max)
{
	struct sw_refusal all[SYNWARD_MAX_REASONS];
	size_t n = 0;

	for (unsigned why = 0; synward_reason_name(why); why++) {
		char path[64];
		uint64_t now, then;

		if (!sw_reason_is_refusal(why))
			continue;
		snprintf(path, sizeof(path), "reasons.%s", synward_reason_name(why));
		now = sw_json_count(listener, path);
		then = before ? sw_json_count(before, path) : 0;
		if (now > then)
			all[n++] = (struct sw_refusal){ synward_reason_name(why), now - then };
	}
	qsort(all, n, sizeof(all[0]), larger_first);
	if (n > max)
		n = max;
	memcpy(out, all, n * sizeof(all[0]));
	return n;
}

void sw_remote_mode(const json_t *listener, char *out, size_t size)
{
	const char *xdp = sw_json_text(listener, "xdp"), *pool = sw_json_text(listener, "pool");

	snprintf(out, size, "%s%s%s%s%s%s", sw_json_text(listener, "mode"), *pool ? " to " : "",
		 pool, strcmp(xdp, "none") ? ", XDP " : ", packet threads",
		 strcmp(xdp, "none") ? xdp : "",
		 sw_json_true(listener, "draining") ? ", draining" : "");
}
