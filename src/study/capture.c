/* SPDX-License-Identifier: MIT */
#include "study/capture.h"

#include "core/cursor.h"
#include "study/link.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define LIVE_BUFFER  (16 << 20) /* bytes that wait in the kernel while we are busy */
#define FILTER_MAX   4096
#define SECOND_NS    1000000000ull
#define SECONDS_MAX  (UINT64_MAX / SECOND_NS - 1)
/* IPv6 whose first extension header is not TCP: the core follows the headers, BPF cannot. */
#define TCP_OR_MAYBE "(tcp or (ip6 and (ip6[6] = 0 or ip6[6] = 43 or ip6[6] = 44 or ip6[6] = 60)))"

struct sw_capture {
	pcap_t *pcap;	 /* owned, and with it the stream of a file */
	char *name;	 /* owned */
	FILE *file;	 /* of ->pcap; NULL when live */
	int linktype;
	uint64_t seen, number;	   /* packets given, packets read */
	uint64_t size, record;	   /* of the file; where the packet being read begins */
	struct bpf_program filter; /* files: applied here, so that packets keep their numbers */
	bool filtered;
	uint8_t *ether;	 /* owned; the packet as Ethernet, for the other link types */
	size_t room;	 /* bytes at ->ether */
	volatile bool stop;
};

static int fail(char err[SW_CAPTURE_ERR], int rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int fail(char err[SW_CAPTURE_ERR], int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, SW_CAPTURE_ERR, fmt, ap);
	va_end(ap);
	return rc;
}

/* What a file that libpcap does not know is instead.  The stream is read from its begin. */
static const char *guess(FILE *fp)
{
	static const struct {
		uint8_t magic[6], n;
		const char *what;
	} kinds[] = {
		{ { 0x1f, 0x8b }, 2, "it is packed by gzip; unpack it: gunzip -c FILE | ... -" },
		{ { 0x28, 0xb5, 0x2f, 0xfd }, 4, "it is packed by zstd; unpack it: zstd -dc" },
		{ { 0xfd, '7', 'z', 'X', 'Z' }, 5, "it is packed by xz; unpack it: xz -dc" },
		{ { 'B', 'Z', 'h' }, 3, "it is packed by bzip2; unpack it: bzip2 -dc" },
		{ { 's', 'n', 'o', 'o', 'p' }, 5, "it is a snoop capture; editcap -F pcapng" },
	};
	uint8_t head[6] = { 0 };
	size_t n;

	if (fseeko(fp, 0, SEEK_SET) != 0)
		return "expected pcap or pcapng";
	n = fread(head, 1, sizeof(head), fp);
	if (n == 0)
		return ferror(fp) ? strerror(errno) : "it is empty";
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (memcmp(head, kinds[i].magic, kinds[i].n) == 0)
			return kinds[i].what;
	}
	return "expected pcap or pcapng";
}

/* The size of a regular file, found by its stream. */
static uint64_t size_of(FILE *fp)
{
	const off_t at = ftello(fp);
	off_t end;

	if (at < 0 || fseeko(fp, 0, SEEK_END) != 0)
		return 0;
	end = ftello(fp);
	return fseeko(fp, at, SEEK_SET) == 0 && end > 0 ? (uint64_t)end : 0;
}

static int set_filter(struct sw_capture *c, const char *filter, char err[SW_CAPTURE_ERR])
{
	struct bpf_program prog;
	int rc;

	if (!filter || !*filter)
		return 0;
	if (pcap_compile(c->pcap, &prog, filter, 1, PCAP_NETMASK_UNKNOWN) != 0)
		return fail(err, -EINVAL, "filter \"%s\": %s", filter, pcap_geterr(c->pcap));
	if (c->file) {
		c->filter = prog;
		c->filtered = true;
		return 0;
	}
	rc = pcap_setfilter(c->pcap, &prog);
	pcap_freecode(&prog);
	return rc ? fail(err, -EIO, "filter \"%s\": %s", filter, pcap_geterr(c->pcap)) : 0;
}

