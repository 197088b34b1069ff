/* SPDX-License-Identifier: MIT */
#ifndef SW_STUDY_PROBE_RUN_H
#define SW_STUDY_PROBE_RUN_H

#include "study/probe_net.h"

#include <signal.h>

/** How a full connection went, when one was asked for. */
struct sw_probe_full {
	bool connected;
	bool spoke_first;  /* bytes came before we closed our half */
	unsigned bytes;	   /* received, all in all */
	bool server_first; /* the server closed its half before we closed ours */
	int error;	   /* errno of connect(), or of the end; 0 for an orderly close */
	bool no_fin;	   /* the server did not close its half in time */
	uint64_t close_ns; /* from our FIN to the server's */
};

/** One port and what was heard of it. */
struct sw_probe_port {
	uint16_t port;
	unsigned n;		   /* samples taken */
	struct sw_probe_sample *s; /* room for config.samples */
	struct sw_probe_full full;
};

struct sw_probe_config {
	unsigned samples;    /* SYNs to each open port, 1 to SW_PROBE_MAX_SAMPLES */
	unsigned retries;    /* more SYNs when nothing comes */
	bool ts;	     /* offer timestamps */
	uint64_t timeout_ns; /* how long to wait for an answer */
	uint64_t hold_ns;    /* how long to wait for a SYN-ACK to come again, with samples > 1 */
	uint64_t gap_ns;     /* between two SYNs to the same port */
};

/**
 * Send half-open SYNs to all ports side by side and collect the answers, at most one packet every
 * SW_PROBE_PACKET_NS.  Each SYN-ACK is answered with an RST in the end.  Samples after the first
 * are taken of open ports only.
 *
 * @param ports  In: port and s.  Out: n and the samples.
 * @param stop   When it becomes true, or when sending fails: resets for what is open at the same
 *               pace, for a second at most, then return.  Keep the signals that set it blocked:
 *               they are let in while this function waits.
 * @return 0, or a negative errno with @err written.
 */
SW_MUST int sw_probe_run(struct sw_probe_net *net, const struct sw_probe_config *cf,
			 struct sw_probe_port *ports, unsigned nports,
			 const volatile sig_atomic_t *stop, char err[SW_PROBE_ERR]);

/**
 * Open a whole connection to each port, one after the other, by connect(): see what the server
 * sends within 0.3 s, close our half, wait for the server's FIN.  The raw socket listens.
 * Parameters and results as for sw_probe_run(), one sample a port; @ports[].full is written too.
 */
SW_MUST int sw_probe_connect(struct sw_probe_net *net, const struct sw_probe_config *cf,
			     struct sw_probe_port *ports, unsigned nports,
			     const volatile sig_atomic_t *stop, char err[SW_PROBE_ERR]);

#endif
