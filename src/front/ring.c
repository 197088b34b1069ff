/* SPDX-License-Identifier: MIT */
#include "front/ring.h"

#include <errno.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/if_packet.h>
#include <linux/virtio_net.h>

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

#define BLOCK (128u * SW_RING_FRAME)
#define BIG_FRAME (256u * 1024u) /* the largest frame that GRO makes, and some */
#define VNET_LEN sizeof(struct virtio_net_hdr)

_Static_assert(VNET_LEN == 10, "the header that PACKET_VNET_HDR puts before a frame");

struct sw_ring {
	int fd;
	uint8_t *map; /* mmap()ed */
	size_t len;
	unsigned frames, head;
	bool held;    /* the slot before head is with the caller */
	uint8_t *big; /* owned, BIG_FRAME bytes: frames larger than a slot */
};

static int configure(int fd, unsigned frames)
{
	struct tpacket_req req = { .tp_block_size = BLOCK,
				   .tp_block_nr = frames / (BLOCK / SW_RING_FRAME),
				   .tp_frame_size = SW_RING_FRAME,
				   .tp_frame_nr = frames };
	const int version = TPACKET_V2, on = 1, thresh = SW_RING_FRAME, room = 8 << 20;

	if (setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_COPY_THRESH, &thresh, sizeof(thresh)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)))
		return -errno;
	/* Room for frames that do not fit a slot, and for giving frames back: as much as we get. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)))
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)))
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	return 0;
}

static int bind_to(int fd, unsigned ifindex, int fanout)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL),
				  .sll_ifindex = (int)ifindex };

	if (bind(fd, (struct sockaddr *)&ll, sizeof(ll)))
		return -errno;
	if (fanout >= 0) {
		const int arg = (fanout & 0xffff) | PACKET_FANOUT_HASH << 16;

		if (setsockopt(fd, SOL_PACKET, PACKET_FANOUT, &arg, sizeof(arg)))
			return -errno;
	}
	return 0;
}

int sw_ring_open(struct sw_ring **out, int fd, unsigned ifindex, unsigned frames, int fanout)
{
	struct sw_ring *r = calloc(1, sizeof(*r));
	int rc;

	if (!r)
		return -ENOMEM;
	frames = (frames + 127) / 128 * 128;
	r->fd = fd;
	r->frames = frames;
	r->len = (size_t)frames * SW_RING_FRAME;
	r->big = malloc(BIG_FRAME);
	if (!r->big) {
		rc = -ENOMEM;
		goto free_ring;
	}
	rc = configure(fd, frames);
	if (rc)
		goto free_big;
	r->map = mmap(NULL, r->len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (r->map == MAP_FAILED) {
		rc = -errno;
		goto free_big;
	}
	rc = bind_to(fd, ifindex, fanout);
	if (rc)
		goto unmap;
	*out = r;
	return 0;

unmap:
	munmap(r->map, r->len);
free_big:
	free(r->big);
free_ring:
	free(r);
	return rc;
}

void sw_ring_close(struct sw_ring *r)
{
	if (!r)
		return;
	munmap(r->map, r->len);
	free(r->big);
	close(r->fd);
	free(r);
}

int sw_ring_fd(const struct sw_ring *r)
{
	return r->fd;
}

static struct tpacket2_hdr *slot(const struct sw_ring *r, unsigned i)
{
	return (struct tpacket2_hdr *)(void *)(r->map + (size_t)i * SW_RING_FRAME);
}

/* The whole of a frame that did not fit its slot waits in the socket's queue, in order. */
static void take_big(struct sw_ring *r, struct sw_rx *rx)
{
	struct virtio_net_hdr vnet;
	struct iovec iov[2] = { { &vnet, sizeof(vnet) }, { r->big, BIG_FRAME } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	const ssize_t n = recvmsg(r->fd, &msg, MSG_DONTWAIT);

	if (n < (ssize_t)VNET_LEN)
		return;
	memcpy(rx->vnet, &vnet, VNET_LEN);
	rx->frame.data = r->big;
	rx->frame.len = (size_t)n - VNET_LEN;
	rx->cut = (msg.msg_flags & MSG_TRUNC) != 0;
}

bool sw_ring_next(struct sw_ring *r, struct sw_rx *rx)
{
	struct tpacket2_hdr *h;
	uint32_t status;

	if (r->held) {
		const unsigned last = (r->head ? r->head : r->frames) - 1;

		__atomic_store_n(&slot(r, last)->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
		r->held = false;
	}
	h = slot(r, r->head);
	status = __atomic_load_n(&h->tp_status, __ATOMIC_ACQUIRE);
	if (!(status & TP_STATUS_USER))
		return false;
	r->head = r->head + 1 == r->frames ? 0 : r->head + 1;
	r->held = true;

	memset(rx, 0, sizeof(*rx));
	rx->frame.data = (const uint8_t *)h + h->tp_mac;
	rx->frame.len = h->tp_snaplen;
	rx->frame.wire_len = h->tp_len;
	rx->cut = h->tp_snaplen < h->tp_len;
	memcpy(rx->vnet, rx->frame.data - VNET_LEN, VNET_LEN);
	if (status & TP_STATUS_COPY)
		take_big(r, rx);
	rx->frame.csum_partial = (status & TP_STATUS_CSUMNOTREADY) != 0;
	rx->frame.csum_checked = (status & TP_STATUS_CSUM_VALID) != 0;
	if (status & TP_STATUS_VLAN_VALID) {
		rx->frame.vlan.tci = h->tp_vlan_tci;
		rx->frame.vlan.tpid = status & TP_STATUS_VLAN_TPID_VALID ? h->tp_vlan_tpid :
									   ETHERTYPE_VLAN;
	}
	return true;
}

int sw_ring_give_back(struct sw_ring *r, const struct sw_rx *rx)
{
	struct virtio_net_hdr vnet;
	uint8_t tag[4];
	struct iovec iov[4];
	struct msghdr msg = { .msg_iov = iov };

	if (rx->cut || rx->frame.len < 14)
		return -EMSGSIZE;
	memcpy(&vnet, rx->vnet, VNET_LEN);
	iov[msg.msg_iovlen++] = (struct iovec){ &vnet, VNET_LEN };
	if (rx->frame.vlan.tpid) {
		/* The kernel took the outermost tag out of the data: put it back. */
		tag[0] = (uint8_t)(rx->frame.vlan.tpid >> 8);
		tag[1] = (uint8_t)rx->frame.vlan.tpid;
		tag[2] = (uint8_t)(rx->frame.vlan.tci >> 8);
		tag[3] = (uint8_t)rx->frame.vlan.tci;
		iov[msg.msg_iovlen++] = (struct iovec){ (void *)(uintptr_t)rx->frame.data, 12 };
		iov[msg.msg_iovlen++] = (struct iovec){ tag, sizeof(tag) };
		iov[msg.msg_iovlen++] = (struct iovec){
			(void *)(uintptr_t)(rx->frame.data + 12), rx->frame.len - 12
		};
		if (vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
			vnet.csum_start = (uint16_t)(vnet.csum_start + sizeof(tag));
		if (vnet.hdr_len)
			vnet.hdr_len = (uint16_t)(vnet.hdr_len + sizeof(tag));
	} else {
		iov[msg.msg_iovlen++] = (struct iovec){ (void *)(uintptr_t)rx->frame.data,
							rx->frame.len };
	}
	return sendmsg(r->fd, &msg, MSG_DONTWAIT) < 0 ? -errno : 0;
}

uint64_t sw_ring_lost(struct sw_ring *r)
{
	struct tpacket_stats st = { 0 };
	socklen_t len = sizeof(st);

	return getsockopt(r->fd, SOL_PACKET, PACKET_STATISTICS, &st, &len) ? 0 : st.tp_drops;
}
