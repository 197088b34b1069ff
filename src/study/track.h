/* SPDX-License-Identifier: MIT */
/*
 * What happened to one TCP connection, segment by segment.  Pure: a parsed segment and its capture
 * time in, marks and findings out; nothing is allocated and no clock is read.  A capture is one
 * place on the way: what it holds may still be lost behind it, and what it lacks may have arrived.
 */
#ifndef SW_STUDY_TRACK_H
#define SW_STUDY_TRACK_H

#include "core/wire.h"

#define SW_TRACK_HOLES 16 /* missing ranges of sequence numbers remembered per end */
#define SW_TRACK_COPIES 8 /* segments remembered per end to know a copy by */

/** The end that sent the first SYN is the client. */
enum sw_end { SW_CLIENT, SW_SERVER };

/* What a segment is beyond its flags: SW_MARK(constant, name, words). */
#define SW_MARK_LIST(SW_MARK) \
	SW_MARK(SYN_AGAIN, "syn_retransmission", "SYN again") \
	SW_MARK(SYNACK_AGAIN, "synack_retransmission", "SYN-ACK again") \
	SW_MARK(SYNACK_CHANGED, "synack_changed", "SYN-ACK again, with another ISN") \
	SW_MARK(AGAIN, "retransmission", "retransmission") \
	SW_MARK(NEEDLESS, "needless", "was acknowledged already") \
	SW_MARK(REPAIR, "repair", "retransmission of what the capture lacks") \
	SW_MARK(LATE, "reordered", "overtaken on its way") \
	SW_MARK(COPY, "copy", "the same packet twice") \
	SW_MARK(GAP, "gap", "something before it is missing") \
	SW_MARK(ACK_UNSEEN, "ack_unseen", "acknowledges what the capture lacks") \
	SW_MARK(DUP_ACK, "duplicate_ack", "duplicate ACK") \
	SW_MARK(KEEPALIVE, "keepalive", "keepalive") \
	SW_MARK(KEEPALIVE_ACK, "keepalive_ack", "answer to the keepalive") \
	SW_MARK(ZERO_WINDOW, "zero_window", "zero window") \
	SW_MARK(WINDOW_PROBE, "window_probe", "window probe") \
	SW_MARK(OPENS, "opens", "completes the handshake") \
	SW_MARK(OPENS_BY_DATA, "opens_by_data", "proves the handshake by its data") \
	SW_MARK(SYN_DATA, "syn_data", "data in the SYN") \
	SW_MARK(FIN_ACKED, "fin_acked", "acknowledges the FIN") \
	SW_MARK(AFTER_PEER_FIN, "after_peer_fin", "data after the peer's FIN") \
	SW_MARK(BAD_ACK, "bad_ack", "does not acknowledge the SYN") \
	SW_MARK(LATE_RST, "late_rst", "reset after the end") \
	SW_MARK(IGNORED_RST, "ignored_rst", "reset outside of the window, to be ignored") \
	SW_MARK(OUTSIDE, "outside", "its numbers are outside of any window: forged?") \
	SW_MARK(BAD_CHECKSUM, "bad_checksum", "wrong TCP checksum")

enum {
#define SW_MARK_BIT(constant, name, words) SW_MARK_BIT_##constant,
	SW_MARK_LIST(SW_MARK_BIT)
#undef SW_MARK_BIT
	SW_NMARK
};
enum {
#define SW_MARK_ENUM(constant, name, words) SW_MARK_##constant = 1 << SW_MARK_BIT_##constant,
	SW_MARK_LIST(SW_MARK_ENUM)
#undef SW_MARK_ENUM
};

/* What is worth saying about a connection: SW_FIND(constant, name, sentence). */
#define SW_FIND_LIST(SW_FIND) \
	SW_FIND(SYN_AGAIN, "syn_retransmitted", "the client sent its SYN again") \
	SW_FIND(SYNACK_AGAIN, "synack_retransmitted", "the server sent its SYN-ACK again") \
	SW_FIND(SYNACK_CHANGED, "synack_changed", \
		"the server answered with several ISNs: it keeps no memory of the SYN, or a late " \
		"copy of the SYN began another handshake") \
	SW_FIND(ACK_LOST, "final_ack_lost", \
		"the SYN-ACK came again after the client's ACK: that ACK was lost behind the " \
		"capture, or the server ignored it") \
	SW_FIND(ACK_UNSEEN, "final_ack_unseen", \
		"no bare ACK ended the handshake: it was lost before the capture, or rode on data") \
	SW_FIND(OPTION_LOSS, "option_loss", "the server did not return every option of the SYN") \
	SW_FIND(SYN_DATA, "syn_data", "the SYN carried data") \
	SW_FIND(RETRANSMISSION, "retransmission", "data was sent again") \
	SW_FIND(NEEDLESS, "needless_retransmission", \
		"data was sent again after its acknowledgement had passed here") \
	SW_FIND(REORDERED, "reordering", "segments overtook each other") \
	SW_FIND(COPY, "copies", "packets are in the capture twice") \
	SW_FIND(GAP, "capture_gap", "the capture lacks segments that were acknowledged") \
	SW_FIND(RESET, "reset", "the connection was reset") \
	SW_FIND(RESET_TTL, "reset_ttl", \
		"the reset's TTL differs from its sender's: something in between may have sent it") \
	SW_FIND(HALF_CLOSE, "half_close", "one end went on sending after the other's FIN") \
	SW_FIND(SIMULTANEOUS_OPEN, "simultaneous_open", "both ends sent a SYN") \
	SW_FIND(KEEPALIVE, "keepalive", "keepalives were sent") \
	SW_FIND(ZERO_WINDOW, "zero_window", "a receiver closed its window") \
	SW_FIND(MIDSTREAM, "midstream", "the connection began before the capture") \
	SW_FIND(HPING, "looks_like_hping3", \
		"the SYN looks like hping3's: no options, window 512, an ACK number without the flag") \
	SW_FIND(SCANNER, "looks_like_scanner", \
		"the SYN looks like a scanner's: window 1024, no option but an MSS") \
	SW_FIND(BAD_CHECKSUM, "bad_checksum", "TCP checksums are wrong")

