# SPDX-License-Identifier: MIT
"""A synward with a configuration file, and what can be seen of it from outside."""
import collections
import http.client
import json
import os
import re
import socket

import lab as lab_module
from lab import VICTIM4, wait_for

Reply = collections.namedtuple("Reply", "status body headers")


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=10):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class NamespaceConnection(http.client.HTTPConnection):
    """TCP from within a namespace of the lab."""

    def __init__(self, ns, addr, port, timeout=10):
        super().__init__(addr, port, timeout=timeout)
        self.ns = ns

    def connect(self):
        self.sock = self.ns.connect(self.host, self.port, timeout=self.timeout)


class Watched:
    """synward run -c with a control socket and metrics on the victim's 127.0.0.1:9177."""

    METRICS = ("127.0.0.1", 9177)

    def __init__(self, lab, listeners=None, extra="", **kwargs):
        self.lab = lab
        self.socket = os.path.join(lab.dir, "control.sock")
        self.config = os.path.join(lab.dir, "synward.yaml")
        self.listeners = listeners or {"web": {}}
        self.write(extra)
        if any(l.get("offload") == "xdp" or l.get("transparent") for l in self.listeners.values()):
            lab.take_xdp_tx()
        self.process = lab.start_synward("run", "-c", self.config, **kwargs)

    def write(self, extra=""):
        lines = ["interface: eth0", "listeners:"]
        relays = False
        for name, options in self.listeners.items():
            options = {"listen": f'["{VICTIM4}:80"]', **options}
            if not options.get("transparent"):
                options["upstreams"] = "app"
                relays = True
            lines.append(f"  - name: {name}")
            lines += [f"    {key}: {value}" for key, value in options.items()]
        if relays:
            lines += ["pools:", "  - name: app", '    servers: ["127.0.0.1:8080"]']
        lines += [f"control: {{ socket: {self.socket} }}",
                  "metrics: { address: \"%s:%d\" }" % self.METRICS]
        if "flood:" not in extra:
            lines.append("flood: { enter: 1000, leave: 500, hold: 2s }")
        with open(self.config, "w", encoding="ascii") as f:
            f.write("\n".join(lines) + "\n" + extra)

    # ---- HTTP ----

    def ask(self, method, path, connection=None, headers=None):
        connection = connection or UnixConnection(self.socket)
        try:
            connection.request(method, path, headers=headers or {})
            answer = connection.getresponse()
            return Reply(answer.status, answer.read().decode(), dict(answer.getheaders()))
        finally:
            connection.close()

    def get(self, path):
        return self.ask("GET", path)

    def tcp(self, timeout=10):
        return NamespaceConnection(self.lab.victim, *self.METRICS, timeout=timeout)

    def stats(self):
        return json.loads(self.get("/stats").body)

    def listener(self, name="web"):
        return next(l for l in self.stats()["listeners"] if l["name"] == name)

    def metrics(self):
        return Metrics(self.get("/metrics").body)

    def settled(self):
        """The statistics once they stand still: no packet is on its way any more."""
        def counts():
            return [{k: v for k, v in l["stats"].items() if k != "clock_age_ms"}
                    for l in self.stats()["listeners"]]

        def still():
            first = counts()
            wait_for(lambda: False, 0.3)
            return counts() == first

        if not wait_for(still, 10):
            raise AssertionError(f"never at rest: {counts()}")
        return self.stats()

    # ---- subcommands ----

    def run(self, *args):
        return self.lab.victim.run(lab_module.SYNWARD, *args, "-s", self.socket, check=False)


class Metrics:
    """Samples of Prometheus' text: {name: {labels: value}}."""

    SAMPLE = re.compile(r'([a-z_:]+)(?:\{(.*)\})? (\S+)')

    def __init__(self, text):
        self.text = text
        self.samples = collections.defaultdict(dict)
        for line in text.splitlines():
            if not line.startswith("#"):
                name, labels, value = self.SAMPLE.fullmatch(line).groups()
                self.samples[name][labels or ""] = float(value)

    def sum(self, name, *parts):
        """Of all samples that have these in their labels."""
        rows = {k: v for k, v in self.samples[name].items() if all(p in k for p in parts)}
        if not rows:
            raise KeyError(f"no sample of {name} with {parts}")
        return sum(rows.values())

    def counters(self):
        """(name, labels): value of everything that may only grow."""
        kinds = dict(re.findall(r"# TYPE (\S+) (\S+)", self.text))
        return {(name, labels): value for name, rows in self.samples.items()
                for labels, value in rows.items()
                if kinds.get(name) == "counter"
                or kinds.get(re.sub("_(bucket|sum|count)$", "", name)) == "histogram"}
