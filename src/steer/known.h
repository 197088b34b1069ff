/* SPDX-License-Identifier: MIT */
/*
 * The map of known flows (bpf/abi.h, "Known flows"), kept from filling up: in the half that does
 * not hold, the kernel's sockets are noted anew, a part at each tick, while the programs mark new
 * connections in both halves; then the halves change places.
 */
#ifndef SW_STEER_KNOWN_H
#define SW_STEER_KNOWN_H

#include "bpf/abi.h"
#include "core/types.h"

struct mnl_socket;

enum sw_known_phase {
	SW_KNOWN_HOLDS,	 /* nothing to do until too many bits are set */
	SW_KNOWN_MARKS,	 /* programs mark in both halves; those that began earlier end meanwhile */
	SW_KNOWN_DUMPS,	 /* reading the kernel's sockets */
	SW_KNOWN_SWAPPED /* the half that held is not read any more: wipe it */
};

struct sw_known {
	uint64_t *words;	/* the map, mapped; owned.  NULL: no such map */
	struct mnl_socket *dump; /* owned, while SW_KNOWN_DUMPS */
	enum sw_known_phase phase;
	uint8_t family;		/* of the dump */
	uint32_t half;		/* that holds, or SW_BPF_KNOWN_NONE */
	uint64_t again_ns;	/* no earlier than this */
	uint64_t phase_ns;	/* when the phase began */
	uint8_t port[65536 / 8]; /* guarded ports, a bit each, network order */
};

/** Map the BPF map @map_fd.  @return 0 or -errno. */
SW_MUST int sw_known_open(struct sw_known *k, int map_fd);
void sw_known_close(struct sw_known *k);

/** Sockets on @port are noted too: nothing holds until a dump was made, which the next tick begins.
 *  Give known = SW_BPF_KNOWN_NONE and known_both = 1 to the programs before they see the port. */
void sw_known_add_port(struct sw_known *k, __be16 port, sw_mono now);

/**
 * Go on by a step.  Call every second; more often does no harm: what programs had in hand when a phase
 * began has ended before the next.
 *
 * @param host  known and known_both are written: the caller gives them to the programs.
 */
void sw_known_tick(struct sw_known *k, struct sw_bpf_host *host, sw_mono now);

/** @return how many bits of a half are set. */
uint32_t sw_known_fill(const struct sw_known *k, uint32_t half);

#endif
