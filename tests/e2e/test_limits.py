# SPDX-License-Identifier: MIT
"""Out of descriptors, connections or room in a queue: counted, told once, and nobody is lost: the
handshake stays provable, so the client's next segment succeeds."""
import os
import re
import resource
import signal
import time

from case import LabCase, main, read
from configfile import ConfigFile
from frames import RawClient
from lab import CLIENT4, CLIENT6, SYNWARD, VICTIM4, VICTIM6, wait_for


def echo(s, _events):
    while data := s.recv(65536):
        s.sendall(data)


class Limits(LabCase):
    def talk(self, s, text=b"hello"):
        s.sendall(text)
        self.assertEqual(s.recv(len(text)), text)

    def connect_all(self, count):
        """Handshakes that synward can only partly hand over, each with its request under way.  Some
        may have been reset already."""
        sockets = []
        for _ in range(count):
            try:
                s = self.lab.client.connect(VICTIM4, 80, timeout=20)
                self.addCleanup(s.close)
                s.sendall(b"hello")
                sockets.append(s)
            except ConnectionError:
                pass
        return sockets

    def told(self, synward, pattern):
        """The lines about a shortage: at least one, within a second or two, and not one for each
        connection."""
        def lines():
            return [line for line in synward.log().splitlines()
                    if re.search(pattern, line) and " counter " not in line]

        wait_for(lines, 3)
        self.assertIn(len(lines()), (1, 2, 3), synward.log())

    def test_out_of_descriptors(self):
        """24 connections where descriptors suffice for about 10.  Each is served in the end, or
        reset and counted when it was already accepted."""
        self.lab.serve(echo)

        def few():
            resource.setrlimit(resource.RLIMIT_NOFILE, (45, 45))

        synward = self.lab.guard(extra=few)
        sockets = self.connect_all(24)
        time.sleep(0.5)
        counters = synward.counters()
        short = counters["reason_no_descriptor"] + counters["relay_ended_no_resources"]
        self.assertGreater(short, 0, counters)
        self.told(synward, "(?i)descriptor|too many open files")
        served = 0
        for s in sockets:
            try:
                served += read(s, 5) == b"hello"
            except ConnectionError:
                pass
            s.close()
        counters = synward.counters()
        self.note(f"{served} of 24 served, {counters['relay_ended_no_resources']} reset for want "
                  f"of a descriptor, {counters['reason_no_descriptor']} times told to come again")
        self.assertEqual(served, 24 - counters["relay_ended_no_resources"], counters)
        with self.lab.client.connect(VICTIM4, 80) as s:
            self.talk(s)

    def test_connections_leave_descriptors_for_the_operator(self):
        """Idle connections beyond what 200 descriptors have room for: the rest is reset, and
        status, metrics, drain and a reload with another listener work all the while."""
        self.lab.serve(echo)
        config = ConfigFile(self.lab, metrics={"address": "127.0.0.1:9177"})

        def few():
            resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))

        synward = config.run(extra=few)
        sockets = self.connect_all(120)
        self.assertTrue(wait_for(lambda: synward.counters().get("relay_ended_limit", 0), 5))
        self.told(synward, "the limit of descriptors leaves room for|Too many open files")
        self.assertEqual(synward.counters()["relay_active"], 75)

        def works(*args):
            out = self.lab.victim.run(SYNWARD, *args, "-s", config.socket, check=False)
            self.assertEqual(out.returncode, 0, out.stdout + out.stderr)
            return out.stdout

        self.assertIn("web", works("status"))
        self.assertIn("synward_build_info", self.lab.victim.run(
            "curl", "-s", "http://127.0.0.1:9177/metrics").stdout)
        config.config["listeners"].append(
            {"name": "more", "listen": [f"{VICTIM4}:81"], "upstreams": "app"})
        config.write()
        self.assertIn("listener more: added", works("reload"))
        works("drain", "more")
        works("undrain", "more")
        self.assertEqual(synward.counters().get("relay_ended_no_resources", 0), 0)
        for s in sockets:
            s.close()
        self.assertTrue(wait_for(self.works, 5, 0.05))

    def test_full_queue(self):
        """More handshakes at once than a queue of 8 holds: those that find it full come again by
        their requests, and all are served.  The process is stopped between SYN-ACKs and ACKs, so
        that it finds all of them in its ring when it goes on."""
        self.lab.bench_server()
        synward = self.lab.guard("--queue-depth", "8")
        wire = self.wire()
        clients = [RawClient(wire) for _ in range(40)]
        for c in clients:
            self.assertTrue(c.syn(), "answered")
        synward.send(signal.SIGSTOP)
        for c in clients:
            c.send()
        time.sleep(0.1)
        synward.send(signal.SIGCONT)
        self.assertTrue(wait_for(lambda: synward.counters()["frames"] >= 80, 5))
        self.assertGreater(synward.counters()["reason_queue_full"], 0)
        for c in clients:
            c.wire.send(c.segment(b"x"))
            self.assertEqual(len(c.read(64, 5)), 64)
        self.assertEqual(synward.counters()["handed"], 40)
        self.told(synward, "(?i)queue")

    def test_max_connections(self):
        self.lab.serve(echo)
        synward = self.lab.guard("--max-connections", "5")
        held = [self.lab.client.connect(VICTIM4, 80) for _ in range(5)]
        for s in held:
            self.addCleanup(s.close)
            self.talk(s)
        with self.assertRaises(ConnectionResetError), self.lab.client.connect(VICTIM4, 80) as s:
            s.recv(1)
        self.assertEqual(synward.counters()["relay_ended_limit"], 1)
        held.pop().close()
        self.assertTrue(wait_for(lambda: self.works(), 3, 0.05))
        for s in held:
            self.talk(s)
            s.close()

    def works(self):
        try:
            with self.lab.client.connect(VICTIM4, 80) as s:
                s.sendall(b"hello")
                return s.recv(5) == b"hello"
        except ConnectionError:
            return False

    def hold(self, source, addr=VICTIM4):
        """A connection from one of the client's addresses, or None when it was reset."""
        try:
            s = self.lab.client.connect(addr, 80, source=(source, 0))
            self.addCleanup(s.close)
            s.sendall(b"hello")
            return s if read(s, 5) == b"hello" else None
        except ConnectionError:  # the reset comes before the request, or behind it
            return None

    def limited(self, limits):
        self.lab.serve(echo)
        path = os.path.join(self.lab.dir, "synward.yaml")
        with open(path, "w", encoding="ascii") as f:
            f.write(f"""interface: eth0
listeners:
  - {{ name: web, listen: ["{VICTIM4}:80", "[{VICTIM6}]:80"], upstreams: app }}
pools:
  - {{ name: app, servers: ["127.0.0.1:8080"] }}
limits: {{ {limits} }}
control: {{ socket: "" }}
""")
        return self.lab.start_synward("run", "-c", path)

    def add_addresses(self, *addrs):
        for a in addrs:
            more = ("/64", "nodad") if ":" in a else ("/24",)
            self.lab.client.run("ip", "addr", "add", a + more[0], "dev", "eth0", *more[1:])

    def test_per_source(self):
        """The one beyond the limit is reset; other sources do not feel it; a place that is given
        back is a place again."""
        other = "198.51.100.11"
        self.add_addresses(other)
        synward = self.limited("per_source: 3")
        held = [self.hold(CLIENT4) for _ in range(3)]
        self.assertTrue(all(held))
        self.assertIsNone(self.hold(CLIENT4))
        self.assertTrue(self.hold(other))
        self.assertEqual(synward.counters()["relay_ended_source_limit"], 1)
        self.talk(held[0])
        held.pop().close()
        self.assertTrue(wait_for(lambda: self.hold(CLIENT4), 3, 0.05))
        self.assertIsNone(self.hold(CLIENT4))

    def test_per_source_prefix(self):
        near, far = "198.51.100.15", "198.51.100.16"  # .10 is in .8/29, and so is .15
        self.add_addresses(near, far)
        self.limited("per_source: 2, source_prefix4: 29")
        self.assertTrue(self.hold(CLIENT4) and self.hold(near))
        self.assertIsNone(self.hold(near))
        self.assertIsNone(self.hold(CLIENT4))
        self.assertTrue(self.hold(far))

    def test_per_source_of_ipv6(self):
        """By default a /64 is one source."""
        near = "2001:db8::abcd"
        self.add_addresses(near)
        self.limited("per_source: 2")
        self.assertTrue(self.hold(CLIENT6, VICTIM6) and self.hold(near, VICTIM6))
        self.assertIsNone(self.hold(near, VICTIM6))
        self.assertTrue(self.hold(CLIENT4), "IPv4 is another source")

    def test_connections_in_all(self):
        synward = self.limited("connections: 2")
        held = [self.hold(CLIENT4), self.hold(CLIENT6, VICTIM6)]
        self.assertTrue(all(held))
        self.assertIsNone(self.hold(CLIENT4))
        self.assertEqual(synward.counters()["relay_ended_limit"], 1)

    def test_a_stopped_process_serves_when_it_goes_on(self):
        """SIGSTOP, as in a debugger: handshakes begun meanwhile finish afterwards."""
        self.lab.serve(echo)
        synward = self.lab.guard()
        synward.send(signal.SIGSTOP)
        s = self.lab.client.socket()
        self.addCleanup(s.close)
        s.setblocking(False)
        s.connect_ex((VICTIM4, 80))
        time.sleep(0.3)
        synward.send(signal.SIGCONT)
        s.settimeout(5)
        wait_for(lambda: s.getsockopt(1, 4) == 0, 1)
        time.sleep(0.2)
        self.talk(s)

    def test_small_ring(self):
        """A ring of few frames loses some of a burst; clients come again."""
        self.lab.bench_server()
        self.lab.guard("--ring-frames", "64")
        self.assertAll(self.lab.load(VICTIM4, 80, "--count", 500, "--concurrency", 100, "--request",
                                     "x", "--expect-bytes", 64, "--timeout", 10000), 500)


if __name__ == "__main__":
    main()
