# SPDX-License-Identifier: MIT
"""Listeners that replace each other, drain and change keys while clients connect all the time:
nobody is refused, nobody waits for a retransmission."""
import os
import subprocess
import time

import xdp
from case import SLOW, LabCase, main, read
from lab import SYNWARD, VICTIM4, VICTIM6, wait_for
from turnover import Callers, Listeners

BOTH = (f"{VICTIM4}:80", f"[{VICTIM6}]:80")


class Replace(LabCase):
    def setUp(self):
        super().setUp()
        xdp.open_peer(self.lab)
        self.listeners = Listeners(self.lab)
        self.addCleanup(self.listeners.close)

    def hold(self, addr):
        """A connection that outlives its listener."""
        s = self.lab.client.connect(addr, 80)
        self.addCleanup(s.close)
        self.assertEqual(read(s, 1), b"A")
        self.talk(s)
        return s

    def talk(self, s):
        begin = time.monotonic()
        s.sendall(b"hello")
        self.assertEqual(read(s, 5), b"hello")
        if not SLOW:
            self.assertLess(time.monotonic() - begin, 0.9)

    def generations(self, options, n=12, worst=0.9):
        """A begins; each next one replaces the one before."""
        names = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        self.listeners.new(names[0], BOTH, *options(0))
        callers = Callers(self.lab, (VICTIM4, VICTIM6), 80)
        held = [self.hold(addr) for addr in (VICTIM4, VICTIM6)]
        try:
            for i in range(1, n):
                self.listeners.new(names[i], BOTH, "replace", *options(i))
                last = self.listeners.retire(names[i - 1])
                self.assertEqual(last["proven"], last["handed"] + last["failed.exists"], last)
                self.assertEqual(last["syns"], last["reason.syn_answered"], last)
                for s in held:
                    self.talk(s)
                time.sleep(0.15)
        finally:
            callers.stop()
        callers.expect_all_served(self, worst)
        return self.listeners.stats(names[n - 1])

    def test_again_and_again(self):
        self.generations(lambda i: ())

    def test_another_number_of_threads(self):
        self.generations(lambda i: (f"workers={i % 3 + 1}",))

    def test_another_mac(self):
        """What the one answered the other proves, though the MAC is another."""
        self.generations(lambda i: ("siphash",) if i % 2 else ())

    def test_with_xdp(self):
        self.generations(lambda i: ("xdp",))

    def test_xdp_on_and_off(self):
        self.generations(lambda i: ("xdp",) if i % 2 else (), worst=3)

    def test_freed_without_a_drain(self):
        """The price is what was queued; clients that find it closed are those of that moment."""
        self.listeners.new("A", BOTH)
        callers = Callers(self.lab, (VICTIM4, VICTIM6), 80)
        time.sleep(0.3)
        self.listeners.new("B", BOTH, "replace")
        self.listeners.free("A")
        time.sleep(0.5)
        callers.stop()
        self.assertLessEqual(len(callers.errors), len(callers.threads))
        self.assertGreater(callers.count, 100)

    def test_keys(self):
        """Rotation under way: staged, active, retired, dropped, as by `synward secret`."""
        path = os.path.join(self.lab.dir, "key")
        keys = [subprocess.run([SYNWARD, "secret", "new"], capture_output=True, check=True, text=True)
                .stdout.split("active ")[1].split()[0] for _ in range(4)]

        def write(*slots):
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w",
                      encoding="ascii") as f:
                f.writelines(f"{slot} {key}\n" for slot, key in slots)

        for options in ((), ("xdp",)):
            write(("active", keys[0]))
            self.listeners.new("A", BOTH, f"key={path}", *options)
            callers = Callers(self.lab, (VICTIM4, VICTIM6), 80)
            for old, new in zip(keys, keys[1:]):
                for slots in ((("active", old), ("staged", new)),
                              (("active", new), ("retired", old)), (("active", new),)):
                    write(*slots)
                    self.listeners.do("rekey A")
                    time.sleep(0.3)  # the retired key outlives the handshakes in flight
            with self.assertRaisesRegex(RuntimeError, "key:1:1: unknown slot"):
                write(("bogus", keys[0]))
                self.listeners.do("rekey A")
            time.sleep(0.2)
            callers.expect_all_served(self)
            self.assertEqual(self.listeners.stats("A")["reason.cookie_forged"], 0)
            self.listeners.retire("A")

    def test_beat(self):
        self.listeners.new("A", BOTH[:1], "workers=2")
        self.listeners.new("B", BOTH[1:], "transparent")
        for name in "AB":
            first = self.listeners.do(f"beat {name}")
            self.assertTrue(wait_for(lambda: self.listeners.do(f"beat {name}") != first, 3, 0.05),
                            f"{name} stands still")


if __name__ == "__main__":
    main()
