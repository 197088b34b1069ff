# SPDX-License-Identifier: MIT
"""What the documents say can be done as they say it."""
import os
import re
import shlex
import subprocess
import unittest

from case import LabCase, main
from lab import SOURCE, SYNWARD, VICTIM4


def page(name):
    with open(os.path.join(SOURCE, name), encoding="utf-8") as f:
        return f.read()


def commands(name):
    """The lines of a page's sh blocks, continued lines joined, comments and prompts gone."""
    text = "\n".join(re.findall(r"```sh\n(.*?)```", page(name), re.S)).replace("\\\n", " ")
    return [line.split("#")[0].strip() for line in text.splitlines() if line.split("#")[0].strip()]


class Docs(unittest.TestCase):
    PAGES = ("README.md", "docs/run.md", "docs/library.md", "docs/cookie.md",
             "docs/architecture.md", "docs/internals.md", "docs/benchmark.md",
             "docs/handshake.md", "docs/probe.md", "docs/deploy.md", "docs/CHANGELOG.md")

    def test_two_commands(self):
        lines = commands("README.md")
        for command in ("bench/demo", "tests/run"):
            self.assertIn("sudo " + command, lines)
            self.assertTrue(os.access(os.path.join(SOURCE, command), os.X_OK), command)
        ci = page(".ci/run")
        self.assertIn("exec sudo tests/run", ci)

    def test_packages_exist(self):
        """Each name of the list is a package that is installed here."""
        for line in page("tests/packages").splitlines():
            name = line.split("#")[0].strip()
            if name:
                out = subprocess.run(["dpkg-query", "-W", "-f=${db:Status-Status}", name],
                                     capture_output=True, text=True, check=False)
                self.assertEqual(out.stdout, "installed", name)

    def test_links(self):
        for name in self.PAGES:
            for target in re.findall(r"\]\(([^)#:]+)\)", page(name)):
                at = os.path.normpath(os.path.join(SOURCE, os.path.dirname(name), target))
                self.assertTrue(os.path.exists(at), f"{name} links to {target}")

    def test_options_are_the_programs(self):
        """Every option in a command of a page is one that the program knows, and the table of
        docs/run.md has every option of the help."""
        known = subprocess.run([SYNWARD, "run", "--help"], capture_output=True, text=True,
                               check=True).stdout
        options = set(re.findall(r"--[a-z][a-z-]+", known)) - {"--help"}
        for name in self.PAGES:
            for line in commands(name):
                if "synward run" in line:
                    used = {w for w in shlex.split(line) if w.startswith("--")}
                    self.assertLessEqual(used, options, line)
        self.assertLessEqual(options, set(re.findall(r"--[a-z][a-z-]+", page("docs/run.md"))))

    def test_exit_codes(self):
        for code in (0, 1, 2, 69, 77, 78):
            self.assertRegex(page("docs/run.md"), rf"\| {code} \|")


class QuickStart(LabCase):
    def test_readme(self):
        """The README's commands, with the lab's interface and address in place of its own."""
        self.lab.nginx("127.0.0.1:8080")
        self.lab.nginx(f"{VICTIM4}:443")
        self.lab.take_xdp_tx()
        ports = {"--upstream": 80, "--transparent": 443}
        for line in commands("README.md"):
            if "release/synward" not in line:
                continue
            line = line.replace("sudo ", "").replace("build/release/synward", SYNWARD)
            line = line.replace("192.0.2.1", VICTIM4)
            line = line.replace("secret.key", os.path.join(self.lab.dir, "secret.key"))
            if " run " not in line:
                self.lab.victim.run("sh", "-c", f"cd {shlex.quote(SOURCE)} && {line}")
                continue
            argv = shlex.split(line)
            self.assertEqual(argv[:2], [SYNWARD, "run"])
            way = next(way for way in ports if way in argv)
            self.lab.start_synward(*argv[1:])
            self.assertAll(self.lab.load(VICTIM4, ports.pop(way), "--http", "/", "--count", 10), 10)
        self.assertEqual(ports, {}, "a way that the README does not show")


if __name__ == "__main__":
    main()
