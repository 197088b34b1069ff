# SPDX-License-Identifier: MIT
"""Health checks as the servers see them: none of them has a reason to complain."""
import glob
import os
import time

from case import main
from lab import VICTIM4, wait_for
from pooled import CHECKED, PooledCase

CHECKS = 8  # that a server has seen when we look


class Health(PooledCase):
    def errors(self):
        text = ""
        for path in glob.glob(os.path.join(self.lab.dir, "nginx-*", "error.log")):
            with open(path, encoding="utf-8") as f:
                text += f.read()
        return text

    def checked_nginx(self, version):
        self.lab.nginx("127.0.0.1:8080", proxy_protocol=version != "none")
        self.guard("127.0.0.1:8080", pool=f"proxy_protocol: {version}\nhealth: {CHECKED}")
        accepted = self.lab.victim.nstat("Tcp.PassiveOpens")
        enough = accepted + CHECKS
        self.assertTrue(wait_for(
            lambda: self.lab.victim.nstat("Tcp.PassiveOpens") >= enough, 10, 0.05), "no checks")
        self.assertAll(self.lab.load(VICTIM4, 80, "--http", "/", "--count", 20), 20)
        self.assertEqual(self.errors(), "")
        self.assertNotIn("is down", self.synward.log())

    def test_nginx(self):
        self.checked_nginx("none")

    def test_nginx_behind_proxy_v1(self):
        self.checked_nginx("v1")

    def test_nginx_behind_proxy_v2(self):
        self.checked_nginx("v2")

    def test_a_server_that_speaks_first_is_heard_out(self):
        """As sshd does: a banner, then a look at what the client says.  It sees a FIN, no reset."""
        def banner(s, events):
            s.sendall(b"SSH-2.0-test\r\n")
            events.append(s.recv(10))
            s.sendall(b"bye")
            time.sleep(0.05)
            s.sendall(b"bye")
            events.append("done")

        server = self.lab.serve(banner)
        self.guard("127.0.0.1:8080", pool=f"health: {CHECKED}")
        self.assertTrue(wait_for(lambda: server.events.count("done") >= CHECKS, 10, 0.05))
        self.assertEqual(set(server.events), {b"", "done"})

    def test_a_host_that_is_silent(self):
        """Nobody answers at that address: a check fails by its timeout, not by the connection's."""
        self.lab.victim.run("ip", "neigh", "add", "198.51.100.99", "lladdr", "02:00:00:00:00:99",
                            "dev", "eth0")
        self.lab.serve(lambda s, _: s.sendall(b"up"), port=8081)
        self.guard("198.51.100.99:8080", "127.0.0.1:8081",
                   pool="health: { interval: 100ms, timeout: 200ms, rise: 1, fall: 2 }")
        self.says("198.51.100.99:8080 is down: 2 checks failed, the last by 'Connection timed out'")
        for _ in range(4):
            begin = time.monotonic()
            with self.lab.client.connect(VICTIM4, 80) as s:
                self.assertEqual(s.recv(2), b"up")
            self.assertLess(time.monotonic() - begin, 2)

    def test_fall_and_rise_are_counted(self):
        """Two failures of three are not enough, and one success of two neither."""
        refusing = self.lab.victim.socket()
        self.addCleanup(refusing.close)
        self.guard("127.0.0.1:8080",
                   pool="health: { interval: 300ms, timeout: 200ms, rise: 2, fall: 3 }")
        begin = time.monotonic()
        self.says("is down: 3 checks failed")
        self.assertGreater(time.monotonic() - begin, 0.3)
        self.lab.serve(lambda s, _: s.recv(1))
        begin = time.monotonic()
        self.says("is up again")
        self.assertGreater(time.monotonic() - begin, 0.2)


if __name__ == "__main__":
    main()
