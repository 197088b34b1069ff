# SPDX-License-Identifier: MIT
"""The base of every end-to-end test: a fresh lab for each test, and the programs' output when it
fails."""
import sys
import unittest

import lab
from frames import Wire
from lab import Lab

SLOW = lab.is_sanitized()  # times and memory say nothing


class LabCase(unittest.TestCase):
    mtu = 1500

    def setUp(self):
        self.lab = self.enterContext(Lab(self.mtu))

    def tearDown(self):
        result = self._outcome.result
        if any(test is self for test, _ in result.failures + result.errors):
            print(self.lab.logs(), file=sys.stderr, flush=True)

    def note(self, text):
        """A measured number, for people who read the output."""
        print(f"    {self.id().split('.')[-1]}: {text}", file=sys.stderr, flush=True)

    def wire(self):
        """The client's interface, for frames made by hand."""
        wire = Wire(self.lab.client)
        self.addCleanup(wire.close)
        return wire

    def assertAll(self, result, count):
        """Every connection of a bench_load run succeeded."""
        self.assertEqual((result["ok"], result["count"]), (count, count), result)


def read(s, n):
    """n bytes of a stream, fewer when it ends."""
    data = b""
    while len(data) < n and (more := s.recv(n - len(data))):
        data += more
    return data


def main():
    unittest.main(verbosity=2)
