# SPDX-License-Identifier: MIT
"""The benchmark's own tests: the generator keeps to its lab and says what it sent; who does nothing
scores nothing."""
import ipaddress
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import xml.etree.ElementTree

import frames
import lab
from case import LabCase, main

BENCH = os.path.join(lab.SOURCE, "bench")
sys.path.insert(0, BENCH)
import compare  # noqa: E402
import contenders  # noqa: E402
import rig  # noqa: E402
import rows  # noqa: E402
import run as bench_run  # noqa: E402
import suites  # noqa: E402

TOOLS = os.path.join(lab.BUILD, "bench")
ETH_P_ALL, SO_RCVBUFFORCE = 3, 33
KINDS = ("syn-plain", "syn-data", "syn-linux", "ack", "ack-ts", "mix")
SOURCES = {"4": {False: "198.18.0.0/15", True: "198.18.7.0/24"},
           "6": {False: "2001:db8:c612::/48", True: "2001:db8:c612:7::/64"}}
TWO_CPUS = len(os.sched_getaffinity(0)) >= 2


def generate(ns, *args, interface="v0"):
    return ns.run(os.path.join(TOOLS, "bench_gen"), "--interface", interface, "--json", *args,
                  check=False)


def is_from(frame, net):
    """Is an Ethernet frame's source address in a network?"""
    size = 4 if net.version == 4 else 16
    kind, at = (b"\x08\x00", 26) if net.version == 4 else (b"\x86\xdd", 22)
    return frame[12:14] == kind and ipaddress.ip_address(frame[at:at + size]) in net


def queue_packets(ns, queue):
    """XDP frames and packets that one receive queue of eth0 took."""
    out = ns.run("ethtool", "-S", "eth0").stdout
    return int(re.search(rf"rx_queue_{queue}_xdp_packets: (\d+)", out).group(1))


