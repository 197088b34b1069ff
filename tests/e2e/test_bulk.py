# SPDX-License-Identifier: MIT
"""A gibibyte each way arrives unchanged, also while a flood runs."""
import hashlib
import os
import socket
import struct
import threading

import flood
from case import SLOW, LabCase, main, read
from lab import VICTIM4, VICTIM6, wait_for

MIB = 1 << 20
IDLE = 64 * MIB if SLOW else 1024 * MIB
FLOODED = 16 * MIB if SLOW else 1024 * MIB
BLOCK = os.urandom(MIB)


def pour(s, size):
    """Send size bytes, each MiB different, and return their SHA-256."""
    digest, salt = hashlib.sha256(), os.urandom(8)
    for i in range(size // MIB):
        block = struct.pack("Q", i) + salt + BLOCK[16:]
        digest.update(block)
        s.sendall(block)
    return digest.hexdigest()


def drain(s):
    """Read to the end of the stream and return the SHA-256."""
    digest, buffer = hashlib.sha256(), bytearray(MIB)
    while n := s.recv_into(buffer):
        digest.update(memoryview(buffer)[:n])
    return digest.hexdigest()


def read_line(s):
    line = b""
    while not line.endswith(b"\n"):
        line += s.recv(1) or b"\n"
    return line.decode().split()


def service(s, events):
    """"get N": N bytes, and their digest to events.  "put": the digest of what comes.  "both N":
    both at once."""
    what, *size = read_line(s)
    if what == "put":
        s.sendall(drain(s).encode())
        return
    down = {}
    receiver = threading.Thread(target=lambda: down.update(got=drain(s)))
    if what == "both":
        receiver.start()
    events.append(pour(s, int(size[0])))
    s.shutdown(socket.SHUT_WR)
    if what == "both":
        receiver.join()
        events.append(down["got"])


class Bulk(LabCase):
    def start(self):
        self.server = self.lab.serve(service)
        return self.lab.guard(listen=(f"{VICTIM4}:80", f"[{VICTIM6}]:80"))

    def connect(self, addr, command):
        s = self.enterContext(self.lab.client.connect(addr, 80, timeout=120))
        s.sendall(command + b"\n")
        return s

    def get(self, addr, size):
        s = self.connect(addr, b"get %d" % size)
        self.assertEqual(drain(s), self.server.events[-1])

    def put(self, addr, size):
        s = self.connect(addr, b"put")
        sent = pour(s, size)
        s.shutdown(socket.SHUT_WR)
        self.assertEqual(read(s, 64).decode(), sent)

    def both(self, addr, size):
        s = self.connect(addr, b"both %d" % size)
        sent, got = [], []
        up = threading.Thread(target=lambda: (sent.append(pour(s, size)),
                                              s.shutdown(socket.SHUT_WR)))
        up.start()
        got.append(drain(s))
        up.join()
        self.assertTrue(wait_for(lambda: len(self.server.events) == 2, 30))
        self.assertEqual(self.server.events, got + sent)

    def test_get_1gib(self):
        self.start()
        self.get(VICTIM4, IDLE)

    def test_put_1gib(self):
        self.start()
        self.put(VICTIM4, IDLE)

    def test_ip6_get_and_put(self):
        self.start()
        self.get(VICTIM6, FLOODED)
        self.put(VICTIM6, FLOODED)

    def test_both_ways_at_once(self):
        self.start()
        self.both(VICTIM4, FLOODED)

    def test_established_traffic_stays_out_of_the_front_end(self):
        synward = self.start()
        self.get(VICTIM4, FLOODED)
        self.assertLess(synward.counters()["frames"], 20)

    def test_during_a_flood(self):
        self.start()
        flooding = self.lab.hping3(90)
        self.get(VICTIM4, FLOODED)
        self.put(VICTIM4, FLOODED)
        self.assertTrue(flooding.alive())

    def test_during_a_flood_with_options(self):
        self.start()
        flooding = self.lab.trafgen(90, 50_000_000, flood.tcp(options=flood.LINUX_OPTIONS))
        self.get(VICTIM4, FLOODED)
        self.put(VICTIM4, FLOODED)
        self.assertTrue(flooding.alive())


if __name__ == "__main__":
    main()
