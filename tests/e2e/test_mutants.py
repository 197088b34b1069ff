# SPDX-License-Identifier: MIT
"""Everything the study tools say comes from the functions the front end runs: break a rule of the
core (tests/study/mutants.cmake), and the tools change with it."""
import os
import subprocess
import sys
import tempfile
import unittest

from case import main
from lab import BUILD, SOURCE, SYNWARD

sys.path.insert(0, os.path.join(SOURCE, "tests", "fuzz"))
from corpus import ACK, FIN, LINUX, SYN, frame, proven  # noqa: E402
from corpus_capture import NOW, pcap  # noqa: E402

KEY = "active 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
TUPLE = ("--from", "192.0.2.1:40000", "--to", "198.51.100.2:443", "--mac", "siphash-2-4")


class Mutants(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.TemporaryDirectory()
        cls.key = os.path.join(cls.dir.name, "key")
        with open(os.open(cls.key, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as f:
            f.write(KEY)
        cls.capture = os.path.join(cls.dir.name, "capture.pcap")
        with open(cls.capture, "wb") as f:
            f.write(pcap([
                frame(4, SYN, LINUX),
                frame(4, ACK, **proven(4, True)),
                frame(6, SYN, LINUX),
                frame(6, ACK, **proven(6, True, NOW - 32)),
                frame(4, SYN, src="239.1.1.1"),
                frame(4, SYN | FIN, LINUX, sport=40001),
            ]))

    @classmethod
    def tearDownClass(cls):
        cls.dir.cleanup()

    def tool(self, name, *argv):
        """(exit code, output) of the real program (name None) or of a mutant."""
        program = os.path.join(BUILD, "tests", f"mutant_{name}") if name else SYNWARD
        out = subprocess.run([program, *argv], capture_output=True, text=True, check=False,
                             timeout=60)
        self.assertIn(out.returncode, (0, 1), out.stderr)
        return out.returncode, out.stdout

    def cookie(self, name, verb, *more):
        return self.tool(name, "cookie", verb, *TUPLE, "--key-file", self.key, *more)

    def all_of(self, name):
        """What each tool says, by its name."""
        ack = proven(4, True)
        tsecr = int.from_bytes(ack["options"][-4:], "big")
        numbers = ("--seq", str(ack["seq"]), "--ack", str(ack["ack"]), "--tsecr", str(tsecr))
        judge = ("-m", "siphash-2-4", "-k", self.key)
        return {
            "mint": self.cookie(name, "mint", "--isn", "0x12345678", "--at", str(NOW)),
            "check": self.cookie(name, "check", *numbers, "--at", str(NOW)),
            "late": self.cookie(name, "check", *numbers, "--at", str(NOW + 40)),
            "trace": self.tool(name, "trace", *judge, "-r", self.capture),
            "explain": self.tool(name, "explain", "-q", *judge, self.capture),
        }

    def test_unbroken_is_the_program(self):
        self.assertEqual(self.all_of("none"), self.all_of(None))

    def test_broken_rules_show(self):
        """For each mutant: the tools that must say something else, and those that must not."""
        whole = self.all_of("none")
        self.assertEqual([whole[t][0] for t in ("mint", "check", "late")], [0, 0, 0], whole)
        for name, changed in {
                "version": {"mint", "check", "late", "trace", "explain"},
                "lifetime": {"late", "trace", "explain"},
                "layout": {"mint", "check", "late", "trace", "explain"},
                "table": {"mint", "check", "late", "trace", "explain"},
                "flags": {"trace", "explain"},
                "martian": {"trace", "explain"},
                "wire": {"trace", "explain"}}.items():
            said = self.all_of(name)
            with self.subTest(mutant=name):
                self.assertEqual({tool for tool in whole if said[tool] != whole[tool]}, changed)

    def test_what_they_say(self):
        """The change is the one that was made."""
        for name, tool, code, text in (
                ("none", "trace", 0, "40001 > 198.51.100.2:443 SYN-FIN: drop bad_flags"),
                ("flags", "trace", 0, "40001 > 198.51.100.2:443 SYN-FIN: reply syn_answered"),
                ("none", "trace", 0, "239.1.1.1:40000 > 198.51.100.2:443 SYN: drop martian"),
                ("martian", "trace", 0, "239.1.1.1:40000 > 198.51.100.2:443 SYN: reply"),
                ("none", "late", 0, "ack_proven"),
                ("lifetime", "late", 1, "cookie_forged"),
                ("none", "mint", 0, "segments of at most 1460 bytes"),
                ("table", "mint", 0, "segments of at most 1456 bytes"),
                ("none", "check", 0, "sack          1           both ends use SACK"),
                ("layout", "check", 0, "sack          1           no SACK"),
                ("version", "mint", 0, "version         02"),
                ("version", "check", 1, "cookie_forged"),
                ("wire", "trace", 0, "pass cookie_forged")):
            with self.subTest(mutant=name, tool=tool):
                got = self.all_of(name)[tool]
                self.assertEqual(got[0], code, got[1])
                self.assertIn(text, got[1])


if __name__ == "__main__":
    main()
