# SPDX-License-Identifier: MIT
"""
A bad network between the lab's client and its victim: a forwarder in the router's namespace that
loses, delays and doubles frames.  What it does to a frame follows from the seed, the connection and
how many frames that connection has sent, not from the time, and it keeps a record of it.

   client eth0 --- c0 [ Impairer ] v0 --- eth0 victim
"""
import heapq
import random
import select
import socket
import struct
import threading
import time
import zlib

ETH_P_ALL, SOL_PACKET, PACKET_IGNORE_OUTGOING = 3, 263, 23
SO_RCVBUFFORCE = 33


def identity(frame):
    """What tells a TCP frame apart on both sides of the forwarder, or None: connection key (with
    the direction), and the bytes that no forwarder changes."""
    kind = struct.unpack_from("!H", frame, 12)[0]
    if kind == 0x0800 and frame[23] == 6:
        l4 = 14 + (frame[14] & 15) * 4
        return frame[26:34] + frame[l4:l4 + 4], frame[18:20] + frame[l4 + 4:]
    if kind == 0x86DD and frame[20] == 6:
        return frame[22:54] + frame[54:58], frame[58:]
    return None


class Impairer:
    def __init__(self, lab, seed, loss=0.04, double=0.01, delay=0.06, delays=(0.002, 0.03)):
        self.lab, self.seed = lab, seed
        self.loss, self.double, self.delay, self.delays = loss, double, delay, delays
        self.lost, self.delayed, self.doubled = set(), set(), set()
        self.forwarded = 0
        self.count = {}
        self.queue, self.order = [], 0
        self.stopping = False
        self.sockets = []

    def __enter__(self):
        router = self.lab.router
        for port in ("c0", "v0"):
            router.run("ip", "link", "set", port, "nomaster")
            router.sysctl(f"net.ipv6.conf.{port}.disable_ipv6", 1)
            s = router.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            s.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
            s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
            s.bind((port, ETH_P_ALL))
            s.setblocking(False)
            self.sockets.append(s)
        self.thread = threading.Thread(target=self._loop)
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.stopping = True
        self.thread.join()
        for s in self.sockets:
            s.close()

    def _loop(self):
        other = {self.sockets[0]: self.sockets[1], self.sockets[1]: self.sockets[0]}
        while not self.stopping:
            wait = 0.1
            if self.queue:
                wait = max(0.0, min(wait, self.queue[0][0] - time.monotonic()))
            for s in select.select(self.sockets, [], [], wait)[0]:
                self._drain(s, other[s])
            while self.queue and self.queue[0][0] <= time.monotonic():
                _, _, to, frame = heapq.heappop(self.queue)
                self._send(to, frame)

    def _drain(self, s, to):
        for _ in range(64):
            try:
                frame = s.recv(65536)
            except BlockingIOError:
                return
            self._one(frame, to)

    def _send(self, to, frame):
        try:
            to.send(frame)
            self.forwarded += 1
        except OSError:
            self.lost.add(identity(frame))

    def _one(self, frame, to):
        who = identity(frame)
        if who is None:
            self._send(to, frame)
            return
        n = self.count[who[0]] = self.count.get(who[0], 0) + 1
        rng = random.Random(zlib.crc32(who[0] + struct.pack("!II", n, self.seed)))
        fate = rng.random()
        if fate < self.loss:
            self.lost.add(who)
            return
        if fate < self.loss + self.delay:
            self.delayed.add(who)
            self.order += 1
            at = time.monotonic() + rng.uniform(*self.delays)
            heapq.heappush(self.queue, (at, self.order, to, frame))
            return
        self._send(to, frame)
        if fate > 1 - self.double:
            self.doubled.add(who)
            self._send(to, frame)
