# SPDX-License-Identifier: MIT
"""
The Debian packages: built by cpack, installed into an overlay over this system, run from there as
the unit runs them, and removed without a trace.
"""
import glob
import json
import os
import re
import subprocess
import unittest

from case import main
from installed import InstalledCase, Packages, content, field, package
from lab import SOURCE, VICTIM4

PAGES = ("man8/synward.8", "man5/synward.yaml.5", "man7/synward-cookies.7",
         "man7/synward-metrics.7")


class Content(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        Packages.build()

    def test_program(self):
        files = content("synward")
        self.assertEqual(files["/usr/sbin/synward"], "-rwxr-xr-x")
        for path in ("/etc/synward/synward.yaml", "/etc/sysctl.d/60-synward.conf",
                     "/usr/lib/systemd/system/synward.service",
                     "/usr/share/bash-completion/completions/synward",
                     "/usr/share/doc/synward/copyright", "/usr/share/doc/synward/CHANGELOG.md.gz",
                     "/usr/share/doc/synward/examples/synward.rules.yml",
                     "/usr/share/doc/synward/examples/synward.json",
                     *(f"/usr/share/man/{page}.gz" for page in PAGES)):
            self.assertEqual(files[path], "-rw-r--r--", path)
        for path in glob.glob(os.path.join(SOURCE, "conf", "*.yaml")):
            self.assertIn("/usr/share/doc/synward/examples/" + os.path.basename(path), files)
        for path in files:
            self.assertTrue(path.startswith(("/etc", "/usr")) or path == "/", path)

    def test_library(self):
        files = content("libsynward-dev")
        self.assertIn("/usr/include/synward/listener.h", files)
        self.assertTrue([p for p in files if p.endswith("/libsynward.so")])
        self.assertTrue([p for p in files if p.endswith("/synward.pc")])
        for path in files:
            self.assertTrue(path.startswith("/usr") or path == "/", path)
        self.assertEqual(set(files) & {p for p in content("synward") if not p.endswith("/")}, set())

    def test_conffiles(self):
        out = subprocess.run(["dpkg-deb", "-I", package("synward"), "conffiles"],
                             capture_output=True, text=True, check=True).stdout
        self.assertEqual(set(out.split()), {p for p in content("synward")
                                            if p.startswith("/etc/") and not p.endswith("/")})

    def test_dependencies(self):
        """All that the program is linked with, and no more libraries."""
        depends = set(re.findall(r"(?:^|, )([a-z0-9.+-]+)", field("synward", "Depends")))
        for name in ("adduser", "libc6", "libssl3", "libbpf1", "libseccomp2", "libcap-ng0",
                     "libcyaml1"):
            self.assertIn(name, depends)
        for name in depends:
            out = subprocess.run(["dpkg-query", "-W", "-f=${db:Status-Status}", name],
                                 capture_output=True, text=True, check=False)
            self.assertEqual(out.stdout, "installed", name)
        with open(os.path.join(SOURCE, "CMakeLists.txt"), encoding="utf-8") as f:
            version = re.search(r"project\(synward VERSION ([0-9.]+)", f.read()).group(1)
        self.assertEqual(field("synward", "Version"), version)

    def test_changelog_has_the_version(self):
        with open(os.path.join(SOURCE, "docs", "CHANGELOG.md"), encoding="utf-8") as f:
            first = re.search(r"^## (\S+?),", f.read(), re.M).group(1)
        self.assertEqual(first, field("synward", "Version"))

    def test_scripts(self):
        """They are plain sh, and stop at the first error."""
        for name in ("postinst", "prerm", "postrm"):
            path = os.path.join(SOURCE, "conf", "debian", name)
            self.assertTrue(os.access(path, os.X_OK), path)
            out = subprocess.run(["dash", "-n", path], capture_output=True, text=True, check=False)
            self.assertEqual((out.returncode, out.stderr), (0, ""), name)
            with open(path, encoding="ascii") as f:
                self.assertIn("\nset -e\n", f.read())


class Installed(InstalledCase):
    def configure(self):
        """The way docs/deploy.md has it."""
        self.system.run("synward", "secret", "new", "-k", "/etc/synward/secret.key")
        self.system.run("chown", "synward:", "/etc/synward/secret.key")
        self.write("/etc/synward/synward.yaml", json.dumps({
            "user": "synward", "interface": "eth0", "key_file": "/etc/synward/secret.key",
            "listeners": [{"name": "web", "listen": [f"{VICTIM4}:80"], "upstreams": "app"}],
            "pools": [{"name": "app", "servers": ["127.0.0.1:8080"]}]}))

    def test_life(self):
        """Install, configure, start, guard, reload, stop, remove, purge."""
        self.assertIn("uid=", self.system.run("id", "synward").stdout)
        self.assertEqual(self.system.run("stat", "-c", "%U:%G %a", "/etc/synward").stdout.strip(),
                         "root:synward 750")
        self.assertEqual(self.system.run("synward", "--version").stdout.split()[0], "synward")
        self.configure()
        self.lab.bench_server()
        p = self.start()
        self.assertAll(self.lab.load(VICTIM4, 80, "--count", 50), 50)
        with open(f"/proc/{p.pid}/status", encoding="ascii") as f:
            uid = re.search(r"Uid:\t(\d+)", f.read()).group(1)
        self.assertEqual(uid, self.system.run("id", "-u", "synward").stdout.strip())
        self.system.run("synward", "secret", "stage")
        self.assertIn("staged", self.reload())
        self.assertAll(self.lab.load(VICTIM4, 80, "--count", 50), 50)
        self.assertEqual(p.stop(), 0, p.log())
        self.dpkg("-r", "synward")
        left = self.changed()
        self.assertIn("/etc/synward/synward.yaml", left, "a conffile goes with purge only")
        self.assertNotIn("/usr/sbin/synward", left)
        self.dpkg("-P", "synward")
        self.assertEqual(self.changed(), {}, "left after purge")
        self.assertEqual(self.system.run("id", "synward", check=False).returncode, 1)

    def test_not_started_by_installing(self):
        self.assertEqual(self.lab.inside(), [])
        self.assertNotIn("/etc/systemd/system/multi-user.target.wants/synward.service",
                         self.system.changed())

    def test_as_installed_it_says_what_to_do(self):
        """The sample names an interface and a key that are not there."""
        out = self.system.run("synward", "check", "-c", "/etc/synward/synward.yaml", check=False)
        self.assertEqual(out.returncode, 78, out.stdout + out.stderr)
        self.assertIn("/etc/synward/secret.key", out.stdout + out.stderr)

    def test_manual_is_found(self):
        for page in PAGES:
            section, name = re.fullmatch(r"man(\d)/(.*)\.\d", page).groups()
            out = self.system.run("sh", "-c", f"zcat /usr/share/man/{page}.gz | mandoc -T ascii",
                                  check=False)
            self.assertIn(name.upper() + f"({section})", out.stdout.replace("\b", ""))

    def test_installing_again_keeps_the_configuration(self):
        self.configure()
        before = self.system.run("cat", "/etc/synward/synward.yaml").stdout
        self.dpkg("-i", "--force-confold", package("synward"))
        self.assertEqual(self.system.run("cat", "/etc/synward/synward.yaml").stdout, before)
        owner = self.system.run("stat", "-c", "%U %a", "/etc/synward/secret.key").stdout.strip()
        self.assertEqual(owner, "synward 600")

    def test_library_builds_a_program(self):
        self.dpkg("-i", "--force-depends", package("libsynward-dev"))
        self.write("/tmp/x.c", "#include <synward/listener.h>\n#include <stdio.h>\n"
                   "int main(void) { puts(synward_version()); return 0; }")
        self.system.run("sh", "-c", "cc -o /tmp/x /tmp/x.c $(pkg-config --cflags --libs synward)")
        self.assertEqual(self.system.run("/tmp/x").stdout.strip(), field("synward", "Version"))
        self.dpkg("-P", "libsynward-dev")
        self.dpkg("-P", "synward")
        self.assertEqual(self.changed(), {}, "left after purge")


if __name__ == "__main__":
    main()