def without_padding(frame):
    """Frames of the kind mix have one size; the packet says how much of it counts."""
    if frame[12:14] == b"\x08\x00":
        return frame[:14 + int.from_bytes(frame[16:18], "big")]
    return frame[:54 + int.from_bytes(frame[18:20], "big")]


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
            for family, kind in [("4", k) for k in KINDS] + [("6", "syn-linux"), ("6", "mix")]:
                before = self.received()
                p = generate(self.lab.router, "--kind", kind, "--engine", engine, "--count",
                             "3000", "--rate", "20000", "--seconds", "20", "--family", family)
                self.assertEqual(p.returncode, 0, p.stderr)
                said = json.loads(p.stdout)
                self.assertEqual((said["engine"], said["family"]), (engine, int(family)))
                self.assertEqual(said["offered"] - said["lost"], said["sent"])
                lab.wait_for(lambda: self.received() - before >= said["sent"], 1)
                self.assertEqual(self.received() - before, said["sent"])
                if engine == "packet" or said["lost"] == 0:
                    self.assertEqual(said["sent"], 3000)

    def frames(self, family, prefix, count, *args):
        """What the victim receives of a run that sends so many frames."""
        net = ipaddress.ip_network(SOURCES[family][prefix])
        s = self.lab.victim.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        with s:
            s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 24)
            s.bind(("eth0", ETH_P_ALL))
            s.settimeout(2)
            p = generate(self.lab.router, "--family", family, "--count", str(count), "--rate",
                         "2000", "--seed", "7", *["--prefix"] * prefix, *args)
            self.assertEqual(p.returncode, 0, p.stderr)
            found = []
            while len(found) < count:
                data, origin = s.recvfrom(2048)
                if origin[2] == socket.PACKET_HOST and is_from(data, net):
                    found.append(without_padding(data))
        return found

    def test_both_engines_send_the_same_frames(self):
        """One seed, one sequence of frames, whoever sends them and wherever they begin."""
        for family in SOURCES:
            for prefix in (False, True):
                seen = {engine: self.frames(family, prefix, 64, "--kind", "mix", "--engine", engine)
                        for engine in ("packet", "xdp")}
                self.assertEqual(seen["packet"], seen["xdp"])
                self.assertGreater(len(set(seen["packet"])), 60)
                later = self.frames(family, prefix, 24, "--kind", "mix", "--engine", "xdp",
                                    "--first", "40")
                self.assertEqual(later, seen["packet"][40:])

    def test_frames_are_what_they_are_called(self):
        """Read by other code than made them: header, checksums, options, flags."""
        syn, ack = frames.SYN, frames.ACK
        linux = {"mss": 1460, "sack": True, "wscale": 7}
        for family, to, mss in (("4", lab.VICTIM4, 1460), ("6", lab.VICTIM6, 1440)):
            for kind, flags, options, payload in (
                    ("syn-plain", syn, {}, 0), ("syn-data", syn, {}, 120),
                    ("syn-linux", syn, {**linux, "mss": mss}, 0), ("ack", ack, {}, 0),
                    ("ack-ts", ack, {}, 0), ("rst", frames.RST, {}, 0),
                    ("fin", frames.FIN | ack, {}, 0)):
                for frame in self.frames(family, False, 16, "--kind", kind):
                    s = frames.parse(frame)
                    self.assertEqual((s.dst, s.dport, s.flags, s.ttl), (to, 80, flags, 64), kind)
                    self.assertTrue(s.checksum_ok, kind)
                    self.assertEqual(len(s.payload), payload)
                    stamped = s.options.pop("ts", None) is not None
                    self.assertEqual(stamped, kind in ("syn-linux", "ack-ts"))
                    self.assertEqual(s.options, options, kind)

    def test_an_answer_does_not_shorten_the_next_frame(self):
        """An XDP program that answers in place leaves the length of its answer behind in the page."""
        self.lab.victim.spawn("server", lab.BENCH_LOAD, "--serve", lab.endpoint(lab.VICTIM4, 80))
        synward = self.lab.start_synward("run", "--interface", "eth0", "--listen",
                                         lab.endpoint(lab.VICTIM4, 80), "--transparent")
        before = self.lab.victim.packets()[0]
        p = generate(self.lab.router, "--kind", "syn-data", "--engine", "xdp", "--count", "3000",
                     "--rate", "20000")
        sent = json.loads(p.stdout)["sent"]
        self.assertGreater(sent, 2000)
        self.assertGreaterEqual(self.lab.victim.packets()[0] - before, sent)
        self.assertEqual(synward.counters()["xdp_answered"], sent)

    def test_the_kernel_takes_the_checksums(self):
        errors = self.lab.victim.nstat("Tcp.InCsumErrors"), self.lab.victim.nstat("Ip.InHdrErrors")
        for family in SOURCES:
            for kind in KINDS:
                before = self.received()
                generate(self.lab.router, "--kind", kind, "--count", "500", "--rate", "20000",
                         "--family", family)
                lab.wait_for(lambda: self.received() - before >= 500, 1)
                self.assertEqual(self.received() - before, 500, kind)
        self.assertEqual(errors, (self.lab.victim.nstat("Tcp.InCsumErrors"),
                                  self.lab.victim.nstat("Ip.InHdrErrors")))

    def test_sends_to_another_address(self):
        for family, to in (("4", lab.VICTIM4B), ("6", lab.VICTIM6B)):
            for engine in ("packet", "xdp"):
                for frame in self.frames(family, False, 8, "--to", to, "--port", "8443",
                                         "--engine", engine):
                    s = frames.parse(frame)
                    self.assertEqual((s.dst, s.dport, s.checksum_ok), (to, 8443, True))

    def test_refuses_what_does_not_go_together(self):
        for args in (("--family", "5"), ("--family", "6", "--to", lab.VICTIM4),
                     ("--to", lab.VICTIM6), ("--engine", "none"), ("--first", "-1")):
            p = generate(self.lab.router, *args)
            self.assertEqual((p.returncode, p.stdout), (2, ""), args)
            self.assertIn("usage: bench_gen", p.stderr)

    def test_ends_in_time(self):
        for engine in ("packet", "xdp"):
            p = generate(self.lab.router, "--engine", engine, "--seconds", "1")
            said = json.loads(p.stdout)
            self.assertLess(said["seconds"], 3)
            self.assertGreater(said["sent"], 1000)


