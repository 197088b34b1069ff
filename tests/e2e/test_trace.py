# SPDX-License-Identifier: MIT
"""synward trace: what it shows live, what it says about it, and its pcapng, read by tshark."""
import json
import os
import signal
import struct
import subprocess
import time

from case import LabCase, main
from frames import ACK, RST, SYN, RawClient, ethernet, ip_packet, tcp_bytes
from lab import CLIENT4, SYNWARD, VICTIM4, VICTIM6
from process import wait_for

FACTS = "synward: verdict="


class Trace(LabCase):
    def setUp(self):
        super().setUp()
        self.key = self.lab.new_key()

    def trace(self, *more, ns=None):
        """A running trace of eth0 that has begun to listen."""
        ns = ns or self.lab.victim
        p = ns.spawn("trace", SYNWARD, "trace", "-i", "eth0", *more)
        self.assertTrue(wait_for(lambda: "(Ethernet)" in p.log(), 10), p.log())
        return p

    def ended(self, p, code=0):
        """Let the last packets come in, stop it, and give back its lines."""
        time.sleep(0.3)
        p.send(signal.SIGINT)
        self.assertEqual(p.wait(10), code, p.log())
        return [line for line in p.log().splitlines() if " > " in line]

    def guard(self, *more, **kwargs):
        self.lab.nginx("127.0.0.1:8080")
        return self.lab.guard("--key-file", self.key, *more, **kwargs)

    def verdicts(self, lines):
        """Flags and verdict of each line: ["SYN reply", ...]."""
        return [" ".join(line.split(" > ")[1].split(": ", 1)[0].split()[1:] +
                         line.split(" > ")[1].split(": ", 1)[1].split()[:1]) for line in lines]


