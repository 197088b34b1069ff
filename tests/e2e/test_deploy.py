# SPDX-License-Identifier: MIT
"""docs/deploy.md, carried out: each of its commands on the installed package, and each of its
configurations with a client that connects."""
import os
import re
import unittest

import commands
from case import main
from installed import InstalledCase, package
from lab import SOURCE, VICTIM4, VICTIM6

# Before the package is there: carried out by the build, by test_package.py and by dpkg here.
BUILDING = ("cmake ", "(cd build/release", "apt-get install ")
# Where each configuration's service listens, and the port that clients use.
SERVICES = {"nginx": ("127.0.0.1", 8080, 80), "sshd": (VICTIM4, 22, 22),
            "sshd relayed": ("127.0.0.1", 22, 22), "postgresql": ("127.0.0.1", 5433, 5432)}


def page():
    with open(os.path.join(SOURCE, "docs", "deploy.md"), encoding="utf-8") as f:
        return f.read()


def blocks(kind):
    """The blocks of the page, indented ones too, with the lab's addresses."""
    found = re.findall(rf"^( *)```{kind}\n(.*?)^ *```$", page(), re.S | re.M)
    return [re.sub(f"^{indent}", "", text, flags=re.M).replace("192.0.2.1", VICTIM4)
            .replace("[2001:db8::1]", f"[{VICTIM6}]") for indent, text in found]


def lines():
    return [line for block in blocks("sh") for line in block.replace("\\\n", " ").splitlines()]


class Commands(InstalledCase):
    def setUp(self):
        super().setUp()
        self.running = None

    def test_all_of_them_in_order(self):
        """Every line of the page; none is left out."""
        self.lab.nginx("127.0.0.1:8080", proxy_protocol=True)
        self.write("/etc/synward/synward.yaml", blocks("yaml")[0])
        carried_out = 0
        for line in lines():
            if line.startswith(BUILDING):
                self.assertTrue(self.is_a_step_of_the_build(line), line)
            elif line.startswith("systemctl "):
                self.systemctl(line.split())
            elif line.startswith("curl "):
                self.assertIn("xxx", self.lab.client.run(*line.split(), "-sf").stdout)
            elif line.startswith("apt-get purge "):
                self.dpkg("-P", line.split()[-1])
            elif not line.startswith(("journalctl ", "sysctl --system")):
                self.inside(line)
            carried_out += 1
        self.assertGreater(carried_out, 25)
        self.assertEqual(self.changed(), {})

    def inside(self, line):
        """As root on the host that has the package, in the victim's network."""
        out = self.lab.victim.run(*self.system.wrap, "sh", "-c", line, check=False)
        if line.startswith("synward doctor"):  # 1: it has something to say about this host
            self.assertIn(out.returncode, (0, 1), out.stdout + out.stderr)
        elif line == "synward status" and "drain" in out.stdout:
            self.assertEqual(out.returncode, 1)
        else:
            self.assertEqual(out.returncode, 0, line + "\n" + out.stdout + out.stderr)

    def systemctl(self, words):
        if words[1:] == ["enable", "--now", "synward"]:
            self.running = self.start()
        elif words[1:] == ["reload", "synward"]:
            self.reload()
        elif words[1:] == ["disable", "--now", "synward"]:
            self.assertEqual(self.running.stop(), 0, self.running.log())
        else:
            self.fail(" ".join(words))

    @staticmethod
    def is_a_step_of_the_build(line):
        """The presets exist, and the package has the name that cpack gives it."""
        if line.startswith("apt-get install"):
            return os.path.basename(line) == os.path.basename(package("synward"))
        return line in ("cmake --preset release", "cmake --build build/release",
                        "(cd build/release && cpack -G DEB)")


class Configurations(InstalledCase):
    def test_each(self):
        """As it is on the page, with a service behind it that sends the first byte."""
        self.assertEqual(len(blocks("yaml")), len(SERVICES))
        self.system.run("synward", "secret", "new", "-k", "/etc/synward/secret.key")
        self.system.run("chown", "synward:", "/etc/synward/secret.key")
        self.lab.take_xdp_tx()
        for text, (name, (addr, port, public)) in zip(blocks("yaml"), SERVICES.items()):
            with self.subTest(name):
                self.write("/etc/synward/synward.yaml", text)
                server = self.lab.serve(lambda s, events: s.sendall(b"hello\n"), addr, port)
                p = self.start()
                s = self.lab.client.connect(VICTIM4, public)
                self.assertEqual(s.recv(6), b"hello\n")
                s.close()
                self.assertEqual(p.stop(), 0, p.log())
                server.close()


class Words(unittest.TestCase):
    """What the text names is there."""

    def test_inline_commands_exist(self):
        """`synward ...` in the text: commands and options that the program has."""
        found = re.findall(r"`synward ([a-z]+)([^`]*)`", page())
        self.assertTrue(found)
        for name, rest in found:
            self.assertIn(name, commands.names())
            for option in re.findall(r"(?<= )--?[a-z-]+", rest):
                if option != "-":
                    self.assertIn(option, commands.options(name), name + rest)

    def test_alerts_exist(self):
        with open(os.path.join(SOURCE, "conf", "prometheus", "synward.rules.yml"),
                  encoding="utf-8") as f:
            known = set(re.findall(r"- alert: (\w+)", f.read()))
        named = set(re.findall(r"`(Synward[A-Z]\w+)`", page()))
        self.assertTrue(named)
        self.assertLessEqual(named, known)


class Table(unittest.TestCase):
    """The table of capabilities against the code: what the program holds is in test_privs.py."""

    def test_capabilities(self):
        rows = {cells[0].strip(): set(re.findall(r"CAP_\w+", cells[1])) for cells in
                (row.strip("|").split("|") for row in re.findall(r"^\|.*\|$", page(), re.M))}
        with open(os.path.join(SOURCE, "src", "ops", "privs.c"), encoding="utf-8") as f:
            opening = re.search(r"#define OPENING(.*?)\n\n", f.read(), re.S).group(1)
        self.assertEqual(rows["a configuration file, in any mode"],
                         set(re.findall(r"CAP_\w+", opening)))
        self.assertEqual(rows["options, transparent"], set())
        with open(os.path.join(SOURCE, "src", "listen", "shed.c"), encoding="utf-8") as f:
            keeps = re.search(r"sw_shed_keeps\(void\)\n\{(.*?)\n\}", f.read(), re.S).group(1)
        self.assertEqual(rows["packet threads, always"],
                         set(re.findall(r"CAP_\w+", keeps)) - {"CAP_BPF", "CAP_SYS_NICE"})


if __name__ == "__main__":
    main()
