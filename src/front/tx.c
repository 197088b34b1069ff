/* SPDX-License-Identifier: MIT */
#include "front/tx.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_packet.h>

struct sw_tx {
	int fd;
	unsigned n;
	struct mmsghdr msg[SW_TX_BATCH];
	struct iovec iov[SW_TX_BATCH];
	uint8_t buf[SW_TX_BATCH][SW_REPLY_MAX];
};

int sw_tx_open(struct sw_tx **out, unsigned ifindex, bool qdisc_bypass)
{
	/* Protocol 0: this socket never receives. */
	struct sockaddr_ll ll = { .sll_family = AF_PACKET, .sll_ifindex = (int)ifindex };
	const int on = 1, room = 4 << 20;
	struct sw_tx *tx = calloc(1, sizeof(*tx));
	int rc;

	if (!tx)
		return -ENOMEM;
	tx->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (tx->fd < 0) {
		rc = -errno;
		goto free_tx;
	}
	if (bind(tx->fd, (struct sockaddr *)&ll, sizeof(ll)) ||
	    (qdisc_bypass &&
	     setsockopt(tx->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)))) {
		rc = -errno;
		goto close_fd;
	}
	if (setsockopt(tx->fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)))
		(void)setsockopt(tx->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	for (size_t i = 0; i < SW_TX_BATCH; i++) {
		tx->iov[i].iov_base = tx->buf[i];
		tx->msg[i].msg_hdr.msg_iov = &tx->iov[i];
		tx->msg[i].msg_hdr.msg_iovlen = 1;
	}
	*out = tx;
	return 0;

close_fd:
	close(tx->fd);
free_tx:
	free(tx);
	return rc;
}

void sw_tx_close(struct sw_tx *tx)
{
	if (!tx)
		return;
	close(tx->fd);
	free(tx);
}

uint8_t *sw_tx_slot(struct sw_tx *tx)
{
	return tx->buf[tx->n];
}

void sw_tx_push(struct sw_tx *tx, size_t len)
{
	tx->iov[tx->n++].iov_len = len;
}

unsigned sw_tx_flush(struct sw_tx *tx)
{
	unsigned done = 0, lost = 0;

	while (done < tx->n) {
		const int k = sendmmsg(tx->fd, tx->msg + done, tx->n - done, MSG_DONTWAIT);

		if (k > 0) {
			done += (unsigned)k;
		} else if (errno != EINTR) {
			/* The frame at fault is given up, the rest is tried. */
			lost++;
			done++;
		}
	}
	tx->n = 0;
	return lost;
}