class Live(Trace):
    def test_handshakes(self):
        """IPv4 and IPv6: three lines a connection, and nothing of its data."""
        self.guard(listen=(f"{VICTIM4}:80", f"[{VICTIM6}]:80"))
        p = self.trace("-k", self.key)
        for addr in (f"{VICTIM4}:80", f"[{VICTIM6}]:80"):
            self.assertIn(addr, p.log().split("guarded:")[1].splitlines()[0])
        for addr in (VICTIM4, VICTIM6):
            self.assertAll(self.lab.load(addr, 80, "--http", "/", "--count", 3), 3)
        lines = self.ended(p)
        self.assertEqual(self.verdicts(lines), ["SYN reply", "SYN-ACK ours", "ACK admit"] * 6,
                         p.log())
        for line in lines:
            self.assertRegex(line, r"MSS 14[46]0, window scale \d+, SACK, timestamps; wide cookie")
        self.assertRegex(p.log(), r"\d+ packets seen, 18 shown, 0 lost by the kernel")

    def test_refusals(self):
        """Every verdict is the daemon's: its counters say the same."""
        daemon = self.guard("--refuse-rate", "1000")
        before = daemon.counters()
        p = self.trace("-k", self.key)
        peer = RawClient(self.wire(), sport=20000)
        peer.wire.send(peer.frame(ACK, 1, 1))
        peer.wire.send(peer.frame(SYN | RST, 1))
        peer.wire.send(peer.frame(0, 1))
        peer.wire.send(peer.frame(RST, 1))
        lines = self.ended(p)
        after = daemon.counters()
        text = "\n".join(lines)
        for reason, verdict in (("cookie_forged", "pass"), ("bad_flags", "drop"), ("no_ack", "drop"),
                                ("rst", "drop")):
            self.assertIn(f": {verdict} {reason}: ", text)
            name = f"reason_{reason}"
            self.assertEqual(after[name] - before[name], 1, after)
        self.assertIn(": again reinjected: ", text)

    def test_older_connections_are_left_out(self):
        self.guard()
        with self.lab.client.connect(VICTIM4, 80) as s:
            for key in ((), ("-k", self.key)):
                p = self.trace(*key)
                for _ in range(3):
                    s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                    self.assertTrue(s.recv(65536))
                self.assertEqual(self.ended(p), [], p.log())

    def test_another_server(self):
        """The kernel's own handshake is not refused, it is another's."""
        listener = self.lab.victim.listen(VICTIM4, 81)
        self.addCleanup(listener.close)
        p = self.trace("-k", self.key)
        self.assertIn("no synward guards anything there", p.log())
        self.lab.client.connect(VICTIM4, 81).close()
        self.assertEqual(self.verdicts(self.ended(p)),
                         ["SYN reply", "SYN-ACK foreign", "ACK foreign"])

    def test_what_is_shown(self):
        """--reason, --drop, --accept, -c and a filter."""
        self.guard()
        peer = RawClient(self.wire(), sport=20001)
        runs = {name: self.trace("-k", self.key, *argv) for name, argv in {
            "reason": ("--reason", "bad_flags,rst"), "drop": ("--drop",), "accept": ("--accept",),
            "count": ("-c", "2"), "filter": ("tcp[tcpflags]", "&", "tcp-rst", "!=", "0"),
            "listen": ("-l", f"{VICTIM4}:81")}.items()}
        self.lab.client.connect(VICTIM4, 80).close()
        peer.wire.send(peer.frame(SYN | RST, 1))
        peer.wire.send(peer.frame(RST, 1))
        peer.wire.send(peer.frame(ACK, 1, 1))
        self.assertEqual(runs["count"].wait(10), 0)
        said = {name: self.verdicts(self.ended(p)) for name, p in runs.items() if name != "count"}
        self.assertEqual(said["reason"], ["SYN-RST drop", "RST drop"])
        self.assertEqual(said["drop"], ["SYN-RST drop", "RST drop", "ACK pass"])
        self.assertEqual(said["accept"], ["SYN reply", "SYN-ACK ours", "ACK admit"])
        self.assertEqual(said["filter"], ["SYN-RST drop", "RST drop", "RST answer"])
        self.assertEqual(said["listen"], [])
        self.assertIn("2 shown", runs["count"].log())

    def test_offload(self):
        """XDP answers before any tap: the trace says so, and judges what comes through."""
        self.guard("--offload", "xdp")
        p = self.trace("-k", self.key)
        self.assertIn("an XDP program stands in front of eth0", p.log())
        self.assertAll(self.lab.load(VICTIM4, 80, "--http", "/", "--count", 3), 3)
        self.assertEqual(self.verdicts(self.ended(p)), ["ACK admit"] * 3)

    def test_under_a_flood(self):
        """It keeps up or counts what it lost, and a handshake in the flood is still found."""
        self.guard()
        p = self.trace("-k", self.key, "-w", os.path.join(self.lab.dir, "flood.pcapng"),
                       "host", "198.51.100.10")
        flood = self.lab.hping3(3)
        self.assertAll(self.lab.load(VICTIM4, 80, "--http", "/", "--count", 20), 20)
        flood.wait(10)
        time.sleep(0.3)
        p.send(signal.SIGTERM)
        self.assertEqual(p.wait(10), 0)
        self.assertRegex(p.log(), r"\d+ packets seen, 60 shown, 0 lost by the kernel")


