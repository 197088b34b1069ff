/* SPDX-License-Identifier: MIT */
/*
 * What half-open SYNs tell about a port: the plan of SYNs to send, and what follows from the
 * answers.  Pure: no socket, no clock.  src/study/probe_run.h sends and listens.
 */
#ifndef SW_STUDY_PROBE_H
#define SW_STUDY_PROBE_H

#include "core/wire.h"

#define SW_PROBE_SLOTS	     3		 /* source ports in use, SW_PROBE_MAX_SAMPLES share them */
#define SW_PROBE_MAX_SAMPLES 64		 /* SYNs to one port */
#define SW_PROBE_MAX_PORTS   1024	 /* ports of the one host */
#define SW_PROBE_PACKET_NS   10000000ull /* at least this long between two packets: 100/s */
#define SW_PROBE_ISN_STEP    1000003u	 /* by how much one SYN of the plan changes our ISN */
#define SW_PROBE_SYN_MAX     40		 /* bytes of a SYN: header 20, options 20 */
#define SW_PROBE_WINDOW	     64240	 /* bytes, as Linux offers on Ethernet */
#define SW_PROBE_MAX_REASONS 8
#define SW_PROBE_REASON_LEN  200

/** What one SYN offers. */
struct sw_probe_syn {
	uint16_t sport, dport;
	uint32_t isn, tsval;
	uint16_t mss;	/* bytes */
	uint8_t wscale; /* shift count */
	bool sack, ts;
};

/** What came back first. */
enum sw_probe_heard {
	SW_PROBE_SILENCE,
	SW_PROBE_SYNACK,
	SW_PROBE_RST,
	SW_PROBE_ICMP,
	SW_PROBE_ODD, /* a TCP segment that answers no SYN, such as a plain ACK */
};

/** One SYN and what came of it.  Times are CLOCK_REALTIME in nanoseconds. */
struct sw_probe_sample {
	struct sw_probe_syn syn;
	uint64_t sent_ns, heard_ns;
	enum sw_probe_heard heard;
	struct sw_seg answer; /* SYNACK, RST and ODD */
	uint8_t icmp_type, icmp_code;
	struct sw_addr icmp_from; /* ICMP: who says so */
	unsigned tries;		  /* SYNs sent, 1 unless retries were asked for */
	uint64_t held_ns;	  /* SYNACK: how long our RST was withheld */
	unsigned again;		  /* SYNACK: how often it was sent again meanwhile */
	uint64_t again_ns;	  /* the first time, after heard_ns */
};

/** All samples of one run have the same base. */
struct sw_probe_base {
	enum sw_family family;
	uint16_t sport[SW_PROBE_SLOTS];
	uint32_t isn, tsval; /* random */
	bool ts;	     /* offer timestamps */
};

/**
 * The SYN number @i to port @dport.  Number 0 is the one whose SYN-ACK is left without an answer,
 * to see whether it is sent again.  The others repeat: equal SYNs on one 4-tuple, and SYNs on the
 * same 4-tuple that differ in one thing (our ISN; MSS and SACK; window scale), and another source
 * port.  Eight show all of it.
 */
void sw_probe_plan(const struct sw_probe_base *base, uint16_t dport, unsigned i,
		   struct sw_probe_syn *out);

/** A SYN as TCP bytes, checksum complete.  @return the length, at most SW_PROBE_SYN_MAX. */
size_t sw_probe_write_syn(uint8_t out[SW_PROBE_SYN_MAX], enum sw_family family,
			  const struct sw_addr *src, const struct sw_addr *dst,
			  const struct sw_probe_syn *syn);

/** The RST that takes @syn back once a SYN-ACK came, 20 bytes.  RFC 9293 3.5.2. */
size_t sw_probe_write_rst(uint8_t out[SW_PROBE_SYN_MAX], enum sw_family family,
			  const struct sw_addr *src, const struct sw_addr *dst,
			  const struct sw_probe_syn *syn);

/**
 * How @seg answers @syn.
 *
 * @param heard  Written when it does.
 * @return false when the segment is about something else.
 */
SW_MUST bool sw_probe_matches(const struct sw_probe_syn *syn, const struct sw_seg *seg,
			      enum sw_probe_heard *heard);

