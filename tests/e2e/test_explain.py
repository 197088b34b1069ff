# SPDX-License-Identifier: MIT
"""
synward explain on a thousand kernel connections over a bad network, against three other readers:
tshark, an oracle that only knows which bytes went by, and the capture of the other end, which
shows the order in which things were sent.

Where tshark and explain mean different things by a word, the test says which and holds explain to
the truth: docs/explain.md, "Compared with Wireshark".
"""
import collections
import json
import os
import random
import subprocess
import sys
import tempfile
import unittest

import captured
import lab
import mix
from captured import ACK, FIN, RST, SYN, by_stream, explain, oracle, tshark
from case import LabCase, main
from frames import ethernet, ip_packet, linux_options, opt_mss, tcp_bytes
from impair import Impairer, identity
from lab import CLIENT4, VICTIM4, VICTIM6, endpoint
from process import wait_for

AGAIN = {"retransmission", "syn_retransmission", "synack_retransmission"}
NOT_NEW = AGAIN | {"repair", "reordered", "copy"}
TSHARK_NOT_NEW = {"retransmission", "fast_retransmission", "spurious_retransmission",
                  "out_of_order"}
PACKETS = int(os.environ.get("SYNWARD_EXPLAIN_PACKETS", 500_000))  # 15000000: a capture of 1 GB
COUNT = int(os.environ.get("SYNWARD_EXPLAIN_COUNT", 1000))


