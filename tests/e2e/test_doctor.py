# SPDX-License-Identifier: MIT
"""synward doctor finds what makes such a tool fail silently, says what to do about it, sends
nothing and leaves nothing."""
import re

from case import LabCase, main
from frames import Wire
from lab import SYNWARD, VICTIM4, VICTIM6, endpoint


class Doctor(LabCase):
    def ask(self, *more, wrap=(), interface="eth0"):
        """(exit code, the lines that are not ok, everything)"""
        ns = self.lab.victim
        links, wire = ns.links(), Wire(self.lab.router, "v0")
        out = ns.run("ip", "netns", "exec", ns.name, *wrap, SYNWARD, "doctor", "--interface",
                     interface, "--listen", endpoint(VICTIM4, 80), *more, check=False)
        self.assertEqual(ns.links(), links)
        self.assertIsNone(wire.recv(lambda segment: True, 0.02), "it sent a segment")
        wire.close()
        self.assertEqual(out.stderr, "")
        lines = out.stdout.splitlines()
        for line in lines:
            self.assertRegex(line, "^(ok  |warn|FAIL)  ")
        return out.returncode, [li for li in lines if not li.startswith("ok")], out.stdout

    def finds(self, pattern, *more, code=None, **kwargs):
        rc, findings, text = self.ask(*more, **kwargs)
        found = [line for line in findings if re.search(pattern, line, re.I)]
        self.assertTrue(found, text)
        if code is not None:
            self.assertEqual(rc, code, text)
        elif any(line.startswith("FAIL") for line in findings):
            self.assertNotEqual(rc, 0)
        return found

    def quiet(self, pattern):
        _, findings, text = self.ask()
        self.assertFalse([li for li in findings if re.search(pattern, li, re.I)], text)

    def test_healthy(self):
        rc, findings, text = self.ask("--listen", endpoint(VICTIM6, 80))
        self.assertEqual(rc, 0, text)
        self.assertFalse([li for li in findings if li.startswith("FAIL")], text)

    def test_missing_route_back(self):
        self.quiet("route")
        self.lab.victim.run("ip", "route", "del", "default")
        self.finds("route")

    def test_rp_filter(self):
        self.quiet("rp_filter")
        self.lab.victim.sysctl("net.ipv4.conf.eth0.rp_filter", 1)
        self.finds("rp_filter")

    def test_missing_interface(self):
        self.finds("nosuch0", interface="nosuch0", code=1)

    def test_interface_down(self):
        self.lab.victim.run("ip", "link", "set", "eth0", "down")
        self.finds("eth0.*(down|up)")

    def test_address_that_is_not_here(self):
        self.finds("203.0.113.5", "--listen", "203.0.113.5:80")

    def test_missing_capability(self):
        for caps, name in (("net_raw", "CAP_NET_RAW"), ("net_admin", "CAP_NET_ADMIN"),
                           ("bpf,-sys_admin", "CAP_BPF"),
                           ("net_bind_service", "CAP_NET_BIND_SERVICE")):
            with self.subTest(caps=caps):
                self.finds(name, wrap=("setpriv", "--bounding-set", f"-{caps}"), code=77)

    def test_missing_capability_for_xdp(self):
        """The relay without offload does not need it."""
        self.quiet("CAP_PERFMON")
        found = self.finds("CAP_PERFMON", code=0, wrap=(
            "setpriv", "--bounding-set", "-all,+net_admin,+net_raw,+bpf,+net_bind_service"))
        self.assertTrue(found[0].startswith("warn"), found)

    def test_another_program_on_the_hook(self):
        """Here a synward that guards another port: it is no failure, but worth knowing."""
        self.quiet("hook")
        self.lab.guard(listen=(f"{VICTIM4}:81",))
        self.finds("eth0.*hook.*steer", code=0)

    def test_large_receive_offload(self):
        """veth has no LRO; that it is looked at shows in the list."""
        self.assertRegex(self.ask()[2], "LRO")

    def test_without_an_interface(self):
        out = self.lab.victim.run(SYNWARD, "doctor")
        self.assertEqual(out.returncode, 0, out.stdout)


if __name__ == "__main__":
    main()
