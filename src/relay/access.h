/* SPDX-License-Identifier: MIT */
/* The access log's record: one for each connection, when it ends. */
#ifndef SW_RELAY_ACCESS_H
#define SW_RELAY_ACCESS_H

#include "core/types.h"
#include "relay/cause.h"

#include <netinet/in.h>

/** An IPv4 or IPv6 address with its port, as the kernel tells it. */
union sw_sockaddr {
	struct sockaddr sa;
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;
};

#define SW_NEVER UINT64_MAX

/** What was known about a connection at its end.  Pointers are valid during the callback. */
struct sw_access {
	uint64_t id; /* unique in this process; also in the PROXY header if asked for */
	union sw_sockaddr client, local; /* local: what the client connected to */
	const char *listener;		 /* the tag's name; "" without a tag */
	const char *pool;		 /* its name; "" for none */
	const char *server;		 /* "10.0.0.11:8443", the last one tried; "" for none */
	sw_wall started;		 /* when the relay took it */
	uint64_t connect_us;		 /* from then until a server was reached, or SW_NEVER */
	uint64_t total_us;		 /* from then until its end */
	uint64_t to_server, to_client;	 /* payload bytes handed to the kernel */
	unsigned attempts;		 /* servers tried */
	enum sw_relay_cause cause;
};

enum sw_access_form { SW_ACCESS_TEXT, SW_ACCESS_LOGFMT, SW_ACCESS_JSON };

#define SW_ACCESS_MAX 768 /* bytes of a line at its longest, its newline and 0 included */

/**
 * Write the line of a record, with a newline at its end.
 *
 * text    synward: access client=198.51.100.7:40000 listener=web local=192.0.2.1:443
 *         server=app/10.0.0.11:8443 start=2026-01-02T03:04:05.678Z connect_ms=0.312
 *         total_ms=12.700 to_server=84 to_client=1500 cause=client_fin attempts=1 id=0f3a...
 *         (one line)
 * logfmt  the same, behind ts=... level=info msg=access
 * json    the same names as an object; numbers are numbers, an unknown one is null
 *
 * What is unknown is "-" in text and logfmt.
 *
 * @return bytes written without the 0.
 */
SW_MUST size_t sw_access_format(char out[SW_ACCESS_MAX], enum sw_access_form form,
				const struct sw_access *a);

/** Write "192.0.2.1:80", "[2001:db8::1]:80", or "-" when it is neither.  @return bytes. */
size_t sw_sockaddr_text(char *out, size_t size, const union sw_sockaddr *a);

#endif
