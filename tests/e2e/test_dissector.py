# SPDX-License-Identifier: MIT
"""conf/wireshark: the Lua dissector decodes what synward mints, as `synward cookie check` does, and
the profile works.  By tshark, on captures made in the lab and frames made by hand."""
import json
import os
import random
import re
import shutil
import struct
import subprocess
import tempfile
import unittest

from case import LabCase, main
from frames import (ACK, CWR, ECE, OPT_SACK, RST, SYN, RawClient, ethernet, ip_packet,
                    linux_options, opt_mss, opt_ts, opt_wscale, tcp_bytes)
from lab import CLIENT4, CLIENT6, SOURCE, SYNWARD, VICTIM4, VICTIM6, endpoint
from process import wait_for

CONF = os.path.join(SOURCE, "conf", "wireshark")
LUA = os.path.join(CONF, "synward.lua")
NAMES = ("kind", "why", "form", "isn", "tsval", "mac", "mac_bits", "epoch_parity", "mss_index",
         "mss", "wscale_code", "wscale", "sack", "ecn", "synack", "ack")


def write_pcap(path, frames):
    with open(path, "wb") as f:
        f.write(struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        for i, frame in enumerate(frames):
            f.write(struct.pack("=IIII", 1700000000, i, len(frame), len(frame)) + frame)


class Tshark:
    """tshark with a configuration directory of its own."""

    def __init__(self, case, profile=False):
        self.dir = case.enterContext(tempfile.TemporaryDirectory(prefix="synward-ws-"))
        self.profile = ["-C", "synward"] if profile else []
        shutil.copytree(os.path.join(CONF, "profiles"), os.path.join(self.dir, "profiles"))

    def run(self, path, *more, passes=2, lua=True):
        script = ["-X", f"lua_script:{LUA}"] if lua else []
        out = subprocess.run(
            ["tshark", "-n", *self.profile, *script, *(["-2"] if passes == 2 else []), "-r", path,
             *more], capture_output=True, text=True, check=False, timeout=60,
            env={**os.environ, "WIRESHARK_CONFIG_DIR": self.dir, "LC_ALL": "C.UTF-8"})
        noise = [line for line in out.stderr.splitlines() if "Running as user" not in line]
        assert out.returncode == 0 and not noise, (out.returncode, noise)
        return out.stdout

    def frames(self, path, *more, **kwargs):
        """{frame number: {name: text}} of the frames that the dissector speaks about."""
        fields = [w for n in NAMES for w in ("-e", f"synward.{n}")]
        out = self.run(path, *more, "-Y", "synward", "-T", "fields", "-E", "separator=/t", "-e",
                       "frame.number", *fields, **kwargs)
        rows = [line.split("\t") for line in out.splitlines()]
        return {int(r[0]): {n: v for n, v in zip(NAMES, r[1:]) if v} for r in rows}


def check_argv(client, server, seq, ack, tsecr):
    argv = [SYNWARD, "cookie", "check", "-j", "-f", client, "-t", server, "-s", str(seq), "-A",
            str(ack)]
    return argv + (["-e", str(tsecr)] if tsecr is not None else [])


class Checked(unittest.TestCase):
    """What `synward cookie check -j` says about an ACK, in the dissector's words."""

    def same(self, got, argv, proven=None):
        out = subprocess.run(argv, capture_output=True, text=True, check=False)
        said = json.loads(out.stdout)
        fields = {f["name"]: f["value"] for f in said["fields"]}
        terms = said.get("agreed") or said["claimed"]
        if proven is not None:
            self.assertEqual(said["ok"], proven, said)
        self.assertEqual(got["form"], said["form"])
        self.assertEqual(int(got["isn"], 0), said["isn"])
        self.assertEqual(int(got["tsval"], 0) if "tsval" in got else None, said["tsval"])
        self.assertEqual(int(got["epoch_parity"]), fields["epoch_parity"])
        self.assertEqual(int(got["mss_index"]), fields["mss_index"])
        self.assertEqual(int(got["mss"]), terms["mss"])
        self.assertEqual(int(got["wscale"]) if "wscale" in got else None, terms["wscale"])
        self.assertEqual(got["sack"] == "1", terms["sack"])
        self.assertEqual(got.get("ecn") == "1", terms["ecn"])
        wide = said["form"] == "wide"
        mac = said["isn"] << 22 | said["tsval"] >> 10 if wide else said["isn"] >> 7
        self.assertEqual(int(got["mac"], 0), mac)
        self.assertEqual(int(got["mac_bits"]), 54 if wide else 25)
        if said.get("tag"):
            self.assertEqual(mac, int(said["tag"], 16) >> (10 if wide else 39))


class Real(LabCase, Checked):
    OFFERS = (linux_options(), linux_options(1300, 77, 14), opt_mss(1400) + opt_wscale(5) + OPT_SACK,
              opt_mss(536), b"", opt_mss(9000) + opt_ts(9), opt_mss(1460) + OPT_SACK + opt_ts(5),
              opt_mss(1240) + opt_wscale(0), opt_mss(1452) + opt_wscale(9) + opt_ts(1) + OPT_SACK)

    def capture(self):
        path = os.path.join(self.lab.dir, "lab.pcap")
        p = self.lab.client.spawn("tcpdump", "tcpdump", "--immediate-mode", "-U", "-B", "16384", "-Z", "root",
                                  "-i", "eth0", "-w", path, "tcp")
        self.assertTrue(wait_for(lambda: "listening" in p.log(), 5))
        return p, path

    def test_handshakes_of_the_lab(self):
        """Kernel clients and hand-made ones; each cookie as `cookie check` reads it, proven."""
        key = self.lab.new_key()
        self.lab.serve(lambda s, events: s.recv(10))
        self.lab.guard("--key-file", key, listen=(endpoint(VICTIM4, 80), endpoint(VICTIM6, 80)))
        tcpdump, path = self.capture()
        wire = self.wire()
        opened = 0
        for addr in (VICTIM4, VICTIM6):
            self.lab.client.connect(addr, 80).close()
            opened += 1
            for options in self.OFFERS:
                client = RawClient(wire, addr, options=options)
                self.assertIsNotNone(client.open(), options)
                opened += 1
        wait_for(lambda: False, 0.3)
        tcpdump.stop(2)
        frames = Tshark(self).frames(path)
        acks = [f for f in frames.values() if f["kind"] == "ack"]
        self.assertEqual(len({f["synack"] for f in acks}), opened)
        self.assertEqual({frames[int(f["synack"])]["kind"] for f in acks}, {"syn-ack"})
        lines = subprocess.run(
            ["tshark", "-n", "-r", path, "-T", "fields", "-e", "frame.number", "-e", "ip.src", "-e",
             "ipv6.src", "-e", "tcp.srcport", "-e", "tcp.seq_raw", "-e", "tcp.ack_raw", "-e",
             "tcp.options.timestamp.tsecr"], capture_output=True, text=True, check=True).stdout
        at = {int(row[0]): row for row in (line.split("\t") for line in lines.splitlines())}
        checked = 0
        for number, got in frames.items():
            if got["kind"] != "ack":
                continue
            _, v4, v6, port, seq, ack, tsecr = at[number]
            argv = check_argv(endpoint(v4 or v6, port), endpoint(VICTIM4 if v4 else VICTIM6, 80),
                              seq, ack, tsecr or None)
            self.same(got, argv + ["-k", key], proven=True)
            made = frames[int(got["synack"])]
            for name in ("form", "isn", "tsval", "mac", "epoch_parity", "mss", "wscale"):
                self.assertEqual(made.get(name), got.get(name), (number, name))
            self.assertIn(made["ack"], {str(n) for n, f in frames.items()
                                        if f.get("synack") == got["synack"]})
            checked += 1
        self.assertGreaterEqual(checked, opened)
        self.profile(path, frames)

    def profile(self, path, frames):
        """The profile's columns hold the dissector's sentences and absolute numbers."""
        tshark = Tshark(self, profile=True)
        out = tshark.run(path, "-T", "fields", "-e", "frame.number", "-e", "_ws.col.Why", "-e",
                         "_ws.col.Info")
        seen = 0
        for number, why, info in (line.split("\t") for line in out.splitlines()):
            got = frames.get(int(number))
            self.assertEqual(why, got["why"] if got else "")
            if got and got["kind"] == "syn-ack":
                self.assertIn(f"Seq={int(got['isn'], 0)} ", info)
                seen += 1
        self.assertGreater(seen, 10)
        with open(os.path.join(CONF, "profiles", "synward", "colorfilters"), encoding="utf-8") as f:
            filters = [line.split("@")[2] for line in f if line.startswith("@")]
        self.assertGreaterEqual(len(filters), 5)
        matches = [len(tshark.run(path, "-Y", text).splitlines()) for text in filters]
        self.assertEqual(matches[0], 0, "each cookie of this capture was returned")
        self.assertEqual(matches[1], sum(f["kind"] == "syn-ack" for f in frames.values()))
        self.assertEqual(matches[2], sum(f["kind"] == "ack" for f in frames.values()))


class Made(Checked):
    """Frames made by hand: every layout, and what is not a handshake."""

    def setUp(self):
        self.dir = self.enterContext(tempfile.TemporaryDirectory(prefix="synward-lua-"))
        self.path = os.path.join(self.dir, "made.pcap")
        self.port = 10000

    def handshake(self, isn, tsval=None, client=CLIENT4, server=VICTIM4, client_isn=1000, port=80,
                  data=b"", tsecr=None, syn=True):
        """SYN, SYN-ACK and ACK of one connection."""
        self.port += 1
        ts = tsval is not None
        offer = opt_mss(1460) + opt_wscale(7) + (opt_ts(7) if ts else b"")
        echo = tsval if tsecr is None else tsecr
        parts = (
            (client, server, self.port, port, client_isn, 0, SYN, offer),
            (server, client, port, self.port, isn, client_isn + 1, SYN | ACK,
             opt_mss(1460) + (opt_ts(tsval, 7) if ts else b"")),
            (client, server, self.port, port, client_isn + 1, isn + 1, ACK,
             opt_ts(8, echo) if ts else b""))
        return [ethernet(ip_packet(a, b, tcp_bytes(a, b, sp, dp, seq, ack, flags, options=opts,
                                                   payload=data if flags == ACK else b"")))
                for a, b, sp, dp, seq, ack, flags, opts in parts[0 if syn else 1:]]

    def frames(self, packets, *more, **kwargs):
        write_pcap(self.path, packets)
        return Tshark(self).frames(self.path, *more, **kwargs)

    def test_every_narrow_layout(self):
        for client, server, step in ((CLIENT4, VICTIM4, 1), (CLIENT6, VICTIM6, 5)):
            isns = [random.getrandbits(25) << 7 | data for data in range(0, 128, step)]
            self.compare(client, server, [(isn, None) for isn in isns])

    def test_wide_layouts(self):
        """Each value of each field, and random rest."""
        for client, server in ((CLIENT4, VICTIM4), (CLIENT6, VICTIM6)):
            datas = [i << 6 | 7 << 2 | 2 for i in range(8)] + [6 << 6 | j << 2 for j in range(16)]
            datas += [random.getrandbits(10) for _ in range(16)]
            self.compare(client, server, [(random.getrandbits(32), random.getrandbits(22) << 10 | d)
                                          for d in datas])

    def test_numbers_at_the_rim(self):
        self.compare(CLIENT4, VICTIM4, [(0xFFFFFFFF, 0xFFFFFFFF), (0, 0), (0x80000000, 1 << 31),
                                        (0xFFFFFFFF, None), (0, None)])

    def compare(self, client, server, cookies):
        first, packets = self.port + 1, []
        for isn, tsval in cookies:
            packets += self.handshake(isn, tsval, client, server)
        frames = self.frames(packets)
        self.assertEqual(len(frames), len(packets))
        for i, (isn, tsval) in enumerate(cookies):
            argv = check_argv(endpoint(client, first + i), endpoint(server, 80), 1001,
                              (isn + 1) & 0xFFFFFFFF, tsval)
            ack = frames[3 * i + 3]
            self.assertEqual(ack["kind"], "ack")
            self.same(ack, argv + ["-k", self.key()], proven=False)
            self.assertEqual(frames[3 * i + 2]["mac"], ack["mac"])

    def key(self):
        path = os.path.join(self.dir, "key")
        if not os.path.exists(path):
            text = subprocess.run([SYNWARD, "secret", "new"], capture_output=True,
                                  check=True).stdout
            with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as f:
                f.write(text)
        return path

    def test_which_ack(self):
        """Data with the same numbers returns the cookie, another TSecr proves nothing, other
        segments are left alone."""
        good = self.handshake(5, 1 << 20, data=b"GET /")
        stale = self.handshake(6, 1 << 20, tsecr=99)
        lost = self.handshake(7, 1 << 20)[:2]
        late = self.handshake(8, 1 << 20, syn=False)[1:]
        other = self.handshake(9, 1 << 20, port=8080)
        frames = self.frames(good + stale + lost + late + other)
        kinds = {n: f["kind"] for n, f in frames.items()}
        self.assertEqual(kinds, {1: "syn", 2: "syn-ack", 3: "ack", 4: "syn", 5: "syn-ack", 6: "ack",
                                 7: "syn", 8: "syn-ack", 9: "ack"})
        self.assertEqual(frames[2]["ack"], "3")
        self.assertIn("returns the cookie of frame 2", frames[3]["why"])
        self.assertIn("another TSecr: no proof", frames[6]["why"])
        self.assertNotIn("ack", frames[5])
        self.assertNotIn("ack", frames[8])
        self.assertIn("the SYN-ACK is not in the capture", frames[9]["why"])

    def test_a_late_copy_of_the_syn(self):
        """It comes behind the SYN-ACK, and the ACK still returns the cookie; a SYN with another
        number begins anew."""
        syn, synack, ack = self.handshake(5, 1 << 20)
        frames = self.frames([syn, synack, syn, ack])
        self.assertEqual([frames[n]["kind"] for n in sorted(frames)],
                         ["syn", "syn-ack", "syn", "ack"])
        self.assertEqual((frames[4]["synack"], frames[2]["ack"]), ("2", "4"))
        self.port -= 1
        other = self.handshake(5, 1 << 20, client_isn=5000)[0]
        self.assertEqual(set(self.frames([syn, synack, other, ack])), {1, 2, 3})

    def test_ports(self):
        packets = self.handshake(5) + self.handshake(6, port=8005) + self.handshake(7, port=443)
        for ports, want in (("80,443", {1, 2, 3, 7, 8, 9}), ("8000-8010", {4, 5, 6}),
                            ("443, 8005", {4, 5, 6, 7, 8, 9}), ("", set(range(1, 10))),
                            (" ", set(range(1, 10))), ("http", set()), ("70000", set()),
                            (",", set()), ("443,http", {7, 8, 9}),
                            ("81", set())):
            self.assertEqual(set(self.frames(packets, "-o", f"synward.ports:{ports}")), want, ports)

    def test_what_was_rounded_down(self):
        frames = self.frames(self.handshake(5, 2 << 6 | 7 << 2))
        self.assertIn("MSS 1460 becomes 1240", frames[2]["why"])

    def test_not_a_handshake(self):
        """Resets, segments that an ICMP message quotes, and frames cut anywhere."""
        packets = self.handshake(5, 77)
        quoted = packets[0][14:]
        icmp = struct.pack("!BBHI", 3, 13, 0, 0) + quoted
        packets.append(ethernet(ip_packet(VICTIM4, CLIENT4, icmp, proto=1)))
        packets.append(ethernet(ip_packet(CLIENT4, VICTIM4, tcp_bytes(
            CLIENT4, VICTIM4, 20000, 80, 1, 0, RST))))
        self.assertEqual(set(self.frames(packets)), {1, 2, 3})
        packets = [p[:n] for p in self.handshake(5, 77) + self.handshake(6, 7, CLIENT6, VICTIM6)
                   for n in range(14, len(p))]
        self.frames(packets)
        self.frames(packets, passes=1)

    def test_readme_fields(self):
        """Each field of the README is the dissector's, and the other way round."""
        with open(os.path.join(CONF, "README.md"), encoding="utf-8") as f:
            named = set(re.findall(r"`synward\.([a-z_]+)`", f.read())) - {"ports", "lua"}
        self.assertEqual(named, set(NAMES))


if __name__ == "__main__":
    main()