class Ends(Trace):
    def test_nobody(self):
        """Once it listens it needs no privilege."""
        p = self.trace()
        pid = subprocess.run(["pgrep", "-P", str(p.pid)], capture_output=True, text=True,
                             check=False).stdout.split()
        pid = int(pid[0]) if pid else p.pid
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            status = dict(line.split(":\t", 1) for line in f.read().splitlines() if ":\t" in line)
        self.assertEqual(status["Uid"].split(), ["65534"] * 4)
        self.assertEqual(status["Gid"].split(), ["65534"] * 4)
        self.assertEqual(int(status["CapPrm"], 16) | int(status["CapEff"], 16), 0)
        self.ended(p)

    def test_nobody_in_a_user_namespace(self):
        """There root cannot become nobody; it reads a file, without any capability."""
        head = struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)
        frame = ethernet(ip_packet(CLIENT4, VICTIM4, tcp_bytes(CLIENT4, VICTIM4, 4000, 80, 1, 0,
                                                               SYN)))
        packet = struct.pack("=IIII", 1700000000, 0, len(frame), len(frame)) + frame
        with subprocess.Popen(["unshare", "-Urn", SYNWARD, "trace", "-r", "-"], text=False,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as p:
            p.stdin.write(head + packet)
            p.stdin.flush()

            def dropped():
                with open(f"/proc/{p.pid}/status", encoding="ascii") as f:
                    lines = [line.split(":\t", 1) for line in f.read().splitlines()]
                status = {words[0]: words[-1] for words in lines}
                return status["NoNewPrivs"] == "1" and not any(
                    int(status[c], 16) for c in ("CapPrm", "CapEff", "CapInh", "CapAmb"))

            self.assertTrue(wait_for(dropped, 5))
            out, err = p.communicate(packet, 10)
            self.assertEqual(p.returncode, 0, err)
            self.assertEqual(out.count(b" SYN: "), 2, (out, err))

    def test_reader_goes_away(self):
        """A closed pipe ends it, without an error."""
        self.guard()
        p = self.lab.victim.spawn("pipe", "sh", "-c",
                                  f"{SYNWARD} trace -i eth0 -k {self.key} | head -n 2")
        self.assertTrue(wait_for(lambda: "(Ethernet)" in p.log(), 10), p.log())
        for _ in range(5):
            self.lab.client.connect(VICTIM4, 80).close()
            time.sleep(0.2)
        self.assertEqual(p.wait(10), 0, p.log())
        self.assertNotIn("rror", p.log())

    def test_interface_goes_away(self):
        self.lab.victim.run("ip", "link", "add", "gone0", "type", "veth", "peer", "name", "gone1")
        self.lab.victim.run("ip", "link", "set", "gone0", "up")
        p = self.lab.victim.spawn("trace", SYNWARD, "trace", "-i", "gone0")
        self.assertTrue(wait_for(lambda: "(Ethernet)" in p.log(), 10), p.log())
        self.lab.victim.run("ip", "link", "del", "gone0")
        self.assertEqual(p.wait(10), 1, p.log())
        self.assertIn("gone0", p.log())

    def test_errors(self):
        path = os.path.join(self.lab.dir, "text")
        with open(path, "w", encoding="ascii") as f:
            f.write("no capture\n")
        for argv, code, words in (
                (("-i", "nosuch0"), 1, "nosuch0: no such interface"),
                (("-i", "eth0", "prot", "80"), 1, 'filter "prot 80"'),
                (("-i", "eth0", "-r", path), 2, "one of them"),
                (("--drop", "--accept"), 2, "one of them"),
                (("--reason", "nonsense"), 2, "cookie_expired"),
                (("-c", "0"), 2, "'0' is no number"),
                (("-l", "eth0:80"), 2, "--listen"),
                (("-m", "md5"), 2, "md5"),
                (("-i", "eth0", "-k", path), 78, "text"),
                (("-r", path), 1, "expected pcap or pcapng"),
                (("-r", "/proc/none"), 1, "/proc/none"),
                (("-i", "eth0", "-w", "/proc/none/x"), 1, "/proc/none/x")):
            with self.subTest(argv=argv):
                out = self.lab.victim.run(SYNWARD, "trace", *argv, check=False)
                self.assertEqual(out.returncode, code, out.stderr)
                self.assertIn(words, out.stderr)
        out = self.lab.victim.run("setpriv", "--bounding-set", "-net_raw", SYNWARD, "trace", "-i",
                                  "eth0", check=False)
        self.assertEqual(out.returncode, 77, out.stderr)
        self.assertIn("CAP_NET_RAW", out.stderr)
        out = self.lab.victim.run(SYNWARD, "trace", "--help")
        self.assertLessEqual(len(out.stdout.splitlines()), 24)


class Pcapng(Trace):
    def tshark(self, path, *more):
        out = self.lab.victim.run("tshark", "-r", path, *more)
        for line in out.stderr.splitlines():
            self.assertIn("as user \"root\"", line)  # its only remark
        return out.stdout

    def capture(self, *more):
        """A file with one connection and one refused ACK."""
        self.guard()
        path = os.path.join(self.lab.dir, "trace.pcapng")
        p = self.trace("-k", self.key, "-w", path, *more)
        self.lab.client.connect(VICTIM4, 80).close()
        peer = RawClient(self.wire(), sport=20002)
        peer.wire.send(peer.frame(ACK, 1, 1))
        self.assertEqual(self.ended(p), [], "lines besides the file")
        return path

    def test_tshark_shows_it(self):
        path = self.capture()
        rows = [line.split("\t") for line in self.tshark(
            path, "-T", "fields", "-E", "aggregator=|", "-e", "tcp.flags", "-e", "frame.comment",
            "-e", "frame.interface_name", "-e", "frame.packet_flags_direction").splitlines()]
        self.assertEqual([int(row[0], 16) & 0x1F for row in rows],
                         [SYN, SYN | ACK, ACK, ACK, ACK, RST])
        for row in rows:
            self.assertEqual(len(row[1].split("|")), 2, row)
            self.assertTrue(row[1].split("|")[1].startswith(FACTS), row)
            self.assertEqual(row[2], "eth0")
        facts = [row[1].split(FACTS)[1].split() for row in rows]
        self.assertEqual([f[0] for f in facts],
                         ["reply", "ours", "admit", "pass", "again", "answer"])
        self.assertEqual([row[3][-1] for row in rows], ["1", "2", "1", "1", "1", "2"])

    def test_numbers_are_the_packets(self):
        """The cookie of the comments is the one on the wire."""
        packets = json.loads(self.tshark(self.capture(), "-T", "json", "-o",
                                         "tcp.relative_sequence_numbers:FALSE",
                                         "-Y", "tcp.flags.syn==1 && tcp.flags.ack==1"))
        self.assertEqual(len(packets), 1)
        layers = packets[0]["_source"]["layers"]
        text = json.dumps(layers)
        isn = int(layers["tcp"]["tcp.seq"])
        self.assertIn(f"isn=0x{isn:08x}", text)
        tsval = int(layers["tcp"]["tcp.options_tree"]["tcp.options.timestamp_tree"]
                    ["tcp.options.timestamp.tsval"])
        self.assertIn(f"tsval=0x{tsval:08x}", text)

    def test_capinfos(self):
        """Section, interface and the count of lost packets are in the file."""
        out = self.lab.victim.run("capinfos", "-M", self.capture("tcp port 80"))
        for words in ("File type:           pcapng", "Capture application: synward ",
                      "judged with the active key", "Name = eth0", "Number of stat entries = 1",
                      "Filter string = tcp port 80", "Time precision = nanoseconds (9)",
                      "Number of packets = 6"):
            self.assertIn(words, out.stdout)
        self.assertEqual(out.stderr, "")

    def test_through_a_pipe(self):
        """Live: tshark shows a packet while the trace goes on."""
        self.guard()
        p = self.lab.victim.spawn(
            "pipe", "sh", "-c", f"{SYNWARD} trace -i eth0 -k {self.key} -c 6 -w - | "
            "tshark -l -i - -T fields -e frame.comment")
        self.assertTrue(wait_for(lambda: "Capture started" in p.log(), 20), p.log())
        self.lab.client.connect(VICTIM4, 80).close()
        self.assertTrue(wait_for(lambda: p.log().count(FACTS) == 3, 10), p.log())
        self.assertTrue(p.alive())
        self.lab.client.connect(VICTIM4, 80).close()
        self.assertEqual(p.wait(15), 0, p.log())
        self.assertEqual(p.log().count(FACTS), 6, p.log())
        self.assertNotIn("arn", p.log().replace("Warn", "arn").replace("could be dangerous", ""))

    def test_read_again(self):
        """The file is judged as the interface was."""
        path = self.capture()
        out = self.lab.victim.run(SYNWARD, "trace", "-k", self.key, "-r", path)
        self.assertEqual(self.verdicts(out.stdout.splitlines())[:4],
                         ["SYN reply", "SYN-ACK ours", "ACK admit", "ACK pass"])

    def test_readable_while_it_grows(self):
        self.guard()
        path = os.path.join(self.lab.dir, "growing.pcapng")
        p = self.trace("-k", self.key, "-w", path)
        self.lab.client.connect(VICTIM4, 80).close()
        self.assertTrue(wait_for(
            lambda: self.lab.victim.run("tshark", "-r", path, check=False).stdout.count("\n") == 3,
            10))
        self.ended(p)

    def test_full_disk(self):
        self.guard()
        p = self.trace("-k", self.key, "-w", "/dev/full")
        self.lab.client.connect(VICTIM4, 80).close()
        self.assertEqual(p.wait(10), 1, p.log())
        self.assertIn("/dev/full: No space left on device", p.log())


if __name__ == "__main__":
    main()
