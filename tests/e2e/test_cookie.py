# SPDX-License-Identifier: MIT
"""synward cookie: mint and check against the numbers that tests/core/vectors.py computes without any
code of ours, refusals in words, and the diagrams of docs/cookie.md."""
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

from case import main
from lab import SOURCE, SYNWARD, endpoint

sys.path.insert(0, os.path.join(SOURCE, "tests", "core"))
import vectors  # noqa: E402

NOW = 1700000000
FIELDS = {"P": "epoch_parity", "MSS": "mss_index", "wscale": "wscale", "wsc": "wscale",
          "S": "sack", "E": "ecn"}


class CookieCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.TemporaryDirectory()
        cls.key = cls.key_file("key", f"active {vectors.MASTER.hex()}\n")

    @classmethod
    def tearDownClass(cls):
        cls.dir.cleanup()

    @classmethod
    def key_file(cls, name, text, mode=0o600):
        path = os.path.join(cls.dir.name, name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w",
                  encoding="ascii") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def run_cookie(self, *argv, code=0):
        out = subprocess.run([SYNWARD, "cookie", *map(str, argv)], capture_output=True, text=True,
                             check=False, timeout=60)
        self.assertEqual(out.returncode, code, out.stderr + out.stdout)
        return out

    def ask(self, verb, *argv, code=0):
        return json.loads(self.run_cookie(verb, "-j", *argv, code=code).stdout)

    def mint(self, row, *more, code=0):
        options = [f"mss={row['mss']}"] if row["mss"] else []
        if row["wscale"] is not None:
            options.append(f"wscale={row['wscale']}")
        options += [name for name in ("sack", "ts", "ecn") if row[name]]
        return self.ask("mint", "--from", endpoint(row["src"], row["sport"]), "--to",
                        endpoint(row["dst"], row["dport"]), "--isn", row["isn"], "--at",
                        row["time"], "--mac", row["alg"], "--options", ",".join(options) or "none",
                        "--key-file", self.key, *more, code=code)

    def check(self, row, isn, tsval, *more, at=None, code=0):
        tsecr = ("--tsecr", tsval) if tsval is not None else ()
        return self.ask("check", "--from", endpoint(row["src"], row["sport"]), "--to",
                        endpoint(row["dst"], row["dport"]), "--seq", (row["isn"] + 1) % 2**32,
                        "--ack", (isn + 1) % 2**32, *tsecr, "--at",
                        row["time"] if at is None else at, "--mac", row["alg"], "--key-file",
                        self.key, *more, code=code)


