# SPDX-License-Identifier: MIT
"""--transparent: unmodified services accept() connections that BPF proved."""
import itertools
import os
import signal
import socket
import subprocess
import time

import flood
import xdp
from case import LabCase, main
from lab import BUILD, Lab, VICTIM4, VICTIM6, wait_for

FETCHES = 200
SETTINGS = ("tcp_timestamps", "tcp_sack", "tcp_window_scaling")


def echo(s, _events):
    while data := s.recv(65536):
        s.sendall(data)


class Transparent(LabCase):
    def setUp(self):
        super().setUp()
        xdp.open_peer(self.lab)

    def transparent(self, *more, listen=(f"{VICTIM4}:80", f"[{VICTIM6}]:80"), **kwargs):
        return self.lab.guard("--transparent", *more, listen=listen, upstream=(), **kwargs)

    def talks(self, addr=VICTIM4, port=80):
        with self.lab.client.connect(addr, port) as s:
            s.settimeout(5)
            s.sendall(b"hello")
            return s.recv(5) == b"hello"

    def test_both_families_and_macs(self):
        for addr in (VICTIM4, VICTIM6):
            self.lab.serve(echo, addr, 80)
        for mac in ("hmac-sha256", "siphash-2-4"):
            opened = self.lab.victim.nstat("Tcp.PassiveOpens")
            synward = self.transparent("--mac", mac)
            self.assertTrue(xdp.modes(self.lab)[1].startswith("sw_answer"))
            self.assertIn("SYNs are answered at XDP on eth0, native mode\n", synward.log())
            for addr in (VICTIM4, VICTIM6):
                for _ in range(50):
                    self.assertTrue(self.talks(addr))
            counters = synward.counters()
            self.assertEqual((counters["xdp_answered"], counters["handed"]), (100, 100))
            self.assertEqual(self.lab.victim.nstat("Tcp.PassiveOpens") - opened, 100)
            synward.stop()
            self.assertIsNone(xdp.modes(self.lab))

    def test_wildcard_and_reuseport(self):
        listeners = []
        for _ in range(3):
            s = self.lab.victim.socket(socket.AF_INET6, socket.SOCK_STREAM)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            s.bind(("::", 80))
            s.listen(100)
            listeners.append(s)
        self.transparent(listen=("0.0.0.0:80", "[::]:80"))
        for addr in (VICTIM4, VICTIM6):
            for _ in range(30):
                self.lab.client.connect(addr, 80).close()
        got = []
        for s in listeners:
            s.settimeout(0.2)
            try:
                while True:
                    s.accept()[0].close()
                    got.append(s)
            except TimeoutError:
                pass
            s.close()
        self.assertEqual(len(got), 60)
        self.assertGreater(len(set(got)), 1, "the group was not used")

    def test_service_comes_and_goes(self):
        """Without a listener the kernel refuses, as ever; with one again it works again."""
        self.transparent()
        for _ in range(3):
            with self.assertRaises(ConnectionRefusedError):
                self.lab.client.connect(VICTIM4, 80)
            server = self.lab.serve(echo, VICTIM4, 80)
            self.assertTrue(self.talks())
            server.close()

    def test_unguarded_port(self):
        self.lab.serve(echo, VICTIM4, 81)
        self.transparent()
        self.assertTrue(self.talks(port=81))
        with self.assertRaises(ConnectionRefusedError):
            self.lab.client.connect(VICTIM4, 82)

    def test_accept_queue_full(self):
        """What found no place in the accept queue comes in when it drains."""
        listener = self.lab.victim.listen(VICTIM4, 80, backlog=1)
        self.transparent(listen=(f"{VICTIM4}:80",))
        clients = [self.lab.client.connect(VICTIM4, 80) for _ in range(6)]
        for i, s in enumerate(clients):
            s.sendall(b"%d" % i)
        time.sleep(0.1)
        self.assertGreater(self.lab.victim.nstat("TcpExt.ListenOverflows"), 0)
        listener.settimeout(5)
        seen = set()
        while len(seen) < len(clients):
            c, _ = listener.accept()
            c.settimeout(5)
            seen.add(c.recv(1))
            c.close()
        listener.close()
        for s in clients:
            s.close()

    def test_survives_hping3(self):
        self.lab.nginx(f"{VICTIM4}:80")
        synward = self.transparent("--mac", "siphash-2-4", listen=(f"{VICTIM4}:80",))
        flooding = self.lab.hping3(15)
        time.sleep(1)
        result = self.lab.load(VICTIM4, 80, "--http", "/", "--count", FETCHES, "--concurrency",
                               FETCHES, "--interval", 25_000, "--timeout", 3000)
        self.assertTrue(flooding.alive())
        flooding.stop()
        self.assertAll(result, FETCHES)
        self.assertGreater(synward.counters()["xdp_answered"], 50_000)
        self.note(f"connect p50 {result['connect_us']['p50']} us, "
                  f"p99 {result['connect_us']['p99']} us")

    def test_ack_flood(self):
        """Refused at XDP but for the budget; nothing is opened."""
        self.lab.nginx(f"{VICTIM4}:80")
        synward = self.transparent("--mac", "siphash-2-4", listen=(f"{VICTIM4}:80",))
        flooding = self.lab.trafgen(20, 300_000, flood.tcp("ack", flood.TIMESTAMPS))
        self.assertEqual(flooding.wait(30), 0, flooding.log())
        counters = synward.counters()
        self.assertEqual(counters.get("handed", 0), 0)
        self.assertGreater(counters["xdp_dropped"], 200_000, counters)
        self.assertTrue(self.lab.load(VICTIM4, 80, "--http", "/", "--count", 10)["ok"] == 10)

    def test_sigkill_leaves_nothing(self):
        self.lab.nginx(f"{VICTIM4}:80")
        synward = self.transparent(listen=(f"{VICTIM4}:80",))
        self.assertIsNotNone(xdp.modes(self.lab))
        synward.send(signal.SIGKILL)
        synward.popen.wait()
        self.assertTrue(wait_for(lambda: xdp.modes(self.lab) is None, 1))
        self.assertEqual(self.lab.load(VICTIM4, 80, "--http", "/", "--count", 10)["ok"], 10)

    def refused(self, *args, code, says):
        p = self.lab.guard("--transparent", *args, listen=(f"{VICTIM4}:80",), upstream=(),
                           ready=False)
        self.assertEqual(p.wait(10), code, p.log())
        self.assertIn(says, p.log())
        self.assertEqual(len([line for line in p.log().splitlines() if line]), 1, p.log())

    def test_syncookies_off(self):
        self.lab.victim.sysctl("net.ipv4.tcp_syncookies", 0)
        self.refused(code=78, says="net.ipv4.tcp_syncookies is 0")

    def test_mptcp_listener(self):
        """The kernel gives it no proven handshakes, on its address or on every address."""
        for family, addr in ((socket.AF_INET, VICTIM4), (socket.AF_INET, "0.0.0.0"),
                             (socket.AF_INET6, "::")):
            with self.subTest(addr=addr):
                with self.lab.victim.socket(family, socket.SOCK_STREAM, socket.IPPROTO_MPTCP) as s:
                    s.bind((addr, 80))
                    s.listen(5)
                    self.refused(code=78, says=f"an MPTCP socket listens on {VICTIM4}:80")
        self.lab.serve(echo, VICTIM4, 80)
        self.transparent(listen=(f"{VICTIM4}:80",))
        self.assertTrue(self.talks())

    def test_warnings(self):
        """One line for each address without a listener, and one for the veth."""
        self.lab.serve(echo, VICTIM6, 80)
        synward = self.transparent(listen=(f"{VICTIM4}:80", f"[{VICTIM6}]:80", "0.0.0.0:81"))
        lines = [line for line in synward.log().splitlines() if "warning" in line]
        self.assertEqual(len(lines), 3, lines)
        for line, says in zip(lines, (f"nothing listens on {VICTIM4}:80", "on 0.0.0.0:81",
                                      "eth0 is a veth")):
            self.assertIn(says, line)

    def test_listener_in_another_namespace(self):
        with self.lab.client.socket(socket.AF_INET) as s:
            s.bind(("0.0.0.0", 80))
            s.listen(5)
            synward = self.transparent(listen=(f"{VICTIM4}:80",))
            self.assertIn(f"nothing listens on {VICTIM4}:80 in this network namespace",
                          synward.log())

    def test_another_xdp_program(self):
        obj = os.path.join(BUILD, "bench", "pass.bpf.o")
        self.lab.victim.run("ip", "link", "set", "eth0", "xdp", "obj", obj, "sec", "xdp.frags")
        self.refused(code=1, says="has an XDP program already: lab_pass")
        self.assertEqual(xdp.modes(self.lab)[1], "lab_pass")
        self.lab.victim.run("ip", "link", "set", "eth0", "xdp", "off")

    def test_guarded_already(self):
        self.transparent(listen=(f"{VICTIM4}:80",))
        self.refused(code=1, says="is guarded by another synward")

    def test_sshd_style_banner(self):
        def banner(s, _events):
            s.sendall(b"220 ready\r\n")
            s.recv(1)

        self.lab.serve(banner, VICTIM4, 80)
        self.transparent(listen=(f"{VICTIM4}:80",))
        for _ in range(100):
            with self.lab.client.connect(VICTIM4, 80) as s:
                s.settimeout(2)
                self.assertEqual(s.recv(20), b"220 ready\r\n")