class Sink(LabCase):
    """Only an answer that knows the generator's sequence number counts as one."""
    SEED = 7

    def setUp(self):
        super().setUp()
        self.sink = self.lab.router.spawn("sink", os.path.join(TOOLS, "bench_sink"), "--interface",
                                          "v0", "--seed", str(self.SEED), stdin=subprocess.PIPE)
        self.assertTrue(lab.wait_for(self.readings, 5), self.sink.log())
        self.wire = frames.Wire(self.lab.victim)
        self.addCleanup(self.wire.close)
        self.addCleanup(self.sink.popen.stdin.close)

    def readings(self):
        return re.findall(r"^\{.*\}$", self.sink.log(), re.M)

    def read(self):
        known = len(self.readings())
        self.sink.popen.stdin.write(b"\n")
        self.sink.popen.stdin.flush()
        self.assertTrue(lab.wait_for(lambda: len(self.readings()) > known, 5))
        return {k: v for k, v in json.loads(self.readings()[-1]).items() if k != "ns"}

    def attack(self, family):
        """The segment of one frame of a flood."""
        generate(self.lab.router, "--family", family, "--count", "1", "--rate", "10", "--seed",
                 str(self.SEED), "--engine", "packet")
        found = self.wire.recv(lambda s: s.flags == frames.SYN)
        self.assertTrue(found)
        return found

    def answer(self, to, flags, ack, extension=b"", addr=None):
        body = frames.tcp_bytes(to.dst, addr or to.src, to.dport, to.sport, 1, ack, flags)
        self.wire.send(frames.ethernet(frames.ip_packet(to.dst, addr or to.src, body,
                                                        extension=extension),
                                       lab.MAC["victim"], lab.MAC["attacker"]))

    def test_counts_what_answers(self):
        reply, kinds = frames.SYN | frames.ACK, ("synack", "wrong", "rst", "other")
        hops = (0, bytes([6, 0, 1, 4, 0, 0, 0, 0]))  # an IPv6 extension header
        for family, stranger in (("4", lab.CLIENT4), ("6", lab.CLIENT6)):
            syn = self.attack(family)
            for what, args in (("synack", (reply, syn.seq + 1)), ("wrong", (reply, syn.seq)),
                               ("wrong", (reply, 0)), ("rst", (frames.RST, 0)),
                               ("rst", (frames.RST | frames.ACK, syn.seq + 1)),
                               ("other", (frames.ACK, syn.seq + 1)),
                               (None, (reply, syn.seq + 1, b"", stranger))):
                before = self.read()
                self.answer(syn, *args)
                want = {k: before[k] + (k == what) for k in kinds}
                lab.wait_for(lambda want=want: self.read() == want, 1 if what else 0.1)
                self.assertEqual(self.read(), want, (family, what))
        before = self.read()["other"]
        self.answer(syn, reply, syn.seq + 1, hops)
        self.assertTrue(lab.wait_for(lambda: self.read()["other"] == before + 1, 1))


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

    def score(self, data, suite, metric, point):
        row = next(r for r in data["rows"]
                   if (r["suite"], r["metric"], r["point"]) == (suite, metric, point))
        return {name: s["median"] for name, s in row["contenders"].items()}

    def assert_nothing(self, data, name):
        """It has not one good word in any row."""
        better = [r for r in data["rows"] if r["better"]]
        for row in better:
            if row["metric"] != "cpu_per_million":  # a cost, not a score
                self.assertIn(row["contenders"][name]["median"], (None, 0),
                              f"{row['suite']} {row['point']} {row['metric']}")
        return len(better)

    def test_a_black_hole_scores_nothing(self):
        data, page = self.bench("syn", "ack", "flood", "idle", "cps", "--contender", "blackhole",
                                "kernel2", "nft-synproxy", "haproxy", "synward", "synward-library")
        self.assertGreater(self.assert_nothing(data, "blackhole"), 10)
        for suite, metric, point in (
                ("syn", "answered", "syn-linux"), ("syn", "answered", "syn-linux-6"),
                ("ack", "refused", "ack-ts"), ("ack", "refused", "ack-ts-6"),
                ("cps", "completed", "64 at a time")):
            score = self.score(data, suite, metric, point)
            for name in ("kernel2", "nft-synproxy", "haproxy", "synward", "synward-library"):
                self.assertGreater(score[name], 0, (name, point))
        self.assertNotRegex(page, r"""(src|href)=["']?https?:""")
        about = data["about"]
        for key in ("kernel", "cpu", "cores", "packages", "contenders", "command"):
            self.assertTrue(about[key], key)

    def test_two_cores(self):
        data, _ = self.bench("cores", "--contender", "blackhole", "kernel2", "synward")
        self.assert_nothing(data, "blackhole")
        for metric, kind in (("answered", "syn-linux"), ("refused", "ack-ts")):
            for name in ("kernel2", "synward"):
                one, two = (self.score(data, "cores", metric, f"{kind}, {where}")[name]
                            for where in ("one core", "two cores"))
                scaling = self.score(data, "cores", "scaling", f"{kind}, two cores to one")[name]
                self.assertGreater(one, 0)
                self.assertAlmostEqual(scaling, two / one)

    def test_two_cores_receive_on_two_queues(self):
        """Each generator's frames are received by the thread of its own CPU."""
        with rig.Rig(shared=(0, 1)) as net:
            self.assertEqual(len(set(net.serving + net.helping)), 4)
            for threads in (net.serving, net.helping):
                self.assertEqual([os.sched_getaffinity(pid) for pid in threads], [{0}, {1}])
            for cpu in (0, 1):
                before = [queue_packets(net.victim, q) for q in (0, 1)]
                p = net.flood("syn-linux", 5, cpu, count=2000, rate=20000, engine="xdp")
                self.assertEqual(p.wait(10), 0, p.log())
                lab.wait_for(lambda cpu=cpu: queue_packets(net.victim, cpu) - before[cpu] > 1900, 1)
                got = [queue_packets(net.victim, q) - before[q] for q in (0, 1)]
                self.assertGreater(got[cpu], 1900)
                self.assertLess(got[1 - cpu], 100)

    def test_synproxy_is_not_held_up(self):
        """The service refuses none of synproxy's ACKs: no connection waits for a timer."""
        with rig.Rig() as net:
            module = contenders.load("nft-synproxy")
            state = module.start(net, net.serve_at)
            for addr in (lab.VICTIM4, lab.VICTIM6):
                self.assertEqual(net.fetch(2000, "--concurrency", 64, to=addr)["ok"], 2000)
            self.assertEqual(net.victim.nstat("TcpExt.TCPSynRetrans"), 0)
            module.stop(net, state)

    def test_the_library_is_the_service(self):
        """Each connection came by a cookie to the library, and none by a socket that listens."""
        with rig.Rig() as net:
            module = contenders.load("synward-library")
            state = module.start(net, None)
            self.assertEqual(net.victim.run("ss", "-ltnH").stdout, "")
            for done, addr in enumerate((lab.VICTIM4, lab.VICTIM6), 1):
                self.assertEqual(net.fetch(200, "--concurrency", 8, to=addr)["ok"], 200)
                seen = state.counters()
                self.assertEqual(seen["handed"], 200 * done, seen)
                self.assertGreaterEqual(seen["reason_syn_answered"], 200 * done)
            self.assertEqual(net.victim.nstat("Tcp.PassiveOpens"), 0)
            self.assertGreater(state.rss_kib(), 0)
            module.stop(net, state)  # says so when it does not end well
            self.assertFalse(bench_run.can_run("synward-library", "iperf"))
            self.assertTrue(bench_run.can_run("synward", "iperf"))

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


