# SPDX-License-Identifier: MIT
"""Several listeners of one process on one interface, with BPF in front: each has its own MAC, key and
counters, and none notices when another comes or goes."""
import time

import xdp
from case import LabCase, main
from lab import VICTIM4, VICTIM4B, VICTIM6
from turnover import Callers, Listeners


def echo(s, _events):
    """As tests/e2e/turnover.c: a letter, then what comes."""
    s.sendall(b"K")
    while data := s.recv(65536):
        s.sendall(data)


class Several(LabCase):
    def setUp(self):
        super().setUp()
        xdp.open_peer(self.lab)
        self.listeners = Listeners(self.lab)
        self.addCleanup(self.listeners.close)

    def call(self, n, addr, port):
        """n connections; who answers."""
        who = set()
        for _ in range(n):
            with self.lab.client.connect(addr, port) as s:
                s.settimeout(5)
                s.sendall(b"hello")
                got = b""
                while len(got) < 6 and (more := s.recv(6 - len(got))):
                    got += more
                self.assertEqual(got[1:], b"hello")
                who.add(chr(got[0]))
        return who

    def expect(self, name, n):
        st = self.listeners.stats(name)
        self.assertEqual((st["syns"], st["proven"], st["handed"]), (n, n, n), name)
        self.assertEqual(st["xdp_answered"], n, name)

    def test_two_transparent_with_different_macs(self):
        for addr, port in ((VICTIM4, 80), (VICTIM4, 81), (VICTIM6, 81)):
            self.lab.serve(echo, addr, port)
        self.listeners.new("A", (f"{VICTIM4}:80",), "transparent")
        self.listeners.new("B", (f"{VICTIM4}:81", f"[{VICTIM6}]:81"), "transparent", "siphash")
        self.assertEqual(self.call(20, VICTIM4, 80), {"K"})
        self.call(30, VICTIM4, 81)
        self.call(10, VICTIM6, 81)
        self.expect("A", 20)
        self.expect("B", 40)
        self.listeners.free("A")
        self.call(5, VICTIM6, 81)
        self.expect("B", 45)
        self.assertTrue(xdp.modes(self.lab), "the program has gone")
        # The address that is left to itself: the kernel answers.
        self.call(5, VICTIM4, 80)
        self.listeners.new("C", (f"{VICTIM4}:80",), "transparent", "siphash")
        self.call(7, VICTIM4, 80)
        self.expect("C", 7)
        self.listeners.free("B")
        self.call(7, VICTIM4, 80)
        self.expect("C", 14)
        self.listeners.free("C")
        self.assertIsNone(xdp.modes(self.lab))

    def test_relay_and_transparent(self):
        self.lab.serve(echo, VICTIM4, 81)
        for options in ((), ("xdp",)):
            self.listeners.new("A", (f"{VICTIM4}:80", f"{VICTIM4B}:81"), *options)
            self.listeners.new("B", (f"{VICTIM4}:81",), "transparent", "siphash")
            self.assertEqual(self.call(10, VICTIM4, 80), {"A"})
            self.assertEqual(self.call(10, VICTIM4B, 81), {"A"})
            self.assertEqual(self.call(10, VICTIM4, 81), {"K"})
            self.expect("B", 10)
            self.assertEqual(self.listeners.stats("A")["handed"], 20)
            self.listeners.free("B")
            self.assertEqual(self.call(10, VICTIM4, 80), {"A"})
            self.assertEqual(self.call(5, VICTIM4, 81), {"K"})  # the kernel by itself
            self.assertEqual(self.listeners.stats("A")["handed"], 30)
            self.listeners.new("B", (f"{VICTIM4}:81",), "transparent")
            self.listeners.free("A")
            self.call(10, VICTIM4, 81)
            self.expect("B", 10)
            self.listeners.free("B")

    def test_transparent_replaced(self):
        """By one with another MAC, by the relay way, and back: new connections all succeed when
        handshakes in flight have the same MAC."""
        for addr in (VICTIM4, VICTIM6):
            self.lab.serve(echo, addr, 80)
        addrs = (f"{VICTIM4}:80", f"[{VICTIM6}]:80")
        self.listeners.new("A", addrs, "transparent")
        callers = Callers(self.lab, (VICTIM4, VICTIM6), 80)
        try:
            for old, new, options in (("A", "B", ("transparent",)), ("B", "C", ()),
                                      ("C", "D", ("xdp",)), ("D", "E", ("transparent",))):
                time.sleep(0.3)
                self.listeners.new(new, addrs, "replace", *options)
                self.listeners.retire(old)
            time.sleep(0.3)
        finally:
            callers.stop()
        callers.expect_all_served(self, worst=3)


if __name__ == "__main__":
    main()
