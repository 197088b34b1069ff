# SPDX-License-Identifier: MIT
"""A client that opens a connection anew from the same port while the old one is in TIME_WAIT, and
late copies of an old handshake: as with a plain listener."""
import errno
import socket
import time

from case import LabCase, main
from lab import CLIENT4, VICTIM4

PORT = 40001


class Reopen(LabCase):
    def connect(self, port):
        """From PORT, as soon as this end has done with the connection before: its last ACK may
        still be on the way."""
        for _ in range(500):
            s = self.lab.client.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                s.settimeout(5)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind((CLIENT4, PORT))
                begin = time.monotonic()
                s.connect((VICTIM4, port))
                return s, begin
            except OSError as e:
                s.close()
                if e.errno != errno.EADDRNOTAVAIL:
                    raise
                time.sleep(0.002)
        raise AssertionError("the client's port does not come free")

    def fetch(self, port):
        s, begin = self.connect(port)
        with s:
            s.sendall(b"hello")
            got = b""
            while data := s.recv(4096):
                got += data
            self.assertEqual(got, b"hello and goodbye")
            return time.monotonic() - begin

    def repeatedly(self, timestamps):
        """The server closes first, so TIME_WAIT is on its side (RFC 9293 3.10.7.4)."""
        def serve(s, _events):
            s.sendall(s.recv(100) + b" and goodbye")

        self.lab.client.sysctl("net.ipv4.tcp_timestamps", timestamps)
        self.lab.serve(serve)
        synward = self.lab.guard()
        for i in range(20):
            # A lost SYN or ACK would cost a second.
            self.assertLess(self.fetch(80), 0.9, f"connection {i}")
        counters = synward.counters()
        self.assertEqual(counters["handed"], 20)
        self.assertEqual(counters.get("reason_handoff_failed", 0), 0)

    def test_with_timestamps(self):
        self.repeatedly(1)

    def test_without_timestamps(self):
        self.repeatedly(0)


if __name__ == "__main__":
    main()
