# SPDX-License-Identifier: MIT
"""The alerts and the dashboard of conf/ ask for what a running synward exports."""
import json
import os
import re
import subprocess

from case import LabCase, main
from configfile import ConfigFile
from exposition import Exposition, grouped_by, matchers_in, metrics_in
from lab import SOURCE, VICTIM4

RULES = os.path.join(SOURCE, "conf", "prometheus", "synward.rules.yml")
TESTS = os.path.join(SOURCE, "tests", "e2e", "synward.rules.test.yml")
DASHBOARD = os.path.join(SOURCE, "conf", "grafana", "synward.json")
# What Prometheus itself adds to each sample.
SCRAPE_LABELS = {"job", "instance"}
VARIABLES = {"$__rate_interval": "1m", "$job": "synward", "$instance": ".*", "$listener": ".*"}


def promtool(*args):
    return subprocess.run(["promtool", *args], capture_output=True, text=True, timeout=120,
                          check=False)


def dashboard():
    with open(DASHBOARD, encoding="utf-8") as f:
        return json.load(f)


def panels():
    return [p for p in dashboard()["panels"] if p["type"] != "row"]


def rule_exprs():
    """Each expr of the alerts, folded lines joined."""
    with open(RULES, encoding="utf-8") as f:
        text = f.read()
    found = re.findall(r"^ +expr: (?!>)(.*)$", text, re.M)
    found += [" ".join(block.split()) for block in
              re.findall(r"^ +expr: >\n((?: {10,}.*\n)+?)(?= {8}[a-z])", text, re.M)]
    return found


def panel_exprs():
    found = [t["expr"] for p in panels() for t in p["targets"]]
    return found + [a["expr"] for a in dashboard()["annotations"]["list"]]


class Files(LabCase):
    def test_rules(self):
        for args in (("check", "rules", RULES), ("test", "rules", TESTS)):
            out = promtool(*args)
            self.assertEqual(out.returncode, 0, out.stdout + out.stderr)
            self.assertIn("SUCCESS", out.stdout)

    def test_every_alert_is_tested_both_ways(self):
        with open(RULES, encoding="utf-8") as f:
            names = re.findall(r"- alert: (\w+)", f.read())
        self.assertEqual(len(names), len(rule_exprs()))
        with open(TESTS, encoding="utf-8") as f:
            text = f.read()
        for name in names:
            self.assertIn(f"alertname: {name} }}", text, "silence")
            self.assertIn(f'alertname="{name}"', text, "alarm")

    def test_expressions_of_the_dashboard_parse(self):
        """promtool reads expressions out of rules."""
        path = os.path.join(self.lab.dir, "panels.yml")
        rules = []
        for i, expr in enumerate(panel_exprs()):
            for name, value in VARIABLES.items():
                expr = expr.replace(name, value)
            self.assertNotIn("$", expr)
            rules.append({"record": f"panel:{i}", "expr": expr})
        with open(path, "w", encoding="utf-8") as f:
            json.dump({"groups": [{"name": "panels", "rules": rules}]}, f)
        out = promtool("check", "rules", path)
        self.assertEqual(out.returncode, 0, out.stdout + out.stderr)
        self.assertIn(f"{len(rules)} rules found", out.stdout)

    def test_panels_do_not_overlap(self):
        taken = {}
        for p in dashboard()["panels"]:
            g = p["gridPos"]
            self.assertLessEqual(g["x"] + g["w"], 24, p["title"])
            for x in range(g["x"], g["x"] + g["w"]):
                for y in range(g["y"], g["y"] + g["h"]):
                    self.assertNotIn((x, y), taken, (p["title"], taken.get((x, y))))
                    taken[x, y] = p["title"]
        ids = [p["id"] for p in dashboard()["panels"]]
        self.assertEqual(len(ids), len(set(ids)))

    def test_each_panel_says_what_it_shows(self):
        for p in panels():
            self.assertTrue(p["description"].endswith("."), p["title"])
            self.assertEqual(p["datasource"]["uid"], "${datasource}", p["title"])


class Exported(LabCase):
    def setUp(self):
        super().setUp()
        self.lab.bench_server()
        listeners = [{"name": "web", "listen": [f"{VICTIM4}:80"], "upstreams": "app"},
                     {"name": "fast", "listen": [f"{VICTIM4}:81"], "upstreams": "app",
                      "offload": "xdp"},
                     {"name": "own", "listen": [f"{VICTIM4}:443"], "transparent": True}]
        config = ConfigFile(self.lab, listeners=listeners, key_file=self.lab.new_key(),
                            metrics={"address": "127.0.0.1:9177"})
        config.run()
        self.assertAll(self.lab.load(VICTIM4, 80, "--count", 10), 10)
        self.text = self.lab.victim.run("curl", "-sf", "http://127.0.0.1:9177/metrics").stdout
        self.exported = Exposition(self.text)

    def check(self, expr):
        """Each name is exported, with the labels that are matched and grouped by."""
        known = set(SCRAPE_LABELS) | {"le"}
        for name, matchers in metrics_in(expr):
            base = self.exported.base(name)
            self.assertIn(base, self.exported.types, expr)
            if self.exported.types[base] == "histogram":
                self.assertNotEqual(base, name, f"{expr}: a histogram has no sample of its name")
            labels = self.exported.labels[base]
            known |= set(labels)
            for label, how, value in matchers_in(matchers):
                self.assertIn(label, set(labels) | SCRAPE_LABELS, expr)
                if "$" in value or label in SCRAPE_LABELS:
                    continue
                for one in value.split("|") if "~" in how else [value]:
                    self.assertIn(one, labels[label], f"{expr}: no {label} is {one}")
        self.assertLessEqual(grouped_by(expr), known, expr)
        return {self.exported.base(name) for name, _ in metrics_in(expr)}

    def test_what_alerts_and_panels_ask_for(self):
        asked = set()
        for expr in rule_exprs() + panel_exprs():
            found = self.check(expr)
            self.assertTrue(found or expr.startswith("up{"), expr)
            asked |= found
        self.note(f"{len(asked)} of {len(self.exported.types)} metrics are watched")
        self.assertGreater(len(asked), 25)

    def test_variables_of_the_dashboard(self):
        for var in dashboard()["templating"]["list"]:
            if var["type"] == "datasource":
                continue
            expr, label = re.fullmatch(r"label_values\((.*), (\w+)\)", var["definition"]).groups()
            self.check(expr)
            name = metrics_in(expr)[0][0]
            self.assertIn(label, set(self.exported.labels[name]) | SCRAPE_LABELS)

    def test_legends(self):
        """{{label}} in a legend is a label that the expression leaves."""
        for p in panels():
            for target in p["targets"]:
                used = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
                left = grouped_by(target["expr"]) or SCRAPE_LABELS
                self.assertLessEqual(used, left, target["expr"])

    def test_format(self):
        out = subprocess.run(["promtool", "check", "metrics"], input=self.text, text=True,
                             capture_output=True, timeout=60, check=False)
        self.assertEqual(out.returncode, 0, out.stdout + out.stderr)


if __name__ == "__main__":
    main()
