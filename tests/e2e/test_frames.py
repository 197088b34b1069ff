# SPDX-License-Identifier: MIT
"""Unusual frames, made by hand: what is answered, and what is refused with its reason."""
import random
import struct

from case import LabCase, main
from frames import (ACK, CWR, ECE, FIN, OPT_SACK, PSH, RST, SYN, URG, RawClient, ethernet,
                    ip_packet, linux_options, opt_mss, opt_ts, opt_wscale, tcp_bytes)
from lab import (CLIENT4, GHOST4, GHOST6, VICTIM4, VICTIM4B, VICTIM6, VICTIM6B, endpoint)
from process import wait_for



def echo(s, _events):
    while data := s.recv(65536):
        s.sendall(data)



class FramesCase(LabCase):
    def guard(self, *more, **kwargs):
        self.lab.serve(echo)
        kwargs.setdefault("listen", (f"{VICTIM4}:80", f"[{VICTIM6}]:80"))
        self.synward = self.lab.guard(*more, **kwargs)
        self.net = self.wire()
        return self.synward

    def client(self, dst=VICTIM4, **kwargs):
        return RawClient(self.net, dst, **kwargs)

    def converse(self, c, text=b"hello", **ip):
        """Data on the ACK comes back."""
        self.assertTrue(c.synack, "no SYN-ACK")
        self.assertTrue(c.synack.checksum_ok)
        self.assertEqual(c.synack.ack, (c.isn + 1) & 0xFFFFFFFF)
        c.send(text, **ip)
        self.assertEqual(c.read(len(text)), text)

    def works(self, c, **syn):
        c.syn(**syn)
        self.converse(c)

    def refused(self, frame, reason, c):
        """The frame is counted under its reason and not answered."""
        before = self.synward.counters()
        self.net.send(frame)
        self.assertIsNone(c.recv(0.3, lambda s: s.flags & SYN), "it was answered")
        after = self.synward.counters()
        self.assertEqual(after["reason_" + reason], before["reason_" + reason] + 1,
                         (reason, after - before))