/* The DLT_ numbers of raw IP and of some others differ from the LINKTYPE_ numbers in files. */
static int linktype_of(pcap_t *p)
{
	const int dlt = pcap_datalink(p);

	return dlt == DLT_RAW ? SW_LINK_RAW : dlt;
}

static int check_linktype(struct sw_capture *c, char err[SW_CAPTURE_ERR])
{
	const char *name = pcap_datalink_val_to_name(pcap_datalink(c->pcap));

	c->linktype = linktype_of(c->pcap);
	if (sw_link_known(c->linktype))
		return 0;
	return fail(err, -EINVAL, "%s: link type %s (%d) carries no IP that is read here; expected "
		    "Ethernet, Linux cooked, raw IP or loopback", c->name, name ? name : "?",
		    c->linktype);
}

int sw_capture_stream(struct sw_capture **out, FILE *fp, const char *name, const char *filter,
		      char err[SW_CAPTURE_ERR])
{
	struct sw_capture *c = calloc(1, sizeof(*c));
	char why[PCAP_ERRBUF_SIZE] = "";
	int rc = -ENOMEM;

	if (!c || !(c->name = strdup(name))) {
		(void)fail(err, rc, "%s: no memory", name);
		goto close_file;
	}
	c->file = fp;
	c->size = size_of(fp);
	c->pcap = pcap_fopen_offline_with_tstamp_precision(fp, PCAP_TSTAMP_PRECISION_NANO, why);
	if (!c->pcap) {
		rc = fail(err, -EINVAL, "%s: no capture file: %s (%s)", name, why, guess(fp));
		goto close_file;
	}
	rc = check_linktype(c, err);
	if (rc == 0)
		rc = set_filter(c, filter, err);
	if (rc == 0)
		*out = c;
	else
		sw_capture_close(c);
	return rc;

close_file:
	if (fp != stdin)
		fclose(fp);
	if (c)
		free(c->name);
	free(c);
	return rc;
}

int sw_capture_file(struct sw_capture **out, const char *path, const char *filter,
		    char err[SW_CAPTURE_ERR])
{
	const bool is_stdin = strcmp(path, "-") == 0;
	FILE *fp = is_stdin ? stdin : fopen(path, "rbe");

	if (!fp) {
		const int rc = -errno;

		return fail(err, rc, "%s: %s", path, strerror(errno));
	}
	return sw_capture_stream(out, fp, is_stdin ? "standard input" : path, filter, err);
}

/* What pcap_activate() found, as an errno. */
static int activate_errno(int status)
{
	switch (status) {
	case PCAP_ERROR_PERM_DENIED:
	case PCAP_ERROR_PROMISC_PERM_DENIED:
		return -EPERM;
	case PCAP_ERROR_NO_SUCH_DEVICE:
		return -ENODEV;
	case PCAP_ERROR_IFACE_NOT_UP:
		return -ENETDOWN;
	default:
		return -EIO;
	}
}

static int activate(struct sw_capture *c, const struct sw_live *how, char err[SW_CAPTURE_ERR])
{
	const char *more;
	int status, rc;

	pcap_set_snaplen(c->pcap, how->snaplen);
	pcap_set_timeout(c->pcap, how->timeout_ms);
	pcap_set_promisc(c->pcap, how->promiscuous);
	pcap_set_buffer_size(c->pcap, LIVE_BUFFER);
	(void)pcap_set_tstamp_precision(c->pcap, PCAP_TSTAMP_PRECISION_NANO);
	status = pcap_activate(c->pcap);
	if (status >= 0)
		return 0;
	rc = activate_errno(status);
	more = pcap_geterr(c->pcap);
	if (rc == -EPERM)
		return fail(err, rc, "%s: listening needs CAP_NET_RAW: run it as root", how->iface);
	if (rc == -ENODEV)
		return fail(err, rc, "%s: no such interface; see: ip link", how->iface);
	return fail(err, rc, "%s: %s%s%s", how->iface, pcap_statustostr(status),
		    *more ? ": " : "", more);
}

