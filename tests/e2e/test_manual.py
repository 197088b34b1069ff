# SPDX-License-Identifier: MIT
"""The manual pages say what the program does: every option, setting, metric and reason is there,
and nothing that does not exist."""
import os
import re
import subprocess
import unittest

import commands
from case import LabCase, main
from configfile import ConfigFile
from exposition import Exposition
from lab import SOURCE, VICTIM4

PAGES = ("synward.8", "synward.yaml.5", "synward-cookies.7", "synward-metrics.7")


def text(*path):
    with open(os.path.join(SOURCE, *path), encoding="utf-8") as f:
        return f.read()


def page(name):
    return text("docs", "man", name)


def sections(name):
    """{title: text} of the subsections."""
    parts = re.split(r"^\.S[sh] (.*)$", page(name), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def items(section, macro):
    """[(words of the .It line, text below)] of a subsection."""
    parts = re.split(rf"^\.It {macro} (.*)$", section, flags=re.M)
    return list(zip(parts[1::2], parts[2::2]))


def names(section, macro):
    """What is between the commas of the .It lines."""
    return [word for line, _ in items(section, macro) for word in line.replace(" ,", "").split()]


class Pages(unittest.TestCase):
    def test_lint(self):
        self.assertEqual(sorted(os.listdir(os.path.join(SOURCE, "docs", "man"))), sorted(PAGES))
        for name in PAGES:
            out = subprocess.run(["mandoc", "-T", "lint", "-W", "warning",
                                  os.path.join(SOURCE, "docs", "man", name)],
                                 capture_output=True, text=True, check=False)
            found = [line for line in (out.stdout + out.stderr).splitlines()
                     if "outdated mandoc.db" not in line]
            self.assertEqual(found, [])

    def test_pages_refer_to_each_other(self):
        for name in PAGES:
            for ref in re.findall(r"^\.Xr (synward\S*) (\d)", page(name), re.M):
                self.assertIn(".".join(ref), PAGES, name)
        for ref in re.findall(r"docs/[a-z]+\.md", "".join(map(page, PAGES))):
            self.assertTrue(os.path.exists(os.path.join(SOURCE, ref)), ref)


class Commands(unittest.TestCase):
    def test_each_command_and_option(self):
        said = sections("synward.8")
        for name in commands.names():
            self.assertIn(name, said, "no subsection")
            found = set()
            for line, _ in items(said[name], "Fl"):
                found |= {"-" + word for word in re.findall(r"(?:^|Fl )(\S+)", line)}
            self.assertEqual(found | {"--help", "-h"}, commands.options(name) | {"-h"}, name)

    def test_no_other_command(self):
        titles = [t for t in sections("synward.8") if t.islower()]
        self.assertEqual(sorted(titles), sorted(commands.names()))

    def test_verbs_of_secret(self):
        verbs = names(sections("synward.8")["secret"], "Cm")
        verbs = {v for v in verbs if v not in ("Op", "Cm", "retired", "|", "staged")}
        self.assertEqual(verbs, set(re.findall(r"^([a-z]+) .*  +[a-z0-9]",
                                               commands.run("secret", "--help").stdout, re.M))
                         - {"usage", "example"})

    def test_exit_codes(self):
        said = set(re.findall(r"^\.It (\d+)$", sections("synward.8")["EXIT STATUS"], re.M))
        self.assertEqual(said, set(re.findall(r"SW_EXIT_\w+ = (\d+)", text("src", "cli", "cli.h"))))

    def test_signals(self):
        code = "".join(text("src", "cli", f) for f in os.listdir(os.path.join(SOURCE, "src", "cli"))
                       if f.startswith("server"))
        handled = {"SIG" + s for s in re.findall(r"new_signal\(sv, SIG(\w+),", code)}
        said = set(re.findall(r"SIG[A-Z0-9]+", " ".join(
            line for line, _ in items(sections("synward.8")["Signals"], "Dv"))))
        self.assertEqual(said, handled)


class Settings(unittest.TestCase):
    """synward.yaml(5) against `synward check --list`."""

    def listed(self):
        """{subsection: {key: (default, change, what it takes)}}"""
        found = {}
        lines = [line.split("\t") for line in commands.run("check", "--list").stdout.splitlines()]
        self.assertGreater(len(lines), 40)
        for name, default, change, takes, _ in lines:
            group, _, key = name.rpartition(".")
            if not any(other[0].startswith(name + ".") for other in lines):
                where = group.replace(".", ": ") or "Top level"
                found.setdefault(where, {})[key] = default.strip('"'), change, takes
        return found

    def test_each_setting(self):
        """Its default, and what it takes; times are explained once for all."""
        said = sections("synward.yaml.5")
        for where, settings in self.listed().items():
            documented = dict((line.split(" Pq ")[0], (line.split(" Pq ")[1], below))
                              for line, below in items(said[where], "Ic"))
            self.assertEqual(set(documented), set(settings), where)
            for key, (default, below) in documented.items():
                self.assertEqual(default.replace(r"\(dq", ""), settings[key][0], f"{where}: {key}")
                takes = settings[key][2].replace(", such as 500ms, 3s, 10m or 1h", "")
                self.assertIn(f"Takes {takes}.", " ".join(below.split()), f"{where}: {key}")

    def test_no_other_group(self):
        titles = [t for t in sections("synward.yaml.5") if not t.isupper()]
        self.assertEqual(set(titles), set(self.listed()))

    def test_what_takes_a_restart(self):
        said = re.search(r"A change of\n(.*?)takes a restart", page("synward.yaml.5"), re.S).group(1)
        self.assertEqual(set(re.findall(r"\.Ic (\S+)", said)), {
            key if where == "Top level" else f"{where}.{key}"
            for where, settings in self.listed().items()
            for key, (_, change, _) in settings.items() if change == "restart"})

    def test_examples_are_right(self):
        """Each example of the page passes `synward check`."""
        found = re.findall(r"^\.Bd -literal.*\n((?:.*\n)*?)\.Ed$",
                           sections("synward.yaml.5")["EXAMPLES"], re.M)
        self.assertEqual(len(found), 2)
        for i, example in enumerate(found):
            path = f"/tmp/synward-manual-{os.getpid()}-{i}.yaml"
            with open(path, "w", encoding="ascii") as f:
                f.write(re.sub("(?m)^key_file:.*\n", "", example).replace("eth0", "lo"))
            self.addCleanup(os.unlink, path)
            out = commands.run("check", "-c", path)
            self.assertEqual(out.returncode, 0, out.stdout + out.stderr)


class Cookies(unittest.TestCase):
    def test_diagrams(self):
        """Bit diagrams, message and formulas are those of docs/cookie.md, to the character."""
        blocks = re.findall(r"^```\w*\n(.*?)^```$", text("docs", "cookie.md"), re.S | re.M)
        doc = [b for b in blocks if re.search(r"tag bits|client port|^wide: |^K_E = HKDF", b)]
        self.assertEqual(len(doc), 5)
        said = page("synward-cookies.7")
        for block in doc:
            self.assertIn(block.rstrip("\n"), said)

    def test_tables(self):
        said = page("synward-cookies.7")
        for name, row in re.findall(r"^\| ((?:wide|narrow), IPv[46]) \|(.*)\|$",
                                    text("docs", "cookie.md"), re.M):
            cells = [c.strip() for c in row.split("|") if c.strip()]
            self.assertIn(".It " + " Ta ".join([name, *cells]) + "\n", said)


class Metrics(LabCase):
    @classmethod
    def setUpClass(cls):
        cls.said = sections("synward-metrics.7")
        cls.reasons = re.findall(r'SW_WHY\(\w+, "(\w+)"', text("src", "core", "reason.h"))

    def exported(self):
        listeners = [{"name": "web", "listen": [f"{VICTIM4}:80"], "upstreams": "app"},
                     {"name": "fast", "listen": [f"{VICTIM4}:81"], "upstreams": "app",
                      "offload": "xdp"}]
        self.lab.bench_server()
        ConfigFile(self.lab, listeners=listeners, key_file=self.lab.new_key(),
                   metrics={"address": "127.0.0.1:9177"}).run()
        self.assertAll(self.lab.load(VICTIM4, 80, "--count", 5), 5)
        return Exposition(self.lab.victim.run("curl", "-sf",
                                              "http://127.0.0.1:9177/metrics").stdout)

    def documented(self):
        """{name: (type, labels)}"""
        found = {}
        for title in ("The process", "Packets and cookies", "Connections"):
            for name, below in items(self.said[title], "Va"):
                lines = below.strip().splitlines()
                kind = lines[0].split()[0].rstrip(".").lower()
                labels = set(re.findall(r"\w+", lines[1][4:])) if " by" in lines[0] else set()
                found[name] = kind, labels
        return found

    def test_each_metric(self):
        exported = self.exported()
        said = self.documented()
        self.assertEqual(set(said), set(exported.types))
        for name, (kind, labels) in said.items():
            self.assertEqual(kind, exported.types[name], name)
            self.assertEqual(labels, set(exported.labels[name]) - {"le"}, name)
        self.check_values(exported)

    def check_values(self, exported):
        """Values of labels that come from a list are explained."""
        reasons = set(self.reasons)
        for name, label, known in (
                ("synward_packets_dropped_total", "reason", reasons),
                ("synward_packets_ignored_total", "reason", reasons),
                ("synward_syns_refused_total", "reason", reasons),
                ("synward_cookies_rejected_total", "reason", reasons)):
            self.assertLessEqual(exported.labels[name][label], known, name)
        for title, name, label in (
                ("Stages of a handoff that fails", "synward_handoff_failures_total", "stage"),
                ("Causes of a connection's end", "synward_connections_closed_total", "cause"),
                ("Reasons of failed attempts to reach a server",
                 "synward_backend_connect_failures_total", "reason")):
            self.assertEqual(set(names(self.said[title], "Cm")), exported.labels[name][label], name)
        self.assertEqual(exported.labels["synward_packets_received_total"]["path"],
                         {"ring", "xdp"})

    def test_each_reason(self):
        self.assertGreater(len(self.reasons), 30)
        self.assertEqual(names(self.said["Reasons"], "Cm"), self.reasons)

    def test_kernel_twins(self):
        help_text = text("src", "ops", "metrics_packets.c")
        for ours, theirs in re.findall(r"^\.It (\w+) Ta (\w+)$", self.said["Twins in the kernel"],
                                       re.M):
            self.assertRegex(help_text, rf'"{ours}",[^{{}}]*{theirs}')


if __name__ == "__main__":
    main()