class Answered(FramesCase):
    def setUp(self):
        super().setUp()
        self.guard()

    def test_plain(self):
        for dst in (VICTIM4, VICTIM6):
            self.works(self.client(dst))

    def test_syn_with_payload(self):
        """hping3 -d 120: the payload is not taken, and may come again."""
        for dst in (VICTIM4, VICTIM6):
            c = self.client(dst)
            c.syn(payload=b"x" * 120)
            self.converse(c, b"x" * 120)

    def test_syn_without_options(self):
        for dst in (VICTIM4, VICTIM6):
            c = self.client(dst, options=b"")
            self.works(c)
            self.assertEqual(set(c.peer), {"mss"})

    def test_hping3_shape(self):
        """ACK number not zero, window 512, no DF, and PSH and URG beside the SYN."""
        c = self.client(options=b"", window=512)
        self.net.send(c.frame(SYN | PSH | URG, c.isn, 0x12345678, df=False))
        c.synack = c.recv(1, lambda s: s.flags & SYN)
        self.assertEqual(c.synack.ack, c.isn + 1)

    def test_ecn_is_not_negotiated(self):
        for dst in (VICTIM4, VICTIM6):
            c = self.client(dst)
            self.works(c, flags=SYN | ECE | CWR)
            self.assertEqual(c.synack.flags, SYN | ACK)

    def test_without_df(self):
        self.works(self.client(df=False))

    def test_ip4_options(self):
        self.works(self.client(options=linux_options()), **{})
        c = self.client()
        # A router alert, 94 04 00 00, on every packet.
        body = tcp_bytes(c.src, c.dst, c.sport, 80, c.isn, 0, SYN, options=c.options)
        self.net.send(ethernet(ip_packet(c.src, c.dst, body, options=bytes.fromhex("94040000"))))
        self.assertTrue(c.recv(1, lambda s: s.flags & SYN))

    def test_ip6_extension_headers(self):
        c = self.client(VICTIM6)
        body = tcp_bytes(c.src, c.dst, c.sport, 80, c.isn, 0, SYN, options=c.options)
        # Hop-by-hop (0) with a PadN, then destination options (60), then TCP (6).
        extra = bytes.fromhex("3c00010400000000") + bytes.fromhex("0600010400000000")
        self.net.send(ethernet(ip_packet(c.src, c.dst, body, extension=(0, extra))))
        self.assertTrue(c.recv(1, lambda s: s.flags & SYN))

    def test_8021q(self):
        """The answer carries the tag."""
        for dst in (VICTIM4, VICTIM6):
            c = self.client(dst)
            self.assertTrue(c.syn(vlan=5))
            self.assertEqual(c.synack.vlan, 5)
            self.assertTrue(c.synack.checksum_ok)

    def test_8021q_priority(self):
        """Tag 0 with a priority: the network is the untagged one."""
        c = self.client()
        self.assertTrue(c.syn(vlan=3 << 13))
        self.assertEqual(c.synack.vlan, 3 << 13)

    def test_option_orders(self):
        """Any order and any padding; what was offered is answered, nothing else."""
        parts = {"mss": opt_mss(1460), "sack": OPT_SACK, "ts": opt_ts(77), "wscale": opt_wscale(9)}
        rng = random.Random(1)
        for _ in range(30):
            names = rng.sample(sorted(parts), rng.randint(0, 4))
            options = b"".join(parts[n] for n in names)
            if rng.random() < 0.5 and len(options) < 36:
                options = b"\1\1\1\1" + options
            with self.subTest(names=names):
                c = self.client(options=options)
                self.works(c)
                self.assertEqual(set(c.peer), set(names) | {"mss"})
                if "ts" in names:
                    self.assertEqual(c.peer["ts"][1], 77)

    def test_window_scale_is_applied(self):
        """The client's window is what it says, scaled: 64 KiB in a window of 1 << 14."""
        c = self.client(options=linux_options(wscale=14), window=4)
        c.syn()
        c.send(b"x" * 1400)
        self.assertEqual(c.read(1400), b"x" * 1400)

    def test_two_syns_get_the_same_kind_of_answer(self):
        """A SYN that comes again is answered again, and either answer opens the connection."""
        c = self.client()
        first = c.syn()
        second = c.syn()
        self.assertTrue(first and second)
        c.ack, c.ts_recent = first.seq + 1, first.options["ts"][0]
        c.send(b"hello")
        self.assertEqual(c.read(5), b"hello")

    def test_duplicate_ack(self):
        """The same ACK again is no second connection and no reset."""
        c = self.client()
        c.syn()
        ack = c.segment(b"hello")
        for _ in range(3):
            self.net.send(ack)
        c.seq += 5
        self.assertEqual(c.read(5), b"hello")
        self.assertIsNone(c.recv(0.3, lambda s: s.flags & RST))
        self.assertEqual(self.synward.counters()["relay_accepted"], 1)

    def test_lost_ack(self):
        """The ACK is lost; the data segment behind it proves the cookie as well."""
        c = self.client()
        c.syn()
        self.converse(c, b"the ACK before this was lost")

    def test_fin_on_the_ack(self):
        """A client that sends its request and FIN at once still gets its answer."""
        c = self.client()
        c.syn()
        c.send(b"hello", ACK | FIN)
        self.assertEqual(c.read(5), b"hello")