ABOUT = {"command": "bench/run syn --out /x", "repeats": 3, "seconds": 1, "kernel": "6.1", "cpu": "one", "cores": 2,
         "memory_mib": 1, "load_at_start": 0.0, "synward": "synward", "packages": {"p": "1"}}


def a_run(values):
    """What bench/run writes: {(suite, point, metric): {contender: [value of each repeat]}}"""
    names = dict.fromkeys(name for by in values.values() for name in by)
    return {"about": {**ABOUT, "contenders": {n: "<" + n + ">" for n in names}}, "failures": [],
            "rows": [rows.row(*key, *suites.UNITS[key[2]], by) for key, by in values.items()]}


FULL = {
    ("syn", "syn-linux", "answered"): {"kernel2": [100e3] * 3, "synward-new": [250e3] * 3,
                                       "drop-ceiling": [0, 0, 0]},
    ("syn", "syn-linux", "received"): {"kernel2": [2e6] * 3, "drop-ceiling": [5e6] * 3},
    ("syn", "mix", "answered"): {"kernel2": [50e3] * 3, "synward-new": [100e3] * 3},
    ("ack", "ack-ts", "refused"): {"kernel2": [100e3] * 3, "synward-new": [100e3, 100e3, 300e3]},
    ("flood", "no flood", "p99"): {"kernel2": [100.0] * 3, "synward-new": [90.0] * 3},
    ("flood", "200000", "success"): {"kernel2": [100.0] * 3, "synward-new": [100.0] * 3},
    ("flood", "1000000", "success"): {"kernel2": [50.0] * 3, "synward-new": [99.97] * 3},
    ("flood", "1000000", "p99"): {"kernel2": [None] * 3, "synward-new": [4321.0] * 3},
    ("cps", "64 at a time", "cpu_per_million"): {"kernel2": [50.0] * 3, "synward-new": [75.0] * 3},
    ("throughput", "plain link, 1 to victim", "throughput"): {"kernel2": [9.0] * 3},
    ("throughput", "level link, 1 to victim", "throughput"): {"kernel2": [8.0] * 3,
                                                              "synward-new": [4.0] * 3},
    ("throughput", "level link, 8 to victim", "throughput"): {"kernel2": [8.0] * 3,
                                                              "synward-new": [8.0] * 3},
}