enum sw_probe_state { SW_PROBE_OPEN, SW_PROBE_CLOSED, SW_PROBE_FILTERED, SW_PROBE_UNCLEAR };

/** @return what the answer says about the port. */
enum sw_probe_state sw_probe_state(const struct sw_probe_sample *s);
const char *sw_probe_state_name(enum sw_probe_state state);

/** One sentence: why sw_probe_state() thinks so.  @return @out. */
const char *sw_probe_state_reason(const struct sw_probe_sample *s, enum sw_family family,
				  char out[SW_PROBE_REASON_LEN]);

/** Names for an ICMP or ICMPv6 message about unreachability; "type T code C" for others. */
const char *sw_probe_icmp_name(enum sw_family family, uint8_t type, uint8_t code, char out[48]);

/** How the timestamps of equal SYNs' answers move. */
enum sw_probe_ts {
	SW_PROBE_TS_NONE,
	SW_PROBE_TS_FEW,
	SW_PROBE_TS_STILL,
	SW_PROBE_TS_STEP64,
	SW_PROBE_TS_CLOCK,
	SW_PROBE_TS_WILD
};

/** What can be counted in the answers.  "Pair": two samples of the same 4-tuple, in order. */
struct sw_probe_facts {
	unsigned answers;	   /* SYN-ACKs */
	unsigned same, same_isn;   /* pairs of equal SYNs; those with equal ISNs */
	unsigned shift, shift_isn; /* pairs where only our ISN differs; the ISNs differ alike */
	unsigned mss, mss_isn; /* pairs where MSS and SACK differ; ISNs differ by a table step */
	unsigned held, again;  /* SYN-ACKs that were left alone; those that were sent again */
	uint64_t held_ns, again_ns; /* the longest wait; the first repetition */
	unsigned clocked;	    /* answers on one 4-tuple that were compared with a clock */
	bool clock_fits;
	double isn_hz;	 /* steps a second, when clock_fits */
	double worst_ns; /* by how much the worst answer misses that clock */
	enum sw_probe_ts ts;
	double ts_hz;	  /* SW_PROBE_TS_CLOCK */
	unsigned ts_low6; /* TSvals whose low 6 bits spell Linux's option code */
	unsigned layout,
		layout_ok;    /* SYN-ACKs; those whose data bits are synward's for the offer */
	unsigned layout_bits; /* data bits that agree, over the different offers */
	bool wide;	      /* the layout was the wide one: the SYN-ACKs have timestamps */
	unsigned no_window;   /* SYN-ACKs with a window of 0 */
};

/** Count.  @param s  The samples of one port in the order they were sent. */
void sw_probe_facts(enum sw_family family, const struct sw_probe_sample *s, unsigned n,
		    struct sw_probe_facts *out);

/** Who makes the ISNs. */
enum sw_probe_maker {
	SW_PROBE_UNDECIDED,
	SW_PROBE_RANDOM,	 /* new random numbers: state is kept */
	SW_PROBE_CLOCK,		 /* RFC 6528: a clock plus a hash of the 4-tuple */
	SW_PROBE_LINUX_COOKIE,	 /* SYN cookies of a Linux host */
	SW_PROBE_SYNPROXY,	 /* netfilter's SYNPROXY in front of a host */
	SW_PROBE_SYNWARD_WIDE,	 /* synward, cookie in ISN and TSval */
	SW_PROBE_SYNWARD_NARROW, /* synward, cookie in the ISN */
	SW_PROBE_OTHER_COOKIE,	 /* a function of the SYN, but whose? */
	SW_PROBE_NMAKER
};

struct sw_probe_opinion {
	enum sw_probe_maker maker;
	unsigned n;
	char reason[SW_PROBE_MAX_REASONS][SW_PROBE_REASON_LEN];
};

/** Judge.  Deterministic; every opinion but UNDECIDED has at least one reason. */
void sw_probe_judge(const struct sw_probe_facts *facts, struct sw_probe_opinion *out);

/** "synward-wide" and a sentence about it. */
const char *sw_probe_maker_name(enum sw_probe_maker maker);
const char *sw_probe_maker_text(enum sw_probe_maker maker);

#endif