class Refused(FramesCase):
    def setUp(self):
        super().setUp()
        self.guard()

    def test_flags(self):
        for flags in (SYN | FIN, SYN | RST, SYN | FIN | RST):
            c = self.client()
            self.refused(c.frame(flags, c.isn, options=c.options), "bad_flags", c)
        c = self.client()
        self.refused(c.frame(SYN | ACK, c.isn, 1, options=c.options), "syn_ack", c)
        for flags in (0, FIN, PSH | URG):
            self.refused(c.frame(flags, c.isn), "no_ack", c)

    def test_fragments(self):
        c = self.client()
        body = tcp_bytes(c.src, c.dst, c.sport, 80, c.isn, 0, SYN, options=c.options)
        first = ethernet(ip_packet(c.src, c.dst, body, df=False, more=True))
        self.refused(first, "fragment", c)
        c = self.client(VICTIM6)
        body = tcp_bytes(c.src, c.dst, c.sport, 80, c.isn, 0, SYN, options=c.options)
        head = struct.pack("!BBHI", 6, 0, 1, 99)  # TCP follows, more fragments
        self.refused(ethernet(ip_packet(c.src, c.dst, body, extension=(44, head))), "fragment", c)

    def test_checksums(self):
        c = self.client()
        frame = bytearray(c.frame(SYN, c.isn, options=c.options))
        frame[14 + 20 + 16] ^= 0x55
        self.refused(bytes(frame), "bad_tcp_checksum", c)

    def test_sources_no_host_has(self):
        for src in ("127.0.0.1", "0.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"):
            with self.subTest(src=src):
                c = self.client(src=src)
                self.refused(c.frame(SYN, c.isn, options=c.options), "martian", c)
        for src in ("::1", "::", "ff02::1"):
            with self.subTest(src=src):
                c = self.client(VICTIM6, src=src)
                self.refused(c.frame(SYN, c.isn, options=c.options), "martian", c)

    def test_land(self):
        c = self.client(src=VICTIM4, sport=80)
        self.refused(c.frame(SYN, c.isn, options=c.options), "land", c)

    def test_port_zero(self):
        c = self.client(sport=1)
        c.sport = 0
        self.refused(c.frame(SYN, c.isn, options=c.options), "port_zero", c)

    def test_forged_ack(self):
        c = self.client()
        c.syn()
        c.ack ^= 1 << 7
        self.refused(c.segment(b"x"), "cookie_forged", c)

    def test_every_bit_of_the_cookie(self):
        """A valid ACK with one bit changed, for each bit of the ISN and of the timestamp."""
        for bit in range(64):
            c = self.client()
            self.assertTrue(c.syn())
            if bit < 32:
                c.ack ^= 1 << bit
            else:
                c.ts_recent ^= 1 << (bit - 32)
            self.net.send(c.segment(b"x"))
        reasons = ["reason_cookie_" + why for why in ("forged", "expired", "future")]
        # The last one may still be on its way.
        wait_for(lambda: sum(map(self.synward.counters().__getitem__, reasons)) == 64, 3, 0.05)
        counters = self.synward.counters()
        self.assertEqual(counters["handed"], 0, counters)
        self.assertEqual(sum(counters[why] for why in reasons), 64, counters)

    def test_other_tuple(self):
        """A cookie is good for its own addresses and ports only."""
        c = self.client()
        c.syn()
        for change in ({"src": "198.51.100.78"}, {"sport": c.sport ^ 1}):
            other = self.client(**{"src": c.src, "sport": c.sport, **change})
            other.seq, other.ack, other.peer, other.ts_recent = c.seq, c.ack, c.peer, c.ts_recent
            self.refused(other.segment(b"x"), "cookie_forged", c)
        self.converse(c)

    def test_an_unproven_ack_is_reset(self):
        """As RFC 9293 asks, within a rate: a client whose connection is unknown learns of it."""
        c = self.client()
        c.seq, c.ack = 1000, 2000
        self.net.send(c.segment(b"x"))
        rst = c.recv(1)
        self.assertTrue(rst and rst.flags & RST)
        self.assertEqual(rst.seq, 2000)



class RefuseRate(FramesCase):
    def test_none(self):
        self.guard("--refuse-rate", "0")
        c = self.client()
        c.seq, c.ack = 1000, 2000
        self.net.send(c.segment(b"x"))
        self.assertIsNone(c.recv(0.5))