class Load(unittest.TestCase):
    """The command line of bench_load."""

    def run_load(self, *args):
        return subprocess.run([lab.BENCH_LOAD, *args], capture_output=True, text=True, timeout=20,
                              check=False)

    def test_refuses_what_does_not_go_together(self):
        at = ("--serve", "127.0.0.1:80")
        for args, why in (((), "either --connect or --serve"),
                          ((*at, "--connect", "127.0.0.1:80"), "either --connect or --serve"),
                          (("--connect", "127.0.0.1:80", "--synward", "lo"), "goes with --serve"),
                          ((*at, *at), "go with --synward"),
                          ((*at, "--qdisc-bypass"), "go with --synward"),
                          ((*at, "--workers", "2"), "go with --synward"),
                          ((*at, "--synward", "lo", "--workers", "65"), "1 to 64"),
                          ((*at, "--synward", "lo", "--workers", "0"), "1 to 64"),
                          ((*at, "--backlog", "4294967296"), "--backlog"),
                          (at * 9, "too many addresses"), ((*at, "--synward"), "a value")):
            p = self.run_load(*args)
            self.assertEqual((p.returncode, p.stdout), (2, ""), args)
            self.assertIn(why, p.stderr.splitlines()[0])
            self.assertIn("usage: bench_load", p.stderr)

    def test_passes_on_what_the_library_says(self):
        p = self.run_load("--serve", "127.0.0.1:80", "--synward", "nothing0")
        self.assertEqual((p.returncode, p.stdout), (1, ""))
        self.assertRegex(p.stderr, "^bench_load: .*nothing0")


