# SPDX-License-Identifier: MIT
"""The programs of a lab while they run: what they print, what they use, how they end."""
import collections
import os
import re
import signal
import subprocess
import time


def wait_for(what, seconds, every=0.01):
    """The first true value of what(), or its last one after some seconds."""
    end = time.monotonic() + seconds
    while True:
        value = what()
        if value or time.monotonic() > end:
            return value
        time.sleep(every)


class Process:
    """A program in a namespace.  Its stderr and stdout go to a file, so that no pipe can fill."""

    def __init__(self, lab, name, argv, preexec, stdin=subprocess.DEVNULL, env=None):
        self.name = name
        self.log_path = os.path.join(lab.dir, f"{len(lab.processes):02d}-{name}.log")
        with open(self.log_path, "wb") as log:
            self.popen = subprocess.Popen(argv, stdin=stdin, stdout=log, stderr=log, env=env,
                                          preexec_fn=preexec, start_new_session=True)
        self.pid = self.popen.pid
        lab.processes.append(self)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def alive(self):
        return self.popen.poll() is None

    def wait(self, seconds):
        """The exit code; None when it still runs after some seconds."""
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def send(self, sig):
        if self.alive():
            os.kill(self.pid, sig)

    def stop(self, sig=signal.SIGTERM, seconds=10):
        """Ask it to end, insist after some seconds.  Returns the exit code."""
        self.send(sig)
        code = self.wait(seconds)
        if code is None:
            self.send(signal.SIGKILL)
            self.popen.wait()
        return code

    def rss_kib(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))

    def fds(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Synward(Process):
    def end_now(self, seconds=10):
        """SIGTERM, and again until it ends without waiting for its connections.  Signals sent
        too close together are one."""
        end, code = time.monotonic() + seconds, None
        while code is None and time.monotonic() < end:
            self.send(signal.SIGTERM)
            code = self.wait(0.4)
        return code

    def ready(self):
        return re.search(r'^(synward: |.*\bmsg"?[=:]")ready\b', self.log(), re.M)

    def counters(self):
        """The counters as SIGUSR1 prints them; what it leaves out is 0."""
        before = len(self.log())
        self.send(signal.SIGUSR1)

        def settled():
            first = self.log()[before:]
            if "synward: counter " not in first:
                return None
            time.sleep(0.05)
            return first if self.log()[before:] == first else None

        text = wait_for(settled, 0.5) or ""  # nothing is printed while all are 0
        found = re.findall(r"synward: counter (\S+) (\d+)", text)
        return collections.Counter({name: int(value) for name, value in found})
