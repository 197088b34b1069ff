# SPDX-License-Identifier: MIT
"""`source: client`: servers that do not understand the PROXY protocol see the client's own address.

The routes are those of docs/run.md, "The client's own address": they bring the servers' answers back
to this host, for servers on its loopback and for

   client --- victim (synward) eth1 .1 ::1 --- .2 ::2 eth0 (the server), 10.9.9.0/24, fd00:9::/64
"""
import os
import re
import socket
import subprocess
import time

from case import main, read
from lab import CLIENT4, CLIENT6, VICTIM4, VICTIM6, Namespace, endpoint, wait_for
from lab import SOURCE as SOURCE_TREE
from pooled import PooledCase

LISTEN = (f"{VICTIM4}:80", f"{VICTIM4}:81", f"[{VICTIM6}]:80")
SOURCE = "source: client\nconnect_timeout: 1s"


def recipes():
    """The manual's commands: for servers on the loopback, and for servers on other hosts."""
    with open(os.path.join(SOURCE_TREE, "docs", "run.md"), encoding="utf-8") as f:
        section = f.read().split("### The client's own address\n")[1].split("\n### ")[0]
    return re.findall(r"```sh\n(.*?)```", section, re.S)


class Source(PooledCase):
    def ip(self, ns, lines):
        for line in lines.splitlines():
            ns.run("ip", *line.split())

    def follow_manual(self, recipe):
        self.lab.victim.run("sh", "-ec", recipes()[recipe])

    def tell_peer(self, s, _events):
        """Say who the client is, and hold the connection until it ends."""
        addr, port = s.getpeername()[:2]
        s.sendall(endpoint(addr, port).encode() + b"\n")
        s.recv(1)

    def serve(self, addr="127.0.0.1", port=8080, ns=None):
        return self.lab.serve(self.tell_peer, addr, port, ns)

    def line(self, s):
        text = b""
        while not text.endswith(b"\n"):
            more = s.recv(100)
            self.assertTrue(more, text)
            text += more
        return text.decode().strip()

    def ask(self, addr=VICTIM4, port=80, source=None):
        """What the server takes for the client, and what the client is."""
        s = self.lab.client.connect(addr, port, source=source)
        self.addCleanup(s.close)
        return self.line(s), endpoint(*s.getsockname()[:2])

    def test_servers_on_the_loopback(self):
        self.follow_manual(0)
        self.serve()
        self.serve("::1")
        self.guard("127.0.0.1:8080", "[::1]:8080", listen=LISTEN, pool=SOURCE)
        for addr, client in ((VICTIM4, CLIENT4), (VICTIM6, CLIENT6)):
            for _ in range(5):
                seen, real = self.ask(addr)
                self.assertEqual(seen, real)
                self.assertIn(client, seen)

    def test_bytes_and_ends_go_both_ways(self):
        self.follow_manual(0)

        def sum_up(s, events):
            total = 0
            while data := s.recv(65536):
                total += len(data)
            events.append(total)
            s.sendall(b"y" * 300_000)

        server = self.lab.serve(sum_up)
        self.guard("127.0.0.1:8080", pool=SOURCE)
        with self.lab.client.connect(VICTIM4, 80) as s:
            s.sendall(b"x" * 1_000_000)
            s.shutdown(socket.SHUT_WR)
            self.assertEqual(len(read(s, 300_001)), 300_000)
        self.assertEqual(server.events, [1_000_000])

    def test_ports_come_again(self):
        """The client's kernel takes a port again a second after its connection ended, while this
        host still has that connection in TIME_WAIT."""
        self.follow_manual(0)
        self.lab.bench_server()
        self.guard("127.0.0.1:8080", pool=SOURCE)
        self.lab.client.sysctl("net.ipv4.ip_local_port_range", "20000 20099")
        self.lab.client.sysctl("net.ipv4.tcp_tw_reuse", 1)
        for _ in range(3):
            result = self.lab.load(VICTIM4, 80, "--count", 90, "--concurrency", 20, "--request",
                                   "x", "--expect-bytes", 64, "--timeout", 10000)
            self.assertAll(result, 90)
            time.sleep(1.5)
        counters = self.synward.counters()
        self.assertEqual(counters["relay_connect_no_port"] + counters["relay_connect_other"], 0)

    def test_a_port_that_is_taken(self):
        """One client port to two guarded ports: the server sees the address, and another port."""
        self.follow_manual(0)
        self.serve()
        self.guard("127.0.0.1:8080", listen=LISTEN, pool=SOURCE)
        first, real = self.ask(port=80, source=(CLIENT4, 33333))
        self.assertEqual(first, real)
        second, real = self.ask(port=81, source=(CLIENT4, 33333))
        self.assertEqual(real, endpoint(CLIENT4, 33333))
        self.assertTrue(second.startswith(CLIENT4 + ":"), second)
        self.assertNotEqual(second, real)

    def test_a_low_port(self):
        self.follow_manual(0)
        self.serve()
        self.guard("127.0.0.1:8080", pool=SOURCE)
        seen, _ = self.ask(source=(CLIENT4, 700))
        self.assertTrue(seen.startswith(CLIENT4 + ":"), seen)

    def test_without_the_routes_nobody_is_taken_for_this_host(self):
        server = self.serve()
        self.guard("127.0.0.1:8080", pool=SOURCE)
        with self.assertRaises(ConnectionResetError), self.lab.client.connect(VICTIM4, 80) as s:
            s.recv(1)
        self.assertEqual(self.synward.counters()["relay_connect_timeout"], 1)
        self.assertEqual(server.events, [])
        self.assertNotIn("is down", self.synward.log())
        self.says("8080 did not answer a connection from the client's address.*come back to this host")

    def test_the_other_family_has_no_server(self):
        self.follow_manual(0)
        server = self.serve()
        self.guard("127.0.0.1:8080", listen=LISTEN, pool=SOURCE)
        with self.assertRaises(ConnectionResetError), self.lab.client.connect(VICTIM6, 80) as s:
            s.recv(1)
        counters = self.synward.counters()
        self.assertEqual(counters["relay_connect_no_source"], 1)
        self.assertEqual(counters["relay_ended_connect_failed"], 1)
        self.assertEqual(len(server.sockets), 0)
        seen, real = self.ask()
        self.assertEqual(seen, real)

    def test_checks_come_from_this_host(self):
        self.follow_manual(0)
        peers = []

        def note_peer(s, _events):
            peers.append(s.getpeername()[0])
            s.recv(1)

        self.lab.serve(note_peer)
        self.guard("127.0.0.1:8080", pool=SOURCE + "\nhealth: { interval: 50ms }")
        self.assertTrue(wait_for(lambda: len(peers) > 3, 5))
        self.assertEqual(set(peers), {"127.0.0.1"})

    # ---- a server on another host ----

    def behind(self):
        """A host that has synward's as its gateway."""
        ns = Namespace(self.lab, "server")
        subprocess.run(["ip", "netns", "add", ns.name], check=True)
        self.addCleanup(subprocess.run, ["ip", "netns", "del", ns.name], check=True)
        ns.open()
        self.addCleanup(os.close, ns.fd)
        self.lab.victim.run("ip", "link", "add", "eth1", "type", "veth", "peer", "name", "eth0",
                            "netns", ns.name)
        self.addCleanup(self.lab.victim.run, "ip", "link", "del", "eth1")
        for host, interface in ((self.lab.victim, "eth1"), (ns, "eth0")):
            host.sysctl(f"net.ipv6.conf.{interface}.accept_dad", 0)  # no second without an address
        self.ip(self.lab.victim, "addr add 10.9.9.1/24 dev eth1\n"
                                 "addr add fd00:9::1/64 dev eth1 nodad\nlink set eth1 up")
        self.ip(ns, "link set lo up\naddr add 10.9.9.2/24 dev eth0\n"
                    "addr add fd00:9::2/64 dev eth0 nodad\nlink set eth0 up\n"
                    "route add default via 10.9.9.1\n-6 route add default via fd00:9::1")
        return ns

    def test_a_server_on_another_host(self):
        ns = self.behind()
        self.follow_manual(1)
        self.serve("10.9.9.2", 8080, ns)
        self.serve("fd00:9::2", 8080, ns)
        self.guard("10.9.9.2:8080", "[fd00:9::2]:8080", listen=LISTEN, pool=SOURCE)
        for addr in (VICTIM4, VICTIM6):
            for _ in range(5):
                seen, real = self.ask(addr)
                self.assertEqual(seen, real)


if __name__ == "__main__":
    main()
