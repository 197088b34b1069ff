# SPDX-License-Identifier: MIT
"""`synward probe` from the client's namespace: what it says about ports whose owners are known,
what it sends, and what it leaves behind."""
import json
import os
import signal
import threading
import time
import zlib

from case import LabCase, main
from frames import ACK, FIN, RST, SYN, Wire, ethernet, ip_packet, parse, tcp_bytes
from lab import CLIENT4, MAC, SYNWARD, VICTIM4, VICTIM6, endpoint
from process import wait_for

STATES = """
    table inet states {
        chain input {
            type filter hook input priority 0
            tcp dport 81 drop
            tcp dport 82 reject with icmpx type admin-prohibited
            tcp dport 83 reject with tcp reset
            tcp dport 84 reject with icmpx type port-unreachable
        }
    }
"""

SYNPROXY = """
    table inet guard {
        chain syns_untracked {
            type filter hook prerouting priority raw
            tcp dport 80 tcp flags syn notrack
        }
        chain to_service {
            type filter hook input priority filter
            tcp dport 80 ct state { invalid, untracked } synproxy mss 1460 wscale 7 timestamp sack-perm
            ct state invalid drop
        }
    }
"""


OWN_FIREWALL = """
table inet own {{
    chain output {{
        type filter hook output priority 0
        tcp dport {port} drop
    }}
}}
"""
NOBODY = "198.51.100.88"  # leads to the victim's interface, but is nobody's address


class Responder:
    """Answers SYNs to NOBODY by hand: isn_of(segment, number) is the ISN, None for silence."""

    def __init__(self, case, isn_of, ack=lambda s: s.seq + 1, flags=SYN | ACK):
        self.isn_of, self.ack, self.flags, self.syns = isn_of, ack, flags, 0
        case.lab.client.run("ip", "neigh", "add", NOBODY, "lladdr", MAC["victim"], "dev", "eth0")
        self.wire = Wire(case.lab.victim)
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._loop)
        self.thread.start()
        case.addCleanup(self._end)

    def _end(self):
        self.over.set()
        self.thread.join()
        self.wire.close()

    def _loop(self):
        while not self.over.is_set():
            s = self.wire.recv(lambda s: s.dst == NOBODY and s.flags == SYN, 0.1)
            if not s:
                continue
            self.syns += 1
            isn = self.isn_of(s, self.syns)
            if isn is not None:
                body = tcp_bytes(NOBODY, s.src, s.dport, s.sport, isn, self.ack(s), self.flags)
                self.wire.send(ethernet(ip_packet(NOBODY, s.src, body), MAC["victim"],
                                        MAC["client"]))


class ProbeCase(LabCase):
    def probe(self, *args, ns=None, check=True):
        ns = ns or self.lab.client
        return ns.run(SYNWARD, "probe", *map(str, args), check=check, timeout=120)

    def ports(self, *args, **kwargs):
        """{port: what -j says about it}"""
        out = json.loads(self.probe("-j", *args, **kwargs).stdout)
        return {p["port"]: p for p in out["ports"]}

    def one(self, *args):
        return next(iter(self.ports(*args).values()))

    def listen(self, addr=VICTIM4, port=80):
        self.enterContext(self.lab.victim.listen(addr, port))

    def out_rsts(self):
        return self.lab.client.nstat("Tcp.OutRsts")

    def half_open(self):
        out = self.lab.victim.run("ss", "-tnH", "state", "syn-recv").stdout
        return len(out.splitlines())


