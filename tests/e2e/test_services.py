# SPDX-License-Identifier: MIT
"""nginx, sshd and PostgreSQL as they are, behind --transparent, for clients of every setting."""
import glob
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile

import xdp
from case import LabCase, main
from lab import VICTIM4, VICTIM6, endpoint, wait_for

ADDRS = (VICTIM4, VICTIM6)
SETTINGS = ("tcp_timestamps", "tcp_sack", "tcp_window_scaling", "tcp_ecn")
MATRIX = list(itertools.product((1, 0), repeat=len(SETTINGS)))
POSTGRES = sorted(glob.glob("/usr/lib/postgresql/*/bin"))


class Services(LabCase):
    def setUp(self):
        super().setUp()
        xdp.open_peer(self.lab)

    def guard(self, port):
        return self.lab.guard("--transparent", listen=[endpoint(a, port) for a in ADDRS],
                              upstream=())

    def each_client(self):
        """An address of the service, with each setting of the client in turn."""
        for values, addr in itertools.product(MATRIX, ADDRS):
            for name, value in zip(SETTINGS, values):
                self.lab.client.sysctl("net.ipv4." + name, value)
            with self.subTest(addr=addr, **dict(zip(SETTINGS, values))):
                yield addr

    def all_proven(self, synward, n):
        counters = synward.counters()
        self.assertEqual((counters["xdp_answered"], counters["handed"]), (n, n), counters)

    def test_nginx(self):
        self.lab.nginx(*(endpoint(a, 80) for a in ADDRS), size=200_000)
        synward = self.guard(80)
        for addr in self.each_client():
            self.assertAll(self.lab.load(addr, 80, "--http", "/", "--count", 20), 20)
        self.all_proven(synward, 20 * len(MATRIX) * len(ADDRS))

    def sshd(self):
        home = os.path.join(self.lab.dir, "ssh")
        os.mkdir(home, 0o700)
        for name in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{home}/{name}"],
                           check=True)
        os.rename(f"{home}/user.pub", f"{home}/authorized")
        with open(f"{home}/config", "w", encoding="ascii") as f:
            f.write(f"""HostKey {home}/host\nAuthorizedKeysFile {home}/authorized
                PermitRootLogin prohibit-password\nPasswordAuthentication no\nStrictModes no
                UsePAM yes\nPidFile none\nPrintMotd no\nMaxStartups 100
                ListenAddress {VICTIM4}:22\nListenAddress [{VICTIM6}]:22\n""")
        p = self.lab.victim.spawn("sshd", "/usr/sbin/sshd", "-D", "-e", "-f", f"{home}/config",
                                  private_run=True)
        self.assertTrue(wait_for(lambda: p.log().count("Server listening") == 2, 10), p.log())
        return home

    def test_sshd(self):
        home = self.sshd()
        synward = self.guard(22)
        text = "line\n" * 20_000
        for addr in self.each_client():
            out = self.lab.client.run(
                "ssh", "-F", "none", "-i", f"{home}/user", "-o", f"UserKnownHostsFile={home}/known",
                "-o", "StrictHostKeyChecking=accept-new", "-o", "IdentitiesOnly=yes", "-o",
                "BatchMode=yes", "-o", "ConnectTimeout=10", f"root@{addr}", "cat", text=text)
            self.assertEqual(out.stdout, text)
        self.all_proven(synward, len(MATRIX) * len(ADDRS))

    def postgres(self):
        """A cluster of its own, which trusts everyone: it is reached only inside the lab."""
        if not POSTGRES:
            self.skipTest("PostgreSQL is not installed")
        user = pwd.getpwnam("postgres")
        home = tempfile.mkdtemp(prefix="sw-postgres-")
        self.addCleanup(shutil.rmtree, home, True)
        os.chown(home, user.pw_uid, user.pw_gid)

        def become():
            os.setgroups([])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)

        subprocess.run([POSTGRES[-1] + "/initdb", "-D", home + "/data", "-A", "trust", "-N", "-E",
                        "UTF8", "--locale", "C"], check=True, capture_output=True, cwd=home,
                       preexec_fn=become)
        with open(home + "/data/pg_hba.conf", "a", encoding="ascii") as f:
            f.write("host all all samenet trust\n")
        p = self.lab.victim.spawn(
            "postgres", POSTGRES[-1] + "/postgres", "-D", home + "/data", "-k", home, "-c",
            f"listen_addresses={','.join(ADDRS)}", "-c", "fsync=off", extra=become)
        self.addCleanup(p.stop)
        self.assertTrue(wait_for(lambda: "ready to accept" in p.log() or not p.alive(), 20), p.log())
        return p

    def test_postgresql(self):
        self.postgres()
        synward = self.guard(5432)
        for addr in self.each_client():
            out = self.lab.client.run("psql", "-X", "-h", addr, "-U", "postgres", "-At", "-c",
                                      "select 1", "-c", "select repeat('x', 300000)")
            self.assertEqual(out.stdout, "1\n" + "x" * 300_000 + "\n")
        self.assertEqual(self.lab.victim.nstat("TcpExt.SyncookiesSent"), 0)
        self.assertGreaterEqual(synward.counters()["handed"], len(MATRIX) * len(ADDRS))


if __name__ == "__main__":
    main()
