# SPDX-License-Identifier: MIT
"""Services that speak before the client does: a banner server, and sshd with a real client."""
import os
import subprocess

from case import LabCase, main
from lab import VICTIM4, VICTIM6, endpoint, wait_for

ADDRS = (VICTIM4, VICTIM6)


class SpeaksFirst(LabCase):
    def guard(self, port):
        return self.lab.guard(listen=[endpoint(a, port) for a in ADDRS],
                              upstream=("127.0.0.1:8080",))

    def test_banner(self):
        self.lab.bench_server("127.0.0.1", 8080, None, "--banner", "220 ready\r\n")
        self.guard(25)
        for addr in ADDRS:
            with self.lab.client.connect(addr, 25) as s:
                self.assertEqual(s.recv(100), b"220 ready\r\n")
            self.assertAll(self.lab.load(addr, 25, "--expect-bytes", 11, "--count", 500), 500)

    def sshd(self):
        """sshd with keys and a configuration of its own, for root with a key."""
        home = os.path.join(self.lab.dir, "ssh")
        os.mkdir(home, 0o700)
        for name in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{home}/{name}"],
                           check=True)
        os.rename(f"{home}/user.pub", f"{home}/authorized")
        with open(f"{home}/config", "w", encoding="ascii") as f:
            f.write(f"""HostKey {home}/host\nAuthorizedKeysFile {home}/authorized\n
                PermitRootLogin prohibit-password\nPasswordAuthentication no\nStrictModes no\n
                UsePAM yes\nPidFile none\nPrintMotd no\nListenAddress 127.0.0.1:8080\n""")
        p = self.lab.victim.spawn("sshd", "/usr/sbin/sshd", "-D", "-e", "-f", f"{home}/config",
                                  private_run=True)
        self.assertTrue(wait_for(lambda: "Server listening" in p.log() or not p.alive(), 10))
        self.assertTrue(p.alive(), p.log())
        return home

    def ssh(self, home, addr, *command, text=None):
        return self.lab.client.run(
            "ssh", "-F", "none", "-i", f"{home}/user", "-o", f"UserKnownHostsFile={home}/known",
            "-o", "StrictHostKeyChecking=accept-new", "-o", "IdentitiesOnly=yes", "-o",
            "BatchMode=yes", "-o", "ConnectTimeout=10", "-p", "22", f"root@{addr}", *command,
            text=text, timeout=60)

    def test_ssh(self):
        home = self.sshd()
        synward = self.guard(22)
        for addr in ADDRS:
            self.assertEqual(self.ssh(home, addr, "echo", "over", addr).stdout, f"over {addr}\n")
        text = "line\n" * 100_000
        self.assertEqual(self.ssh(home, VICTIM4, "cat", text=text).stdout, text)
        self.assertEqual(synward.counters()["handed"], 3)


if __name__ == "__main__":
    main()