enum {
#define SW_FIND_BIT(constant, name, sentence) SW_FIND_BIT_##constant,
	SW_FIND_LIST(SW_FIND_BIT)
#undef SW_FIND_BIT
	SW_NFIND
};
enum {
#define SW_FIND_ENUM(constant, name, sentence) SW_FIND_##constant = 1 << SW_FIND_BIT_##constant,
	SW_FIND_LIST(SW_FIND_ENUM)
#undef SW_FIND_ENUM
};

/* How a connection ended: SW_OUTCOME(constant, name, sentence).  The first ones never opened. */
#define SW_OUTCOME_LIST(SW_OUTCOME) \
	SW_OUTCOME(UNANSWERED, "unanswered", "the SYN was never answered") \
	SW_OUTCOME(REFUSED, "refused", "the port is closed: the SYN was answered with a reset") \
	SW_OUTCOME(HALF_OPEN, "half_open", "the SYN-ACK was never answered") \
	SW_OUTCOME(HALF_OPEN_RESET, "half_open_reset", "the SYN-ACK was answered with a reset") \
	SW_OUTCOME(BACKSCATTER, "backscatter", "a SYN-ACK to nobody's SYN") \
	SW_OUTCOME(STRAY, "stray", "segments without a connection") \
	SW_OUTCOME(OPEN, "open", "still open when the capture ended") \
	SW_OUTCOME(HALF_CLOSED, "half_closed", "one end closed, the other did not") \
	SW_OUTCOME(CLOSED, "closed", "both ends closed") \
	SW_OUTCOME(RESET, "reset", "ended by a reset")

enum sw_outcome {
#define SW_OUTCOME_ENUM(constant, name, sentence) SW_OUTCOME_##constant,
	SW_OUTCOME_LIST(SW_OUTCOME_ENUM)
#undef SW_OUTCOME_ENUM
	SW_NOUTCOME
};

/** @return true for outcomes of connections that never opened. */
static inline bool sw_outcome_incomplete(enum sw_outcome o)
{
	return o <= SW_OUTCOME_STRAY;
}

/* Why a reset looks as it does: SW_RST(constant, name, sentence). */
#define SW_RST_LIST(SW_RST) \
	SW_RST(NONE, "none", "no reset") \
	SW_RST(REFUSED, "port_closed", "nothing listens on the port (RFC 9293 3.10.7.1)") \
	SW_RST(UNASKED, "half_open_scan", \
	       "the client's kernel knows of no SYN: a half-open scan by a raw socket, or the " \
	       "source address was spoofed") \
	SW_RST(GAVE_UP, "gave_up", "the client cancelled before the handshake was complete") \
	SW_RST(ACK_REFUSED, "ack_refused", \
	       "the server knows no such handshake: the cookie in the ACK was refused, or its " \
	       "half-open entry was gone") \
	SW_RST(NO_CONNECTION, "no_connection", \
	       "its sender knows no such connection: restarted, timed out, or closed long ago") \
	SW_RST(UNREAD, "unread_data", \
	       "right after data came in: closed with that data unread, or the program ended") \
	SW_RST(ABORT, "abort", "aborted by the program: SO_LINGER of 0, or it was killed") \
	SW_RST(AFTER_CLOSE, "data_after_close", "its sender had closed, and more data came in") \
	SW_RST(OUT_OF_WINDOW, "out_of_window", \
	       "outside of the receiver's window, so ignored (RFC 5961 3.2): forged, or too old")

enum sw_rst {
#define SW_RST_ENUM(constant, name, sentence) SW_RST_##constant,
	SW_RST_LIST(SW_RST_ENUM)
#undef SW_RST_ENUM
	SW_NRST
};