class States(ProbeCase):
    def check(self, host, prohibited):
        self.listen(host)
        self.lab.victim.run("nft", "-f", "-", text=STATES)
        before = self.out_rsts()
        ports = self.ports("--timeout", "500ms", host, "80-83", "84,85")
        self.assertEqual({n: p["state"] for n, p in ports.items()},
                         {80: "open", 81: "filtered", 82: "filtered", 83: "closed",
                          84: "filtered", 85: "closed"})
        self.assertIn("silence", ports[81]["why"])
        self.assertIsNone(ports[81]["rtt_ms"])
        self.assertEqual((ports[82]["icmp"]["name"], ports[82]["icmp"]["from"]), (prohibited, host))
        self.assertIn("port unreachable", ports[84]["why"])
        self.assertIn("reset", ports[85]["why"])
        for n in (80, 82, 83, 84, 85):
            self.assertGreater(ports[n]["rtt_ms"], 0)
            self.assertLess(ports[n]["rtt_ms"], 500)
        self.assertEqual(self.out_rsts(), before, "the kernel spoke in the probe's place")
        self.assertTrue(wait_for(lambda: self.half_open() == 0, 1), "left half-open")
        return ports

    def test_ip4(self):
        ports = self.check(VICTIM4, "communication administratively prohibited")
        synack = ports[80]["synack"]
        self.assertEqual((synack["ttl"], synack["mss"], synack["sack"]), (64, 1460, True))
        self.assertIsInstance(synack["wscale"], int)
        self.assertIsInstance(synack["tsval"], int)

    def test_ip6(self):
        ports = self.check(VICTIM6, "administratively prohibited")
        synack = ports[80]["synack"]
        self.assertEqual((synack["ttl"], synack["mss"]), (64, 1440))

    def test_what_a_synack_says(self):
        """The numbers of the text are those on the wire, with options that the server lacks."""
        self.lab.victim.sysctl("net.ipv4.ip_default_ttl", 77)
        self.lab.victim.sysctl("net.ipv4.tcp_sack", 0)
        self.lab.victim.sysctl("net.ipv4.tcp_window_scaling", 0)
        self.listen()
        wire = self.wire()
        text = self.probe(VICTIM4, 80).stdout
        seen = wire.recv(lambda s: s.flags == SYN | ACK)
        self.assertIn(f"ttl 77, window {seen.window}, mss 1460\n", text)
        self.assertIn(f"isn 0x{seen.seq:08x}, tsval 0x{seen.options['ts'][0]:08x}", text)
        text = self.probe("--no-timestamps", VICTIM4, 80).stdout
        self.assertNotIn("tsval", text)

    def test_many_ports_are_a_summary(self):
        self.listen(VICTIM4, 1040)
        text = self.probe(VICTIM4, "1001-1060").stdout
        self.assertIn("60 ports: 1 open, 59 closed, 0 filtered, 0 unclear\n", text)
        self.assertIn("port 1040: open", text)
        self.assertNotIn("port 1041", text)

    def test_retry(self):
        """A lost SYN makes no filtered port when a retry is allowed."""
        responder = Responder(self, lambda s, n: 5 if n == 2 else None)
        got = self.one("--timeout", "300ms", "--retries", 1, NOBODY, 80)
        self.assertEqual((got["state"], responder.syns), ("open", 2))
        got = self.one("--timeout", "300ms", NOBODY, 80)
        self.assertEqual((got["state"], responder.syns), ("filtered", 3))

    def test_a_wrong_acknowledgement_is_no_answer(self):
        Responder(self, lambda s, n: 5, ack=lambda s: s.seq + 2)
        self.assertEqual(self.one("--timeout", "300ms", NOBODY, 80)["state"], "filtered")

    def test_an_old_connection(self):
        """A plain ACK answers no SYN: neither open nor closed."""
        Responder(self, lambda s, n: 5, flags=ACK)
        self.assertEqual(self.one("--timeout", "300ms", NOBODY, 80)["state"], "unclear")


