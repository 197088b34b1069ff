# SPDX-License-Identifier: MIT
"""Unusual frames in front of the BPF answerer, in both modes that have it: each is answered, or
refused with its reason counted, and none is a way around the guard."""
import json
import signal
import struct
import time

import xdp
from case import LabCase, main, read
from frames import ACK, RST, SYN, RawClient, ethernet, ip_packet, tcp_bytes
from lab import VICTIM4, VICTIM6

DST_OPTS = 60
PAD = bytes.fromhex("010400000000")  # PadN, in a header of 8 bytes
BIG = b"\x1e\xfe" + bytes(254) + b"\x1e\4" + bytes(4)  # unknown options, in a header of 264 bytes


def echo(s, _events):
    while data := s.recv(65536):
        s.sendall(data)


def chain(n, last=6, body=PAD):
    """n destination options headers, the last one before TCP."""
    size = (len(body) + 2) // 8 - 1
    return b"".join(bytes((DST_OPTS if i < n - 1 else last, size)) + body for i in range(n))


class Shapes:
    """The cases.  start() makes the service and the guard in front of it."""

    def setUp(self):
        super().setUp()
        xdp.open_peer(self.lab)
        self.synward = self.start()
        self.net = self.wire()

    def client(self, dst=VICTIM4, **kwargs):
        return RawClient(self.net, dst, **kwargs)

    def works(self, c, **syn):
        self.assertTrue(c.syn(**syn), "no SYN-ACK")
        self.assertTrue(c.synack.checksum_ok)
        c.send(b"hello")
        self.assertEqual(c.read(5), b"hello")

    def syn_body(self, c):
        return tcp_bytes(c.src, c.dst, c.sport, c.dport, c.isn, 0, SYN, options=c.options)

    def unanswered(self, frame, c, reason):
        before = self.synward.counters()
        self.net.send(frame)
        self.assertIsNone(c.recv(0.3, lambda s: s.flags & SYN), "it was answered")
        after = self.synward.counters()
        self.assertEqual(after["reason_" + reason] - before["reason_" + reason], 1, after - before)
        self.assertEqual(after["handed"], before["handed"])

    def test_syn_with_payload(self):
        for dst in (VICTIM4, VICTIM6):
            c = self.client(dst)
            self.works(c, payload=b"x" * 120)
        self.assertEqual(self.synward.counters()["xdp_answered"], 2)

    def test_hping3_with_payload(self):
        flooding = self.lab.hping3(2, "-d", "120", "-w", "64")
        flooding.wait(10)
        self.assertGreater(self.synward.counters()["xdp_answered"], 1000)
        self.assertEqual(self.lab.victim.nstat("TcpExt.SyncookiesSent"), 0)

    def test_syn_without_options(self):
        for dst in (VICTIM4, VICTIM6):
            c = self.client(dst, options=b"")
            self.works(c)
            self.assertEqual(set(c.peer), {"mss"})

    def test_without_df(self):
        self.works(self.client(df=False))

    def test_first_fragments(self):
        for dst, make in ((VICTIM4, lambda c: ip_packet(c.src, c.dst, self.syn_body(c), df=False,
                                                        more=True)),
                          (VICTIM6, lambda c: ip_packet(c.src, c.dst, self.syn_body(c), extension=(
                              44, struct.pack("!BBHI", 6, 0, 1, 99))))):
            c = self.client(dst)
            self.unanswered(ethernet(make(c)), c, "fragment")

    def test_extension_headers(self):
        for n in (1, 2, 6):
            c = self.client(VICTIM6)
            self.net.send(ethernet(ip_packet(c.src, c.dst, self.syn_body(c),
                                             extension=(DST_OPTS, chain(n)))))
            self.assertTrue(c.recv(1, lambda s: s.flags & SYN), n)
        # As far as the programs look: on the SYN and on the ACK.
        c = self.client(VICTIM6, extension=(DST_OPTS, chain(2, body=BIG)))
        self.works(c)

    def test_too_many_extension_headers(self):
        """The kernel would follow them to its listener."""
        c = self.client(VICTIM6)
        for n in (7, 9):
            self.unanswered(ethernet(ip_packet(c.src, c.dst, self.syn_body(c), extension=(
                DST_OPTS, chain(n)))), c, "ext_headers")

    def test_fragment_that_hides_the_ports(self):
        """The headers before TCP begin in the first fragment."""
        c = self.client(VICTIM6)
        whole = chain(1) + self.syn_body(c)
        for at, more in ((0, 1), (8, 0)):
            part = whole[:8] if more else whole[8:]
            extra = struct.pack("!BBHI", DST_OPTS, 0, at | more, 99)
            self.net.send(ethernet(ip_packet(c.src, c.dst, part, extension=(44, extra))))
        self.assertIsNone(c.recv(0.5, lambda s: s.flags & SYN), "it was answered")
        self.assertEqual(self.synward.counters()["reason_fragment"], 1)

    def test_stacked_tags(self):
        """The kernel strips any number of tags with VLAN 0, and would give the SYN to its listener."""
        for dst in (VICTIM4, VICTIM6):
            for n in (4, 9):
                c = self.client(dst)
                frame = c.frame(SYN, c.isn, options=c.options)
                self.unanswered(frame[:12] + b"\x81\0\0\0" * n + frame[12:], c, "vlan_tag")

    def test_big_requests_behind_the_ack(self):
        """They come as GRO frames of up to 64 KiB."""
        for addr in (VICTIM4, VICTIM6):
            for _ in range(50):
                with self.lab.client.connect(addr, 80) as s:
                    s.settimeout(5)
                    s.sendall(b"x" * 100_000)
                    self.assertEqual(len(read(s, 100_000)), 100_000)

    def test_tag_in_the_frame(self):
        self.lab.router.run("ethtool", "-K", "v0", "txvlan", "off")
        for dst in (VICTIM4, VICTIM6):
            c = self.client(dst)
            self.assertTrue(c.syn(vlan=5))
            self.assertEqual(c.synack.vlan, 5)
        self.assertEqual(self.synward.counters()["xdp_answered"], 2)

    def test_priority_tag(self):
        """Tag 0: the network is the untagged one."""
        c = self.client()
        self.assertTrue(c.syn(vlan=3 << 13))

    def test_stall(self):
        """User space is stopped; BPF goes on by itself."""
        self.synward.send(signal.SIGSTOP)
        time.sleep(3)
        for dst in (VICTIM4, VICTIM6):
            self.assertTrue(self.client(dst).syn(), "no SYN-ACK")
        self.while_stopped()
        self.synward.send(signal.SIGCONT)
        self.works(self.client())