/* The user's filter, and TCP only, also behind an 802.1Q tag. */
static int live_filter(struct sw_capture *c, const struct sw_live *how, char err[SW_CAPTURE_ERR])
{
	const char *user = how->filter && *how->filter ? how->filter : NULL;
	char text[FILTER_MAX], one[FILTER_MAX];
	int rc = set_filter(c, user, err); /* alone, so that an error is about the user's words */
	int n;

	if (rc != 0 || !how->tcp_only)
		return rc;
	n = snprintf(one, sizeof(one), user ? "(%s and (%s))" : "%s", TCP_OR_MAYBE, user);
	if (n > 0 && (size_t)n < sizeof(one))
		n = snprintf(text, sizeof(text), c->linktype == SW_LINK_ETHERNET ?
			     "%s or (vlan and %s)" : "%s", one, one);
	if (n < 0 || (size_t)n >= sizeof(text))
		return fail(err, -EINVAL, "the filter is too long: at most %d bytes",
			    FILTER_MAX / 2 - 200);
	return set_filter(c, text, err);
}

int sw_capture_live(struct sw_capture **out, const struct sw_live *how, char err[SW_CAPTURE_ERR])
{
	struct sw_capture *c = calloc(1, sizeof(*c));
	char why[PCAP_ERRBUF_SIZE] = "";
	int rc;

	if (!c || !(c->name = strdup(how->iface))) {
		free(c);
		return fail(err, -ENOMEM, "%s: no memory", how->iface);
	}
	c->pcap = pcap_create(how->iface, why);
	if (!c->pcap) {
		sw_capture_close(c);
		return fail(err, -EIO, "%s: %s", how->iface, why);
	}
	rc = activate(c, how, err);
	if (rc == 0 && pcap_setnonblock(c->pcap, 1, why) != 0)
		rc = fail(err, -EIO, "%s: %s", how->iface, why);
	if (rc == 0)
		rc = check_linktype(c, err);
	if (rc == 0)
		rc = live_filter(c, how, err);
	if (rc == 0)
		*out = c;
	else
		sw_capture_close(c);
	return rc;
}

bool sw_capture_default(char *out, size_t len)
{
	char why[PCAP_ERRBUF_SIZE];
	pcap_if_t *all = NULL;
	bool found;

	if (pcap_findalldevs(&all, why) != 0)
		return false;
	/* Sorted: those that are up and running first, "any" and loopbacks behind. */
	found = all && (all->flags & PCAP_IF_UP) && !(all->flags & PCAP_IF_LOOPBACK);
	if (found)
		snprintf(out, len, "%s", all->name);
	pcap_freealldevs(all);
	return found;
}

void sw_capture_close(struct sw_capture *c)
{
	if (!c)
		return;
	if (c->filtered)
		pcap_freecode(&c->filter);
	if (c->pcap)
		pcap_close(c->pcap);
	free(c->name);
	free(c->ether);
	free(c);
}

static sw_wall time_of(const struct pcap_pkthdr *h)
{
	const int64_t s = h->ts.tv_sec, ns = h->ts.tv_usec; /* nanoseconds: asked for */

	if (s < 0 || (uint64_t)s > SECONDS_MAX)
		return (sw_wall){ s < 0 ? 0 : SECONDS_MAX * SECOND_NS };
	return (sw_wall){ (uint64_t)s * SECOND_NS +
			  (ns < 0 || (uint64_t)ns >= SECOND_NS ? 0 : (uint64_t)ns) };
}

/* Put an Ethernet header in the place of another one.  @return false without memory. */
static bool to_ethernet(struct sw_capture *c, struct sw_packet *p)
{
	uint16_t type;
	size_t skip, len;

	sw_link_strip(c->linktype, p->data, p->caplen, &type, &skip);
	len = SW_LINK_ETH_LEN + p->caplen - skip;
	if (len > c->room) {
		uint8_t *more = realloc(c->ether, len);

		if (!more)
			return false;
		c->ether = more;
		c->room = len;
	}
	memset(c->ether, 0, SW_LINK_ETH_LEN);
	sw_put_u16(c->ether + 12, type);
	if (p->caplen > skip)
		memcpy(c->ether + SW_LINK_ETH_LEN, p->data + skip, p->caplen - skip);
	p->frame = (struct sw_frame){ .data = c->ether, .len = len };
	p->frame.wire_len = len + (p->origlen > p->caplen ? p->origlen - p->caplen : 0);
	return true;
}