class Isns(ProbeCase):
    """Who makes the ISNs.  Each owner of the port is set up as its own documentation says."""

    def kind(self, *args, again):
        got = self.one("--samples", 8, *args)
        self.assertEqual(got["state"], "open")
        isns = got["isns"]
        self.assertEqual(isns["retransmitted"], again, isns)
        self.assertEqual(len(isns["samples"]), 8)
        self.assertGreaterEqual(len(isns["why"]), 2)
        self.note(f"{isns['kind']}: " + "; ".join(isns["why"]))
        return isns["kind"]

    def both(self, want, *more, again=False):
        self.assertEqual(self.kind(*more, VICTIM4, 80, again=again), want)
        self.assertEqual(self.kind(*more, VICTIM6, 80, again=again), want)

    def listen_both(self):
        self.listen(VICTIM4)
        self.listen(VICTIM6)

    def guard(self, *more):
        self.lab.guard(*more, listen=(endpoint(VICTIM4, 80), endpoint(VICTIM6, 80)))

    def test_kernel(self):
        self.listen_both()
        before = self.out_rsts()
        self.both("clock-driven", again=True)
        self.assertEqual(self.out_rsts(), before)
        self.assertTrue(wait_for(lambda: self.half_open() == 0, 1), "left half-open")

    def test_kernel_without_timestamps(self):
        self.listen_both()
        self.both("clock-driven", "--no-timestamps", again=True)

    def test_kernel_cookies(self):
        self.listen_both()
        self.lab.victim.sysctl("net.ipv4.tcp_syncookies", 2)
        self.both("linux-cookie")

    def test_kernel_cookies_without_timestamps(self):
        self.listen_both()
        self.lab.victim.sysctl("net.ipv4.tcp_syncookies", 2)
        self.both("linux-cookie", "--no-timestamps")

    def test_synproxy(self):
        self.listen_both()
        self.lab.victim.run("nft", "-f", "-", text=SYNPROXY)
        self.lab.victim.sysctl("net.netfilter.nf_conntrack_tcp_loose", 0)
        # Not IPv6: nft's synproxy (Linux 6.18) checks its TCP checksums as if they were IPv4's
        # wherever the receiving interface has not done so, as on a veth.
        self.assertEqual(self.kind(VICTIM4, 80, again=False), "synproxy")

    def test_synward_wide(self):
        self.guard()
        self.both("synward-wide")

    def test_synward_narrow(self):
        self.guard()
        self.both("synward-narrow", "--no-timestamps")

    def test_synward_host_without_timestamps(self):
        """Offered or not, the SYN-ACK decides."""
        self.lab.victim.sysctl("net.ipv4.tcp_timestamps", 0)
        self.guard("--mac", "siphash-2-4")
        self.both("synward-narrow")

    def test_random(self):
        """A server that takes a fresh random ISN for each SYN."""
        Responder(self, lambda s, n: int.from_bytes(os.urandom(4), "big"))
        self.assertEqual(self.kind(NOBODY, 80, again=False), "random")

    def test_slow_clock(self):
        """RFC 6528's own clock: a step each 4 microseconds."""
        Responder(self, lambda s, n: (time.monotonic_ns() // 4000 + s.sport * 7919) & 0xFFFFFFFF)
        self.assertEqual(self.kind(NOBODY, 80, again=False), "clock-driven")

    def test_unknown_cookie(self):
        """A function of the SYN, but nobody's that is known."""
        Responder(self, lambda s, n: zlib.crc32(repr((s.sport, s.seq, s.options)).encode()))
        self.assertEqual(self.kind(NOBODY, 80, again=False), "cookie")

    def test_two_samples_are_too_few(self):
        self.listen_both()
        got = self.one("--samples", 2, VICTIM4, 80)
        self.assertEqual(got["isns"]["kind"], "undecided")
        self.assertIn("too few", got["isns"]["why"][-1])


class Manners(ProbeCase):
    def quiet_ports(self):
        return len(self.lab.client.run("ss", "-ltnH").stdout.splitlines())

    def start(self, *args):
        p = self.lab.client.spawn("probe", SYNWARD, "probe", *map(str, args))
        self.assertTrue(wait_for(lambda: self.half_open() > 0, 5), p.log())
        return p

    def test_rate(self):
        """One SYN a sample and one reset for each SYN-ACK, nothing else."""
        self.listen()
        wire = Wire(self.lab.victim)
        self.addCleanup(wire.close)
        wire.socket.setblocking(False)
        self.probe("--samples", 4, VICTIM4, "80,1001-1060")
        at = []
        while True:
            try:
                frame, control, _, _ = wire.socket.recvmsg(65536, 256)
            except BlockingIOError:
                break
            segment = parse(frame)
            if segment and segment.src == CLIENT4:
                at.append(segment.flags)
        self.assertEqual(at.count(SYN), 64)
        self.assertEqual(at.count(RST), 4)
        self.assertEqual(len(at), 68)

    def test_pace(self):
        """No more than 100 packets a second."""
        start = time.monotonic()
        self.probe(VICTIM4, "1001-1060")  # closed: nothing to wait for but the pace
        self.assertGreaterEqual(time.monotonic() - start, 59 * 0.01)

    def test_sigint_takes_back(self):
        self.listen()
        before = self.out_rsts()
        p = self.start("--samples", 8, VICTIM4, 80)
        self.assertEqual(self.quiet_ports(), 3)
        self.assertEqual(p.stop(signal.SIGINT), 1)
        self.assertIn("interrupted", p.log())
        self.assertTrue(wait_for(lambda: self.half_open() == 0, 0.5), "left half-open")
        self.assertEqual(self.out_rsts(), before)

    def resets(self, wire):
        """How many came in at the victim since @wire was opened."""
        n = 0
        while wire.recv(lambda s: s.src == CLIENT4 and s.flags == RST, 0.3):
            n += 1
        return n

    def interrupt(self, count):
        """Stop a probe that holds @count SYN-ACKs: seconds it took to end, resets that it sent."""
        responder = Responder(self, lambda s, n: n)
        p = self.lab.client.spawn("probe", SYNWARD, "probe", "--samples", "8", NOBODY,
                                  f"2001-{2000 + count}")
        self.assertTrue(wait_for(lambda: responder.syns == count, 10), p.log())
        wire = Wire(self.lab.victim)  # with room for the resets, since no SYN comes any more
        self.addCleanup(wire.close)
        start = time.monotonic()
        self.assertEqual(p.stop(signal.SIGINT), 1)
        return time.monotonic() - start, self.resets(wire)

    def test_sigint_keeps_the_pace(self):
        seconds, resets = self.interrupt(60)
        self.assertGreaterEqual(resets, 59)  # the last answer may still have been on its way
        self.assertGreaterEqual(seconds, (resets - 1) * 0.01)

    def test_sigint_has_an_end(self):
        """What would take longer than a second is the kernel's."""
        _, resets = self.interrupt(150)
        self.assertTrue(1 <= resets <= 101, resets)

    def test_a_failure_takes_back(self):
        """The second port cannot be sent to: the first does not stay half-open."""
        self.listen()
        self.lab.client.run("nft", "-f", "-", text=OWN_FIREWALL.format(port=81))
        wire = Wire(self.lab.victim)
        self.addCleanup(wire.close)
        out = self.probe("--samples", 8, VICTIM4, "80,81", check=False)
        self.assertEqual(out.returncode, 1)
        self.assertIn("cannot send to port 81", out.stderr)
        self.assertEqual(self.resets(wire), 1)
        self.assertEqual(self.half_open(), 0)

    def test_sigkill_leaves_nothing(self):
        """The kernel is silent while the probe lives, and answers for the ports right after."""
        self.listen()
        before = self.out_rsts()
        p = self.start("--samples", 8, VICTIM4, 80)
        self.assertEqual((self.quiet_ports(), self.out_rsts()), (3, before))
        p.stop(signal.SIGKILL)
        self.assertEqual(self.quiet_ports(), 0)
        # The SYN-ACK comes again after a second: no socket is in the way, so the kernel resets it.
        self.assertTrue(wait_for(lambda: self.out_rsts() == before + 1, 5))
        self.assertTrue(wait_for(lambda: self.half_open() == 0, 1))
        self.assertEqual(self.lab.client.run("nft", "list", "ruleset").stdout, "")
        self.assertEqual(self.lab.client.run("tc", "filter", "show", "dev", "eth0",
                                             "egress").stdout, "")

    def test_full(self):
        """A whole connection: three segments to open, FIN both ways, no reset."""
        def speaks(s, events):
            s.sendall(b"220 hello\r\n")
            events.append(s.recv(100))

        self.lab.serve(speaks, VICTIM4, 25, ns=self.lab.victim)
        server = self.lab.serve(lambda s, events: events.append(s.recv(100)), VICTIM6, 80)
        wire = self.wire()
        flags = []
        ports = self.ports("--full", VICTIM4, "25,26")
        while (seen := wire.recv(lambda s: 25 in (s.sport, s.dport), 0.3)):
            flags.append(seen.flags)
        conn = ports[25]["connection"]
        self.assertTrue(conn["connected"] and conn["spoke_first"] and conn["fin"], conn)
        self.assertEqual(conn["bytes"], 11)
        self.assertEqual(flags[0], SYN | ACK)
        self.assertTrue(any(f & FIN for f in flags), flags)
        self.assertFalse(any(f & RST for f in flags), flags)
        self.assertEqual(ports[25]["synack"]["mss"], 1460)
        self.assertEqual((ports[26]["state"], ports[26]["connection"]["connected"]),
                         ("closed", False))
        conn = self.one("--full", VICTIM6, 80)["connection"]
        self.assertFalse(conn["spoke_first"])
        self.assertTrue(conn["fin"])
        self.assertEqual(server.events, [b""])
        self.assertEqual(self.out_rsts(), 0)

    def test_own_host(self):
        """A host may look at itself, over the loopback."""
        self.listen("127.0.0.1")
        got = json.loads(self.probe("-j", "--samples", 4, "127.0.0.1", "80,81",
                                    ns=self.lab.victim).stdout)
        self.assertEqual([p["state"] for p in got["ports"]], ["open", "closed"])
        self.assertEqual(got["ports"][0]["isns"]["kind"], "clock-driven")
        self.assertEqual(got["source"], "127.0.0.1")

    def test_full_interrupted(self):
        """A signal ends the wait for the server's FIN, and what was seen is printed."""
        self.lab.serve(lambda s, events: time.sleep(30), VICTIM4, 25, ns=self.lab.victim)
        p = self.lab.client.spawn("probe", SYNWARD, "probe", "--full", VICTIM4, "25")
        time.sleep(0.5)
        start = time.monotonic()
        self.assertEqual(p.stop(signal.SIGTERM), 1)
        self.assertLess(time.monotonic() - start, 1)
        self.assertIn("port 25: open", p.log())

    def test_refusals(self):
        """What it does not do, it says before it sends anything."""
        before = self.lab.client.nstat("Ip.OutRequests")
        for args, word in (
                (["198.51.100.0/24", "80"], "one host at a time"),
                ([VICTIM4], "expected HOST and PORT"),
                ([VICTIM4, "0"], "is no port"),
                ([VICTIM4, "80-"], "is no port"),
                ([VICTIM4, "90-80"], "is no port"),
                ([VICTIM4, "65536"], "is no port"),
                ([VICTIM4, ","], "expected a port"),
                ([VICTIM4, "1-1025"], "more than 1024 ports"),
                (["--samples", "65", VICTIM4, "80"], "expected 1 to 64"),
                (["--samples", "8", "--full", VICTIM4, "80"], "--full leaves the SYN"),
                (["--timeout", "2", VICTIM4, "80"], "such as 2s"),
                (["--retries", "9", VICTIM4, "80"], "expected 0 to 5"),
                (["-4", "-6", VICTIM4, "80"], "exclude each other"),
                (["--flood", VICTIM4, "80"], "unknown option")):
            out = self.probe(*args, check=False)
            self.assertEqual((out.returncode, out.stdout), (2, ""), args)
            self.assertIn(word, out.stderr, args)
            self.assertIn("Try 'synward probe --help'.", out.stderr)
        for args, word in ((["224.0.0.1", "80"], "not the address of one host"),
                           (["255.255.255.255", "80"], "not the address of one host"),
                           (["ff02::1", "80"], "not the address of one host"),
                           (["0.0.0.0", "80"], "not the address of one host"),
                           (["-6", VICTIM4, "80"], VICTIM4)):
            out = self.probe(*args, check=False)
            self.assertEqual(out.returncode, 1, args)
            self.assertIn(word, out.stderr, args)
        self.assertEqual(self.lab.client.nstat("Ip.OutRequests"), before)

    def test_no_capability(self):
        out = self.lab.client.run("setpriv", "--reuid", "65534", "--clear-groups",
                                  "--inh-caps=-all", "--bounding-set=-all", SYNWARD, "probe",
                                  VICTIM4, "80", check=False)
        self.assertEqual(out.returncode, 77, out.stderr)
        self.assertIn("CAP_NET_RAW", out.stderr)

    def test_own_firewall(self):
        self.lab.client.run("nft", "-f", "-", text=OWN_FIREWALL.format(port=80))
        out = self.probe(VICTIM4, 80, check=False)
        self.assertEqual(out.returncode, 1)
        self.assertIn("a firewall of this host forbids it", out.stderr)

    def test_no_route(self):
        self.assertEqual(self.probe("203.0.113.1", 80, check=False).returncode, 1)

    def test_help(self):
        text = self.probe("--help").stdout
        self.assertLessEqual(len(text.splitlines()), 24)
        self.assertIn("Probe only hosts that you run or were asked to test", text)


if __name__ == "__main__":
    main()