class Thousand(LabCase):
    def capture(self):
        """Both ends' captures of the mix."""
        dumps, paths = [], {}
        for role in ("client", "victim"):
            ns = getattr(self.lab, role)
            ns.offload(tx=False, tso=False, gso=False, gro=False)
            paths[role] = os.path.join(self.lab.dir, role + ".pcap")
            dumps.append(ns.spawn("tcpdump", "tcpdump", "-i", "eth0", "-U", "-B", "65536", "-s", "0",
                                  "-Z", "root", "-w", paths[role], "tcp"))
        for d in dumps:
            self.assertTrue(wait_for(lambda d=d: "listening on" in d.log(), 5), d.log())
        for addr in (VICTIM4, VICTIM6):
            self.lab.serve(mix.serve, addr=addr, port=80)
        with Impairer(self.lab, seed=7) as net:
            mix.run(self.lab.client, [VICTIM4, VICTIM6], 80, COUNT, seed=3)
            wait_for(lambda: self.is_quiet(net), 20, 0.5)
        for d in dumps:
            d.stop()
            self.assertIn("\n0 packets dropped by kernel", d.log())
        self.note(f"{len(net.lost)} frames lost, {len(net.delayed)} delayed, "
                  f"{len(net.doubled)} doubled of {net.forwarded}")
        self.assertGreater(len(net.lost), COUNT // 10)
        return paths

    @staticmethod
    def is_quiet(net):
        before = net.forwarded
        return wait_for(lambda: net.forwarded != before, 2) is False

    def test_explain_agrees(self):
        paths = self.capture()
        sent = {role: [identity(f) for f in captured.read_pcap(path)]
                for role, path in paths.items()}
        for role, path in paths.items():
            out = os.path.join(self.lab.dir, role + ".pcapng")
            result = explain(path, "-w", out)
            streams = by_stream(tshark(out))
            ours = {c["first_packet"]: c for c in result["connections"]}
            self.assertEqual({rows[0]["number"] for rows in streams.values()}, set(ours))
            self.assertEqual(result["summary"]["connections"], len(streams))
            count = collections.Counter()
            for rows in streams.values():
                self.check_connection(ours[rows[0]["number"]], rows)
                self.check_segments(rows, count)
            other = sent["victim" if role == "client" else "client"]
            count += self.check_order(streams, sent[role], other,
                                      "server" if role == "client" else "client")
            self.note(f"{role}: {len(streams)} connections, " +
                      ", ".join(f"{n} {what}" for what, n in sorted(count.items())))
            for what in ("again", "overtaken", "repeated: for certain", "overtaken: for certain"):
                self.assertGreater(count[what], 0, count)

    # ---- one connection: facts that tshark has, field by field ----

    def check_connection(self, c, rows):
        self.assertEqual(c["completeness"], rows[-1]["complete"], c)
        ends = {end: [r for r in rows if r["facts"]["end"] == end] for end in ("client", "server")}
        for end, mine in ends.items():
            self.assertEqual(c[end]["packets"], len(mine))
            self.assertEqual(c[end]["fin"], any(r["flags"] & FIN for r in mine), c)
            self.assertEqual(c[end]["resets"], sum(bool(r["flags"] & RST) for r in mine
                                                   if "copy" not in r["marks"]), c)
            syns = [r for r in mine if r["flags"] & SYN]
            kind = "syns" if end == "client" else "synacks"
            self.assertEqual(c[end][kind], sum("copy" not in r["marks"] for r in syns), c)
            if syns:
                self.check_options(c[end], syns[0])
            self.assertEqual(c[end]["retransmissions"],
                             sum(bool(r["marks"] & (AGAIN | {"repair"})) for r in mine), c)
        self.check_close(c, rows)

    def check_options(self, side, syn):
        options = side["options"]
        self.assertEqual(side["isn"], syn["seq_raw"])
        self.assertEqual(str(options["mss"] or ""), syn["mss"])
        self.assertEqual("" if options["wscale"] is None else str(options["wscale"]),
                         syn["wscale"])
        self.assertEqual(options["sack"], bool(syn["sack"]))
        self.assertEqual(str(options["tsval"] or ""), syn["tsval"])
        self.assertEqual(options["window"], syn["window"])

    def check_close(self, c, rows):
        """How the two FINs met, from their numbers alone; and who was first."""
        fins = {}
        for r in rows:
            if r["flags"] & FIN:
                fins.setdefault(r["facts"]["end"], r)
        kind = None
        if len(fins) == 2:
            seen = {end: fins[other]["ack"] > fins[end]["seq"] + fins[end]["len"]
                    for end, other in (("client", "server"), ("server", "client"))}
            if not any(seen.values()):
                kind = "simultaneous"
            else:
                second = max(fins.values(), key=lambda r: r["number"])
                first = min(fins.values(), key=lambda r: r["number"])
                end = first["seq"] + first["len"]
                bare = any(r["facts"]["end"] == second["facts"]["end"] and r["ack"] > end and
                           first["number"] < r["number"] < second["number"] and r["flags"] & ACK
                           for r in rows)
                kind = "four-way" if bare or second["ack"] <= end else "three-way"
        self.assertEqual(c["close"]["kind"], kind, (c, fins))
        if fins:
            self.assertEqual(c["close"]["first"], next(iter(fins)), c)
        if c["reset"]:
            rst = next(r for r in rows if r["number"] == c["reset"]["packet"])
            self.assertTrue(rst["flags"] & RST)
            self.assertEqual(c["reset"]["by"], rst["facts"]["end"])

    # ---- one segment ----

    def check_segments(self, rows, count):
        said = oracle(rows)
        for r in rows:
            marks, theirs, f = r["marks"], r["analysis"], r["facts"]
            where = (r["number"], sorted(marks), sorted(theirs), said.get(r["number"]))
            if "synack_changed" in marks:
                # A late copy of the SYN began another handshake.  tshark counts from its ISN
                # from here on.
                count["tshark: numbers off after a second SYN-ACK"] += 1
                return
            self.assertEqual((int(f["seq"]), int(f["ack"]), int(f["len"])),
                             (r["seq"], r["ack"], r["len"]), where)
            # The bytes decide what is a repetition.
            if said.get(r["number"]) == "again":
                self.assertTrue(marks & (AGAIN | {"copy", "reordered"}), where)
            elif said.get(r["number"]) == "both":
                self.assertTrue(marks & NOT_NEW, where)
            elif said.get(r["number"]) == "fill":
                self.assertTrue(marks & {"repair", "reordered"}, where)
            elif not marks & {"repair", "reordered"}:  # known by a bare ACK that was ahead of it
                self.assertFalse(marks & AGAIN, where)
            self.check_with_tshark(r, where, count)

    def check_with_tshark(self, r, where, count):
        marks, theirs = r["marks"], r["analysis"]
        if marks & NOT_NEW and not theirs & TSHARK_NOT_NEW:
            # tshark takes one byte that is sent again for a keepalive, and copies of segments
            # that take no number for nothing special.
            self.assertTrue("keep_alive" in theirs or "copy" in marks, where)
            count["tshark: keepalive or nothing"] += 1
        else:
            self.assertEqual(bool(marks & NOT_NEW), bool(theirs & TSHARK_NOT_NEW), where)
        if "out_of_order" in theirs and marks & AGAIN:
            count["tshark: out of order, but the bytes had been here"] += 1
        # Nobody set SO_KEEPALIVE.
        self.assertNotIn("keepalive", marks, where)
        self.assertEqual("zero_window" in theirs, "zero_window" in marks, where)
        self.assertLessEqual("lost_segment" in theirs, "gap" in marks or "copy" in marks, where)
        for mark in ("again", "late"):
            wanted = AGAIN | {"repair"} if mark == "again" else {"reordered"}
            count["again" if mark == "again" else "overtaken"] += bool(marks & wanted)

    # ---- the other end's capture: in which order the segments were sent ----

    def check_order(self, streams, here, there, sender):
        """Segments that came from the far end: was a "reordered" one overtaken, and was a
        "retransmission" sent before?  Within one tick of the timestamps, and without an IPv4
        identification, nothing in the packets tells; those may be taken for the other."""
        count, index, sent = collections.Counter(), {}, collections.defaultdict(list)
        for i, who in enumerate(there):
            if who:
                index.setdefault(who, i)
                sent[who[0]].append((i, who))
        for rows in streams.values():
            newest = -1
            for r in rows:
                at = index.get(here[r["number"] - 1])
                if r["facts"]["end"] != sender or r["flags"] & RST or at is None:
                    continue
                if "reordered" in r["marks"]:
                    self.judge(r, at < newest, "overtaken", count)
                if r["marks"] & {"repair", "retransmission"}:
                    self.judge(r, self.was_sent_before(at, there, index, sent), "repeated", count)
                newest = max(newest, at)
        wrong = count["overtaken: mistaken"] + count["repeated: mistaken"]
        self.assertLessEqual(wrong, sum(count.values()) // 20, count)  # IPv6 only: judge()
        return count

    def judge(self, r, right, what, count):
        if not right:
            self.assertIn(":", r["src"], r)
        count[f"{what}: {'for certain' if right else 'mistaken'}"] += 1

    def was_sent_before(self, at, there, index, sent):
        """The sender's capture holds an earlier segment with some of the same numbers."""
        start, end = self.numbers(there[at])
        for i, who in sent[there[at][0]]:
            if i >= at:
                break
            lo, hi = self.numbers(who)
            if (lo - start) % 2**32 < max(end - start, 1) or (start - lo) % 2**32 < hi - lo:
                return True
        return index[there[at]] != at

    def numbers(self, who):
        start = int.from_bytes(self.tcp_seq(*who), "big")
        return start, start + self.length(who)

    @staticmethod
    def tcp_seq(key, body):
        return body[2:6] if len(key) == 12 else body[0:4]

    @staticmethod
    def length(who):
        key, body = who
        at = 2 if len(key) == 12 else 0  # the IPv4 identification
        return len(body) - at - ((body[at + 8] >> 4) * 4 - 4) + bool(body[at + 9] & (FIN | SYN))


class Proof(LabCase):
    def test_explain_proves_what_synward_decided(self):
        key = self.lab.new_key()
        self.lab.bench_server()
        self.lab.guard("--key-file", key)
        path = os.path.join(self.lab.dir, "v.pcap")
        dump = self.lab.victim.spawn("tcpdump", "tcpdump", "-i", "eth0", "-U", "-Z", "root", "-w",
                                     path, "tcp")
        self.assertTrue(wait_for(lambda: "listening on" in dump.log(), 5))
        for _ in range(20):
            with self.lab.client.connect(VICTIM4, 80) as s:
                s.sendall(b"x" * 64)
        wait_for(lambda: os.path.getsize(path) > 5000, 5)
        wait_for(lambda: False, 0.5)
        dump.stop()
        result = explain(path, "-k", key)
        core = result["summary"]["core"]
        self.assertEqual((core.get("syn_answered"), core.get("ack_proven")), (20, 20), core)
        for c in result["connections"]:
            words = [p["core"]["verdict"] for p in c["packets"] if "core" in p]
            self.assertEqual(words[:3], ["reply", "ours", "admit"], c)
        # Another key proves nothing, and no key shows a layout that fits.
        wrong = explain(path, "-k", self.lab.new_key("other"))["summary"]["core"]
        self.assertNotIn("ack_proven", wrong)
        layouts = [c["layout"]["fits"] for c in explain(path)["connections"]]
        self.assertEqual(layouts, [True] * 20)
        self.assertIn(endpoint(VICTIM4, 80), result["connections"][0]["to"])
        self.assertIn(CLIENT4, result["connections"][0]["from"])


def syn_flood(count, attempts=20000):
    """What hping3 --rand-source sends, from 198.18.0.0/15, and now and then a real client."""
    rng = random.Random(1)
    sources = [f"198.{18 + (n >> 16)}.{n >> 8 & 255}.{n & 255}"
               for n in rng.sample(range(1 << 17), attempts)]
    at = 1700000000.0
    made = [ethernet(ip_packet(src, "192.0.2.1", tcp_bytes(
        src, "192.0.2.1", rng.randrange(1024, 65536), 80, rng.randrange(2**32),
        rng.randrange(1, 2**32), SYN, 512), df=False)) for src in sources]
    for i in range(count):
        at += 5e-6
        yield at, made[i % attempts]
        if i % 1000 == 0:
            yield from ((at, frame) for frame in handshake("203.0.113.9", 20000 + i // 1000))


def handshake(src, sport, options=None):
    dst = "2001:db8::1" if ":" in src else "192.0.2.1"
    options = linux_options() if options is None else options
    for a, b, sp, dp, flags, seq, ack, opt in (
            (src, dst, sport, 80, SYN, 100, 0, linux_options()),
            (dst, src, 80, sport, SYN | ACK, 900, 101, options),
            (src, dst, sport, 80, ACK, 101, 901, b"")):
        yield ethernet(ip_packet(a, b, tcp_bytes(a, b, sp, dp, seq, ack, flags, 64240, opt)))


class Files(unittest.TestCase):
    def setUp(self):
        self.dir = self.enterContext(tempfile.TemporaryDirectory())

    def path(self, name):
        return os.path.join(self.dir, name)

    def run_explain(self, *args):
        return subprocess.run([lab.SYNWARD, "explain", *args], capture_output=True, text=True,
                              errors="replace")

    def small(self, options=None):
        path = self.path("small.pcap")
        captured.write_pcap(path, [(1700000000 + i, f) for i, f in enumerate(
            [*handshake("192.0.2.9", 4000, options), *handshake("2001:db8::9", 4001, options)])])
        return path

    def test_truncated_and_strange_files(self):
        path, cut = self.small(), self.path("cut.pcap")
        with open(path, "rb") as f:
            data = f.read()
        with open(cut, "wb") as f:
            f.write(data[:-10])
        p = self.run_explain(cut)
        self.assertEqual(p.returncode, 1)
        self.assertIn("#2 ", p.stdout)
        self.assertRegex(p.stderr, r"^synward explain: .*cut\.pcap: packet 6, byte \d+: .*; the 5 "
                                   r"packets before it are explained\n$")
        for name, content in (("text", b"no capture\n"), ("empty", b""), ("packed", b"\x1f\x8b\x08")):
            with open(self.path(name), "wb") as f:
                f.write(content)
            p = self.run_explain(self.path(name))
            self.assertEqual((p.returncode, p.stdout, p.stderr.count("\n")), (1, "", 1), p)
        p = self.run_explain(self.path("missing"))
        self.assertEqual(p.returncode, 1)
        self.assertIn("No such file", p.stderr)

    def test_usage(self):
        path = self.small()
        before = os.stat(path)
        for args in ([], ["--flows", "1", path], ["--show", "x", path], ["-m", "md5", path],
                     ["-w", path, path], ["--html", path, path], ["-j", "-w", "-", path],
                     ["--nonsense"], ["-k"], [path, "tcp", "port"]):
            p = self.run_explain(*args)
            self.assertEqual((p.returncode, p.stdout), (2, ""), (args, p))
            self.assertTrue(p.stderr.startswith("synward explain: "), p.stderr)
        self.assertEqual(os.stat(path).st_size, before.st_size)
        p = self.run_explain("--help")
        self.assertEqual((p.returncode, p.stderr), (0, ""))
        self.assertLessEqual(p.stdout.count("\n"), 24)
        p = self.run_explain("-k", path, path)
        self.assertEqual(p.returncode, 78)
        p = self.run_explain("-w", "/nonexistent/x", path)
        self.assertEqual(p.returncode, 1)

    def test_input_is_not_written_over(self):
        """Neither by its name, nor by another name, nor as standard input."""
        path, link = self.small(), self.path("link.pcap")
        os.link(path, link)
        with open(path, "rb") as f:
            before = f.read()
        for args in (["explain", "-w", link, path], ["trace", "-r", path, "-w", path],
                     ["trace", "-r", path, "-w", link], ["explain", "--html", link, "-"],
                     ["trace", "-r", "-", "-w", path]):
            with open(path, "rb") as f:
                p = subprocess.run([lab.SYNWARD, *args], stdin=f, capture_output=True, text=True)
            self.assertEqual(p.returncode, 2, (args, p))
            self.assertIn("is the file that is read; write another one", p.stderr)
            with open(path, "rb") as f:
                self.assertEqual(f.read(), before, args)

    def test_searches_that_were_used_up(self):
        """Thirty forged ACKs in a second: ten have the plain reason, and the summary says so."""
        key, path = self.path("key"), self.path("forged.pcap")
        with open(os.open(key, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as f:
            f.write(subprocess.run([lab.SYNWARD, "secret", "new"], capture_output=True,
                                   check=True).stdout)
        captured.write_pcap(path, [(1700000000 + n / 1e6, ethernet(ip_packet(
            "192.0.2.9", "192.0.2.1", tcp_bytes("192.0.2.9", "192.0.2.1", 4000 + n, 80, 101, 901,
                                                ACK)))) for n in range(30)])
        limits = explain(path, "-k", key)["summary"]["limits"]
        self.assertEqual(limits["not_searched"], 10)
        want = "10 refused packets have the plain reason: at most 20 a second and "
        page = self.path("page.html")
        self.assertIn(want, self.run_explain("-k", key, "--html", page, path).stdout)
        with open(page, encoding="utf-8") as f:
            self.assertIn(want, f.read())
        p = subprocess.run([lab.SYNWARD, "trace", "-r", path, "-k", key], capture_output=True,
                           text=True, check=True)
        self.assertIn("10 refused packets have the plain reason: at most 20 a second and 10000 in "
                      "all", p.stderr)
        self.assertEqual(explain(self.small(), "-k", key)["summary"]["limits"]["not_searched"], 0)

    def test_filter_show_and_standard_input(self):
        path = self.small(options=opt_mss(1400))
        only = explain(path, only="ip6 and port 4001")
        self.assertEqual([c["from"] for c in only["connections"]], ["[2001:db8::9]:4001"])
        self.assertEqual(only["connections"][0]["options_lost"], ["wscale", "sack", "ts"])
        self.assertEqual(len(explain(path, "--show", "option_loss")["connections"]), 2)
        self.assertEqual(len(explain(path, "--show", "reset,three-way")["connections"]), 0)
        with open(path, "rb") as f:
            p = subprocess.run([lab.SYNWARD, "explain", "-"], stdin=f, capture_output=True,
                               text=True, check=True)
        self.assertIn("the server did not return every option of the SYN: wscale, sack, ts",
                      p.stdout)
        self.assertNotIn("\033", p.stdout)

    def test_written_packets_are_the_same(self):
        path, out = self.small(), self.path("out.pcapng")
        explain(path, "-w", out)
        rows = tshark(out)
        self.assertEqual(len(rows), 6)
        for r in rows:
            self.assertEqual(r["comment"].count("|"), 1, r)
        again = self.path("again.pcap")
        subprocess.run(["tshark", "-r", out, "-F", "nsecpcap", "-w", again], check=True,
                       capture_output=True)
        self.assertEqual(captured.read_pcap(again), captured.read_pcap(path))

    def test_page_stands_alone(self):
        path, page = self.small(), self.path("page.html")
        explain(path, "--html", page)
        with open(page, encoding="utf-8") as f:
            text = f.read()
        self.assertNotRegex(text, r"https?:|src=|@import|url\((?!#)")
        self.assertEqual(text.count("<details class=\"flow\""), 2)
        dom = subprocess.run(["chromium", "--headless", "--no-sandbox", "--disable-gpu",
                              "--virtual-time-budget=2000", "--dump-dom", "file://" + page],
                             capture_output=True, text=True, timeout=60, check=True).stdout
        self.assertIn(">2 of 2 shown<", dom)  # the script ran

    def test_flood_in_bounded_memory(self):
        """A flood, and a table that is far too small for it."""
        count, path = PACKETS, self.path("flood.pcap")
        flows, limit = (5000, 100) if count <= 500_000 else (20000, 200)
        captured.write_pcap(path, syn_flood(count))
        out = self.path("out.json")
        with open(out, "wb") as f:
            p = subprocess.Popen([lab.SYNWARD, "explain", "-q", "-j", "--flows", str(flows), path],
                                 stdout=f)
            _, status, usage = os.wait4(p.pid, 0)
        p.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(p.returncode, 0)
        print(f"    {os.path.getsize(path) / 1e6:.0f} MB explained in {usage.ru_maxrss >> 10} MiB,"
              f" {usage.ru_utime + usage.ru_stime:.1f} s", file=sys.stderr, flush=True)
        if not lab.is_sanitized():
            self.assertLess(usage.ru_maxrss, limit << 10, "KiB")
        with open(out, encoding="utf-8") as f:
            result = json.load(f)
        summary = result["summary"]
        target = summary["targets"][0]
        self.assertEqual(target["target"], "192.0.2.1:80")
        self.assertTrue(target["flood"])
        self.assertGreater(target["looks_like_hping3"], 0.99 * target["attempts"])
        self.assertAlmostEqual(target["sources"], 20000, delta=2000)
        self.assertGreater(target["source_entropy_bits"], 11)
        self.assertEqual(summary["outcomes"]["open"], count // 1000)
        self.assertLessEqual(summary["limits"]["evicted_open"], 1)  # its quarter is for SYNs
        self.assertGreater(summary["limits"]["evicted_unopened"], 10000)
        self.assertEqual(summary["packets"], count + 3 * count // 1000)
        opened = [c for c in result["connections"] if c["opened"]]
        self.assertEqual(len(opened), count // 1000)


if __name__ == "__main__":
    main()