class Reports(unittest.TestCase):
    """What is made of the numbers, with numbers that are made up."""

    def write(self, values):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        with open(os.path.join(folder, "results.json"), "w", encoding="utf-8") as f:
            json.dump(a_run(values), f)
        return folder

    def run_py(self, *args):
        return subprocess.run([sys.executable, "-B", os.path.join(BENCH, "run.py"), *args],
                              capture_output=True, text=True, check=False)

    def test_a_ratio_that_moves_is_noisy(self):
        base = [100.0, 100.0, 100.0]
        steady = rows.summary([200.0, 201.0, 199.0], base)
        self.assertFalse(steady["noisy"])
        self.assertEqual((steady["ratio"], steady["ratio_min"], steady["ratio_max"]), (2, 1.99, 2.01))
        for values, of in (([200.0, 240.0, 200.0], [100.0, 120.0, 100.0]),  # the value moves
                           ([100.0, 110.0, 100.0], [110.0, 100.0, 110.0])):  # the ratio does
            self.assertTrue(rows.summary(values, of)["noisy"], values)
        self.assertFalse(rows.wide([100.0, 110.0, 100.0]))
        self.assertFalse(rows.summary([1.0], [1.0])["noisy"])
        for nothing in ([], [None, None]):
            self.assertIsNone(rows.summary(nothing, base)["median"])
            self.assertIsNone(rows.summary(nothing, base)["ratio"])

    def test_ratios_are_to_the_same_repeat(self):
        results = bench_run.Results()
        for repeat in (0, 1):
            results.add(repeat, "cps", "p", "completed", "kernel2", 10.0 * (repeat + 1))
        results.add(1, "cps", "p", "completed", "late", 40.0)  # its first lab failed
        results.add(0, "cps", "p", "others", "kernel2", 3.0)
        by = {r["metric"]: r["contenders"] for r in results.rows()}
        self.assertEqual(by["completed"]["late"]["values"], [None, 40.0])
        self.assertEqual(by["completed"]["late"]["ratio"], 2)
        self.assertIsNone(by["others"]["kernel2"]["ratio"])  # neither way is better

    def test_marks(self):
        data = a_run({("cps", "p", "completed"): {"kernel2": [10.0, 10.0], "new": [9.0, None]},
                      ("cps", "p", "others"): {"kernel2": [1.0, 70.0], "new": [0.0, 0.0]}})
        worst, row = rows.disturbed(data), data["rows"][0]
        self.assertEqual(rows.marks("kernel2", row, worst), ["disturbed"])
        self.assertEqual(rows.marks("new", row, worst), ["once", "kernel2 disturbed"])

    def test_compare(self):
        key = "syn", "syn-linux", "answered"
        one = self.write({key: {"kernel2": [100.0] * 2, "a": [200.0] * 2, "b": [300.0] * 2,
                                "gone": [1.0] * 2}})
        for b, c, agree, marked, not_marked in (([310.0] * 2, [210.0] * 2, 2, 0, 0),
                                                ([100.0, 400.0], [200.0] * 2, 1, 1, 0),
                                                ([240.0] * 2, [200.0] * 2, 1, 0, 1)):
            two = self.write({key: {"kernel2": [100.0] * 2, "a": c, "b": b, "new": [1.0] * 2}})
            for pair in ((one, two), (two, one)):
                p = self.run_py("--compare", *pair)
                self.assertEqual(p.returncode, 1 if not_marked else 0, p.stdout + p.stderr)
                self.assertIn(f"{agree} of 2 rows agree within 15%, {marked} differ and are marked, "
                              f"{not_marked} differ and are not marked", p.stdout)
                self.assertEqual(p.stdout.count(": noisy"), marked)
                self.assertEqual(p.stdout.count("DIFFERS"), not_marked)
                self.assertIn("in one run only: 2 rows", p.stdout)
        self.assertEqual(compare.difference(2.0, 2.0), 0)
        self.assertAlmostEqual(compare.difference(2.0, 1.0), 1)
        self.assertEqual(compare.difference(0.0, 1.0), float("inf"))

    def test_compare_what_cannot_be(self):
        one = self.write({("syn", "mix", "answered"): {"kernel2": [1.0], "a": [1.0]}})
        other = self.write({("syn", "mix", "answered"): {"a": [1.0]}})
        broken = self.enterContext(tempfile.TemporaryDirectory())
        for path, text in ((other, "no row"), (os.path.join(one, "nothing"), "No such file"),
                           (broken, "not what bench/run writes")):
            if path == broken:
                with open(os.path.join(path, "results.json"), "w", encoding="utf-8") as f:
                    f.write("[1]")
            p = self.run_py("--compare", one, path)
            self.assertEqual((p.returncode, p.stdout), (2, ""), p.stderr)
            self.assertIn(text, p.stderr)

    def test_table(self):
        p = self.run_py("--table", self.write(FULL))
        self.assertEqual(p.returncode, 0, p.stderr)
        table = [line for line in p.stdout.splitlines() if line.startswith("|")]
        self.assertEqual(len({line.count("|") for line in table}), 1)
        head, _, kernel, ours = table
        self.assertIn("at 1M SYN/s", head)
        cells = lambda line: [c.strip() for c in line.split("|")[1:-1]]  # noqa: E731
        self.assertEqual(cells(kernel), ["kernel, tcp_syncookies=2", "100,000", "1.00", "100,000",
                                         "1.00", "50 %", "-", "-", "1.00", "1.00"])
        self.assertEqual(cells(ours), ["synward-new", "250,000", "2.50", "100,000*", "1.00*", "99.9 %",
                                       "4.32 ms", "-", "1.50", "0.75"])
        self.assertIn("\n`bench/run syn`: Linux 6.1", p.stdout)
        self.assertIn("up to 5,000,000 SYNs", p.stdout)
        self.assertIn("*: noisy", p.stdout)

    def test_report(self):
        folder = self.write(FULL)
        p = self.run_py("--report", folder)
        self.assertEqual(p.returncode, 0, p.stderr)
        with open(os.path.join(folder, "report.md"), encoding="utf-8") as f:
            self.assertIn("| synward-new | 100,000 | 100,000 | 300,000 | 1.00 | 1.00 | 3.00 | noisy |",
                          f.read())
        with open(os.path.join(folder, "report.html"), encoding="utf-8") as f:
            page = f.read()
        self.assertNotRegex(page, r"""(src|href)=["']?https?:|<script""")
        self.assertNotIn("<synward-new>", page)
        for name, words in (
                ("answered", ("SYNs answered with one core", "SYN/s", "synward-new", "2.50x", "5M")),
                ("kinds", ("syn-linux", "mix", "2.00x")), ("refused", ("100k*", "1.00x")),
                ("success", ("200k", "1M", "99.9 %", "50 %")), ("p99", ("4.32 ms", "no flood")),
                ("level-link", ("1 to victim", "0.50x")), ("plain-link", ("9",))):
            path = os.path.join(folder, name + ".svg")
            svg = xml.etree.ElementTree.parse(path).getroot()
            text = ["".join(t.itertext()).strip() for t in svg.iter("{http://www.w3.org/2000/svg}text")]
            for word in words:
                self.assertTrue(any(word in t for t in text), f"{name}: {word} in {text}")
            self.assertEqual(svg.get("width"), "800")
        self.assertEqual(page.count("<svg"), 7)


