/* SPDX-License-Identifier: MIT */
#include "cli/trace.h"

#include "study/words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <synward/listener.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS 1000000000ull

/* SGR colours: ECMA-48 8.3.117. */
#define RED    "\033[31m"
#define GREEN  "\033[32m"
#define NORMAL "\033[0m"

int sw_trace_out_open(struct sw_trace_out *o, const char *path)
{
	const char *no_color = getenv("NO_COLOR");

	*o = (struct sw_trace_out){ .stream = stdout, .path = path ? path : "standard output" };
	o->pcapng = path != NULL;
	o->colour = !path && isatty(STDOUT_FILENO) && !(no_color && *no_color);
	if (path && strcmp(path, "-") != 0)
		o->stream = fopen(path, "wbe");
	return o->stream ? 0 : -errno;
}

int sw_trace_out_begin(struct sw_trace_out *o, const struct sw_capture *c, const char *source,
		       const char *filter, const char *comment)
{
	char app[64];
	int rc;

	if (!o->pcapng)
		return 0;
	snprintf(app, sizeof(app), "synward %s", synward_version());
	rc = sw_pcapng_begin(&o->file, o->stream, app, comment);
	if (rc == 0)
		rc = sw_pcapng_iface(&o->file, sw_capture_linktype(c), sw_capture_snaplen(c), source,
				     filter, &o->iface);
	return rc ? rc : sw_pcapng_flush(&o->file);
}

static void line(struct sw_trace_out *o, const struct sw_packet *p, const struct sw_judgement *jm)
{
	const time_t s = (time_t)(p->at.ns / SECOND_NS);
	char when[16], from[SW_HOST_TEXT], to[SW_HOST_TEXT], flags[SW_FLAGS_TEXT];
	const char *on = sw_judgement_refused(jm) ? RED : sw_judgement_accepted(jm) ? GREEN : "";
	struct tm tm;

	localtime_r(&s, &tm);
	strftime(when, sizeof(when), "%H:%M:%S", &tm);
	fprintf(o->stream, "%s.%06u ", when, (unsigned)(p->at.ns % SECOND_NS / 1000));
	if (jm->finding == SW_FOUND_MALFORMED)
		fprintf(o->stream, "%u bytes", p->origlen);
	else
		fprintf(o->stream, "%s > %s %s",
			sw_host_text(jm->seg.family, &jm->seg.src, jm->seg.sport, from),
			sw_host_text(jm->seg.family, &jm->seg.dst, jm->seg.dport, to),
			sw_flags_text(jm->seg.flags, flags));
	if (!o->colour)
		on = "";
	fprintf(o->stream, ": %s%s%s %s: %s\n", on, sw_judgement_word(jm), *on ? NORMAL : "",
		sw_judgement_reason(jm), jm->sentence);
}

int sw_trace_out_packet(struct sw_trace_out *o, const struct sw_packet *p,
			const struct sw_judgement *jm, enum sw_way way)
{
	struct sw_pcapng_packet out = {
		.iface = o->iface,
		.at = p->at,
		.data = p->data,
		.caplen = p->caplen,
		.origlen = p->origlen,
		.comment = { jm->sentence, jm->facts },
	};

	if (jm->finding != SW_FOUND_MALFORMED)
		out.dir = way == SW_WAY_IN ? SW_PCAPNG_IN : SW_PCAPNG_OUT;
	if (o->pcapng)
		return sw_pcapng_packet(&o->file, &out);
	errno = 0;
	line(o, p, jm);
	return ferror(o->stream) ? -(errno ? errno : EIO) : 0;
}

int sw_trace_out_flush(struct sw_trace_out *o)
{
	return fflush(o->stream) == 0 ? 0 : -errno;
}

int sw_trace_out_end(struct sw_trace_out *o, const struct sw_capture_stats *st, sw_wall at)
{
	int rc = 0;

	if (o->pcapng)
		rc = sw_pcapng_stats(&o->file, o->iface, at, st->seen + st->dropped, st->dropped);
	if (rc == 0)
		rc = sw_trace_out_flush(o);
	if (o->stream != stdout && fclose(o->stream) != 0 && rc == 0)
		rc = -errno;
	return rc;
}
