# SPDX-License-Identifier: MIT
"""Synward by a configuration file with one listener and one pool, "web" and "app"."""
import os
import re
import signal

from case import LabCase
from lab import VICTIM4, wait_for

CHECKED = "{ interval: 50ms, timeout: 500ms, rise: 2, fall: 3 }"


class PooledCase(LabCase):
    def write(self, *servers, listen=(f"{VICTIM4}:80",), pool="", limits="", log="", more=""):
        """pool, limits and log: "key: value, key: value"."""
        path = os.path.join(self.lab.dir, "synward.yaml")
        quoted = ", ".join(f'"{a}"' for a in listen)
        text = f"""interface: eth0
listeners:
  - {{ name: web, listen: [{quoted}], upstreams: app }}
pools:
  - name: app
    servers: [{", ".join(f'"{s}"' for s in servers)}]
{"".join(f"    {line}" + chr(10) for line in pool.splitlines())}control: {{ socket: "" }}
{f"limits: {{ {limits} }}" if limits else ""}
{f"log: {{ {log} }}" if log else ""}
{more}
"""
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        return path

    def guard(self, *servers, extra=None, ready=True, **settings):
        args = ("run", "-c", self.write(*servers, **settings))
        self.synward = self.lab.start_synward(*args, extra=extra, ready=ready)
        return self.synward

    def reload(self, *servers, **settings):
        """Another configuration, applied when this returns."""
        before = len(self.synward.log())
        self.write(*servers, **settings)
        self.synward.send(signal.SIGHUP)
        said = wait_for(lambda: re.findall(r"reload: .*\n", self.synward.log()[before:]), 5)
        self.assertTrue(said, self.synward.log())
        return "".join(said)

    def says(self, pattern, seconds=10):
        """A line of the log, waited for."""
        found = wait_for(lambda: re.search(pattern, self.synward.log()), seconds)
        self.assertTrue(found, f"no '{pattern}' in:\n{self.synward.log()}")
        return found
