/* SPDX-License-Identifier: MIT */
#include "study/words.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>

void sw_text_add(struct sw_text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (t->used >= t->len)
		return;
	va_start(ap, fmt);
	n = vsnprintf(t->at + t->used, t->len - t->used, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->used += (size_t)n;
	if (t->used >= t->len)
		t->used = t->len;
}

const char *sw_terms_text(const struct sw_terms *t, char out[SW_TERMS_TEXT])
{
	struct sw_text x = { .at = out, .len = SW_TERMS_TEXT };

	sw_text_add(&x, "MSS %u", t->mss);
	if (t->wscale_ok)
		sw_text_add(&x, ", window scale %u", t->wscale);
	if (t->sack)
		sw_text_add(&x, ", SACK");
	if (t->ts)
		sw_text_add(&x, ", timestamps");
	if (t->ecn)
		sw_text_add(&x, ", ECN");
	return out;
}

struct flag {
	uint8_t bit;
	const char *name;
};

static void add_flags(struct sw_text *x, uint8_t flags, const struct flag *f, size_t n,
		      const char *sep)
{
	for (size_t i = 0; i < n; i++) {
		if (flags & f[i].bit)
			sw_text_add(x, "%s%s", x->used ? sep : "", f[i].name);
	}
}

const char *sw_flags_text(uint8_t flags, char out[SW_FLAGS_TEXT])
{
	static const struct flag main_ones[] = { { SW_TCP_SYN, "SYN" },
						 { SW_TCP_FIN, "FIN" },
						 { SW_TCP_RST, "RST" },
						 { SW_TCP_ACK, "ACK" } };
	static const struct flag others[] = { { SW_TCP_PSH, "PSH" },
					      { SW_TCP_URG, "URG" },
					      { SW_TCP_ECE, "ECE" },
					      { SW_TCP_CWR, "CWR" } };
	struct sw_text x = { .at = out, .len = SW_FLAGS_TEXT };

	add_flags(&x, flags, main_ones, sizeof(main_ones) / sizeof(main_ones[0]), "-");
	add_flags(&x, flags, others, sizeof(others) / sizeof(others[0]), "+");
	if (x.used == 0)
		sw_text_add(&x, "no flags");
	return out;
}

const char *sw_host_text(enum sw_family family, const struct sw_addr *addr, uint16_t port,
			 char out[SW_HOST_TEXT])
{
	char ip[INET6_ADDRSTRLEN] = "?";

	(void)inet_ntop(family == SW_IP4 ? AF_INET : AF_INET6, addr->b, ip, sizeof(ip));
	if (family == SW_IP4)
		snprintf(out, SW_HOST_TEXT, "%s:%u", ip, port);
	else
		snprintf(out, SW_HOST_TEXT, "[%s]:%u", ip, port);
	return out;
}

const char *sw_form_name(enum sw_form form)
{
	return form == SW_FORM_WIDE ? "wide" : "narrow";
}

const char *sw_verdict_name(enum sw_verdict v)
{
	static const char *const names[SW_NVERDICT] = {
		[SW_PASS] = "pass", [SW_REPLY] = "reply", [SW_ADMIT] = "admit", [SW_DROP] = "drop"
	};

	return v < SW_NVERDICT ? names[v] : "?";
}
