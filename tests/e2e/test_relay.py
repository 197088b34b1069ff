# SPDX-License-Identifier: MIT
"""The relay: several upstreams, failover, both families, and the PROXY protocol."""
import collections
import socket
import struct
import time

from case import LabCase, main, read
from lab import CLIENT4, CLIENT6, VICTIM4, VICTIM6, endpoint, wait_for

LISTEN = (f"{VICTIM4}:80", f"[{VICTIM6}]:80")


class Relay(LabCase):
    def name_server(self, name, addr="127.0.0.1", port=8080):
        """A server that says its name."""
        return self.lab.serve(lambda s, _: s.sendall(name), addr, port)

    def ask(self, addr=VICTIM4):
        with self.lab.client.connect(addr, 80, timeout=10) as s:
            return s.recv(10)

    def test_round_robin(self):
        for i, port in enumerate((8080, 8081, 8082)):
            self.name_server(b"%d" % i, port=port)
        self.lab.guard(upstream=[f"127.0.0.1:{p}" for p in (8080, 8081, 8082)])
        answers = collections.Counter(self.ask() for _ in range(30))
        self.assertEqual(answers, {b"0": 10, b"1": 10, b"2": 10})

    def test_families_mix(self):
        self.name_server(b"six", "::1")
        self.lab.guard(listen=LISTEN, upstream=("[::1]:8080",))
        self.assertEqual([self.ask(VICTIM4), self.ask(VICTIM6)], [b"six", b"six"])

    def test_upstream_on_another_host(self):
        self.lab.serve(lambda s, _: s.sendall(b"far"), CLIENT4, 8080, ns=self.lab.client)
        self.lab.guard(upstream=(f"{CLIENT4}:8080",))
        self.assertEqual(self.ask(), b"far")

    def test_failover_when_refused(self):
        self.name_server(b"up", port=8081)
        synward = self.lab.guard(upstream=("127.0.0.1:8080", "127.0.0.1:8081"))
        begin = time.monotonic()
        self.assertEqual([self.ask() for _ in range(10)], [b"up"] * 10)
        self.assertLess(time.monotonic() - begin, 2)
        self.assertGreaterEqual(synward.counters()["relay_connect_refused"], 1)

    def test_failover_when_silent(self):
        """The first upstream's host does not answer at all."""
        self.name_server(b"up", port=8081)
        self.lab.guard("--connect-timeout", "300ms",
                       upstream=("198.51.100.99:8080", "127.0.0.1:8081"))
        self.lab.victim.run("ip", "neigh", "add", "198.51.100.99", "lladdr", "02:00:00:00:00:99",
                            "dev", "eth0")
        begin = time.monotonic()
        self.assertEqual([self.ask() for _ in range(2)], [b"up"] * 2)
        self.assertLess(time.monotonic() - begin, 2)

    def test_none_answers(self):
        synward = self.lab.guard(upstream=("127.0.0.1:8080", "127.0.0.1:8081", "[::1]:8082"))
        with self.assertRaises(ConnectionResetError), self.lab.client.connect(VICTIM4, 80) as s:
            s.recv(1)
        self.assertEqual(synward.counters()["relay_connect_refused"], 3)

    def test_upstream_comes_back(self):
        self.lab.guard(upstream=("127.0.0.1:8080",))
        with self.assertRaises(ConnectionResetError):
            self.ask()
        self.name_server(b"up")
        self.assertTrue(wait_for(lambda: self.try_ask() == b"up", 5, 0.1))

    def try_ask(self):
        try:
            return self.ask()
        except ConnectionError:
            return None

    def test_idle_timeout(self):
        self.lab.serve(lambda s, events: events.append(s.recv(10)))
        self.lab.guard("--idle-timeout", "500ms")
        with self.lab.client.connect(VICTIM4, 80) as s:
            begin = time.monotonic()
            try:
                self.assertEqual(s.recv(1), b"")
            except ConnectionResetError:
                pass
            self.assertLess(abs(time.monotonic() - begin - 0.75), 0.5)

    def test_data_before_the_upstream_answers_is_kept(self):
        """The client writes at once; the upstream is reached only at the second try."""
        def echo(s, _events):
            s.sendall(read(s, 100_000))

        self.lab.serve(echo, port=8081)
        self.lab.victim.run("ip", "neigh", "add", "198.51.100.99", "lladdr", "02:00:00:00:00:99",
                            "dev", "eth0")
        self.lab.guard("--connect-timeout", "500ms",
                       upstream=("198.51.100.99:8080", "127.0.0.1:8081"))
        with self.lab.client.connect(VICTIM4, 80, timeout=10) as s:
            data = bytes(range(256)) * 400
            s.sendall(data[:100_000])
            self.assertEqual(read(s, 100_000), data[:100_000])

    # ---- PROXY protocol ----

    def header(self, version, addr, size):
        """What an upstream reads first, and the client's port."""
        got = []

        def server(s, events):
            got.append(read(s, size))
            events.append(read(s, 5))
            s.sendall(b"done")

        server = self.lab.serve(server)
        synward = self.lab.guard("--proxy-protocol", version, listen=LISTEN)
        with self.lab.client.connect(addr, 80) as s:
            port = s.getsockname()[1]
            s.sendall(b"hello")
            self.assertEqual(read(s, 4), b"done")
        self.assertEqual(server.events, [b"hello"])
        self.assertEqual(synward.end_now(), 0)
        server.close()
        return got[0], port

    def test_proxy_v1(self):
        for family, client, victim in (("TCP4", CLIENT4, VICTIM4), ("TCP6", CLIENT6, VICTIM6)):
            size = len(f"PROXY {family} {client} {victim} 12345 80\r\n")
            header, port = self.header("v1", victim, size)
            self.assertEqual(header.decode(), f"PROXY {family} {client} {victim} {port} 80\r\n")

    def test_proxy_v2(self):
        signature = bytes.fromhex("0d0a0d0a000d0a515549540a")
        for family, kind, client, victim in ((socket.AF_INET, 0x11, CLIENT4, VICTIM4),
                                             (socket.AF_INET6, 0x21, CLIENT6, VICTIM6)):
            addrs = socket.inet_pton(family, client) + socket.inet_pton(family, victim)
            header, port = self.header("v2", victim, 16 + len(addrs) + 4)
            want = signature + struct.pack("!BBH", 0x21, kind, len(addrs) + 4) + addrs
            self.assertEqual(header, want + struct.pack("!HH", port, 80))

    def test_proxy_is_understood_by_nginx(self):
        self.lab.nginx("127.0.0.1:8080", proxy_protocol=True)
        for version in ("v1", "v2"):
            synward = self.lab.guard("--proxy-protocol", version, listen=LISTEN)
            for addr in (VICTIM4, VICTIM6):
                self.assertAll(self.lab.load(addr, 80, "--http", "/", "--count", 50), 50)
            self.assertEqual(synward.end_now(), 0)

    def test_nginx_behind(self):
        self.lab.nginx("127.0.0.1:8080", size=300_000)
        self.lab.guard(listen=LISTEN)
        for addr, port in ((VICTIM4, 80), (VICTIM6, 80)):
            result = self.lab.load(addr, port, "--http", "/", "--count", 200, "--concurrency", 20,
                                   "--expect-bytes", 300_000)
            self.assertAll(result, 200)

    def test_upstream_may_be_the_guarded_host_and_port_of_loopback(self):
        """The usual migration: the service moves from 0.0.0.0:80 to 127.0.0.1:80."""
        self.name_server(b"moved", "127.0.0.1", 80)
        self.lab.guard(upstream=(endpoint("127.0.0.1", 80),))
        self.assertEqual(self.ask(), b"moved")


if __name__ == "__main__":
    main()