enum sw_close { SW_CLOSE_NONE, SW_CLOSE_FOUR_WAY, SW_CLOSE_THREE_WAY, SW_CLOSE_SIMULTANEOUS,
		SW_NCLOSE };

/** As Wireshark's tcp.completeness. */
enum {
	SW_COMPLETE_SYN = 1,
	SW_COMPLETE_SYNACK = 2,
	SW_COMPLETE_ACK = 4,
	SW_COMPLETE_DATA = 8,
	SW_COMPLETE_FIN = 16,
	SW_COMPLETE_RST = 32,
};

/** Options of the SYN that the SYN-ACK did not return. */
enum { SW_LOST_MSS = 1, SW_LOST_WSCALE = 2, SW_LOST_SACK = 4, SW_LOST_TS = 8 };

/** What tells when a segment was sent, against another one of the same end. */
struct sw_stamp {
	uint32_t tsval; /* valid when ts */
	uint16_t id;	/* IPv4 identification: most hosts count; 0 for none */
	bool ts;
};

/** Sequence numbers [from, to) that were passed over. */
struct sw_hole {
	sw_wall at; /* when the segment behind it came */
	uint32_t from, to;
	struct sw_stamp behind; /* of that segment */
};

/** What one packet is known by. */
struct sw_copy {
	sw_wall at;
	uint32_t seq, ack, tsval;
	uint16_t id, len, window;
	uint8_t flags;
};

/** What one end sent. */
struct sw_side {
	sw_wall last_at; /* its last segment */
	sw_wall data_at; /* its last segment with data */
	uint64_t bytes;	 /* payload, each byte once */
	uint32_t packets, retransmissions, reordered, copies, resets;
	uint32_t isn;	   /* valid when syn */
	uint32_t base;	   /* relative numbers count from here */
	uint32_t next;	   /* behind the highest sequence number that was seen */
	uint32_t acked;	   /* highest ACK number it sent, valid when has_ack */
	uint32_t timed_end; /* its ACK is waited for since timed_at, when timing */
	sw_wall timed_at;
	int64_t rtt;	   /* ns, shortest from here to the other end and back; 0 not known */
	sw_wall stamp_at;  /* when ->newest came */
	struct sw_stamp newest; /* of the segment that was sent last, as far as is known */
	uint32_t fin_seq;  /* of its FIN, valid when fin */
	uint32_t fin_ack;  /* the ACK number in that segment */
	struct sw_tcpopt opt; /* of its SYN or SYN-ACK, valid when syn */
	struct sw_hole hole[SW_TRACK_HOLES];
	struct sw_copy recent[SW_TRACK_COPIES];
	uint16_t window;     /* of its last segment, not scaled */
	uint16_t syn_window; /* of its SYN or SYN-ACK */
	uint8_t syn_count, synack_count; /* how often, at most 255 */
	uint8_t nhole, nrecent;
	uint8_t ttl; /* of its last segment that was no reset */
	bool seen, syn, has_ack, timing, fin, fin_acked, last_keepalive;
};

struct sw_track {
	struct sw_side side[2]; /* by enum sw_end */
	sw_wall start, syn_at, synack_at, open_at, end_at;
	uint64_t rst_number; /* packet number of the reset that ended it */
	uint32_t findings;   /* SW_FIND_* */
	enum sw_rst rst;
	enum sw_end rst_by, first_fin;
	uint8_t completeness; /* SW_COMPLETE_* */
	uint8_t lost_options; /* SW_LOST_* */
	bool started, opened, midstream, reused, three_way;
};

/** One segment of a connection. */
struct sw_track_in {
	const struct sw_seg *seg;
	enum sw_end from;
	sw_wall at;
	uint64_t number; /* of the packet in the capture */
	uint16_t ip_id;	 /* IPv4 identification, 0 for IPv6 */
	bool bad_checksum;
};

struct sw_track_out {
	uint32_t marks;	  /* SW_MARK_* */
	uint32_t seq, ack; /* relative to the first of each end; ack 0 without the flag */
	bool handshake;	   /* the core would have to judge it: no socket knows it yet */
};

/**
 * Follow one more segment.
 *
 * @param t  All zero before the first one.
 */
void sw_track_segment(struct sw_track *t, const struct sw_track_in *in, struct sw_track_out *out);

/** @return true when @seg is a SYN that cannot belong to @t: the ports are used again. */
bool sw_track_is_new(const struct sw_track *t, const struct sw_seg *seg, enum sw_end from);

/** @return how the connection ended, as far as was seen. */
enum sw_outcome sw_track_outcome(const struct sw_track *t);

/** @return how the two FINs met; SW_CLOSE_NONE unless both were seen. */
enum sw_close sw_track_close(const struct sw_track *t);

/** @return bit 0: the client holds TIME_WAIT; bit 1: the server does (RFC 9293 3.6.1). */
unsigned sw_track_time_wait(const struct sw_track *t);

/** @return nanoseconds from @a to @b. */
static inline int64_t sw_between(sw_wall a, sw_wall b)
{
	return (int64_t)(b.ns - a.ns);
}

#endif