class Vectors(CookieCase):
    def test_mint_and_check(self):
        """Both MACs, both families, both forms, there and back."""
        forms = set()
        for row in vectors.rows():
            with self.subTest(row=row):
                isn, tsval = vectors.cookie(row)
                got = self.mint(row)
                self.assertEqual((got["isn"], got["tsval"]), (isn, tsval if row["ts"] else None))
                self.assertEqual(got["epoch"]["number"], row["time"] // 32)
                back = self.check(row, isn, tsval if row["ts"] else None)
                self.assertEqual((back["ok"], back["reason"]), (True, "ack_proven"))
                for name in ("form", "agreed", "fields", "tag", "mac_input", "epoch"):
                    self.assertEqual(got[name], back[name], name)
                key = vectors.epoch_key(row["alg"], row["time"] // 32)
                tag = vectors.mac(row["alg"], key, bytes.fromhex(got["mac_input"]["hex"]))
                self.assertEqual(got["tag"], tag.hex())
                forms.add((row["alg"], ":" in row["src"], got["form"]))
        self.assertEqual(len(forms), 8, forms)

    def test_text_and_json_agree(self):
        row = next(vectors.rows())
        got = self.mint(row)
        text = self.run_cookie("mint", "--from", "192.0.2.1:40000", "--to", "198.51.100.2:443",
                               "--isn", row["isn"], "--at", row["time"], "--mac", row["alg"],
                               "--key-file", self.key).stdout
        for word in (str(got["isn"]), f"0x{got['isn']:08x}", str(got["tsval"]), got["tag"],
                     got["mac_input"]["hex"], got["key"]["fingerprint"], got["sentence"],
                     str(got["epoch"]["number"]), *(f["name"] for f in got["fields"]),
                     *(p["hex"] for p in got["mac_input"]["parts"])):
            self.assertIn(word, text)


class Keys(CookieCase):
    TUPLE = ("--from", "192.0.2.1:40000", "--to", "198.51.100.2:443")

    def test_throw_away_key(self):
        """It is printed so that it can be used again, and is another one each time."""
        first, second = (self.ask("mint", *self.TUPLE, "--at", NOW) for _ in range(2))
        self.assertTrue(first["key"]["throw_away"])
        self.assertNotEqual(first["key"]["key"], second["key"]["key"])
        path = self.key_file("again", f"active {first['key']['key']}\n")
        back = self.ask("check", *self.TUPLE, "--seq", (first["client_isn"] + 1) % 2**32, "--ack",
                        (first["isn"] + 1) % 2**32, "--tsecr", first["tsval"], "--at", NOW + 31,
                        "--key-file", path)
        self.assertEqual(back["reason"], "ack_proven")
        text = self.run_cookie("mint", *self.TUPLE).stdout
        self.assertRegex(text, r"key +active [0-9a-f]{64}\n.*made for this call")

    def test_no_key_of_a_file_is_shown(self):
        for argv in (("mint",), ("mint", "-j")):
            out = self.run_cookie(*argv, *self.TUPLE, "--key-file", self.key)
            self.assertNotIn(vectors.MASTER.hex(), out.stdout + out.stderr)

    def test_staged_and_retired_prove(self):
        row = next(vectors.rows())
        isn, tsval = vectors.cookie(row)
        for slot in ("staged", "retired"):
            path = self.key_file(slot, f"active {'ab' * 32}\n{slot} {vectors.MASTER.hex()}\n")
            got = self.check(row, isn, tsval, "--key-file", path)
            self.assertEqual((got["reason"], got["key"]["slot"]), ("ack_proven", slot))

    def test_bad_key_files(self):
        loose = self.key_file("loose", f"active {vectors.MASTER.hex()}\n", 0o644)
        self.assertIn("0644", self.run_cookie("mint", *self.TUPLE, "-k", loose, code=78).stderr)
        wrong = self.key_file("wrong", "active 123\n")
        self.assertRegex(self.run_cookie("mint", *self.TUPLE, "-k", wrong, code=78).stderr,
                         r"wrong:1:\d+: ")
        self.run_cookie("mint", *self.TUPLE, "-k", os.path.join(self.dir.name, "none"), code=78)


class Refusals(CookieCase):
    def test_sentences(self):
        """One thing of a genuine ACK is wrong: the sentence names it."""
        row = {"alg": "hmac-sha256", "src": "2001:db8::1", "dst": "2001:db8::2", "sport": 40000,
               "dport": 443, "isn": 1000, "time": NOW, "mss": 1440, "wscale": 7, "sack": True,
               "ts": True, "ecn": False}
        isn, tsval = vectors.cookie(row)
        for change, ack, reason, sentence in (
                ({"dport": 8443}, {}, "cookie_forged",
                 "right cookie for port 443, this ACK came to 8443"),
                ({"sport": 40001}, {}, "cookie_forged",
                 "right cookie for the client's port 40000, this ACK came from 40001"),
                ({}, {"at": NOW + 103}, "cookie_expired",
                 "minted 71 to 103 s ago in epoch 53125000, accepted until 2023-11-14T22:14:24Z"),
                ({}, {"at": NOW + 3600}, "cookie_forged", "minted 3568 to 3600 s ago in epoch"),
                ({}, {"at": NOW - 10}, "cookie_future", "which begins in 10 s"),
                ({"isn": 1517}, {}, "cookie_forged", "517 bytes into the stream"),
                ({"isn": 999}, {}, "cookie_forged", "the client's ISN itself"),
                ({"alg": "siphash-2-4"}, {}, "cookie_forged", "right cookie by hmac-sha256"),
                ({"src": "2001:db8::2", "dst": "2001:db8::1", "sport": 443, "dport": 40000}, {},
                 "cookie_forged", "client and server are exchanged"),
                ({}, {"isn": isn - 1}, "cookie_forged", f"is {isn} and should be {isn + 1}"),
                ({}, {"tsval": tsval ^ 1}, "cookie_forged", "something rewrites timestamps"),
                ({}, {"tsval": None}, "cookie_forged", "the timestamp option is missing"),
                ({}, {"isn": 5, "tsval": 6}, "cookie_forged", "a guess")):
            with self.subTest(sentence=sentence):
                numbers = {"isn": isn, "tsval": tsval, "at": NOW, **ack}
                got = self.check({**row, **change}, numbers["isn"], numbers["tsval"],
                                 at=numbers["at"], code=1)
                self.assertEqual((got["ok"], got["reason"]), (False, reason))
                self.assertIn(sentence, got["sentence"])

    def test_expected_numbers(self):
        """What a refused ACK should have returned would have been proven."""
        row = next(vectors.rows())
        got = self.check(row, 1, 0x19E, code=1)
        back = self.check(row, got["expected"]["isn"], got["expected"]["tsval"])
        self.assertEqual(back["reason"], "ack_proven")

    def test_mss_too_small(self):
        row = {**next(vectors.rows()), "mss": 100}
        self.assertEqual(self.mint(row, code=1)["reason"], "mss_small")

    def test_times_are_the_same(self):
        row = next(vectors.rows())
        for at in (NOW, f"{NOW}.000", "2023-11-14T22:13:20Z", "2023-11-14T23:13:20+01:00"):
            self.assertEqual(self.mint({**row, "time": at})["isn"], vectors.cookie(row)[0], at)


class Usage(CookieCase):
    def test_wrong_values_are_named(self):
        tuple_ = ["--from", "192.0.2.1:40000", "--to", "198.51.100.2:443"]
        ack = ["--seq", "1", "--ack", "1"]
        for argv, words in (
                (["mint"], "--from is missing"),
                (["mint", "--from", "192.0.2.1:1"], "--to is missing"),
                (["mint", "--from", "192.0.2:1", "--to", "192.0.2.2:1"], "192.0.2:1: column"),
                (["mint", "--from", "192.0.2.1:1", "--to", "[::1]:1"], "one is IPv4"),
                (["mint", *tuple_, "--isn", "4294967296"], "'4294967296' is no number"),
                (["mint", *tuple_, "--isn", "0x"], "'0x' is no number"),
                (["mint", *tuple_, "--options", "mss=1460,foo"], "'foo' is none of"),
                (["mint", *tuple_, "--options", "mss=65536"], "the MSS is 0 to 65535"),
                (["mint", *tuple_, "--options", "wscale=15"], "0 to 14"),
                (["mint", *tuple_, "--at", "noon"], "'noon' is no time"),
                (["mint", *tuple_, "--mac", "md5"], "'md5' is neither"),
                (["mint", *tuple_, *ack], "of an ACK"),
                (["mint", *tuple_, "extra"], "extra"),
                (["check", *tuple_, "--key-file", "k"], "--seq is missing"),
                (["check", *tuple_, "--seq", "1", "--key-file", "k"], "--ack is missing"),
                (["check", *tuple_, *ack], "--key-file FILE"),
                (["check", *tuple_, *ack, "--isn", "1"], "of a SYN"),
                (["prove"], "'mint' or 'check'"),
                ([], "'mint' or 'check'"),
                (["mint", "--nonsense"], "--nonsense"),
                (["mint", "--isn"], "--isn needs a value")):
            with self.subTest(argv=argv):
                out = self.run_cookie(*argv, code=2)
                self.assertIn(words, out.stderr)
                self.assertIn("Try 'synward cookie --help'.", out.stderr)
                self.assertEqual(out.stdout, "")

    def test_help(self):
        out = self.run_cookie("--help")
        self.assertLessEqual(len(out.stdout.splitlines()), 24)
        self.assertEqual(out.stderr, "")

    def test_full_disk(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            out = subprocess.run([SYNWARD, "cookie", "mint", "-f", "192.0.2.1:1", "-t",
                                  "192.0.2.2:2"], stdout=full, stderr=subprocess.PIPE, text=True,
                                 check=False)
        self.assertEqual(out.returncode, 1)
        self.assertIn("cannot write", out.stderr)


class Diagrams(CookieCase):
    """The bit diagrams of the manual are the core's layout: 32 columns, two characters a bit."""

    def diagrams(self):
        """{(form, number): {field: (high, low)}} as drawn."""
        with open(os.path.join(SOURCE, "docs", "cookie.md"), encoding="utf-8") as f:
            page = f.read()
        drawn = {}
        for form in ("Wide", "Narrow"):
            section = page.split(f"### {form}\n")[1].split("###")[0]
            block = re.search(r"```\n(.*?)```", section, re.S).group(1)
            for line in block.splitlines():
                match = re.match(r" (ISN|TSval) +\|(.*)\|$", line)
                if match:
                    drawn[form.lower(), match.group(1).lower()] = self.cells(match.group(2))
        return drawn

    def cells(self, text):
        self.assertEqual(len(text), 63, text)
        cells, at = {}, 31
        for cell in text.split("|"):
            width = (len(cell) + 1) // 2
            label = cell.strip()
            cells["tag" if label.startswith("tag") else FIELDS[label]] = (at, at - width + 1)
            at -= width
        return cells

    def test_drawn_as_it_is(self):
        core = {}
        for row in vectors.rows():
            got = self.mint(row)
            for f in got["fields"]:
                core.setdefault((got["form"], f["number"]), {})[f["name"]] = (f["high"], f["low"])
        drawn = self.diagrams()
        self.assertEqual(len(drawn), 3)
        self.assertEqual(drawn, core)

    def test_known_fields_are_where_they_are_drawn(self):
        """Mint with known options and read the numbers by the drawing alone."""
        drawn = self.diagrams()
        for row in vectors.rows():
            got = self.mint(row)
            for (form, number), cells in drawn.items():
                if form != got["form"]:
                    continue
                for name, (high, low) in cells.items():
                    value = got[number] >> low & ((1 << (high - low + 1)) - 1)
                    want = {"epoch_parity": row["time"] // 32 & 1, "sack": int(row["sack"]),
                            "ecn": int(row["ecn"])}.get(name)
                    if want is not None:
                        self.assertEqual(value, want, (row, name))

    def test_tag_bits(self):
        """The labels say which bits of the MAC stand there."""
        with open(os.path.join(SOURCE, "docs", "cookie.md"), encoding="utf-8") as f:
            page = f.read()
        row = next(vectors.rows())
        for ts, places in ((True, (("isn", 63, 32), ("tsval", 31, 10))),
                           (False, (("isn", 63, 39),))):
            got = self.mint({**row, "ts": ts})
            for number, high, low in places:
                self.assertIn(f"tag bits {high}..{low}", page)
                width = high - low + 1
                cell = next(f for f in got["fields"] if f["name"] == "tag" and
                            f["number"] == number)
                self.assertEqual(cell["high"] - cell["low"] + 1, width)
                self.assertEqual(int(got["tag"], 16) >> low & ((1 << width) - 1), cell["value"])


if __name__ == "__main__":
    main()
