# SPDX-License-Identifier: MIT
"""The benchmark's own tests: the generator keeps to its lab and says what it sent; who does nothing
scores nothing."""
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import lab
from case import LabCase, main

BENCH = os.path.join(lab.SOURCE, "bench")
TOOLS = os.path.join(lab.BUILD, "bench")
ETH_P_ALL, SO_RCVBUFFORCE = 3, 33
TWO_CPUS = len(os.sched_getaffinity(0)) >= 2


def generate(ns, *args, interface="v0"):
    return ns.run(os.path.join(TOOLS, "bench_gen"), "--interface", interface, "--json", *args,
                  check=False)


class Generator(LabCase):
    def setUp(self):
        super().setUp()
        # XDP live frames need NAPI at the far end of the veth.
        self.lab.victim.offload(gro=True)

    def received(self):
        """TCP segments that the victim's kernel took in; nobody else sends any."""
        return self.lab.victim.nstat("Tcp.InSegs")

    def test_refuses_what_is_not_a_veth(self):
        for interface in ("lo", "br0", "nothing"):
            for engine in ("packet", "xdp"):
                sent = self.lab.router.packets("br0")[1]
                p = generate(self.lab.router, "--engine", engine, interface=interface)
                self.assertEqual(p.returncode, 1)
                self.assertIn(f"refused: {interface} is not a veth", p.stderr)
                self.assertEqual(self.lab.router.packets("br0")[1], sent)

    def test_the_count_is_exact(self):
        for engine in ("packet", "xdp"):
            for kind in ("syn-plain", "syn-data", "syn-linux", "ack", "ack-ts", "mix"):
                before = self.received()
                p = generate(self.lab.router, "--kind", kind, "--engine", engine, "--count",
                             "3000", "--rate", "20000", "--seconds", "20")
                self.assertEqual(p.returncode, 0, p.stderr)
                said = json.loads(p.stdout)
                self.assertEqual(said["engine"], engine)
                self.assertEqual(said["offered"] - said["lost"], said["sent"])
                lab.wait_for(lambda: self.received() - before >= said["sent"], 1)
                self.assertEqual(self.received() - before, said["sent"])
                if engine == "packet" or said["lost"] == 0:
                    self.assertEqual(said["sent"], 3000)

    def test_both_engines_send_the_same_frames(self):
        """The kernel checks every checksum; what two runs of one seed send is the same."""
        seen = {}
        for engine in ("packet", "xdp"):
            s = self.lab.victim.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 24)
            s.bind(("eth0", ETH_P_ALL))
            s.settimeout(2)
            p = generate(self.lab.router, "--kind", "mix", "--engine", engine, "--count", "64",
                         "--rate", "2000", "--seed", "7")
            self.assertEqual(p.returncode, 0, p.stderr)
            frames = []
            while len(frames) < 64:
                data, origin = s.recvfrom(2048)
                if origin[2] == 0 and data[26] == 198 and data[27] in (18, 19):
                    length = 14 + int.from_bytes(data[16:18], "big")
                    frames.append(data[:length])
            s.close()
            seen[engine] = frames
        self.assertEqual(seen["packet"], seen["xdp"])
        self.assertGreater(len(set(seen["packet"])), 60)

    def test_checksums_are_right(self):
        errors = self.lab.victim.nstat("Tcp.InCsumErrors"), self.lab.victim.nstat("Ip.InHdrErrors")
        for kind in ("syn-plain", "syn-data", "syn-linux", "ack", "ack-ts", "mix"):
            before = self.received()
            generate(self.lab.router, "--kind", kind, "--count", "500", "--rate", "20000")
            lab.wait_for(lambda: self.received() - before >= 500, 1)
            self.assertEqual(self.received() - before, 500, kind)
        self.assertEqual(errors, (self.lab.victim.nstat("Tcp.InCsumErrors"),
                                  self.lab.victim.nstat("Ip.InHdrErrors")))

    def test_ends_in_time(self):
        for engine in ("packet", "xdp"):
            p = generate(self.lab.router, "--engine", engine, "--seconds", "1")
            said = json.loads(p.stdout)
            self.assertLess(said["seconds"], 3)
            self.assertGreater(said["sent"], 1000)


@unittest.skipUnless(TWO_CPUS, "the benchmark needs two CPUs")
class Harness(unittest.TestCase):
    def bench(self, *args):
        with tempfile.TemporaryDirectory() as out:
            p = subprocess.run([sys.executable, "-B", os.path.join(BENCH, "run.py"), *args, "--tiny",
                                "--out", out], capture_output=True, text=True, timeout=300,
                               check=False)
            self.assertEqual(p.returncode, 0, p.stdout + p.stderr)
            with open(os.path.join(out, "report.html"), encoding="utf-8") as f:
                page = f.read()
            with open(os.path.join(out, "results.json"), encoding="utf-8") as f:
                return json.load(f), page

    def score(self, data, suite, metric):
        row = next(r for r in data["rows"] if (r["suite"], r["metric"]) == (suite, metric))
        return {name: s["median"] for name, s in row["contenders"].items()}

    def test_a_black_hole_scores_nothing(self):
        data, page = self.bench("syn", "ack", "flood", "idle", "cps", "--contender", "blackhole",
                                "kernel2", "synward")
        better = [r for r in data["rows"] if r["better"]]
        self.assertGreater(len(better), 10)
        for row in better:
            value = row["contenders"]["blackhole"]["median"]
            if row["metric"] == "cpu_per_million":
                continue  # a cost, not a score
            self.assertIn(value, (None, 0), f"{row['suite']} {row['point']} {row['metric']}")
        for suite, metric in (("syn", "answered"), ("ack", "refused"), ("cps", "completed")):
            score = self.score(data, suite, metric)
            self.assertGreater(score["kernel2"], 0, suite)
            self.assertGreater(score["synward"], 0, suite)
        self.assertNotRegex(page, r"""(src|href)=["']?https?:""")
        about = data["about"]
        for key in ("kernel", "cpu", "cores", "packages", "contenders", "command"):
            self.assertTrue(about[key], key)

    def test_leaves_nothing_when_it_is_interrupted(self):
        p = subprocess.Popen([sys.executable, "-B", os.path.join(BENCH, "run.py"), "syn", "--tiny",
                              "--contender", "kernel0", "kernel1", "kernel2", "blackhole", "--out",
                              tempfile.gettempdir()],
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        mine = lambda: [n for n in os.listdir("/run/netns")  # noqa: E731
                        if re.fullmatch(f"swt{p.pid}[a-z]", n)]
        self.assertTrue(lab.wait_for(lambda: len(mine()) == 4, 10))
        time.sleep(0.3)  # in the middle of the first of four labs
        p.terminate()
        p.communicate(timeout=30)
        self.assertNotEqual(p.returncode, 0)
        self.assertEqual(mine(), [])

    def test_says_what_it_does_not_know(self):
        for args, word in ((("nonsense",), "suite"), (("--contender", "nobody"), "contender")):
            p = subprocess.run([sys.executable, "-B", os.path.join(BENCH, "run.py"), *args],
                               capture_output=True, text=True, check=False)
            self.assertEqual(p.returncode, 2)
            self.assertIn(f"no {word} is called", p.stderr)


if __name__ == "__main__":
    main()
