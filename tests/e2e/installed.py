# SPDX-License-Identifier: MIT
"""The Debian packages, built by cpack, and a lab whose victim has them installed: in an overlay over
this system, where the unit is carried out as systemd would do it."""
import glob
import os
import re
import shutil
import subprocess
import tempfile
import unittest

import unit
from case import LabCase
from lab import BUILD
from overlay import Overlay

# What dpkg, adduser and ldconfig keep for themselves.
THEIRS = ("/var/lib/dpkg/", "/var/log/", "/var/cache/", "/etc/passwd-", "/etc/shadow-",
          "/etc/group-", "/etc/gshadow-", "/etc/subuid-", "/etc/subgid-", "/etc/ld.so.cache",
          "/tmp/", "/etc/.pwd.lock", "/var/lib/systemd/")


def package(name):
    found = glob.glob(os.path.join(Packages.dir, name + "_*.deb"))
    assert len(found) == 1, found
    return found[0]


def field(name, key):
    return subprocess.run(["dpkg-deb", "-f", package(name), key], capture_output=True, text=True,
                          check=True).stdout.strip()


def content(name):
    """{path: mode as ls prints it}"""
    out = subprocess.run(["dpkg-deb", "-c", package(name)], capture_output=True, text=True,
                         check=True).stdout
    return {line.split()[5][1:]: line.split()[0] for line in out.splitlines()}


class Packages:
    """Built once for all tests of the file."""
    dir = None

    @classmethod
    def build(cls):
        if cls.dir:
            return
        cls.dir = tempfile.mkdtemp(prefix="synward-deb-")
        unittest.addModuleCleanup(shutil.rmtree, cls.dir)
        out = subprocess.run(["cpack", "-G", "DEB", "--config",
                              os.path.join(BUILD, "CPackConfig.cmake"), "-B", cls.dir],
                             capture_output=True, text=True, check=False, cwd=cls.dir)
        assert out.returncode == 0, out.stdout + out.stderr


class InstalledCase(LabCase):
    def setUp(self):
        Packages.build()
        super().setUp()
        self.system = self.enterContext(Overlay())
        self.dpkg("-i", package("synward"))

    def dpkg(self, *args):
        """In the overlay, and as on a machine that runs no systemd."""
        out = self.system.run("dpkg", *args, check=False, env={"DEBIAN_FRONTEND": "noninteractive"})
        self.assertEqual(out.returncode, 0, out.stdout + out.stderr)
        return out.stdout

    def changed(self):
        return {path: kind for path, kind in self.system.changed().items()
                if not (path + "/").startswith(THEIRS) and not path.startswith(THEIRS)}

    def write(self, path, text, mode=0o644):
        full = self.system.run("sh", "-c", f"cat > {path} <<'END'\n{text}\nEND\nchmod {mode:o} "
                               f"{path}")
        self.assertEqual(full.returncode, 0)

    def unit(self):
        return unit.Unit(self.system.run("cat", "/usr/lib/systemd/system/synward.service").stdout)

    def start(self):
        """systemctl start synward"""
        u = self.unit()
        user = u.one("User")
        self.system.run("install", "-d", "-o", user, "-g", u.one("Group"), "-m",
                        u.one("RuntimeDirectoryMode"), "/run/" + u.one("RuntimeDirectory"))
        program, *args = u.command("ExecStart")
        return self.lab.start_synward(*args, binary=program,
                                      wrap=[*self.system.wrap, *u.setpriv()])

    def reload(self):
        """systemctl reload synward: what it prints."""
        u = self.unit()
        out = self.system.run(*u.setpriv(), *u.command("ExecReload"), check=False)
        self.assertEqual(out.returncode, 0, out.stdout + out.stderr)
        return out.stdout