class Micro(unittest.TestCase):
    MICRO = os.path.join(TOOLS, "bench_micro")

    def rows(self, *args):
        p = subprocess.run([self.MICRO, "--quick", *args], capture_output=True, text=True, timeout=120,
                           check=False)
        self.assertEqual(p.returncode, 0, p.stderr)
        found = [re.fullmatch(r"(\S+) +([0-9.]+) ns(   [0-9.]+x)?", line)
                 for line in p.stdout.splitlines()]
        self.assertNotIn(None, found, p.stdout)
        return p.stdout, {m[1]: (float(m[2]), m[3]) for m in found}

    def test_rows_and_baseline(self):
        """The program itself holds what BPF returns and counts against each row."""
        for mode, some in (((), {"parse-syn", "reply"}),
                           (("--bpf",), {"bpf-pass", "xdp-known", "xdp-not-known", "tc-established",
                                         "xdp-syn-hmac-sha256", "xdp-ack-siphash-2-4",
                                         "tc-ack-hmac-sha256"})):
            text, first = self.rows(*mode)
            self.assertLessEqual(some, set(first))
            self.assertEqual({ratio for _, ratio in first.values()}, {None})
            self.assertTrue(all(ns > 0 for ns, _ in first.values()), text)
            with tempfile.NamedTemporaryFile("w", encoding="utf-8") as before:
                before.write(text)
                before.flush()
                _, again = self.rows(*mode, "--baseline", before.name)
            self.assertEqual(set(again), set(first))
            self.assertNotIn(None, {ratio for _, ratio in again.values()})

    def test_says_that_it_needs_root(self):
        p = subprocess.run(["setpriv", "--bounding-set", "-all", self.MICRO, "--bpf"],
                           capture_output=True, text=True, check=False)
        self.assertEqual((p.returncode, p.stdout), (1, ""))
        self.assertIn("needs root", p.stderr)


if __name__ == "__main__":
    main()