class Offload(Shapes, LabCase):
    def start(self):
        self.lab.serve(echo)
        for addr in (VICTIM4, VICTIM6):  # what gets around the guard would be answered
            self.lab.serve(echo, addr, 80)
        return self.lab.guard("--offload", "xdp", listen=(f"{VICTIM4}:80", f"[{VICTIM6}]:80"))

    def while_stopped(self):
        """The packet threads are stopped too."""

    def test_hidden_tag(self):
        """veth takes the tag out of the frame: the front end, which is told, answers."""
        c = self.client()
        self.assertTrue(c.syn(vlan=5))
        self.assertEqual(c.synack.vlan, 5)
        self.assertEqual(self.synward.counters()["xdp_answered"], 0)


class Transparent(Shapes, LabCase):
    def start(self):
        for addr in (VICTIM4, VICTIM6):
            self.lab.serve(echo, addr, 80)
        return self.lab.guard("--transparent", listen=(f"{VICTIM4}:80", f"[{VICTIM6}]:80"),
                              upstream=())

    def while_stopped(self):
        self.works(self.client())
        self.works(self.client(VICTIM6))

    def test_hidden_tag(self):
        c = self.client()
        self.unanswered(c.frame(SYN, c.isn, options=c.options, vlan=5), c, "vlan_tag")

    def test_long_extension_headers(self):
        """They end beyond what the programs look at; the kernel would follow them to its listener."""
        c = self.client(VICTIM6)
        self.unanswered(ethernet(ip_packet(c.src, c.dst, self.syn_body(c), extension=(
            DST_OPTS, chain(5, body=BIG)))), c, "short")

    def test_replay(self):
        """A captured ACK opens no connection a second time."""
        for dst in (VICTIM4, VICTIM6):
            c = self.client(dst)
            self.assertTrue(c.syn())
            ack, data = c.segment(), c.segment(b"hello")
            self.net.send(ack)
            self.net.send(data)
            c.seq += 5
            self.assertEqual(c.read(5), b"hello")
            c.send(flags=RST | ACK)
            time.sleep(0.1)
            opened = self.lab.victim.nstat("Tcp.PassiveOpens")
            before = self.synward.counters()
            for frame in (ack, data) * 3:
                self.net.send(frame)
            time.sleep(0.2)
            after = self.synward.counters()
            self.assertEqual(self.lab.victim.nstat("Tcp.PassiveOpens"), opened, "a zombie")
            self.assertEqual(after["reason_duplicate"] - before["reason_duplicate"], 6)
            self.assertEqual(after["handed"], before["handed"])

    def test_syn_that_misses_xdp(self):
        """With the XDP program forced away, the listener still sees no SYN."""
        eth0 = json.loads(self.lab.victim.run("ip", "-j", "-d", "link", "show", "eth0").stdout)[0]
        links = json.loads(self.lab.victim.run("bpftool", "-j", "link", "show").stdout)
        mine = [x["id"] for x in links if x.get("prog_id") == eth0["xdp"]["prog"]["id"]]
        self.assertEqual(len(mine), 1)
        self.lab.victim.run("bpftool", "link", "detach", "id", str(mine[0]))
        c = self.client()
        self.unanswered(c.frame(SYN, c.isn, options=c.options), c, "around_xdp")

    def test_accept_queue_full_under_big_requests(self):
        """Segments behind an ACK that found no place are not reset: they come again."""
        listener = self.lab.victim.listen(VICTIM4, 81, backlog=1)
        self.synward.stop()
        self.synward = self.lab.guard("--transparent", listen=(f"{VICTIM4}:81",), upstream=())
        clients = [self.lab.client.connect(VICTIM4, 81) for _ in range(6)]
        for s in clients:
            s.settimeout(10)
            s.sendall(b"x" * 5000)
        time.sleep(0.2)
        listener.settimeout(10)
        for _ in clients:
            s, _ = listener.accept()
            s.settimeout(10)
            self.assertEqual(len(read(s, 5000)), 5000)
            s.close()
        listener.close()
        for s in clients:
            self.assertEqual(s.recv(1), b"")
            s.close()
        self.assertGreater(self.synward.counters()["reason_queue_full"], 0)


if __name__ == "__main__":
    main()
