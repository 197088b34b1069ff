# SPDX-License-Identifier: MIT
"""The base of every end-to-end test: a fresh lab for each test, and the programs' output when it
fails."""
import os
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


class Part(unittest.TestLoader):
    """Some tests of a file run alone and the others beside those of other files, as listed in
    tests/CMakeLists.txt.  By hand all run."""
    part, alone = os.environ.get("SYNWARD_PART"), os.environ.get("SYNWARD_ALONE", "").split()

    def getTestCaseNames(self, testCaseClass):
        names = super().getTestCaseNames(testCaseClass)
        if not self.alone:
            return names
        return [n for n in names if (f"{testCaseClass.__name__}.{n}" in self.alone) ==
                (self.part == "alone")]


def main():
    result = unittest.main(verbosity=2, testLoader=Part(), exit=False).result
    if Part.part == "alone" and Part.alone and result.testsRun != len(Part.alone):
        sys.exit(f"not all of these exist: {' '.join(Part.alone)}")
    sys.exit(not result.wasSuccessful())
