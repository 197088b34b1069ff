# SPDX-License-Identifier: MIT
"""However synward dies, steering goes with it; with the same key file a new one proves the
handshakes that the old one began."""
import json
import signal
import time

from case import LabCase, main, read
from frames import RST, RawClient
from lab import VICTIM4, VICTIM6, wait_for


def echo(s, _events):
    while data := s.recv(65536):
        s.sendall(data)


class Sigkill(LabCase):
    def traces(self):
        """What synward puts into the victim's namespace, as its administrator would see it."""
        run = self.lab.victim.run
        net = json.loads(run("bpftool", "-j", "net", "show").stdout)[0]
        seen = {"links": self.lab.victim.links(),
                "bpf": [row for kind in ("xdp", "tc") for row in net.get(kind, [])],
                "qdisc": [q for q in json.loads(run("tc", "-j", "qdisc").stdout)
                          if q["kind"] in ("clsact", "ingress")],
                "nft": run("nft", "list", "ruleset").stdout.strip(),
                "rules": run("ip", "rule").stdout.count("\n"),
                "routes": run("ip", "route", "show", "table", "all").stdout.count("\n"),
                "unix": run("ss", "-lxH").stdout.count("synward")}
        return seen

    def guard(self, *more, **kwargs):
        kwargs.setdefault("listen", (f"{VICTIM4}:80", f"[{VICTIM6}]:80"))
        return self.lab.guard(*more, **kwargs)

    def serves(self, addr):
        with self.lab.client.connect(addr, 80, timeout=2) as s:
            s.sendall(b"hello")
            return read(s, 5) == b"hello"

    def clean_after(self, end):
        """end(synward) makes it die; then nothing of it may be left, and a plain listener on the
        port is reachable within a second."""
        before = self.traces()
        self.lab.serve(echo)
        synward = self.guard()
        self.assertNotEqual(self.traces(), before, "the test sees nothing of a running guard")
        held = self.lab.client.connect(VICTIM4, 80)
        held.sendall(b"x")
        self.assertEqual(held.recv(1), b"x")
        dead = end(synward)
        for addr in (VICTIM4, VICTIM6):
            self.lab.serve(echo, addr, 80)
        for addr in (VICTIM4, VICTIM6):
            self.assertTrue(self.serves(addr))
        self.assertLess(time.monotonic() - dead, 1, "the listener was reachable too late")
        held.close()
        for server in self.lab.servers:
            server.close()
        wait_for(lambda: self.traces() == before, 1)
        self.assertEqual(self.traces(), before)

    @staticmethod
    def kill(synward):
        synward.send(signal.SIGKILL)
        dead = time.monotonic()
        synward.popen.wait()
        return dead

    def test_sigkill(self):
        self.clean_after(self.kill)

    def test_sigkill_under_flood(self):
        def end(synward):
            flooding = self.lab.hping3(20)
            time.sleep(2)
            flooding.stop()
            return self.kill(synward)

        self.clean_after(end)

    def test_sigterm(self):
        def end(synward):
            self.assertEqual(synward.end_now(), 0)
            return time.monotonic()

        self.clean_after(end)

    def test_sigabrt(self):
        def end(synward):
            synward.send(signal.SIGABRT)
            dead = time.monotonic()
            synward.popen.wait()
            return dead

        self.clean_after(end)

    def test_plain_listener_takes_over_during_a_flood(self):
        """The kernel answers with its own cookies the moment synward is gone."""
        self.lab.serve(echo)
        synward = self.guard()
        flooding = self.lab.hping3(30)
        self.assertTrue(self.serves(VICTIM4))
        self.kill(synward)
        self.lab.serve(echo, VICTIM4, 80)
        self.assertTrue(self.serves(VICTIM4))
        flooding.stop()

    def restart(self, begin, *more):
        """begin a handshake, kill, start anew; returns the client and the new synward."""
        self.lab.serve(echo)
        old = self.guard(*more)
        c = begin()
        self.assertTrue(c.syn(), "no SYN-ACK")
        self.kill(old)
        return c, self.guard(*more)

    def test_restart_with_the_same_key(self):
        key = self.lab.new_key()
        wire = self.wire()
        for mac in ("hmac-sha256", "siphash-2-4"):
            for kind in ({}, {"options": b""}, {"dst": VICTIM6}):
                with self.subTest(mac=mac, kind=kind):
                    c, new = self.restart(lambda kind=kind: RawClient(wire, **kind), "--key-file",
                                          key, "--mac", mac)
                    c.send(b"hello")
                    self.assertEqual(c.read(5), b"hello")
                    self.assertEqual(new.counters()["handed"], 1)
                    self.assertEqual(new.end_now(), 0)
                    self.lab.servers.pop().close()

    def test_restart_with_another_key(self):
        wire = self.wire()
        c, new = self.restart(lambda: RawClient(wire))
        c.send(b"hello")
        reply = c.recv(1)
        self.assertTrue(reply and reply.flags & RST, reply)
        self.assertEqual(new.counters()["handed"], 0)
        self.assertEqual(new.counters()["reason_cookie_forged"], 1)

    def test_two_nodes_share_a_key(self):
        """A cookie of one process is proven by another, also when both run at once: here the other
        one guards the same address after the first was stopped in the ordinary way."""
        key = self.lab.new_key()
        wire = self.wire()
        self.lab.serve(echo)
        first = self.guard("--key-file", key)
        clients = [RawClient(wire) for _ in range(50)]
        for c in clients:
            self.assertTrue(c.syn())
        self.assertEqual(first.end_now(), 0)
        second = self.guard("--key-file", key)
        for c in clients:
            c.send(b"hello")
            self.assertEqual(c.read(5), b"hello")
        self.assertEqual(second.counters()["handed"], 50)


if __name__ == "__main__":
    main()
