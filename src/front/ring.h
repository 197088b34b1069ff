/* SPDX-License-Identifier: MIT */
/*
 * The receive ring on the far end of the pair: AF_PACKET, TPACKET_V2 (it wakes the reader for
 * each frame, TPACKET_V3 only when a block is full or its timer runs out), with
 * PACKET_VNET_HDR so that a frame can be given back with its checksum and segmentation state.
 */
#ifndef SW_FRONT_RING_H
#define SW_FRONT_RING_H

#include "core/wire.h"

/* Bytes a slot, headers of the ring included; a power of two.  A handshake fits.  Larger ones make
 * the ring outgrow the CPU's cache, which it runs through again and again in a flood. */
#define SW_RING_FRAME 512u

struct sw_ring;

/** A received frame.  Borrowed from the ring until the next call to sw_ring_next(). */
struct sw_rx {
	struct sw_frame frame;
	uint8_t vnet[10]; /* struct virtio_net_hdr as received */
	bool cut;         /* the frame is not complete: it cannot be given back */
};

/**
 * Set up a ring on a packet socket and bind it.
 *
 * @param fd       Stays the caller's on failure, is owned by the ring on success.
 * @param ifindex  Interface in the socket's namespace.
 * @param frames   Slots, rounded up to a multiple of 128.
 * @param fanout   Group to share with other rings, or -1.
 * @return 0 or -errno.
 */
SW_MUST int sw_ring_open(struct sw_ring **out, int fd, unsigned ifindex, unsigned frames,
			 int fanout);

/** NULL is allowed. */
void sw_ring_close(struct sw_ring *r);

/** @return the descriptor to poll for reading. */
int sw_ring_fd(const struct sw_ring *r);

/**
 * Release the frame of the last call and take the next one.
 *
 * @return true and *@rx, or false when the ring is empty.
 */
SW_MUST bool sw_ring_next(struct sw_ring *r, struct sw_rx *rx);

/** Give a frame back to the kernel, as it came.  @return 0 or -errno. */
SW_MUST int sw_ring_give_back(struct sw_ring *r, const struct sw_rx *rx);

/** @return frames lost for want of room since the last call. */
SW_MUST uint64_t sw_ring_lost(struct sw_ring *r);

#endif