/* The line for a read that failed. */
static int broken(struct sw_capture *c, char err[SW_CAPTURE_ERR])
{
	const unsigned long long n = c->number + 1;

	if (!c->file)
		return fail(err, -ENETDOWN, "%s: %s", c->name, pcap_geterr(c->pcap));
	if (c->record)
		return fail(err, -EBADMSG, "%s: packet %llu, byte %llu: %s", c->name, n,
			    (unsigned long long)c->record, pcap_geterr(c->pcap));
	return fail(err, -EBADMSG, "%s: packet %llu: %s", c->name, n, pcap_geterr(c->pcap));
}

/* As pcap_next_ex(), with the filter of a file. */
static int read_one(struct sw_capture *c, struct pcap_pkthdr **head, const u_char **data)
{
	int rc;

	do {
		const off_t at = c->file ? ftello(c->file) : -1;

		if (c->stop)
			return PCAP_ERROR_BREAK;
		c->record = at > 0 ? (uint64_t)at : 0;
		rc = pcap_next_ex(c->pcap, head, data);
		if (rc == 1)
			c->number++;
	} while (rc == 1 && c->filtered && !pcap_offline_filter(&c->filter, *head, *data));
	return rc;
}

int sw_capture_next(struct sw_capture *c, struct sw_packet *out, char err[SW_CAPTURE_ERR])
{
	struct pcap_pkthdr *head;
	const u_char *data;
	const int rc = read_one(c, &head, &data);
	struct sw_packet p;

	if (rc == 0)
		return 0;
	if (rc == PCAP_ERROR_BREAK)
		return c->stop ? -EINTR : 0;
	if (rc < 0)
		return broken(c, err);
	c->seen++;
	p = (struct sw_packet){ .number = c->number, .at = time_of(head), .data = data,
				.caplen = head->caplen, .origlen = head->len };
	p.frame = (struct sw_frame){ .data = data, .len = p.caplen, .wire_len = p.origlen };
	if (p.origlen < p.caplen)
		p.frame.wire_len = p.caplen;
	if (c->linktype != SW_LINK_ETHERNET && !to_ethernet(c, &p))
		return fail(err, -ENOMEM, "%s: no memory", c->name);
	*out = p;
	return 1;
}

void sw_capture_wait(struct sw_capture *c, int timeout_ms)
{
	struct pollfd p = { .fd = c->file ? -1 : pcap_get_selectable_fd(c->pcap), .events = POLLIN };

	if (p.fd >= 0 && !c->stop)
		(void)poll(&p, 1, timeout_ms);
}

bool sw_capture_is_live(const struct sw_capture *c)
{
	return !c->file;
}

void sw_capture_break(struct sw_capture *c)
{
	c->stop = true;
	pcap_breakloop(c->pcap);
}

uint16_t sw_capture_linktype(const struct sw_capture *c)
{
	return (uint16_t)c->linktype;
}

uint32_t sw_capture_snaplen(const struct sw_capture *c)
{
	return (uint32_t)pcap_snapshot(c->pcap);
}

uint64_t sw_capture_offset(const struct sw_capture *c)
{
	return c->record;
}

uint64_t sw_capture_size(const struct sw_capture *c)
{
	return c->size;
}

void sw_capture_stats(struct sw_capture *c, struct sw_capture_stats *out)
{
	struct pcap_stat st;

	*out = (struct sw_capture_stats){ .seen = c->seen };
	if (!c->file && pcap_stats(c->pcap, &st) == 0) {
		out->dropped = st.ps_drop;
		out->dropped_if = st.ps_ifdrop;
	}
}
