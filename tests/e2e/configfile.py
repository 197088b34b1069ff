# SPDX-License-Identifier: MIT
"""A configuration file of a lab, and synward with it: written, changed and reloaded.  YAML takes
JSON as it is."""
import copy
import json
import os
import signal
import subprocess
import threading
import time

from lab import SYNWARD, VICTIM4
from process import wait_for

BASE = {
    "interface": "eth0",
    "listeners": [{"name": "web", "listen": [f"{VICTIM4}:80"], "upstreams": "app"}],
    "pools": [{"name": "app", "servers": ["127.0.0.1:8080"]}],
}


class ConfigFile:
    """lab.dir/synward.yaml and the synward that runs with it.  config is a dict to change."""

    def __init__(self, lab, **more):
        self.lab = lab
        self.path = os.path.join(lab.dir, "synward.yaml")
        self.socket = os.path.join(lab.dir, "control.sock")
        self.config = copy.deepcopy(BASE)
        self.config["control"] = {"socket": self.socket}
        self.config.update(more)
        self.write()

    @property
    def web(self):
        return self.config["listeners"][0]

    @property
    def app(self):
        return self.config["pools"][0]

    def write(self, text=None):
        """At once, as an editor or a configuration management does it."""
        with open(self.path + ".new", "w", encoding="utf-8") as f:
            f.write(json.dumps(self.config, indent=2) if text is None else text)
        os.rename(self.path + ".new", self.path)

    def run(self, *more, **kwargs):
        if any("xdp" in str(l.get("offload")) or l.get("transparent")
               for l in self.config["listeners"]):
            self.lab.take_xdp_tx()
        self.synward = self.lab.start_synward("run", "-c", self.path, *more, **kwargs)
        return self.synward

    def reload(self, write=True):
        """`synward reload`: its exit code and what it printed."""
        if write:
            self.write()
        out = subprocess.run([SYNWARD, "reload", "-s", self.socket], capture_output=True,
                             text=True, timeout=60, check=False)
        return out.returncode, out.stdout + out.stderr

    def hangup(self, write=True):
        """SIGHUP: the lines of the log that it led to."""
        if write:
            self.write()
        before = len(self.synward.log())
        self.synward.send(signal.SIGHUP)
        wait_for(lambda: "reload: " in self.synward.log()[before:], 10)
        time.sleep(0.1)
        return self.synward.log()[before:]


class Hammer:
    """Connects again and again, each time with a request and its answer, and keeps what failed."""

    def __init__(self, lab, addr=VICTIM4, port=80, timeout=5, threads=2):
        self.lab, self.addr, self.port, self.timeout = lab, addr, port, timeout
        self.done, self.failed, self.over = 0, [], False
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._loop, daemon=True) for _ in range(threads)]

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *exc):
        self.over = True
        for t in self.threads:
            t.join(self.timeout + 5)

    def _loop(self):
        while not self.over:
            begin = time.monotonic()
            try:
                with self.lab.client.connect(self.addr, self.port, self.timeout) as s:
                    s.sendall(b"hello")
                    ok = s.recv(5) == b"hello"
            except OSError as e:
                ok = repr(e)
            with self.lock:
                if ok is True:
                    self.done += 1
                else:
                    self.failed.append((ok, round(time.monotonic() - begin, 3)))
            time.sleep(0.002)

    def wait(self, more, seconds=20):
        """Until so many more have succeeded."""
        target = self.done + more
        return wait_for(lambda: self.done >= target, seconds)
