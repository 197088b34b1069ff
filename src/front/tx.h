/* SPDX-License-Identifier: MIT */
/* Sending SYN-ACKs on the guarded interface, in batches. */
#ifndef SW_FRONT_TX_H
#define SW_FRONT_TX_H

#include "core/reply.h"

struct sw_tx;

/**
 * @param ifindex       The guarded interface.
 * @param qdisc_bypass  PACKET_QDISC_BYPASS: faster, and hidden from captures on this host.
 * @return 0 or -errno.
 */
SW_MUST int sw_tx_open(struct sw_tx **out, unsigned ifindex, bool qdisc_bypass);
void sw_tx_close(struct sw_tx *tx); /**< NULL is allowed.  What was not flushed is lost. */

#define SW_TX_BATCH 64 /* frames between two flushes */

/** @return SW_REPLY_MAX bytes to build the next frame in.  At most SW_TX_BATCH between flushes. */
uint8_t *sw_tx_slot(struct sw_tx *tx);

/** Queue @len bytes of the slot. */
void sw_tx_push(struct sw_tx *tx, size_t len);

/** Send the batch.  @return the number of frames the kernel did not take. */
SW_MUST unsigned sw_tx_flush(struct sw_tx *tx);

#endif