class Options(LabCase):
    """`ss -tin` on both ends equals what the kernel's own listener negotiates, ECN included."""

    def setUp(self):
        """Each test makes labs of its own."""

    def tearDown(self):
        pass

    def negotiated(self, net, addr, port):
        with net.client.connect(addr, port) as s:
            s.sendall(b"hello")
            self.assertEqual(s.recv(5), b"hello")
            here = s.getsockname()[1]
            client = net.client.ss(f"sport = :{here}")
            victim = wait_for(lambda: net.victim.ss(f"( sport = :{port} and dport = :{here} )"), 1)
            return {"client": client, "victim": victim}

    def compare(self, mtu, addrs):
        with Lab(mtu) as net:
            xdp.open_peer(net)
            for addr in addrs:
                net.serve(echo, addr, 80)
                net.serve(echo, addr, 81)
            net.guard("--transparent", upstream=(),
                      listen=[f"[{a}]:80" if ":" in a else f"{a}:80" for a in addrs])
            for addr, values, ecn in itertools.product(
                    addrs, itertools.product((1, 0), repeat=3), (0, 1)):
                for name, value in zip(SETTINGS, values):
                    net.client.sysctl("net.ipv4." + name, value)
                net.client.sysctl("net.ipv4.tcp_ecn", ecn)
                with self.subTest(mtu=mtu, addr=addr, ecn=ecn, **dict(zip(SETTINGS, values))):
                    kernel = self.negotiated(net, addr, 81)
                    guarded = self.negotiated(net, addr, 80)
                    if not values[0]:  # the narrow form has no room for ECN
                        for end in kernel.values():
                            for key in ("ecn", "ecnseen"):
                                end.pop(key, None)
                    self.assertEqual(guarded, kernel)

    def test_mtu_576(self):
        self.compare(576, (VICTIM4,))

    def test_mtu_1280(self):
        self.compare(1280, (VICTIM4, VICTIM6))

    def test_mtu_1500(self):
        self.compare(1500, (VICTIM4, VICTIM6))

    def test_mtu_9000(self):
        self.compare(9000, (VICTIM4, VICTIM6))


if __name__ == "__main__":
    main()