class Addresses(FramesCase):
    def reaches(self, addr, port):
        with self.lab.client.connect(addr, port) as s:
            s.sendall(b"hello")
            self.assertEqual(s.recv(5), b"hello")

    def unreachable(self, addr, port):
        with self.assertRaises(ConnectionRefusedError):
            self.lab.client.connect(addr, port).close()

    def test_several(self):
        self.guard(listen=[endpoint(a, p) for a in (VICTIM4, VICTIM6) for p in (80, 443, 8443)])
        for addr in (VICTIM4, VICTIM6):
            for port in (80, 443, 8443):
                self.reaches(addr, port)
            self.unreachable(addr, 81)
        self.unreachable(VICTIM4B, 80)
        self.unreachable(VICTIM6B, 80)

    def test_wildcards(self):
        self.guard(listen=("0.0.0.0:80", "[::]:80"))
        for addr in (VICTIM4, VICTIM4B, VICTIM6, VICTIM6B):
            self.reaches(addr, 80)
            self.unreachable(addr, 81)

    def test_wildcard_takes_only_local_addresses(self):
        """What a router forwards to other hosts is theirs."""
        self.lab.victim.sysctl("net.ipv4.ip_forward", 1)
        self.lab.victim.sysctl("net.ipv6.conf.all.forwarding", 1)
        self.guard(listen=("0.0.0.0:80", "[::]:80"))
        for dst in ("203.0.113.9", "2001:db8:9::9"):
            c = self.client(dst, src=GHOST6 if ":" in dst else GHOST4)
            self.assertIsNone(c.syn(seconds=0.5))

    def test_frames_for_other_stations(self):
        """A promiscuous interface sees them, and the kernel's TCP leaves them alone."""
        self.lab.victim.run("ip", "link", "set", "eth0", "promisc", "on")
        self.guard()
        for station in ("02:00:00:00:00:99", "ff:ff:ff:ff:ff:ff"):
            for dst in (VICTIM4, VICTIM6):
                with self.subTest(station=station, dst=dst):
                    c = self.client(dst)
                    body = tcp_bytes(c.src, dst, c.sport, 80, c.isn, 0, SYN, options=c.options)
                    self.net.send(ethernet(ip_packet(c.src, dst, body), dst=station))
                    self.assertIsNone(c.recv(0.3, lambda s: s.flags & SYN), "it was answered")

    def test_one_family_only(self):
        self.guard(listen=(f"[{VICTIM6}]:80",))
        self.reaches(VICTIM6, 80)
        self.unreachable(VICTIM4, 80)

    def test_loopback(self):
        """Also a way to try it out: --interface lo.  With these two settings the kernel takes
        IPv4 packets from itself to itself that it did not route on the way out."""
        for name in ("route_localnet", "accept_local"):
            self.lab.victim.sysctl("net.ipv4.conf.lo." + name, 1)
        self.lab.serve(echo)
        self.lab.start_synward("run", "--interface", "lo", "--listen", "127.0.0.1:80", "--listen",
                               "[::1]:80", "--upstream", "127.0.0.1:8080")
        for addr in ("127.0.0.1", "::1"):
            with self.lab.victim.connect(addr, 80) as s:
                s.sendall(b"hello")
                self.assertEqual(s.recv(5), b"hello")

    def test_other_ports_of_the_host_are_untouched(self):
        """Also one with a plain listener on the guarded port of another address."""
        self.guard()
        self.lab.serve(echo, VICTIM4B, 80)
        self.reaches(VICTIM4B, 80)
        self.assertEqual(self.synward.counters()["frames"], 0)

    def test_established_connections_of_a_listener_live_on(self):
        """The guard is put over a port that is in use: what was accepted before stays."""
        self.lab.serve(echo, VICTIM4, 80)
        with self.lab.client.connect(VICTIM4, 80) as s:
            self.guard()
            for _ in range(10):
                s.sendall(b"still there")
                self.assertEqual(s.recv(20), b"still there")
            self.reaches(VICTIM4, 80)
        self.assertEqual(self.synward.counters()["handed"], 1)

    def test_siphash(self):
        self.guard("--mac", "siphash-2-4")
        for addr in (VICTIM4, VICTIM6):
            self.reaches(addr, 80)
            self.works(self.client(addr))
            self.works(self.client(addr, options=b""))

    def test_clients_seen_by_the_relay_are_real(self):
        """The accepted socket has the client's address and port."""
        self.guard()
        with self.lab.client.connect(VICTIM4, 80) as s:
            port = s.getsockname()[1]
            s.sendall(b"hello")
            self.assertEqual(s.recv(5), b"hello")
            self.assertTrue(self.lab.victim.ss(f"dst {CLIENT4} and dport = :{port}"))



if __name__ == "__main__":
    main()
